"""A budget is a time, and what the cache has comes first, then the cheapest networks."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import fakes
import pytest

import featx
from featx.errors import OptionError
from featx.features.options import settle
from featx.images.folder import ImageFolder
from featx.tuning.budget import Networks, seconds_of

pytestmark = pytest.mark.filterwarnings("ignore:the weights of")
NAMES = ("vgg16", "resnet50")  # the second computes less, though it has more parameters


def networks_for(photos, seconds=1e6, names=NAMES, **options):
    settled = settle({"weights": "random", "progress": False, **options})
    asked = {name: name for name in names}
    return Networks(ImageFolder.of(photos), asked, time.monotonic() + seconds, settled)


def embed(photos, names=NAMES, **options):
    """Put every pooling of some networks into the cache."""
    return list(networks_for(photos, names=names, **options).features())


def told(arriving):
    """Name what arrives: networks and poolings, in the order in which they come."""
    return [
        [f"{each.recipe.backbone} {each.recipe.pooling}" for each in several]
        for several in arriving
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1h", 3600), ("1.5 M", 90), ("45", 45), (45, 45), (0.5, 0.5)],
)
def test_a_budget_is_a_time(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "5 minutes", "-5m", "0", 0, -1, True, None, "nan", float("inf")]
)
def test_what_is_no_budget_is_told(text):
    with pytest.raises(OptionError, match=r"budget .*: expected a time above 0, such as '90s'"):
        seconds_of(text)


def test_with_time_every_network_gives_every_pooling_in_one_run_the_quickest_first(
    photos, fake_engine
):
    networks = networks_for(photos)
    assert told(networks.features()) == [
        ["resnet50 avg", "resnet50 max"],
        ["vgg16 avg", "vgg16 max"],
    ]
    assert fake_engine.embedded == 2 * 18
    assert networks.skipped == {}


def test_without_time_the_quickest_network_is_embedded_all_the_same(photos, fake_engine):
    networks = networks_for(photos, seconds=-1)
    assert told(networks.features()) == [["resnet50 avg", "resnet50 max"]]
    (skipped,) = networks.skipped.items()
    assert skipped[0] == "vgg16"
    assert re.fullmatch(r"0 s were left of the \d+ it needs", skipped[1])
    assert fake_engine.embedded == 18


def test_whatever_is_in_the_cache_comes_before_any_network_runs(photos, fake_engine):
    """Also the average alone of a slow network, of which the maximum is missing."""
    featx.embed(photos, "vgg16", weights="random", progress=False)
    before = fake_engine.embedded
    arriving = networks_for(photos).features()
    assert told([next(arriving)]) == [["vgg16 avg"]]
    assert fake_engine.embedded == before
    assert told(arriving) == [["resnet50 avg", "resnet50 max"]], "vgg16 is not run for the maximum"
    assert fake_engine.embedded == before + 18


def test_a_network_of_which_the_cache_has_the_maximum_alone_is_run_for_the_average(
    photos, fake_engine
):
    featx.embed(photos, "vgg16", pooling="max", weights="random", progress=False)
    arriving = networks_for(photos).features()
    assert told(arriving) == [["vgg16 max"], ["resnet50 avg", "resnet50 max"], ["vgg16 avg"]]


def test_where_everything_is_in_the_cache_no_network_runs(photos, fake_engine):
    embed(photos)
    before = fake_engine.embedded, len(fake_engine.opened)
    networks = networks_for(photos, seconds=-1)
    assert told(networks.features()) == [["vgg16 avg", "vgg16 max", "resnet50 avg", "resnet50 max"]]
    assert networks.skipped == {}
    assert (fake_engine.embedded, len(fake_engine.opened)) == before


def test_networks_come_in_the_order_of_their_speed_on_this_machine(tmp_path, photos, fake_engine):
    other = fakes.draw_folder(tmp_path / "other", each=6, start=100)
    embed(other)
    for file in Path(os.environ["FEATX_CACHE"]).rglob("speed.json"):
        about = json.loads((file.parent / "recipe.json").read_text())
        speed = 100.0 if about["backbone"] == "vgg16" else 1.0
        file.write_text(json.dumps({"images_per_second": speed}))
    assert [each[0] for each in told(networks_for(photos).features())] == [
        "vgg16 avg",
        "resnet50 avg",
    ]


def test_a_network_that_is_partly_in_the_cache_counts_by_what_is_missing(photos, fake_engine):
    first = sorted((photos / "red").iterdir())[0]
    aside = first.rename(photos.parent / "aside.png")
    embed(photos, ["vgg16"])
    aside.rename(first)
    before = fake_engine.embedded
    arriving = told(networks_for(photos).features())
    assert [each[0] for each in arriving] == ["vgg16 avg", "resnet50 avg"]
    assert fake_engine.embedded == before + 1 + 18


def test_a_network_that_would_take_too_long_is_not_started(tmp_path, fake_engine):
    folder = fakes.draw_folder(tmp_path / "many", each=10)
    embed(folder, ["resnet50"])
    for file in Path(os.environ["FEATX_CACHE"]).rglob("speed.json"):
        file.write_text(json.dumps({"images_per_second": 10.0}))
    before = fake_engine.embedded, len(fake_engine.opened)
    networks = networks_for(folder, seconds=5)
    assert told(networks.features()) == [["resnet50 avg", "resnet50 max"]]
    assert networks.skipped == {"vgg16": "5 s were left of the 12 it needs"}, "4 times as much"
    assert (fake_engine.embedded, len(fake_engine.opened)) == before


def test_vectors_of_another_folder_are_no_help(tmp_path, fake_engine):
    embed(fakes.draw_folder(tmp_path / "one", each=8))
    before = fake_engine.embedded
    embed(fakes.draw_folder(tmp_path / "other", each=8, start=300))
    assert fake_engine.embedded - before == 2 * 24


def test_a_copy_and_a_file_that_is_no_picture_do_not_hide_the_cache(photos, fake_engine):
    (photos / "red" / "copy.png").write_bytes((photos / "red" / "000.png").read_bytes())
    (photos / "red" / "bad.png").write_text("no picture")
    embed(photos)
    before = fake_engine.embedded
    networks = networks_for(photos, seconds=-1)
    arrived = {name for several in told(networks.features()) for name in several}
    assert arrived == {"resnet50 avg", "resnet50 max", "vgg16 avg", "vgg16 max"}
    assert networks.skipped == {}
    assert fake_engine.embedded == before


def test_networks_are_joined_without_running_again(photos, fake_engine):
    networks = networks_for(photos)
    list(networks.features())
    before = fake_engine.embedded
    joined = networks.joined(["vgg16", "resnet50"], "max")
    assert (joined.recipe.backbone, joined.recipe.pooling) == ("vgg16+resnet50", "max")
    assert joined.X.shape == (18, 18)
    assert fake_engine.embedded == before


def test_the_step_at_hand_is_told(photos, fake_engine):
    steps = []
    networks = networks_for(photos)
    networks.step = steps.append
    list(networks.features())
    assert steps == ["resnet50", "vgg16"]


def test_networks_without_a_row_come_in_the_order_of_the_sizes_of_their_files(
    photos, tmp_path, made
):
    asked = {}
    for name, size in (("large.made", 40_000_000), ("small.made", 8_000_000)):
        (tmp_path / name).write_bytes(bytes([len(name)]))
        os.truncate(tmp_path / name, size)
        asked[name] = str(tmp_path / name)
    settled = settle({"progress": False})
    networks = Networks(ImageFolder.of(photos), asked, time.monotonic() + 1e6, settled)
    arrived = [each[0] for each in told(networks.features())]
    assert arrived == ["small.made avg", "large.made avg"]
    joined = networks.joined(list(asked), "avg")
    assert joined.recipe.backbone == "large.made+small.made"
