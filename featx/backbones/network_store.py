"""Networks in OpenVINO's form that are kept on disk, so that what made them is needed only once.

Each has a folder of its own, written beside and renamed into place::

    network.xml, .bin     the network
    <description>.json    what shaped it, for a person to read, and checksums

The key of a folder covers everything that shapes the network. One whose checksums do not hold is
made anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zlib
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.backbones.framework import import_openvino
from featx.errors import StorageError, get_logger, one_line
from featx.files import cache_folder, storage_errors

if TYPE_CHECKING:
    import openvino

DESCRIPTION = "network.json"  # of whole networks
_FILES = ("network.xml", "network.bin")

log = get_logger(__name__)


def networks_folder(cache: Path | None = None) -> Path:
    """Return the folder of a cache for whole networks that another library made."""
    return (cache_folder() if cache is None else cache) / "networks"


def key_of(settings: Mapping[str, Any]) -> str:
    """Return 32 hexadecimal characters that differ wherever the settings do."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def whole_network(
    settings: Mapping[str, Any], make: Callable[[], openvino.Model]
) -> openvino.Model:
    """Return the network that settings shape, from the user's cache or made now and kept there."""
    settings = {**settings, "openvino": metadata.version("openvino")}
    folder = networks_folder() / key_of(settings)
    network = read_network(folder, DESCRIPTION)
    if network is None:
        network = make()
        try:
            write_network(folder, DESCRIPTION, network, settings)
        except StorageError as error:
            log.warning("%s; the network is not kept, and made again next time", error)
    return network


def read_network(folder: Path, description: str) -> openvino.Model | None:
    """Read a network that was kept; None where there is none, or a damaged one."""
    try:
        sums = json.loads((folder / description).read_text())["crc32"]
        if all(_crc32(folder / name) == sums[name] for name in _FILES):
            return import_openvino().Core().read_model(folder / _FILES[0])
    except (FileNotFoundError, NotADirectoryError):  # or another process clears the cache
        return None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        log.info("%s cannot be read: %s", folder, one_line(error))
    log.warning("the converted network %s is damaged; it is converted again", folder)
    return None


def write_network(
    folder: Path, description: str, network: openvino.Model, settings: Mapping[str, Any]
) -> None:
    """Keep a network in a folder of its own, whole or not at all."""
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent) as beside:
            work = Path(beside) / "engine"
            work.mkdir()
            try:
                import_openvino().save_model(network, work / _FILES[0], compress_to_fp16=False)
            except RuntimeError as error:  # a full disk, in OpenVINO's words
                raise OSError(one_line(error)) from error
            sums = {name: _crc32(work / name) for name in _FILES}
            text = json.dumps({**settings, "crc32": sums}, indent=2)
            (work / description).write_text(text + "\n")
            shutil.rmtree(folder, ignore_errors=True)
            try:
                work.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was quicker
                    raise


def _crc32(path: Path) -> int:
    total = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total = zlib.crc32(block, total)
    return total
