"""The difference between two candidates, tested on the photographs that both predicted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.errors import OptionError
from featx.evaluation.candidates import Candidate
from featx.evaluation.intervals import CONFIDENCE, Estimate, Z, leads
from featx.text import listed, printable


@dataclass(frozen=True)
class Difference:
    """By how much one candidate is more accurate than another.

    Attributes
    ----------
    a, b : str
        Their names.
    estimate : Estimate
        Accuracy of a less that of b, -1 to 1, with the interval of Agresti and Min for the same
        photographs.
    p : float
        How probable so large a difference is, in either direction, if both are equally good; below
        0.05 where the interval leaves 0 out. It is that of one pair that was chosen beforehand: of
        many pairs some are below 0.05 by chance.
    """

    a: str
    b: str
    estimate: Estimate
    p: float

    @property
    def verdict(self) -> str:
        """Which is better and whether that may be chance, in a sentence."""
        lead = self.estimate if self.estimate.value >= 0 else -self.estimate
        better, other = map(
            printable, (self.a, self.b) if self.estimate.value >= 0 else (self.b, self.a)
        )
        p = "p < 0.001" if self.p < 0.001 else f"p = {self.p:.2g}"
        chance = "; that may be chance" if self.p > 1 - CONFIDENCE else ""
        return f"{better} leads {other} by {lead.points}, {p}{chance}"

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {
            "a": self.a,
            "b": self.b,
            **self.estimate.to_dict("difference"),
            "p": self.p,
            "verdict": self.verdict,
        }

    def __repr__(self) -> str:
        return f"Difference({self.verdict})"


def difference(a: Candidate, b: Candidate) -> Difference:
    """Test two candidates that predicted the same images in the same folds."""
    estimate = leads([b.validation.hits, a.validation.hits], 1, a.validation.size)[0]
    centre, half = np.array([estimate.low + estimate.high, estimate.high - estimate.low]) / 2
    p = math.erfc(abs(centre) / (half / Z) / math.sqrt(2))
    return Difference(a.name, b.name, estimate, p)


def named(candidates: Sequence[Candidate], wanted: str | Candidate) -> Candidate:
    """Return the candidate of a name, or raise an `OptionError` that lists the names."""
    names = [each.name for each in candidates]
    if isinstance(wanted, Candidate):
        found = [each for each in candidates if each is wanted]
    else:
        found = [each for each in candidates if each.name == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        raise OptionError(
            f"{len(found)} candidates are named {wanted!r}: give one of them, such as "
            f"comparison.candidates[{names.index(str(wanted))}]"
        )
    raise OptionError(f"unknown candidate {wanted!r}: expected one of {listed(names, 40)}")
