"""ONNX's backend interface (onnx.backend.base) over the engine: prepare, run_model, run_node, supports_device.

    import octavo.backend as backend
    outputs = backend.prepare(onnx.load("model.onnx")).run([x])

A plan has fixed shapes. Where shapes follow from the contents of an input (Reshape's shape, TopK's k), such inputs become part of the plan when
it runs, once for each content that comes.
"""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.base import Backend, BackendRep, namedtupledict

from ._build import build
from ._errors import ContentError, OctavoError, UnsupportedError, UsageError
from ._model import Model
from ._session import Session

KEPT_CONTENTS = 8


def _graph_inputs(model: onnx.ModelProto) -> list[str]:
    weights = {tensor.name for tensor in model.graph.initializer}
    return [port.name for port in model.graph.input if port.name not in weights]


def _with_contents(model: onnx.ModelProto, contents: Mapping[str, np.ndarray[Any, Any]]) -> onnx.ModelProto:
    """The model with these inputs as initializers."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    kept = [port for port in fixed.graph.input if port.name not in contents]
    del fixed.graph.input[:]
    fixed.graph.input.extend(kept)
    fixed.graph.initializer.extend(numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in contents.items())
    return fixed


class OctavoRep(BackendRep):
    """A model ready to run."""

    def __init__(self, model: onnx.ModelProto, **options: Any) -> None:
        self._model, self._options = model, options
        self._names = _graph_inputs(model)
        self._output_names = [port.name for port in model.graph.output]
        self._by_contents: OrderedDict[Any, Session] = OrderedDict()
        self._session: Session | None = None
        self._refusal: OctavoError | None = None
        try:
            self._session = Session(model, **options)
        except (UnsupportedError, ContentError) as error:
            # Perhaps an input's contents are all that is missing; run knows them.
            if not self._names:
                raise
            self._refusal = error

    def run(self, inputs: Any, **_: Any) -> tuple[Any, ...]:
        """Arrays in the order of the model's inputs, or by name; gives a named tuple of the outputs.

        Raises UnsupportedError (naming the node and operator) and ContentError.
        """
        if isinstance(inputs, Mapping):
            feed = {name: np.asarray(inputs[name]) for name in self._names}
        else:
            items = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
            if len(items) != len(self._names):
                raise UsageError(f"the model has {len(self._names)} inputs, {len(items)} were given")
            feed = {name: np.asarray(item) for name, item in zip(self._names, items)}
        return namedtupledict("Outputs", self._output_names)(*self._run(feed))

    def _run(self, feed: dict[str, np.ndarray[Any, Any]]) -> Sequence[Any]:
        if self._session is not None:
            try:
                return self._session.run(None, feed)
            except UnsupportedError as error:
                self._refusal = error
        assert self._refusal is not None
        integers = {name for name, array in feed.items() if array.dtype.kind != "f"}
        for fixed in (integers, set(feed)):
            if not fixed:
                continue
            try:
                return self._fixed(feed, fixed).run(None, {name: array for name, array in feed.items() if name not in fixed})
            except (UnsupportedError, ContentError):
                continue
        raise self._refusal

    def _fixed(self, feed: dict[str, np.ndarray[Any, Any]], names: set[str]) -> Session:
        contents = {name: feed[name] for name in sorted(names)}
        key = tuple((name, array.dtype.str, array.shape, array.tobytes()) for name, array in contents.items())
        session = self._by_contents.get(key)
        if session is None:
            session = Session(_with_contents(self._model, contents), **self._options)
            self._by_contents[key] = session
            if len(self._by_contents) > KEPT_CONTENTS:
                self._by_contents.popitem(last=False)
        return session


class OctavoBackend(Backend):
    """The engine as an ONNX backend; the only device is "CPU"."""

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **options: Any) -> OctavoRep:
        """options: of octavo.Session (threads, mode, ...). Raises UnsupportedError and ContentError, UsageError for another device."""
        if not cls.supports_device(device):
            raise UsageError(f"there is no device '{device}' here, only CPU")
        return OctavoRep(model, **options)

    @classmethod
    def run_model(cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **options: Any) -> tuple[Any, ...]:
        return cls.prepare(model, device, **options).run(inputs)

    @classmethod
    def run_node(cls, node: onnx.NodeProto, inputs: Any, device: str = "CPU", outputs_info: Any = None, **options: Any) -> tuple[Any, ...]:
        """One node on these arrays; the opset is the newest that onnx and the engine know, or options' opset_version."""
        opset = options.pop("opset_version", onnx.defs.onnx_opset_version())
        arrays = [np.asarray(item) for item in inputs]
        names = [name for name in node.input if name]
        ports = [onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in zip(names, arrays)]
        results = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name]
        graph = onnx.helper.make_graph([node], "node", ports, results)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid(node.domain, opset)])
        inferred = onnx.shape_inference.infer_shapes(model)
        return cls.run_model(inferred, arrays, device, **options)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device.split(":")[0] == "CPU"

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **options: Any) -> bool:
        """Whether every operator, attribute and type of the model is known (free dimensions count as 1)."""
        if not cls.supports_device(device):
            return False
        try:
            source = Model(model)
            free = {f"{port.name}:{axis}": 1 for port in source.get_inputs() for axis, length in enumerate(port.shape) if not isinstance(length, int)}
            build(source, dims=free, level=0, **options)
        except UnsupportedError:
            return False
        return True


prepare = OctavoBackend.prepare
run_model = OctavoBackend.run_model
run_node = OctavoBackend.run_node
supports_device = OctavoBackend.supports_device
is_compatible = OctavoBackend.is_compatible
