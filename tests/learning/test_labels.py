"""Labels that cannot be learned, or judged by, are told in a line."""

import pytest

from featx.errors import ImageSourceError
from featx.learning.labels import require_known, require_learnable

MISTAKES = {
    "no labels": ([None] * 4, "the images have no classes: expected a sub-folder for each class"),
    "some labels": (["a", None, "b", "a"], "1 of 4 images are in no class folder, such as 1.jpg"),
    "one class": (["a"] * 4, "all images are of one class, 'a': expected at least two classes"),
    "a class of one": (["a", "a", "b", "c"], "classes b, c have only one readable image"),
    "one class of one": (["a", "a", "b"], "class b has only one readable image"),
}


@pytest.mark.parametrize(("labels", "message"), MISTAKES.values(), ids=MISTAKES)
def test_labels_that_cannot_be_learned_are_named(labels, message):
    paths = [f"{i}.jpg" for i in range(len(labels))]
    with pytest.raises(ImageSourceError) as caught:
        require_learnable(paths, labels)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["cat", None], "some images have no class: expected a sub-folder for each class"),
        (["dog", "cow"], "the model knows none of the classes cow, dog: expected bee, cat"),
    ],
)
def test_labels_that_a_model_cannot_be_judged_by_are_named(labels, message):
    require_known(["cat", "dog"], ["bee", "cat"])  # one class that is known is enough
    with pytest.raises(ImageSourceError) as caught:
        require_known(labels, ["bee", "cat"])
    assert str(caught.value).startswith(message)


def test_a_thousand_classes_do_not_fill_the_screen():
    with pytest.raises(ImageSourceError) as caught:
        require_known(["dog"], [f"class {i}" for i in range(1000)])
    assert len(str(caught.value)) < 300
    assert str(caught.value).endswith("class 11 and 988 more")
