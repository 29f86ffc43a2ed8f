"""`featx cache info`, `clear` and `verify`."""

import json
import os
import time
from pathlib import Path

import fakes
import pytest

import featx


@pytest.fixture
def cache(photos) -> Path:
    """The user's cache, with features of two recipes: 18 rows and 6 rows."""
    featx.embed(photos)
    featx.embed(photos / "red", "resnet50", weights=_weights(photos.parent))
    return Path(os.environ["FEATX_CACHE"])


def _weights(folder: Path) -> Path:
    path = folder / "resnet50.h5"
    path.write_bytes(b"weights")
    return path


def shards(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.arrow"))


def damage(cache: Path) -> Path:
    shard = shards(cache)[0]
    shard.write_bytes(shard.read_bytes()[:-40])
    return shard


def test_info_says_what_is_stored_for_each_recipe(featx_run, cache):
    document = featx_run("cache", "info", "--json").json
    assert document["cache"] == str(cache)
    found = {recipe["settings"]["backbone"]: recipe for recipe in document["recipes"]}
    assert {name: recipe["rows"] for name, recipe in found.items()} == {
        "efficientnet_lite0": 18,
        "resnet50": 6,
    }
    for recipe in document["recipes"]:
        assert recipe["bytes"] > 200
        assert recipe["damaged"] == []
        assert 0 <= recipe["days_old"] < 1
        assert recipe["settings"]["pooling"] == "avg"
        assert featx.Recipe.from_dict(recipe["settings"]).fingerprint == recipe["fingerprint"]


def test_info_is_a_table_for_a_person(featx_run, cache):
    lines = featx_run("cache", "info").out.splitlines()
    assert lines[0].startswith(f"{cache}: 2 recipes, ")
    assert lines[1].split() == ["recipe", "rows", "size", "age", "settings"]
    line = next(line for line in lines if "resnet50" in line)
    assert line.split()[1] == "6"
    assert " 0 days  resnet50, avg pooling, 224 px squash bilinear, weights " in line
    assert len(lines) == 4


def test_what_is_dated_in_the_future_is_told_as_such(featx_run, cache):
    for path in cache.glob("features/*/*.arrow"):
        os.utime(path, (9e9, 9e9))
    table = featx_run("cache", "info").out
    assert table.count(" in the future ") == 2, table
    assert "-" not in table.partition("resnet50")[0].splitlines()[-1], table


def test_an_empty_cache_and_one_that_is_not_there_hold_nothing(featx_run, tmp_path):
    for where in ((), ("--cache", tmp_path / "nowhere")):
        document = featx_run("cache", "info", *where, "--json").json
        assert document["recipes"] == []
        assert featx_run("cache", "info", *where).out.endswith(": 0 recipes, 0 B\n")
        assert featx_run("cache", "verify", *where).out.endswith(": 0 vectors intact\n")
        assert featx_run("cache", "clear", "--all", *where).out.endswith(": removed 0 B\n")
    assert not (tmp_path / "nowhere").exists()


def test_the_cache_can_be_named(featx_run, photos, tmp_path):
    featx.embed(photos, cache=tmp_path / "mine")
    document = featx_run("cache", "info", "--cache", tmp_path / "mine", "--json").json
    assert [recipe["rows"] for recipe in document["recipes"]] == [18]
    assert document["cache"] == str(tmp_path / "mine")


@pytest.mark.parametrize("by", ["backbone", "fingerprint", "its first characters"])
def test_a_recipe_is_removed_by_its_name(featx_run, cache, by):
    recipes = featx_run("cache", "info", "--json").json["recipes"]
    resnet = next(each for each in recipes if each["settings"]["backbone"] == "resnet50")
    name = {
        "backbone": "resnet50",
        "fingerprint": resnet["fingerprint"],
        "its first characters": resnet["fingerprint"][:12],
    }[by]
    document = featx_run("cache", "clear", name, "--json").json
    assert document["cache"] == str(cache)
    assert document["bytes_removed"] == resnet["bytes"]
    left = featx_run("cache", "info", "--json").json["recipes"]
    assert [each["settings"]["backbone"] for each in left] == ["efficientnet_lite0"]


def test_everything_is_removed_when_asked_for(featx_run, cache, photos, fake_engine):
    total = sum(path.stat().st_size for path in shards(cache))
    assert featx_run("cache", "clear", "--all", "--json").json["bytes_removed"] == total
    assert shards(cache) == []
    before = fake_engine.embedded
    assert len(featx.embed(photos)) == 18
    assert fake_engine.embedded == before + 18


def test_what_is_old_is_removed(featx_run, cache):
    old = shards(cache)[0]
    then = time.time() - 40 * 86_400
    os.utime(old, (then, then))
    ages = {each["days_old"] for each in featx_run("cache", "info", "--json").json["recipes"]}
    assert max(ages) == pytest.approx(40, abs=0.1)
    featx_run("cache", "clear", "--older-than", 50)
    assert old.exists()
    featx_run("cache", "clear", "--older-than", 30)
    assert not old.exists()
    assert len(shards(cache)) == 1


def test_a_sound_cache_is_verified(featx_run, cache):
    ended = featx_run("cache", "verify")
    assert ended.out == f"{cache}: 24 vectors intact\n"
    assert featx_run("cache", "verify", "--json").json == {
        "cache": str(cache),
        "rows": 24,
        "damaged": [],
    }


def test_damage_is_found_named_and_healed(featx_ends, featx_run, cache, photos, tmp_path):
    shard = damage(cache)
    ended = featx_ends("cache", "verify", "--json")
    assert ended.status == 1
    assert [each["path"] for each in ended.json["damaged"]] == [str(shard)]
    assert ended.json["damaged"][0]["reason"]
    assert ended.json["rows"] in (6, 18)
    ended = featx_ends("cache", "verify")
    assert ended.status == 1
    lines = ended.out.splitlines()
    assert lines[1].startswith(f"damaged: {shard.relative_to(cache)}: ")
    assert lines[2].startswith("the next run embeds the images of damaged files again")
    assert "DAMAGED" in featx_run("cache", "info").out

    again = featx_run("embed", photos, "--out", tmp_path / "x.npz")
    other = featx_run(
        *("embed", photos / "red", "--backbone", "resnet50", "--weights", tmp_path / "resnet50.h5"),
        *("--out", tmp_path / "x.npz"),
    )
    warned = (again.err + other.err).splitlines()
    assert len(warned) == 1, warned
    assert warned[0].startswith(f"featx: warning: the cache file {shard} is damaged")
    assert featx_run("cache", "verify").out == f"{cache}: 24 vectors intact\n"


MISTAKES = {
    "nothing named": ([], "nothing to remove was named: expected NAME, --older-than or --all"),
    "unknown": (["zzz"], "nothing of 'zzz' in the cache"),
    "too short a fingerprint": (["0a"], "nothing of '0a' in the cache"),
    "both": (["resnet50", "--all"], "--all and resnet50 exclude each other"),
    "negative": (["--older-than", "-1"], "Invalid value for '--older-than': -1.0 is not in"),
    "no number": (["--older-than", "old"], "Invalid value for '--older-than': 'old' is not a"),
}


@pytest.mark.parametrize(("words", "message"), MISTAKES.values(), ids=MISTAKES)
def test_what_cannot_be_removed_is_told_and_nothing_is_lost(featx_ends, cache, words, message):
    before = shards(cache)
    ended = featx_ends("cache", "clear", *words)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(f"featx: {message}")
    assert ended.err.count("\n") == 1
    assert shards(cache) == before


@pytest.mark.parametrize(
    "words", [("--json",), ("--json", "info"), ("--json", "verify"), ("verify", "--json")]
)
def test_options_may_stand_before_the_command_or_without_one(featx_run, cache, tmp_path, words):
    assert featx_run("cache", *words).json["cache"] == str(cache)
    empty = tmp_path / "empty"
    assert featx_run("cache", "--cache", empty, *words).json["cache"] == str(empty)


def test_converted_networks_are_listed_and_cleared_like_recipes(featx_run, cache):
    folder = cache / "engines" / ("0a" * 16)
    folder.mkdir(parents=True)
    settings = {
        "backbone": "resnet50",
        "pooling": "avg",
        "input_size": 224,
        "weights": "c41762bc2d5b3306",
    }
    (folder / "engine.json").write_text(json.dumps(settings))
    (folder / "network.bin").write_bytes(bytes(2_000_000))
    lines = featx_run("cache", "info").out.splitlines()
    assert ": 2 recipes, 1 converted network, 2.0 MB" in lines[0]
    assert lines[-2].split() == ["network", "size", "age", "settings"]
    assert lines[-1].split("  ")[0] == "0a0a0a0a0a0a"
    assert lines[-1].endswith("resnet50, avg pooling, 224 px, weights c41762bc2d5b")
    (network,) = featx_run("cache", "info", "--json").json["engines"]
    assert (network["key"], network["settings"]) == ("0a" * 16, settings)
    removed = featx_run("cache", "clear", "0a0a0a", "--json").json["bytes_removed"]
    assert removed == network["bytes"]
    assert featx_run("cache", "info", "--json").json["engines"] == []


@pytest.mark.filterwarnings("ignore:the weights of")
def test_calibrations_are_listed_and_go_with_their_features(
    featx_run, featx_ends, cache, native, tmp_path, fake_engine
):
    native("float32", "int8")
    many = fakes.draw_folder(tmp_path / "many", each=8)
    words = ["--backbone", "vgg16", "--weights", "random", "--precision", "int8"]
    featx_run("embed", many, *words, "--out", tmp_path / "x.npz")
    lines = featx_run("cache", "info").out.splitlines()
    assert ": 3 recipes, 1 calibration, " in lines[0]
    assert lines[-2].split() == ["calibration", "recipes", "size", "age", "settings"]
    digest, recipes, *_ = lines[-1].split()
    assert recipes == "1"
    assert "vgg16, 224 px, 128 pictures, weights " in lines[-1]
    (known,) = featx_run("cache", "info", "--json").json["calibrations"]
    assert known["calibration"].startswith(digest)
    ended = featx_ends("cache", "clear", digest)
    assert ended.status == 2
    assert "were made by this calibration: clear these first" in ended.err
    featx_run("cache", "clear", "vgg16")
    assert featx_run("cache", "info", "--json").json["calibrations"] == []


def test_a_cache_at_an_address_is_embedded_into_looked_at_and_cleared(
    featx_run, photos, bucket, tmp_path
):
    cache = ["--cache", f"{bucket}/featx"]
    featx_run("embed", photos, "--out", tmp_path / "photos.npz", *cache)
    document = featx_run("cache", "info", "--json", *cache).json
    assert document["cache"] == f"{bucket}/featx"
    assert [each["rows"] for each in document["recipes"]] == [18]
    lines = featx_run("cache", *cache).out.splitlines()
    assert lines[0].startswith(f"{bucket}/featx: 1 recipe, ")
    (copy,) = document["copies"]
    cleared = f"removed by `featx cache clear {copy['key']} --cache {os.environ['FEATX_CACHE']}`"
    assert lines[-1].endswith(f"of it, in {copy['path']}; {cleared}")
    assert featx_run("cache", "verify", *cache).out == f"{bucket}/featx: 18 vectors intact\n"
    ended = featx_run("cache", "clear", "efficientnet_lite0", *cache)
    assert ended.out.startswith(f"{bucket}/featx: removed ")
    assert bucket.keys() == []


def test_indices_and_copies_are_listed_and_cleared(featx_run, cache, photos, bucket, tmp_path):
    place = f"{bucket}/featx"
    featx_run("embed", photos, "--out", tmp_path / "photos.npz", "--cache", place)
    (cache / "similar").mkdir()
    (cache / "similar" / f"{'0a' * 20}.usearch").write_bytes(bytes(range(256)) * 8000)
    lines = featx_run("cache", "info").out.splitlines()
    assert ": 2 recipes, 1 index, 1 copy, 2.1 MB" in lines[0]
    assert lines[-3].endswith("2.0 MB  0 days  features that `featx similar` searched")
    assert [line.split()[0] for line in lines[-4:-1]] == ["index", "0a" * 6, "copy"]
    assert lines[-1].endswith(f"0 days  {place}")
    document = featx_run("cache", "info", "--json").json
    ((index,), (copy,)) = document["indices"], document["copies"]
    assert (index["bytes"], copy["address"]) == (2_048_000, place)
    assert Path(copy["path"]).parent == cache / "mirror"
    there = bucket.keys()
    for each in (index, copy):
        removed = featx_run("cache", "clear", each["key"][:12], "--json").json["bytes_removed"]
        assert removed == each["bytes"]
        assert not Path(each["path"]).exists()
    assert bucket.keys() == there
    assert featx_run("cache").out.startswith(f"{cache}: 2 recipes, ")


@pytest.mark.parametrize(
    ("cache", "message"),
    [
        ("s3://no-such-bucket/featx", "there is no bucket 'no-such-bucket'; check its name"),
        ("s3://", "the cache 's3://' names no bucket: expected s3://BUCKET/FOLDER"),
        ("ftp://host/featx", "unknown address 'ftp://host/featx': expected one that begins with"),
        ("https://host/featx", "expected s3://, gs:// or az://"),
    ],
)
def test_an_address_that_can_be_no_cache_is_told_before_the_work(
    featx_refuses, photos, bucket, cache, message
):
    featx_refuses(message, "embed", photos, "--out", "photos.npz", "--cache", cache)
