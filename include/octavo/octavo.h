/* Octavo: float ONNX in, accurate INT8 out, run on the CPU.  Umbrella of all public headers; what train.h declares is in
 * liboctavo_train, which a program that calls it links instead of liboctavo. */
#ifndef OCTAVO_OCTAVO_H
#define OCTAVO_OCTAVO_H

#include "status.h"
#include "tensor.h"
#include "model.h"
#include "data.h"
#include "quant.h"
#include "engine.h"
#include "eval.h"
#include "peers.h"
#include "train.h"

#endif
