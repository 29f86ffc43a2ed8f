"""Training pictures that a model keeps: few, small, of nothing else, and only if asked for."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace

import fakes
import numpy as np
import pytest
from PIL import Image

import featx
from featx.cli.main import main
from featx.errors import ModelFileError, OptionError
from featx.features.matrix import as_paths
from featx.models.model_file import EXAMPLES, PICTURES

pytestmark = pytest.mark.usefixtures("fake_engine")


@pytest.fixture
def model(photos):
    return featx.train(photos, "centroid", keep_pictures=2, progress=False)


def test_a_model_keeps_no_picture_unless_that_was_asked_for(photos, tmp_path):
    model = featx.train(photos, "centroid")
    assert model.examples is None
    assert "examples" not in model.training.to_dict()
    model.save(tmp_path / "m.featx")
    assert "examples" not in fakes.about(tmp_path / "m.featx")
    assert {EXAMPLES, PICTURES}.isdisjoint(zipfile.ZipFile(tmp_path / "m.featx").namelist())


def test_a_file_keeps_them_and_a_loaded_model_finds_the_nearest(model, new_photos, tmp_path):
    assert model.training.to_dict()["examples"]["n_pictures"] == 6
    model.save(tmp_path / "m.featx")
    loaded = featx.load(tmp_path / "m.featx")
    assert loaded.examples.labels == ("blue", "blue", "green", "green", "red", "red")
    assert loaded.examples.pictures == model.examples.pictures
    assert loaded.examples.vectors.tobytes() == model.examples.vectors.tobytes()
    features = loaded.features(new_photos)
    for label, nearest in zip(features.labels, loaded.examples.nearest(features), strict=True):
        assert len(nearest) == 3
        assert [each.label for each in nearest[:2]] == [label, label]
        similarities = [each.similarity for each in nearest]
        assert similarities == sorted(similarities, reverse=True)
    assert len(loaded.examples.nearest(features.matrix[:1], 100)[0]) == 6
    assert len(loaded.examples.nearest(features.matrix[:1], 1)[0]) == 1
    loaded.save(tmp_path / "again.featx")
    assert (tmp_path / "again.featx").read_bytes() == (tmp_path / "m.featx").read_bytes()


def test_a_training_picture_is_nearest_to_itself(model, photos):
    features = model.training.features
    for row, path in enumerate(features.paths):
        (nearest,) = model.examples.nearest(features.select([row]), 1)[0]
        if nearest.similarity > 0.9999:
            shown = np.asarray(Image.open(path).convert("RGB")).astype(int)
            assert np.abs(nearest.pixels.astype(int) - shown).mean() < 20


def test_of_the_file_nothing_but_small_pixels_goes_along(tmp_path):
    """Neither where and when it was taken, nor a comment, a profile or a picture within."""
    random = np.random.default_rng(0)
    for number in range(12):
        label = ("ant", "bee")[number % 2]
        path = tmp_path / "secret-folder" / label / f"secret-{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        color = (220, 60, 40) if number % 2 else (40, 60, 220)
        pixels = np.clip(color + random.integers(-30, 30, (400, 600, 3)), 0, 255)
        exif = Image.Exif()
        exif[0x010E] = "secret description"
        exif[0x0112] = 6  # to be turned
        exif.get_ifd(0x8825)[1] = "N"
        exif.get_ifd(0x8825)[2] = (51.0, 30.0, 0.0)
        Image.fromarray(pixels.astype(np.uint8)).save(
            path, exif=exif, comment=b"secret comment", icc_profile=b"secret profile" * 20
        )
    model = featx.train(tmp_path / "secret-folder", "centroid", keep_pictures=3)
    model.save(tmp_path / "m.featx")
    assert len(model.examples) == 6
    with zipfile.ZipFile(tmp_path / "m.featx") as archive:
        assert not [name for name in archive.namelist() if b"secret" in archive.read(name)]
    for jpeg in model.examples.pictures:
        image = Image.open(io.BytesIO(jpeg))
        assert image.size == (64, 96)  # upright
        assert not image.getexif()
        assert image.info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_those_that_are_kept_stand_for_their_class():
    """Pictures of each kind within a class, not the same one twice."""
    random = np.random.default_rng(0)
    kinds = np.repeat(np.arange(4), [20, 6, 5, 9])
    X = np.eye(8)[kinds] * 9 + random.normal(size=(40, 8)) * 0.05
    X = np.concatenate([X, X + 30 * np.eye(8)[7]])
    pictures = np.tile((kinds * 60)[:, None, None, None], (2, 8, 8, 3)).astype(np.uint8)
    images = featx.ImageFolder.of(pictures, labels=["a"] * 40 + ["b"] * 40)
    features = replace(fakes.as_features(X, ["a"] * 40 + ["b"] * 40), paths=as_paths(images.paths))
    examples = featx.train(features, "centroid", keep_pictures=4).examples
    shades = [round(float(each.pixels.mean()) / 60) for each in shown(examples)]
    assert [sorted(shades[:4]), sorted(shades[4:])] == [[0, 1, 2, 3]] * 2
    assert shades[0] == 0  # the most frequent first
    copies = replace(features, X=np.repeat(features.X[[0, 40]], 40, axis=0))
    assert len(featx.train(copies, "knn", keep_pictures=4).examples) == 2


def shown(examples):
    """Return the pictures in the order of the file."""
    return [
        featx.Example(label, jpeg, 1.0)
        for label, jpeg in zip(examples.labels, examples.pictures, strict=True)
    ]


@pytest.mark.parametrize("number", [-1, 1.5, True, "3", None, 10_000])
def test_a_number_of_pictures_that_cannot_be_is_told(photos, number):
    with pytest.raises(OptionError, match="keep_pictures is"):
        featx.train(photos, "centroid", keep_pictures=number)


def test_pictures_that_are_not_there_are_told(cloud):
    with pytest.raises(OptionError, match=r"photos/ant/\d+.jpg cannot be read \(No such file"):
        featx.train(cloud(), "centroid", keep_pictures=1)


def test_what_cannot_be_looked_for_is_told(model):
    with pytest.raises(OptionError, match=r"of shape \(2, 3\): expected \d+ columns"):
        model.examples.nearest(np.zeros((2, 3)))
    for n in (0, -1, 1.5, True):
        with pytest.raises(OptionError, match="expected how many pictures"):
            model.examples.nearest(model.training.features, n)


def test_the_shell_says_what_is_kept_and_how_much(photos, tmp_path, capsys):
    assert "keep-pictures" not in (tmp_path / "m.featx").name
    words = ["train", str(photos), "--out", str(tmp_path / "m.featx"), "--keep-pictures", "1"]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code in (0, None)
    out = capsys.readouterr().out
    assert "\nkeeps 3 small training pictures of 3 classes, " in out
    assert ": whoever has the model can see them\n" in out


# ---------------------------------------------------------------- files that mean harm


def damaged(path, **members):
    about = fakes.about(path)
    fakes.rewrite(path, about, **members)
    with pytest.raises(ModelFileError, match="a damaged one") as caught:
        featx.load(path)
    assert "\n" not in str(caught.value)


@pytest.fixture
def saved(model, tmp_path):
    model.save(tmp_path / "m.featx")
    return tmp_path / "m.featx"


ODD = (None, True, -1, 3, 1.5, 1 << 62, 10**400, "x", [], {}, [[]], float("nan"))


@pytest.mark.parametrize("name", ["labels", "sizes", "n_columns"])
def test_values_that_cannot_be_are_refused(saved, name):
    about = fakes.about(saved)
    values = about["examples"][name]
    many = [[*values[:-1], odd] for odd in ODD] if isinstance(values, list) else []
    for odd in [*ODD, *many, [0] * 6, [1] * 7, values * 2 if isinstance(values, list) else 0]:
        if odd == values:
            continue
        kept = about["examples"] | {name: odd}
        fakes.rewrite(saved, about | {"examples": kept})
        if name == "labels" and odd == [0] * 6:
            assert featx.load(saved).examples.labels == ("blue",) * 6
            continue
        with pytest.raises(ModelFileError, match="a damaged one"):
            featx.load(saved)


def test_vectors_and_pictures_that_cannot_be_are_refused(saved, model):
    vectors, pictures = model.examples.vectors, b"".join(model.examples.pictures)
    for odd in (
        vectors[:-1],
        vectors[:, :-1],
        vectors.astype(float),
        vectors * 2,
        vectors * np.nan,
    ):
        file = io.BytesIO()
        np.save(file, odd)
        damaged(saved, **{EXAMPLES: file.getvalue()})
        model.save(saved)
    for odd in (pictures[:-1], pictures + b"x", b"", b"<svg" + pictures[4:]):
        damaged(saved, **{PICTURES: odd})
        model.save(saved)


def test_pictures_without_what_belongs_to_them_are_refused(saved):
    about = fakes.about(saved)
    with zipfile.ZipFile(saved) as archive:
        whole = {name: archive.read(name) for name in archive.namelist()}
    for missing in (EXAMPLES, PICTURES):
        with zipfile.ZipFile(saved, "w") as archive:
            for name in whole.keys() - {missing}:
                archive.writestr(name, whole[name])
        with pytest.raises(ModelFileError, match="with their vectors"):
            featx.load(saved)
    old = {name: each for name, each in about.items() if name != "card"} | {"format": 3}
    with zipfile.ZipFile(saved, "w") as archive:
        for name, content in (whole | {"model.json": json.dumps(old)}).items():
            archive.writestr(name, content)
    with pytest.raises(ModelFileError, match="pictures are for format 5"):
        featx.load(saved)


def test_a_picture_that_is_none_is_grey_and_a_page_gets_one_that_was_encoded_anew():
    for jpeg in (b"\xff\xd8\xff<script>", b"\xff\xd8\xff" + bytes(60_000)):
        example = featx.Example("ant", jpeg, 1.0)
        assert example.pixels.shape == (8, 8, 3)
        assert "script" not in example.data_url
    huge = io.BytesIO()
    Image.new("RGB", (3000, 2000), (9, 9, 9)).save(huge, "JPEG")
    assert featx.Example("ant", huge.getvalue(), 1.0).pixels.shape == (64, 96, 3)


def test_members_packed_by_a_method_without_bounds_are_refused(saved):
    with zipfile.ZipFile(saved) as archive:
        whole = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_BZIP2) as archive:
        for name, content in whole.items():
            archive.writestr(name, content)
    with pytest.raises(ModelFileError, match="members packed by method 12"):
        featx.load(saved)
