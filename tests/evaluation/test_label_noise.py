"""Labels are taken for wrong where the classifier's own mistakes do not explain them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import featx
from featx.evaluation.evaluation import Evaluation
from featx.evaluation.label_noise import wrong_label_probabilities


def drawn(n=400, classes=8, sharp=1.0, seed=0):
    """Return probabilities of a calibrated classifier, and labels drawn from them."""
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.full(classes, 1 / (classes * sharp)), n)
    own = (shares.cumsum(axis=1) < random.random((n, 1))).sum(axis=1).clip(max=classes - 1)
    return shares, own


def spoilt(own, share, classes=8, seed=0):
    """Return labels of which a share is another one, and which these are."""
    random = np.random.default_rng(seed)
    bad = random.permutation(len(own))[: round(share * len(own))]
    changed = own.copy()
    changed[bad] = (own[bad] + random.integers(1, classes, len(bad))) % classes
    return changed, np.isin(np.arange(len(own)), bad)


@pytest.mark.parametrize("sharp", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("power", [1.0, 3.0, 0.5])
def test_a_classifier_that_is_often_wrong_accuses_nobody(sharp, power):
    """Not either where its probabilities are rash (a power above 1) or timid (below)."""
    accused = 0
    for seed in range(5):
        shares, own = drawn(sharp=sharp, seed=seed)
        said = np.maximum(shares, 1e-6) ** power
        said /= said.sum(axis=1, keepdims=True)
        accused += int((wrong_label_probabilities(said, own) > 0.5).sum())
    assert accused <= 6, f"{accused} of 2,000 right labels are accused"


@pytest.mark.parametrize("share", [0.0125, 0.05])
def test_wrong_labels_are_found_by_a_good_classifier_and_how_many_are_wrong_is_said(share):
    found = listed = said = planted = 0.0
    for seed in range(5):
        shares, own = drawn(sharp=40.0, seed=seed)  # right 98 times in 100
        labels, bad = spoilt(own, share, seed=seed)
        wrong = wrong_label_probabilities(shares, labels)
        rows = wrong > 0.5
        found, listed = found + (rows & bad).sum(), listed + rows.sum()
        said, planted = said + wrong[rows].sum(), planted + bad.sum()
    assert found >= 0.8 * planted
    assert said == pytest.approx(found, abs=0.2 * planted)
    assert listed - found <= 0.2 * planted


def test_nothing_is_said_of_no_images_or_a_single_class():
    assert wrong_label_probabilities(np.zeros((0, 3)), np.zeros(0, int)).tolist() == []
    assert wrong_label_probabilities(np.ones((4, 1)), np.zeros(4, int)).tolist() == [0] * 4


def judged(shares, own, names) -> Evaluation:
    classes = np.array(names)
    return Evaluation(
        paths=np.array([f"{number}.jpg" for number in range(len(own))], dtype=object),
        y_true=classes[own],
        y_pred=classes[shares.argmax(axis=1)],
        classes=tuple(names),
        probabilities=shares,
    )


def test_suspects_are_listed_the_surest_first_with_what_they_look_like():
    names = [f"class {number}" for number in range(8)]
    shares, own = drawn(sharp=10.0)
    labels, bad = spoilt(own, 0.05)
    evaluation = judged(shares, labels, names)
    table = evaluation.suspects
    assert list(table.columns) == [
        *("path", "label", "looks_like"),
        *("probability", "probability_of_label", "probability_wrong"),
    ]
    assert len(table) > 10
    assert table.probability_wrong.is_monotonic_decreasing
    assert (table.probability_wrong > 0.5).all()
    rows = table.path.str.removesuffix(".jpg").astype(int).to_numpy()
    assert table.label.tolist() == [names[labels[row]] for row in rows]
    right = [each for each, row in zip(table.looks_like, rows, strict=True) if bad[row]]
    truth = [names[own[row]] for row in rows if bad[row]]
    assert np.mean([one == other for one, other in zip(right, truth, strict=True)]) > 0.8


def test_a_class_that_the_model_does_not_know_is_no_wrong_label():
    names = [f"class {number}" for number in range(9)]
    shares, own = drawn(sharp=10.0)
    shares = np.column_stack([shares, np.zeros(len(own))])
    own[:40] = 8
    evaluation = replace(judged(shares, own, names), known=tuple(names[:8]))
    assert len(judged(shares, own, names).suspects) > 30
    assert set(evaluation.suspects.label) <= set(names[:8])
    assert len(evaluation.suspects) < 5


def test_without_probabilities_nobody_is_suspected(cloud):
    features = cloud()
    table = replace(featx.cross_validate(features, "centroid"), probabilities=None).suspects
    assert len(table) == 0
    assert "probability_wrong" in table
