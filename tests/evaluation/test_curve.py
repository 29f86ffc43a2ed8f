"""A learning curve rises, is fitted by a power law, and predicts what more photographs give."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import featx
from featx.errors import ImageSourceError, OptionError
from featx.evaluation.curve import LearningCurve, learning_curve, quick_curve
from featx.evaluation.splits import Splits
from featx.learning.learner import Learner


def test_the_sizes_are_the_photographs_per_class_that_were_trained_on(cloud):
    features = cloud(each=20, distance=0.3)
    curve = learning_curve(features, "centroid")
    assert curve.sizes.tolist() == [4, 6, 8, 11, 16]  # of 16, as a fifth is predicted
    assert curve.per_class == 20
    assert len(curve.estimates) == 5
    frame = curve.to_frame()
    assert list(frame.columns) == ["per_class", "accuracy", "accuracy_low", "accuracy_high"]
    assert frame.per_class.tolist() == curve.sizes.tolist()
    assert frame[["accuracy", "accuracy_low", "accuracy_high"]].to_numpy().tolist() == [
        [each.value, each.low, each.high] for each in curve.estimates
    ]


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


def test_a_quick_curve_goes_on_from_a_cross_validation(cloud):
    features = cloud(each=20, distance=0.3)
    validation = featx.cross_validate(features, "centroid")
    curve = quick_curve(features, validation, Learner.of("centroid"))
    assert curve.sizes.tolist() == [4, 8, 16]
    assert curve.estimates[-1] == validation.interval
    assert curve.hits[:2].tolist() == curve.hits[:2].round().tolist(), "learned once"
    slow = learning_curve(features, "centroid", shares=(1, 0.5, 0.25), repeats=20)
    for quick, thorough in zip(curve.estimates, slow.estimates, strict=True):
        assert quick.low <= thorough.value <= quick.high


def test_too_few_photographs_make_no_quick_curve(cloud):
    features = cloud(each=2)
    validation = featx.cross_validate(features, "centroid")
    assert quick_curve(features, validation, Learner.of("centroid")) is None


def test_the_sentence_counts_from_the_last_row_of_the_table(cloud):
    features = cloud(each=20, distance=0.3)
    curve = learning_curve(features, "centroid")
    last = curve.to_dict()["sizes"][-1]
    assert curve.verdict.startswith(
        f"trained on {last['per_class']:.0f} photographs per class, of the 20 that there are, it "
        f"scores {100 * last['accuracy']:.1f} %; twice as many would give"
    )
    written = curve.to_dict()["forecast"]
    assert written["per_class"] == 2 * last["per_class"]
    assert curve.gain.value == pytest.approx(
        written["accuracy"] - curve.forecast(last["per_class"]).value
    )


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


def curve_of(accuracy, sizes=(2.0, 4, 8, 16, 32), n=40) -> LearningCurve:
    """Make up a curve of given accuracies, by predictions that are right so often."""
    hits = np.repeat(np.array(accuracy)[:, None], n, axis=1)
    return LearningCurve(np.array(sizes), hits, Splits((), 5, 1, np.arange(n)), 40.0)


@pytest.mark.parametrize(("a", "b", "c"), [(0.9, 0.5, 0.5), (1.0, 0.6, 1.0), (0.8, 0.0, 0.5)])
def test_the_power_law_is_found(a, b, c):
    sizes = np.array([2.0, 4, 8, 16, 32])
    curve = curve_of(a - b * sizes**-c)
    for size in (4.0, 64.0, 1000.0):
        expected = a - b * size**-c
        assert curve.forecast(size).value == pytest.approx(expected, abs=0.002)
    assert curve.gain.value == pytest.approx(b * 32.0**-c - b * 64.0**-c, abs=0.002)


@pytest.mark.parametrize(
    "accuracy",
    [(0.9, 0.8, 0.7, 0.6, 0.5), (0.2, 0.4, 0.6, 0.8, 1.0), (0.5, 0.9, 0.5, 0.9, 0.5)],
    ids=["falling", "steep", "uneven"],
)
def test_a_forecast_never_falls_with_more_photographs_and_never_exceeds_one(accuracy):
    curve = curve_of(accuracy)
    forecasts = [curve.forecast(size).value for size in (2, 8, 32, 128, 1e4, 1e9)]
    assert forecasts == sorted(forecasts)
    assert forecasts[-1] <= 1
    assert curve.gain.value >= 0


def test_a_curve_is_plain_values(cloud):
    curve = learning_curve(cloud(each=8, distance=0.3), "centroid", repeats=1)
    written = curve.to_dict()
    assert json.loads(json.dumps(written)) == written
    assert written == {
        "per_class": 8.0,
        "n_failed": 0,
        "sizes": [
            {"per_class": size, **estimate.to_dict("accuracy")}
            for size, estimate in zip(curve.sizes.tolist(), curve.estimates, strict=True)
        ],
        "forecast": {
            "per_class": 2 * curve.sizes[-1],
            **curve.forecast(2 * curve.sizes[-1]).to_dict("accuracy"),
        },
        "gain": curve.gain.value,
        "gain_low": curve.gain.low,
        "gain_high": curve.gain.high,
        "verdict": curve.verdict,
    }
    assert repr(curve) == f"LearningCurve({curve.verdict})"
    html = curve._repr_html_()
    assert html.count("<tr") == 1 + len(curve.sizes)
    assert curve.verdict in html


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
