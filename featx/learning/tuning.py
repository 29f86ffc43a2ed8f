"""The best way from images to labels that can be found in a given time, and how good it is."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from featx.backbones.pixels import PIXELS
from featx.backbones.table import find
from featx.errors import OptionError
from featx.features.fusion import join
from featx.features.matrix import Features
from featx.features.running import take_run_options
from featx.images.folder import ImageFolder
from featx.learning.budget import Networks, seconds_of
from featx.learning.classifiers import TUNED, network_of
from featx.learning.comparing import named_networks
from featx.learning.duplicates import find_duplicates, narrowest
from featx.learning.halving import ROUNDS, Race, Trial, settings_of
from featx.learning.labels import labels_to_learn, require_every_class, require_learnable
from featx.learning.scenes import hold_out_scenes
from featx.learning.splits import check_counts, split
from featx.learning.training import train
from featx.learning.tuned import Tuning

_POOLINGS = ("avg", "max")
_VIEWS = 2
_JOINED = 4  # networks at most
_EMBEDDING = 0.6  # share of the time after which no network is started
_VIEWING = 0.7  # and no views
_FITTING = 0.95  # and no fits


def tune(
    source: Any,
    budget: str | float = "5m",
    *,
    backbones: str | Sequence[str] = "all",
    classifiers: str | Sequence[str] = TUNED,
    labels: Any = None,
    seed: int = 0,
    n_jobs: int | None = None,
    progress: bool = True,
    **embedding: Any,
) -> Tuning:
    """Search networks, poolings, views and classifiers for the best model, within a time.

    Networks are embedded while there is time, what the cache has first. Every network and pooling
    is tried with the first classifier; the better half, and the best networks alone or joined, with
    and without augmented views, are tried with every classifier and penalty; then those ahead again
    and again on other splits: 24 of them twice in all, 12 four times, 6 eight times. The score to
    choose by is the mean of the accuracy on shuffled images and that on scenes held out, so that
    what is robust is preferred; of candidates less than one image apart, that with the fastest
    networks.

    Parameters
    ----------
    source : what `embed` takes
        Labelled images.
    budget : str or float, default="5m"
        The time for it: "90s", "5m", "1h" or seconds. The first network, the first fits and the
        training of the model take what they take, however little it is.
    backbones : str or sequence of str, default="all"
        Names of networks; "all" means those whose weights are on this machine.
    classifiers : str or sequence of str, default=("logistic", "svm", "knn", "centroid")
        Names of `featx.CLASSIFIERS` that learn from features; the first is tried on everything.
        "logistic" is tried with each of its penalties.
    labels : sequence or array, optional
        As for `embed`, where the images have none.
    seed : int, default=0
        Of the splits.
    n_jobs : int, optional
        Processes; by default one per core where the work is long.
    progress : bool, default=True
        Show progress bars on stderr for work of more than a second.
    **embedding
        Further options of `embed`, but for `pooling`, `views` and `layer`, which are searched or
        the same for all networks.

    Returns
    -------
    Tuning

    Raises
    ------
    ImageSourceError
        There are no classes, or one has a single image.
    OptionError, UnknownBackboneError, UnknownClassifierError, WeightsError
        What their names say.
    """
    start = time.monotonic()
    seconds = seconds_of(budget)
    check_counts(seed=seed)
    settings = list(settings_of(_checked_classifiers(classifiers)))
    names = _checked_backbones(backbones, embedding.get("weights", "imagenet"))
    for option in ("pooling", "views", "layer", "validation", "reject"):
        if option in embedding:
            raise OptionError(f"{option} is no option of tune: it searches poolings and views")
    images = ImageFolder.of(source, labels)
    require_learnable(images.paths, images.labels)
    run = take_run_options(embedding)
    with ExitStack() as stack:
        if run.get("cache") is False:  # no network runs twice, even so
            run["cache"] = stack.enter_context(tempfile.TemporaryDirectory(prefix="featx-"))
        networks = Networks(
            images, start + _EMBEDDING * seconds, embedding, run | {"progress": progress}
        )
        embedded = networks.embed(names, _POOLINGS)
        require_every_class(images, next(iter(embedded.values()))[0])
        networks.deadline = start + _VIEWING * seconds
        race = _race(embedded, start + _FITTING * seconds, seed, n_jobs, progress)
        trials = _search(race, networks, embedded, settings)
        ranked = race.ranked(trials)
        best = ranked[0]
        model = train(best.features, best.estimator)
    return Tuning(
        trials=tuple(ranked),
        race=race,
        model=model,
        skipped=networks.skipped,
        budget=seconds,
        seconds=time.monotonic() - start,
    )


def _race(
    embedded: dict[str, list[Features]],
    deadline: float,
    seed: int,
    n_jobs: int | None,
    progress: bool,
) -> Race:
    first = next(iter(embedded.values()))[0]
    y = labels_to_learn(first)
    copies = find_duplicates(narrowest([each[0] for each in embedded.values()])).groups
    alike = split(y, copies, repeats=ROUNDS, seed=seed)
    looks = join([each[0].matrix for each in embedded.values()])
    apart = hold_out_scenes(looks, y, copies, repeats=ROUNDS, seed=seed)
    return Race(y, alike, apart, deadline, n_jobs, progress)


def _search(
    race: Race,
    networks: Networks,
    embedded: dict[str, list[Features]],
    settings: Sequence[tuple[str, Any]],
) -> list[Trial]:
    """Judge candidates rung by rung; see `tune`."""
    quick = settings[:1]
    every = race.run(
        [
            trial
            for several in embedded.values()
            for each in several
            for trial in _trials(each, quick)
        ],
        0,
    )
    ahead = sorted(every, key=lambda trial: -race.score(trial))
    wide = [trial.features for trial in ahead[: -(-len(ahead) // 2)]]
    best: dict[str, Features] = {}
    for trial in ahead:
        assert trial.features.recipe is not None
        best.setdefault(trial.features.recipe.backbone, trial.features)
    order = list(best)
    counts = [n for n in range(1, _JOINED + 1) if n <= len(order)]
    more = [networks.joined("+".join(order[:n]), best[order[0]]) for n in counts[1:]]
    more += [networks.joined("+".join(order[:n]), best[order[0]], _VIEWS) for n in counts]
    known = {id(trial.features) for trial in every}
    wider = [
        trial
        for each in [*wide[:1], *(each for each in more if each), *wide[1:]]
        for trial in _trials(each, settings[id(each) in known and len(quick) :])
    ]
    every += race.run(wider, 0)
    race.narrow(every)
    return every


def _trials(features: Features, settings: Sequence[tuple[str, Any]]) -> list[Trial]:
    recipe = features.recipe
    assert recipe is not None
    views = len(features.views)
    name = f"{recipe.backbone} {recipe.pooling}" + (f" {views} views" if views else "")
    rate = features.images_per_second
    cost = (1 + views) / rate if rate > 0 else math.inf
    return [
        Trial(f"{name} {classifier}", features, classifier, estimator, cost)
        for classifier, estimator in settings
    ]


def _checked_backbones(backbones: Any, weights: Any) -> list[str]:
    """Return the names of the networks, each once."""
    names = named_networks(backbones, weights)
    for name in names:
        if not isinstance(name, str) or "+" in name or name == PIXELS:
            raise OptionError(
                f"backbone {name!r}: expected a name of `featx backbones`; tune joins them itself"
            )
    return list(dict.fromkeys(find(name).name for name in names))


def _checked_classifiers(classifiers: Any) -> list[str]:
    """Return the names of classifiers of features, each once."""
    names = [classifiers] if isinstance(classifiers, str) else classifiers
    listed = isinstance(names, list | tuple) and len(names)
    if not listed or not all(isinstance(name, str) for name in names):
        raise OptionError("classifiers: expected names of featx.CLASSIFIERS, such as 'logistic'")
    for name in names:
        if network_of(name):
            raise OptionError(
                f"classifier {name!r} learns from pixels: tune chooses among those that learn from "
                "features; use compare for it"
            )
    return list(dict.fromkeys(names))
