"""Networks from scratch, which learn from pixels."""

from typing import Any


def __getattr__(name: str) -> Any:
    """Give `ScratchNetwork`, which model files look for here; it is imported on first use."""
    if name == "ScratchNetwork":
        from featx.learning.scratch.classifier import ScratchNetwork

        return ScratchNetwork
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
