"""What is quantized, and how: a configuration that can be written to JSON."""
from __future__ import annotations

import dataclasses
import fnmatch
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._errors import UsageError

SCALE_MODES = ("calibrated", "learned", "clip")


@dataclass(frozen=True)
class LayerConfig:
    """How one layer is quantized.

    Attributes:
        enabled: False leaves the layer in float.
        weight_bits: 2 to 8, symmetric codes [-2^(bits-1) + 1, 2^(bits-1) - 1].
        activation_bits: 2 to 8.
        per_channel: one weight scale an output channel, else one a tensor.
        symmetric: signed activations with zero point 0 (TensorRT's), else unsigned with a zero point.
    """

    enabled: bool = True
    weight_bits: int = 8
    activation_bits: int = 8
    per_channel: bool = True
    symmetric: bool = False

    def __post_init__(self) -> None:
        for name in ("weight_bits", "activation_bits"):
            bits = getattr(self, name)
            if not (isinstance(bits, int) and 2 <= bits <= 8):
                raise UsageError(f"{name} is 2 to 8, not {bits!r}")


@dataclass(frozen=True)
class QuantConfig:
    """The whole model's configuration. Immutable; `to_json` and `from_json` are inverse.

    Attributes:
        default: of every layer.
        edges: of the first and last weighted layer, None = default. Narrow presets keep these at 8 bits.
        layers: changes by name: {"layer1.*": {"weight_bits": 4}, "fc": {"enabled": False}}. Patterns are those of file names; all that
            match are applied in order.
        scales: how ranges move in training: "calibrated" (fixed), "learned" (LSQ) or "clip" (PACT for activations).
        fold_bn: BatchNorm goes into the convolution before it when the model is prepared. False keeps it in training; export folds it.
        matmul: also quantize products of two activations (attention). The engine runs these in float unless told.
    """

    default: LayerConfig = field(default_factory=LayerConfig)
    edges: LayerConfig | None = None
    layers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scales: str = "calibrated"
    fold_bn: bool = True
    matmul: bool = False

    def __post_init__(self) -> None:
        if self.scales not in SCALE_MODES:
            raise UsageError(f"scales is one of {', '.join(SCALE_MODES)}, not '{self.scales}'")
        known = {f.name for f in dataclasses.fields(LayerConfig)}
        for pattern, changes in self.layers.items():
            wrong = set(changes) - known
            if wrong:
                raise UsageError(f"layers['{pattern}'] has no '{sorted(wrong)[0]}' (there are {', '.join(sorted(known))})")
            dataclasses.replace(self.default, **changes)

    def of(self, name: str, is_edge: bool = False) -> LayerConfig:
        """The configuration of the layer of this name; is_edge: the first or last weighted one."""
        found = self.edges if is_edge and self.edges is not None else self.default
        for pattern, changes in self.layers.items():
            if fnmatch.fnmatchcase(name, pattern):
                found = dataclasses.replace(found, **changes)
        return found

    def unmatched(self, names: list[str]) -> list[str]:
        """Patterns that no name matches: typing errors, most likely."""
        return [p for p in self.layers if not any(fnmatch.fnmatchcase(n, p) for n in names)]

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> QuantConfig:
        """UsageError for an unknown key or value."""
        try:
            values = json.loads(text)
            edges = values.get("edges")
            values["default"] = LayerConfig(**values.get("default", {}))
            values["edges"] = None if edges is None else LayerConfig(**edges)
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise UsageError(f"this is no configuration: {error}") from None


PRESETS: dict[str, QuantConfig] = {
    "int8": QuantConfig(),
    "int8_symmetric": QuantConfig(LayerConfig(symmetric=True)),
    "w4a8": QuantConfig(LayerConfig(weight_bits=4), edges=LayerConfig(), scales="learned"),
    "w4a4": QuantConfig(LayerConfig(weight_bits=4, activation_bits=4), edges=LayerConfig(), scales="learned"),
}


def as_config(config: QuantConfig | str) -> QuantConfig:
    """A configuration, or a preset by name. UsageError lists the presets."""
    if isinstance(config, QuantConfig):
        return config
    if config not in PRESETS:
        raise UsageError(f"config is a QuantConfig or one of {', '.join(PRESETS)}, not '{config}'")
    return PRESETS[config]
