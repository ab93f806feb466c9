"""Helpers shared by the manual toolkit."""

from .reduce_amax import reduce_amax

__all__ = ["reduce_amax"]
