"""The margin of a decision: how far behind the best a faster candidate may be."""

from __future__ import annotations

from numbers import Real
from typing import Any

from featx.errors import OptionError

WITHIN = 0.02  # of accuracy


def check_within(within: Any) -> float:
    """Return a margin as a number, or raise an `OptionError` for one that is no share of 1."""
    if not isinstance(within, Real) or isinstance(within, bool) or not 0 <= float(within) < 1:
        raise OptionError(f"within {within!r}: expected a share of 1, such as 0.02 for 2 points")
    return float(within)
