"""Running networks over pictures: stores are opened, filled, and read back as matrices."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache as remember
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from featx.backbones.backbone import Backbone
from featx.backbones.engine import (
    JOINT_POOLINGS,
    Engine,
    choose_engine,
    joins_poolings,
    open_engine,
    settle_precision,
)
from featx.errors import OptionError, check_choice
from featx.features.advice import Advice
from featx.features.assembly import assemble
from featx.features.filling import Filling
from featx.features.fusion import Fusion, join
from featx.features.lane import Lane
from featx.features.matrix import Features
from featx.features.plan import Plan
from featx.features.recipe import Recipe
from featx.features.store import FeatureStore, cache_folder
from featx.images.digests import DigestMemo
from featx.images.folder import ImageFolder

ON_ERROR = ("skip", "raise")
RUN_OPTIONS = ("engine", "cache", "on_error", "batch_size")  # they change no feature


def take_run_options(options: dict[str, Any]) -> dict[str, Any]:
    """Take the options of running out of those of embedding, where the engine stays, too.

    It says what precisions there are.
    """
    run = {key: options.pop(key) for key in RUN_OPTIONS if key in options}
    if "engine" in run:
        options["engine"] = run["engine"]
    return run


def embed_images(
    images: ImageFolder, backbone: Backbone, recipe: Recipe, **options: Any
) -> Features:
    """Embed images by a recipe that `prepare` has settled, here or on another machine.

    `options` are `engine`, `cache`, `on_error`, `batch_size` and `progress` of `embed`.
    """
    return embed_recipes(images, [(backbone, recipe)], **options)[0]


def embed_plans(images: ImageFolder, plans: Sequence[Plan], **options: Any) -> list[Features]:
    """Embed images by what `plan` has settled, each picture decoded once for all.

    `options` are `engine`, `cache`, `on_error`, `batch_size` and `progress` of `embed`.
    """
    parts = dict.fromkeys(
        part for each in plans for view in range(each.views + 1) for part in each.of_view(view)
    )
    features = dict(zip(parts, embed_recipes(images, list(parts), **options), strict=True))
    return [_composed(each, features) for each in plans]


def _composed(made_by: Plan, features: Mapping[tuple[Backbone, Recipe], Features]) -> Features:
    """Join the vectors of the parts of a plan, and put its views beside."""
    views = [
        [features[part] for part in made_by.of_view(view)] for view in range(made_by.views + 1)
    ]
    first = views[0][0]
    embedded = [
        any(each.outcomes[file].status == "embedded" for parts in views for each in parts)
        for file in range(len(first.outcomes))
    ]
    outcomes = [
        replace(outcome, status="embedded") if new else outcome
        for outcome, new in zip(first.outcomes, embedded, strict=True)
    ]
    if isinstance(made_by.recipe, Fusion):
        X, *others = (join([each.matrix for each in parts]) for parts in views)
        slowness = sum(1 / each.images_per_second for each in views[0])
        parts = tuple(each.recipe for each in views[0] if isinstance(each.recipe, Recipe))
        first = replace(first, X=X, recipe=Fusion(parts), images_per_second=1 / slowness)
    else:
        others = [parts[0].X for parts in views[1:]]
    return replace(first, outcomes=tuple(outcomes), views=tuple(others))


def embed_recipes(
    images: ImageFolder,
    prepared: Sequence[tuple[Backbone, Recipe]],
    *,
    engine: str = "auto",
    cache: str | PathLike[str] | bool | None = None,
    on_error: str = "skip",
    batch_size: int | None = None,
    progress: bool = True,
) -> list[Features]:
    """Embed images by several recipes that `prepare` has settled, each picture decoded once.

    A network runs once for recipes that differ by the pooling alone, "avg" and "max". The options
    are those of `embed`.
    """
    check_choice("on_error", on_error, ON_ERROR)
    if batch_size is not None and (not isinstance(batch_size, int | np.integer) or batch_size < 1):
        raise OptionError(f"batch size {batch_size!r}: expected a whole number from 1 up")
    chosen = choose_engine(engine)
    prepared = [
        (backbone, replace(recipe, precision=settle_precision(recipe.precision, chosen)))
        for backbone, recipe in prepared
    ]
    kept = cache_folder(cache)  # converted networks always are
    with ExitStack() as stack:
        folder = kept
        if cache is False:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="featx-")))
        memo = stack.enter_context(
            DigestMemo(None if cache is False else folder / "digests.sqlite")
        )
        joined = _joined(prepared)

        @remember  # views of a picture go through one engine
        def opened(backbone: Backbone, recipe: Recipe, pooling: str) -> Engine:
            return open_engine(
                backbone,
                layer=recipe.layer,
                pooling=pooling,
                input_size=recipe.input_size,
                precision=recipe.precision,
                engine=engine,
                batch_size=None if batch_size is None else int(batch_size),
                cache=kept,
            )

        lanes = [
            Lane(
                [FeatureStore(folder, replace(recipe, pooling=each)) for each in poolings],
                recipe.fit,
                partial(opened, backbone, recipe.of_view(0), "+".join(poolings)),
            )
            for backbone, recipe, poolings in joined
        ]
        filling = Filling(
            images.paths,
            lanes,
            digests=memo.known(images.paths),
            raise_errors=on_error == "raise",
            progress=", ".join(dict.fromkeys(each.name for each, *_ in joined))
            if progress
            else None,
            advise=Advice(images.paths, lanes),
        )
        try:
            filling.run()
        finally:
            for lane in lanes:
                lane.close()
            memo.remember(filling.read)
        filled = {
            (backbone, store.recipe): (store, embedded)
            for (backbone, *_), lane in zip(joined, lanes, strict=True)
            for store, embedded in zip(lane.stores, lane.embedded, strict=True)
        }
        return [
            replace(
                assemble(images, each[0], *filled[each], filling.digests, filling.failures),
                seconds=filling.seconds,
            )
            for each in prepared
        ]


def _joined(
    prepared: Sequence[tuple[Backbone, Recipe]],
) -> list[tuple[Backbone, Recipe, tuple[str, ...]]]:
    """List each network once, with the poolings that one run of it gives."""
    runs: dict[tuple[Backbone, Recipe], list[str]] = {}
    for backbone, recipe in prepared:
        joins = recipe.pooling in JOINT_POOLINGS and joins_poolings(backbone, recipe.layer)
        run = replace(recipe, pooling=JOINT_POOLINGS[0]) if joins else recipe
        runs.setdefault((backbone, run), []).append(recipe.pooling)
    return [
        (backbone, recipe, tuple(sorted(set(poolings))))
        for (backbone, recipe), poolings in runs.items()
    ]
