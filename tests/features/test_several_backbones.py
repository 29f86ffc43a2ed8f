"""Several backbones in one pass: each is served as if it were alone, each file is read once."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import fakes
import numpy as np
import pytest

import featx
from featx.backbones.backbone import Backbone
from featx.errors import ImageError, ImageSourceError, OptionError
from featx.features.matrix import Features
from featx.features.store.cache import contents
from featx.images.square import Square


def own(name: str, size: int, layer: str | None) -> Backbone:
    digest = name.encode().hex().ljust(64, "0")
    return Backbone(name, digest, size, 8, "none/1", layer=layer, preprocess=np.asarray)


# The fake engine tells layers apart, and sizes by what is left of the noise in the pictures.
PAIR = [own("fox", 16, None), own("owl", 24, "conv")]


@pytest.fixture
def run(fake_engine):
    """Embed and count: how many vectors were computed now."""

    def embed(source, backbones=PAIR, **options) -> tuple[list[Features], int]:
        before = fake_engine.embedded
        features = featx.embed(source, backbones, progress=False, **options)
        return features, fake_engine.embedded - before

    return embed


@pytest.fixture
def apart(fake_engine, tmp_path):
    """Embed with one backbone after the other, each with a cache of its own."""

    def embed(source, backbones=PAIR, **options) -> list[Features]:
        options = {"progress": False, **options}
        return [
            featx.embed(source, each, cache=tmp_path / f"only {each.name}", **options)
            for each in backbones
        ]

    return embed


def statuses(features: Features) -> list[str]:
    return [outcome.status for outcome in features.outcomes]


def assert_same(found: list[Features], expected: list[Features]) -> None:
    """Check that features are those of separate runs, bit for bit."""
    assert isinstance(found, list)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        name = other.recipe.backbone
        assert one.recipe == other.recipe
        assert (one.X.shape, one.X.dtype) == (other.X.shape, other.X.dtype), name
        assert one.X.tobytes() == other.X.tobytes(), f"{name}: {one.X} is not {other.X}"
        assert (one.y is None) == (other.y is None), name
        assert one.y is None or one.y.tolist() == other.y.tolist(), name
        assert one.paths.tolist() == other.paths.tolist(), name
        assert one.outcomes == other.outcomes, name
        assert (one.n_other, one.weights) == (other.n_other, other.weights), name


# -- As if each were alone -----------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 1, 5, 50])
def test_each_backbone_gives_what_it_gives_alone(run, apart, photos, batch_size):
    features, embedded = run(photos, batch_size=batch_size)
    assert embedded == 2 * 18
    assert_same(features, apart(photos))
    assert features[0].X.tobytes() != features[1].X.tobytes()
    fakes.assert_rows(features[0])
    fakes.assert_rows(features[1], "conv", Square(24))
    again, embedded = run(photos)
    assert (embedded, [statuses(each) for each in again]) == (0, [["cached"] * 18] * 2)
    assert [each.X.tobytes() for each in again] == [each.X.tobytes() for each in features]


def test_the_list_follows_the_order_of_the_backbones(run, apart, photos):
    features, _ = run(photos, PAIR[::-1])
    assert [each.recipe.backbone for each in features] == ["owl", "fox"]
    assert_same(features, apart(photos, PAIR[::-1]))


def test_one_backbone_in_a_list_or_a_tuple_is_a_list_of_one(run, apart, photos):
    alone = apart(photos, PAIR[:1])
    for backbones in (PAIR[:1], tuple(PAIR[:1])):
        assert_same(run(photos, backbones, cache=False)[0], alone)


def test_a_backbone_that_is_named_twice_is_there_twice(run, apart, photos):
    assert_same(run(photos, PAIR[:1] * 2)[0], apart(photos, PAIR[:1]) * 2)


@pytest.mark.filterwarnings("ignore:the weights of")
def test_names_of_the_table_and_backbones_of_ones_own_go_together(run, photos):
    features = featx.embed(photos, ["vgg16", "resnet50"], weights="random", progress=False)
    assert [each.recipe.backbone for each in features] == ["vgg16", "resnet50"]
    loaded = Backbone.load("vgg16", "random")
    features, _ = run(photos, [loaded, PAIR[0]])
    assert [each.recipe.backbone for each in features] == ["vgg16", "fox"]
    assert [each.recipe.settings["input_size"] for each in features] == [224, 16]


def test_options_go_for_all_of_them(run, apart, photos):
    options = {"pooling": "none", "input_size": 40, "resize": "crop", "decode": "scaled"}
    features, _ = run(photos, **options)
    assert [each.X.shape for each in features] == [(18, 1, 1, 9)] * 2
    assert_same(features, apart(photos, **options))


def test_a_backbone_that_is_in_the_cache_already_is_not_run_again(run, apart, photos, fake_engine):
    alone = apart(photos)
    first, embedded = run(photos, PAIR[:1])
    assert (embedded, len(fake_engine.opened)) == (18, 3)
    features, embedded = run(photos)
    assert (embedded, len(fake_engine.opened)) == (18, 4)
    assert [statuses(each) for each in features] == [["cached"] * 18, ["embedded"] * 18]
    assert [each.X.tobytes() for each in features] == [each.X.tobytes() for each in alone]
    assert first[0].X.tobytes() == features[0].X.tobytes()


def test_files_that_one_backbone_has_and_that_are_known_unread_are_embedded_by_the_other(
    run, apart, photos, later
):
    run(photos, PAIR[:1])
    features, embedded = run(photos)
    assert embedded == 18
    assert [statuses(each) for each in features] == [["cached"] * 18, ["embedded"] * 18]
    assert features[1].X.tobytes() == apart(photos)[1].X.tobytes()


def test_a_backbone_that_has_some_of_the_files_gets_the_others(run, apart, photos):
    run(photos / "red", PAIR[:1])
    run(photos / "blue", PAIR[1:])
    features, embedded = run(photos)
    assert embedded == 12 + 12
    assert statuses(features[0]) == ["embedded"] * 12 + ["cached"] * 6
    assert statuses(features[1]) == ["cached"] * 6 + ["embedded"] * 12
    alone = apart(photos)
    assert [each.X.tobytes() for each in features] == [each.X.tobytes() for each in alone]


def test_a_file_that_fails_fails_for_all(run, apart, photos):
    (photos / "blue" / "003.jpg").write_text("no picture")
    (photos / "green" / "000.png").write_bytes(b"")
    (photos / "red" / "copy.jpg").write_text("no picture")
    features, embedded = run(photos)
    assert embedded == 2 * 17
    assert_same(features, apart(photos))
    assert [len(each.failed) for each in features] == [3, 3]
    (photos / "red" / "copy.jpg").unlink()  # of two copies, either may be the one that is decoded
    with pytest.raises(ImageError, match=r"cannot read .*blue/003\.jpg: not an image"):
        run(photos, on_error="raise")
    for path in photos.glob("*/*"):
        path.write_bytes(b"")
    with pytest.raises(ImageSourceError, match="none of 19 images can be read"):
        run(photos)


def test_copies_of_a_file_are_one_vector_for_each(run, apart, photos):
    for number in range(4):
        shutil.copy(photos / "red" / "000.png", photos / "blue" / f"copy{number}.png")
    features, embedded = run(photos)
    assert embedded == 2 * 18
    assert_same(features, apart(photos))
    assert [statuses(each).count("cached") for each in features] == [4, 4]


def test_paths_without_labels_keep_their_order_and_those_that_come_twice(run, apart, photos):
    paths = [photos / name for name in ("red/002.png", "blue/000.png", "red/002.png", "gone.png")]
    features, embedded = run(paths)
    assert embedded == 2 * 2
    assert_same(features, apart(paths))
    assert statuses(features[1]) == ["embedded", "embedded", "cached", "failed"]


def test_without_a_cache_nothing_is_kept(run, apart, photos):
    features, _ = run(photos, cache=False)
    assert_same(features, apart(photos))
    assert list(Path(os.environ["FEATX_CACHE"]).iterdir()) == []


# -- Each file once ------------------------------------------------------------------------------


def test_each_file_is_read_and_decoded_once_for_all(run, photos, touched):
    run(photos)
    assert Counter(what for what, _ in touched) == {"read": 18, "decoded": 18}
    assert set(touched.values()) == {1}, touched


def test_no_square_is_made_for_a_backbone_that_has_it(run, photos, monkeypatch):
    run(photos, PAIR[:1])
    squares = []
    made = Square.of
    monkeypatch.setattr(Square, "of", lambda self, *rest: squares.append(self) or made(self, *rest))
    run(photos)
    assert squares == [Square(24)] * 18


def test_a_run_from_the_cache_reads_no_file(run, photos, later, touched):
    run(photos)
    touched.clear()
    _, embedded = run(photos)
    assert (embedded, touched) == (0, {})


# -- Accidents -----------------------------------------------------------------------------------


def rows_by_backbone() -> dict[str, int]:
    cached = contents(Path(os.environ["FEATX_CACHE"]))
    return {each.settings["backbone"]: each.rows for each in cached}


@pytest.mark.parametrize("layer", [None, "conv"], ids=["the first", "the second"])
@pytest.mark.parametrize(
    ("error", "last"),
    [(KeyboardInterrupt, 2), (MemoryError("no room"), 10**9)],
    ids=["an interrupt", "an error of every batch"],
)
def test_an_accident_of_one_keeps_what_was_computed_of_both(
    run, apart, photos, monkeypatch, layer, error, last
):
    """The third batch of one backbone, and perhaps all that follow, are not computed."""
    unlucky = layer or ""
    with monkeypatch.context() as patch:
        fakes.fail_from_batch(patch, 2, error, layer=unlucky, last=last)
        computed = Counter()
        embed_batch = fakes.FakeEngine.embed_batch

        def count(engine, images):
            vectors = embed_batch(engine, images)
            computed["owl" if engine.offset else "fox"] += len(images)
            return vectors

        patch.setattr(fakes.FakeEngine, "embed_batch", count)
        with pytest.raises((KeyboardInterrupt, MemoryError)):
            run(photos, batch_size=2)
    kept = rows_by_backbone()
    assert kept == dict(computed), "what was computed is not what was kept"
    names = ["fox", "owl"] if layer is None else ["owl", "fox"]
    assert 4 <= kept[names[0]] < 18, kept
    assert 4 <= kept[names[1]] <= 18, kept
    features, embedded = run(photos)
    assert embedded == 2 * 18 - sum(kept.values())
    assert [statuses(each).count("cached") for each in features] == [kept["fox"], kept["owl"]]
    alone = apart(photos)
    assert [each.X.tobytes() for each in features] == [each.X.tobytes() for each in alone]


def test_a_damaged_cache_of_one_is_embedded_again_and_that_of_the_other_is_not(run, photos):
    first, _ = run(photos)
    (shard,) = Path(os.environ["FEATX_CACHE"]).glob(
        f"features/{first[1].recipe.fingerprint}/*.arrow"
    )
    shard.write_bytes(shard.read_bytes()[:-300])
    features, embedded = run(photos)
    assert embedded == 18
    assert [statuses(each) for each in features] == [["cached"] * 18, ["embedded"] * 18]
    assert [each.X.tobytes() for each in features] == [each.X.tobytes() for each in first]


# -- What is no list of backbones ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "backbone is []: expected a name of `featx backbones`, Backbone.from_keras(model)"),
        ((), "backbone is (): expected a name of `featx backbones`, "),
        ({"vgg16"}, "backbone is {'vgg16'}: expected a name of `featx backbones`, "),
        ({"vgg16": 1}, "backbone is {'vgg16': 1}: expected a name"),
        (50, "backbone is 50: expected a name of `featx backbones`, "),
        (None, "backbone is None: expected a name of `featx backbones`, "),
        (b"vgg16", "backbone is b'vgg16': expected a name of `featx backbones`, "),
        ([50], "backbone is a int: expected a name of `featx backbones`, or Backbone.from_keras"),
        ([PAIR[0], None], "backbone is a NoneType: expected a name of `featx backbones`, or"),
        ([PAIR], "backbone is a list: expected a name of `featx backbones`, or"),
        ([PAIR[0], "resnet5"], "unknown backbone 'resnet5': did you mean 'resnet50'?"),
    ],
    ids=str,
)
def test_what_is_no_backbone_and_no_list_of_them_is_one_line(
    run, photos, fake_engine, given, message
):
    with pytest.raises(OptionError) as caught:
        run(photos, given)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert fake_engine.opened == []


def test_an_input_size_that_one_of_them_cannot_take_is_told_before_any_work(
    run, photos, fake_engine
):
    lynx = Backbone("lynx", "ef" * 32, 32, 20, "none/1", preprocess=np.asarray)
    with pytest.raises(OptionError, match="input size 10 does not fit lynx: expected 20 to 4096"):
        run(photos, [PAIR[0], lynx], input_size=10)
    assert fake_engine.opened == []
