"""`ImageEmbedder` is a citizen of scikit-learn, and does what `featx.embed` does."""

import os
import pickle
import shutil
import warnings
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import fakes
import numpy as np
import pandas as pd
import pytest
import sklearn.utils.estimator_checks as checks
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import featx
from featx.backbones.backbone import Backbone
from featx.backbones.engines.choice import ENGINES, EngineSpec, registered
from featx.errors import (
    ImageError,
    ImageSourceError,
    OptionError,
    RecipeMismatchError,
    UnknownBackboneError,
)
from featx.features.options import OPTIONS
from featx.files import cache_folder
from featx.learning.embedder import ImageEmbedder

pytestmark = [
    pytest.mark.usefixtures("fake_engine"),
    pytest.mark.filterwarnings("ignore:the weights of"),
]


@pytest.fixture
def paths(photos) -> list[str]:
    return sorted(str(path) for path in photos.glob("*/*"))


@pytest.fixture
def labels(paths) -> list[str]:
    return [path.split("/")[-2] for path in paths]


# ---------------------------------------------------------------- scikit-learn's own checks


class _OverTables(ImageEmbedder):
    """Claims to take tables of numbers, without which scikit-learn yields no checks."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


DO_NOT_APPLY = {
    "check_positive_only_tag_during_fit": "it divides X: paths are no numbers",
    "check_estimators_dtypes": "it turns X to floats: paths are no numbers",
    "check_estimator_sparse_tag": "there are no sparse tables of paths",
    "check_estimator_sparse_array": "there are no sparse tables of paths",
    "check_estimator_sparse_matrix": "there are no sparse tables of paths",
    "check_array_api_input": "there are no arrays of paths on a GPU",
}
BEYOND_THE_GENERATOR = (
    checks.check_dataframe_column_names_consistency,
    checks.check_get_feature_names_out_error,
    checks.check_global_output_transform_pandas,
    checks.check_set_output_transform,
    checks.check_set_output_transform_pandas,
    checks.check_transformer_get_feature_names_out,
    checks.check_transformer_get_feature_names_out_pandas,
)


def _own_checks():
    found = {}
    for _, check in checks.estimator_checks_generator(_OverTables(), legacy=True):
        function = getattr(check, "func", check)
        options = "-".join(map(str, getattr(check, "keywords", {}).values()))
        found[f"{function.__name__}{options and '-'}{options}"] = check
    for function in BEYOND_THE_GENERATOR:
        found[function.__name__] = partial(function, ImageEmbedder.__name__)
    return {
        name: check for name, check in found.items() if name.partition("-")[0] not in DO_NOT_APPLY
    }


OWN_CHECKS = _own_checks()


def test_most_of_the_checks_apply():
    assert len(OWN_CHECKS) >= 35, sorted(OWN_CHECKS)
    assert {
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_estimators_fit_returns_self",
        "check_estimators_overwrite_params",
        "check_estimators_pickle",
        "check_fit_check_is_fitted",
        "check_fit_idempotent",
        "check_get_params_invariance",
        "check_mixin_order",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_set_params",
        "check_transformer_general",
        "check_valid_tag_types",
    } <= set(OWN_CHECKS)


@pytest.fixture(scope="module")
def numbered(tmp_path_factory) -> Path:
    """A folder of pictures in files named "0", "1", ...: some checks compute labels from X."""
    folder = tmp_path_factory.mktemp("numbered")
    for i in range(130):
        fakes.draw(folder / f"{i}.png", (i, 9, 99), size=(4, 4)).rename(folder / str(i))
    return folder


@pytest.mark.parametrize("name", OWN_CHECKS)
def test_the_checks_of_scikit_learn_pass(name, numbered, monkeypatch):
    """Where a check makes numbers up, it gets as many pictures."""
    monkeypatch.chdir(numbered)
    names = np.array(sorted(os.listdir(), key=int), dtype=object)

    def as_pictures(estimator, X, *args, **kwargs):
        return names[: len(X), None] if np.ndim(X) == 2 else names[: len(X)]

    monkeypatch.setattr(checks, "_enforce_estimator_tags_X", as_pictures)
    embedder = ImageEmbedder()
    OWN_CHECKS[name](embedder)
    assert embedder.get_params() == ImageEmbedder().get_params(), "what is fitted is a clone"


# ---------------------------------------------------------------- what comes out


def test_transform_gives_what_embed_gives(paths):
    options = {"pooling": "flatten", "input_size": 64, "resize": "pad", "interpolation": "nearest"}
    embedder = ImageEmbedder(**options)
    matrix = embedder.fit_transform(paths)
    features = featx.embed(paths, **options)
    assert np.array_equal(matrix, features.matrix)
    assert matrix.dtype == np.float32
    assert embedder.recipe_ == features.recipe
    assert embedder.n_features_out_ == 9


def test_a_map_that_is_not_pooled_becomes_a_table(paths):
    assert ImageEmbedder(pooling="none").fit_transform(paths).shape == (18, 9)


WAYS = {
    "list": lambda paths: paths,
    "tuple": tuple,
    "array": np.array,
    "array of objects": lambda paths: np.array(paths, dtype=object),
    "column": lambda paths: np.array(paths, dtype=object)[:, None],
    "series": pd.Series,
    "index": pd.Index,
    "string series": lambda paths: pd.Series(paths, dtype="string"),
    "frame": lambda paths: pd.DataFrame({"picture": paths}),
    "pathlib": lambda paths: [Path(path) for path in paths],
}


@pytest.mark.parametrize("way", WAYS)
def test_paths_may_come_in_any_container(paths, way):
    X = WAYS[way](paths)
    expected = featx.embed(paths).matrix
    assert np.array_equal(ImageEmbedder().fit(X).transform(X), expected)


def test_rows_follow_the_input_whatever_its_order(paths):
    order = np.random.default_rng(0).permutation(len(paths))
    embedder = ImageEmbedder().fit(paths)
    shuffled = embedder.transform([paths[i] for i in order])
    assert np.array_equal(shuffled, embedder.transform(paths)[order])
    twice = embedder.transform([paths[0], paths[0]])
    assert np.array_equal(twice[0], twice[1])


def test_fit_looks_at_the_first_picture_only(paths, fake_engine):
    ImageEmbedder().fit([paths[0], "missing.jpg", *paths[1:]])
    assert fake_engine.embedded == 1


def test_what_fit_embedded_is_not_embedded_again(paths, fake_engine):
    ImageEmbedder().fit(paths).transform(paths)
    assert fake_engine.embedded == len(paths)


def test_a_folder_among_the_paths_is_no_picture(photos, paths):
    embedder = ImageEmbedder(on_error="nan").fit(paths)
    matrix = embedder.transform([str(photos), paths[0]])
    assert matrix.shape == (2, 9)
    assert np.isnan(matrix[0]).all()


def test_a_file_that_cannot_be_read_stops_or_gives_a_row_of_nan(paths, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    mixed = [paths[0], str(bad), "missing.jpg", paths[1]]
    with pytest.raises(ImageError, match=r"bad\.jpg"):
        ImageEmbedder().fit(paths).transform(mixed)
    embedder = ImageEmbedder(on_error="nan").fit(paths)
    matrix = embedder.transform(mixed)
    assert np.isnan(matrix).all(axis=1).tolist() == [False, True, True, False]
    assert np.array_equal(matrix[[0, 3]], embedder.transform(paths[:2]))
    nothing = embedder.transform([str(bad), "missing.jpg"])
    assert nothing.shape == (2, 9)
    assert np.isnan(nothing).all()


def test_fit_passes_over_what_cannot_be_read_where_rows_may_be_nan(paths, tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    mixed = [str(tmp_path / "bad.jpg"), *paths]
    with pytest.raises(ImageError, match=r"bad\.jpg"):
        ImageEmbedder().fit(mixed)
    assert ImageEmbedder(on_error="nan").fit(mixed).n_features_out_ == 9
    with pytest.raises(ImageSourceError, match=r"the image cannot be read"):
        ImageEmbedder(on_error="nan").fit(mixed[:1])


MISTAKES = {
    "a folder": ("photos", OptionError, r"X has shape \(\): expected a sequence of paths"),
    "a table of two columns": ([["a", "b"]], OptionError, r"X has shape \(1, 2\)"),
    "nothing": ([], ImageSourceError, "empty"),
    "numbers": ([1.5], ImageSourceError, "is a float: expected a path"),
    "none": (["a.jpg", None], ImageSourceError, "row 1 .* expected a path"),
}


@pytest.mark.parametrize(("X", "error", "message"), MISTAKES.values(), ids=MISTAKES)
def test_what_is_no_column_of_paths_is_told(paths, X, error, message):
    embedder = ImageEmbedder().fit(paths)
    for method in (embedder.transform, ImageEmbedder().fit):
        with pytest.raises(error, match=message):
            method(X)


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"on_error": "skip"}, "unknown on_error 'skip': expected one of raise, nan"),
        ({"pooling": "mean"}, "unknown pooling 'mean'"),
        ({"backbone": "resnet5"}, "unknown backbone 'resnet5'"),
        ({"input_size": 2}, "input size 2 does not fit"),
        ({"batch_size": 0}, "batch size 0"),
        ({"decode": "draft"}, "unknown decode 'draft': expected one of full, scaled"),
        ({"precision": "float16"}, "unknown precision 'float16': expected one of float32, bfloat"),
        ({"engine": "torch"}, "unknown engine 'torch': expected one of auto, openvino, keras"),
        ({"backbone": ["vgg16"]}, "backbone is a list: expected a name of `featx backbones`"),
    ],
)
def test_wrong_parameters_are_told_by_fit_and_not_before(paths, parameters, error):
    embedder = clone(ImageEmbedder(**parameters))
    with pytest.raises(OptionError) as caught:
        embedder.fit(paths)
    assert str(caught.value).startswith(error)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("option", sorted(OPTIONS.keys() - ImageEmbedder().get_params().keys()))
def test_an_option_of_embed_alone_is_none_of_the_transformer(option):
    with pytest.raises(TypeError) as caught:
        ImageEmbedder(**{option: 1})
    assert str(caught.value) == (
        f"ImageEmbedder() got an unexpected keyword argument {option!r}; it is an option of embed, "
        "not of ImageEmbedder"
    )


def test_it_has_to_be_fitted_first(paths):
    for method, argument in (("transform", paths), ("get_feature_names_out", None)):
        with pytest.raises(NotFittedError, match="This ImageEmbedder instance is not fitted yet"):
            getattr(ImageEmbedder(), method)(argument)


def test_parameters_changed_after_fit_are_told(paths):
    embedder = ImageEmbedder().fit(paths).set_params(pooling="max")
    with pytest.raises(RecipeMismatchError, match="pooling max, expected avg"):
        embedder.transform(paths)
    assert embedder.fit(paths).transform(paths).shape == (18, 9)


# ---------------------------------------------------------------- faster


FAST = {"decode": "scaled", "precision": "bfloat16", "fast": True, "engine": "keras"}


def test_parameters_of_speed_are_parameters_like_others():
    slow = {"decode": "full", "precision": "float32", "fast": False, "engine": "auto"}
    parameters = ImageEmbedder().get_params()
    assert {name: parameters[name] for name in slow} == slow
    embedder = ImageEmbedder(**FAST)
    assert {name: clone(embedder).get_params()[name] for name in FAST} == FAST
    assert ImageEmbedder().set_params(**FAST).get_params() == embedder.get_params()
    assert "precision='bfloat16'" in repr(embedder)


@pytest.mark.parametrize(
    ("parameters", "decode", "precision"),
    [
        ({}, "full", "float32"),
        ({"decode": "scaled"}, "scaled", "float32"),
        ({"precision": "bfloat16"}, "full", "bfloat16"),
        ({"fast": True}, "scaled", "bfloat16"),
    ],
)
def test_parameters_of_speed_reach_the_recipe(paths, parameters, decode, precision):
    embedder = ImageEmbedder(**parameters)
    matrix = embedder.fit_transform(paths)
    (part,) = embedder.recipe_.parts
    assert (part.square.decode, part.cut.precision) == (decode, precision)
    features = featx.embed(paths, **parameters)
    assert embedder.recipe_ == features.recipe
    assert np.array_equal(matrix, features.matrix)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_engine_that_is_named_is_the_one_opened(paths, engine):
    opened = []

    def stand_in(name):
        def build(request):
            opened.append(name)
            return fakes.FakeEngine(request)

        return EngineSpec(name, build, suits=lambda: False, computes_in=lambda precision: True)

    with ExitStack() as stack:
        for name in ENGINES[1:]:
            stack.enter_context(registered(stand_in(name)))
        ImageEmbedder(engine=engine).fit(paths)
    assert opened == [name for name in [engine] if name != "auto"]
    assert len(fakes.FakeEngine.opened) == 1


def test_a_pickle_from_a_machine_with_bfloat16_works_without(paths, native):
    data = pickle.dumps(ImageEmbedder(fast=True).fit(paths))
    native("float32")
    embedder = pickle.loads(data)
    assert embedder.recipe_.parts[0].cut.precision == "bfloat16"
    assert np.array_equal(
        embedder.transform(paths), featx.embed(paths, decode="scaled", progress=False).matrix
    )
    with pytest.raises(RecipeMismatchError, match="decode full, expected scaled"):
        embedder.set_params(fast=False).transform(paths)


# ---------------------------------------------------------------- int8


@pytest.fixture
def many(tmp_path):
    """Paths of enough pictures to calibrate on."""
    return sorted(map(str, fakes.draw_folder(tmp_path / "many", each=8).rglob("*.png")))


@pytest.mark.parametrize("parameters", [{"precision": "int8"}, {"fast": True}], ids=str)
def test_int8_is_calibrated_by_fit_and_kept_by_a_pickle(
    many, paths, native, fake_engine, tmp_path, parameters
):
    native("float32", "bfloat16", "int8")
    embedder = ImageEmbedder(**parameters).fit(many)
    assert len(fake_engine.calibrated) == 1
    (part,), (calibration,) = embedder.recipe_.parts, embedder.calibrations_
    assert (part.cut.precision, part.cut.calibration) == ("int8", calibration.digest)
    data, expected = pickle.dumps(embedder), embedder.transform(paths)
    native("float32")
    shutil.rmtree(cache_folder())
    there = pickle.loads(data)
    assert np.array_equal(there.transform(paths), expected)
    assert len(fake_engine.calibrated) == 1
    again = clone(there).fit(paths)
    assert again.recipe_.parts[0].cut.precision == "float32", "too few pictures"


def test_what_fit_took_in_place_of_int8_is_what_transform_takes(many, paths, native, caplog):
    """Whatever the pictures of `transform` would do for."""
    native("float32", "bfloat16", "int8")
    for parameters, expected in (({"precision": "int8"}, "float32"), ({"fast": True}, "bfloat16")):
        embedder = ImageEmbedder(cache=False, **parameters).fit(paths[:5])
        assert embedder.recipe_.parts[0].cut.precision == expected
        assert f": {expected} is used instead" in caplog.records[-1].getMessage()
        expected = featx.embed(many, precision=expected, progress=False).X
        assert np.array_equal(embedder.transform(many), expected)


def test_a_precision_changed_after_fit_in_int8_is_told(many, native):
    embedder = ImageEmbedder(precision="int8").fit(many).set_params(precision="float32")
    with pytest.raises(RecipeMismatchError, match="precision float32, expected int8"):
        embedder.transform(many)


# ---------------------------------------------------------------- as a citizen


def test_a_clone_has_the_parameters_and_nothing_learned(paths):
    fitted = ImageEmbedder("vgg16", weights="random", pooling="max", cache=False).fit(paths)
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "recipe_")


def test_it_joins_networks_too(paths):
    embedder = ImageEmbedder("resnet50+xception", weights="random").fit(paths)
    expected = featx.embed(paths, "resnet50+xception", weights="random").X
    assert np.array_equal(embedder.transform(paths), expected)
    assert embedder.n_features_out_ == 18


def test_its_pickle_is_small_and_means_the_same(paths):
    fitted = ImageEmbedder(pooling="max").fit(paths)
    fitted.transform(paths)
    data = pickle.dumps(fitted)
    assert len(data) < 2000, len(data)
    copy = pickle.loads(data)
    assert copy.recipe_ == fitted.recipe_
    assert np.array_equal(copy.transform(paths), fitted.transform(paths))


def test_a_backbone_of_the_table_may_stand_for_its_name(paths):
    embedder = ImageEmbedder(Backbone.load("efficientnet_lite0")).fit(paths)
    assert np.array_equal(clone(embedder).fit_transform(paths), featx.embed(paths).matrix)
    assert len(pickle.dumps(embedder)) < 3000


def test_a_pipeline_learns_from_paths(paths, labels, new_photos):
    pipeline = make_pipeline(ImageEmbedder(), StandardScaler(), LogisticRegression())
    pipeline.fit(paths, labels)
    new = sorted(str(path) for path in new_photos.glob("*/*"))
    assert pipeline.predict(new).tolist() == ["blue", "blue", "green", "green", "red", "red"]
    assert cross_val_score(pipeline, paths, labels, cv=3).tolist() == [1, 1, 1]
    assert pipeline[:-1].get_feature_names_out()[0] == "efficientnet_lite0_0"


def test_a_grid_search_goes_over_backbones_and_poolings(paths, labels, fake_engine):
    pipeline = make_pipeline(ImageEmbedder(weights="random"), LogisticRegression())
    grid = {
        "imageembedder__backbone": ["efficientnet_lite0", "vgg16"],
        "imageembedder__pooling": ["avg", "max"],
        "logisticregression__C": [0.1, 1.0],
    }
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(paths, labels)
    assert len(search.cv_results_["params"]) == 8
    assert search.best_score_ == 1.0
    assert search.predict(paths[:1]).tolist() == ["blue"]
    assert fake_engine.embedded == 4 * len(paths)  # each picture once for each recipe


def test_a_wrong_backbone_in_a_grid_is_told(paths, labels):
    search = GridSearchCV(
        make_pipeline(ImageEmbedder(), LogisticRegression()),
        {"imageembedder__backbone": ["resnet5"]},
        cv=2,
        error_score="raise",
    )
    with pytest.raises(UnknownBackboneError, match="resnet5"):
        search.fit(paths, labels)


def test_the_output_can_be_a_data_frame(paths):
    frame = pd.DataFrame({"picture": paths}, index=[f"row {i}" for i in range(len(paths))])
    embedder = ImageEmbedder("vgg16", weights="random").set_output(transform="pandas")
    out = embedder.fit_transform(frame)
    assert list(out.columns) == [f"vgg16_{i}" for i in range(9)]
    assert list(out.index) == list(frame.index)
    assert np.array_equal(out.to_numpy(), embedder.set_output(transform="default").transform(frame))
    with config_context(transform_output="pandas"):
        assert isinstance(ImageEmbedder().fit_transform(paths), pd.DataFrame)


def test_it_takes_its_column_of_a_table_beside_numbers(paths, labels):
    table = pd.DataFrame({"picture": paths, "weight": np.arange(18.0)})
    columns = ColumnTransformer(
        [("image", ImageEmbedder(), ["picture"]), ("number", StandardScaler(), ["weight"])]
    ).set_output(transform="pandas")
    out = columns.fit_transform(table)
    assert list(out.columns) == [
        *(f"image__efficientnet_lite0_{i}" for i in range(9)),
        "number__weight",
    ]
    assert np.array_equal(out.to_numpy()[:, :9].astype(np.float32), featx.embed(paths).matrix)
    one = ColumnTransformer([("image", ImageEmbedder(), "picture")])  # a Series, not a table
    assert np.array_equal(one.fit_transform(table), featx.embed(paths).matrix)


def test_rows_of_nan_can_be_imputed(paths, labels):
    pipeline = make_pipeline(ImageEmbedder(on_error="nan"), SimpleImputer(), LogisticRegression())
    pipeline.fit([*paths, "missing.jpg"], [*labels, "red"])
    assert pipeline.predict(["missing.jpg", paths[0]])[1] == "blue"


def test_the_cache_and_the_batch_size_are_its_parameters(paths, tmp_path, fake_engine):
    for _ in range(2):
        ImageEmbedder(cache=tmp_path / "cache", batch_size=2).fit_transform(paths)
    assert fake_engine.embedded == len(paths)
    assert (tmp_path / "cache").is_dir()
    ImageEmbedder(cache=False).fit_transform(paths)
    assert fake_engine.embedded == 2 * len(paths) + 1  # nothing kept, not even that of fit


def test_it_is_quiet(paths, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ImageEmbedder().fit_transform(paths)
    assert capfd.readouterr() == ("", "")
