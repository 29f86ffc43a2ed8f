"""Networks of libraries built on PyTorch, by name: "timm:NAME", "torchvision:NAME".

The library and PyTorch are needed once. Kept on disk, below the cache folder::

    networks/<key>.json     what is known of a network with its weights: `Description`
    networks/<key>/         the network for pictures of a size, see `network_store`

The first key is that of a name and of where its weights come from, the second that of the weights
themselves and of the size.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.backbones.backbone import Backbone
from featx.backbones.framework import imported
from featx.backbones.kinds import OPENVINO
from featx.backbones.network_store import key_of, networks_folder, whole_network
from featx.backbones.preprocessing import preprocessing_of, written_name
from featx.backbones.torch_library import Built
from featx.backbones.torch_network import CONVERSION_VERSION, convert, digest_of
from featx.backbones.weights import FOLDER_VARIABLE, Weights
from featx.errors import OptionError, StorageError, WeightsError, get_logger, one_line, warn
from featx.files import written

if TYPE_CHECKING:
    import openvino

_FORMAT = 1  # of a description; raise it where a change makes another of the same network
_SMALLEST_SIZE = 8  # px
LIBRARIES = {
    "timm": "featx.backbones.timm_library:build",
    "torchvision": "featx.backbones.torchvision_library:build",
}

log = get_logger(__name__)


@dataclass(frozen=True)
class Description:
    """What is known of a network with its weights, without the library."""

    name: str  # "library:name"
    weights: str  # "imagenet", "random" or the absolute path of a file
    file: tuple[int, int] | None  # size and time of that file, in nanoseconds
    version: str  # of the library
    digest: str  # of the architecture and the weights
    input_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    prefix_tokens: int | None
    evaluated: str  # how pictures were made square where its accuracy was measured

    def settings(self, input_size: int) -> dict[str, Any]:
        """Return what shapes the network for pictures of a size."""
        return {
            "name": self.name,
            "weights": self.digest,
            "input_size": input_size,
            "conversion": CONVERSION_VERSION,
        }

    def to_json(self) -> str:
        """Write the description with its checksum."""
        values = asdict(self)
        return json.dumps({"format": _FORMAT, **values, "crc32": _crc32(values)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Description:
        """Read what `to_json` wrote; `ValueError` or `TypeError` for anything else."""
        values = json.loads(text)
        if values.pop("format") != _FORMAT or values.pop("crc32") != _crc32(values):
            raise ValueError("of another format, or damaged")
        tuples = {name: tuple(values[name]) for name in ("mean", "std")}
        file = values["file"] and tuple(values["file"])
        return cls(**{**values, **tuples, "file": file})


@dataclass(frozen=True)
class LibraryNetwork:
    """A network of a library, as `featx.backbones.backbone.OpenVINOSource` says.

    All are equal: the name and the digest of the backbone tell them apart.
    """

    about: Description = field(compare=False)
    pools_freely: bool = field(default=True, compare=False)

    @property
    def prefix_tokens(self) -> int | None:
        """How many tokens stand before those of patches, if known."""
        return self.about.prefix_tokens

    def model(self, input_size: int) -> openvino.Model:
        """Read the network, or convert it now; see `featx.backbones.backbone.OpenVINOSource`."""
        settings = self.about.settings(input_size)
        return whole_network(settings, lambda: self._converted(input_size))

    def digests(self) -> tuple[str, ...]:
        """Return the digest of the weights; see `featx.backbones.backbone.OpenVINOSource`."""
        return (self.about.digest,)

    def _converted(self, input_size: int) -> openvino.Model:
        about = self.about
        built = _build(about.name, about.weights, input_size)
        same_size = input_size == about.input_size  # else position embeddings are resampled
        same_file = _state_of(about.weights) == about.file
        if not same_file or (same_size and _digest(built) != about.digest):
            raise WeightsError(
                f"the weights of {about.name} are others than when it was loaded: load the "
                "backbone again"
            )
        return convert(built.network.for_inference(), input_size, about.name)


def load(name: str, weights: str | Path, layer: str | None) -> Backbone:
    """Take a network of a library; see `Backbone.load`."""
    weights = _settled(name, weights)
    if weights == "random":
        warn(
            f"the weights of {name} are random, so its features are meaningless: "
            "use them for trying out only"
        )
    about = _known(name, weights) or _described(name, weights)
    preprocess = preprocessing_of((about.mean, about.std))
    return Backbone(
        name=name,
        digest=about.digest,
        input_size=about.input_size,
        min_size=_SMALLEST_SIZE,
        preprocessing=written_name(preprocess),
        layer=layer,
        preprocess=preprocess,
        kind=OPENVINO,
        source=LibraryNetwork(about),
        weights=Weights(weights, Path(weights) if about.file else None, about.digest),
    )


def description_path(name: str, weights: str) -> Path:
    """Return the file in the user's cache that describes a network with its weights."""
    return networks_folder() / f"{key_of({'name': name, 'weights': weights})}.json"


def _settled(name: str, weights: str | Path) -> str:
    """Return "imagenet", "random" or the absolute path of a file that is there.

    A folder stands for its file of the network's name. The one that FEATX_WEIGHTS names is looked
    at before what the library publishes.
    """
    if weights == "random":
        return "random"
    if weights == "imagenet":
        named = os.environ.get(FOLDER_VARIABLE)
        file = named and _file_in(os.path.abspath(os.path.expanduser(named)), name)
        return file or "imagenet"
    path = os.path.abspath(os.path.expanduser(weights))
    if os.path.isdir(path):
        file = _file_in(path, name)
        if file is None:
            raise WeightsError(
                f"no weights of {name} in {path}: expected a file named "
                f"{' or '.join(_file_names(name))}"
            )
        return file
    if not os.path.isfile(path):
        raise WeightsError(
            f"no weights at {path}: expected 'imagenet', 'random', a file of the network's "
            f"tensors (.safetensors, .pth), or a folder that holds {_file_names(name)[0]}"
        )
    return path


def _file_in(folder: str, name: str) -> str | None:
    """Return the file of a network in a folder, if it is there."""
    paths = (os.path.join(folder, each) for each in _file_names(name))
    return next((path for path in paths if os.path.isfile(path)), None)


def _file_names(name: str) -> list[str]:
    """List the names of files in a folder that hold the weights of a network, the best first."""
    return [f"{name.partition(':')[2]}{suffix}" for suffix in (".safetensors", ".pth")]


def _known(name: str, weights: str) -> Description | None:
    """Read what was written of a network; None where it is not there, damaged or out of date."""
    path = description_path(name, weights)
    try:
        about = Description.from_json(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("%s is damaged (%s); it is made again", path, one_line(error))
        return None
    same = (about.name, about.weights, about.file) == (name, weights, _state_of(weights))
    return about if same and _version(name) in (about.version, None) else None


def _described(name: str, weights: str) -> Description:
    """Ask the library, and write down what it says."""
    file = _state_of(weights)
    built = _build(name, weights, None)
    about = Description(
        name=name,
        weights=weights,
        file=file,
        version=_version(name) or "",
        digest=_digest(built),
        input_size=built.input_size,
        mean=built.mean,
        std=built.std,
        prefix_tokens=built.prefix_tokens,
        evaluated=built.evaluated,
    )
    log.info("%s takes %d px; it was evaluated on a %s", name, about.input_size, about.evaluated)
    path = description_path(name, weights)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written(path) as file_beside:
            file_beside.write_text(about.to_json())
    except (OSError, StorageError) as error:
        log.warning("%s; the library is asked again next time", error)
    return about


def _build(name: str, weights: str, size: int | None) -> Built:
    library, _, network = name.partition(":")
    if not network:
        raise OptionError(f"backbone {name!r}: expected the name of a network behind the colon")
    build: Callable[[str, str, int | None], Built] = imported(LIBRARIES[library])
    return build(network, weights, size)


def _digest(built: Built) -> str:
    return digest_of(built.architecture, built.network.module)


def _state_of(weights: str) -> tuple[int, int] | None:
    """Return what tells that a file is still the same; None for weights of no file."""
    if weights in ("imagenet", "random"):
        return None
    try:
        state = os.stat(weights)
    except OSError as error:
        raise WeightsError(f"cannot read {weights}: {error.strerror}") from error
    return state.st_size, state.st_mtime_ns


def _version(name: str) -> str | None:
    """Return the version of the library that is installed."""
    try:
        return metadata.version(name.partition(":")[0])
    except metadata.PackageNotFoundError:
        return None


def _crc32(values: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(values, sort_keys=True).encode())
