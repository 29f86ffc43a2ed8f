"""Every classifier that people use here is saved and loaded, and predicts the same to the bit."""

from __future__ import annotations

import io
import warnings
import zipfile

import fakes
import numpy as np
import pytest
from sklearn import feature_selection as selection
from sklearn import preprocessing as scaling
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import NMF, PCA, FastICA, KernelPCA, TruncatedSVD
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectFromModel, SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, StratifiedKFold
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import (
    KNeighborsClassifier,
    NearestCentroid,
    NeighborhoodComponentsAnalysis,
    RadiusNeighborsClassifier,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

import featx
from featx.errors import ModelFileError, OptionError
from featx.features.matrix import as_labels
from featx.models.model import ImageClassifier

FEW = {"max_iter": 20, "random_state": 0}
VOTERS = [("a", LogisticRegression()), ("b", RandomForestClassifier(3)), ("c", GaussianNB())]
CLASSIFIERS = {
    "forest": RandomForestClassifier(5),
    "forest of few leaves": RandomForestClassifier(5, max_leaf_nodes=4, ccp_alpha=0.01),
    "extra trees": ExtraTreesClassifier(5, bootstrap=True),
    "tree": DecisionTreeClassifier(),
    "a leaf": DecisionTreeClassifier(max_depth=1, min_samples_leaf=20),
    "extra tree": ExtraTreeClassifier(),
    "boosting": GradientBoostingClassifier(n_estimators=3),
    "boosting from zero": GradientBoostingClassifier(n_estimators=3, init="zero"),
    "boosting from another": GradientBoostingClassifier(n_estimators=2, init=GaussianNB()),
    "histograms": HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=3),
    "histograms, stopped": HistGradientBoostingClassifier(max_iter=3, early_stopping=True),
    "AdaBoost": AdaBoostClassifier(n_estimators=3),
    "bagging": BaggingClassifier(KNeighborsClassifier(3), n_estimators=3, max_features=0.5),
    "voting": VotingClassifier(VOTERS),
    "soft voting": VotingClassifier(VOTERS, voting="soft", weights=[1, 2, 1]),
    "stacking": StackingClassifier(VOTERS, cv=2),
    "neighbours": KNeighborsClassifier(),
    "neighbours, one by one": KNeighborsClassifier(algorithm="brute", weights="distance"),
    "neighbours in a k-d tree": KNeighborsClassifier(algorithm="kd_tree", p=3, leaf_size=4),
    "neighbours in a ball tree": KNeighborsClassifier(algorithm="ball_tree", metric="manhattan"),
    "neighbours by angle": KNeighborsClassifier(metric="cosine"),
    "centroid": NearestCentroid(),
    "Gaussian Bayes": GaussianNB(),
    "Bernoulli Bayes": BernoulliNB(),
    "multinomial Bayes": make_pipeline(scaling.MinMaxScaler(), MultinomialNB()),
    "complement Bayes": make_pipeline(scaling.MinMaxScaler(), ComplementNB()),
    "linear discriminant": LinearDiscriminantAnalysis(),
    "shrunk discriminant": LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    "quadratic discriminant": QuadraticDiscriminantAnalysis(reg_param=0.1),
    "SGD": SGDClassifier(random_state=0),
    "SGD with probabilities": SGDClassifier(loss="log_loss", random_state=0),
    "perceptron": Perceptron(),
    "ridge": RidgeClassifier(),
    "ridge, searched": RidgeClassifierCV(),
    "logistic": LogisticRegression(),
    "logistic, searched": LogisticRegressionCV(cv=2),
    "linear machine": LinearSVC(),
    "machine": SVC(),
    "machine with probabilities": SVC(kernel="poly", probability=True, random_state=0),
    "machine with ties": SVC(kernel="linear", break_ties=True),
    "machine, one against one": SVC(kernel="sigmoid", decision_function_shape="ovo"),
    "nu machine": NuSVC(nu=0.1),
    "perceptron of two layers": MLPClassifier((5, 4), **FEW),
    "perceptron by SGD": MLPClassifier((5,), solver="sgd", early_stopping=True, **FEW),
    "perceptron by LBFGS": MLPClassifier((5,), solver="lbfgs", **FEW),
    "calibrated by a sigmoid": CalibratedClassifierCV(LinearSVC(), cv=2),
    "calibrated by steps": CalibratedClassifierCV(
        RandomForestClassifier(3), method="isotonic", cv=2
    ),
    "calibrated by temperature": CalibratedClassifierCV(
        LogisticRegression(), method="temperature", cv=2
    ),
    "grid": GridSearchCV(SVC(), {"C": [1, 2]}, cv=2, scoring="f1_macro"),
    "grid of a pipeline": GridSearchCV(
        make_pipeline(scaling.StandardScaler(), RandomForestClassifier(3)),
        {"randomforestclassifier__max_depth": [1, 2]},
        cv=StratifiedKFold(2),
    ),
    "random search": RandomizedSearchCV(SVC(), {"C": [1, 2]}, n_iter=2, cv=2),
    "one against the rest": OneVsRestClassifier(LinearSVC()),
    "one against one": OneVsOneClassifier(LinearSVC()),
    "the largest class": DummyClassifier(),
}
STEPS = {
    "standard": scaling.StandardScaler(),
    "robust": scaling.RobustScaler(),
    "largest": scaling.MaxAbsScaler(),
    "power": scaling.PowerTransformer(),
    "positive power": scaling.FunctionTransformer(np.sqrt),
    "quantiles": scaling.QuantileTransformer(n_quantiles=10),
    "bins": scaling.KBinsDiscretizer(n_bins=3),
    "products": scaling.PolynomialFeatures(2),
    "PCA": PCA(0.9),
    "SVD": TruncatedSVD(3),
    "kernel PCA": KernelPCA(3, kernel="rbf"),
    "ICA": FastICA(3),
    "NMF": NMF(3, max_iter=500),
    "Nystroem": Nystroem(n_components=5),
    "projection": GaussianRandomProjection(3),
    "components": NeighborhoodComponentsAnalysis(3),
    "best": SelectKBest(k=3),
    "best by information": SelectKBest(selection.mutual_info_classif, k=3),
    "percentile": selection.SelectPercentile(),
    "variance": selection.VarianceThreshold(),
    "by a forest": SelectFromModel(RandomForestClassifier(3)),
    "by elimination": selection.RFE(LogisticRegression(), n_features_to_select=3),
    "union": make_union(PCA(2), SelectKBest(k=2)),
    "columns": ColumnTransformer(
        [("a", scaling.StandardScaler(), [0, 1])], remainder="passthrough"
    ),
    "imputer": SimpleImputer(),
    "discriminant": LinearDiscriminantAnalysis(),
}
LABELS = {3: ["ant", "bee", "cat"], 2: [False, True]}


def fitted(estimator, classes=3):
    """Fit an estimator to classes that overlap."""
    random = np.random.default_rng(0)
    y = as_labels(np.repeat(np.arange(classes), 12).tolist())
    X = (random.normal(size=(len(y), 8)) + y[:, None]).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, np.array(LABELS[classes])[y])
    return estimator, 2 * random.normal(size=(50, 8)).astype(np.float32)


def assert_comes_back(estimator, path, classes):
    estimator, X = fitted(estimator, classes)
    ImageClassifier(estimator, fakes.RECIPE).save(path)
    loaded = featx.load(path).pipeline
    assert np.array_equal(loaded.predict(X), estimator.predict(X))
    assert loaded.classes_.dtype == estimator.classes_.dtype
    for name in ("predict_proba", "decision_function"):
        assert hasattr(loaded, name) == hasattr(estimator, name)
        if hasattr(loaded, name):
            assert np.array_equal(getattr(loaded, name)(X), getattr(estimator, name)(X)), name


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_comes_back_as_it_was(name, classes, tmp_path):
    assert_comes_back(CLASSIFIERS[name], tmp_path / "m.featx", classes)


@pytest.mark.parametrize("name", STEPS)
def test_a_step_comes_back_as_it_was(name, tmp_path):
    own = make_pipeline(scaling.MinMaxScaler(clip=True), STEPS[name], LogisticRegression())
    assert_comes_back(own, tmp_path / "m.featx", 3)


REFUSED = {
    "a radius": (RadiusNeighborsClassifier(100.0), "RadiusNeighborsClassifier"),
    "a sparse matrix": (
        make_pipeline(SparseRandomProjection(3), LogisticRegression()),
        "SparseRandomProjection",
    ),
    "splines": (
        make_pipeline(scaling.SplineTransformer(), LogisticRegression()),
        "scipy.interpolate._bsplines.BSpline",
    ),
    "a function": (
        make_pipeline(scaling.FunctionTransformer(np.nan_to_num), LogisticRegression()),
        "numpy.nan_to_num",
    ),
}


@pytest.mark.parametrize(("own", "named"), REFUSED.values(), ids=REFUSED)
def test_what_could_not_be_loaded_is_refused_when_it_is_saved(own, named, tmp_path):
    estimator, _ = fitted(own)
    path = tmp_path / "m.featx"
    with pytest.raises(OptionError, match="cannot hold safely") as error:
        ImageClassifier(estimator, fakes.RECIPE).save(path)
    assert named in str(error.value)
    assert "docs/classifiers.md" in str(error.value)
    assert "\n" not in str(error.value)
    assert not path.exists()


def test_a_step_of_ones_own_is_saved_and_loaded_by_its_name(tmp_path):
    own = make_pipeline(scaling.FunctionTransformer(np.nan_to_num), LogisticRegression())
    estimator, X = fitted(own)
    path = tmp_path / "m.featx"
    ImageClassifier(estimator, fakes.RECIPE).save(path, trusted=["numpy.nan_to_num"])
    with pytest.raises(ModelFileError, match=r"not known to be safe: numpy.nan_to_num; if you"):
        featx.load(path)
    loaded = featx.load(path, trusted=["numpy.nan_to_num"]).pipeline
    assert np.array_equal(loaded.predict_proba(X), estimator.predict_proba(X))


def test_what_a_file_says_of_a_search_tree_is_not_read(tmp_path):
    estimator, X = fitted(KNeighborsClassifier(algorithm="ball_tree"))
    path = tmp_path / "m.featx"
    ImageClassifier(estimator, fakes.RECIPE).save(path)
    loaded = featx.load(path).pipeline
    assert type(vars(loaded)["_tree"]) is type(vars(estimator)["_tree"])
    assert np.array_equal(loaded.kneighbors(X)[0], estimator.kneighbors(X)[0])
    with zipfile.ZipFile(path) as archive:
        inner = zipfile.ZipFile(io.BytesIO(archive.read("pipeline.skops")))
    assert b"BallTree" in inner.read("schema.json")
