"""Session: run a model or plan on arrays, in the manner of ONNX Runtime."""
from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from ._build import build_options, make_plan
from ._errors import ContentError, UsageError
from ._model import Model, Plan, open_subject
from ._native import Path, core
from ._ports import NodeArg, Port, ports_of, to_numpy

KEPT_SHAPES = 8
Array = Any
Shapes = tuple[tuple[int, ...], ...]


class _Request(NamedTuple):
    """What a run for certain outputs passes to C: names, where to, how many bytes; and the arrays to make."""

    names: Any
    to: Any
    sizes: Any
    kinds: list[tuple[tuple[int, ...], np.dtype[Any]]]


class _Runner:
    """A plan for one set of shapes with a context, and the C arrays that a run needs."""

    def __init__(self, plan: Any, threads: int, shapes: Shapes | None = None) -> None:
        self.plan = plan
        self.context = core.make("context", core.lib.oct_context_create, plan, threads)
        self.inputs = ports_of(core, plan, "plan", "input")
        self.outputs = ports_of(core, plan, "plan", "output")
        if shapes is not None:
            self._take_shapes(shapes)
        self.input_names = core.ffi.new("const char *[]", [p.c_name for p in self.inputs])
        self.tensors = core.ffi.new("oct_tensor[]", max(len(self.inputs), 1))
        # A run only puts in where the numbers lie.
        for tensor, port in zip(self.tensors, self.inputs):
            tensor.dtype, tensor.rank = port.number, len(port.dims)
            tensor.dims[0 : len(port.dims)] = port.dims
        self.requests: dict[tuple[int, ...], _Request] = {}

    def _take_shapes(self, shapes: Shapes) -> None:
        """Within the plan's profile."""
        for port, shape in zip(self.inputs, shapes):
            core.check(core.lib.oct_context_set_shape(self.context, port.c_name, len(shape), list(shape)))
        for ports in (self.inputs, self.outputs):
            for i, port in enumerate(ports):
                out = core.ffi.new("oct_port *")
                core.check(core.lib.oct_context_get_port(self.context, port.c_name, out))
                ports[i] = Port(core, out[0])

    def run(self, order: tuple[int, ...], arrays: Sequence[np.ndarray[Any, Any]]) -> list[Array]:
        """arrays: of the shapes that this plan is for. order: numbers of the outputs that are wanted."""
        tensors, from_buffer = self.tensors, core.ffi.from_buffer
        kept = []
        for i, array in enumerate(arrays):
            if array.dtype != self.inputs[i].dtype:
                port = self.inputs[i]
                raise ContentError(f"input '{port.name}': an array is {array.dtype}, the model wants {port.dtype}", node=port.name)
            memory = from_buffer(array if array.flags.c_contiguous else np.ascontiguousarray(array))
            kept.append(memory)
            tensors[i].data = memory
        request = self.requests.get(order) or self._request(order)
        results = [np.empty(dims, dtype) for dims, dtype in request.kinds]
        for i, result in enumerate(results):
            request.to[i] = from_buffer(result)
        status = core.lib.oct_bridge_run(
            self.context, self.input_names, tensors, len(kept), request.names, request.to, request.sizes, len(results)
        )
        if status:
            core.fail(status)
        return results

    def _request(self, order: tuple[int, ...]) -> _Request:
        wanted = [self.outputs[i] for i in order]
        sizes = [math.prod(port.dims) * port.numpy_type().itemsize for port in wanted]
        request = _Request(
            core.ffi.new("const char *[]", [port.c_name for port in wanted]), core.ffi.new("void *[]", len(wanted)),
            core.ffi.new("int64_t[]", sizes), [(port.dims, port.numpy_type()) for port in wanted],
        )  # fmt: skip
        self.requests[order] = request
        return request

    def profile(self) -> list[dict[str, Any]]:
        steps = []
        out = core.ffi.new("oct_step_profile *")
        for index in range(core.lib.oct_plan_step_count(self.plan)):
            core.check(core.lib.oct_context_get_profile(self.context, index, out))
            steps.append(
                {
                    "name": core.text(out.name), "op": core.text(out.op), "precision": core.text(out.precision), "tactic": core.text(out.tactic),
                    "macs": int(out.macs), "bytes": int(out.bytes), "runs": int(out.runs), "seconds": float(out.seconds),
                }
            )
        return steps


class Session:
    """A model ready to run.

    A model's free dimensions may change from run to run: each new set of shapes is built once (the last 8 are kept). A plan takes the
    shapes that it was built for. Several threads may call run; they take turns, and other threads of Python go on meanwhile.

    Args:
        model: path of an ONNX or plan file, bytes of an ONNX file, an onnx.ModelProto, an octavo.Model or octavo.Plan.
        threads: how many work on one run; 0 = all cores.
        mode: of an ONNX model: "fastest", "int8" or "float" (every layer in float; its Q/DQ still round the values).
        ranges: calibration ranges (octavo.Ranges or a cache file) for a float model: INT8 where it is faster.
        enable_profiling: keep times of every step (get_profile); costs a little.
    Raises:
        IoError, ContentError, UnsupportedError (naming node and operator), when the model is loaded or first run.
    """

    def __init__(self, model: Any, threads: int = 0, mode: str = "fastest", ranges: Any = None, enable_profiling: bool = False) -> None:
        self._subject = open_subject(model)
        self._threads, self._mode, self._ranges = threads, mode, ranges
        self._profiling = enable_profiling
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._runners: OrderedDict[Shapes, _Runner] = OrderedDict()
        self._last: _Runner | None = None
        kind = "plan" if isinstance(self._subject, Plan) else "model"
        self._inputs = ports_of(core, self._subject._handle, kind, "input")
        self._outputs = ports_of(core, self._subject._handle, kind, "output")
        self._output_index = {port.name: i for i, port in enumerate(self._outputs)}
        self._all_outputs = tuple(range(len(self._outputs)))
        self._input_names = [port.name for port in self._inputs]
        if isinstance(self._subject, Model):
            build_options(mode=mode)
        # What can be refused is refused now: a model of fixed shapes, and every plan, is made ready here.
        shapes = tuple(port.dims for port in self._inputs)
        if kind == "plan" or all(d >= 0 for shape in shapes for d in shape):
            self._runner(shapes)

    def get_inputs(self) -> list[NodeArg]:
        """Name, shape and type of every input."""
        return [port.describe() for port in self._inputs]

    def get_outputs(self) -> list[NodeArg]:
        """Name, shape and type of every output."""
        return [port.describe() for port in self._outputs]

    def run(self, output_names: Sequence[str] | None, input_feed: Mapping[str, Any]) -> list[Array]:
        """Run on these inputs; give the outputs, as new arrays.

        Args:
            output_names: which outputs, in which order; None = all.
            input_feed: an array for every input, by name. Dense arrays are read where they lie; others are copied first.
        Raises:
            UsageError: an unknown name. ContentError: a missing input, a wrong type or shape.
        """
        try:
            arrays = [to_numpy(input_feed[name]) for name in self._input_names]
        except KeyError as error:
            raise ContentError(f"input '{error.args[0]}' is missing", node=error.args[0]) from None
        if len(input_feed) != len(arrays):
            extra = next(name for name in input_feed if name not in self._input_names)
            raise UsageError(f"the model has no input '{extra}' (it has {', '.join(map(repr, self._input_names))})", node=extra)
        if output_names is None:
            order = self._all_outputs
        else:
            try:
                order = tuple([self._output_index[name] for name in output_names])
            except KeyError as error:
                raise UsageError(f"the model has no output '{error.args[0]}'", node=error.args[0]) from None
        shapes = tuple([array.shape for array in arrays])
        with self._lock:
            runner = self._runners.get(shapes) or self._runner(shapes)
            self._last = runner
            return runner.run(order, arrays)

    def run_async(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, Any],
        callback: Callable[[list[Array], Any, str], None] | None = None,
        user_data: Any = None,
    ) -> Future[list[Array]]:
        """The same in the background. The inputs must not be changed meanwhile.

        Returns a future. With callback, callback(results, user_data, error) is called too, from another thread; error is "" when all went well.
        """
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "octavo")
        future = self._pool.submit(self.run, output_names, input_feed)
        if callback is not None:
            function = callback

            def tell(done: Future[list[Array]]) -> None:
                error = done.exception()
                function([] if error else done.result(), user_data, str(error) if error else "")

            future.add_done_callback(tell)
        return future

    def get_profile(self) -> list[dict[str, Any]]:
        """Every step of the last run's plan: name, op, precision, tactic, macs, bytes, runs, and seconds over all runs.

        UsageError without enable_profiling or before the first run.
        """
        if not self._profiling or self._last is None:
            raise UsageError("there is no profile: make the session with enable_profiling=True, and run it")
        return self._last.profile()

    def get_modelmeta(self, key: str) -> str | None:
        """A metadata property of the model; None when it has no such key."""
        subject = self._subject
        if isinstance(subject, Model):
            return subject.get_metadata(key)
        value = core.lib.oct_plan_get_metadata(subject._handle, key.encode())
        return core.text(value) if value else None

    def plan_path(self, path: Path) -> None:
        """Write the plan of the last run, so that it starts faster next time. UsageError before the first run."""
        if self._last is None:
            raise UsageError("nothing has run yet, so there is no plan to write")
        core.check(core.lib.oct_plan_save(self._last.plan, core.path_or_null(path)))

    def _runner(self, shapes: Shapes) -> _Runner:
        runner = self._runners.get(shapes)
        if runner is None:
            runner = self._make(shapes)
            if self._profiling:
                core.lib.oct_context_profile(runner.context, True)
            self._runners[shapes] = runner
            if len(self._runners) > KEPT_SHAPES:
                self._runners.popitem(last=False)
        return runner

    def _make(self, shapes: Shapes) -> _Runner:
        subject = self._subject
        if isinstance(subject, Plan):
            own = tuple(port.dims for port in self._inputs)
            return _Runner(subject._handle, self._threads, None if shapes == own else shapes)
        dims = []
        for port, shape in zip(self._inputs, shapes):
            if len(shape) != len(port.dims):
                raise ContentError(f"input '{port.name}': an array has {len(shape)} axes, the model wants {len(port.dims)}", node=port.name)
            for axis, (given, own_length) in enumerate(zip(shape, port.dims)):
                if own_length < 0:
                    dims.append(f"{port.name}:{axis}={given}")
                elif given != own_length:
                    raise ContentError(f"input '{port.name}': axis {axis} of the array is {given}, the model wants {own_length}", node=port.name)
        return _Runner(make_plan(subject, mode=self._mode, ranges=self._ranges, dims=dims, level=0), self._threads)
