"""From a folder to a matrix: every row right, nothing embedded twice, nothing lost."""

from __future__ import annotations

import io
import os
import random
import re
import shutil
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import fakes
import numpy as np
import pandas as pd
import pytest
import waits
from fakes import assert_rows
from PIL import Image

import featx
from featx import files
from featx.errors import ImageError, ImageSourceError, OptionError, StorageError
from featx.features.formats import SUFFIXES
from featx.features.matrix import Features
from featx.features.options import settle
from featx.features.recipe import Recipe
from featx.features.request import Request
from featx.features.store.cache import contents


def statuses(features: Features) -> list[str]:
    return [outcome.status for outcome in features.outcomes]


def recipe_of(backbone, **options) -> Recipe:
    return Request.of(backbone, settle(options)).recipe


def spoil(photos: Path) -> dict[str, str]:
    """Put files that cannot be read among photographs; name them and how the reason begins."""
    (photos / "blue" / "001.jpg").write_text("no picture")
    (photos / "green" / "empty.png").touch()
    whole = fakes.draw(photos / "green" / "003.jpg", (0, 99, 0), size=(64, 64), seed=1)
    whole.write_bytes(whole.read_bytes()[:-500])
    return {
        "blue/001.jpg": "not an image that Pillow can read",
        "green/003.jpg": "truncated: ",
        "green/empty.png": "empty file",
    }


# -- What comes out ------------------------------------------------------------------------------


def test_a_folder_becomes_a_matrix_with_labels_paths_and_outcomes(run, photos):
    features, embedded = run(photos)
    assert (features.X.shape, features.X.dtype) == ((18, 9), np.float32)
    assert features.y.tolist() == ["blue"] * 6 + ["green"] * 6 + ["red"] * 6
    assert [outcome.path for outcome in features.outcomes] == features.paths.tolist()
    assert (embedded, statuses(features)) == (18, ["embedded"] * 18)
    assert features.recipe.backbone == "fake"
    assert features.failed == ()
    assert_rows(features)


def test_rows_follow_the_sorted_relative_paths_whatever_the_file_system_says(
    run, photos, monkeypatch
):
    straight, _ = run(photos)
    listing = os.scandir

    class Shuffled:
        def __init__(self, folder):
            with listing(folder) as entries:
                self.entries = list(entries)
            random.Random(7).shuffle(self.entries)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *exception):
            pass

    monkeypatch.setattr(os, "scandir", Shuffled)
    shuffled, _ = run(photos, cache=photos.parent / "another")
    relative = [Path(path).relative_to(photos).as_posix() for path in shuffled.paths]
    assert relative == sorted(relative)
    assert shuffled.paths.tolist() == straight.paths.tolist()
    assert shuffled.X.tobytes() == straight.X.tobytes()


def test_a_list_keeps_its_order_and_a_path_that_comes_twice(run, photos):
    paths = [photos / "red" / "002.png", photos / "blue" / "000.png", photos / "red" / "002.png"]
    features, embedded = run(paths)
    assert features.paths.tolist() == [str(path) for path in paths]
    assert (features.y, embedded) == (None, 2)
    assert statuses(features) == ["embedded", "embedded", "cached"]
    assert_rows(features)


def test_a_table_gives_paths_and_labels_and_mixed_ones_stay_mixed(run, photos):
    paths = [str(photos / name) for name in ("red/002.png", "blue/000.png", "blue/001.png")]
    features, _ = run(pd.DataFrame({"path": paths, "label": ["r", "b", "b"], "other": 1}))
    assert (features.paths.tolist(), features.y.tolist()) == (paths, ["r", "b", "b"])
    mixed, _ = run(pd.DataFrame({"path": paths, "label": ["r", None, "b"]}))
    assert mixed.y.tolist() == ["r", None, "b"]
    assert mixed.classes == ("b", "r")
    shutil.copy(paths[0], photos / "loose.png")
    folder, _ = run(photos)
    assert folder.y.tolist() == [*["blue"] * 6, *["green"] * 6, None, *["red"] * 6]


def test_two_paths_with_equal_bytes_are_two_rows_and_one_vector(run, photos):
    shutil.copy(photos / "red" / "000.png", photos / "blue" / "copy.png")
    features, embedded = run(photos)
    assert (len(features), embedded) == (19, 18)
    rows = [row for row, path in enumerate(features.paths) if Path(path).name == "copy.png"]
    rows += [features.paths.tolist().index(str(photos / "red" / "000.png"))]
    assert (features.X[rows[0]] == features.X[rows[1]]).all()
    assert [features.outcomes[row].status for row in rows] == ["embedded", "cached"]
    assert_rows(features)


def test_a_map_keeps_its_shape(run, photos):
    features, _ = run(photos, pooling="none")
    assert features.X.shape == (18, 1, 1, 9)
    assert features.X.reshape(18, 9).tobytes() == run(photos)[0].X.tobytes()


@pytest.mark.parametrize("batch_size", [1, 3, 8, 50])
def test_no_vector_depends_on_the_batch_size_or_its_neighbours(run, photos, batch_size):
    features, embedded = run(photos, batch_size=batch_size)
    assert embedded == 18
    assert_rows(features)


def test_a_large_matrix_is_a_memory_map_of_the_same_numbers(run, photos, monkeypatch):
    in_memory, _ = run(photos)
    monkeypatch.setattr(files, "MEMORY_MAP_BYTES", 100)
    mapped, _ = run(photos)
    assert isinstance(mapped.X.base, np.memmap), type(mapped.X.base)
    assert not isinstance(in_memory.X.base, np.memmap)
    assert mapped.X.tobytes() == in_memory.X.tobytes()


def test_a_matrix_that_finds_no_room_is_an_error_and_no_crash(run, photos, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "MEMORY_MAP_BYTES", 100)
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(StorageError, match="the disk is full; make room"):
        run(photos)


def test_notes_of_the_decoding_are_told_on_the_first_run_and_on_later_ones(run, tmp_path):
    cmyk = Image.fromarray(np.full((20, 20, 4), 60, np.uint8), "CMYK")
    exif = Image.Exif()
    exif[0x0112] = 6
    cmyk.save(tmp_path / "a.jpg", exif=exif)
    fakes.draw(tmp_path / "b.png", (1, 2, 3))
    for expected in ("embedded", "cached"):
        features, _ = run(tmp_path)
        assert statuses(features) == [expected] * 2
        notes = [outcome.notes for outcome in features.outcomes]
        assert notes == [("CMYK to RGB", "rotated as EXIF says"), ()]


def test_names_that_are_not_utf_8_go_all_the_way(run, tmp_path):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    path = os.path.join(folder, os.fsdecode(b"\xff.png"))
    try:
        os.mkdir(folder)
        shutil.copy(fakes.draw(tmp_path / "tea" / "1.png", (9, 9, 9), seed=3), path)
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    features, _ = run(tmp_path)
    assert features.paths[0] == path
    for suffix in SUFFIXES:
        features.save(tmp_path / f"saved{suffix}")
        loaded = Features.load(tmp_path / f"saved{suffix}")
        assert loaded.paths.tolist() == features.paths.tolist(), suffix
        assert loaded.y.tolist() == [os.fsdecode(b"caf\xe9"), "tea"], suffix
        assert [outcome.path for outcome in loaded.outcomes] == loaded.paths.tolist(), suffix


@pytest.mark.parametrize("progress", [False, True])
def test_short_work_prints_nothing(backbone, photos, capfd, progress):
    assert len(featx.embed(photos, backbone, progress=progress)) == 18
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("progress", [False, True])
def test_long_work_shows_its_progress_on_a_terminal_only_where_asked(
    backbone, photos, capsys, monkeypatch, progress
):
    fakes.FakeEngine.seconds_per_batch = 0.4
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    featx.embed(photos, backbone, batch_size=2, progress=progress)
    shown = re.findall(r"fake: .*?(\d+)/18", terminal.getvalue())
    assert (shown[-1:] == ["18"]) == progress, terminal.getvalue()
    assert bool(terminal.getvalue()) == progress, terminal.getvalue()
    assert capsys.readouterr().out == ""


# -- What is embedded again, and what is not -----------------------------------------------------


def test_a_second_run_embeds_nothing_opens_no_engine_and_reads_no_file(
    run, photos, fake_engine, later, touched
):
    first, embedded = run(photos)
    assert (embedded, len(fake_engine.opened)) == (18, 1)
    touched.clear()
    second, embedded = run(photos)
    assert (embedded, len(fake_engine.opened)) == (0, 1)
    assert statuses(second) == ["cached"] * 18
    assert second.X.tobytes() == first.X.tobytes()
    assert second.seconds == 0
    assert touched == {}


def test_a_renamed_copy_embeds_nothing(run, photos, fake_engine):
    first, _ = run(photos)
    shutil.copytree(photos, photos.parent / "renamed")
    shutil.rmtree(photos)
    second, embedded = run(photos.parent / "renamed")
    assert (embedded, len(fake_engine.opened)) == (0, 1)
    assert second.X.tobytes() == first.X.tobytes()


def test_adding_three_photographs_embeds_three(run, photos):
    run(photos)
    for name in ("blue/0000.png", "green/002b.png", "red/9.png"):
        fakes.draw(photos / name, (7, 8, 9), seed=len(name))
    features, embedded = run(photos)
    assert (len(features), embedded) == (21, 3)
    assert [Path(o.path).name for o in features.outcomes if o.status == "embedded"] == [
        "0000.png",
        "002b.png",
        "9.png",
    ]
    assert_rows(features)


@pytest.mark.parametrize(
    "change",
    [
        {"pooling": "max"},
        {"layer": "conv"},
        {"input_size": 17},
        {"resize": "crop"},
        {"interpolation": "nearest"},
    ],
    ids=str,
)
def test_another_setting_embeds_again_and_the_first_is_kept(run, photos, change):
    run(photos)
    features, embedded = run(photos, **change)
    assert embedded == 18
    assert features.recipe == Recipe.from_dict(run(photos)[0].recipe.to_dict() | change)
    assert [run(photos, **change)[1], run(photos)[1]] == [0, 0]


def test_other_weights_embed_again(run, photos, backbone):
    run(photos)
    assert run(photos, replace(backbone, digest="cd" * 32))[1] == 18


def test_one_changed_byte_embeds_again_even_with_its_time_restored(run, photos, later):
    run(photos)
    path = photos / "green" / "003.png"
    whole, status = bytearray(path.read_bytes()), path.stat()
    time.sleep(0.03)  # the clock of the file system is coarse
    image = Image.open(path)
    image.putpixel((0, 0), (255, 255, 255))
    image.save(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    features, embedded = run(photos)
    assert embedded == 1
    assert_rows(features)
    path.write_bytes(whole)
    assert run(photos)[1] == 0, "the first content is still there"


def test_without_a_cache_nothing_is_kept(run, photos, tmp_path):
    first, _ = run(photos, cache=False)
    second, embedded = run(photos, cache=False)
    assert embedded == 18
    assert second.X.tobytes() == first.X.tobytes()
    assert list(Path(os.environ["FEATX_CACHE"]).iterdir()) == []


def test_the_cache_may_be_any_folder(run, photos, tmp_path):
    run(photos, cache=tmp_path / "deep" / "mine")
    assert sum(recipe.rows for recipe in contents(tmp_path / "deep" / "mine")) == 18
    assert run(photos, cache=str(tmp_path / "deep" / "mine"))[1] == 0
    assert run(photos, cache=True)[1] == 18
    assert run(photos)[1] == 0, "True is the same as the default"


# -- Files that cannot be read -------------------------------------------------------------------


def test_bad_files_are_listed_with_reasons_and_the_rest_is_done(run, photos):
    bad = spoil(photos)
    (photos / "red" / "notes.txt").write_text("not asked for")
    for expected in ("embedded", "cached"):
        features, _ = run(photos)
        assert len(features) == 18
        assert features.y.tolist() == ["blue"] * 6 + ["green"] * 6 + ["red"] * 6
        assert_rows(features)
        found = {
            Path(outcome.path).relative_to(photos).as_posix(): outcome.reason
            for outcome in features.failed
        }
        assert found.keys() == bad.keys()
        for name, reason in found.items():
            assert reason.startswith(bad[name]), f"{name}: {reason}"
        assert features.n_other == 1
        rest = {outcome.status for outcome in features.outcomes if outcome.ok}
        assert rest == {expected}
        paths = [outcome.path for outcome in features.outcomes]
        assert paths == sorted(paths)
        assert len(paths) == 21


def test_copies_of_a_bad_file_all_fail(run, photos):
    names = [f"{color}/x{number}.jpg" for color in ("blue", "green", "red") for number in range(2)]
    for name in names:
        (photos / name).write_text("no picture")
    features, _ = run(photos)
    assert [Path(o.path).relative_to(photos).as_posix() for o in features.failed] == names
    assert {o.reason for o in features.failed} == {"not an image that Pillow can read"}
    assert_rows(features)


def test_a_missing_file_in_a_list_is_an_outcome(run, photos):
    paths = [photos / "red" / "000.png", photos / "gone.png", photos / "blue" / "000.png"]
    features, _ = run(paths)
    assert statuses(features) == ["embedded", "failed", "embedded"]
    assert features.failed[0].path == str(paths[1])
    assert features.failed[0].reason == "no such file or directory"
    assert_rows(features)


def test_raising_names_the_first_bad_file_and_keeps_what_was_done(run, photos):
    (photos / "green" / "001.jpg").write_text("no picture")
    (photos / "green" / "002.jpg").write_text("no picture either")
    with pytest.raises(ImageError, match=r"cannot read .*green/001\.jpg: not an image") as caught:
        run(photos, on_error="raise", batch_size=1)
    assert "\n" not in str(caught.value)
    features, embedded = run(photos)
    assert (len(features), embedded) == (18, 18 - 7), "six blue ones and a green one came before"


@pytest.fixture
def late_first(photos, monkeypatch):
    """A file of which a copy, later in order, is read first, as happens among threads."""
    seen = threading.Event()

    def wait_for_the_copy(path):
        if path.endswith("a.png"):
            assert seen.wait(waits.SECONDS), "the copy was not read beside it"
            time.sleep(0.05)
        elif path.endswith("z.png"):
            seen.set()
        return io.FileIO(path)

    fakes.open_pictures(monkeypatch, wait_for_the_copy)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    return [photos / "a.png", photos / "red" / "000.png", photos / "z.png"]


def test_of_copies_the_first_in_order_is_the_one_embedded(run, late_first):
    for path in (late_first[0], late_first[2]):
        fakes.draw(path, (5, 6, 7))
    features, embedded = run(late_first)
    assert (embedded, statuses(features)) == (2, ["embedded", "embedded", "cached"])


def test_of_bad_copies_the_first_in_order_is_the_one_named(run, late_first):
    for path in (late_first[0], late_first[2]):
        path.touch()
    with pytest.raises(ImageError, match=r"cannot read .*/a\.png: empty file"):
        run(late_first, on_error="raise")


def test_what_is_no_regular_file_fails_with_its_reason_wherever_it_is_named(run, photos, tmp_path):
    pipe, zero = tmp_path / "pipe.png", tmp_path / "zero.png"
    os.mkfifo(pipe)
    zero.symlink_to("/dev/zero")
    table = pd.DataFrame({"path": [str(photos / "red" / "000.png"), str(pipe), str(zero)]})
    for source in (table.path.tolist(), table):
        features, _ = run(source)
        assert [outcome.reason for outcome in features.outcomes] == [
            "",
            "a named pipe, not a regular file",
            "a device, not a regular file",
        ]
    with pytest.raises(ImageSourceError, match="a named pipe, not a regular file"):
        run(str(pipe))


def test_a_file_that_cannot_be_read_any_more_takes_no_copy_with_it(run, photos, later, monkeypatch):
    paths = [photos / "blue" / "000.png", photos / "copy.png"]
    shutil.copy(*paths)
    run(paths)  # so that its digest is remembered

    def refuse_the_first(path):
        if path == str(paths[0]):
            raise OSError(5, "Input/output error")
        return io.FileIO(path)

    fakes.open_pictures(monkeypatch, refuse_the_first)
    features, embedded = run(paths, pooling="max")
    assert (embedded, statuses(features)) == (1, ["failed", "embedded"])
    assert features.failed[0].reason == "input/output error"


def test_images_of_which_none_can_be_read_are_an_error(run, tmp_path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).touch()
    with pytest.raises(ImageSourceError, match=r"none of 2 images can be read \(.*a\.jpg: empty"):
        run(tmp_path)


# -- Options -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_size": 7}, "input size 7 does not fit fake: expected 8 to 4096 pixels"),
        ({"input_size": 5000}, "input size 5000 does not fit fake: expected 8 to 4096"),
        ({"input_size": 224.0}, "input size 224.0 does not fit fake"),
        ({"input_size": "224"}, "input size '224' does not fit fake"),
        ({"batch_size": 0}, "batch size 0: expected a whole number from 1 up"),
        ({"batch_size": 2.5}, "batch size 2.5: expected a whole number"),
        (
            {"pooling": "mean"},
            "unknown pooling 'mean': expected one of avg, max, token, flatten, none",
        ),
        ({"resize": "stretch"}, "unknown resize 'stretch': expected one of squash, crop, pad"),
        ({"interpolation": "box"}, "unknown interpolation 'box': expected one of bilinear"),
        ({"on_error": "ignore"}, "unknown on_error 'ignore': expected one of skip, raise"),
        ({"decode": "draft"}, "unknown decode 'draft': expected one of full, scaled"),
        ({"decode": "scaled/1"}, "unknown decode 'scaled/1': expected one of full, scaled"),
        ({"decode": "draft", "fast": True}, "unknown decode 'draft': expected one of full"),
        ({"precision": "float16"}, "unknown precision 'float16': expected one of float32, bfloat1"),
        ({"precision": "float16", "fast": True}, "unknown precision 'float16': expected one of"),
        ({"engine": "torch"}, "unknown engine 'torch': expected one of auto, openvino, keras"),
        ({"network": 50}, "backbone is 50: expected a name of `featx backbones`, Backbone.from_"),
        ({"network": "resnet5"}, "unknown backbone 'resnet5'"),
        ({"weights": "random"}, "this Backbone has its own"),
    ],
    ids=str,
)
def test_an_option_that_cannot_be_is_refused_before_any_work(
    run, photos, fake_engine, options, message
):
    with pytest.raises(OptionError) as caught:
        run(photos, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert fake_engine.opened == []


def test_numpy_integers_are_whole_numbers(run, photos, backbone):
    features, _ = run(photos, input_size=np.int64(20), batch_size=np.int32(4))
    assert features.recipe == recipe_of(backbone, input_size=20)
    assert type(features.recipe.settings["input_size"]) is int
    assert features.recipe.fingerprint == recipe_of(backbone, input_size=20).fingerprint


def test_a_layer_of_the_classifier_is_not_pooled(backbone):
    recipes = {recipe_of(backbone, layer="predictions", pooling=each) for each in ("avg", "max")}
    assert [recipe.pooling for recipe in recipes] == ["none"]
