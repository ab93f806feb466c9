"""Where quantizers go in a traced graph: the rules of the C library's quantizer (DESIGN 4.6, src/qparam/placement.c), one sweep from the outputs
to the inputs. What runs on codes asks for them at its inputs; what only moves values passes the question on."""
from __future__ import annotations

from dataclasses import dataclass, field

from torch import fx, nn

from .graph import Kind, kind_of, module_of


@dataclass
class Point:
    """A value that is quantized: `value` gives it; `group` shares one scale; `root` is False where other points' values are only moved."""

    value: fx.Node
    group: int
    root: bool
    edges: list[tuple[fx.Node, fx.Node]] = field(default_factory=list)  # (reader, node it reads, perhaps a dropout behind value)


class _Sweep:
    def __init__(self, traced: fx.GraphModule, skipped: set[str], matmul: bool) -> None:
        self.traced, self.skipped, self.matmul = traced, skipped, matmul
        self.nodes = list(traced.graph.nodes)
        self.order = {node: i for i, node in enumerate(self.nodes)}
        self.kind = {node: kind_of(traced, node) for node in self.nodes}
        self.asked: set[tuple[fx.Node, fx.Node]] = set()
        self.parent: dict[fx.Node, fx.Node] = {}
        self.follows: set[fx.Node] = set()

    def find(self, node: fx.Node) -> fx.Node:
        while self.parent.get(node, node) is not node:
            node = self.parent[node]
        return node

    def real(self, node: fx.Node) -> fx.Node:
        """The value behind what does nothing."""
        while self.kind[node] is Kind.SAME:
            node = node.args[0]
        return node

    def uses(self, node: fx.Node) -> list[tuple[fx.Node, fx.Node]]:
        """(reader, what it reads) of a value, through what does nothing; readers of its shape alone are left out."""
        found = []
        for user in node.users:
            if self.kind[user] is Kind.SAME:
                found += self.uses(user)
            elif user.op == "output" or user.meta.get("shape") is not None or self.kind[user] is Kind.PARTS or self._reads_values(user):
                found.append((user, node))
        return found

    @staticmethod
    def _reads_values(user: fx.Node) -> bool:
        """No tensor comes out: of the shape, or something that we do not know."""
        return not (user.target in ("size", "dim", "numel") or user.target is getattr)

    def only_reader(self, node: fx.Node) -> fx.Node | None:
        uses = self.uses(node)
        return uses[0][0] if len(uses) == 1 and uses[0][0].op != "output" else None

    def wanted(self, node: fx.Node) -> bool:
        uses = self.uses(node)
        return bool(uses) and all(use in self.asked for use in uses)

    def is_activation(self, node: object) -> bool:
        return isinstance(node, fx.Node) and node.meta.get("shape") is not None and node.op != "get_attr"

    def ask(self, reader: fx.Node, read: fx.Node) -> None:
        self.asked.add((reader, read))

    def tie(self, output: fx.Node, source: fx.Node) -> None:
        a, b = self.find(self.real(source)), self.find(output)
        first, last = (a, b) if self.order[a] < self.order[b] else (b, a)
        self.parent[last] = first
        self.follows.add(output)

    # --- products and sums ---

    def is_product(self, node: fx.Node) -> bool:
        return self.kind[node] is Kind.WEIGHTED and str(node.target) not in self.skipped and node.name not in self.skipped

    def product_of(self, node: fx.Node) -> fx.Node | None:
        """The weighted layer whose result this is, through the BatchNorm that folds into it."""
        if self.kind[node] is Kind.NORM:
            source = self.real(node.args[0])
            return source if self.is_product(source) and self.only_reader(source) is node else None
        return node if self.is_product(node) else None

    def takes_sum(self, node: fx.Node) -> bool:
        product = self.product_of(node)
        if product is None or self.only_reader(node) is None:
            return False
        module = module_of(self.traced, product)
        return not isinstance(module, nn.modules.conv._ConvTransposeNd)

    def behind_activation(self, node: fx.Node) -> fx.Node:
        reader = self.only_reader(node)
        return reader if reader is not None and self.kind[reader] is Kind.ACTIVATION else node

    def place_add(self, node: fx.Node) -> None:
        if len(node.args) != 2 or not all(self.is_activation(a) for a in node.args):
            return
        a, b = node.args
        if a.meta["shape"] != b.meta["shape"] or not self.wanted(self.behind_activation(node)):
            return
        fused = None
        if self.real(a) is not self.real(b):
            fusable = [v for v in (a, b) if self.takes_sum(self.real(v))]
            fused = max(fusable, key=lambda v: self.order[self.real(v)], default=None)
        for value in (a, b):
            if value is not fused:
                self.ask(node, value)

    # --- the rest ---

    def place_parts(self, node: fx.Node) -> None:
        parts = list(node.users)
        if parts and all(part.meta.get("shape") is not None and self.wanted(part) for part in parts):
            self.ask(node, node.args[0])
            for part in parts:
                self.tie(part, node.args[0])

    def place_concat(self, node: fx.Node) -> None:
        values = node.args[0] if node.args else node.kwargs.get("tensors")
        if not isinstance(values, (list, tuple)) or not all(self.is_activation(v) for v in values) or not self.wanted(node):
            return
        for value in values:
            self.ask(node, value)
            self.tie(node, value)

    def place(self, node: fx.Node) -> None:
        kind = self.kind[node]
        source = node.args[0] if node.args else None
        if kind is Kind.WEIGHTED and self.is_product(node) and self.is_activation(source):
            self.ask(node, source)
        elif kind is Kind.ADD:
            self.place_add(node)
        elif kind is Kind.CONCAT:
            self.place_concat(node)
        elif kind in (Kind.MUL, Kind.MATMUL) and len(node.args) == 2 and all(self.is_activation(a) for a in node.args):
            gate = kind is Kind.MUL and all(len(a.meta["shape"]) == 4 for a in node.args) and self.wanted(node)
            if gate or (kind is Kind.MATMUL and self.matmul):
                for value in node.args:
                    self.ask(node, value)
        elif kind is Kind.AVERAGE and self.is_activation(source) and self.wanted(node):
            self.ask(node, source)
        elif kind is Kind.MOVE and self.is_activation(source) and self.wanted(node):
            self.ask(node, source)
            self.tie(node, source)
        elif kind is Kind.PARTS and self.is_activation(source):
            self.place_parts(node)

    def collect(self) -> list[Point]:
        points: dict[fx.Node, Point] = {}
        groups: dict[fx.Node, int] = {}
        for node in self.nodes:
            for read in node.all_input_nodes:
                if (node, read) not in self.asked:
                    continue
                value = self.real(read)
                if value not in points:
                    group = groups.setdefault(self.find(value), len(groups))
                    points[value] = Point(value, group, value not in self.follows)
                points[value].edges.append((node, read))
        return list(points.values())


def place(traced: fx.GraphModule, skipped: set[str], matmul: bool = False) -> list[Point]:
    """The points of a graph with shapes, in order of their first reader. skipped: names of weighted layers that stay float."""
    sweep = _Sweep(traced, skipped, matmul)
    for node in reversed(sweep.nodes):
        sweep.place(node)
    return sweep.collect()
