"""Does ONNX Runtime saturate here?  Not a test itself.

On x86 without VNNI its kernels add two products u8 * s8 in 16 bits and saturate (its documentation says so and advises 7-bit weights): such results are no reference."""
import functools

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper


@functools.lru_cache(maxsize=None)
def saturates():
    x, w = np.full((1, 32), 255, np.uint8), np.full((32, 1), 127, np.int8)
    graph = helper.make_graph([helper.make_node("MatMulInteger", ["x", "w"], ["y"])], "probe", [helper.make_tensor_value_info("x", TensorProto.UINT8, x.shape)],
                              [helper.make_tensor_value_info("y", TensorProto.INT32, None)], [numpy_helper.from_array(w, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    got = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    return int(got[0, 0]) != 32 * 255 * 127
