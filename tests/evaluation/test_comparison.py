"""A comparison is fair, ranks candidates with their cost, and says so only if one is better."""

from __future__ import annotations

import dataclasses
import json

import fakes
import numpy as np
import pytest
from fakes import as_features
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import featx
from featx.errors import ImageSourceError, OptionError, UnknownBackboneError, UnknownClassifierError
from featx.evaluation.comparison import compare
from featx.evaluation.shortfalls import Shortfalls
from featx.evaluation.validation import cross_validate
from featx.text import width

COLUMNS = [
    *("candidate", "rank", "backbone", "pooling", "classifier"),
    *("accuracy", "accuracy_low", "accuracy_high", "behind", "behind_low", "behind_high"),
    *("rival", "images_per_second", "fit_seconds", "n_features", "feature_bytes", "unbeaten"),
    "recommended",
    *("balanced_accuracy", "weakest_class", "weakest_recall"),
]


def quiet(*args, **options):
    return compare(*args, progress=False, **options)


@pytest.fixture
def three(cloud):
    """Features of the same pictures that tell the classes very well, somewhat and not at all."""

    def draw(backbone, distance, rate, seed):
        features = cloud(each=20, width=40, distance=distance, seed=seed)
        recipe = fakes.recipe(backbone)
        return dataclasses.replace(features, recipe=recipe, images_per_second=rate)

    return [
        draw("vgg16", 0.0, 50.0, 1),
        draw("resnet50", 1.0, 10.0, 2),
        draw("vgg19", 0.3, 20.0, 3),
    ]


def test_candidates_are_ranked_with_their_cost(three):
    made = quiet(three, classifiers="centroid")
    frame = made.to_frame()
    assert list(frame.columns) == COLUMNS
    assert frame.backbone.tolist() == ["resnet50", "vgg19", "vgg16"]
    assert frame["rank"].tolist() == [1, 2, 3]
    assert frame.accuracy.is_monotonic_decreasing
    assert (frame.accuracy_low <= frame.accuracy).all()
    assert (frame.accuracy <= frame.accuracy_high).all()
    assert frame.images_per_second.tolist() == [10.0, 20.0, 50.0]
    assert (frame.fit_seconds > 0).all()
    assert frame.n_features.tolist() == [40, 40, 40]
    assert frame.feature_bytes.tolist() == [60 * 40 * 4] * 3
    assert frame.unbeaten.all(), "each is faster than all that are more accurate"
    assert made.best.name == "resnet50"


def test_a_clear_winner_is_named_with_its_lead(three):
    made = quiet(three, classifiers="centroid")
    lead = made.leads[1]
    assert made.verdict == (
        f"resnet50 leads by {100 * lead.value:.1f} points "
        f"(95 % interval {100 * lead.low:.1f} to {100 * lead.high:.1f}); "
        f"{made.recommend().verdict}"
    )
    frame = made.to_frame()
    assert frame.rival.tolist() == [True, False, False]
    assert lead.value == pytest.approx(frame.accuracy[0] - frame.accuracy[1])
    assert frame.behind.tolist() == [each.value for each in made.leads]
    assert frame.behind_low[1] == lead.low
    hits = [each.validation.hits for each in made.candidates]
    highs = Shortfalls.of(hits, made.best.validation.size).highs()
    assert frame.behind_high.tolist() == pytest.approx(highs.tolist())


def test_without_a_clear_winner_the_rivals_are_named(three):
    made = quiet([three[1], three[1], three[0]], classifiers="centroid")
    assert made.verdict.startswith("no clear winner among resnet50, resnet50; take resnet50: ")
    assert [each.name for each in made.rivals] == ["resnet50", "resnet50"]


def test_a_pooling_makes_no_network_slower(three):
    """One of two poolings was measured on a machine that was busy."""
    recipes = [
        dataclasses.replace(
            fakes.RECIPE,
            parts=tuple(
                dataclasses.replace(part, cut=dataclasses.replace(part.cut, pooling=pooling))
                for part in fakes.RECIPE.parts
            ),
        )
        for pooling in ("avg", "max")
    ]
    several = [
        dataclasses.replace(three[row], recipe=recipe, images_per_second=rate)
        for row, (recipe, rate) in enumerate(zip(recipes, (50.0, 200.0), strict=True))
    ]
    made = quiet([*several, three[2]], classifiers="centroid", repeats=1)
    assert set(made.to_frame().images_per_second) == {200.0, 20.0}


def test_what_another_beats_in_accuracy_and_speed_is_not_marked(three):
    slow = dataclasses.replace(three[0], images_per_second=1.0)
    made = quiet([slow, three[1]], classifiers="centroid")
    assert made.to_frame().unbeaten.tolist() == [True, False]


def test_each_candidate_scores_what_cross_validation_scores(three):
    """Of images without copies, the splits of every features are the same."""
    made = quiet(three, classifiers=["knn", "centroid"], repeats=1)
    assert len(made.candidates) == 6
    splits = {id(each.validation.splits) for each in made.candidates}
    assert len(splits) == 1, "candidates had splits of their own"
    for each in made.candidates:
        alone = cross_validate(each.features, each.learner, repeats=1)
        assert each.validation.predictions.tolist() == alone.predictions.tolist(), each.name
        assert each.accuracy == alone.interval, each.name


def test_the_accuracy_of_the_best_is_corrected_for_the_choice(cloud):
    same = [cloud(each=15, width=30, distance=0.2, seed=seed) for seed in range(8)]
    made = quiet(same, classifiers="centroid")
    assert made.best_accuracy.value < made.best.accuracy.value
    assert f"chosen as the best of 8: without that luck, expect {made.best_accuracy}" in repr(made)


def test_classifiers_of_ones_own_are_taken_and_named(three):
    own = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
    made = quiet(
        three[1], classifiers=["knn", own, KNeighborsClassifier(1), KNeighborsClassifier(3)]
    )
    assert {each.name for each in made.candidates} == {
        "knn",
        "standardscaler+logisticregression",
        "KNeighborsClassifier",
        "KNeighborsClassifier #2",
    }
    named = quiet(three[1], classifiers={"mine": own, "near": KNeighborsClassifier(1)})
    assert {each.classifier for each in named.candidates} == {"mine", "near"}


def test_fitted_steps_are_fitted_once_for_all_candidates(three, monkeypatch):
    fits = []
    fit = StandardScaler.fit
    monkeypatch.setattr(
        StandardScaler,
        "fit",
        lambda self, *args, **more: fits.append(1) or fit(self, *args, **more),
    )
    made = quiet(three[1], classifiers=["svm", "logistic"], n_jobs=1)
    assert len(fits) == len(made.best.validation.splits.parts)


def test_the_table_reads_well_in_a_terminal_and_in_a_notebook(three):
    made = quiet(three, classifiers="centroid", repeats=1)
    best = made.best.accuracy
    assert made.table.iloc[0].tolist() == [
        *("1 *", "resnet50", f"{100 * best.value:.1f} %"),
        *(f"{100 * best.low:.1f} to {100 * best.high:.1f}", "0.0"),
        *(f"{100 * made.to_frame().behind_high[0]:.1f}", "10"),
        *(f"{made.best.validation.fit_seconds:.2f}", "40", "9.6 kB", "yes"),
    ]
    text = repr(made)
    assert "95 % interval" in text
    assert "; ".join(text.splitlines()[-3:-1]) == made.verdict
    html = made._repr_html_()
    assert html.count("<tr") == 4
    assert "resnet50" in html


def test_a_name_is_text_in_a_notebook_whatever_it_holds(cloud):
    made = quiet(cloud(), classifiers={"<b>": "centroid", "knn": "knn"}, repeats=1)
    assert "<b>" in made.summary
    assert "<b>" not in made._repr_html_()


def test_features_of_the_images_that_all_have_are_compared(three):
    shuffled = three[1].select(np.random.default_rng(0).permutation(60)[:50])
    made = quiet([three[0], shuffled], classifiers="centroid", repeats=1)
    assert all(len(each.features) == 50 for each in made.candidates)
    paths = [each.features.paths.tolist() for each in made.candidates]
    assert paths[0] == paths[1]


def test_features_of_other_images_or_labels_cannot_be_compared(three):
    other = dataclasses.replace(three[1], paths=three[1].paths + "x")
    with pytest.raises(ImageSourceError, match="of different images"):
        quiet([three[0], other])
    other = dataclasses.replace(three[1], y=three[1].y[::-1].copy())
    with pytest.raises(ImageSourceError, match="different labels"):
        quiet([three[0], other])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"classifiers": ["svn"]}, UnknownClassifierError, "svn"),
        ({"classifiers": []}, OptionError, "classifiers is empty"),
        ({"backbones": []}, OptionError, "backbones is empty"),
        ({"poolings": []}, OptionError, "poolings is empty"),
        ({"backbones": ["resnet5"]}, UnknownBackboneError, "resnet5"),
        ({"poolings": ["mean"]}, OptionError, "unknown pooling 'mean'"),
        ({"folds": 1}, OptionError, "folds 1"),
    ],
)
def test_what_cannot_be_compared_is_told(photos, fake_engine, options, error, message):
    with pytest.raises(error, match=message):
        quiet(photos, **{"backbones": "resnet50", "weights": "random", **options})


@pytest.mark.filterwarnings("ignore:the weights of")
class TestFromImages:
    """Comparing a folder embeds what the cache lacks, each network once."""

    def test_a_network_runs_once_for_its_poolings(self, photos, fake_engine):
        options = {
            "backbones": ["resnet50", "vgg16"],
            "poolings": ["avg", "max"],
            "weights": "random",
        }
        made = quiet(photos, classifiers=["knn", "centroid"], **options)
        assert fake_engine.embedded == 2 * 18
        assert len(made.candidates) == 8
        assert {each.name for each in made.candidates} >= {"resnet50 max knn", "vgg16 avg centroid"}
        frame = made.to_frame()
        assert (frame.images_per_second > 0).all()
        again = quiet(photos, classifiers=["knn", "centroid"], **options)
        assert fake_engine.embedded == 2 * 18
        assert again.to_frame().accuracy.tolist() == frame.accuracy.tolist()
        known = again.to_frame().images_per_second
        assert (known > 0).all(), "how fast a network was is forgotten"

    def test_what_is_missing_is_embedded(self, photos, fake_engine):
        featx.embed(photos, "resnet50", weights="random", pooling="max", progress=False)
        fakes.draw_folder(photos, each=1, start=50)
        made = quiet(photos, "resnet50", ["avg", "max"], "knn", weights="random")
        assert fake_engine.embedded == 18 + 21
        by_pooling = {each.features.recipe.pooling: each.features for each in made.candidates}
        statuses = [outcome.status for outcome in by_pooling["max"].outcomes]
        assert (statuses.count("cached"), statuses.count("embedded")) == (18, 3)
        statuses = [outcome.status for outcome in by_pooling["avg"].outcomes]
        assert statuses.count("embedded") == 21

    def test_a_picture_that_cannot_be_read_is_left_out_of_all(self, photos, fake_engine):
        (photos / "red" / "broken.jpg").write_bytes(b"no picture")
        made = quiet(photos, ["resnet50", "vgg16"], classifiers="knn", weights="random")
        assert [len(each.features) for each in made.candidates] == [18, 18]
        assert len(made.best.features.failed) == 1

    def test_all_means_the_networks_whose_weights_are_there(
        self, photos, fake_engine, tmp_path, monkeypatch
    ):
        monkeypatch.setenv("FEATX_WEIGHTS", str(tmp_path / "weights"))
        (tmp_path / "weights").mkdir()
        for name in ("vgg16", "xception"):
            (tmp_path / "weights" / featx.BACKBONES[name].without_top.name).touch()
        made = quiet(photos, classifiers="knn", weights="random")
        names = {each.name for each in made.candidates}
        packaged = {name for name, spec in featx.BACKBONES.items() if spec.package}
        assert "efficientnet_lite0" in names, "it comes with featx"
        assert names - packaged == {"vgg16", "xception"}

    def test_all_of_a_folder_means_the_networks_whose_weights_are_in_it(
        self, photos, fake_engine, tmp_path
    ):
        (tmp_path / "weights").mkdir()
        for name in ("vgg16", "resnet50"):
            (tmp_path / "weights" / featx.BACKBONES[name].with_top.name).write_bytes(b"some")
        made = quiet(photos, classifiers="knn", weights=tmp_path / "weights")
        assert {each.name for each in made.candidates} == {"vgg16", "resnet50"}
        (tmp_path / "empty").mkdir()
        with pytest.raises(OptionError, match=r"no weights of any network in .*empty; name backb"):
            quiet(photos, weights=tmp_path / "empty")

    def test_one_file_of_weights_is_for_one_network(self, photos, fake_engine, tmp_path):
        file = tmp_path / "mine.h5"
        file.touch()
        for name in ("compare", "tune"):
            for backbones in (["vgg16", "resnet50"], "all"):
                with pytest.raises(OptionError, match="weights of one network: name that one"):
                    getattr(featx, name)(photos, backbones=backbones, weights=str(file))
        assert fake_engine.embedded == 0
        made = quiet(photos, "vgg16", classifiers="knn", weights=file)
        assert made.best.features.weights == str(file)

    def test_views_are_named_and_cost_time(self, photos, fake_engine):
        several = [featx.embed(photos, weights="random", views=v, progress=False) for v in (0, 2)]
        made = quiet(several, classifiers="knn")
        names = {each.name: each for each in made.candidates}
        assert set(names) == {"efficientnet_lite0", "efficientnet_lite0 2 views"}
        plain, viewed = names["efficientnet_lite0"], names["efficientnet_lite0 2 views"]
        assert viewed.images_per_second == pytest.approx(plain.images_per_second / 3)

    @pytest.mark.parametrize("wrong", [{"folds": 1}, {"repeats": 0}, {"seed": -1}, {"seed": None}])
    def test_splits_that_cannot_be_are_told_before_embedding(self, photos, fake_engine, wrong):
        with pytest.raises(OptionError, match=f"{next(iter(wrong))} .*: expected a whole number"):
            quiet(photos, "resnet50", weights="random", **wrong)
        assert fake_engine.embedded == 0

    def test_recipes_are_those_of_embed(self, photos, fake_engine):
        options = {"weights": "random", "input_size": 96}
        made = quiet(photos, "resnet50", "max", "knn", **options)
        expected = featx.embed(photos, "resnet50", pooling="max", progress=False, **options)
        assert made.best.features.recipe == expected.recipe

    def test_views_and_joined_networks_are_compared(self, photos, fake_engine):
        joined = "resnet50+xception"
        made = quiet(photos, ["resnet50", joined], "max", "knn", views=1, weights="random")
        assert sorted(each.name for each in made.candidates) == ["resnet50", joined]
        assert [len(each.features.views) for each in made.candidates] == [1, 1]
        widths = made.to_frame().set_index("candidate").n_features
        assert widths.to_dict() == {"resnet50": 9, joined: 18}

    def test_a_class_of_which_nothing_can_be_read_is_named(self, photos, fake_engine):
        for path in (photos / "red").iterdir():
            path.write_text("no picture")
        with pytest.raises(ImageSourceError, match="class red has no readable image"):
            quiet(photos, "resnet50", classifiers="knn", weights="random")

    def test_an_option_that_compare_has_not_is_told_by_name(self, photos, fake_engine):
        with pytest.raises(TypeError) as caught:
            quiet(photos, "resnet50", pooling="max")
        assert str(caught.value) == (
            "compare() got an unexpected keyword argument 'pooling'; did you mean 'poolings'?"
        )
        assert fake_engine.embedded == 0

    def test_files_that_were_lost_are_in_the_notes_and_the_counts(self, photos, fake_engine):
        (photos / "red" / "broken.jpg").write_bytes(b"no picture")
        made = quiet(photos, "resnet50", classifiers="knn", weights="random")
        (lost,) = (each.failure for each in made.best.validation.failed)
        assert lost.startswith(f"failed: {photos / 'red' / 'broken.jpg'}: not an image")
        assert made.notes[-1] == lost
        written = made.to_dict()
        assert (written["n_images"], written["n_failed"]) == (18, 1)
        assert written["notes"] == list(made.notes)


def test_options_beside_features_would_change_nothing(three):
    with pytest.raises(OptionError, match="features are embedded already: layer, views would cha"):
        compare(three, layer="top", views=2, progress=False)


@pytest.mark.parametrize("count", [1, 3])
def test_a_comparison_is_plain_values(three, count):
    made = quiet(three[:count], classifiers="centroid", repeats=1)
    written = made.to_dict()
    assert json.loads(json.dumps(written)) == written
    frame = made.to_frame()
    assert [list(each) for each in written["candidates"]] == [COLUMNS] * count
    assert [each["accuracy"] for each in written["candidates"]] == frame.accuracy.tolist()
    expected = made.best_accuracy
    assert {key: each for key, each in written.items() if key != "candidates"} == {
        "verdict": made.verdict,
        "transfer_verdict": None,
        "best": made.best.name,
        "best_accuracy": expected.value,
        "best_accuracy_low": expected.low,
        "best_accuracy_high": expected.high,
        "recommendation": made.recommend().to_dict(),
        "method": made.best.validation.method,
        "notes": [],
        **made.best.validation.balance.to_dict(),
        "n_images": 60,
        "n_failed": 0,
    }


def test_a_comparison_is_drawn_by_speed_or_as_a_forest(three):
    made = quiet(three, classifiers="centroid", repeats=1)
    assert made.plot().get_xlabel() == "images/s"
    forest = made.plot(kind="forest", width=3.5)
    assert forest.figure.get_size_inches()[0] == 3.5
    assert len(forest.get_yticks()) == 3
    with pytest.raises(OptionError, match="unknown kind 'pie': expected one of speed, forest"):
        made.plot(kind="pie")


def test_one_candidate_is_compared_with_nothing(three):
    made = quiet(three[1], classifiers="centroid", repeats=1)
    assert made.verdict == (
        f"resnet50 scores {made.best.accuracy}; there is nothing to compare with"
    )
    assert made.summary == made.verdict
    assert made.leads[0].to_dict("lead") == {"lead": 0.0, "lead_low": 0.0, "lead_high": 0.0}


def test_the_order_of_networks_changes_no_accuracy():
    random = np.random.default_rng(3)
    y = ["ant", "bee"] * 20
    wide, narrow = random.normal(size=(40, 60)), random.normal(size=(40, 30))
    wide[10] = wide[12]  # copies, to the one and not to the other
    narrow[20:25] = narrow[26]
    several = [as_features(wide, y, recipe=None), as_features(narrow, y, recipe=None)]
    options = {"classifiers": ["knn", "logistic"], "folds": 3, "repeats": 1}
    one, other = quiet(several, **options), quiet(several[::-1], **options)
    accuracies = [
        {(each.features.X.shape[1], each.classifier): each.accuracy for each in made.candidates}
        for made in (one, other)
    ]
    assert accuracies[0] == accuracies[1]
    groups = one.best.validation.splits.groups
    assert len(set(groups[20:27])) == 2, "the copies are those of the narrower"
    assert len(np.unique(groups)) == 40 - 5


def test_several_features_need_no_recipe():
    random = np.random.default_rng(0)
    y = ["ant", "bee"] * 20
    tables = [as_features(random.normal(size=(40, 5)), y, recipe=None) for _ in range(2)]
    made = quiet(tables, classifiers="knn")
    assert {each.name for each in made.candidates} == {"features 1", "features 2"}


def test_a_table_keeps_its_columns_where_a_network_has_a_wide_name(cloud):
    named = [
        dataclasses.replace(cloud(), recipe=fakes.recipe(name, "0" * 64, 224))
        for name in ("ネットワーク", "resnet50")
    ]
    comparison = compare(named, classifiers="centroid", repeats=1, progress=False)
    header, *rows = repr(comparison).splitlines()[:3]
    ends = [width(row[: row.index(" %")]) for row in rows]
    assert ends == [width(header[: header.index("accuracy")]) + len("accura")] * 2
