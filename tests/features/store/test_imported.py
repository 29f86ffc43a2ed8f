"""Imported networks are listed, and go by name or with all, not by age."""

from __future__ import annotations

import json

import pytest

from featx.errors import OptionError
from featx.features.store.cache import clear
from featx.features.store.imported import imported_networks

KEY, OTHER = "ab" * 16, "cd" * 16


@pytest.fixture
def cache(tmp_path):
    """A cache of two imported networks, with the notes of their names."""
    for key, name in ((KEY, "timm:small"), (OTHER, "timm:large")):
        folder = tmp_path / "networks" / key
        folder.mkdir(parents=True)
        (folder / "network.bin").write_bytes(bytes(1000))
        about = {"name": name, "weights": "ef" * 32, "input_size": 224}
        (folder / "network.json").write_text(json.dumps(about))
        (tmp_path / "networks" / f"{key[::-1]}.json").write_text(json.dumps({"name": name}))
    return tmp_path


def names(cache):
    return [each.settings["name"] for each in imported_networks(cache)]


def test_networks_are_listed_by_name_with_what_shaped_them(cache):
    large, small = imported_networks(cache)
    assert small.text == "timm:small, 224 px, weights efefefefefef"
    assert large.path.name == OTHER
    assert large.bytes > 1000
    assert large.to_dict()["key"] == OTHER


def test_a_description_that_cannot_be_read_is_told(cache):
    (cache / "networks" / KEY / "network.json").write_text("[")
    assert "unreadable network.json" in [each.text for each in imported_networks(cache)]
    clear(cache)
    assert imported_networks(cache) == []


@pytest.mark.parametrize("name", ["timm:small", KEY[:6]])
def test_a_network_goes_by_name_or_key_with_the_note_of_its_name(cache, name):
    assert clear(cache, (name,)) > 1000
    assert names(cache) == ["timm:large"]
    notes = [json.loads(path.read_text())["name"] for path in (cache / "networks").glob("*.json")]
    assert notes == ["timm:large"]


def test_networks_are_no_matter_of_age(cache):
    clear(cache, older_than=0)
    assert names(cache) == ["timm:large", "timm:small"]
    clear(cache)
    assert names(cache) == []


def test_an_unknown_name_removes_nothing(cache):
    with pytest.raises(OptionError, match="nothing of 'timm:medium' in the cache"):
        clear(cache, ("timm:small", "timm:medium"))
    assert len(names(cache)) == 2
