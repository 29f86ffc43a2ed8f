"""A page of explanations shows each photograph beside what decided, and fetches nothing."""

import os
import re
from pathlib import Path

import explained
import fakes
import numpy as np
import pytest

import featx
from featx.charts.style import save_figure
from featx.errors import OptionError, StorageError
from featx.evaluation.evaluation import Evaluation
from featx.evaluation.validation import cross_validate
from featx.features.matrix import as_paths

RED, GREEN = (210, 40, 40), (40, 200, 40)
AXE = os.environ.get("FEATX_AXE")  # axe.min.js of the package axe-core of npm
HARD = "<script>alert(1)</script>\x1b\u202e"


def page(path, explanations, **more) -> str:
    featx.write_explanation_report(path, explanations, title="Why <b>?", **more)
    return path.read_text(encoding="utf-8")


def text_of(html) -> str:
    body = html[html.index("<body>") :]
    return " ".join(re.sub("<[^>]*>", " ", body).split()).replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture
def made(tmp_path):
    """Return a function that gives an explanation of a picture of its own."""

    def make(name, **known):
        path = explained.grey(tmp_path / f"{name}.png", (80, 40), 60 + 10 * len(name))
        return explained.Made(path, known.pop("heat", explained.spot(2, 5)), **known)

    return make


@pytest.fixture
def model(tmp_path):
    """A model that tells red from green, on an engine that has maps."""
    with fakes.install(explained.MapEngine):
        folder = fakes.draw_folder(tmp_path / "photos", ("green", "red"))
        yield featx.train(folder, weights="random", input_size=32)


@pytest.fixture
def mistaken(tmp_path, model):
    """The evaluation of three pictures, two of them in the wrong folder."""
    root = tmp_path / "test"
    explained.half_and_half(root / "green" / "mostly_red.png", RED, (120, 90, 40))
    explained.half_and_half(root / "green" / "right.png", GREEN, GREEN)
    explained.half_and_half(root / "yellow" / "unknown.png", RED, RED)
    return model.evaluate(root)


def test_each_photograph_stands_beside_what_decided(made, tmp_path):
    html = page(tmp_path / "x.html", [made("a"), made("bb", label="dog", probability=0.04)])
    text = text_of(html)
    assert "2 pictures: what in each of them decided." in text
    assert "why cat ? 87 %" in text
    assert "why not dog ? 4 %" in text
    assert text.count("class map, exact") == 1, "what goes for all is said once"
    assert "Pale" not in text
    assert html.count("background-image:url(data:image/jpeg") == 4
    assert html.count("aspect-ratio:80/40") + html.count("aspect-ratio:288/144") == 4
    assert 'aria-label="What speaks for cat: most of it at the upper right"' in html


def test_ways_that_differ_are_said_of_each(made, tmp_path):
    ways = [made("a"), made("bb", exact=False, budget=500, method="masks")]
    text = text_of(page(tmp_path / "x.html", ways))
    assert text.count("class map, exact") == text.count("500 masks, an estimate") == 1


def test_only_so_many_are_shown_and_the_rest_is_counted(made, tmp_path):
    html = page(tmp_path / "x.html", [made("a")] * 203)
    assert html.count("<figure") == 400
    assert "3 more are not shown." in html


def test_names_are_escaped_and_printable(made, tmp_path):
    html = page(tmp_path / "x.html", [made("a", label=HARD, predicted=HARD)], command="<i>")
    assert "<b>?" not in html
    assert "<script>alert" not in html
    assert "<i>" not in html
    assert not fakes.DRIVES_A_TERMINAL.search(html)


def test_a_folder_that_is_not_there_is_refused(made, tmp_path):
    with pytest.raises(StorageError, match="there is no such folder"):
        page(tmp_path / "none" / "x.html", [made("a")])


def test_a_mistake_has_what_spoke_for_the_wrong_class_and_for_the_true_one(
    model, mistaken, tmp_path
):
    result = featx.explain_mistakes(model, mistaken)
    assert len(mistaken.explanations) == 0, "the evaluation itself stays as it was"
    named = {path.rpartition("/")[2]: each for path, each in result.explanations.items()}
    assert {name: [each.label for each in all_] for name, all_ in named.items()} == {
        "mostly_red.png": ["red", "green"],
        "unknown.png": ["red"],  # its class is none of the model
    }
    wrong, true = named["mostly_red.png"]
    assert wrong.exact
    left, right = (wrong.heat[:, half].mean() for half in (slice(0, 4), slice(4, 8)))
    assert left > right, "red is on the left"
    assert true.heat[:, :4].mean() < true.heat[:, 4:].mean()
    text = text_of(page(tmp_path / "x.html", result))
    assert "2 of 3 images are mistaken, each with what spoke for the wrong class" in text
    assert "is green green/mostly_red.png why red ?" in text
    assert "why not green ?" in text


def test_the_surest_mistakes_are_explained_first(model, mistaken, tmp_path):
    result = featx.explain_mistakes(model, mistaken, most=1)
    wrong = mistaken.y_true != mistaken.y_pred
    surest = mistaken.paths[wrong][mistaken.certainty[wrong].argmax()]
    assert list(result.explanations) == [surest]
    text = text_of(page(tmp_path / "x.html", result))
    assert "2 of 3 images are mistaken; the surest is shown, with what spoke" in text


def test_without_mistakes_the_page_says_so(model, mistaken, tmp_path):
    right = mistaken.without(mistaken.paths[mistaken.y_true != mistaken.y_pred].tolist())
    result = featx.explain_mistakes(model, right)
    text = text_of(page(tmp_path / "x.html", result))
    assert "No mistake: the image is classified correctly." in text


def test_pictures_that_are_gone_are_left_out(model, mistaken, tmp_path):
    gone = Evaluation(
        as_paths(["gone.jpg"]), np.array(["green"]), np.array(["red"]), mistaken.classes
    )
    result = featx.explain_mistakes(model, gone)
    assert result.explanations == {}
    assert "1 of 1 image is mistaken; none of them is there" in text_of(
        page(tmp_path / "x.html", result)
    )


def test_what_a_model_without_class_maps_does_is_found_by_masks(mistaken, tmp_path):
    model = featx.train(tmp_path / "photos", "knn", weights="random", input_size=32)
    result = featx.explain_mistakes(model, mistaken, most=1, budget=40)
    [(first, *_)] = result.explanations.values()
    assert (first.exact, first.budget) == (False, 40)
    with pytest.raises(OptionError, match="class map"):
        featx.explain_mistakes(model, mistaken, method="class-map")


def test_a_report_shows_explained_mistakes(model, mistaken, tmp_path):
    result = featx.explain_mistakes(model, mistaken)
    features = model.labelled_features(tmp_path / "test")
    known = {"title": "x", "features": features}
    featx.write_report(tmp_path / "with.html", **known, evaluation=result)
    featx.write_report(tmp_path / "without.html", **known, evaluation=mistaken)
    text = text_of((tmp_path / "with.html").read_text())
    assert "What in them speaks for either class" in text
    assert "why red ?" in text
    assert "speaks for either class" not in (tmp_path / "without.html").read_text()


def test_those_of_a_cross_validation_are_told_to_be_of_another_model(model, tmp_path):
    explained.half_and_half(tmp_path / "photos" / "green" / "red.png", RED, RED)
    features = featx.embed(tmp_path / "photos", weights="random", input_size=32)
    validation = featx.explain_mistakes(model, cross_validate(features, n_jobs=1))
    assert len(validation.explanations) == 1
    featx.write_report(tmp_path / "x.html", title="x", features=features, evaluation=validation)
    text = text_of((tmp_path / "x.html").read_text())
    assert "To the finished model, which has learned from these photographs, too" in text
    assert "for red " in text
    assert "why red" not in text


def test_an_explanation_draws_itself(model, mistaken, tmp_path):
    """What `Explanation.plot` and `overlay` give is what charts and pages show."""
    each = model.explain(mistaken.paths[0])
    assert each.overlay(96).shape == (64, 96, 3)
    save_figure(each.plot(), tmp_path / "x.png")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 1200])
def test_a_browser_finds_no_fault_fetches_nothing_and_scrolls_nowhere_sideways(
    made, browser, tmp_path, width, dark
):
    long = made("a", label="x" * 60, predicted="x" * 60)
    page(tmp_path / "x.html", [made("bb"), long], command="featx explain m.featx x.jpg")
    browser.open(tmp_path / "x.html", width=width, dark=dark)
    assert browser.messages == []
    fetched = [url for url in browser.requests if not url.startswith("data:image/jpeg")]
    assert [url.rpartition("/")[2] for url in fetched] == ["x.html"]
    assert browser.run("document.documentElement.scrollWidth") <= width
    boxes = browser.run(
        "[...document.querySelectorAll('.whys .tile')].map((each) => {"
        "const box = each.getBoundingClientRect(); return [box.width, box.height]})"
    )
    assert all(wide == pytest.approx(2 * high, abs=1) and wide > 60 for wide, high in boxes)


@pytest.mark.skipif(not AXE, reason="FEATX_AXE names no axe.min.js (npm install axe-core)")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 1200])
def test_axe_finds_nothing(made, browser, tmp_path, width, dark):
    ways = [made("a"), made("bb", exact=False, budget=500, method="masks", label="dog")]
    page(tmp_path / "x.html", ways, command="featx explain m.featx x.jpg", notes=["by hand"])
    browser.open(tmp_path / "x.html", width=width, dark=dark)
    browser.run(f"{Path(AXE).read_text()};0")
    found = "axe.run(document).then((each) => each.violations.map((one) => one.id))"
    answer = browser.call(
        "Runtime.evaluate", expression=found, awaitPromise=True, returnByValue=True
    )
    assert answer["result"]["value"] == []
