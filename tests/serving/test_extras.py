"""Beside a label, clients may ask what in a picture decided, and for training pictures like it."""

import base64
from io import BytesIO

import fakes
import numpy as np
import pytest
from json_schema import check
from PIL import Image

import featx
from featx.errors import OptionError
from featx.models.model import ImageClassifier

PNG = {"Content-Type": "image/png"}


@pytest.fixture
def showing(photos, fake_engine):
    """A model that keeps pictures, and is explained by masks."""
    options = {"pooling": "max", "cache": False, "progress": False}
    return featx.train(photos, "logistic", keep_pictures=2, **options)


def ask(client, data, wish) -> dict:
    response = client.post(f"/predict?{wish}", content=data, headers=PNG)
    assert response.status_code == 200, response.text
    (answer,) = response.json()["predictions"]
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    check(answer, schemas["Prediction"], schemas)
    return answer


def image_of(url) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(url.partition(",")[2])))


def test_what_decided_is_a_drawing_of_the_picture(serve, showing):
    """The model tells by colour: where the picture is red is what speaks for red."""
    image = Image.new("RGB", (64, 64), (40, 60, 200))
    image.paste((200, 40, 40), (0, 0, 32, 64))
    with serve(showing) as client:
        answer = ask(client, fakes.encoded(image), "explain=1")
        assert "heat" not in ask(client, fakes.encoded(image), "explain=0")
    assert answer["heat"].startswith("data:image/png;base64,")
    drawn = image_of(answer["heat"])
    assert drawn.width == drawn.height
    red, _, blue = np.asarray(drawn.convert("RGB"), int).transpose(2, 0, 1)
    orange = (red - blue)[:, : drawn.width // 2].mean() - (red - blue)[:, drawn.width // 2 :].mean()
    assert (orange > 0) == (answer["label"] == "red")
    assert abs(orange) > 5


def test_it_has_the_proportions_of_the_picture(serve, showing):
    with serve(showing) as client:
        drawn = image_of(ask(client, fakes.encoded(fakes.photo(200, 50)), "explain=1")["heat"])
    assert drawn.width == 4 * drawn.height


def test_training_pictures_like_it_are_those_of_its_colour(serve, showing, red):
    with serve(showing) as client:
        nearest = ask(client, red, "nearest=2")["nearest"]
        assert [each["label"] for each in nearest] == ["red", "red"]
        assert [image_of(each["picture"]).size for each in nearest] == [(32, 24)] * 2
        assert nearest[0]["similarity"] >= nearest[1]["similarity"]
        both = ask(client, red, "nearest=12&explain=1&top=1")
        assert len(both["nearest"]) == 6
        assert both["heat"]


@pytest.mark.parametrize("wish", ["explain=2", "explain=", "nearest=0", "nearest=13", "nearest=-1"])
def test_what_cannot_be_asked_for_is_refused(serve, showing, red, wish):
    with serve(showing) as client:
        response = client.post(f"/predict?{wish}", content=red, headers=PNG)
        assert response.status_code == 400
        assert wish.partition("=")[0] in response.json()["error"]


def test_a_model_without_pictures_offers_none(client, red):
    assert client.post("/predict?nearest=3", content=red, headers=PNG).status_code == 400
    operation = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    assert [each["name"] for each in operation["parameters"]] == ["top", "explain"]


def test_a_label_comes_also_where_it_cannot_be_explained(client, red, monkeypatch):
    def fail(*args, **kwargs):
        raise OptionError("no map of this one")

    monkeypatch.setattr(ImageClassifier, "explain", fail)
    answer = ask(client, red, "explain=1")
    assert (answer["label"], answer["heat"]) == ("red", None)
