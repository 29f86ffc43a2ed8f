"""Intervals cover what they should, by simulation, and agree with the books."""

import json
import math

import numpy as np
import pytest
from fakes import as_features
from hypothesis import given
from hypothesis import strategies as st
from nearest import Nearest

from featx.evaluation.comparison import compare
from featx.evaluation.intervals import (
    Estimate,
    accuracy_interval,
    accuracy_of_best,
    effective_size,
    leads,
)
from featx.evaluation.validation import cross_validate

CENTRES = np.random.default_rng(7).normal(size=(4, 20))


def draw(random, classes, each, distance):
    """Draw features of photographs whose classes lie around centres."""
    X = np.repeat(CENTRES[:classes] * distance, each, axis=0)
    labels = np.repeat([f"class {i}" for i in range(classes)], each)
    return as_features(X + random.normal(size=X.shape), labels.tolist())


def test_wilsons_interval_is_that_of_the_books():
    made = accuracy_interval(0.9, 10)  # 9 of 10: Brown, Cai and DasGupta, 2001
    assert (made.low, made.high) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert accuracy_interval(1.0, 20).high == pytest.approx(1.0)
    assert 0 < accuracy_interval(0.0, 20).high < 0.2
    assert str(accuracy_interval(0.5, 100)) == "50.0 % (40.4 to 59.6)"


def test_an_estimate_says_its_interval_in_percent_and_in_points():
    lead = Estimate(0.041, -0.0104, 0.0925)
    assert lead.range == "-1.0 to 9.2"
    assert lead.points == "4.1 points (95 % interval -1.0 to 9.2)"
    assert str(lead) == "4.1 % (-1.0 to 9.2)"
    assert str(Estimate(math.nan, 0.0, 1.0)) == "- (0.0 to 100.0)"


def test_an_estimate_seen_from_the_other_side_has_its_ends_swapped():
    lead = Estimate(0.04, -0.01, 0.09)
    behind = -lead
    assert behind == Estimate(-0.04, -0.09, 0.01)
    assert -behind == lead


def test_an_estimate_is_three_plain_values_under_one_name():
    made = accuracy_interval(0.9, 10)
    written = made.to_dict("accuracy")
    assert written == {
        "accuracy": made.value,
        "accuracy_low": made.low,
        "accuracy_high": made.high,
    }
    assert json.loads(json.dumps(written)) == written
    assert list(made.to_dict("gain")) == ["gain", "gain_low", "gain_high"]


@given(accuracy=st.floats(0, 1), size=st.floats(1, 1e6), z=st.sampled_from([1.0, 1.96]))
def test_an_interval_holds_its_value_and_stays_within_0_and_1(accuracy, size, z):
    made = accuracy_interval(accuracy, size, z)
    assert 0 <= made.low <= made.value == accuracy <= made.high <= 1


def test_copies_count_as_one_image_and_folds_as_what_they_train_on():
    assert effective_size(np.arange(60)) == 60
    assert effective_size(np.repeat(np.arange(30), 2)) == 30
    assert effective_size(np.arange(60), 5) == pytest.approx(48)


@pytest.mark.parametrize(
    ("classes", "each", "distance", "most"),
    [
        (3, 25, 0.35, 0.99),
        (2, 60, 0.0, 0.99),
        (4, 40, 0.3, 0.99),
        (2, 60, 0.2, 0.99),
        (2, 15, 0.4, 1.0),  # Wilson's is wide for so few
    ],
)
def test_the_interval_covers_the_true_accuracy_of_the_classifier(classes, each, distance, most):
    random = np.random.default_rng(1)
    world = draw(random, classes, 3000, distance)
    inside = []
    for _ in range(200):
        features = draw(random, classes, each, distance)
        interval = cross_validate(features, Nearest()).interval
        true = np.mean(Nearest().fit(features.X, features.y).predict(world.X) == world.y)
        inside.append(interval.low <= true <= interval.high)
    assert 0.90 <= np.mean(inside) <= most


def outcomes(random, n, first, second, repeats=2):
    """Draw which predictions of two candidates are right: independent of one another."""
    return [random.random((repeats, n)) < share for share in (first, second)]


def test_two_candidates_that_are_the_same_are_a_tie():
    random = np.random.default_rng(2)
    clear = 0
    for _ in range(500):
        each = outcomes(random, 120, 0.7, 0.7)
        leader = int(np.argmax([hits.mean() for hits in each]))
        clear += leads(each, leader, effective_size(np.arange(120)))[1 - leader].low > 0
    assert clear / 500 <= 0.06
    for seed in range(20):
        features = draw(np.random.default_rng(seed), 3, 20, 0.3)
        made = compare([features, features], classifiers=Nearest(), progress=False)
        assert made.verdict.startswith("no clear winner among")


def test_features_of_equal_worth_are_a_tie_in_nineteen_of_twenty_simulations():
    random = np.random.default_rng(3)
    verdicts = []
    for _ in range(60):
        same = [draw(random, 3, 20, 0.35) for _ in range(2)]
        made = compare(same, classifiers=Nearest(), progress=False)
        verdicts.append(made.verdict.startswith("no clear winner"))
    assert np.mean(verdicts) >= 0.94


def test_a_candidate_15_points_better_on_300_images_is_found():
    random = np.random.default_rng(4)
    found, ahead = [], []
    for _ in range(30):
        both = [draw(random, 3, 100, distance) for distance in (0.49, 0.31)]
        made = compare(both, classifiers=Nearest(), progress=False)
        found.append(made.best.features is both[0] and len(made.rivals) == 1)
        ahead.append(made.leads[1].value)
    assert 0.13 <= np.mean(ahead) <= 0.17, "the simulation is of another difference"
    assert np.mean(found) >= 0.8


def test_intervals_of_many_differences_hold_together():
    random = np.random.default_rng(5)
    n, count = 150, 6
    size = effective_size(np.arange(n))
    together = 0
    for _ in range(300):
        hits = [random.random((1, n)) < 0.7 for _ in range(count)]
        together += all(each.low <= 0 <= each.high for each in leads(hits, 0, size))
    assert together / 300 >= 0.92


def test_the_best_of_many_equals_is_corrected_for_its_luck():
    random = np.random.default_rng(6)
    lucky, corrected = [], []
    for _ in range(20):
        hits = (random.random((30, 100)) < 0.6).astype(float)
        lucky.append(hits.mean(axis=1).max())
        corrected.append(accuracy_of_best(hits, np.arange(100)))
    assert np.mean(lucky) > 0.67
    assert abs(np.mean(corrected) - 0.6) < 0.02, np.mean(corrected)


def test_a_best_that_stands_out_is_hardly_corrected():
    random = np.random.default_rng(7)
    hits = (random.random((10, 200)) < np.array([0.95] + [0.5] * 9)[:, None]).astype(float)
    assert hits[0].mean() - accuracy_of_best(hits, np.arange(200)) < 0.01
    assert accuracy_of_best(hits[:1], np.arange(200)) == hits[0].mean()
