"""The favourite stays unless another is ahead beyond chance, and what to expect is honest."""

from __future__ import annotations

import time

import fakes
import numpy as np
import pytest
from nearest import Nearest

from featx.evaluation.splits import split
from featx.learning.learner import Learner
from featx.tuning.race import Race, Trial


def race_of(features, seconds=1e6, repeats=2):
    y = features[0].y
    return Race(y, split(y, repeats=repeats), time.monotonic() + seconds, n_jobs=1)


def trial(features, name="centroid", cost=0.0):
    return Trial(name, features, "nearest", Learner.of(Nearest()), cost)


def run(features, rounds=2):
    """Judge features, the first of them the favourite, and rank them."""
    race = race_of(features, repeats=rounds)
    trials = [trial(each, str(number)) for number, each in enumerate(features)]
    for round in range(rounds):
        race.run(trials, round)
    return race, trials, race.ranked(trials)


def noise(count, seed, each=20):
    """Features that know nothing of the labels."""
    random = np.random.default_rng(seed)
    labels = np.repeat(["a", "b", "c"], each).tolist()
    return [fakes.as_features(random.normal(size=(3 * each, 30)), labels) for _ in range(count)]


def test_where_labels_are_noise_the_favourite_stays():
    chosen, lucky = [], []
    for seed in range(8):
        _, trials, ranked = run(noise(12, seed))
        chosen.append(ranked[0].name)
        lucky.append(max(each.accuracy for each in trials) - trials[0].accuracy)
    assert chosen.count("0") >= 7, f"{chosen}, though the best is ahead by {np.round(lucky, 2)}"
    assert np.mean(lucky) > 0.06, "the best of 12 is not lucky at all"


def test_what_is_ahead_beyond_chance_takes_the_place_of_the_favourite(cloud):
    features = [cloud(each=20, width=40, distance=d, seed=9) for d in (0.05, 0.35, 0.05)]
    race, trials, ranked = run(features)
    assert ranked[0].name == "1"
    leads = race.sure_leads(trials)
    assert leads[0] == 0
    assert 0 < leads[1] < ranked[0].accuracy - trials[0].accuracy
    new = cloud(each=700, width=40, distance=0.35, seed=10)
    model = Nearest().fit(features[1].X, features[1].y)
    true = float((model.predict(new.X) == new.y).mean())
    estimate = race.accuracy(trials, ranked[0])
    assert estimate.low <= true <= estimate.high, f"{true:.2f} is not in {estimate}"
    assert estimate.value <= ranked[0].accuracy


@pytest.mark.parametrize(("each", "chosen"), [(20, "first"), (1000, "second")])
def test_a_small_lead_is_believed_where_many_images_say_so(cloud, each, chosen):
    features, random = cloud(each=each), np.random.default_rng(0)
    race = race_of([features])
    trials = [trial(features, "first"), trial(features, "second")]
    for each_trial, accuracy in zip(trials, (0.70, 0.76), strict=True):
        right = np.arange(len(features)) < accuracy * len(features)
        each_trial.hits = [random.permutation(right)]
    assert race.ranked(trials)[0].name == chosen


def test_the_estimate_is_without_the_luck_of_the_choice():
    """Every candidate guesses, and the choice is among many that are far ahead of the favourite."""
    own, honest, covered = [], [], 0
    for seed in range(6):
        features = noise(12, seed)
        wrong = fakes.as_features(-np.eye(3).repeat(20, axis=0), features[0].y)
        race, trials, ranked = run([wrong, *features])
        for each in trials[:1]:
            each.hits = [np.zeros(60, dtype=bool)] * 2
        ranked = race.ranked(trials)
        own.append(ranked[0].accuracy)
        estimate = race.accuracy(trials, ranked[0])
        honest.append(estimate.value)
        covered += estimate.low <= 1 / 3 <= estimate.high
    assert np.mean(own) > 0.4, f"the best of 12 scores {np.mean(own):.2f}: not lucky at all"
    assert np.mean(honest) < np.mean(own) - 0.04, f"{np.mean(honest):.2f} of {np.mean(own):.2f}"
    assert np.mean(honest) == pytest.approx(1 / 3, abs=0.07)
    assert covered >= 4, f"chance is in {covered} of 6 intervals"


def test_the_favourite_was_settled_before_and_has_no_luck_in_its_estimate():
    race, trials, ranked = run(noise(6, 3))
    assert ranked[0] is trials[0]
    assert race.accuracy(trials, ranked[0]).value == trials[0].accuracy


@pytest.mark.parametrize("costs", [(2.0, 1.0), (1.0, 2.0)])
def test_of_equals_the_one_with_the_fastest_networks_is_chosen(cloud, costs):
    features = cloud(each=300, distance=3.0)
    trials = [trial(features, str(cost), cost) for cost in costs]
    race = race_of([features])
    race.run(trials, 0)
    assert race.ranked(trials)[0].name == "1.0"


def test_the_choice_is_among_those_of_the_most_rounds(cloud):
    good, bad = cloud(each=12, distance=3.0), cloud(each=12, distance=0.0, seed=3)
    trials = [trial(bad, "bad"), trial(good, "good")]
    race = race_of([good])
    race.run(trials, 0)
    race.run(trials[:1], 1)
    assert [each.name for each in race.ranked(trials)] == ["bad", "good"]
    assert race.validation(trials[1]).splits.repeats == 1
    assert race.validation(trials[0]).splits.repeats == 2


def test_those_ahead_have_more_rounds_the_favourite_with_them(cloud, monkeypatch):
    monkeypatch.setattr("featx.tuning.race.RUNGS", ((3, 2), (2, 4)))
    features = [cloud(each=12, distance=d, seed=7) for d in (0.0, 3.0, 0.4, 0.2)]
    race = race_of(features, repeats=4)
    trials = [trial(each, str(number)) for number, each in enumerate(features)]
    race.run(trials, 0)
    race.narrow(trials)
    assert {each.name: each.rounds for each in trials} == {"0": 4, "1": 4, "2": 2, "3": 1}
    assert [len(each.fitted) // 5 for each in trials] == [4, 4, 2, 1]
    late = race_of(features, repeats=4)
    again = [trial(each, str(number)) for number, each in enumerate(features)]
    late.run(again, 0)
    late.deadline = time.monotonic()
    late.narrow(again)
    assert [each.rounds for each in again] == [1] * 4


def test_without_any_time_one_candidate_is_judged_all_the_same(cloud):
    features = [cloud(each=8, seed=seed) for seed in range(3)]
    race = race_of(features, seconds=-1)
    judged = race.run([trial(each) for each in features], 0)
    assert len(judged) == 1
    assert race.run([trial(features[1])], 0) == []
