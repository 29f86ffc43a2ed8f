"""Calibrations in a cache: the first that was made for a network, a layer and a size stays.

On disk, below the cache folder::

    calibrations/<key>.calibration      a checksum, and what `Calibration.to_bytes` gives

The key covers the network, the layer and the size. So all features that one cache holds of a
network in int8 go together, and the vectors that are there stay of use.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path

from featx.backbones.backbone import Backbone
from featx.backbones.calibration import Calibration
from featx.backbones.network_store import key_of
from featx.backbones.shipped import SUFFIX, fits, shipped_calibration
from featx.errors import StorageError, get_logger, one_line
from featx.features.recipe import RecipePart
from featx.files import storage_errors

_held: dict[Path, Calibration] = {}  # what cannot be written, by where it would be

log = get_logger(__name__)


def calibrations_folder(cache: Path) -> Path:
    """Return the folder of a cache that has the calibrations."""
    return cache / "calibrations"


def known_calibration(cache: Path, backbone: Backbone, part: RecipePart) -> Calibration | None:
    """Return the calibration of a network for a part of a recipe; None where there is none yet.

    The first of: that of the backbone itself, the one that featx brings along, that of the cache.
    """
    layer, size = part.cut.layer, part.square.size
    own = backbone.calibration
    if own is not None and fits(own, backbone, layer, size):
        return own
    shipped = shipped_calibration(backbone, layer, size)
    if shipped is not None:
        return shipped
    path = _path(cache, backbone, part)
    kept = _held.get(path) or read_calibration(path)
    return kept if kept is not None and fits(kept, backbone, layer, size) else None


def keep_calibration(
    cache: Path, backbone: Backbone, part: RecipePart, calibration: Calibration
) -> Calibration:
    """Keep a calibration, and return the one that is kept: another process may have been first.

    Where the cache cannot be written, which is logged, it is held until this process ends.
    """
    path, data = _path(cache, backbone, part), _with_checksum(calibration.to_bytes())
    try:
        _write(path, data)
        kept = read_calibration(path)
        if kept is None:  # it was damaged, or cleared at once
            with storage_errors(path):
                path.unlink(missing_ok=True)
            _write(path, data)
        return kept or calibration
    except StorageError as error:
        log.warning("%s; the calibration is kept until this process ends", error)
        return _held.setdefault(path, calibration)


def read_calibration(path: Path) -> Calibration | None:
    """Read a calibration; None where there is none, or a damaged one, which is logged."""
    try:
        return Calibration.from_bytes(_checked(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # a StorageError of what is damaged, too
        log.warning("the calibration %s cannot be used: %s", path, one_line(error))
        return None


def _path(cache: Path, backbone: Backbone, part: RecipePart) -> Path:
    network = {
        "backbone": backbone.name,
        "weights": backbone.digest,
        "preprocessing": backbone.preprocessing,
        "layer": part.cut.layer,
        "input_size": part.square.size,
    }
    return calibrations_folder(cache) / f"{key_of(network)}{SUFFIX}"


def _with_checksum(data: bytes) -> bytes:
    return b"%08x\n" % zlib.crc32(data) + data


def _checked(data: bytes) -> bytes:
    """Return what follows a checksum; the first files had none."""
    first, _, rest = data.partition(b"\n")
    if len(first) != 8:
        return data
    if first != b"%08x" % zlib.crc32(rest):
        raise StorageError("damaged, its checksum does not hold; calibrate again")
    return rest


def _write(path: Path, data: bytes) -> None:
    """Write a file whole, unless there is one."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as beside:
            file = Path(beside) / path.name
            file.write_bytes(data)
            try:
                with suppress(FileExistsError):
                    os.link(file, path)
            except OSError:  # a file system without links
                if not path.exists():
                    file.replace(path)
