"""The summary of features: what became of the images, in words and as plain values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from featx.images.labels import Label, classes_of
from featx.text import count, duration, listed, printable

if TYPE_CHECKING:
    import numpy as np

    from featx.features.recipe import Recipe
    from featx.images.decode import Outcome

_FAILURES = 100  # lines of them


def failures_of(failed: Sequence[Outcome]) -> list[str]:
    """Say which files failed, a line each; of very many the first, and how many more there are."""
    lines = [outcome.failure for outcome in failed[:_FAILURES]]
    if len(failed) > _FAILURES:
        more = len(failed) - _FAILURES
        lines.append(f"failed: {more:,} more; --json (in Python `failed`) lists them all")
    return lines


class Summarised:
    """What `Features` say of themselves."""

    X: np.ndarray
    y: np.ndarray | None
    outcomes: tuple[Outcome, ...]
    recipe: Recipe | None
    n_other: int
    seconds: float
    elapsed: float
    views: tuple[np.ndarray, ...]
    notes: tuple[str, ...]
    name: str | None

    def __len__(self) -> int:
        return len(self.X)

    @property
    def classes(self) -> tuple[Label, ...]:
        """The distinct labels, sorted."""
        return classes_of(self.labels)

    @property
    def width(self) -> int:
        """The columns of `matrix`."""
        return math.prod(self.X.shape[1:])

    @property
    def labels(self) -> list[Label | None]:
        """The label of each row, None where there is none."""
        return [None] * len(self) if self.y is None else self.y.tolist()

    def _repr_html_(self) -> str:
        counts = Counter("no label" if label is None else label for label in self.labels)
        rows = {"images": f"{len(self):,}", "features": " x ".join(map(str, self.X.shape[1:]))}
        if self.y is not None:
            names = [*self.classes, *(["no label"] if None in self.labels else [])]
            named = [f"{printable(name)} ({counts[name]})" for name in names]
            rows["classes"] = ", ".join(named[:20]) + (", …" if len(named) > 20 else "")
        if self.failed:
            failed = [f"{each.path}: {each.reason}" for each in self.failed]
            rows["failed"] = listed(failed, 5)
        rows["recipe"] = str(self.recipe) if self.recipe else "none: made elsewhere"
        rows |= {"name": printable(self.name)} if self.name else {}
        cells = [f"<tr><th>{key}</th><td>{escape(text)}</td></tr>" for key, text in rows.items()]
        return f"<table>{''.join(cells)}</table>"

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The outcomes of the files that could not be read."""
        return tuple(outcome for outcome in self.outcomes if not outcome.ok)

    @property
    def losses(self) -> tuple[str, ...]:
        """What is worth a warning, a line each: how many files are left out, and the notes."""
        failed = self.failed
        if not failed:
            return self.notes
        images = count(self._statuses().total(), "image")
        first, share = failed[0], f"{len(failed):,} of {images}"
        return (
            f"{share} cannot be read and {'is' if len(failed) == 1 else 'are'} left out, such as "
            f"{printable(f'{first.path}: {first.reason}')}; `failed` of the result lists them",
            *self.notes,
        )

    def _statuses(self) -> Counter[str]:
        """Count the outcomes."""
        return Counter(outcome.status for outcome in self.outcomes)

    def to_dict(self) -> dict[str, Any]:
        """Return what became of the images as plain values."""
        statuses = self._statuses()
        embedded = statuses["embedded"]
        took = self.seconds if embedded else self.elapsed
        return {
            "n_images": len(self),
            "n_features": self.width,
            "n_embedded": embedded,
            "n_cached": statuses["cached"],
            "n_failed": statuses["failed"],
            "failed": [{"path": each.path, "reason": each.reason} for each in self.failed],
            "n_other": self.n_other,
            "notes": list(self.notes),
            "n_views": len(self.views),
            "shape": list(self.X.shape),
            "seconds": round(self.elapsed, 3),
            "startup_seconds": round(self.elapsed - self.seconds, 3) if embedded else 0.0,
            "images_per_second": round((embedded or len(self)) / took, 1) if took else None,
            "fingerprint": self.recipe.fingerprint if self.recipe else None,
        }

    @property
    def summary(self) -> str:
        """What became of the images, with the files that failed, a line each."""
        run = self.to_dict()
        words = {"n_embedded": "embedded", "n_cached": "from the cache", "n_failed": "failed"}
        parts = [f"{run[key]:,} {word}" for key, word in words.items() if run[key]]
        if self.elapsed:  # features of a file do not know how long it took
            parts.append(self._time())
        images = count(len(self) + run["n_failed"], "image")
        views = f", {count(run['n_views'], 'view')} of each" if self.views else ""
        lines = [
            ": ".join(filter(None, [images, ", ".join(parts)])),
            f"features {' x '.join(map(str, self.X.shape))}{views} ({self.recipe})",
        ]
        if self.n_other:
            lines.append(f"left alone, no images by name: {count(self.n_other, 'file')}")
        return "\n".join([*lines, *self.notes, *failures_of(self.failed)])

    def _time(self) -> str:
        """Say how long it took, start-up apart, which more pictures would not make longer."""
        run = self.to_dict()
        if not run["n_embedded"]:
            return f"in {duration(self.elapsed)}"
        speed, start = run["images_per_second"], run["startup_seconds"]
        after = f" after {duration(start)} of start-up" if start >= 0.05 else ""
        return f"in {duration(self.seconds)} ({speed:.1f} images/s){after}"
