"""A learning curve rises, is fitted by a power law, and foretells what more photographs give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import featx
from featx.errors import ImageSourceError, OptionError
from featx.learning.curve import _fit_power_law, learning_curve


def test_the_sizes_are_the_photographs_a_class_that_were_trained_on(cloud):
    features = cloud(each=20, distance=0.3)
    curve = learning_curve(features, "centroid")
    assert curve.sizes.tolist() == [4, 6, 8, 11, 16]  # of 16, as a fifth is predicted
    assert curve.per_class == 20
    assert len(curve.estimates) == 5
    assert list(curve.frame.columns) == ["per_class", "accuracy", "accuracy_low", "accuracy_high"]


def test_the_last_point_is_the_cross_validated_accuracy(cloud):
    features = cloud(each=20, distance=0.3)
    curve = learning_curve(features, "centroid")
    validation = featx.cross_validate(features, "centroid")
    assert curve.estimates[-1].value == pytest.approx(validation.accuracy)
    assert curve.estimates[-1].low == pytest.approx(validation.interval.low)


def test_more_photographs_are_better_and_the_curve_says_by_how_much(cloud):
    features = cloud(each=40, width=60, distance=0.3, classes=("ant", "bee", "cat", "dog"))
    curve = learning_curve(features, "centroid")
    assert curve.estimates[-1].value > curve.estimates[0].value + 0.05
    assert curve.gain.value > 0
    assert curve.gain.low <= curve.gain.value <= curve.gain.high
    assert f"would give about {100 * curve.gain.value:.0f} point" in curve.verdict


def test_a_flat_curve_is_said_to_be_flat(cloud):
    features = cloud(each=20, distance=3.0)
    y = features.y.copy()
    y[::10] = np.roll(y, 20)[::10]  # labels that no number of photographs makes right
    curve = learning_curve(replace(features, y=y), "centroid")
    assert curve.gain.value < 0.005
    assert "nearly flat" in curve.verdict


def test_no_gain_is_promised_where_nothing_is_wrong(cloud):
    curve = learning_curve(cloud(each=10, distance=0.8), "centroid")
    assert curve.estimates[0].value < curve.estimates[-1].value == 1.0
    assert curve.gain.high == 0
    assert "nothing is wrong" in curve.verdict


def test_the_forecast_from_half_of_the_photographs_meets_what_all_of_them_give(cloud):
    met = []
    for seed in range(10):
        features = cloud(each=40, width=60, distance=0.25, seed=seed)
        half = learning_curve(features.select(np.arange(0, len(features), 2)), "centroid")
        forecast = half.forecast(32)  # what four fifths of forty are
        actual = featx.cross_validate(features, "centroid").accuracy
        met.append(forecast.low <= actual <= forecast.high)
    assert sum(met) >= 9


def test_the_power_law_is_found():
    sizes = np.array([2.0, 4, 8, 16, 32])
    truth = [(0.9, 0.5, 0.5), (1.0, 0.6, 1.0), (0.8, 0.0, 0.5)]
    accuracy = np.array([a - b * sizes**-c for a, b, c in truth])
    a, b, c = _fit_power_law(sizes, accuracy)
    for row in range(3):
        found = a[row] - b[row] * 64.0 ** -c[row]
        expected = truth[row][0] - truth[row][1] * 64.0 ** -truth[row][2]
        assert found == pytest.approx(expected, abs=0.002)
    assert (a <= 1).all()
    assert (b >= 0).all()


def test_a_curve_is_the_same_twice(cloud):
    features = cloud(each=10, distance=0.3)
    first, second = (learning_curve(features, "knn") for _ in range(2))
    assert first.hits.tolist() == second.hits.tolist()
    assert first.forecast(50) == second.forecast(50)


def test_too_few_photographs_make_no_curve(cloud):
    with pytest.raises(ImageSourceError, match="too few for a learning curve"):
        learning_curve(cloud(each=2), "centroid")


@pytest.mark.parametrize("shares", [(), (0.0, 1.0), (1.5,)])
def test_shares_that_cannot_be_are_refused(cloud, shares):
    with pytest.raises(OptionError, match="expected numbers above 0"):
        learning_curve(cloud(), shares=shares)
    with pytest.raises(OptionError, match="expected more than 0"):
        learning_curve(cloud(), "centroid").forecast(0)
