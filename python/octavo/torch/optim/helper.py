"""Pick parameters by name, freeze them, round weights in place."""

from __future__ import annotations

import logging
import re
from typing import Any, Iterator, Optional, Sequence

import torch

logger = logging.getLogger(__name__)


def _named_matches(model: torch.nn.Module, patterns: Sequence[str]) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """Names and parameters in which a pattern is found (re.search), each once."""
    for name, parameter in model.named_parameters():
        if any(re.search(pattern, name) for pattern in patterns):
            yield name, parameter


def match_parameters(model: torch.nn.Module, patterns: Sequence[str]) -> Iterator[torch.nn.Parameter]:
    """Parameters whose name contains one of the regular expressions, each once."""
    for _, parameter in _named_matches(model, patterns):
        yield parameter


def group_parameters(
    model: torch.nn.Module,
    patterns_list: Sequence[list[str]],
    lrs: Optional[Sequence[float]] = None,
    momentums: Optional[Sequence[float]] = None,
    weight_decays: Optional[Sequence[float]] = None,
) -> list[dict[str, Any]]:
    """Parameter groups for an optimizer: one per list of patterns, with its learning rate, momentum and weight decay if given.

    Raises TypeError if `patterns_list` is not a list of lists, or another list's length does not match; ValueError if a parameter
    falls in two groups.
    """
    if not all(isinstance(patterns, list) for patterns in patterns_list):
        raise TypeError("patterns_list must be list of list of patterns")
    options = {"lr": ("lrs", lrs), "momentum": ("momentums", momentums), "weight_decay": ("weight_decays", weight_decays)}
    for argument, values in options.values():
        if values is not None and len(values) != len(patterns_list):
            raise TypeError(f"len({argument}) must match len(patterns_list)")
    groups, seen = [], set()
    for index, patterns in enumerate(patterns_list):
        matches = list(_named_matches(model, patterns))
        for name, _ in matches:
            if name in seen:
                raise ValueError(f"parameter {name} matches the patterns of two groups")
            seen.add(name)
        group: dict[str, Any] = {"params": [parameter for _, parameter in matches]}
        group.update({key: values[index] for key, (_, values) in options.items() if values is not None})
        groups.append(group)
    return groups


def freeze_parameters(model: torch.nn.Module, patterns: Sequence[str]) -> None:
    """Turn off the gradient of parameters whose name contains one of the regular expressions."""
    for name, parameter in _named_matches(model, patterns):
        logger.info("Freeze %s.", name)
        parameter.requires_grad = False


@torch.no_grad()
def quant_weight_inplace(model: torch.nn.Module) -> None:
    """Replace the weights of every quantized module by their quantized values, e.g. for relax-and-round.

    With real (not fake) quantization weights become codes, which is for inspection only.
    """
    for name, module in model.named_modules():
        if not hasattr(module, "quantized_weights"):
            continue
        for quantizer, parameters in module.quantized_weights():
            if not quantizer.fake_quant:
                logger.warning("%s: the weight is replaced by integer codes.", name)
            if len(parameters) == 1:
                parameters[0].copy_(quantizer(parameters[0]))
                continue
            pieces = quantizer(torch.cat(parameters, dim=1)).split([parameter.shape[1] for parameter in parameters], dim=1)
            for parameter, piece in zip(parameters, pieces):
                parameter.copy_(piece)
