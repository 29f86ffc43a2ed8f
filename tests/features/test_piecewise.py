"""Embedding into a folder of features goes piece by piece, and goes on where it was."""

from __future__ import annotations

from pathlib import Path

import fakes
import numpy as np
import pytest

import featx
from featx.errors import ImageError, NoImagesError, OptionError, StorageError
from featx.features import embed as embed_module
from featx.features import matrix, reader
from featx.features.matrix import Features, OpenedFeatures


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch, fake_engine):
    monkeypatch.setattr(embed_module, "PART_ROWS", 5)


@pytest.fixture
def photos(tmp_path) -> Path:
    """Eighteen pictures of three classes, of which two cannot be read, and a text."""
    root = fakes.draw_folder(tmp_path / "photos", each=6)
    (root / "blue/003.png").write_bytes(b"no picture")
    (root / "red/000.png").write_bytes(b"")
    (root / "notes.txt").touch()
    return root


def embed(source, out, **options) -> Features:
    return featx.embed(source, out=out, **{"progress": False, **options})


def assert_same(found: Features, expected: Features) -> None:
    assert np.asarray(found.X).tobytes() == np.asarray(expected.X).tobytes()
    assert found.labels == expected.labels
    assert found.digests.tolist() == expected.digests.tolist()
    for name in ("recipe", "n_other", "weights", "notes", "classes"):
        assert getattr(found, name) == getattr(expected, name), name
    for own, other in zip(found.outcomes, expected.outcomes, strict=True):
        assert (own.path, own.reason, own.ok) == (other.path, other.reason, other.ok)


def listed(photos: Path) -> list[str]:
    return sorted(map(str, photos.rglob("*.png")))


def parts(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("part-*")
    }


@pytest.mark.filterwarnings("ignore::featx.ImageSourceWarning")
@pytest.mark.parametrize("cache", [None, False])
def test_pieces_put_together_are_the_whole(photos, tmp_path, cache):
    found = embed(photos, tmp_path / "photos.features", cache=cache)
    expected = featx.embed(photos, progress=False, cache=cache)
    assert len(parts(tmp_path / "photos.features")) == 4
    assert_same(found, expected)
    assert found.to_dict()["n_failed"] == 2
    assert found.to_dict()["n_embedded"] == 16
    assert found.seconds > 0
    assert_same(Features.load(tmp_path / "photos.features"), expected)


@pytest.mark.filterwarnings("ignore::featx.ImageSourceWarning")
def test_a_large_folder_comes_back_lazily(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(matrix, "MEMORY_MAP_BYTES", 0)
    with pytest.warns(featx.ImageSourceWarning, match="2 of 18 images cannot be read"):
        found = embed(photos, f"{tmp_path}/features/")
    assert isinstance(found, OpenedFeatures)
    assert "paths" not in vars(found)


@pytest.mark.filterwarnings("ignore::featx.ImageSourceWarning")
def test_parts_that_are_there_are_kept(photos, tmp_path, monkeypatch, fake_engine):
    out = tmp_path / "photos.features"
    embed_batch = fakes.FakeEngine.embed_batch
    fakes.fail_from_batch(monkeypatch, 1, RuntimeError("power cut"))
    with pytest.raises(RuntimeError, match="power cut"):
        embed(photos, out, cache=False, batch_size=5)
    before = parts(out)
    assert len(before) == 1
    with pytest.raises(StorageError, match="is not finished: run the command that makes it again"):
        Features.load(out)
    monkeypatch.setattr(fakes.FakeEngine, "embed_batch", embed_batch)
    done = fakes.FakeEngine.embedded
    found = embed(photos, out, cache=False)
    assert fakes.FakeEngine.embedded - done == 16 - 4
    assert parts(out).items() >= before.items()
    assert_same(found, featx.embed(photos, progress=False))
    done, again = fakes.FakeEngine.embedded, embed(photos, out, cache=False)
    assert fakes.FakeEngine.embedded == done
    assert_same(again, found)


@pytest.mark.filterwarnings("ignore::featx.ImageSourceWarning")
@pytest.mark.parametrize("lazily", [False, True])
def test_a_second_run_tells_what_was_there_and_what_is_new(photos, tmp_path, monkeypatch, lazily):
    monkeypatch.setattr(matrix, "MEMORY_MAP_BYTES", 0 if lazily else 1 << 30)
    out = tmp_path / "photos.features"
    for embedded in (16, 0, 3):
        if embedded == 3:
            fakes.draw(photos / "red/005.png", (1, 2, 3))  # of the last part
        found = embed(photos, out, cache=False)
        told = found.to_dict()
        assert (told["n_embedded"], told["n_cached"]) == (embedded, 16 - embedded)
        statuses = [each.status for each in found.outcomes if each.ok]
        assert statuses.count("embedded") == embedded
        batches = found.batches(7)
        assert [each.status for batch in batches for each in batch.outcomes] == statuses
        if embedded == 0:
            assert found.summary.startswith("18 images: 16 from the cache, 2 failed, in ")
            assert found.seconds == 0 < found.elapsed


@pytest.mark.filterwarnings("ignore::featx.ImageSourceWarning")
@pytest.mark.parametrize("change", ["picture", "label", "recipe", "part", "damage"])
def test_what_changed_is_made_anew(photos, tmp_path, change, caplog):
    out, labels, options = tmp_path / "photos.features", ["a"] * 18, {}
    embed(listed(photos), out, labels=labels)
    before = parts(out)
    last, damaged = sorted(before)[-1], out / sorted(before)[-1]
    if change == "picture":
        fakes.draw(photos / "red/005.png", (1, 2, 3))
    elif change == "label":
        labels[-1] = "b"
    elif change == "recipe":
        options["input_size"] = 64
    elif change == "part":
        damaged.unlink()
    else:
        damaged.write_bytes(damaged.read_bytes()[:-9])
    with caplog.at_level("WARNING"):
        found = embed(listed(photos), out, labels=labels, **options)
    told = {
        "picture": "photos.features was made of other pictures or labels, or they have changed: "
        "from part-00003.parquet on, what differs is made anew",
        "recipe": "photos.features has features of another recipe: they are replaced",
    }
    told["label"] = told["picture"]
    assert caplog.text.count("photos.features ") == (change in told)
    assert told.get(change, "") in caplog.text
    assert_same(found, featx.embed(listed(photos), labels=labels, progress=False, **options))
    same = {name for name, each in parts(out).items() if each == before[name]}
    assert same == (set() if change == "recipe" else set(before) - {last})


def test_classes_and_pieces_without_a_readable_picture_are_told_once(photos, tmp_path):
    for path in (photos / "blue").iterdir():
        path.write_bytes(b"")
    with pytest.warns(featx.ImageSourceWarning) as told:
        found = embed(photos, tmp_path / "x.features")
    assert [str(each.message) for each in told][1:] == [
        "no picture of these classes can be read: blue"
    ]
    assert len(found) == 11
    assert [each.ok for each in found.outcomes[:7]] == [False] * 6 + [True]


def test_nothing_that_can_be_read_is_an_error_as_ever(photos, tmp_path):
    for path in photos.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(NoImagesError, match="none of 18 images can be read") as caught:
        embed(photos, tmp_path / "x.features")
    assert len(caught.value.outcomes) == 18


def test_an_image_that_cannot_be_read_ends_the_run_where_asked(photos, tmp_path):
    with pytest.raises(ImageError, match=r"cannot read .*blue/003\.png"):
        embed(photos, tmp_path / "x.features", on_error="raise")
    with pytest.warns(featx.ImageSourceWarning):
        embed(photos, tmp_path / "x.features")
    with pytest.raises(ImageError, match=r"cannot read .*blue/003\.png"):
        embed(photos, tmp_path / "x.features", on_error="raise")


@pytest.mark.filterwarnings("ignore::featx.ImageSourceWarning")
@pytest.mark.parametrize("on_error", ["skip", "raise"])
def test_pictures_that_can_be_read_by_now_are_put_into_their_parts(
    photos, tmp_path, monkeypatch, on_error
):
    out, read = tmp_path / "x.features", reader.read_file
    if on_error == "raise":
        for name in ("blue/003.png", "red/000.png"):
            fakes.draw(photos / name, (9, 9, 9))
    paths = listed(photos)
    expected = embed(paths, tmp_path / "whole.features", cache=False)

    def refused(path, **bound):
        if path in denied:
            raise PermissionError(13, "not now")
        return read(path, **bound)

    denied = {paths[3], paths[7], *paths[10:15]}  # all of the third part
    gone = Path(paths[1])
    gone.rename(tmp_path / "gone")
    with monkeypatch.context() as patch:
        patch.setattr(reader, "read_file", refused)
        assert len(embed(paths, out, cache=False)) == 10
        before = parts(out)
        assert len(embed(paths, out, cache=False)) == 10
        assert parts(out) == before  # not written again
        denied.remove(paths[7])
        assert len(embed(paths, out, cache=False)) == 11
    (tmp_path / "gone").rename(gone)
    done = fakes.FakeEngine.embedded
    found = embed(paths, out, cache=False, on_error=on_error)
    assert fakes.FakeEngine.embedded - done == len(expected) - 11
    assert_same(found, expected)
    assert found.to_dict()["n_embedded"] == len(expected) - 11
    assert_same(Features.load(out), expected)


@pytest.mark.filterwarnings("ignore::featx.ImageSourceWarning")
def test_a_part_whose_vectors_are_damaged_is_made_anew_where_it_would_be_mended(
    photos, tmp_path, monkeypatch
):
    out, read = tmp_path / "x.features", reader.read_file
    paths = listed(photos / "green")[:5]
    with monkeypatch.context() as patch:
        patch.setattr(reader, "read_file", lambda path: read(path if path != paths[0] else out))
        found = embed(paths, out, cache=False)
    part = out / "part-00000.parquet"
    part.write_bytes(part.read_bytes().replace(found.X[1].tobytes(), bytes(4 * 9)))
    assert_same(embed(paths, out, cache=False), featx.embed(paths, progress=False))


def test_joined_networks_and_maps_go_into_a_folder(photos, tmp_path):
    source = photos / "green"
    random = {"backbone": "resnet50+xception", "weights": "random"}
    joined = embed(source, tmp_path / "a.features", **random)
    assert joined.X.tolist() == featx.embed(source, progress=False, **random).X.tolist()
    maps = embed(source, tmp_path / "b.features", pooling="none")
    assert maps.X.shape == featx.embed(source, pooling="none", progress=False).X.shape


@pytest.mark.parametrize("out", ["x.npz", "x.csv"])
def test_out_of_a_file_saves_it(photos, tmp_path, out):
    found = embed(photos / "green", tmp_path / out)
    assert Features.load(tmp_path / out).X.tolist() == found.X.tolist()


def test_out_of_a_file_at_an_address_saves_it(photos, bucket):
    found = embed(photos / "green", f"{bucket}/x.npz")
    assert Features.load(f"{bucket}/x.npz").X.tolist() == found.X.tolist()


@pytest.mark.parametrize(
    ("out", "options", "text"),
    [
        ("x.features", {"views": 2}, "keeps no augmented views; name a file"),
        (
            "x.features",
            {"backbone": ["resnet50", "xception"]},
            "there are 2 networks: expected one",
        ),
        ("x.jpg", {}, "expected a name that ends in .npz"),
        ("no/x.features", {}, "there is no such folder; create it first"),
        ("photos", {}, r"expected a name that ends in .*, \.features"),
        ("photos/", {}, "holds other files, such as "),
        (
            "there.features/part-00000.parquet",
            {},
            r"there\.features is a folder of features, whose",
        ),
        ("there.features/x.npz", {}, "name a place outside of it"),
        ("there.features/x.features", {}, "name a place outside of it"),
    ],
)
def test_what_cannot_be_written_is_said_before_any_work(photos, tmp_path, out, options, text):
    made = Features(np.ones((1, 2), np.float32), None, ["a.jpg"])
    made.save(tmp_path / "there.features")
    with pytest.raises((OptionError, StorageError), match=text):
        embed(photos, f"{tmp_path}/{out}", **options)
    if "there" in out:
        with pytest.raises(OptionError, match=text):
            made.save(f"{tmp_path}/{out}")
    assert fakes.FakeEngine.embedded == 0
    assert not (tmp_path / "x.features").exists()
    assert Features.load(tmp_path / "there.features").X.tolist() == [[1, 1]]


def test_a_folder_of_pictures_in_a_bucket_takes_no_features(photos, bucket):
    bucket.put_folder(photos, "photos.features")
    with pytest.raises(StorageError, match="holds other files, such as blue"):
        embed(f"{bucket}/photos.features/", f"{bucket}/photos.features/")
    embed(photos / "green", f"{bucket}/x.features/")
    embed(photos / "green", f"{bucket}/x.features/")
    with pytest.raises(OptionError, match="name a place outside of it"):
        embed(photos / "green", f"{bucket}/x.features/y.features")


@pytest.mark.filterwarnings("ignore::featx.ImageSourceWarning")
def test_pictures_of_a_bucket_are_embedded_into_a_bucket(photos, bucket):
    bucket.put_folder(photos, "photos")
    found = embed(f"{bucket}/photos", f"{bucket}/photos.features")
    expected = featx.embed(f"{bucket}/photos", progress=False)
    assert_same(found, expected)
    done = fakes.FakeEngine.embedded
    assert_same(embed(f"{bucket}/photos", f"{bucket}/photos.features"), expected)
    assert fakes.FakeEngine.embedded == done
