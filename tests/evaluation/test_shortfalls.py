"""Shortfalls hold the truth, know what candidates share, and claim little from few images."""

import numpy as np
import pytest

from featx.evaluation.intervals import effective_size
from featx.evaluation.shortfalls import Shortfalls


def predicted(random, n, accuracies, shared=0.5, repeats=2):
    """Draw which predictions are right: alike candidates fail on the same images."""
    from statistics import NormalDist

    ability = np.array([NormalDist().inv_cdf(each) for each in accuracies])
    noise = random.normal(size=(len(ability), repeats, n))
    return (
        ability[:, None, None] + shared**0.5 * random.normal(size=n) > (1 - shared) ** 0.5 * noise
    )


@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_all_shortfalls_are_held_at_once_in_nineteen_of_twenty_simulations(shared):
    random = np.random.default_rng(0)
    truth = np.array([0.88, 0.88, 0.87, 0.86, 0.82, 0.88])
    held = []
    for _ in range(200):
        hits = predicted(random, 400, truth, shared)
        highs = Shortfalls.of(hits, 400).highs()
        held.append((truth.max() - truth <= highs).all())
    assert np.mean(held) >= 0.93


def test_candidates_that_fail_on_the_same_images_are_told_apart_by_fewer():
    alike, strangers = (
        Shortfalls.of(predicted(np.random.default_rng(0), 300, [0.8, 0.8], shared), 300).highs()
        for shared in (0.9, 0.0)
    )
    assert alike.max() < strangers.max() / 2


def test_twenty_images_without_a_mistake_do_not_show_two_points():
    """Of none wrong in twenty, three in twenty may be: the rule of three."""
    highs = Shortfalls.of(np.ones((2, 1, 20), bool), effective_size(np.arange(20), 5)).highs()
    assert (highs > 0.05).all(), highs


def test_a_probability_and_a_bound_say_the_same():
    found = Shortfalls.of(predicted(np.random.default_rng(1), 200, [0.9, 0.88, 0.8]), 160)
    for candidate, high in enumerate(found.highs()):
        assert found.probabilities(high + 1e-9)[candidate] == pytest.approx(0.95, abs=0.001)
    assert (found.probabilities(1.0) == 1).all()


def test_more_candidates_leave_more_room_for_a_better_one():
    hits = predicted(np.random.default_rng(2), 200, [0.8] * 20, shared=0.2)
    assert Shortfalls.of(hits, 160).highs()[0] > Shortfalls.of(hits[:2], 160).highs()[0]


def test_photographs_that_would_be_enough_are_enough():
    hits = np.ones((2, 1, 100), bool)
    hits[0, :, :10] = hits[1, :, 10:20] = False
    found = Shortfalls.of(hits, 80)
    assert found.highs()[0] > 0.02
    times = found.times_needed(0, 0.02)
    assert found.highs(times=times)[0] <= 0.02 < found.highs(times=times / 1.2)[0]
    assert found.times_needed(0, 0.0) is None, "equals are never surely equal"
