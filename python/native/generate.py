"""Write the C source of an extension module: generate.py core|train INCLUDE_FOLDER OUTPUT.c"""
import pathlib
import sys

import cffi

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import declarations  # noqa: E402

# What native/bridge.h adds, and the functions that C calls back.
BRIDGE = """
oct_status oct_bridge_run(oct_context *context, const char *const *inputs, const oct_tensor *tensors, int input_count,
                          const char *const *outputs, void *const *to, const int64_t *bytes, int output_count);
oct_status oct_bridge_time(oct_context *context, int64_t runs, double *seconds);
"""
CALLBACKS = """
extern "Python" void oct_py_build_progress(void *user, const char *what, int64_t done, int64_t total);
extern "Python" void oct_py_eval_progress(void *user, int64_t done, int64_t total);
extern "Python" oct_status oct_py_peer_open(void *user, const char *const *tensors, int count, bool *has);
extern "Python" oct_status oct_py_peer_run(void *user, const char *const *names, const oct_tensor *inputs, int input_count);
extern "Python" oct_status oct_py_peer_read(void *user, int tensor, float *data, int64_t count);
"""
TRAIN_CALLBACKS = """
extern "Python" void oct_py_train_event(void *user, const oct_train_event *event);
"""


def main(module: str, include: str, output: str) -> None:
    ffi = cffi.FFI()
    ffi.cdef(declarations.read(pathlib.Path(include), module))
    ffi.cdef(BRIDGE)
    ffi.cdef(TRAIN_CALLBACKS if module == "train" else CALLBACKS)
    ffi.set_source(f"octavo._{module}", '#include <octavo/octavo.h>\n#include "bridge.h"\n')
    ffi.emit_c_code(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
