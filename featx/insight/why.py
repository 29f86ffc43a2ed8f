"""Explanations on a page: each photograph, and beside it what spoke for one class or two."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from featx.charts.overlay import (
    Answer,
    overlay,
    photograph_of,
    place_of,
    scale_bar,
    scale_of,
    way_of,
)
from featx.evaluation.evaluation import Evaluation
from featx.evaluation.validation import CrossValidation
from featx.insight.thumbnails import Album

_STOPS = 9  # colours of the scale
_MOST_GIVEN = 200  # photographs on a page
_SIDES = ((12, 288), (60, 256), (_MOST_GIVEN, 176))  # pixels for up to so many photographs

Short = Callable[[str], str]  # writes a path as people read it


def why_given(explanations: Sequence[Answer], album: Album, short: Short) -> dict[str, Any]:
    """Gather explanations for the template: a card for each photograph, and the legend."""
    shown = explanations[:_MOST_GIVEN]
    side = _side(len(shown))
    cards = [_card([each], album, side, short) for each in shown]
    return _gathered(cards, [each.square.resize for each in shown], len(explanations))


def why_mistaken(evaluation: Evaluation, album: Album, short: Short) -> dict[str, Any]:
    """Gather the explained mistakes of an evaluation: of each, what spoke for either class."""
    explained = [each for each in evaluation.explanations.values() if each][:_MOST_GIVEN]
    side = _side(len(explained))
    cards = [_card(each, album, side, short) for each in explained]
    if isinstance(evaluation, CrossValidation):  # of other models than the one that explains
        for each in (each for card in cards for each in card["maps"]):
            each |= {"asked": "for", "probability": math.nan}
    true = dict(zip(evaluation.paths.tolist(), evaluation.y_true.tolist(), strict=True))
    for card, (first, *_) in zip(cards, explained, strict=True):
        card["true"] = true.get(first.path)
    n_wrong = int(np.sum(evaluation.y_true != evaluation.y_pred))
    return _gathered(cards, [first.square.resize for first, *_ in explained], n_wrong)


def _gathered(cards: list[dict[str, Any]], resizes: list[str], total: int) -> dict[str, Any]:
    colors = scale_bar(_STOPS, 1)[0].tolist()
    return {
        "cards": cards,
        "n": total,
        "pale": "crop" in resizes,
        "ways": list(dict.fromkeys(each["way"] for card in cards for each in card["maps"])),
        "scale": ", ".join(f"rgb({red} {green} {blue})" for red, green, blue in colors),
    }


def _card(explained: Sequence[Answer], album: Album, side: int, short: Short) -> dict[str, Any]:
    """Draw the overlays of one photograph, all on one scale, so that they can be compared."""
    photograph = photograph_of(explained[0], side)
    scale = scale_of(explained)
    return {
        "thumb": album.add(photograph),
        "ratio": f"{photograph.width}/{photograph.height}",
        "narrow": min(photograph.width / photograph.height, 1.0),
        "path": short(explained[0].path),
        "true": None,
        "maps": [
            {
                "thumb": album.add(
                    Image.fromarray(overlay(each, side, photograph=photograph, scale=scale))
                ),
                "asked": "why" if each.label == each.predicted else "why not",
                "label": each.label,
                "probability": math.nan if each.probability is None else each.probability,
                "place": place_of(each),
                "way": way_of(each),
            }
            for each in explained
        ],
    }


def _side(n: int) -> int:
    """Return the pixels of a side at which so many photographs keep a page small."""
    return next((side for most, side in _SIDES if n <= most), _SIDES[-1][1])
