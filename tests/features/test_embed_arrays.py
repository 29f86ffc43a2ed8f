"""An array of pictures becomes the matrix that the same pictures in files become."""

from __future__ import annotations

import time
from pathlib import Path

import fakes
import numpy as np
import pytest
from PIL import Image

import featx
from featx.errors import ImageError, OptionError
from featx.features.formats import SUFFIXES
from featx.features.matrix import Features
from featx.images import decode
from featx.images.arrays import ArrayImage

ROOT = Path(__file__).parents[2]


@pytest.fixture
def pictures():
    return fakes.draw_array()[0]


def saved(array, folder, suffix="png") -> list[str]:
    """Write the rows of an array to files."""
    folder.mkdir()
    paths = [str(folder / f"{row:03d}.{suffix}") for row in range(len(array))]
    for path, pixels in zip(paths, array, strict=True):
        Image.fromarray(pixels.squeeze()).save(path)
    return paths


@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)], ids=str)
@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_vectors_are_those_of_the_same_pictures_in_png_files(run, tmp_path, channels, resize):
    array = np.random.default_rng(0).integers(0, 256, (9, 20, 31, *channels), dtype=np.uint8)
    features, embedded = run(array, resize=resize)
    files, _ = run(saved(array, tmp_path / "png"), resize=resize, cache=False)
    assert features.X.tobytes() == files.X.tobytes()
    assert features.paths.tolist() == [f"array[{row}]" for row in range(9)]
    assert (embedded, len(features.failed), features.y) == (9, 0, None)


def test_arrays_are_rgb_and_who_has_bgr_is_told_what_to_give(run, pictures, tmp_path):
    files, _ = run(saved(pictures, tmp_path / "png"))
    swapped, _ = run(pictures[..., ::-1])
    assert not np.allclose(swapped.X, files.X)
    again, _ = run(pictures[..., ::-1][..., ::-1])
    assert np.array_equal(again.X, files.X)
    for text in (featx.embed.__doc__, (ROOT / "README.md").read_text()):
        assert "cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)" in text


def test_a_second_run_embeds_nothing_and_a_changed_pixel_one_picture(run, pictures, touched):
    first, embedded = run(pictures)
    assert (embedded, len(touched)) == (18, 18)
    touched.clear()
    again, embedded = run(pictures.copy())
    assert (embedded, touched) == (0, {}), "what is cached is not even decoded"
    assert [outcome.status for outcome in again.outcomes] == ["cached"] * 18
    assert again.X.tobytes() == first.X.tobytes()
    pictures[5, 3, 2, 1] ^= 128
    changed, embedded = run(pictures)
    assert embedded == 1
    assert np.flatnonzero((changed.X != first.X).any(axis=1)).tolist() == [5]


def test_content_is_what_counts_not_the_place_the_dtype_or_the_file(run, pictures, tmp_path):
    first, _ = run(pictures)
    order = np.random.default_rng(0).permutation(18)
    shuffled, embedded = run(pictures[order])
    assert (embedded, shuffled.X.tobytes()) == (0, first.X[order].tobytes())
    floats, embedded = run((pictures / 255).astype(np.float32))
    assert (embedded, floats.X.tobytes()) == (0, first.X.tobytes())
    files, embedded = run(saved(pictures, tmp_path / "ppm", "ppm"))
    assert (embedded, files.X.tobytes()) == (0, first.X.tobytes())


def test_nothing_is_kept_where_no_cache_is_wanted(run, pictures):
    first, _ = run(pictures, cache=False)
    again, embedded = run(pictures, cache=False)
    assert (embedded, again.X.tobytes()) == (18, first.X.tobytes())


def test_equal_pictures_are_two_rows_and_one_vector(run, pictures):
    features, embedded = run(pictures[[0, 1, 0]])
    assert embedded == 2
    assert features.X[0].tobytes() == features.X[2].tobytes()


def test_labels_go_with_the_rows(run, pictures, photos):
    labels = fakes.draw_array()[1]
    features, _ = run(pictures, labels=labels)
    assert features.y.tolist() == labels.tolist()
    assert features.classes == (0, 1, 2)
    one_hot, _ = run(pictures, labels=np.eye(3)[labels])
    assert one_hot.y.tolist() == features.y.tolist()
    paths = sorted(map(str, photos.glob("*/*")))
    files, _ = run(paths, labels=["x", "y"] * 9)
    assert files.y.tolist() == ["x", "y"] * 9
    with pytest.raises(OptionError, match="the images have labels already"):
        run(photos, labels=labels)
    with pytest.raises(OptionError, match="17 labels for 18 images"):
        run(pictures, labels=labels[1:])


def test_several_backbones_share_the_pictures(backbone, pictures):
    own = featx.Backbone("other", "cd" * 32, 16, 8, "none/1", preprocess=lambda pixels: pixels)
    one, other = featx.embed(pictures, [backbone, own], progress=False)
    assert one.paths.tolist() == other.paths.tolist()
    assert one.X.tobytes() == other.X.tobytes()


def test_selected_rows_keep_their_pictures_and_outcomes(run, pictures):
    features, _ = run(pictures)
    some = features.select([7, 2])
    assert [path.pixels.tobytes() for path in some.paths] == [
        pictures[7].tobytes(),
        pictures[2].tobytes(),
    ]
    assert [outcome.path for outcome in some.outcomes] == ["array[7]", "array[2]"]
    again, embedded = run(some.paths)
    assert (embedded, again.X.tobytes()) == (0, some.X.tobytes())


def test_rows_of_two_arrays_are_told_apart_by_their_pixels(run, pictures):
    others, _ = fakes.draw_array(start=1)
    both = np.concatenate([run(pictures)[0].paths, run(others)[0].paths])
    features, embedded = run(both, cache=False)
    assert embedded == 36
    expected = [run(each, cache=False)[0].X for each in (pictures, others)]
    assert features.X.tobytes() == np.concatenate(expected).tobytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_saved_features_know_the_names_of_the_pictures(run, pictures, tmp_path, suffix):
    features, _ = run(pictures, labels=fakes.draw_array()[1])
    features.save(tmp_path / f"x{suffix}")
    loaded = Features.load(tmp_path / f"x{suffix}")
    assert [type(path) for path in loaded.paths] == [str] * 18
    assert loaded.paths.tolist() == features.paths.tolist() == loaded.to_frame().index.tolist()
    assert loaded.outcomes == features.outcomes
    assert loaded.X.tobytes() == features.X.tobytes()
    with pytest.raises(ImageError, match=r"cannot read array\[0\]: no such file"):
        run(loaded.paths, on_error="raise")


def test_a_picture_that_cannot_be_decoded_is_an_outcome(run, pictures, monkeypatch):
    monkeypatch.setattr(decode, "MAX_PIXELS", 100)
    with pytest.raises(ImageError, match=r"cannot read array\[0\]: too many pixels: 32x24"):
        run(pictures, on_error="raise")
    mixed = np.empty(2, dtype=object)
    mixed[:] = [ArrayImage("small", pictures[0, :9, :9]), ArrayImage("large", pictures[1])]
    features, _ = run(mixed)
    assert features.paths.tolist() == ["small"]
    assert features.failed[0].path == "large"


@pytest.mark.slow
def test_mnist_is_wrapped_in_no_time_and_comes_from_the_cache_in_seconds(run):
    array = np.random.default_rng(0).integers(0, 256, (60_000, 28, 28), dtype=np.uint8)
    start = time.perf_counter()
    images = featx.ImageFolder.of(array)
    assert time.perf_counter() - start < 1.0  # 0.1 s alone on the machine
    run(images, batch_size=64)
    start = time.perf_counter()
    _, embedded = run(images)
    assert embedded == 0
    assert time.perf_counter() - start < 15.0  # 1.5 s


@pytest.mark.keras
def test_a_real_network_gives_an_array_what_it_gives_png_files(pictures, tmp_path):
    options = {"cache": tmp_path / "cache", "progress": False}
    array = featx.embed(pictures[:3], **options)
    options["cache"] = tmp_path / "other"
    files = featx.embed(saved(pictures[:3], tmp_path / "png"), **options)
    assert array.X.shape == (3, 1280)
    assert array.X.tobytes() == files.X.tobytes()
    assert featx.label(pictures[:1], top=2, **options)[0].path == "array[0]"
