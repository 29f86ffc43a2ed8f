"""The calibration of networks for int8, on pictures of the run that needs it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from featx.backbones.backbone import Backbone
from featx.backbones.calibration import Calibration
from featx.backbones.engines.choice import calibrate, quickest_precision, require_calibrator
from featx.backbones.engines.engine import EngineRequest
from featx.errors import ConversionError, MissingPackageError, get_logger
from featx.features.options import EmbedOptions
from featx.features.reader import Reader
from featx.features.recipe import Recipe, RecipePart
from featx.features.request import NEAR, Request, cosine_of, with_calibration
from featx.features.store.calibrations import keep_calibration, known_calibration
from featx.files import cache_folder
from featx.images.folder import ImageFolder
from featx.images.quiet import quiet_pillow
from featx.images.square import Square
from featx.progress import waiting

N_PICTURES = 128  # that a network is calibrated on
FEWEST = 20
_MOST_BYTES = 512 << 20  # of pictures at once; large ones are fewer

log = get_logger(__name__)


def calibrated(
    requests: Sequence[Request], images: ImageFolder, settled: EmbedOptions
) -> list[Request]:
    """Give each network that lacks one a calibration, and keep that in the cache.

    It is measured on pictures that lie evenly over those that can be read. Where there are too few
    of them, or where `fast` alone asked for int8 and it cannot be calibrated, another precision is
    taken and a warning logged.

    Raises
    ------
    MissingPackageError
        int8 was asked for by its name, and what calibrates is not installed.
    ConversionError
        int8 was asked for by its name, and the network cannot be converted.
    OptionError
        The network cannot be read in this way, such as at a layer that it has not.
    """
    cache, made = cache_folder(settled["cache"]), dict[object, Calibration | None]()

    def ready(backbone: Backbone, part: RecipePart) -> tuple[Backbone, RecipePart]:
        if part.cut.precision != "int8" or part.cut.calibration is not None:
            return backbone, part
        network = backbone, part.cut.layer, part.square
        if network not in made:
            known = known_calibration(cache, backbone, part)
            known = known or _made(backbone, part, images, settled, cache)
            made[network] = known and _near(known, settled)
        calibration = made[network]
        if calibration is not None:
            return with_calibration(backbone, part, calibration)
        return backbone, replace(part, cut=replace(part.cut, precision=_instead(settled)))

    done = []
    for request in requests:
        parts = [ready(*each) for each in request.of_view(0)]
        backbones, recipes = zip(*parts, strict=True)
        done.append(replace(request, backbones=backbones, recipe=Recipe(recipes)))
    return done


def _near(calibration: Calibration, settled: EmbedOptions) -> Calibration | None:
    """Return a calibration, or say in a line why `fast` does without it."""
    if not settled["fast"] or cosine_of(calibration) >= NEAR:
        return calibration
    log.warning("%s: %s is used instead", _far(calibration), _instead(settled))
    return None


def _far(calibration: Calibration) -> str:
    """Say how far features in int8 are from those in float32."""
    return (
        f"int8 changes features of {calibration.network} more than it usually does (their mean "
        f"cosine to those in float32 is {cosine_of(calibration):.3f})"
    )


def _instead(settled: EmbedOptions) -> str:
    """Return the precision that takes the place of int8."""
    return quickest_precision(settled["engine"], but="int8") if settled["fast"] else "float32"


def _made(
    backbone: Backbone, part: RecipePart, images: ImageFolder, settled: EmbedOptions, cache: Path
) -> Calibration | None:
    """Calibrate a network on some of the images, or say in a line why not."""
    request = EngineRequest(
        backbone, part.cut, (part.cut.pooling,), part.square.size, cache, None, settled["progress"]
    )
    reason = f"calibrating {backbone.name} for int8, once: that may take a minute"
    try:
        if len(images) >= FEWEST:  # before any is decoded for it
            require_calibrator(backbone.kind, settled["engine"])
        with waiting(reason, shown=settled["progress"]):
            pictures = _sample(images, part.square)
            if len(pictures) >= FEWEST:
                measured = calibrate(request, np.stack(pictures), settled["engine"])
                if not settled["fast"] and cosine_of(measured) < NEAR:
                    log.warning("%s", _far(measured))
                return keep_calibration(cache, backbone, part, measured)
        why = (
            f"calibrating {backbone.name} for int8 takes {FEWEST} different pictures, and "
            f"{len(pictures)} can be read"
        )
    except (ConversionError, MissingPackageError) as error:  # others no precision mends
        if not settled["fast"]:
            raise
        why = str(error)
    log.warning("%s: %s is used instead", why, _instead(settled))
    return None


def _sample(images: ImageFolder, square: Square) -> list[np.ndarray]:
    """Decode pictures that lie evenly over those that can be read, copies once."""
    wanted = max(FEWEST, min(N_PICTURES, _MOST_BYTES // (3 * square.size**2)))
    rest, found = list(range(len(images.paths))), dict[str, np.ndarray]()
    reader = Reader(images.paths, [square], lambda digest: [] if digest in found else [0])
    with quiet_pillow():
        while rest and len(found) < wanted:
            chosen = _spread(rest, wanted - len(found))
            with closing(reader.files(chosen)) as files:
                found |= {file.digest or "": file.pixels[0] for file in files if file.pixels}
            rest = sorted(set(rest).difference(chosen))
    return list(found.values())


def _spread(places: Sequence[int], n: int) -> list[int]:
    """Choose up to n places that lie evenly among all."""
    chosen: Iterable[int] = np.linspace(0, len(places) - 1, min(n, len(places))).round().astype(int)
    return [places[position] for position in chosen]
