"""The search against the default: `python -m tests.benchmarks.tuning FEATX_SHARED/data`.

Of each set of photographs the folders `train` and `test` are thrown together and divided anew: a
few of each class to learn from, the rest to score. `featx.tune` and `featx.train` with its default
learn from the same photographs. With `--train-only` the photographs of the folder `train` alone are
divided: that is for choosing how the search works. `--criteria` asks what each way to judge
candidates is worth: how it ranks them, and what the one that it puts first scores on the rest.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import featx
from featx.evaluation.scenes import accuracy_on_scenes

BUDGET = 120.0  # seconds
SETS = {  # by name, the classes and the photographs of each to learn from
    "grocery20": ((20, 5), (20, 10), (8, 8)),
    "caltech15": ((15, 5), (15, 10), (8, 8)),
    "cifar10": ((10, 5), (10, 10), (10, 18)),
    "mnist": ((10, 5), (10, 10), (10, 18)),
    "fruit_pair": ((2, 5),),
}


@dataclass(frozen=True)
class Division:
    """Photographs to learn from, and others of the same classes to score."""

    name: str
    seed: int
    learned: tuple[list[str], list[str]]  # paths and labels
    scored: tuple[list[str], list[str]]


def divisions(data: Path, parts: Sequence[str], seeds: Sequence[int]) -> Iterator[Division]:
    """Divide every set by every seed; one with too few photographs of a class is left out."""
    for seed in seeds:
        for name, sizes in SETS.items():
            photographs = _by_class(data / name, parts)
            for classes, each in sizes:
                if min(map(len, photographs.values())) <= each:
                    continue
                random = np.random.default_rng([seed, classes, each])
                chosen = sorted(random.permutation(sorted(photographs))[:classes])
                learned: tuple[list[str], list[str]] = ([], [])
                scored: tuple[list[str], list[str]] = ([], [])
                for label in chosen:
                    paths = random.permutation(photographs[label]).tolist()
                    for side, some in ((learned, paths[:each]), (scored, paths[each:])):
                        side[0].extend(some)
                        side[1].extend([label] * len(some))
                yield Division(f"{name}, {each} of {classes}", seed, learned, scored)


def _by_class(folder: Path, parts: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part in parts:
        for path in sorted((folder / part).glob("*/*")):
            found.setdefault(path.parent.name, []).append(str(path))
    return found


def compare(
    division: Division, budget: float, backbones: Any = "all", criteria: bool = False
) -> list[dict[str, Any]]:
    """Search on one division, and return a row for the default and each candidate."""
    (paths, labels), (others, true) = division.learned, division.scored
    quiet: dict[str, Any] = {"progress": False}
    default = featx.train(paths, labels=labels, **quiet).evaluate(others, labels=true, **quiet)
    began = time.perf_counter()
    tuning = featx.tune(paths, budget, backbones=backbones, labels=labels, n_jobs=1, **quiet)
    about = {
        "set": division.name,
        "seed": division.seed,
        "seconds": time.perf_counter() - began,
        "default": default.accuracy,
        "told": tuning.accuracy.value,
    }
    rows = []
    leads = tuning.to_frame().set_index("candidate").lead_low
    for trial in tuning.trials if criteria else tuning.trials[:1]:
        model = featx.train(trial.features, trial.learner)
        row = {
            **about,
            "candidate": trial.name,
            "accuracy": model.evaluate(others, labels=true, **quiet).accuracy,
            "shuffled": trial.accuracy,
            "lead_low": leads[trial.name],
            "rounds": trial.rounds,
            "chosen": trial is tuning.best,
            "favourite": trial is tuning.favourite,
        }
        if criteria:
            copies = tuning.race.splits.groups
            scenes = accuracy_on_scenes(trial.features, trial.learner, copies, n_jobs=1)
            row["scenes"] = scenes.value
        rows.append(row)
    return rows


def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """Return by how much the search is ahead of the default, in points, for each set."""
    chosen = rows[rows.chosen]
    gain = (100 * (chosen.accuracy - chosen.default)).groupby(chosen.set, sort=False)
    by_set = chosen.groupby("set", sort=False)
    return pd.DataFrame(
        {
            "default": 100 * by_set.default.mean(),
            "tune": 100 * by_set.accuracy.mean(),
            "gain": gain.mean(),
            "error": gain.sem(),
            "told": 100 * by_set.told.mean(),
            "favourite kept": by_set.favourite.mean(),
            "seconds": by_set.seconds.mean(),
        }
    )


def worth(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what ways to judge candidates are worth: ranks, losses against the best, levels."""
    rows = rows.assign(both=(rows.shuffled + rows.scenes) / 2)
    found: dict[str, list[dict[str, float]]] = {"shuffled": [], "scenes": [], "both": []}
    for _, some in rows.groupby(["set", "seed"]):
        if some.accuracy.nunique() == 1:
            continue
        for name, values in found.items():
            first = some[some[name] == some[name].max()]
            values.append(
                {
                    "rank correlation": some[name].corr(some.accuracy, method="spearman"),
                    "points lost": 100 * (some.accuracy.max() - first.accuracy.mean()),
                    "points too high": 100 * (some[name] - some.accuracy).mean(),
                }
            )
    return pd.DataFrame({name: pd.DataFrame(values).mean() for name, values in found.items()}).T


def main() -> None:
    """Compare on every division, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_FORMAT)
    parser.add_argument("data", type=Path, help="the folder of the sets")
    parser.add_argument("--seeds", default="0,1,2", help="of the divisions")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds of each search")
    parser.add_argument("--backbones", help="networks with commas between; by default all at hand")
    parser.add_argument("--train-only", action="store_true", help="leave the folders test alone")
    parser.add_argument("--criteria", action="store_true", help="judge the ways to judge, too")
    parser.add_argument("--out", type=Path, help="where to keep every figure, as JSON")
    options = parser.parse_args()
    parts = ("train",) if options.train_only else ("train", "test")
    backbones = options.backbones.split(",") if options.backbones else "all"
    rows: list[dict[str, Any]] = []
    for division in divisions(
        options.data, parts, [int(each) for each in options.seeds.split(",")]
    ):
        rows += compare(division, options.budget, backbones, options.criteria)
        print(f"{division.name}, seed {division.seed}", file=sys.stderr)
        if options.out:
            options.out.write_text(json.dumps(rows))
    frame = pd.DataFrame(rows)
    table = gains(frame)
    print(table.round(2).to_string())
    print(f"mean {table.gain.mean():.1f} points, least {table.gain.min():.1f}")
    if options.criteria:
        print(worth(frame).round(2).to_string())


_FORMAT = argparse.RawDescriptionHelpFormatter

if __name__ == "__main__":
    main()
