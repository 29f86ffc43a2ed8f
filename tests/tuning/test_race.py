"""Candidates drop out, the best is chosen, and what to expect of it is honest."""

from __future__ import annotations

import time

import fakes
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from featx.evaluation.scenes import hold_out_scenes
from featx.evaluation.splits import split
from featx.features.recipe import join
from featx.learning.learner import Learner
from featx.tuning.race import RUNGS, Race, Trial


class Nearest(ClassifierMixin, BaseEstimator):
    """The nearest class mean, ten times as fast as scikit-learn's."""

    def fit(self, X, y):
        self.classes_, number = np.unique(y, return_inverse=True)
        members = np.eye(len(self.classes_), dtype=X.dtype)[number]
        self.means_ = members.T @ X / members.sum(axis=0)[:, None]
        return self

    def predict(self, X):
        nearness = X @ self.means_.T - (self.means_**2).sum(axis=1) / 2
        return self.classes_[nearness.argmax(axis=1)]


def race_of(features, **options):
    y = features[0].y
    scenes = hold_out_scenes(join([each.X for each in features]), y, np.arange(len(y)))
    return Race(y, split(y), scenes, time.monotonic() + options.pop("seconds", 1e6), n_jobs=1)


def trial(features, name="centroid", cost=0.0):
    return Trial(name, features, "nearest", Learner.of(Nearest()), cost)


def run(features, rounds=2):
    race = race_of(features)
    trials = [trial(each, str(number)) for number, each in enumerate(features)]
    for round in range(rounds):
        race.run(trials, round)
    return race, race.ranked(trials)


def noise(count, seed, each=20):
    """Features that know nothing of the labels."""
    random = np.random.default_rng(seed)
    labels = np.repeat(["a", "b", "c"], each).tolist()
    return [fakes.as_features(random.normal(size=(3 * each, 30)), labels) for _ in range(count)]


def test_where_labels_are_noise_the_best_looks_good_and_the_estimate_is_near_chance():
    own, honest, elsewhere, covered = [], [], [], 0
    for seed in range(6):
        race, ranked = run(noise(12, seed))
        own.append(race.hits(ranked[0], "shuffled").mean())
        estimate = race.accuracy(ranked, "shuffled")
        honest.append(estimate.value)
        elsewhere.append(race.accuracy(ranked, "scenes").value)
        covered += estimate.low <= 1 / 3 <= estimate.high
    assert np.mean(own) > 0.4, f"the best of 12 scores {np.mean(own):.2f}: not lucky at all"
    assert np.mean(honest) < np.mean(own) - 0.04, f"{np.mean(honest):.2f} of {np.mean(own):.2f}"
    assert np.mean(honest) == pytest.approx(1 / 3, abs=0.07)
    assert np.mean(elsewhere) == pytest.approx(1 / 3, abs=0.07)
    assert covered >= 4, f"chance is in {covered} of 6 intervals"


def test_candidates_of_known_accuracy_are_told_apart_and_the_estimate_holds_it(cloud):
    features = [cloud(each=20, width=40, distance=d, seed=9) for d in (0.0, 0.35, 0.0)]
    race, ranked = run(features)
    assert ranked[0].name == "1"
    new = cloud(each=700, width=40, distance=0.35, seed=10)
    model = Nearest().fit(features[1].X, features[1].y)
    true = float((model.predict(new.X) == new.y).mean())
    estimate = race.accuracy(ranked, "shuffled")
    assert estimate.low <= true <= estimate.high, f"{true:.2f} is not in {estimate}"
    assert estimate.value <= race.hits(ranked[0], "shuffled").mean()


def test_of_equals_the_one_with_the_fastest_networks_is_chosen(cloud):
    features = cloud(each=12)
    trials = [trial(features, "slow", 2.0), trial(features, "fast", 1.0)]
    race = race_of([features])
    race.run(trials, 0)
    assert [each.name for each in race.ranked(trials)] == ["fast", "slow"]


def test_the_choice_is_among_those_of_the_most_rounds(cloud):
    good, bad = cloud(each=12, distance=3.0), cloud(each=12, distance=0.0, seed=3)
    trials = [trial(good, "good"), trial(bad, "bad")]
    race = race_of([good])
    race.run(trials, 0)
    race.run(trials[1:], 1)
    assert [each.name for each in race.ranked(trials)] == ["bad", "good"]
    assert race.validation(trials[0]).splits.repeats == 1
    assert race.validation(trials[1]).splits.repeats == 2


def test_those_ahead_have_more_rounds_and_all_of_a_rung_have_as_many(cloud, monkeypatch):
    monkeypatch.setattr("featx.tuning.race.RUNGS", ((3, 2), (1, 4)))
    features = [cloud(each=12, distance=d, seed=7) for d in (0.0, 3.0, 0.4, 0.2)]
    y = features[0].y
    scenes = hold_out_scenes(features[1].X, y, np.arange(len(y)), repeats=4)
    race = Race(y, split(y, repeats=4), scenes, time.monotonic() + 1e6, n_jobs=1)
    trials = [trial(each, str(number)) for number, each in enumerate(features)]
    race.run(trials, 0)
    race.narrow(trials)
    rounds = {each.name: len(each.shuffled) // 5 for each in trials}
    assert rounds == {"1": 4, "2": 2, "3": 2, "0": 1}
    assert [len(each.scenes) // 3 for each in trials] == [1, 4, 2, 2]
    late = Race(y, split(y, repeats=4), scenes, time.monotonic() + 1e6, n_jobs=1)
    again = [trial(each, str(number)) for number, each in enumerate(features)]
    late.run(again, 0)
    late.deadline = time.monotonic()
    late.narrow(again)
    assert [len(each.shuffled) for each in again] == [5] * 4


def test_without_any_time_one_candidate_is_judged_all_the_same(cloud):
    features = [cloud(each=8, seed=seed) for seed in range(3)]
    race = race_of(features, seconds=-1)
    judged = race.run([trial(each) for each in features], 0)
    assert len(judged) == 1
    assert race.run([trial(features[1])], 0) == []


def test_a_rung_costs_no_more_than_the_one_before():
    counts, rounds = zip(*RUNGS, strict=True)
    assert list(counts) == sorted(counts, reverse=True)
    assert list(rounds) == sorted(rounds)
    costs = [count * more for (count, _), more in zip(RUNGS, np.diff((0, *rounds)), strict=True)]
    assert costs == sorted(costs, reverse=True)


def test_the_score_is_the_mean_of_both_accuracies(cloud):
    race, (chosen,) = run([cloud(each=12, distance=0.3)])
    both = [race.hits(chosen, kind) for kind in ("shuffled", "scenes")]
    assert [hits.shape for hits in both] == [(2, 36), (2, 36)]
    assert race.score(chosen) == pytest.approx(np.mean([hits.mean() for hits in both]))
    assert np.array_equal(race.hits(chosen), np.concatenate(both))
