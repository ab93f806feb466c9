/* Octavo: float ONNX in, accurate INT8 out, run on the CPU.  Umbrella of all public headers. */
#ifndef OCTAVO_OCTAVO_H
#define OCTAVO_OCTAVO_H

#include "status.h"
#include "tensor.h"
#include "model.h"
#include "data.h"
#include "quant.h"
#include "engine.h"
#include "eval.h"

#endif
