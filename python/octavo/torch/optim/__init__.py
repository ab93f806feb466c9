"""Helpers for optimizers."""

from . import helper

__all__ = ["helper"]
