"""The next steps: what would make a classifier better, each step with its ground in numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featx.evaluation.balance import UNEQUAL
from featx.evaluation.curve import LearningCurve
from featx.evaluation.evaluation import Evaluation
from featx.images.labels import Label
from featx.paths import shortener
from featx.text import count, listed, percent, printable

MOST = 3  # steps that are named
_PAIRS, _PATHS = 2, 3  # of classes, and of photographs, that a step names
_SUFFERS = 0.1  # recall of a small class below that of the others
_CHANCE = 0.05  # that errors spread evenly over the classes put so many on one pair
_LITTLE = 0.03  # accuracy that is not worth twice the photographs
_GOOD = 0.95  # accuracy from which up no other network is worth a try


def next_steps(
    evaluation: Evaluation,
    curve: LearningCurve | None = None,
    networks: Sequence[str] = (),
    *,
    takes_class_weight: bool = False,
) -> tuple[str, ...]:
    """Say what to do next, in up to three sentences; nothing where the figures ask for nothing.

    Parameters
    ----------
    evaluation : Evaluation
        How good the classifier is, best by cross-validation of the images it learns from.
    curve : LearningCurve, optional
        Its learning curve, where it is at hand.
    networks : sequence of str, optional
        Other networks whose weights are on this machine.
    takes_class_weight : bool, default=False
        Whether the classifier could be given class_weight="balanced", and was not.

    Returns
    -------
    tuple of str
        Whether to let small classes count alike, the labels to look at, the classes that need more
        photographs, what twice as many would give, whether to try another network; the first three
        that apply.
    """
    steps = (
        _class_weight(evaluation) if takes_class_weight else None,
        _doubtful_labels(evaluation),
        _confused_classes(evaluation),
        _more_photographs(evaluation, curve),
        _other_networks(evaluation, networks),
    )
    return tuple(step for step in steps if step)[:MOST]


def _class_weight(evaluation: Evaluation) -> str | None:
    """Name the option that lets a small class count as much as large ones, where it suffers."""
    balance = evaluation.balance
    recall, others = balance.weakest_recall.value, balance.other_recall
    if balance.weakest_class in evaluation.unlearned:
        return None
    if balance.weakest_size > balance.largest / UNEQUAL or others - recall < _SUFFERS:
        return None
    return (
        "let each class count alike, by --class-weight balanced (in Python "
        f'class_weight="balanced"): of {printable(balance.weakest_class)}, a class of '
        f"{count(balance.weakest_size, 'image')}, {percent(recall)} are recognised, of the others "
        f"{percent(others)}"
    )


def _doubtful_labels(evaluation: Evaluation) -> str | None:
    suspects = evaluation.suspects
    if not len(suspects):
        return None
    short = shortener([str(path) for path in evaluation.paths])
    named = [
        f"{short(str(path))} looks like {printable(looks)}"
        for path, looks in zip(suspects.path, suspects.looks_like, strict=True)
    ]
    n, wrong = len(suspects), round(suspects.probability_wrong.sum())
    if n == 1:
        return f"look at the label of a photograph, which is probably wrong: {named[0]}"
    return (
        f"look at the labels of {n} photographs, of which about {wrong} are probably wrong: "
        f"{listed(named, _PATHS)}"
    )


def _confused_classes(evaluation: Evaluation) -> str | None:
    """Name the classes that are taken for each other more often than evenly spread errors are."""
    from scipy.stats import binom

    counts = evaluation.counts
    n = len(counts)
    if n < 3:
        return None
    both = np.triu(counts + counts.T, 1)
    errors, pairs = both.sum(), n * (n - 1) / 2
    found: list[str] = []
    for place in np.argsort(-both, axis=None, kind="stable")[: int(pairs)]:
        one, other = divmod(int(place), n)
        wrong = both[one, other]
        chance = binom.sf(round(wrong) - 1, round(errors), 1 / pairs) * pairs
        if wrong < 2 or chance > _CHANCE or len(found) == _PAIRS:
            break
        of = counts[[one, other]].sum()
        names = f"{_name(evaluation, one)} and {_name(evaluation, other)}"
        found.append(f"{names} ({wrong:.0f} of {of:.0f} are taken for the other)")
    return f"add photographs of {'; of '.join(found)}" if found else None


def _name(evaluation: Evaluation, number: int) -> str:
    name: Label = evaluation.classes[number]
    return printable(name)


def _more_photographs(evaluation: Evaluation, curve: LearningCurve | None) -> str | None:
    if curve is None or evaluation.accuracy == 1:
        return None
    gain = curve.gain
    if gain.value >= 0.01:
        return f"take more photographs: twice as many of each class would give about {gain.points}"
    if evaluation.accuracy >= _GOOD or gain.high > _LITTLE:
        return None
    return f"more photographs like these would hardly help: twice as many give about {gain.points}"


def _other_networks(evaluation: Evaluation, networks: Sequence[str]) -> str | None:
    interval = evaluation.interval
    if not networks or interval.high >= _GOOD:
        return None
    others = listed(networks) if len(networks) < 3 else f"{len(networks)} other networks"
    return (
        f"compare it with {others} (featx compare), since {percent(1 - interval.value)} are wrong; "
        "the weights are on this machine"
    )
