"""A report is one sound, harmless HTML file that says everything and fetches nothing."""

import dataclasses
import json
import re
import shlex
from html.parser import HTMLParser

import fakes
import numpy as np
import pytest

from featx.errors import StorageError
from featx.evaluation.comparison import compare
from featx.evaluation.curve import learning_curve
from featx.evaluation.evaluation import Evaluation
from featx.evaluation.validation import cross_validate
from featx.features.matrix import Features, as_labels, as_paths
from featx.images.arrays import array_images
from featx.images.decode import Outcome
from featx.insight.report import write_report

COLORS = {"ant": (60, 60, 60), "bee": (220, 180, 40), "cat": (200, 120, 60)}
VOID = {"meta", "link", "br", "img", "hr", "input"}
HARD = ('<script>alert("x")</script>', "caf\udce9 & 'co'\n", "x" * 100)


def pictures(root, classes, each=8, speed=50.0, distance=1.0, width=20, seed=0) -> Features:
    """Draw a folder of small pictures, and make up features that tell most classes apart."""
    random = np.random.default_rng(len(classes))
    centres = distance * random.normal(size=(len(classes), width))
    paths, labels = [], []
    for number, name in enumerate(classes):
        for i in range(each):
            path = root / name.replace("/", "_") / f"{i}.png"
            color = COLORS.get(name, (40 * number % 256, 90, 160))
            paths.append(str(fakes.draw(path, color, seed=seed + 100 * number + i)))
            labels.append(name)
    X = np.repeat(centres, each, axis=0) + random.normal(size=(len(paths), width))
    outcomes = [Outcome("embedded", path=path) for path in paths]
    return Features(
        X=X.astype(np.float32),
        y=as_labels(labels),
        paths=as_paths(paths),
        outcomes=(
            *outcomes,
            Outcome("failed", "truncated: 3 bytes", (), str(root / "ant/bad.jpg")),
        ),
        recipe=fakes.RECIPE,
        n_other=2,
        images_per_second=speed,
    )


class Page(HTMLParser):
    """A parsed page: its elements in order, its text, and whether its tags are balanced."""

    def __init__(self, html: str):
        super().__init__()
        self.html = html
        self.elements: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag, attributes):
        assert len({key for key, _ in attributes}) == len(attributes), (tag, attributes)
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, f"</{tag}> at {self.getpos()} closes another element"

    def handle_data(self, data):
        if not {"style", "script"} & set(self._open):
            self.words.append(data)

    @property
    def text(self) -> str:
        """What people read, each run of white space as one space."""
        return " ".join("".join(self.words).split())

    def all(self, tag=None, **wanted) -> list[dict]:
        """Return the attributes of the elements of a tag that have certain attributes."""
        return [
            attributes
            for name, attributes in self.elements
            if name == (tag or name)
            and all(
                value in (attributes.get(key.rstrip("_")) or "").split()
                for key, value in wanted.items()
            )
        ]


def written(folder, **content) -> Page:
    path = folder / "report.html"
    write_report(path, **{"title": "Insects", **content})
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def insects(tmp_path_factory):
    """Features, candidates, curve and test images of three classes."""
    root = tmp_path_factory.mktemp("insects")
    features = pictures(root / "train", COLORS, distance=0.7)
    other = dataclasses.replace(
        features,
        X=features.X + np.random.default_rng(0).normal(size=features.X.shape).astype(np.float32),
        recipe=fakes.recipe("mobilenet_v2"),
        images_per_second=200.0,
    )
    comparison = compare([features, other], n_jobs=1, progress=False)
    trial = pictures(root / "test", COLORS, each=2, seed=50)
    predicted = trial.y.copy()
    predicted[0] = "cat"
    test = Evaluation(trial.paths, trial.y, predicted, features.classes)
    return {
        "features": features,
        "evaluation": cross_validate(features, n_jobs=1),
        "comparison": comparison,
        "curve": learning_curve(features, shares=(1, 0.5), repeats=1, n_jobs=1),
        "test": test,
        "command": f"featx report {shlex.quote(str(root))}",
        "notes": ["drawn by hand"],
    }


@pytest.fixture(scope="module")
def full(insects, tmp_path_factory):
    """The page with everything in it."""
    return written(tmp_path_factory.mktemp("full"), **insects)


@pytest.fixture(scope="module")
def hard(tmp_path_factory):
    """A page of many classes, some of hostile names, and of a classifier without probabilities."""
    root = tmp_path_factory.mktemp("hard")
    classes = [*HARD, *(f"class {i}" for i in range(32))]
    features = pictures(root, classes, each=3)
    evaluation = cross_validate(features, n_jobs=1)
    return written(
        tmp_path_factory.mktemp("page"),
        title=HARD[0],
        features=features,
        evaluation=dataclasses.replace(evaluation, probabilities=None),
        notes=HARD,
    )


@pytest.fixture(params=["full", "hard"])
def page(request) -> Page:
    return request.getfixturevalue(request.param)


def test_nothing_is_fetched_from_anywhere(page):
    for _, attributes in page.elements:
        for key in ("src", "href", "action", "poster", "data", "srcset"):
            value = attributes.get(key)
            assert value is None or value.startswith(("#", "data:")), f"{key}={value[:80]}"
    assert not re.findall(r"url\((?!data:|#)[^)]{0,60}|@import", page.html)
    policy = page.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    assert "default-src 'none'" in policy


def test_ids_are_unique_and_every_reference_has_its_target(page):
    ids = [each["id"] for each in page.all() if "id" in each]
    assert sorted(set(ids)) == sorted(ids)
    for each in page.all():
        for key in ("href", "aria-describedby", "aria-labelledby"):
            if each.get(key):
                assert each[key].removeprefix("#") in ids
    assert {name for url in re.findall(r"url\(#([^)]*)\)", page.html) for name in [url]} <= {*ids}


def test_headings_go_down_one_level_at_a_time_from_a_single_first(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    for before, after in zip([0, *levels], levels, strict=False):
        assert after <= before + 1, levels


def test_headers_of_tables_have_a_scope_and_pictures_a_text(page):
    assert page.all("th")
    assert all(each.get("scope") in ("col", "row") for each in page.all("th"))
    assert page.all("svg", class_="chart")
    drawings = [each for each in page.all("svg") if each.get("aria-hidden") != "true"]
    assert all(each.get("role") == "img" and each.get("aria-label") for each in drawings)
    assert all(each.get("aria-label") for each in page.all("span", class_="tile"))


def test_the_page_has_a_language_a_viewport_and_a_title(page):
    assert page.all("html")[0]["lang"] == "en"
    assert page.all("meta", name="viewport")
    assert len(page.all("title")) == 1
    assert len(page.all("main")) == 1


def test_every_part_is_there_in_its_order(full):
    assert [each["id"] for each in full.all("section")] == [
        *("run", "comparison", "confusion", "classes", "curve", "predictions"),
        *("map", "suspects", "again"),
    ]
    assert [each["href"][1:] for each in full.all("a")] == [
        each["id"] for each in full.all("section")
    ]


def test_labels_that_are_probably_wrong_are_shown_for_test_images_too(tmp_path):
    features = pictures(tmp_path / "test", COLORS, each=30)
    unsure = np.random.default_rng(0).exponential(0.02, len(features))[:, None]
    own = np.searchsorted(np.array(features.classes), features.y)
    shares = (1 - unsure) * np.eye(3)[own] + unsure / 3
    y = features.y.copy()
    surest = np.argsort(unsure[:30, 0])[:2]
    y[surest] = "cat"
    guess = np.array(features.classes)[own]
    evaluation = Evaluation(
        features.paths, y, guess, features.classes, probabilities=shares, known=features.classes
    )
    assert set(evaluation.suspects.path) == set(features.paths[surest])
    page = written(tmp_path, features=features, evaluation=evaluation)
    assert "The 2 labels below are more probably wrong than right" in page.text
    assert len(page.all("li", **{"class": "suspect"})) == 2
    assert "Look at the labels of 2 photographs, of which about 2 are probably wrong" in page.text


def test_what_is_not_given_is_left_out(insects, tmp_path):
    made = written(tmp_path, features=insects["features"], evaluation=insects["evaluation"])
    ids = {each["id"] for each in made.all("section")}
    assert not ids & {"comparison", "curve"}
    assert "test images" not in made.text


def test_notes_are_sentences_but_begin_with_names_as_they_are(insects, tmp_path):
    notes = ["knn was chosen as the best of 3", "expect 90 % on photographs like these", "took 5 s"]
    steps = ["let each class count alike"]
    given = {"features": insects["features"], "evaluation": insects["evaluation"]}
    made = written(tmp_path, **given, notes=notes, next_steps=steps)
    for sentence in (
        *("knn was chosen as the best of 3.", "Expect 90 % on photo", "Took 5 s."),
        "Let each class count alike.",
    ):
        assert sentence in made.text.replace("\xa0", " ")


def test_the_numbers_are_those_of_the_results(full, insects):
    text, evaluation = full.text.replace("\xa0", " "), insects["evaluation"]
    low, high = (
        f"{100 * each:.1f} %" for each in (evaluation.interval.low, evaluation.interval.high)
    )
    assert f"{100 * evaluation.accuracy:.1f} % of the 24 images are classified correctly" in text
    assert f"expect {low} to {high} (95 % interval)" in text
    assert "Always naming the most frequent class would get 33 %" in text
    assert "83.3 % of the 6 test images are classified correctly" in text
    assert evaluation.method in text
    assert str(fakes.RECIPE) in text
    comparison = insects["comparison"]
    assert comparison.verdict.removeprefix("no ") in text
    best = comparison.best_accuracy
    assert f"without that luck, expect {100 * best.value:.1f} %" in text
    for each in comparison.candidates:
        assert f"{100 * each.accuracy.low:.1f} to {100 * each.accuracy.high:.1f}" in text
    assert insects["curve"].verdict.removeprefix("trained ") in text
    for name, row in evaluation.by_class.iterrows():
        numbers = (row.precision, row.recall, row.f1)
        assert f"{name}{''.join(f'{each:.2f}' for each in numbers)}{row.support:.0f}" in text
    assert re.search(rf"\b{len(evaluation.mistakes)} mistakes?\b", text)


def test_what_to_take_is_not_said_where_other_features_were_chosen(insects, tmp_path):
    comparison = insects["comparison"]
    other = dataclasses.replace(insects["features"], recipe=fakes.recipe("xception"))
    made = written(
        tmp_path, features=other, evaluation=insects["evaluation"], comparison=comparison
    )
    text = made.text.replace("\xa0", " ")
    assert comparison.lead_verdict.removeprefix("no ") in text
    assert comparison.recommend().verdict not in text


def test_what_was_left_out_is_told_with_its_reason(full):
    assert "1 file that could not be read: train/ant/bad.jpg truncated: 3 bytes" in full.text
    assert "2 other files are no images by their names." in full.text


def test_copies_of_a_photograph_are_named(insects, tmp_path):
    features = insects["features"]
    X = features.X.copy()
    X[1] = X[0]
    features = dataclasses.replace(features, X=X)
    made = written(tmp_path, features=features, evaluation=cross_validate(features, n_jobs=1))
    assert "1 photograph is there more than once" in made.text
    assert "ant/0.png = ant/1.png" in made.text


def test_recipe_versions_command_and_notes_are_there(full, insects):
    text = full.text
    assert insects["command"] in text
    assert fakes.RECIPE.fingerprint in text
    recipe = "".join(full.words).partition('{\n  "backbone"')
    assert json.loads((recipe[1] + recipe[2]).partition("}")[0] + "}") == fakes.RECIPE.to_dict()
    assert re.search(r"featx \d+\.\d+.*, keras .*, openvino .*, scikit-learn \d", text)
    assert "drawn by hand" in text


def test_no_path_of_the_machine_is_shown_outside_the_command(full, insects, tmp_path_factory):
    root = str(tmp_path_factory.getbasetemp())
    assert root in insects["command"]
    assert full.html.count(root) == 1


def test_paths_without_a_common_folder_are_shown_from_their_class_on(tmp_path):
    paths = ["/home/me/photos/ant/1.jpg", "elsewhere/deep/bee/2.jpg"]
    X = np.eye(2, dtype=np.float32)
    features = Features(X, as_labels(["ant", "bee"]), as_paths(paths))
    evaluation = Evaluation(features.paths, features.y, features.y[::-1], ("ant", "bee"))
    made = written(tmp_path, features=features, evaluation=evaluation)
    assert "/home/me" not in made.html
    assert "ant/1.jpg" in made.text
    assert "bee/2.jpg" in made.text


def test_hostile_names_are_text_and_long_ones_do_no_harm(hard):
    assert len(hard.all("script")) == 1
    assert '<script>alert("x")</script>' in hard.text
    assert "caf\N{REPLACEMENT CHARACTER} & 'co'\\n" in hard.text
    assert hard.all("th", title="x" * 100)


def test_many_classes_are_a_list_of_confusions_and_a_chart(hard, full):
    assert hard.all("svg", class_="chart")
    assert not hard.all("table", class_="heat")
    assert "The most frequent confusions" in hard.text
    assert len(full.all("table", class_="heat")) == 2


def test_without_probabilities_nothing_is_said_of_them(hard):
    assert "Not known: this classifier gives no probabilities." in hard.text
    assert "nan" not in hard.text.lower().split()
    assert "the probability of the wrong class" not in hard.text
    assert not hard.all("use", **{"data-probability": "0"})


def test_probabilities_that_are_unknown_are_not_shown(insects, tmp_path):
    evaluation = insects["evaluation"]
    unknown = dataclasses.replace(
        evaluation, probabilities=np.full_like(evaluation.probabilities, np.nan)
    )
    made = written(tmp_path, features=insects["features"], evaluation=unknown)
    assert not re.search(r"\bnan\b", made.text, re.IGNORECASE)


def test_each_picture_is_in_the_page_once(full, insects):
    uris = re.findall(r"url\((data:image/[^)]*)\)", full.html)
    assert len(uris) == len(set(uris)) == 24 + 1  # of the test images, the mistake alone is shown
    used = {name for each in full.all("span", class_="tile") for name in each["class"].split()}
    used |= {each["data-thumb"] for each in full.all("use") if "data-thumb" in each}
    rules = set(re.findall(r"\.(t\d+)[,{]", full.html))
    assert used - {"tile"} == rules


def test_mistakes_come_first_and_the_rest_is_counted(insects, tmp_path):
    features = pictures(tmp_path / "many", ("ant", "bee"), each=60)
    wrong = np.where(features.y == "ant", "bee", "ant")
    shares = np.tile([0.3, 0.7], (120, 1))
    predicted = np.where(np.arange(120) < 50, wrong, features.y)
    evaluation = Evaluation(
        features.paths, features.y, predicted, ("ant", "bee"), probabilities=shares
    )
    made = written(tmp_path, features=features, evaluation=evaluation)
    assert "50 mistakes, of which 40 are shown" in made.text
    assert "The surest first; the number is the probability of the wrong class." in made.text
    assert "10 more are not shown." in made.text
    assert "70 right, of which the 20 least sure are shown" in made.text
    kinds = [each["class"] for each in made.all("li") if each.get("class") in ("right", "wrong")]
    assert kinds == ["wrong"] * 40 + ["right"] * 20


def test_a_report_takes_an_evaluation_on_test_images(insects, tmp_path):
    test = insects["test"]
    features = insects["features"].select([0, 8, 1, 9, 2, 10])
    features = dataclasses.replace(features, paths=test.paths, y=test.y_true)
    made = written(tmp_path, features=features, evaluation=test)
    assert "6 images are classified correctly." in made.text
    assert "Predicting images that the classifier was not trained on" in made.text
    assert "Duplicates" not in made.text
    assert len([each for each in made.all("use") if "data-path" in each]) == 6


def test_a_report_replaces_an_older_one_whole_or_not_at_all(insects, tmp_path):
    few = {key: insects[key] for key in ("features", "evaluation")}
    with pytest.raises(StorageError, match="there is no such folder"):
        write_report(tmp_path / "nowhere" / "report.html", title="x", **few)
    (tmp_path / "report.html").write_text("old")
    with pytest.raises(TypeError):
        write_report(tmp_path / "report.html", title="x", notes=1, **few)
    assert (tmp_path / "report.html").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_report_of_arrays_shows_them_and_without_them_their_names(tmp_path):
    X, y = fakes.draw_array()
    random = np.random.default_rng(0)
    vectors = (random.normal(size=(18, 20)) + y[:, None]).astype(np.float32)
    labels = as_labels(y.tolist())
    features = Features(vectors, labels, as_paths(array_images(X)), recipe=fakes.RECIPE)
    evaluation = cross_validate(features, n_jobs=1)
    made = written(tmp_path, features=features, evaluation=evaluation)
    assert len(re.findall(r"url\((data:image/[^)]*)\)", made.html)) == 18
    assert "array[17]" in made.html
    features.save(tmp_path / "x.npz")
    loaded = Features.load(tmp_path / "x.npz")
    made = written(tmp_path, features=loaded, evaluation=cross_validate(loaded, n_jobs=1))
    assert len(re.findall(r"url\((data:image/[^)]*)\)", made.html)) == 1  # a grey square


@pytest.fixture
def opened(page, browser, tmp_path):
    """Return a function that opens the page in the browser."""
    path = tmp_path / "report.html"
    path.write_text(page.html, encoding="utf-8")

    def show(**window):
        browser.open(path, **window)
        return browser

    return show


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_a_browser_finds_no_fault_fetches_nothing_and_scrolls_nowhere_sideways(opened, width, dark):
    tab = opened(width=width, dark=dark)
    assert tab.messages == []
    fetched = [url for url in tab.requests if not url.startswith("data:image/jpeg")]
    assert [url.rpartition("/")[2] for url in fetched] == ["report.html"]
    assert tab.run("innerWidth") == width
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert tab.run(wide) == 0
    light = sum(map(int, re.findall(r"\d+", tab.run("getComputedStyle(document.body).color"))))
    assert (light > 380) == dark


CONTRAST = """
(() => {
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((each) => {
      const c = each / 255;
      return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = (node) => {
    for (; node; node = node.parentElement) {
      const color = getComputedStyle(node).backgroundColor;
      if (!/, 0\\)$/.test(color) && color !== "transparent") return color;
    }
  };
  const poor = [];
  for (const node of document.querySelectorAll("h1,h2,h3,p,dt,dd,th,a,b,.quiet,.path,.mark,pre")) {
    if (!node.textContent.trim() || !node.offsetParent) continue;
    const [a, b] = [light(getComputedStyle(node).color), light(paper(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${node.tagName} ${node.className} ${ratio.toFixed(2)}`);
  }
  return [...new Set(poor)];
})()
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_text_has_enough_contrast(opened, dark):
    assert opened(dark=dark).run(CONTRAST) == []


def column(tab, table, number) -> list[str]:
    """Return the texts of a column of a table."""
    rows = f'[...document.querySelectorAll("#{table} tbody tr")]'
    return tab.run(f"{rows}.map((row) => row.cells[{number}].textContent.trim())")


@pytest.mark.parametrize("page", ["full"], indirect=True)
def test_a_click_on_a_header_sorts_the_table_and_a_second_turns_it_round(opened):
    tab = opened()
    header = 'document.querySelectorAll("#per-class thead th")[2]'
    before = column(tab, "per-class", 2)
    tab.run(f'{header}.querySelector("button").click()')
    assert tab.run(f'{header}.getAttribute("aria-sort")') == "descending"
    assert column(tab, "per-class", 2) == sorted(before, key=float, reverse=True)
    tab.run(f'{header}.querySelector("button").click()')
    assert tab.run(f'{header}.getAttribute("aria-sort")') == "ascending"
    assert column(tab, "per-class", 2) == sorted(before, key=float)
    tab.run('document.querySelectorAll("#per-class thead th button")[0].click()')
    assert column(tab, "per-class", 0) == ["ant", "bee", "cat"]
    assert tab.run(f'{header}.hasAttribute("aria-sort")') is False
    tab.run('document.querySelectorAll("#candidates thead th button")[5].click()')
    assert column(tab, "candidates", 6) == ["200", "50"]


@pytest.mark.parametrize("width", [360, 1200])
def test_pointing_at_the_map_or_the_arrow_keys_show_a_photograph(opened, width):
    tab = opened(width=width)
    about = tab.run(
        '(() => { const use = document.querySelector("#map-points > use");'
        "const box = use.getBoundingClientRect(), x = box.x + box.width / 2,"
        " y = box.y + box.height / 2;"
        'use.ownerSVGElement.dispatchEvent(new PointerEvent("pointermove",'
        " {clientX: x, clientY: y})); return {...use.dataset}; })()"
    )
    tip = 'document.getElementById("map-tip")'
    assert tab.run(f"{tip}.hidden") is False
    text = tab.run(f"{tip}.textContent")
    assert about["predicted"] in text
    assert about["path"] in text
    picture = f'getComputedStyle({tip}.querySelector(".tile")).backgroundImage'
    assert tab.run(picture).startswith('url("data:image/jpeg')
    inside = f"{tip}.getBoundingClientRect().right <= document.documentElement.clientWidth"
    assert tab.run(inside) is True
    key = 'document.getElementById("map-points").dispatchEvent(new KeyboardEvent("keydown", {key}))'
    tab.run(key.replace("{key}", '{key: "ArrowRight"}'))
    assert tab.run(f"{tip}.textContent") != text
    tab.run(key.replace("{key}", '{key: "Escape"}'))
    assert tab.run(f"{tip}.hidden") is True
    assert tab.messages == []


def test_what_is_known_of_the_images_and_their_contradictions_is_in_the_report(tmp_path):
    features = pictures(tmp_path, ("ant", "bee"), each=4)
    X = features.X.copy()
    X[4] = X[0]  # a picture of both classes
    note = "no class, since no picture is in the folder: cow (it is empty)"
    features = dataclasses.replace(features, X=X, notes=(note,))
    validation = cross_validate(features, "centroid", progress=False)
    (contradiction,) = (each for each in validation.notes if "a contradiction" in each)
    path = tmp_path / "report.html"
    write_report(path, title="x", features=features, evaluation=validation)
    text = Page(path.read_text()).text
    for said in (note, contradiction):
        assert text.count(said.rstrip(".").removeprefix("no ")) == 1, said
