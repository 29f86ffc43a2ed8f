"""From labelled images or features to a model; and what it learned from is checked before."""

import dataclasses
import json
import shutil

import fakes
import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

import featx
from featx.errors import (
    ImageSourceError,
    OptionError,
    RecipeMismatchError,
    UnknownClassifierError,
)
from featx.features.options import OPTIONS
from featx.learning.classifiers import CLASSIFIERS
from featx.models.train import train

pytestmark = pytest.mark.usefixtures("fake_engine")
NAMES = ("blue", "green", "red")
PIPELINES = [name for name, spec in CLASSIFIERS.items() if not spec.pixels]


@pytest.mark.parametrize("classifier", PIPELINES)
def test_training_from_a_folder_equals_training_from_its_features(photos, new_photos, classifier):
    from_folder = train(photos, classifier)
    from_features = train(featx.embed(photos), classifier)
    assert from_folder.classes == from_features.classes == NAMES
    assert from_folder.recipe == from_features.recipe
    assert np.array_equal(
        from_folder.predict_proba(new_photos), from_features.predict_proba(new_photos)
    )
    assert from_folder.evaluate(new_photos).accuracy == 1.0


@pytest.mark.filterwarnings("ignore:the weights of vgg16 are random")
def test_embedding_options_go_into_the_recipe(photos):
    model = train(photos, "knn", backbone="vgg16", weights="random", input_size=64, resize="pad")
    recipe = model.recipe
    (part,) = recipe.parts
    assert (recipe.backbone, part.square.size, part.square.resize) == ("vgg16", 64, "pad")
    assert model.weights == "random"


def test_a_training_picture_that_cannot_be_read_is_left_out(photos, new_photos):
    (photos / "red" / "broken.jpg").write_text("no picture")
    assert train(photos, "knn").evaluate(new_photos).accuracy == 1.0


MISTAKES = {
    "flat": (["1.png", "2.png"], "the images have no classes"),
    "one class": (["red/1.png", "red/2.png"], "all images are of one class, 'red'"),
    "one picture": (["red/1.png", "red/2.png", "blue/1.png"], "class blue has only one readable"),
    "strays": (["red/1.png", "red/2.png", "0.png"], "1 of 3 images are in no class folder"),
}


@pytest.mark.parametrize(("names", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_folder_to_learn_nothing_from_is_told_before_it_is_embedded(
    tmp_path, fake_engine, names, message
):
    for i, name in enumerate(names):
        fakes.draw(tmp_path / "odd" / name, (i, 40, 50))
    with pytest.raises(ImageSourceError) as caught:
        train(tmp_path / "odd")
    assert str(caught.value).startswith(message)
    assert fake_engine.embedded == 0


def test_a_class_whose_pictures_are_broken_but_one_is_told(photos):
    for path in sorted((photos / "red").iterdir())[1:]:
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ImageSourceError, match="class red has only one readable image"):
        train(photos)


def test_a_wrong_classifier_is_told_before_anything_is_embedded(photos, fake_engine):
    with pytest.raises(UnknownClassifierError):
        train(photos, "svn")
    assert fake_engine.embedded == 0


def test_options_of_embedding_do_not_go_with_features(photos):
    with pytest.raises(OptionError, match="pooling would change nothing"):
        train(featx.embed(photos), pooling="max")


@pytest.mark.parametrize("backbone", [["vgg16"], ("vgg16", "resnet50"), [], 50], ids=str)
def test_several_backbones_are_no_backbone_of_a_model(photos, fake_engine, backbone):
    with pytest.raises(OptionError) as caught:
        train(photos, backbone=backbone)
    assert str(caught.value) == (f"a classifier stands on one backbone: got {backbone!r}; name one")
    assert fake_engine.embedded == 0


def test_features_without_a_recipe_cannot_be_trained_on(photos):
    bare = dataclasses.replace(featx.embed(photos), recipe=None)
    with pytest.raises(RecipeMismatchError, match="carry no recipe"):
        train(bare)


def test_an_option_that_there_is_not_is_told_with_the_nearest_one(photos, fake_engine):
    with pytest.raises(TypeError) as caught:
        train(photos, poolings="max")
    assert str(caught.value) == (
        "train() got an unexpected keyword argument 'poolings'; did you mean 'pooling'?"
    )
    assert fake_engine.embedded == 0


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "progress"])
def test_beside_features_only_progress_may_be_given(cloud, name):
    with pytest.raises(OptionError, match=f"features are embedded already: {name} would change"):
        train(cloud(), **{name: OPTIONS[name].default})
    assert train(cloud(), "knn", progress=False).classes == ("ant", "bee", "cat")


@pytest.mark.parametrize("classifier", ["knn", KNeighborsClassifier(1)], ids=str)
def test_a_model_keeps_what_it_learned_from_and_by_what(photos, classifier):
    training = train(photos, classifier).training
    assert training.classifier == featx.Learner.of(classifier).name
    assert training.features.paths.tolist() == list(featx.ImageFolder.of(photos).paths)
    assert training.features.classes == NAMES
    assert (training.validation, training.test, training.rejection) == (None, None, None)


def test_the_features_that_were_given_are_those_of_the_training(cloud):
    features = cloud()
    assert train(features, "knn").training.features is features


# ---------------------------------------------------------------- validation


def test_a_validation_is_that_of_the_classifier_on_the_features(photos):
    model = train(photos, "knn", validation=True)
    alone = featx.cross_validate(model.training.features, "knn")
    validation = model.training.validation
    assert validation.predictions.tolist() == alone.predictions.tolist()
    assert np.array_equal(validation.all_probabilities, alone.all_probabilities)
    assert train(photos, "knn", validation=False).training.validation is None
    assert train(photos, "knn", validation=alone).training.validation is alone


def test_a_validation_changes_nothing_about_the_model(cloud):
    features = cloud(distance=0.3)
    plain, validated = train(features), train(features, validation=True)
    assert np.array_equal(plain.predict_proba(features), validated.predict_proba(features))


# ---------------------------------------------------------------- test images


def test_test_images_are_evaluated_as_the_model_evaluates_them(photos, new_photos):
    (new_photos / "green" / "100.png").rename(new_photos / "red" / "green.png")
    model = train(photos, "knn", test=new_photos)
    test = model.training.test
    assert test.accuracy == 5 / 6
    assert test.to_dict() == model.evaluate(new_photos).to_dict()
    assert test.mistakes.path.tolist() == [str(new_photos / "red" / "green.png")]


def test_copies_of_training_images_among_the_test_images_are_named_and_left_out(photos, new_photos):
    for name in ("000", "001"):  # sorted before the others, and wrong
        shutil.copy(photos / "red" / f"{name}.png", new_photos / "blue" / f"{name}.png")
    test = train(photos, "knn", test=new_photos).training.test
    assert test.leaks == {
        str(new_photos / "blue" / f"{name}.png"): str(photos / "red" / f"{name}.png")
        for name in ("000", "001")
    }
    assert test.accuracy == 6 / 8
    assert test.without_leaks.accuracy == 1.0
    assert len(test.without_leaks.paths) == 6


def test_test_files_that_cannot_be_read_are_counted(photos, new_photos):
    (new_photos / "red" / "x.jpg").touch()
    training = train(photos, "knn", test=new_photos).training
    assert (training.test.n_failed, len(training.test.paths)) == (1, 6)
    assert training.summary.splitlines()[-2:] == [
        f"test accuracy {training.test.interval}: 6 of 6 images right, 1 file not readable",
        f"failed: {new_photos / 'red' / 'x.jpg'}: empty file",
    ]


@pytest.mark.parametrize("from_features", [False, True])
@pytest.mark.parametrize("test_features", [False, True])
def test_images_and_features_of_them_train_and_test_alike(
    photos, new_photos, from_features, test_features
):
    source = featx.embed(photos) if from_features else photos
    test = featx.embed(new_photos) if test_features else new_photos
    training = train(source, "knn", test=test).training
    assert training.test.accuracy == 1.0
    assert training.test.paths.tolist() == list(featx.ImageFolder.of(new_photos).paths)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ((), "some images have no class"),
        (("tiger",), "the model knows none of the classes tiger: expected blue, green, red"),
    ],
)
def test_images_that_cannot_test_the_model_are_told_before_anything_is_embedded(
    photos, fake_engine, tmp_path, classes, message
):
    fakes.draw(tmp_path.joinpath("new", *classes, "1.png"), (1, 2, 3))
    with pytest.raises(ImageSourceError, match=message):
        train(photos, "knn", test=tmp_path / "new")
    assert fake_engine.embedded == 0


def test_options_of_the_run_are_those_of_the_test_too(photos, new_photos, fake_engine):
    for _ in range(2):
        train(photos, "knn", test=new_photos, cache=False, progress=False)
    assert fake_engine.embedded == 2 * (18 + 6), "something was kept"


def test_a_model_that_rejects_is_tested_with_its_answers(photos, new_photos):
    test = train(photos, "logistic", reject=0.6, test=new_photos).training.test
    assert test.target == 0.6
    assert test.answered.tolist() == [True] * 6
    assert test.notes == (
        f"precision of its answers {test.precision}: 6 of 6 images, coverage {test.coverage}",
    )


def test_a_model_file_does_not_hold_the_training(photos, new_photos, tmp_path):
    model = train(photos, "knn", validation=True, test=new_photos)
    model.save(tmp_path / "m.featx")
    assert featx.load(tmp_path / "m.featx").training is None


def test_what_is_known_of_a_training_is_plain_values(photos, new_photos):
    training = train(photos, "logistic", validation=True, test=new_photos, reject=0.6).training
    written = training.to_dict()
    assert json.loads(json.dumps(written)) == written
    assert written == {
        "classifier": "logistic",
        "classes": list(NAMES),
        "features": training.features.to_dict(),
        "validation": training.validation.to_dict(),
        "rejection": training.rejection.to_dict(),
        "test": training.test.to_dict(),
        "seconds": round(training.seconds, 3),
    }
    assert training.seconds > training.features.elapsed
