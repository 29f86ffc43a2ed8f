"""A budget is a time, and what the cache has comes first, then the cheapest networks."""

from __future__ import annotations

import math
import time

import fakes
import numpy as np
import pytest

import featx
from featx.errors import OptionError
from featx.features.options import settle
from featx.images.folder import ImageFolder
from featx.tuning.budget import Networks, seconds_of

pytestmark = pytest.mark.filterwarnings("ignore:the weights of")
NAMES = ("resnet50", "vgg16")  # the second is the smaller one
POOLINGS = ("avg", "max")


def networks_for(photos, seconds=1e6, **options):
    settled = settle({"weights": "random", "progress": False, **options})
    return Networks(ImageFolder.of(photos), time.monotonic() + seconds, settled)


@pytest.fixture
def later(monkeypatch):
    """Let files just written count as written ten seconds ago, so that they are remembered."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 10_000_000_000)


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


def test_with_time_every_network_gives_every_pooling_in_one_run(photos, fake_engine):
    networks = networks_for(photos)
    embedded = networks.embed(NAMES, POOLINGS)
    assert {
        name: [each.recipe.pooling for each in several] for name, several in embedded.items()
    } == {"resnet50": ["avg", "max"], "vgg16": ["avg", "max"]}
    assert fake_engine.embedded == 2 * 18
    assert networks.skipped == {}


def test_without_time_the_smallest_network_is_embedded_all_the_same(photos, fake_engine):
    networks = networks_for(photos, seconds=-1)
    assert list(networks.embed(NAMES, POOLINGS)) == ["vgg16"]
    assert networks.skipped == {"resnet50": "0 s were left, too few to start it"}
    assert fake_engine.embedded == 18


def test_what_is_in_the_cache_comes_first(photos, fake_engine, later):
    networks_for(photos).embed(["resnet50"], POOLINGS)
    before = fake_engine.embedded
    networks = networks_for(photos, seconds=-1)
    assert list(networks.embed(NAMES, POOLINGS)) == ["resnet50"]
    assert list(networks.skipped) == ["vgg16"]
    assert fake_engine.embedded == before


def test_a_network_of_which_one_pooling_is_missing_is_not_in_the_cache(photos, fake_engine, later):
    featx.embed(photos, "resnet50", weights="random", progress=False)
    networks = networks_for(photos, seconds=-1)
    assert list(networks.embed(NAMES, POOLINGS)) == ["vgg16"]


def test_a_network_that_would_take_too_long_is_left_after_a_few_pictures(
    tmp_path, fake_engine, monkeypatch, later
):
    folder = fakes.draw_folder(tmp_path / "many", each=10)
    networks_for(folder).embed(["vgg16"], POOLINGS)  # in the cache now
    before = fake_engine.embedded
    monkeypatch.setattr(fake_engine, "seconds_per_batch", 1.5)
    for _ in range(2):  # that those few are in the cache does not make the others free
        networks = networks_for(folder, seconds=1.8)
        assert list(networks.embed(NAMES, POOLINGS)) == ["vgg16"]
        (skipped,) = networks.skipped.items()
        assert skipped[0] == "resnet50"
        left, needed = skipped[1].removesuffix(" it needs").split(" s were left of the ")
        assert int(left) <= 2 <= int(needed)
        assert fake_engine.embedded - before == 8, "a quarter of the thirty"


def test_vectors_of_another_folder_are_no_help(tmp_path, fake_engine, monkeypatch, later):
    networks_for(fakes.draw_folder(tmp_path / "one", each=8)).embed(NAMES, POOLINGS)
    before = fake_engine.embedded
    monkeypatch.setattr(fake_engine, "seconds_per_batch", 0.2)
    networks = networks_for(fakes.draw_folder(tmp_path / "other", each=8, start=300), seconds=0.3)
    assert list(networks.embed(NAMES, POOLINGS)) == ["vgg16"]
    assert list(networks.skipped) == ["resnet50"]
    assert fake_engine.embedded - before == 24


def test_a_copy_and_a_file_that_is_no_picture_do_not_hide_the_cache(photos, fake_engine, later):
    (photos / "red" / "copy.png").write_bytes((photos / "red" / "000.png").read_bytes())
    (photos / "red" / "bad.png").write_text("no picture")
    networks_for(photos).embed(NAMES, POOLINGS)
    before = fake_engine.embedded
    networks = networks_for(photos, seconds=-1)
    assert list(networks.embed(NAMES, POOLINGS)) == ["resnet50", "vgg16"]
    assert networks.skipped == {}
    assert fake_engine.embedded == before


# ---------------------------------------------------------------- joined, and with views


def test_networks_are_joined_in_the_pooling_that_did_best(photos, fake_engine):
    networks = networks_for(photos)
    embedded = networks.embed(NAMES, POOLINGS)
    before = fake_engine.embedded
    joined = networks.joined(["vgg16", "resnet50"], embedded["vgg16"][1])
    assert (joined.recipe.backbone, joined.recipe.pooling) == ("vgg16+resnet50", "max")
    assert joined.X.shape == (18, 18)
    assert fake_engine.embedded == before
    viewed = networks.joined(["vgg16", "resnet50"], embedded["vgg16"][1], views=2)
    assert len(viewed.views) == 2
    assert np.array_equal(viewed.X, joined.X)
    assert fake_engine.embedded - before == 2 * 2 * 18
    assert networks.skipped == {}


def test_views_for_which_there_is_no_time_are_skipped_unless_the_cache_has_them(
    photos, fake_engine, later
):
    for again in (False, True):
        networks = networks_for(photos)
        features = networks.embed(["vgg16"], POOLINGS)["vgg16"][0]
        networks.deadline = -math.inf
        if again:
            networks_for(photos).joined(["vgg16"], features, views=2)
        made = networks.joined(["vgg16"], features, views=2)
        assert (made is not None) == again
        assert networks.skipped == (
            {} if again else {"vgg16 views": "0 s were left, too few to start it"}
        )
        assert len(networks.joined(["vgg16"], features)) == 18, "without views it costs nothing"
