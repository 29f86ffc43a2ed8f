"""Networks of KerasHub, by the name of a preset or its folder: "keras_hub:NAME".

KerasHub is imported only where a network has to be built or a preset to be found: what is known of
a preset stands in its folder, and in which folder a name is stands below the cache folder, in
`networks/<key>.json`.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import json
import os
import re
import socket
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.backbones.backbone import Backbone
from featx.backbones.framework import import_keras
from featx.backbones.keras_hub_preset import (
    CONFIG,
    CONVERTERS,
    WEIGHTS,
    Preset,
    is_preset,
    read_preset,
)
from featx.backbones.keras_settings import usual_settings
from featx.backbones.keras_weights import draw
from featx.backbones.network import named_layers
from featx.backbones.preprocessing import PreprocessLike, preprocessing_of, written_name
from featx.backbones.weights import RANDOM_DIGEST, Weights, file_digest
from featx.errors import (
    OptionError,
    StorageError,
    UnknownBackboneError,
    WeightsError,
    get_logger,
    one_line,
    warn,
)
from featx.files import cache_folder, written
from featx.forks import starting
from featx.tensors.hdf5_file import check_weights_file
from featx.text import listed

if TYPE_CHECKING:
    import keras

PREFIX = "keras_hub:"
_HUGGING_FACE = "hf://"
_NO_PLACES = ("imagenet", "random")  # of weights
_OF_TEXTS = re.compile(r"BLIP2|\w*Gemma|Qwen|VideoPrism|PARSeq")  # or of pictures and texts
_SMALLEST_SIZE = 32  # px, of networks that take pictures of any size

log = get_logger(__name__)


@dataclass(frozen=True)
class KerasHubNetwork:
    """A network of KerasHub with its weights, as `featx.backbones.backbone.Source` says.

    All are equal: the name and the digest of the backbone tell them apart.
    """

    preset: Preset = field(compare=False)
    name: str = field(compare=False)
    weights: Weights = field(compare=False)
    pools_freely: bool = field(default=True, compare=False)

    @property
    def prefix_tokens(self) -> int | None:
        """How many tokens stand before those of patches; see `featx.backbones.backbone.Source`."""
        return self.preset.prefix_tokens

    def network(
        self, layer: str | None, pooling: str | None, input_size: int
    ) -> tuple[keras.Model, dict[str, keras.layers.Layer]]:
        """Build the network and load its weights; see `featx.backbones.backbone.Source`."""
        whole = _built(self.preset, self.name, input_size)
        path = self.weights.path
        if path is None:
            draw(whole)
        else:
            _read_into(whole, path, self.name)
        if self.digests() != (self.weights.digest,):
            raise WeightsError(
                f"{path} was replaced by another file after {self.name} was loaded: load the "
                "backbone again"
            )
        network = _seeing(whole, self.name)
        return network, named_layers(network)

    def digests(self) -> tuple[str, ...]:
        """Return the digest of architecture and weights; see `featx.backbones.backbone.Source`."""
        return (_digest(self.preset, self.weights.path),)


def load(
    name: str, weights: str | Path, layer: str | None, preprocess: PreprocessLike | None = None
) -> Backbone:
    """Take a network by the name of its preset; see `Backbone.load`."""
    return hub_backbone(name.removeprefix(PREFIX), weights, preprocess, layer)


def hub_backbone(
    name: str | os.PathLike[str],
    weights: str | os.PathLike[str],
    preprocess: PreprocessLike | None,
    layer: str | None,
) -> Backbone:
    """Make a backbone of a preset; see `Backbone.from_keras_hub`."""
    name = os.fspath(name)
    if not name:
        raise OptionError(
            f"backbone {PREFIX!r}: expected the name of a preset of KerasHub, or a folder of one, "
            "behind the colon"
        )
    folder, name, source = _found(name, weights)
    preset = read_preset(folder)
    chosen = _weights(preset, name, source)
    scaling = preset.scaling if preprocess is None else preprocess
    if scaling is None:
        raise OptionError(
            f"{folder} does not say what pixels go through first: it needs an image_converter.json "
            "(save the network's ImageConverter there, too), or give preprocess, such as 'torch'"
        )
    function = preprocessing_of(scaling)
    size = preset.input_size
    return Backbone(
        name=name,
        digest=chosen.digest,
        input_size=size,
        min_size=size if preset.takes_one_size else _SMALLEST_SIZE,
        max_size=size if preset.takes_one_size else None,
        preprocessing=written_name(function),
        layer=layer,
        preprocess=function,
        source=KerasHubNetwork(preset, name, chosen),
        weights=chosen,
    )


def import_keras_hub() -> Any:
    """Import KerasHub, or say how to get it."""
    if importlib.util.find_spec("keras_hub") is None:
        raise OptionError(
            'networks of KerasHub need keras-hub, which is not installed: pip install "featx[hub]"'
        )
    import_keras()
    with starting:
        try:
            import keras_hub
        except Exception as error:  # such as a TensorFlow that its tensorflow-text was not made for
            raise OptionError(
                f"KerasHub cannot be imported ({one_line(error)}): install it anew, "
                'pip install -U "featx[hub]"'
            ) from error
    return keras_hub


def names() -> list[str]:
    """List the networks of KerasHub that take pictures."""
    layers = import_keras_hub().layers
    converters = [getattr(layers, each) for each in dir(layers) if each.endswith("ImageConverter")]
    seeing = [each.backbone_cls for each in converters if getattr(each, "backbone_cls", None)]
    found = {name for each in seeing if not _OF_TEXTS.match(each.__name__) for name in each.presets}
    return [f"{PREFIX}{name}" for name in sorted(found)]


def _found(name: str, weights: str | os.PathLike[str]) -> tuple[Path, str, str]:
    """Return the folder of a preset, what to call the network, and where its weights come from."""
    weights = weights if weights in _NO_PLACES else os.path.abspath(os.path.expanduser(weights))
    if weights not in _NO_PLACES and is_preset(Path(weights)):
        own = Path(os.path.abspath(os.path.expanduser(name)))
        return Path(weights), PREFIX + (own.name if is_preset(own) else name), str(weights)
    folder = Path(os.path.abspath(os.path.expanduser(name)))
    if is_preset(folder):
        if weights not in _NO_PLACES:
            raise WeightsError(
                f"{folder} is a preset with weights of its own: leave out {weights}, or put it "
                f"there as {WEIGHTS}"
            )
        return folder, PREFIX + folder.name, "random" if weights == "random" else str(folder)
    if os.path.isabs(os.path.expanduser(name)) or name.startswith("."):
        raise WeightsError(f"{folder} is no preset of KerasHub: expected a folder with {CONFIG}")
    files = (CONFIG, WEIGHTS) if weights == "imagenet" else (CONFIG,)
    return _known(name, files) or _asked(name, files), PREFIX + name, str(weights)


def _weights(preset: Preset, name: str, source: str) -> Weights:
    """Settle what a network gets as weights: those of a preset, random ones, or a file."""
    if source == "random":
        warn(
            f"the weights of {name} are random, so its features are meaningless: "
            "use them for trying out only",
        )
        return Weights(source, None, _digest(preset, None))
    path = preset.weights if source in ("imagenet", str(preset.folder)) else Path(source)
    if path != preset.weights and not (os.path.isfile(path) and path.name.endswith(".weights.h5")):
        raise WeightsError(
            f"no weights of {name} at {path}: expected 'imagenet' (its own), 'random', the folder "
            "of a preset, or a file that ends in .weights.h5"
        )
    return Weights(source, path, _digest(preset, path))


def _digest(preset: Preset, path: Path | None) -> str:
    if path is None:
        return preset.digest(RANDOM_DIGEST)
    return preset.digest(preset.weights_digest() if path == preset.weights else file_digest(path))


@usual_settings()
def _built(preset: Preset, name: str, input_size: int) -> keras.Model:
    """Build the network of a preset for pictures of a size, without its weights."""
    models = import_keras_hub().models
    sized = "image_shape" in preset.config and not preset.takes_one_size
    options = {"image_shape": (input_size, input_size, 3)} if sized else {}
    try:
        return models.Backbone.from_preset(
            str(preset.folder), load_weights=False, dtype="float32", **options
        )
    except Exception as error:  # whatever KerasHub says of settings that do not belong together
        raise OptionError(
            f"KerasHub cannot build {name} for pictures of {input_size} px: {one_line(error)}"
        ) from error


def _read_into(network: keras.Model, path: Path, name: str) -> None:
    try:
        check_weights_file(path)
        network.load_weights(str(path))
    except WeightsError:
        raise
    except Exception as error:  # of h5py and Keras, about a damaged file or that of another network
        raise WeightsError(f"{path} does not fit {name}: {one_line(error)}") from error


def _seeing(network: keras.Model, name: str) -> keras.Model:
    """Return the part of a network that takes pictures: of CLIP and its like, not that of texts."""
    import keras

    if hasattr(network, "get_vision_embeddings"):
        pictures = keras.Input(network.vision_encoder.image_shape, name="images")
        return keras.Model(pictures, network.get_vision_embeddings(pictures))
    shapes = [tuple(each.shape) for each in network.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] != 3:
        raise OptionError(
            f"a backbone takes one RGB picture: {name} has inputs of shape "
            f"{', '.join(map(str, shapes))}"
        )
    return network


def _known(name: str, files: tuple[str, ...]) -> Path | None:
    """Return the folder that a preset is known to lie in, if these files are still there."""
    try:
        about = json.loads(_note(name).read_text())
        folder, version = Path(about["folder"]), about["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    same = about["preset"] == name and _version() in (version, None)
    return folder if same and all((folder / file).is_file() for file in files) else None


def _asked(name: str, files: tuple[str, ...]) -> Path:
    """Ask KerasHub for the files of a preset, of its cache or its hub; return their folder."""
    hub = import_keras_hub()
    if "://" not in name and name not in hub.models.Backbone.presets:
        near = difflib.get_close_matches(name, hub.models.Backbone.presets, n=3)
        hint = f": did you mean {listed(near)}?" if near else ""
        raise UnknownBackboneError(
            f"KerasHub has no preset {name!r}{hint} (`featx backbones keras_hub:` lists all; "
            "a folder of a preset will do, too)"
        )
    try:
        paths = [_file_of(name, file) for file in files]
        for converter in CONVERTERS:
            with suppress(FileNotFoundError):
                _file_of(name, converter)
                break
    except Exception as error:  # whatever the network below says
        host = _host(name)
        reason = one_line(error) if _is_known(host) else f"{host} cannot be reached"
        raise WeightsError(
            f"cannot fetch {PREFIX}{name} ({reason}): bring the folder of the preset here from a "
            "machine that has a network, and name it: weights=FOLDER"
        ) from error
    folder = Path(paths[0]).parent
    remember(name, folder)
    return folder


def _file_of(name: str, file: str) -> str:
    """Return the path of a file of a preset, of the cache of its hub or downloaded now."""
    if name.startswith(_HUGGING_FACE) and not _is_known(_host(name)):  # it would try half a minute
        import huggingface_hub

        handle = name.removeprefix(_HUGGING_FACE)
        return str(huggingface_hub.hf_hub_download(handle, file, local_files_only=True))
    from keras_hub.src.utils.preset_utils import get_file

    return str(get_file(name, file))


def _host(name: str) -> str:
    return "huggingface.co" if name.startswith(_HUGGING_FACE) else "api.kaggle.com"


def _is_known(host: str) -> bool:
    """Whether there may be a way to a host: a proxy, or an address."""
    if urllib.request.getproxies():
        return True
    try:
        socket.getaddrinfo(host, "https")
    except OSError:
        return False
    return True


def remember(name: str, folder: Path) -> None:
    """Write down in which folder the preset of a name lies."""
    about = {"preset": name, "folder": str(folder), "version": _version()}
    try:
        _note(name).parent.mkdir(parents=True, exist_ok=True)
        with written(_note(name)) as file:
            file.write_text(json.dumps(about, indent=2) + "\n")
    except (OSError, StorageError) as error:
        log.warning("%s; KerasHub is asked again next time", error)


def _note(name: str) -> Path:
    key = hashlib.sha256(f"{PREFIX}{name}".encode()).hexdigest()[:32]
    return cache_folder() / "networks" / f"{key}.json"


def _version() -> str | None:
    """Return the version of KerasHub that is installed: each knows certain versions of presets."""
    try:
        return metadata.version("keras-hub")
    except metadata.PackageNotFoundError:
        return None
