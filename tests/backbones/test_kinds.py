"""Kinds of networks: every row loads, and the first that claims a name is the one that does."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from featx.backbones.backbone import Backbone
from featx.backbones.framework import imported
from featx.backbones.kinds import KINDS, PIXELS, Kind, kind_of, registered
from featx.backbones.table import BACKBONES
from featx.errors import UnknownBackboneError

NAMES = [PIXELS, *BACKBONES, "timm:test_resnet", "torchvision:squeezenet1_1"]
FILES = ["file", "keras_hub"]  # kinds of networks in files, which tests of their own load


@pytest.mark.parametrize(
    "kind", [each for each in KINDS if each.name not in FILES], ids=lambda kind: kind.name
)
@pytest.mark.filterwarnings("ignore:the weights of")
def test_every_kind_has_a_loader_that_makes_backbones_of_this_kind(kind):
    claimed = [name for name in NAMES if next(each for each in KINDS if each.claims(name)) is kind]
    assert claimed != [], "no name shows what this kind loads: add one to NAMES"
    if not kind.installed:
        pytest.skip(f"needs {' and '.join(kind.modules)}")
    load = imported(kind.loader)
    backbone = load(claimed[0], "random", None)
    assert (backbone.kind, backbone.name) == (kind.form, claimed[0])
    assert Backbone.load(claimed[0], "random") == backbone


def test_kinds_are_told_apart_by_their_names():
    names = [kind.name for kind in KINDS]
    assert sorted(set(names)) == sorted(names)


def test_every_name_is_claimed_by_a_kind_so_that_an_unknown_one_is_told_what_there_is():
    assert [kind.name for kind in KINDS if kind.claims("no such network")] == [KINDS[-1].name]


def test_the_first_kind_that_claims_a_name_loads_it_and_no_other_is_asked(monkeypatch):
    asked = []

    def loader(kind):
        def load(name, weights, layer):
            asked.append((kind, name, weights, layer))
            return f"{name} by {kind}"

        return load

    module = SimpleNamespace(first=loader("first"), second=loader("second"))
    monkeypatch.setitem(sys.modules, "kinds_of_a_test", module)
    second = Kind("second", lambda name: True, "kinds_of_a_test:second")
    first = Kind("first", lambda name: name.startswith("a"), "kinds_of_a_test:first")
    other = Kind("other", lambda name: name == "other", "no.such.module:load")
    with registered(second), registered(first), registered(other):
        assert Backbone.load("ant") == "ant by first"
        assert Backbone.load("bee", "random", layer="wing") == "bee by second"
    assert kind_of("ant") is KINDS[-1], "a kind is known within its block only"
    assert asked == [("first", "ant", "imagenet", None), ("second", "bee", "random", "wing")]


@pytest.fixture
def timid():
    """A kind of network whose names begin with "timid:"."""
    kind = Kind(
        "timid",
        lambda name: name.startswith("timid:"),
        "no.such.module:load",
        usage="timid:NAME",
        modules=("no_such_module",),
        install="featx[timid]",
    )
    with registered(kind):
        yield kind


def test_a_kind_is_installed_where_its_modules_are_and_nothing_is_imported_to_know(timid):
    assert timid.prefix == "timid:"
    assert not timid.installed
    here = Kind("here", lambda name: False, "json:loads", modules=("xmlrpc", "tabnanny"))
    assert here.installed
    assert "tabnanny" not in sys.modules


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("timd:resnet", "unknown backbone 'timd:resnet': did you mean 'timid:resnet'? expected"),
        ("TIMID:ResNet", "did you mean 'timid:ResNet'?"),
        ("qqqqqq:resnet", "unknown backbone 'qqqqqq:resnet': expected a name of `featx backbones`"),
    ],
)
def test_an_unknown_prefix_gets_the_nearest_and_all_there_are(timid, name, words):
    with pytest.raises(UnknownBackboneError) as caught:
        Backbone.load(name)
    assert words in str(caught.value)
    assert "timid:NAME" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["resnet5", "c:resnet", "", None, 7])
def test_what_has_no_prefix_is_looked_for_in_the_table(name):
    with pytest.raises(UnknownBackboneError, match="expected one of efficientnet_lite0"):
        Backbone.load(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nets/resnet50.pth", "name the network that they are of, and give the file as weights"),
        ("model.SAFETENSORS", "it holds weights"),
        ("my model.keras", "Backbone.from_keras(keras.saving.load_model(path))"),
        ("net.tflite", "export the network to ONNX"),
    ],
)
def test_a_file_that_is_no_network_says_what_to_do_with_it(name, words):
    with pytest.raises(UnknownBackboneError) as caught:
        Backbone.load(name)
    message = str(caught.value)
    assert message.startswith(f"unknown backbone {name!r}: of files, expected one that ends in")
    assert words in message
    assert "\n" not in message
