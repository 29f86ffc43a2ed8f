"""Kinds of networks: every row loads, and the first that claims a name is the one that does."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from featx.backbones.backbone import Backbone
from featx.backbones.framework import imported
from featx.backbones.kinds import KINDS, PIXELS, Kind
from featx.backbones.table import BACKBONES

NAMES = [PIXELS, *BACKBONES]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.filterwarnings("ignore:the weights of")
def test_every_kind_has_a_loader_that_makes_backbones_of_this_kind(kind):
    claimed = [name for name in NAMES if next(each for each in KINDS if each.claims(name)) is kind]
    assert claimed != [], "no name shows what this kind loads: add one to NAMES"
    load = imported(kind.loader)
    backbone = load(claimed[0], "random", None)
    assert (backbone.kind, backbone.name) == (kind.name, claimed[0])
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
    kinds = (
        Kind("other", lambda name: name == "other", "no.such.module:load"),
        Kind("first", lambda name: name.startswith("a"), "kinds_of_a_test:first"),
        Kind("second", lambda name: True, "kinds_of_a_test:second"),
    )
    monkeypatch.setattr("featx.backbones.backbone.KINDS", kinds)
    assert Backbone.load("ant") == "ant by first"
    assert Backbone.load("bee", "random", layer="wing") == "bee by second"
    assert asked == [("first", "ant", "imagenet", None), ("second", "bee", "random", "wing")]
