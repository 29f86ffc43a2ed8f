"""Kinds of networks: where the network that a name stands for comes from."""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from featx.errors import UnknownBackboneError

PIXELS = "pixels"
OPENVINO = "openvino"  # in OpenVINO's form from the start, whatever it was made with


@dataclass(frozen=True)
class Kind:
    """A kind of network.

    Attributes
    ----------
    name : str
        What to call the kind.
    claims : callable
        Whether it knows a backbone of a name.
    loader : str
        What loads one, "module:callable": from name, weights and layer to a `Backbone`.
    form : str
        The form of its networks, `Backbone.kind`, which says what engines run them.
    usage : str
        How its networks are named, such as "timm:NAME"; "" where it needs no mention.
    text : str
        What they are, in a few words.
    modules : tuple of str
        What has to be installed for it.
    install : str
        What to install, such as "featx[timm]".
    lister : str or None
        What lists its networks, "module:callable": names with their prefix, or None where there is
        no end of them.
    preprocesses : bool
        Whether its loader takes `preprocess`, what pixels go through first, as its networks may
        not say it themselves.
    """

    name: str
    claims: Callable[[str], bool]
    loader: str
    form: str = "keras"
    usage: str = ""
    text: str = ""
    modules: tuple[str, ...] = ()
    install: str = ""
    lister: str | None = None
    preprocesses: bool = False

    @property
    def prefix(self) -> str:
        """What the names of its networks begin with, such as "timm:"; "" where that is nothing."""
        head, colon, _ = self.usage.partition(":")
        return head + colon if colon else ""

    @property
    def advice(self) -> str:
        """What to type where it is not installed."""
        return f'pip install "{self.install}"'

    @property
    def installed(self) -> bool:
        """Whether what it needs is installed; nothing is imported for that."""
        return all(importlib.util.find_spec(each) for each in self.modules)


def is_network_file(name: str) -> bool:
    """Whether a name is that of a file of a network: ONNX, or OpenVINO's own."""
    return name.lower().endswith((".onnx", ".xml"))


#: The first that claims a name loads it.
KINDS = [
    Kind(
        PIXELS,
        lambda name: name == PIXELS,
        "featx.backbones.pixels:load",
        form=PIXELS,
        usage=PIXELS,
        text="the pictures themselves, without a network",
    ),
    Kind(
        "file",
        is_network_file,
        "featx.backbones.network_file:load",
        form=OPENVINO,
        usage="FILE.onnx",
        text="a network in an ONNX file, or an .xml of OpenVINO",
        preprocesses=True,
    ),
    Kind(
        "keras_hub",
        lambda name: name.startswith("keras_hub:"),
        "featx.backbones.keras_hub_network:load",
        usage="keras_hub:NAME",
        text="a preset of KerasHub, or the folder of one",
        modules=("keras_hub",),
        install="featx[hub]",
        lister="featx.backbones.keras_hub_network:names",
        preprocesses=True,
    ),
    Kind(
        "timm",
        lambda name: name.startswith("timm:"),
        "featx.backbones.libraries:load",
        form=OPENVINO,
        usage="timm:NAME",
        text="a network of PyTorch Image Models",
        modules=("torch", "timm"),
        install="featx[timm]",
        lister="featx.backbones.timm_library:names",
    ),
    Kind(
        "torchvision",
        lambda name: name.startswith("torchvision:"),
        "featx.backbones.libraries:load",
        form=OPENVINO,
        usage="torchvision:NAME",
        text="a classifier of torchvision, cut before its last layer",
        modules=("torch", "torchvision"),
        install="featx[timm]",
        lister="featx.backbones.torchvision_library:names",
    ),
    Kind("keras", lambda name: True, "featx.backbones.applications:load"),
]
# Files that are no networks by themselves, or not in a form that can be run.
_WEIGHTS_FILES = (".pt", ".pth", ".safetensors", ".bin", ".ckpt")
_KERAS_FILES = (".keras", ".h5", ".hdf5")
_OTHER_FILES = (".tflite", ".pb", ".pt2", ".mlmodel", ".engine")
_PREFIX = re.compile(r"([A-Za-z][\w-]+):")  # of one letter, it is a drive of Windows


@contextmanager
def registered(kind: Kind) -> Iterator[Kind]:
    """Know a further kind of network, before all others, within the block."""
    KINDS.insert(0, kind)
    try:
        yield kind
    finally:
        KINDS.remove(kind)


def divided(text: str, separator: str) -> list[str]:
    """Divide names of networks at a separator, which the path of a file may hold."""
    pieces, names = text.split(separator), []
    while pieces:
        beginnings = {n: separator.join(pieces[:n]).strip() for n in range(len(pieces), 0, -1)}
        files = (n for n, name in beginnings.items() if os.path.isfile(os.path.expanduser(name)))
        length = next(files, 1)
        names.append(beginnings[length])
        del pieces[:length]
    return names


def kind_of(name: str) -> Kind:
    """Return the kind that loads a network of this name.

    Raises
    ------
    UnknownBackboneError
        The name begins as those of another kind do, and there is no such kind; or it is that of a
        file that is no network.
    """
    name = str(name)
    kind = next(kind for kind in KINDS if kind.claims(name))
    if kind is KINDS[-1]:
        _refuse_prefix(name)
        _refuse_file(name)
    return kind


def _refuse_prefix(name: str) -> None:
    """Raise an error for a name that begins as those of another kind do, and say what is near."""
    found = _PREFIX.match(name)
    if not found:
        return
    prefixes = [each.prefix for each in KINDS if each.prefix]
    near = difflib.get_close_matches(found[0].lower(), prefixes, n=1)
    guess = f"did you mean {near[0] + name[found.end() :]!r}? " if near else ""
    usages = ", ".join(each.usage for each in KINDS if each.usage)
    raise UnknownBackboneError(
        f"unknown backbone {name!r}: {guess}expected a name of `featx backbones`, or {usages}"
    )


def _refuse_file(name: str) -> None:
    """Raise an error for the name of a file that is no network, and say what to do with it."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix in _WEIGHTS_FILES:
        advice = "it holds weights: name the network that they are of, and give the file as weights"
    elif suffix in _KERAS_FILES:
        advice = (
            "a Keras model is given in Python, Backbone.from_keras(keras.saving.load_model(path)); "
            "weights of a network of the table are given as weights, beside its name"
        )
    elif suffix in _OTHER_FILES:
        advice = "export the network to ONNX"
    else:
        return
    raise UnknownBackboneError(
        f"unknown backbone {name!r}: of files, expected one that ends in .onnx or .xml; {advice}"
    )
