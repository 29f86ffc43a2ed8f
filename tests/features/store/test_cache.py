"""What a cache holds can be looked at and removed, and nothing else is."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from featx.backbones.engines.conversion import DESCRIPTION, engines_folder
from featx.backbones.network_store import networks_folder
from featx.errors import OptionError, StorageError
from featx.features.recipe import RecipePart
from featx.features.store.cache import clear, contents, engines
from featx.features.store.calibrations import calibrations_folder
from featx.features.store.folder import shard_paths
from featx.features.store.store import Damage, FeatureStore
from featx.images.digests import digest_bytes

RESNET = RecipePart.of("resnet50", "0123456789abcdef" * 4, 224)
RESNET_MAX = RecipePart.of("resnet50", "0123456789abcdef" * 4, 224, pooling="max")
VGG = RecipePart.of("vgg16", "fedcba9876543210" * 4, 224)
DAY = 86_400


def fill(cache: Path, recipe: RecipePart, rows: int, start: int = 0) -> Path:
    """Store some rows, and return their shard."""
    store = FeatureStore(cache, recipe)
    digests = [digest_bytes(b"%d" % number) for number in range(start, start + rows)]
    store.append(digests, np.ones((rows, 9), np.float32))
    return shard_paths(store.folder)[-1]


@pytest.fixture
def cache(tmp_path):
    """Five vectors of three recipes, two of them of one backbone."""
    fill(tmp_path, RESNET, 2)
    fill(tmp_path, RESNET_MAX, 1)
    fill(tmp_path, VGG, 2)
    return tmp_path


def left(cache: Path) -> dict[str, int]:
    return {recipe.fingerprint: recipe.rows for recipe in contents(cache)}


def files(cache: Path) -> list[str]:
    return sorted(str(path) for path in cache.rglob("*") if path.is_file())


def test_contents_say_what_each_recipe_has(cache):
    newest = fill(cache, VGG, 3, start=2)
    found = {recipe.fingerprint: recipe for recipe in contents(cache)}
    assert list(found) == sorted(each.fingerprint for each in (RESNET, RESNET_MAX, VGG))
    recipe = found[VGG.fingerprint]
    assert (recipe.rows, recipe.damages, recipe.settings) == (5, (), VGG.to_dict())
    assert recipe.bytes == sum(path.stat().st_size for path in newest.parent.glob("*.arrow"))
    assert recipe.newest == newest.stat().st_mtime


def test_what_a_recipe_has_is_told_as_a_line_and_as_plain_values(cache):
    damaged = fill(cache, VGG, 1, start=2)
    damaged.write_bytes(b"")
    found = {recipe.fingerprint: recipe for recipe in contents(cache)}
    assert found[RESNET.fingerprint].text == str(RESNET)
    assert found[VGG.fingerprint].text == f"{VGG}, DAMAGED"
    os.utime(damaged, (time.time() + 3 * DAY,) * 2)
    (recipe,) = [each for each in contents(cache) if each.fingerprint == VGG.fingerprint]
    assert json.loads(json.dumps(recipe.to_dict())) == {
        "fingerprint": VGG.fingerprint,
        "rows": 2,
        "bytes": recipe.bytes,
        "damaged": [str(damaged)],
        "days_old": -3.0,
        "settings": VGG.to_dict(),
    }


def test_there_may_be_no_cache_yet_or_nothing_in_it(tmp_path):
    (tmp_path / "features" / RESNET.fingerprint).mkdir(parents=True)
    assert contents(tmp_path / "nowhere") == []
    assert clear(tmp_path / "nowhere") == 0
    (recipe,) = contents(tmp_path)
    assert (recipe.rows, recipe.bytes, recipe.newest, recipe.settings) == (0, 0, 0, None)
    assert recipe.to_dict()["days_old"] is None


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00"])
def test_settings_that_cannot_be_read_hide_no_rows(tmp_path, text):
    shard = fill(tmp_path, VGG, 2)
    (shard.parent / "recipe.json").write_text(text)
    (recipe,) = contents(tmp_path)
    assert (recipe.settings, recipe.rows) == (None, 2)
    assert recipe.text == "unreadable recipe.json"


@pytest.mark.parametrize(
    "change", [{"input_size": "224"}, {"weights": []}, {"parts": [5]}, {"mood": "good"}], ids=str
)
def test_settings_of_another_form_are_a_line_and_no_crash(tmp_path, change):
    shard = fill(tmp_path, VGG, 2)
    settings = change if "parts" in change else VGG.to_dict() | change
    (shard.parent / "recipe.json").write_text(json.dumps(settings))
    (recipe,) = contents(tmp_path)
    assert (recipe.settings, recipe.text) == (settings, "unreadable recipe.json")


def test_damaged_shards_are_listed_with_their_reason(cache):
    cut, flipped = fill(cache, VGG, 3, start=2), fill(cache, VGG, 1, start=5)
    cut.write_bytes(cut.read_bytes()[:-9])
    vector = np.ones(9, np.float32).tobytes()
    flipped.write_bytes(flipped.read_bytes().replace(vector, vector[:-1] + b"\0"))
    (recipe,) = [each for each in contents(cache) if each.fingerprint == VGG.fingerprint]
    assert recipe.rows == 2
    assert recipe.damages == (
        Damage(cut, "Not an Arrow file"),
        Damage(flipped, "1 of 1 vectors do not match their checksums"),
    )


def test_a_shard_that_cannot_be_read_is_listed_too(cache, monkeypatch):
    shard = fill(cache, VGG, 3, start=2)
    real = Path.open

    def forbidden(path, *args, **kwargs):
        if path == shard:
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", forbidden)
    (recipe,) = [each for each in contents(cache) if each.fingerprint == VGG.fingerprint]
    assert (recipe.rows, recipe.damages) == (
        2,
        (Damage(shard, "cannot be read: Permission denied"),),
    )


@pytest.mark.parametrize(
    ("recipes", "stay"),
    [
        ((), ()),
        (("resnet50",), (VGG,)),
        (("vgg16", "resnet50"), ()),
        ((RESNET.fingerprint,), (RESNET_MAX, VGG)),
        ((RESNET.fingerprint[:6],), (RESNET_MAX, VGG)),
        ((VGG.fingerprint, "vgg16", VGG.fingerprint[:9]), (RESNET, RESNET_MAX)),
    ],
    ids=str,
)
def test_recipes_are_removed_by_fingerprint_or_backbone_and_all_by_neither(cache, recipes, stay):
    before = sum(recipe.bytes for recipe in contents(cache))
    removed = clear(cache, recipes)
    assert left(cache).keys() == {recipe.fingerprint for recipe in stay}
    assert removed == before - sum(recipe.bytes for recipe in contents(cache))
    folders = {path.name for path in (cache / "features").iterdir()}
    assert folders == {recipe.fingerprint for recipe in stay}, "empty folders are left"


@pytest.mark.parametrize("name", ["vgg", RESNET.fingerprint[:5], "f" * 32, "", "..", "*"])
def test_a_name_of_nothing_is_an_error_and_removes_nothing(cache, name):
    before = files(cache)
    with pytest.raises(OptionError, match=r"nothing of .* in the cache .*`featx cache info` lists"):
        clear(cache, ("resnet50", name))
    assert files(cache) == before


def test_only_what_is_older_is_removed(cache):
    old, new = shard_paths(cache / "features" / VGG.fingerprint)[0], fill(cache, VGG, 3, start=2)
    os.utime(old, (time.time() - 10 * DAY,) * 2)
    size = old.stat().st_size
    assert clear(cache, older_than=11) == 0
    assert clear(cache, ("resnet50",), older_than=9) == 0
    assert clear(cache, older_than=9) == size
    assert (old.exists(), new.exists()) == (False, True)
    assert left(cache)[VGG.fingerprint] == 3
    assert (new.parent / "recipe.json").exists()


def test_what_is_not_of_the_cache_is_left_alone(cache):
    foreign = [
        cache / "notes.txt",
        cache / "features" / "notes.txt",
        cache / "features" / ("0" * 32),
        cache / "features" / "my pictures" / "1.arrow",
        cache / "features" / "my pictures" / "deep" / "1.jpg",
        cache / "features" / VGG.fingerprint / "notes.txt",
        cache / "features" / VGG.fingerprint / ".hidden",
    ]
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        os.utime(path, (0, 0))
    assert left(cache)[VGG.fingerprint] == 2
    assert len(left(cache)) == 3
    clear(cache)
    assert files(cache) == sorted(map(str, foreign))


def test_half_written_files_of_killed_writers_are_removed_once_they_are_old(cache):
    folder = cache / "features" / VGG.fingerprint
    young, old = folder / ".1-0123456789ab.arrow", folder / ".recipe-0123456789ab.json"
    for path in (young, old):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * 3600,) * 2)
    assert clear(cache, older_than=9) == 4
    assert (young.exists(), old.exists()) == (True, False)
    assert left(cache)[VGG.fingerprint] == 2


def test_a_file_that_cannot_be_removed_is_an_error(cache, monkeypatch):
    def forbidden(path, **_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", forbidden)
    with pytest.raises(StorageError, match=rf"cannot write {cache}.*: permission denied"):
        clear(cache)


def test_a_cleared_cache_fills_again(cache):
    store = FeatureStore(cache, VGG)
    clear(cache)
    store.append([digest_bytes(b"9")], np.ones((1, 9), np.float32))
    assert left(cache) == {VGG.fingerprint: 1}
    assert json.loads((store.folder / "recipe.json").read_text()) == VGG.to_dict()


# -- Converted networks --------------------------------------------------------------------------

RESNET_KEY, VGG_KEY = "0a" * 16, "1b" * 16


def convert(cache: Path, key: str, backbone: str, days_old: float = 0) -> Path:
    """Put something like a converted network into a cache."""
    folder = engines_folder(cache) / key
    folder.mkdir(parents=True)
    (folder / DESCRIPTION).write_text(json.dumps({"backbone": backbone, "input_size": 224}))
    (folder / "network.bin").write_bytes(bytes(1000))
    for path in folder.iterdir():
        os.utime(path, (time.time() - days_old * DAY,) * 2)
    return folder


@pytest.fixture
def networks(cache):
    """The cache, with two converted networks, one of them ten days old."""
    convert(cache, RESNET_KEY, "resnet50")
    convert(cache, VGG_KEY, "vgg16", days_old=10)
    return cache


def keys(cache: Path) -> list[str]:
    return [network.key for network in engines(cache)]


def test_converted_networks_are_listed_with_what_shaped_them(networks):
    first, second = engines(networks)
    assert (first.key, first.settings) == (RESNET_KEY, {"backbone": "resnet50", "input_size": 224})
    folder = engines_folder(networks) / RESNET_KEY
    assert first.bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert first.newest - second.newest == pytest.approx(10 * DAY, abs=60)
    described = "resnet50, avg pooling, 224 px, weights 0123456789ab"
    settings = {"backbone": "resnet50", "layer": None, "pooling": "avg", "input_size": 224}
    for more, text in (
        ({}, described),
        (
            {"precision": "int8", "calibration": "ef" * 32},
            described.replace("px", "px, int8, calibration efefefefefef"),
        ),
        ({"layer": "conv"}, described.replace(",", " at conv,", 1)),
    ):
        about = json.dumps(settings | {"weights": RESNET.weights} | more)
        (folder / DESCRIPTION).write_text(about)
        assert engines(networks)[0].text == text
    assert engines(networks)[0].to_dict() == {
        "key": RESNET_KEY,
        "bytes": sum(path.stat().st_size for path in folder.iterdir()),
        "days_old": pytest.approx(0, abs=0.01),
        "settings": settings | {"weights": RESNET.weights, "layer": "conv"},
    }
    (folder / DESCRIPTION).write_text("{")
    assert engines(networks)[0].settings is None
    assert engines(networks)[0].text == "unreadable engine.json"
    assert left(networks).keys() == {each.fingerprint for each in (RESNET, RESNET_MAX, VGG)}


def test_no_cache_holds_no_networks(tmp_path):
    assert engines(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("names", "older_than", "networks_stay", "recipes_stay"),
    [
        (("resnet50",), None, [VGG_KEY], (VGG,)),
        ((VGG_KEY,), None, [RESNET_KEY], (RESNET, RESNET_MAX, VGG)),
        ((VGG_KEY[:6],), None, [RESNET_KEY], (RESNET, RESNET_MAX, VGG)),
        ((RESNET.fingerprint,), None, [RESNET_KEY, VGG_KEY], (RESNET_MAX, VGG)),
        ((), None, [], ()),
        ((), 5, [RESNET_KEY], (RESNET, RESNET_MAX, VGG)),
        (("resnet50",), 5, [RESNET_KEY, VGG_KEY], (RESNET, RESNET_MAX, VGG)),
    ],
    ids=str,
)
def test_converted_networks_are_removed_by_key_backbone_or_age(
    networks, names, older_than, networks_stay, recipes_stay
):
    before = sum(path.stat().st_size for path in networks.rglob("*.*") if path.is_file())
    descriptions = {path for path in networks.rglob("recipe.json")}
    removed = clear(networks, names, older_than)
    assert keys(networks) == networks_stay
    assert left(networks).keys() == {recipe.fingerprint for recipe in recipes_stay}
    after = sum(path.stat().st_size for path in networks.rglob("*.*") if path.is_file())
    gone = {path for path in descriptions if not path.exists()}
    assert 0 <= before - after - removed <= 1000 * len(gone), "only recipe.json is not counted"


@pytest.mark.parametrize("place", [engines_folder, networks_folder, calibrations_folder])
def test_what_a_killed_conversion_left_goes_with_everything_and_only_once_it_is_old(
    networks, place
):
    fresh, old = (place(networks) / name for name in (".fresh", ".old"))
    for folder in (fresh, old):
        (folder / "engine").mkdir(parents=True)
        (folder / "engine" / "network.bin").write_bytes(bytes(10))
    os.utime(old / "engine" / "network.bin", (time.time() - DAY,) * 2)
    clear(networks)
    assert fresh.exists(), "a conversion that runs now was removed"
    assert not old.exists()
    assert keys(networks) == []
