"""The networks of a run, each once, with what becomes of their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from PIL import ImageFile

from featx.backbones.backbone import Backbone
from featx.backbones.engines.choice import open_engine, prepare
from featx.backbones.engines.engine import Engine, EngineRequest
from featx.features.batches import Batches
from featx.features.recipe import RecipePart
from featx.features.request import passes, with_pooling
from featx.features.settings import RunSettings
from featx.features.store.store import FeatureStore
from featx.features.worker import Work, WorkNetwork, version_of
from featx.features.writer import Writer
from featx.files import cache_folder, cache_place

_ALIKE = ("featx", "keras", "openvino", "pillow")  # packages that shape features


@dataclass(frozen=True, eq=False)
class Network:
    """A network of the run, with what it sees and what becomes of its vectors."""

    backbone: Backbone
    part: RecipePart
    batches: Batches
    writer: Writer


def networks_of(
    parts: Sequence[tuple[Backbone, RecipePart]], place: Path | str | None, settings: RunSettings
) -> list[Network]:
    """List each network once, with what becomes of the vectors that one run of it gives."""

    @cache  # views of a picture go through one engine
    def opened(backbone: Backbone, part: RecipePart, poolings: tuple[str, ...]) -> Engine:
        request = _engine_request(backbone, part, poolings, settings)
        return open_engine(request, settings.engine)

    return [
        Network(
            backbone,
            part,
            Batches(partial(opened, backbone, part.of_view(0), poolings)),
            Writer(
                [FeatureStore(place, with_pooling(part, each), shared=True) for each in poolings]
            ),
        )
        for (backbone, part), poolings in passes(parts).items()
    ]


def work_of(networks: Sequence[Network], settings: RunSettings) -> Work:
    """Write what the workers of a cluster are to do; networks are converted here, once."""
    place = cache_place(settings.cache)
    made = []
    for each in networks:
        poolings = tuple(store.recipe.cut.pooling for store in each.writer.stores)
        request = _engine_request(each.backbone, each.part.of_view(0), poolings, settings)
        engines = tuple(str(folder) for folder in prepare(request, settings.engine))
        backbone = replace(each.backbone, source=None) if engines else each.backbone
        made.append(WorkNetwork(backbone, each.part, poolings, engines))
    return Work(
        tuple(made),
        str(place.absolute()) if isinstance(place, Path) else place,
        settings.engine,
        settings.batch_size,
        bool(ImageFile.LOAD_TRUNCATED_IMAGES),
        tuple((name, version_of(name)) for name in _ALIKE),
    )


def _engine_request(
    backbone: Backbone, part: RecipePart, poolings: tuple[str, ...], settings: RunSettings
) -> EngineRequest:
    return EngineRequest(
        backbone,
        part.cut,
        poolings,
        part.square.size,
        cache_folder(settings.cache),  # converted networks are always kept
        None if settings.batch_size is None else int(settings.batch_size),
        settings.progress,
    )
