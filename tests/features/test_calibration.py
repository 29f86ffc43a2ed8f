"""Where calibrations come from: featx, the cache, the pictures of the run; or another precision."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from dataclasses import replace

import fakes
import numpy as np
import pytest

import featx
from featx.backbones import shipped
from featx.backbones.table import BACKBONES, WeightsFile
from featx.backbones.weights import Weights
from featx.errors import (
    ConversionError,
    MissingPackageError,
    OptionError,
    RecipeMismatchError,
    StorageError,
    UnknownLayerError,
)
from featx.features import formats
from featx.features.calibration import FEWEST, N_PICTURES, calibrated
from featx.features.formats import SUFFIXES
from featx.features.options import settle
from featx.features.request import Request
from featx.features.store.cache import calibrations, clear
from featx.features.store.calibrations import (
    calibrations_folder,
    keep_calibration,
    known_calibration,
)
from featx.files import cache_folder
from featx.images.folder import ImageFolder


@pytest.fixture
def many(tmp_path):
    """A folder of enough pictures to calibrate on."""
    return fakes.draw_folder(tmp_path / "many", each=10)


@pytest.fixture(autouse=True)
def _processor(native):
    native("float32", "bfloat16", "int8")


@pytest.fixture
def lines(caplog):
    """Return a function that gives the warnings so far."""
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= 30]


def embed(source, backbone, **options):
    return featx.embed(source, backbone, progress=False, **{"precision": "int8"} | options)


def calibration_of(features) -> str:
    return features.recipe.parts[0].cut.calibration


def kept() -> list[str]:
    return sorted(path.name for path in calibrations_folder(cache_folder()).glob("*"))


# -- From the pictures of the run ----------------------------------------------------------------


def test_a_network_is_calibrated_once_on_pictures_of_the_first_run(many, backbone, fake_engine):
    features = embed(many, backbone)
    (pictures,) = fake_engine.calibrated
    assert pictures.shape == (30, 16, 16, 3)
    assert pictures.dtype == np.uint8
    mean = np.float32(round(float(pictures.mean()), 3))
    plain = featx.embed(many, backbone, progress=False)
    np.testing.assert_allclose(features.X, plain.X + mean, rtol=1e-6)
    assert str(features.recipe).endswith(
        f", int8, calibration {calibration_of(features)[:12]}, weights abababababab"
    )


def test_features_of_two_folders_and_every_pooling_go_together(many, photos, backbone, fake_engine):
    first, other = embed(many, backbone), embed(photos, backbone)
    assert len(photos and other) == 18, "fewer than it takes to calibrate"
    assert calibration_of(first) == calibration_of(other)
    pooled = embed(many, backbone, pooling="max", views=2, resize="crop")
    assert calibration_of(pooled) == calibration_of(first)
    assert len(fake_engine.calibrated) == 1
    assert len(kept()) == 1
    first.recipe.require(other.recipe, "the features")


@pytest.mark.parametrize("change", [{"layer": "conv"}, {"input_size": 24}], ids=str)
def test_each_layer_and_size_has_its_own_calibration(many, backbone, fake_engine, change):
    features = [embed(many, backbone, **options) for options in ({}, change, {}, change)]
    assert len(fake_engine.calibrated) == len(kept()) == 2
    assert len({calibration_of(each) for each in features}) == 2


def test_several_networks_and_poolings_of_one_run_are_each_calibrated_once(many, fake_engine):
    options = {"weights": "random", "precision": "int8", "progress": False, "input_size": 32}
    featx.embed(many, ["resnet50", "xception"], **options | {"input_size": 72})
    assert len(fake_engine.calibrated) == 2
    joined = featx.embed(many, "resnet50+xception", **options | {"input_size": 72})
    assert len(fake_engine.calibrated) == 2
    one, other = (part.cut.calibration for part in joined.recipe.parts)
    assert None not in (one, other)
    assert one != other
    assert len(joined.calibrations) == 2


def test_the_pictures_lie_evenly_over_those_that_can_be_read(tmp_path, backbone, fake_engine):
    for number in range(400):
        path = tmp_path / "many" / f"{number:03d}.png"
        fakes.draw(path, (number // 2, number % 2, 0), size=(16, 16))
    for number in (0, 200, 399):
        (tmp_path / "many" / f"{number:03d}.png").write_bytes(b"no picture")
    with pytest.warns(featx.ImageSourceWarning, match="3 of 400 images cannot be read"):
        embed(tmp_path / "many", backbone)
    (pictures,) = fake_engine.calibrated
    assert len(pictures) == N_PICTURES
    numbers = 2 * pictures[:, 0, 0, 0].astype(int) + pictures[:, 0, 0, 1]
    counts, _ = np.histogram(numbers, bins=4, range=(0, 400))
    assert counts.min() >= 30, counts


def test_pictures_in_memory_serve_and_copies_count_once(backbone, fake_engine, lines):
    pictures, _ = fakes.draw_array(each=FEWEST)
    embed(pictures, backbone)
    assert [len(each) for each in fake_engine.calibrated] == [3 * FEWEST]
    copies = np.repeat(pictures[: FEWEST - 1], 5, axis=0)
    embed(copies, backbone, input_size=20)
    assert lines() == [
        "calibrating fake for int8 takes 20 different pictures, and 19 can be read: "
        "float32 is used instead"
    ]


def test_without_a_cache_of_features_calibrations_are_kept_all_the_same(
    many, photos, backbone, fake_engine
):
    """As converted networks are: else two runs could not go together."""
    one, other = embed(many, backbone, cache=False), embed(photos, backbone, cache=False)
    assert calibration_of(one) == calibration_of(other)
    assert len(fake_engine.calibrated) == 1


def test_a_cache_that_cannot_be_written_is_told_and_the_calibration_held(
    many, photos, backbone, fake_engine, tmp_path, lines
):
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "calibrations").write_bytes(b"in the way")
    one, other = (embed(each, backbone, cache=cache) for each in (many, photos))
    assert calibration_of(one) == calibration_of(other)
    (line,) = lines()
    assert line.startswith(f"cannot write {cache / 'calibrations'}"), line
    assert line.endswith("; the calibration is kept until this process ends")


def test_of_two_processes_the_first_calibration_is_kept(backbone, monkeypatch):
    part = Request.of(backbone, settle({"precision": "int8"})).recipe.parts[0]
    first, second = (fakes.calibration(backbone, mean) for mean in (1.0, 2.0))
    cache = cache_folder()
    assert known_calibration(cache, backbone, part) is None
    for each in (first, second):
        assert keep_calibration(cache, backbone, part, each) == first
    assert known_calibration(cache, backbone, part) == first
    assert len(kept()) == 1, "nothing is left beside it"


def test_a_file_system_without_links_keeps_the_first_too(backbone, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    test_of_two_processes_the_first_calibration_is_kept(backbone, monkeypatch)


def test_a_damaged_calibration_is_told_and_measured_again(many, backbone, fake_engine, lines):
    first = embed(many, backbone)
    (path,) = calibrations_folder(cache_folder()).iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:40])
    again = embed(many, backbone)
    assert calibration_of(again) == calibration_of(first), "the same pictures, the same numbers"
    assert path.read_bytes() == whole
    assert len(lines()) >= 1
    assert all(line.startswith(f"the calibration {path} cannot be used: ") for line in lines())


def test_a_number_of_a_calibration_that_changed_on_disk_is_noticed(many, backbone, lines):
    first = embed(many, backbone)
    (path,) = calibrations_folder(cache_folder()).iterdir()
    whole = path.read_bytes()
    assert whole[-5] != 0x10
    path.write_bytes(whole[:-5] + b"\x10" + whole[-4:])
    again = embed(many, backbone)
    assert calibration_of(again) == calibration_of(first)
    assert path.read_bytes() == whole
    assert "its checksum does not hold" in lines()[0]


def test_a_calibration_that_was_kept_without_a_checksum_serves(many, backbone, fake_engine):
    first = embed(many, backbone)
    (path,) = calibrations_folder(cache_folder()).iterdir()
    path.write_bytes(path.read_bytes().partition(b"\n")[2])
    assert calibration_of(embed(many, backbone)) == calibration_of(first)
    assert len(fake_engine.calibrated) == 1


def test_what_stands_where_a_calibration_belongs_is_told_and_left(many, backbone, lines):
    embed(many, backbone)
    (path,) = calibrations_folder(cache_folder()).iterdir()
    path.unlink()
    (path / "inside").mkdir(parents=True)
    first, again = embed(many, backbone), embed(many, backbone)
    assert first.recipe == again.recipe
    assert lines()[-1].startswith(f"cannot write {path}: ")
    assert (path / "inside").is_dir()


# -- Another precision ---------------------------------------------------------------------------


def test_too_few_pictures_are_a_line_and_float32(photos, backbone, fake_engine, lines):
    features = embed(photos, backbone)
    assert features.recipe == featx.embed(photos, backbone, progress=False).recipe
    assert lines() == [
        "calibrating fake for int8 takes 20 different pictures, and 18 can be read: "
        "float32 is used instead"
    ]
    assert kept() == []


def test_fast_takes_the_next_quickest_where_int8_cannot_be_calibrated(
    photos, backbone, native, lines
):
    assert embed(photos, backbone, fast=True).recipe.settings["precision"] == "bfloat16"
    native("float32", "int8")
    assert embed(photos, backbone, fast=True).recipe.settings["precision"] == "float32"
    assert [line.partition(": ")[2] for line in lines()] == [
        "bfloat16 is used instead",
        "float32 is used instead",
    ]


@pytest.mark.parametrize(
    "error",
    [
        MissingPackageError('int8 needs nncf, which is not installed: pip install "featx[int8]"'),
        ConversionError("fake cannot be quantized: an odd operation"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_cannot_be_calibrated_is_refused_or_with_fast_done_otherwise(
    many, backbone, lines, error
):
    def fail(request, pictures):
        raise error

    with fakes.install(calibrator=fail):
        with pytest.raises(type(error), match=str(error)[:20]):
            embed(many, backbone)
        assert lines() == []
        features = embed(many, backbone, fast=True)
    assert features.recipe.settings["precision"] == "bfloat16"
    assert lines() == [f"{error}: bfloat16 is used instead"]


def test_what_no_precision_mends_is_said_once_by_the_error(many, backbone, lines):
    def fail(request, pictures):
        raise UnknownLayerError("fake has no layer 'top'")

    with fakes.install(calibrator=fail):
        for fast in (True, False):
            with pytest.raises(UnknownLayerError, match="fake has no layer 'top'"):
                embed(many, backbone, fast=fast)
    assert lines() == []


def test_fast_leaves_int8_out_where_it_changes_features_too_much(many, backbone, lines):
    def far(request, pictures):
        made = fakes.calibrate(request, pictures)
        return replace(made, settings={**made.settings, "cosine": 0.953})

    changed = (
        "int8 changes features of fake more than it usually does (their mean cosine to those in "
        "float32 is 0.953)"
    )
    with fakes.install(calibrator=far):
        for _ in range(2):
            features = embed(many, backbone, fast=True)
            assert features.recipe.settings["precision"] == "bfloat16"
        assert lines() == [f"{changed}: bfloat16 is used instead"] * 2
        assert len(fakes.FakeEngine.calibrated) == 1, "what came of it is kept"
        ways = [settle({"fast": True, "pooling": each}) for each in ("avg", "max")]
        requests = [Request.of(backbone, each) for each in ways]
        calibrated(requests, ImageFolder.of(many), ways[0])
        assert lines()[2:] == [f"{changed}: bfloat16 is used instead"], "once for a network"
        asked = embed(many, backbone, input_size=20)
    assert asked.recipe.settings["precision"] == "int8", "by its name"
    assert lines()[3:] == [changed]


@pytest.mark.parametrize("odd", [10**400, "near", None, True])
def test_a_cosine_that_is_no_number_is_none(many, backbone, odd):
    def made(request, pictures):
        return replace(fakes.calibrate(request, pictures), settings={"cosine": odd})

    with fakes.install(calibrator=made):
        for _ in range(2):
            assert embed(many, backbone, fast=True).recipe.settings["precision"] == "int8"


def test_fast_says_int8_in_the_recipe(many, backbone):
    (part,) = embed(many, backbone, fast=True).recipe.parts
    assert (part.square.decode, part.cut.precision) == ("scaled", "int8")


def test_pixels_stay_as_they_are(many, fake_engine):
    features = embed(many, "pixels", input_size=8)
    assert features.recipe.settings["precision"] == "float32"
    assert fake_engine.calibrated == []


# -- Brought along -------------------------------------------------------------------------------


@pytest.fixture
def brought(monkeypatch, tmp_path, backbone):
    """A calibration of the fake network that featx brings along."""
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "shipped")
    calibration = fakes.calibration(backbone, 7.0)
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "fake.calibration").write_bytes(calibration.to_bytes())
    return calibration


def test_what_featx_brings_along_needs_no_pictures(photos, backbone, fake_engine, brought):
    features = embed(photos / "red" / "000.png", backbone)
    assert calibration_of(features) == brought.digest
    assert features.calibrations == (brought,)
    assert (fake_engine.calibrated, kept()) == ([], [])


@pytest.mark.parametrize(
    ("network", "options"),
    [
        ({}, {"layer": "conv"}),
        ({}, {"input_size": 24}),
        ({"digest": "cd" * 32}, {}),
        ({"name": "another"}, {}),
    ],
    ids=str,
)
def test_it_serves_its_own_weights_layer_and_size_alone(
    many, backbone, fake_engine, brought, network, options
):
    features = embed(many, replace(backbone, **network), **options)
    assert calibration_of(features) != brought.digest
    assert len(fake_engine.calibrated) == 1


def test_it_serves_the_published_weights_in_either_file(
    backbone, brought, monkeypatch, tmp_path, photos, fake_engine
):
    """With the classifier or without, which the digest tells apart."""
    published, changed = tmp_path / "published.h5", tmp_path / "changed.h5"
    published.write_bytes(b"as published")
    changed.write_bytes(b"trained on")
    one, other = (
        WeightsFile(f"{each}.h5", checksum=hashlib.md5(each).hexdigest())
        for each in (b"with", b"as published")
    )
    spec = replace(BACKBONES["vgg16"], name="fake", with_top=one, without_top=other)
    monkeypatch.setattr(shipped, "BACKBONES", {"fake": spec})
    for path, expected in ((published, brought), (changed, None)):
        weights = Weights(str(path), path, "ef" * 32)
        network = replace(backbone, digest=weights.digest, weights=weights)
        assert shipped.shipped_calibration(network, None, 16) == expected
    assert shipped.shipped_calibration(replace(network, weights=None), None, 16) is None


def test_a_backbone_with_a_calibration_of_its_own_is_run_by_that(photos, backbone, brought):
    own = fakes.calibration(backbone, 9.0)
    features = embed(photos, replace(backbone, calibration=own))
    assert calibration_of(features) == own.digest
    ours = embed(photos, backbone)
    with pytest.raises(RecipeMismatchError, match="int8 was calibrated on other pictures"):
        features.recipe.require(ours.recipe, "these features")


# -- Saved ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_saved_features_hold_their_calibration(many, backbone, tmp_path, suffix):
    features = embed(many, backbone)
    path = tmp_path / f"features{suffix}"
    features.save(path)
    shutil.rmtree(cache_folder())
    loaded = featx.Features.load(path)
    assert loaded.calibrations == features.calibrations
    assert loaded.recipe == features.recipe
    model = featx.train(loaded, "knn", backbone=backbone)
    new = model.features(many, progress=False)
    assert new.recipe == features.recipe
    np.testing.assert_array_equal(new.X, features.X)


def test_features_of_part_of_the_rows_hold_it_too(many, backbone):
    features = embed(many, backbone)
    assert features.select([0, 3]).calibrations == features.calibrations


def test_features_in_float32_are_saved_in_the_format_that_they_were(photos, backbone, tmp_path):
    featx.embed(photos, backbone, progress=False).save(tmp_path / "features.csv")
    about = json.loads((tmp_path / "features.csv.json").read_text())
    assert about["format"] == 2
    assert "calibrations" not in about


@pytest.mark.parametrize("odd", ["x", ["x"], [5], [""], ["AAAA"], None, 5, {"a": 1}], ids=repr)
def test_a_file_whose_calibration_is_damaged_is_refused_in_one_line(many, backbone, tmp_path, odd):
    features = embed(many, backbone)
    path = tmp_path / "features.csv"
    features.save(path)
    beside = tmp_path / "features.csv.json"
    about = json.loads(beside.read_text())
    assert about["format"] == 3
    table = path.read_bytes()
    about["calibrations"] = odd
    stored = formats.Stored(
        features.X, features.paths.tolist(), features.labels, about | {"format": 3}
    )
    for name in ("checksum", "description_checksum", "rows", "exact"):
        stored.about.pop(name)
    formats.save(path, stored, features.feature_names)
    assert path.read_bytes() == table
    with pytest.raises(StorageError, match="calibration") as caught:
        featx.Features.load(path)
    assert "\n" not in str(caught.value)


# -- Models --------------------------------------------------------------------------------------


def test_a_model_holds_its_calibration_and_predicts_the_same_with_an_empty_cache(
    many, new_photos, backbone, tmp_path, fake_engine
):
    model = featx.train(many, backbone=backbone, precision="int8", progress=False)
    expected = model.predict_proba(new_photos, progress=False)
    model.save(tmp_path / "m.featx")
    shutil.rmtree(cache_folder())
    loaded = featx.load(tmp_path / "m.featx", backbone=backbone)
    np.testing.assert_array_equal(loaded.predict_proba(new_photos, progress=False), expected)
    assert len(fake_engine.calibrated) == 1
    assert kept() == []
    again = tmp_path / "again.featx"
    loaded.save(again)
    assert featx.load(again, backbone=backbone).calibrations == model.calibrations


def test_a_model_in_int8_predicts_in_int8_on_every_processor(
    many, new_photos, backbone, tmp_path, native
):
    model = featx.train(many, backbone=backbone, fast=True, progress=False)
    expected = model.predict_proba(new_photos, progress=False)
    model.save(tmp_path / "m.featx")
    native("float32")
    shutil.rmtree(cache_folder())
    loaded = featx.load(tmp_path / "m.featx", backbone=backbone)
    np.testing.assert_array_equal(loaded.predict_proba(new_photos, progress=False), expected)


def test_a_model_takes_no_features_of_another_calibration(many, photos, backbone):
    model = featx.train(many, "knn", backbone=backbone, precision="int8", progress=False)
    other = embed(photos, replace(backbone, calibration=fakes.calibration(backbone, 3.0)))
    with pytest.raises(RecipeMismatchError, match="int8 was calibrated on other pictures"):
        model.predict(other)
    plain = featx.embed(photos, backbone, progress=False)
    with pytest.raises(RecipeMismatchError, match="precision float32, expected int8"):
        model.predict(plain)


def test_a_model_without_its_calibration_says_so_in_one_line(many, backbone, tmp_path):
    features = replace(embed(many, backbone), calibrations=())
    model = featx.train(features, "knn", backbone=backbone)
    for act in (
        lambda: model.predict(many, progress=False),
        lambda: model.save(tmp_path / "m.featx"),
    ):
        with pytest.raises(RecipeMismatchError) as caught:
            act()
        digest = calibration_of(features)[:12]
        assert str(caught.value) == (
            f"the calibration {digest} of these int8 features of fake is not there: embed the "
            "images again, and train on that"
        )


def test_models_of_floats_are_of_the_format_that_they_were(photos, backbone, tmp_path):
    model = featx.train(photos, "knn", backbone=backbone, progress=False)
    model.card = None  # which came later
    model.save(tmp_path / "m.featx")
    assert fakes.about(tmp_path / "m.featx")["format"] == 3
    assert model.calibrations == ()


def test_a_check_judges_both_folders_by_one_calibration(many, photos, fake_engine):
    options = {"backbone": "vgg16", "weights": "random"}
    featx.check(photos, test=many, precision="int8", progress=False, **options)
    assert {request.cut.precision for request in fake_engine.opened} == {"float32"}
    assert fake_engine.calibrated == []


# -- In the cache --------------------------------------------------------------------------------


def test_the_cache_lists_calibrations_with_the_recipes_that_name_them(many, backbone):
    features = embed(many, backbone)
    embed(many, backbone, layer="conv")
    embed(many, backbone, pooling="max")
    last, first = calibrations(cache_folder())
    assert first.calibration == features.calibrations[0]
    assert first.text == "fake, 16 px, 128 pictures, weights abababababab"
    assert last.text == "fake at conv, 16 px, 128 pictures, weights abababababab"
    assert (len(first.recipes), len(last.recipes)) == (2, 1)
    document = first.to_dict()
    assert features.recipe.fingerprint in document["recipes"]
    assert document["calibration"] == calibration_of(features)
    assert document["settings"]["n_pictures"] == 128


def test_a_calibration_stays_as_long_as_there_are_features_of_it(many, backbone):
    features = embed(many, backbone)
    digest = calibration_of(features)
    for name in (digest[:12], digest):
        with pytest.raises(OptionError) as caught:
            clear(cache_folder(), (name,))
        assert str(caught.value) == (
            "features of 1 recipe in the cache were made by this calibration: clear these first "
            f"({features.recipe.fingerprint[:12]})"
        )
    assert clear(cache_folder(), older_than=1) == 0
    assert len(calibrations(cache_folder())) == 1
    assert clear(cache_folder(), (features.recipe.fingerprint,)) > 0
    assert len(calibrations(cache_folder())) == 1, "only what was named"
    assert clear(cache_folder(), (digest[:12],), older_than=1) == 0, "it is new"
    assert clear(cache_folder(), (digest[:12],)) > 0
    assert calibrations(cache_folder()) == []


@pytest.mark.parametrize("names", [("fake",), ()], ids=["by name", "everything"])
def test_a_calibration_goes_with_its_features(many, backbone, names):
    embed(many, backbone)
    embed(many, replace(backbone, name="other"))
    clear(cache_folder(), names)
    left = [each.calibration.network for each in calibrations(cache_folder())]
    assert left == (["other"] if names else [])


def test_a_damaged_calibration_is_not_listed(many, backbone, lines):
    embed(many, backbone)
    (path,) = calibrations_folder(cache_folder()).iterdir()
    path.write_bytes(b"damaged")
    assert calibrations(cache_folder()) == []
    assert lines()[-1].startswith(f"the calibration {path} cannot be used: ")
    clear(cache_folder())
    assert not path.exists()


# -- Other doors ---------------------------------------------------------------------------------


def test_compare_calibrates_each_network_once_for_all_poolings(many, fake_engine):
    compared = featx.compare(
        many,
        ["vgg16", "resnet50"],
        poolings=["avg", "max"],
        classifiers=["knn"],
        weights="random",
        precision="int8",
        progress=False,
    )
    assert len(fake_engine.calibrated) == 2
    named = {each.features.recipe.parts[0].cut.calibration for each in compared.candidates}
    assert len(named) == 2
    assert None not in named
    winner = compared.candidates[0]
    model = featx.train(winner.features, winner.learner)
    assert model.calibrations == winner.features.calibrations != ()


def test_tune_calibrates_the_networks_that_it_runs(many, fake_engine):
    tuning = featx.tune(
        many, budget="60s", backbones=["vgg16"], weights="random", fast=True, progress=False
    )
    assert len(fake_engine.calibrated) == 1
    assert tuning.model.recipe.settings["precision"] == "int8"
    assert len(tuning.model.calibrations) == 1
    again = featx.tune(
        many, budget="60s", backbones=["vgg16"], weights="random", fast=True, progress=False
    )
    assert again.model.recipe == tuning.model.recipe
    assert len(fake_engine.calibrated) == 1
