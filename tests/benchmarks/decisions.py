"""Whether `recommend` keeps its promise, in simulated comparisons of which the truth is known.

    python -m tests.benchmarks.decisions [--comparisons 500] [--within 0.02] [--seed 0]

Photographs of four classes are drawn, and candidates that see them more or less well: what they see
is alike, so they fail on the same photographs. Each comparison is a true `featx.compare`, with its
cross-validation. The true accuracy of a candidate is that of many classifiers, trained on as many
photographs and tested on thousands of others. The table, in Markdown, says how often the candidate
recommended is truly good enough, and how often it is the fastest of those that truly are.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

import featx
from featx.features.matrix import Features, as_labels, as_paths
from tests.nearest import Nearest

CLASSES, WIDTH = 4, 20
SIZES = (60, 120, 250, 500, 1000, 2000)  # photographs of a comparison
_TESTED, _TRAININGS = 3_000, 10


@dataclass(frozen=True)
class World:
    """Photographs of four classes, and what each candidate sees of them.

    `centres`, of shape (classes, width), are what the classes look like; `blur`, of shape
    (candidates,), is the noise of each candidate; `speeds` are its images per second.
    """

    centres: np.ndarray
    blur: np.ndarray
    speeds: np.ndarray

    @classmethod
    def draw(cls, random: np.random.Generator) -> World:
        """Draw two to eight candidates: equal ones, others, and one that stands out."""
        count = int(random.integers(2, 9))
        spread = random.choice([0.0, 0.05, 0.15, 0.3])
        blur = random.uniform(0.5, 1.2) * np.exp(spread * random.normal(size=count))
        if random.random() < 0.25:  # one that is better than the rest, which are equal
            blur = np.full(count, blur[0])
            blur[0] *= 0.85
        centres = random.uniform(0.4, 0.8) * random.normal(size=(CLASSES, WIDTH))
        return cls(centres, blur, np.exp(random.normal(3, 1, size=count)))

    def see(self, random: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw n photographs: what each candidate sees, (candidates, n, width), and classes."""
        y = np.arange(n) % CLASSES
        photographs = self.centres[y] + random.normal(size=(n, WIDTH))
        noise = random.normal(size=(len(self.blur), n, WIDTH))
        return photographs + self.blur[:, None, None] * noise, y

    def accuracies(self, random: np.random.Generator, n: int) -> np.ndarray:
        """Return the true accuracy of each candidate that was trained on n photographs."""
        right = np.zeros(len(self.blur))
        for _ in range(_TRAININGS):
            X, y = self.see(random, n)
            new, true = self.see(random, _TESTED)
            right += [
                np.mean(Nearest().fit(own, y).predict(seen) == true)
                for own, seen in zip(X, new, strict=True)
            ]
        return right / _TRAININGS

    def features(self, random: np.random.Generator, n: int) -> list[Features]:
        """Draw n photographs as the features of every candidate."""
        X, y = self.see(random, n)
        labels = as_labels([f"class {number}" for number in y])
        paths = as_paths([f"photos/{row}.jpg" for row in range(n)])
        features = Features(X[0].astype(np.float32), labels, paths)
        return [
            replace(features, X=own.astype(np.float32), images_per_second=float(speed))
            for own, speed in zip(X, self.speeds, strict=True)
        ]


@dataclass(frozen=True)
class Decision:
    """What was recommended in one comparison, and what would have been right.

    `kept` is whether it is truly within the margin of the best, `fastest` whether none that is
    within it is faster, `first_kept` whether the most accurate one was within it; `slower` says
    how many times as fast the fastest such candidate is.
    """

    n: int
    shown: bool
    kept: bool
    fastest: bool
    first_kept: bool
    slower: float


def decide(random: np.random.Generator, n: int, within: float = 0.02) -> Decision:
    """Simulate one comparison on n photographs."""
    world = World.draw(random)
    truth = world.accuracies(random, round(0.8 * n))  # each fold trains on four fifths
    several = world.features(random, n)
    made = featx.compare(several, classifiers=Nearest(), n_jobs=1, progress=False)
    number = {features.images_per_second: i for i, features in enumerate(several)}
    chosen = made.recommend(within)
    taken = number[chosen.candidate.features.images_per_second]
    first = number[made.best.features.images_per_second]
    enough = truth >= truth.max() - within
    most = world.speeds[enough].max()
    kept = bool(enough[taken])
    slower = float(most / world.speeds[taken])
    return Decision(n, chosen.shown, kept, kept and slower <= 1.1, bool(enough[first]), slower)


def simulate(comparisons: int, within: float = 0.02, seed: int = 0) -> Iterator[Decision]:
    """Simulate comparisons of all sizes in turn."""
    for number in range(comparisons):
        yield decide(np.random.default_rng([seed, number]), SIZES[number % len(SIZES)], within)


def row(name: str, made: list[Decision]) -> str:
    """Return a row of the table."""
    shown = [each for each in made if each.shown]
    kept = [each for each in made if each.kept]
    cells = [
        f"{len(made)}",
        share([each.kept for each in made]),
        share([each.first_kept for each in made]),
        f"{share([each.kept for each in shown])} of {len(shown)}",
        share([each.fastest for each in kept]),
        f"{np.median([each.slower for each in kept]):.2f}",
    ]
    return f"| {name} | {' | '.join(cells)} |"


def share(truths: list[bool]) -> str:
    return f"{100 * np.mean(truths):.1f} %" if truths else "-"


def main() -> None:
    """Simulate and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--comparisons", type=int, default=500)
    parser.add_argument("--within", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    made = list(simulate(options.comparisons, options.within, options.seed))
    head = [
        *("photographs", "comparisons", "good enough", "the first is", "where it is shown"),
        *("as fast as possible", "times slower (median)"),
    ]
    print(f"| {' | '.join(head)} |\n|{'---:|' * len(head)}")
    for n in SIZES:
        print(row(f"{n:,}", [each for each in made if each.n == n]))
    print(row("250 and more", [each for each in made if each.n >= 250]))
    print(row("all", made))


if __name__ == "__main__":
    main()
