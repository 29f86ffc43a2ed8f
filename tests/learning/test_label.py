"""ImageNet names of pictures, best first."""

import json

import fakes
import numpy as np
import pytest
from PIL import Image

from featx.backbones.engines.choice import EngineSpec, registered
from featx.backbones.imagenet import classes
from featx.errors import ImageError, ImageSourceError, OptionError, UnknownBackboneError
from featx.features.options import OPTIONS, LabelOptions, options_of
from featx.learning.label import Label, Labelled, label

WEIGHTS = {"weights": "random"}  # of which the fake engine makes nothing
pytestmark = pytest.mark.filterwarnings("ignore:the weights of")


class Guesser:
    """Three classes for a picture: as its red says, and two more of lower probability."""

    width = 1000
    embedded = 0
    asked = None  # for the last one
    streams = 1

    def __init__(self, request):
        Guesser.asked = request
        self.batch_size = request.batch_size or 8
        self.shape = (self.width,)

    def embed_batch(self, images):
        Guesser.embedded += len(images)
        probabilities = np.full((len(images), self.width), 0.1 / self.width, np.float32)
        for row, first in enumerate(images[:, 0, 0, 0]):
            probabilities[row, [first, 7, 5]] = 0.6, 0.2, 0.1
        return probabilities


@pytest.fixture(autouse=True)
def _guess(monkeypatch):
    monkeypatch.setattr(Guesser, "embedded", 0)
    with fakes.install(Guesser):
        yield


@pytest.fixture
def folder(tmp_path):
    for red in (207, 3):
        fakes.draw(tmp_path / "photos" / f"{red}.png", (red, 0, 0))
    return tmp_path / "photos"


def test_labels_come_best_first_with_their_names(folder):
    result = label(folder / "207.png", top=3, **WEIGHTS)
    assert [type(each) for each in result] == [Labelled]
    assert result[0].path == str(folder / "207.png")
    assert result[0].outcome.ok
    assert [(each.index, each.wnid, each.name) for each in result[0].labels] == [
        (207, "n02099601", "golden_retriever"),
        (7, "n01514668", "cock"),
        (5, "n01496331", "electric_ray"),
    ]
    shares = [each.probability for each in result[0].labels]
    assert shares == pytest.approx([0.6, 0.2, 0.1])
    assert all(type(share) is float for share in shares)


def test_each_file_of_a_folder_has_its_labels_in_order(folder):
    result = label(folder, top=1, **WEIGHTS)
    assert [each.labels[0].index for each in result] == [207, 3]
    result = label([str(folder / "3.png"), str(folder / "207.png")], top=1, **WEIGHTS)
    assert [each.labels[0].index for each in result] == [3, 207]


def test_pictures_in_memory_have_their_labels_and_the_place_in_the_list(folder):
    encoded = (folder / "207.png").read_bytes()
    pixels = np.zeros((9, 7, 3), np.uint8) + np.uint8([3, 0, 0])
    result = label([pixels, encoded, Image.open(folder / "3.png").copy()], top=1, **WEIGHTS)
    assert [each.labels[0].index for each in result] == [3, 207, 3]
    assert [each.path for each in result] == ["image[0]", "image[1]", "image[2]"]
    assert label(encoded, top=1, **WEIGHTS)[0].labels[0].index == 207


@pytest.mark.parametrize("top", [1, 2, 1000, np.int64(4)])
def test_as_many_labels_as_asked_for_in_falling_order(folder, top):
    labels = label(folder / "207.png", top, **WEIGHTS)[0].labels
    assert len(labels) == top
    shares = [each.probability for each in labels]
    assert shares == sorted(shares, reverse=True)
    assert len({each.index for each in labels}) == top
    names = {each.index: each for each in classes()}
    assert [(each.wnid, each.name) for each in labels] == [
        (names[each.index].wnid, names[each.index].name) for each in labels
    ]
    assert {type(each) for each in labels} == {Label}


def test_equal_probabilities_keep_the_order_of_the_classes(folder):
    labels = label(folder / "207.png", 6, **WEIGHTS)[0].labels
    assert [each.index for each in labels[3:]] == [0, 1, 2]


def test_a_file_that_cannot_be_read_has_no_labels_and_says_why(folder):
    (folder / "2.jpg").write_text("no picture")
    result = label(folder, top=1, **WEIGHTS)
    assert [each.path for each in result] == [
        str(folder / name) for name in ("2.jpg", "207.png", "3.png")
    ]
    assert [len(each.labels) for each in result] == [0, 1, 1]
    assert [each.labels[0].index for each in result[1:]] == [207, 3]
    assert (result[0].outcome.status, bool(result[0].outcome.reason)) == ("failed", True)
    with pytest.raises(ImageError, match=r"2\.jpg"):
        label(folder, on_error="raise", **WEIGHTS)
    with pytest.raises(ImageSourceError, match="the image cannot be read"):
        label([folder / "2.jpg"], **WEIGHTS)


@pytest.mark.parametrize("top", [0, -1, 1001, 2.5, "3", None])
def test_a_number_of_labels_that_cannot_be_is_told(folder, top):
    with pytest.raises(OptionError) as caught:
        label(folder, top, **WEIGHTS)
    assert str(caught.value) == f"top {top!r}: expected a whole number from 1 to 1000"


def test_the_classifier_of_the_network_is_read_from_the_centre_of_the_picture(folder):
    label(folder, backbone="vgg16", **WEIGHTS)
    asked = Guesser.asked
    assert (asked.backbone.name, asked.cut.layer, asked.poolings, asked.input_size) == (
        *("vgg16", "predictions"),
        *(("none",), 224),
    )
    assert Guesser.embedded == 2
    for resize, embedded in (("crop", 2), ("squash", 4)):  # it was cropped already
        label(folder, backbone="vgg16", resize=resize, **WEIGHTS)
        assert Guesser.embedded == embedded


def test_a_second_run_and_another_number_of_labels_embed_nothing(folder):
    label(folder, top=1, **WEIGHTS)
    label(folder, top=9, **WEIGHTS)
    assert Guesser.embedded == 2


def test_fast_labels_have_a_recipe_of_their_own(folder):
    label(folder, **WEIGHTS)
    assert Guesser.asked.cut.precision == "float32"
    result = label(folder, fast=True, **WEIGHTS)
    assert Guesser.asked.cut.precision == "bfloat16"
    assert Guesser.embedded == 4
    assert [each.labels[0].index for each in result] == [207, 3]
    label(folder, fast=True, top=1, **WEIGHTS)
    assert Guesser.embedded == 4


def test_whether_fast_means_bfloat16_is_for_the_engine_that_is_named_to_say(folder, native):
    slow = EngineSpec("keras", Guesser, suits=lambda: False, computes_in=lambda each: False)
    with registered(slow):
        label(folder, fast=True, engine="keras", **WEIGHTS)
    assert Guesser.asked.cut.precision == "float32"
    assert Guesser.embedded == 2
    label(folder, decode="scaled", **WEIGHTS)
    assert Guesser.embedded == 2, "fast here is scaled decoding alone"
    native("float32")
    fast = EngineSpec("keras", Guesser, suits=lambda: False, computes_in=lambda each: True)
    with registered(fast):
        label(folder, fast=True, engine="keras", **WEIGHTS)
    assert Guesser.asked.cut.precision == "bfloat16"
    assert Guesser.embedded == 4


def test_an_unknown_engine_is_told(folder):
    with pytest.raises(OptionError, match="unknown engine 'torch': expected one of auto, openvin"):
        label(folder, engine="torch", **WEIGHTS)


def test_a_network_with_another_classifier_is_told(folder, monkeypatch):
    monkeypatch.setattr(Guesser, "width", 400)
    with pytest.raises(OptionError, match="tells 400 classes apart: expected the 1000 of ImageNet"):
        label(folder / "3.png", **WEIGHTS)


def test_an_unknown_network_is_told(folder):
    with pytest.raises(UnknownBackboneError, match="resnet5"):
        label(folder, backbone="resnet5")


@pytest.mark.parametrize("backbone", ["pixels", "vgg16+resnet50", ["vgg16"], None], ids=str)
def test_what_is_no_single_network_with_a_classifier_is_told(folder, backbone):
    with pytest.raises(OptionError, match=r"^backbone .*: expected .* of `featx backbones`"):
        label(folder, backbone=backbone, **WEIGHTS)
    assert Guesser.embedded == 0


@pytest.mark.parametrize("option", sorted(OPTIONS.keys() - options_of(LabelOptions).keys()))
def test_an_option_that_would_change_what_the_classifier_reads_is_refused_by_name(folder, option):
    with pytest.raises(TypeError) as caught:
        label(folder, **{option: "avg"}, **WEIGHTS)
    assert str(caught.value) == (
        f"label() got an unexpected keyword argument {option!r}; it is an option of embed, not of "
        "label"
    )


def test_labels_are_plain_values_for_json(folder):
    (folder / "2.jpg").write_text("no picture")
    written = [each.to_dict() for each in label(folder, top=1, **WEIGHTS)]
    assert json.loads(json.dumps(written)) == written
    assert [list(each) for each in written] == [["path", "labels", "outcome", "reason"]] * 3
    assert written[0]["path"] == str(folder / "2.jpg")
    assert (written[0]["labels"], written[0]["outcome"]) == ([], "failed")
    assert written[0]["reason"].startswith("not an image")
    golden = {"index": 207, "wnid": "n02099601", "name": "golden_retriever"}
    share = pytest.approx(0.6)
    assert written[1]["labels"] == [golden | {"probability": share}]
    assert (written[1]["outcome"], written[1]["reason"]) == ("embedded", None)
