"""Settings of a run: how it is done, which changes no feature."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Any

from featx.errors import OptionError
from featx.features.options import EmbedOptions


@dataclass(frozen=True)
class RunSettings:
    """How to run, which changes no feature; as `featx.features.options.RunOptions` says."""

    engine: str = "auto"
    cache: str | os.PathLike[str] | bool | None = None
    on_error: str = "skip"
    batch_size: int | None = None
    progress: bool = True
    runner: str = "local"
    address: str | None = None
    num_workers: int | None = None
    num_gpus: int = 0

    @classmethod
    def of(cls, settled: EmbedOptions) -> RunSettings:
        """Take the settings from all options; `root` has become part of the paths."""
        named: dict[str, Any] = {**settled}
        return cls(**{each.name: named[each.name] for each in fields(cls)})

    def check(self) -> None:
        """Raise an `OptionError` where the options of the runner cannot go together."""
        if self.runner == "ray":
            if self.cache is False:
                raise OptionError(
                    "runner 'ray' needs a cache, in which its workers put the vectors: leave "
                    "--no-cache (in Python cache=False) out"
                )
            return
        for name in ("address", "num_workers", "num_gpus"):
            if value := getattr(self, name):
                raise OptionError(
                    f"{name.replace('_', ' ')} {value!r} is for many machines: leave it out, or "
                    "ask for these by --runner ray (in Python runner='ray')"
                )
