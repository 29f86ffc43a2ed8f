"""The search: candidates judged as the features of networks come in, and who is the favourite."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from featx.errors import warn_of_images
from featx.evaluation.candidates import timed_alike
from featx.evaluation.groups import Grouping
from featx.evaluation.splits import split
from featx.features.duplicates import find_duplicates, narrowest
from featx.features.matrix import Features
from featx.features.recipe import Recipe
from featx.learning.classes import labels_to_learn, require_every_class
from featx.learning.learner import Learner
from featx.text import count
from featx.tuning.budget import Networks
from featx.tuning.race import ROUNDS, Race, Trial

_JOINED = 6  # networks at most


@dataclass
class Search:
    """The search for the best candidate.

    Attributes
    ----------
    networks : Networks
        What embeds the images.
    learners : sequence of (str, Learner)
        The classifiers by name; the first is tried on all features.
    deadline : float
        When `time.monotonic` says so, no fit is started any more.
    grouping : Grouping or None
        Which images stay together.
    seed : int
        Of the splits.
    n_jobs : int, optional
        As for `fit_all`.
    """

    networks: Networks
    learners: Sequence[tuple[str, Learner]]
    deadline: float
    grouping: Grouping | None = None
    seed: int = 0
    n_jobs: int | None = None
    _trials: dict[str, Trial] = field(default_factory=dict, init=False)  # by name

    def run(self) -> tuple[Race, list[Trial]]:
        """Judge candidates as long as there is time.

        Returns
        -------
        Race
        list of Trial
            Those that were judged, the favourite first.
        """
        plain: list[Features] = []
        race: Race | None = None
        for features in map(timed_alike, self.networks.features()):
            race = race or self._race(features)
            plain += features
            self._judge(race, [*self._joined(plain), *features], self.learners[:1])
        assert race is not None  # the first network is run whatever it takes
        joined = self._joined(plain)
        self._judge(race, [*joined, *self._joined(plain, fewer=True)], self.learners[:1])
        best = joined or self._best_first(plain)
        self._judge(race, best[:1], self.learners[1:])
        trials = self._favourite_first()
        race.narrow(trials)
        return race, trials

    def _race(self, features: Sequence[Features]) -> Race:
        first = features[0]
        require_every_class(self.networks.images, first)
        warn_of_images(first.losses)
        y = labels_to_learn(first)
        copies = find_duplicates(narrowest(features)).groups
        grouping = self.grouping and self.grouping.those_of(first.paths)
        splits = split(y, copies, grouping, repeats=ROUNDS, seed=self.seed)
        return Race(y, splits, self.deadline, self.n_jobs)

    def _joined(self, plain: Sequence[Features], fewer: bool = False) -> list[Features]:
        """Join the best networks, all or perhaps fewer, in the pooling that most of them have."""
        poolings: dict[str, list[Features]] = {}
        for each in plain:
            poolings.setdefault(_recipe(each).pooling, []).append(each)
        pooling = max(poolings, key=lambda name: len(poolings[name]))
        order = [_recipe(each).backbone for each in self._best_first(poolings[pooling])][:_JOINED]
        counts = range(2, len(order)) if fewer else [len(order)] * (len(order) > 1)
        tops = (sorted(order[:n], key=list(self.networks.asked).index) for n in counts)
        return [self.networks.joined(names, pooling) for names in tops]

    def _best_first(self, plain: Sequence[Features]) -> list[Features]:
        """Sort features by their accuracy with the first classifier; those not judged come last."""
        judged = {
            id(each.features): each.accuracy
            for each in self._trials.values()
            if each.learner is self.learners[0][1]
        }
        return sorted(plain, key=lambda each: -judged.get(id(each), -1.0))

    def _judge(
        self, race: Race, features: Sequence[Features], learners: Sequence[tuple[str, Learner]]
    ) -> None:
        """Judge what was not judged before."""
        trials = [_trial(each, *learner) for each in features for learner in learners]
        new = [each for each in trials if each.name not in self._trials]
        self.networks.step(f"trying {count(len(new), 'candidate')}")
        self._trials |= {each.name: each for each in race.run(new, 0)}

    def _favourite_first(self) -> list[Trial]:
        """Put the one of most networks with the first classifier in front."""
        trials = list(self._trials.values())
        favourite = max(
            (each for each in trials if each.learner is self.learners[0][1]),
            key=lambda each: len(_recipe(each.features).parts),
        )
        return [favourite, *(each for each in trials if each is not favourite)]


def _trial(features: Features, classifier: str, learner: Learner) -> Trial:
    recipe = _recipe(features)
    rate = features.images_per_second
    cost = 1 / rate if rate > 0 else math.inf
    name = f"{recipe.backbone} {recipe.pooling} {classifier}"
    return Trial(name, features, classifier, learner, cost)


def _recipe(features: Features) -> Recipe:
    assert features.recipe is not None
    return features.recipe
