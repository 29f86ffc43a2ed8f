"""Looks of candidates: a colour for the network, a marker for what learns from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featx.charts.fonts import drawable
from featx.charts.style import MUTED
from featx.text import shortened

if TYPE_CHECKING:
    import pandas as pd

# Dark and light in turn, so that neighbours are told apart in grey too.
HUES = ("#0b5fa5", "#e08a00", "#0f6b46", "#d6609a", "#6d3fa9", "#58a6dd", "#8c2f1b", "#8fa11f")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
DASHES = ((0, ()), (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 2, 1.5, 2)))


@dataclass(frozen=True)
class Look:
    """How a candidate is drawn, and what its colour and its marker stand for.

    `network` is the name that has the colour, `rest` what the marker says: the pooling and the
    classifier, or nothing. Both are "other" where colours or markers are used up.
    """

    network: str
    color: str
    rest: str
    marker: str


def looks_of(frame: pd.DataFrame) -> list[Look]:
    """Return the look of each candidate of a comparison.

    Where there are more networks than colours, those that are recommended or unbeaten get theirs
    first.
    """
    known = frame[["candidate", "backbone", "classifier"]].astype(str)
    names = [_parts(*row) for row in known.itertuples(index=False)]
    order = sorted(
        range(len(names)), key=lambda row: (not frame.recommended[row], not frame.unbeaten[row])
    )
    colors = _assigned((names[row][0] for row in order), HUES)
    markers = _assigned((names[row][1] for row in order), MARKERS)
    return [
        Look(
            network if network in colors else "other",
            colors.get(network, MUTED),
            rest if rest in markers else "other",
            markers.get(rest, "."),
        )
        for network, rest in names
    ]


def named(names: Sequence[object], most: int = 34) -> list[str]:
    """Return names as charts write them: drawable, and of long ones their beginnings and ends.

    Different names that are then alike are numbered.
    """
    short = [shortened(drawable(each), most, 2 * most // 5) for each in names]
    same: dict[str, list[object]] = {}
    for own, name in zip(short, names, strict=True):
        same.setdefault(own, []).append(name)
    different = {own: list(dict.fromkeys(each)) for own, each in same.items()}
    return [
        f"{own} ({different[own].index(name) + 1})" if len(different[own]) > 1 else own
        for own, name in zip(short, names, strict=True)
    ]


def _parts(candidate: str, backbone: str, classifier: str) -> tuple[str, str]:
    """Divide the name of a candidate into its network and the rest."""
    if candidate.startswith(f"{backbone} "):
        return backbone, candidate.removeprefix(f"{backbone} ")
    if candidate != backbone:  # one network, and its name is not told
        return backbone, candidate
    if candidate.endswith(f" {classifier}"):  # features of no known network
        return candidate.removesuffix(f" {classifier}"), classifier
    return candidate, ""


def _assigned(names: Iterable[str], looks: Sequence[str]) -> dict[str, str]:
    """Give each name a look of its own, as long as there are any."""
    return dict(zip(dict.fromkeys(names), looks, strict=False))
