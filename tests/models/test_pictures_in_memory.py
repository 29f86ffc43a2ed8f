"""Whatever works on files works on pictures in memory, with the same vectors and the same cache."""

from __future__ import annotations

import io
from pathlib import Path

import fakes
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps

import featx
from featx.errors import ImageError, ImageSourceError, ImageSourceWarning
from featx.learning.embedder import ImageEmbedder

pytestmark = pytest.mark.usefixtures("fake_engine")


@pytest.fixture
def files(photos) -> list[Path]:
    """Pictures of three classes, of several sizes and formats, one on its side."""
    files = sorted(photos.glob("*/*.png"))
    sideways = Image.Exif()
    sideways[0x0112] = 6
    with Image.open(files[4]) as image:
        image.save(files[4].with_suffix(".jpg"), exif=sideways)
        image.resize((50, 31)).save(files[7])
    files[4] = files[4].with_suffix(".jpg")
    return files


@pytest.fixture
def labels(files) -> list[str]:
    return [path.parent.name for path in files]


def pixels(path: Path) -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(Image.open(path)))


KINDS = {
    "bytes": Path.read_bytes,
    "streams": lambda path: io.BytesIO(path.read_bytes()),
    "open files": lambda path: path.open("rb"),
    "Pillow": Image.open,
}


@pytest.mark.parametrize("kind", KINDS)
def test_files_in_memory_have_the_vectors_of_the_files_and_share_their_cache(
    files, kind, fake_engine
):
    expected = featx.embed(files, progress=False)
    before = fake_engine.embedded
    features = featx.embed(map(KINDS[kind], files), progress=False)
    assert features.X.tobytes() == expected.X.tobytes()
    assert fake_engine.embedded == before
    notes = [outcome.notes for outcome in features.outcomes]
    assert notes == [outcome.notes for outcome in expected.outcomes]
    assert notes[4] == ("rotated as EXIF says",)


def test_pixels_have_the_vectors_of_their_files_and_a_changed_one_is_embedded_again(
    files, fake_engine
):
    expected = featx.embed(files, progress=False)
    images = [Image.open(path) for path in files]
    for image in images:
        image.load()
    assert featx.embed(images, cache=False).X.tobytes() == expected.X.tobytes()
    first = featx.embed(images)
    images[3].putpixel((2, 1), (1, 2, 3))
    before = fake_engine.embedded
    changed = featx.embed(images)
    assert fake_engine.embedded == before + 1
    assert np.flatnonzero((first.X != changed.X).any(axis=1)).tolist() == [3]


def test_a_model_learns_from_pictures_in_memory_and_predicts_one(files, labels):
    encoded = [path.read_bytes() for path in files]
    model = featx.train(
        iter(encoded), "knn", labels=labels, test=pd.DataFrame({"path": encoded, "label": labels})
    )
    assert model.training.test.accuracy == 1.0
    for kind, make in KINDS.items():
        assert model.predict(make(files[4])).tolist() == [labels[4]], kind
        assert model.predict([make(files[4])]).tolist() == [labels[4]], kind
    mixed = [files[0], encoded[7], Image.open(files[9]), pixels(files[14])]
    predictions = model.predictions(mixed)
    assert predictions.to_frame().path.tolist() == [
        str(files[0]),
        "image[1]",
        str(files[9]),
        "image[3]",
    ]
    assert predictions.to_frame().label.tolist() == [labels[row] for row in (0, 7, 9, 14)]
    shown = [ax.images[0].get_array().mean(axis=(0, 1)) for ax in predictions.plot().axes]
    assert np.ptp(shown, axis=1).min() > 50, "a grey square stands for a picture"
    wrong = ["red" if label == "blue" else label for label in labels]
    evaluation = model.evaluate(encoded, wrong)
    assert evaluation.mistakes.path.tolist() == [f"image[{row}]" for row in range(6)]


def test_comparisons_and_searches_take_iterators_and_galleries_lists(files, labels):
    images = [pixels(path) for path in files]
    options = {"backbones": "efficientnet_lite0", "classifiers": "knn", "progress": False}
    made = featx.compare(iter(images), labels=labels, **options)
    assert (
        made.best.validation.accuracy
        == featx.compare(files, labels=labels, **options).best.validation.accuracy
    )
    found = featx.tune(iter(images), labels=labels, budget=20, **options)
    assert found.model.predict(images).tolist() == found.model.predict(files).tolist()
    assert len(featx.plot_gallery(images, labels).axes) == len(images)


def test_the_transformer_takes_lists_and_columns_row_by_row(files):
    expected = featx.embed(files).matrix
    for make in (*KINDS.values(), pixels):
        items = [make(path) for path in files]
        assert np.array_equal(ImageEmbedder().fit_transform(items), expected)
        column = pd.DataFrame({"picture": items})
        assert np.array_equal(ImageEmbedder().fit_transform(column), expected)
    with pytest.raises(ImageSourceError, match="row 1 of X is a int: expected a path"):
        ImageEmbedder().fit([files[0], 7])


def test_what_is_damaged_is_left_out_and_said_or_raised(files, labels):
    cut = Image.open(io.BytesIO(fakes.encoded(fakes.photo(), "BMP")[:-40]))
    items = [files[0].read_bytes(), b"no picture", files[7].read_bytes(), cut, b""]
    with pytest.warns(ImageSourceWarning, match=r"3 of 5 images .* such as image\[1\]: not an"):
        features = featx.embed(items)
    assert features.paths.tolist() == ["image[0]", "image[2]"]
    reasons = {outcome.path: outcome.reason for outcome in features.failed}
    assert set(reasons) == {"image[1]", "image[3]", "image[4]"}
    assert reasons["image[1]"] == "not an image that Pillow can read"
    assert "truncated" in reasons["image[3]"]
    assert reasons["image[4]"] == "empty file"
    with pytest.raises(ImageError, match=r"cannot read image\[1\]: not an image"):
        featx.embed(items, on_error="raise")
    with pytest.raises(ImageSourceError, match=r"the image cannot be read \(image\[0\]: "):
        featx.embed(b"no picture")
    model = featx.train(files, "knn", labels=labels)
    assert model.predict(items).tolist() == [labels[0], None, labels[7], None, None]
    rows = ImageEmbedder(on_error="nan").fit_transform(items)
    assert np.isnan(rows).any(axis=1).tolist() == [False, True, False, True, True]
