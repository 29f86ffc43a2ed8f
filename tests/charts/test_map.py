"""A map of features has a point for each picture, which its class colours."""

import sys

import numpy as np
import pytest
from fakes import as_features
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox

import featx
from featx.charts.layout import METHODS, lay_out, principal_components
from featx.charts.map import plot_map
from featx.errors import OptionError


def points_of(ax) -> int:
    return sum(len(each.get_offsets()) for each in ax.collections)


def classes_of(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_features_are_drawn_in_one_line_with_a_colour_for_each_class(cloud):
    features = cloud(each=10)
    ax = features.plot()
    assert classes_of(ax) == ["ant", "bee", "cat"]
    assert [len(each.get_offsets()) for each in ax.collections] == [10, 10, 10]
    colors = {tuple(each.get_facecolor()[0]) for each in ax.collections}
    assert len(colors) == 3


def test_the_axes_of_principal_components_say_how_much_they_explain(cloud):
    features = cloud(each=10)
    ax = features.plot()
    _, shares = principal_components(features.matrix)
    assert ax.get_xlabel() == f"component 1, {100 * shares[0]:.0f} % of the variance\n30 pictures"
    assert ax.get_ylabel() == f"component 2, {100 * shares[1]:.0f} % of the variance"
    assert shares.sum() == pytest.approx(1, abs=1e-6)


def test_principal_components_are_those_of_scikit_learn(cloud):
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    X = cloud(each=10).matrix
    pca = PCA(2).fit(StandardScaler().fit_transform(X))
    _, shares = principal_components(X)
    assert shares[:2] == pytest.approx(pca.explained_variance_ratio_, abs=1e-5)
    scores = pca.transform(StandardScaler().fit_transform(X))
    made = lay_out(X, "pca")
    for column in range(2):
        assert abs(np.corrcoef(made[:, column], scores[:, column])[0, 1]) > 0.9999


def test_neighbours_stay_together_in_t_sne(cloud):
    ax = cloud(each=10).plot(method="tsne")
    assert ax.get_xlabel() == "t-SNE of 30 pictures"
    assert points_of(ax) == 30


def test_umap_that_is_not_installed_says_what_to_install(cloud, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(OptionError, match=r'needs umap-learn.*pip install "featx\[umap\]", or'):
        cloud().plot(method="umap")


def test_umap_is_used_where_it_is_installed(cloud, monkeypatch):
    class Umap:
        def __init__(self, **options):
            assert options["n_neighbors"] == 15

        def fit_transform(self, scores):
            return scores[:, :2]

    monkeypatch.setitem(sys.modules, "umap", type(sys)("umap"))
    sys.modules["umap"].UMAP = Umap
    assert cloud(each=10).plot(method="umap").get_xlabel() == "UMAP of 30 pictures"


def test_what_cannot_be_drawn_is_told(cloud):
    with pytest.raises(OptionError, match=f"expected one of {', '.join(METHODS)}"):
        cloud().plot(method="tnse")
    with pytest.raises(OptionError, match="a map of 1 rows: expected at least two pictures"):
        cloud().select([0]).plot()


def test_pictures_stand_in_place_of_points_and_do_not_hide_one_another(photos, fake_engine):
    features = featx.embed(photos, weights="random", progress=False)
    ax = features.plot(thumbnails=True)
    shown = [each for each in ax.artists if isinstance(each, AnnotationBbox)]
    assert 2 <= len(shown) <= len(features)
    places = ax.transData.transform([each.xy for each in shown]) / (ax.figure.dpi / 72)
    apart = np.abs(places[:, None] - places).max(axis=2) + 1e9 * np.eye(len(shown))
    assert apart.min() > 20
    array = shown[0].offsetbox.get_data()
    assert array.shape == (64, 64, 3)
    assert array.std() > 0, "a grey square in place of the picture"


def test_a_part_of_many_pictures_is_drawn_and_that_is_said():
    random = np.random.default_rng(0)
    features = as_features(random.normal(size=(2500, 3)), ["a", "b"] * 1250)
    ax = features.plot()
    assert "2,000 of 2,500 pictures" in ax.get_xlabel()
    assert points_of(ax) == 2000


def test_many_classes_and_pictures_without_one_are_told_apart():
    random = np.random.default_rng(0)
    labels = [f"c{number:02}" for number in range(30)] + [None]
    ax = as_features(random.normal(size=(31, 4)), labels).plot()
    assert len(classes_of(ax)) == 25
    assert classes_of(ax)[-1] == "and 7 more classes"
    assert len(ax.collections) == 31
    alone = as_features(random.normal(size=(9, 4)), ["a"] * 9).plot()
    assert alone.get_legend() is None


def test_it_is_drawn_into_the_axes_given_and_touches_nothing_else(cloud, pyplot_untouched):
    ax = Figure().add_subplot()
    assert plot_map(cloud(), ax) is ax


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_features_of_one_column_are_laid_out_by_it(method):
    column = np.random.default_rng(0).normal(size=(10, 1))
    plane = lay_out(column, method)
    assert np.argsort(np.abs(plane[:, 0] - plane[:, 0].min())).tolist() in (
        np.argsort(column[:, 0]).tolist(),
        np.argsort(-column[:, 0]).tolist(),
    )
    assert not plane[:, 1].any()
