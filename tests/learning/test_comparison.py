"""A comparison is fair, ranks candidates with their cost, and says so only if one is better."""

from __future__ import annotations

import dataclasses

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
from featx.features.plan import prepare
from featx.learning import comparing
from featx.learning.comparing import compare
from featx.learning.validation import cross_validate

COLUMNS = [
    *("backbone", "pooling", "classifier", "accuracy", "accuracy_low", "accuracy_high"),
    *("images_per_second", "fit_seconds", "n_features"),
]


def quiet(*args, **options):
    return compare(*args, progress=False, **options)


@pytest.fixture
def three(cloud):
    """Features of the same pictures that tell the classes very well, somewhat and not at all."""

    def draw(backbone, distance, rate, seed):
        features = cloud(each=20, width=40, distance=distance, seed=seed)
        recipe = dataclasses.replace(features.recipe, backbone=backbone)
        return dataclasses.replace(features, recipe=recipe, images_per_second=rate)

    return [
        draw("vgg16", 0.0, 50.0, 1),
        draw("resnet50", 1.0, 10.0, 2),
        draw("vgg19", 0.3, 20.0, 3),
    ]


def test_candidates_are_ranked_with_their_cost(three):
    made = quiet(three)
    frame = made.frame
    assert set(COLUMNS) <= set(frame.columns)
    assert frame.backbone.tolist() == ["resnet50", "vgg19", "vgg16"]
    assert frame["rank"].tolist() == [1, 2, 3]
    assert frame.accuracy.is_monotonic_decreasing
    assert (frame.accuracy_low <= frame.accuracy).all()
    assert (frame.accuracy <= frame.accuracy_high).all()
    assert frame.images_per_second.tolist() == [10.0, 20.0, 50.0]
    assert (frame.fit_seconds > 0).all()
    assert frame.n_features.tolist() == [40, 40, 40]
    assert frame.feature_bytes.tolist() == [60 * 40 * 4] * 3
    assert frame.efficient.all(), "each is faster than all that are more accurate"
    assert made.best.name == "resnet50"


def test_a_clear_winner_is_named_with_its_lead(three):
    made = quiet(three)
    lead = made.leads[1]
    assert made.verdict == (
        f"resnet50 leads by {100 * lead.value:.1f} points "
        f"(95 % interval {100 * lead.low:.1f} to {100 * lead.high:.1f})"
    )
    assert made.frame.rival.tolist() == [True, False, False]
    assert lead.value == pytest.approx(made.frame.accuracy[0] - made.frame.accuracy[1])


def test_without_a_clear_winner_the_rivals_are_named(three):
    made = quiet([three[1], three[1], three[0]])
    assert made.verdict == "no clear winner among resnet50, resnet50"
    assert [each.name for each in made.rivals] == ["resnet50", "resnet50"]


def test_what_another_beats_in_accuracy_and_speed_is_not_marked(three):
    slow = dataclasses.replace(three[0], images_per_second=1.0)
    assert quiet([slow, three[1]]).frame.efficient.tolist() == [True, False]


def test_each_candidate_reads_what_cross_validation_reads(three):
    made = quiet(three, classifiers=["knn", "centroid"])
    assert len(made.candidates) == 6
    splits = {id(each.validation.splits) for each in made.candidates}
    assert len(splits) == 1, "candidates had splits of their own"
    for each in made.candidates:
        alone = cross_validate(three[0], each.estimator)  # its splits are those of the first
        del alone
        assert each.validation.accuracy == np.mean(each.validation.hits)
    own = next(each for each in made.candidates if each.features is three[0])
    assert own.validation.predictions.tolist() == (
        cross_validate(three[0], own.classifier).predictions.tolist()
    )


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
    made = quiet(three)
    text = repr(made)
    assert "95 % interval" in text
    assert text.splitlines()[-2] == made.verdict
    html = made._repr_html_()
    assert html.count("<tr") == 4
    assert "resnet50" in html


def test_features_of_the_images_that_all_have_are_compared(three):
    shuffled = three[1].select(np.random.default_rng(0).permutation(60)[:50])
    made = quiet([three[0], shuffled])
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
        assert (made.frame.images_per_second > 0).all()
        again = quiet(photos, classifiers=["knn", "centroid"], **options)
        assert fake_engine.embedded == 2 * 18
        assert again.frame.accuracy.tolist() == made.frame.accuracy.tolist()
        assert (again.frame.images_per_second > 0).all(), "how fast a network was is forgotten"

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

    def test_all_means_the_networks_whose_weights_are_there(self, photos, fake_engine, monkeypatch):
        monkeypatch.setattr(
            comparing, "at_hand", lambda spec, _: spec.name in ("vgg16", "xception") or None
        )
        made = quiet(photos, classifiers="knn", weights="random")
        assert {each.name for each in made.candidates} == {"vgg16", "xception"}

    def test_all_of_a_folder_means_the_networks_whose_weights_are_in_it(self, tmp_path):
        for name in ("vgg16", "resnet50"):
            (tmp_path / featx.BACKBONES[name].with_top.name).touch()
        assert comparing.named_networks("all", str(tmp_path)) == ["vgg16", "resnet50"]
        (tmp_path / "empty").mkdir()
        with pytest.raises(OptionError, match=r"no weights of any network in .*empty; name backb"):
            comparing.named_networks("all", tmp_path / "empty")

    def test_one_file_of_weights_is_for_one_network(self, photos, fake_engine, tmp_path):
        file = tmp_path / "mine.h5"
        file.touch()
        assert comparing.named_networks("vgg16", file) == ["vgg16"]
        for name in ("compare", "tune"):
            for backbones in (["vgg16", "resnet50"], "all"):
                with pytest.raises(OptionError, match="weights of one network: name that one"):
                    getattr(featx, name)(photos, backbones=backbones, weights=str(file))
        assert fake_engine.embedded == 0

    def test_views_are_named_and_cost_time(self, photos, fake_engine):
        several = [featx.embed(photos, weights="random", views=v, progress=False) for v in (0, 2)]
        made = quiet(several, classifiers="knn")
        names = {each.name: each for each in made.candidates}
        assert set(names) == {"efficientnet_lite0", "efficientnet_lite0 2 views"}
        plain, viewed = names.values() if "views" not in made.best.name else [*names.values()][::-1]
        assert viewed.images_per_second == pytest.approx(plain.images_per_second / 3)

    @pytest.mark.parametrize("wrong", [{"folds": 1}, {"repeats": 0}, {"seed": -1}, {"seed": None}])
    def test_splits_that_cannot_be_are_told_before_embedding(self, photos, fake_engine, wrong):
        with pytest.raises(OptionError, match=f"{next(iter(wrong))} .*: expected a whole number"):
            quiet(photos, "resnet50", weights="random", **wrong)
        assert fake_engine.embedded == 0

    def test_recipes_are_those_of_embed(self, photos, fake_engine):
        made = quiet(photos, "resnet50", "max", "knn", weights="random", input_size=96)
        _, recipe = prepare("resnet50", pooling="max", weights="random", input_size=96)
        assert made.best.features.recipe == recipe


def test_the_order_of_networks_changes_no_accuracy():
    random = np.random.default_rng(3)
    y = ["ant", "bee"] * 20
    wide, narrow = random.normal(size=(40, 60)), random.normal(size=(40, 30))
    wide[10] = wide[12]  # copies, to the one and not to the other
    narrow[20:25] = narrow[26]
    several = [as_features(wide, y, recipe=None), as_features(narrow, y, recipe=None)]
    one = quiet(several, classifiers=["knn", "logistic"])
    other = quiet(several[::-1], classifiers=["knn", "logistic"])
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
