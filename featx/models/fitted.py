"""Fitted estimators out of a model file, whose numbers are checked.

What compiled code of scikit-learn follows unchecked (support vectors, nodes of trees, numbers of
classes and neighbours) is checked here, and a few things that numpy would only notice at the first
prediction.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any

import numpy as np

from featx.models.trees import check_nodes

_MOST_JOBS = 1024
_LEAVES = (str, bytes, int, float, type, type(None), FunctionType, np.ufunc)
_KERNELS = ("linear", "poly", "rbf", "sigmoid")
_METRICS = (
    *("minkowski", "euclidean", "manhattan", "chebyshev", "cityblock", "cosine", "l1", "l2"),
    *("correlation", "canberra", "braycurtis", "hamming", "sqeuclidean"),
)
# What a fit never leaves other than finite.
_FINITE = (
    *("coef_", "intercept_", "coefs_", "intercepts_", "components_", "mean_", "scale_", "var_"),
    *("theta_", "centroids_", "center_", "min_", "max_abs_", "a_", "b_", "_fit_X"),
    *("support_vectors_", "_dual_coef_", "_intercept_", "_probA", "_probB"),
)

# Words of errors that say something of the row that a pipeline is tried on, not of its arrays.
_OF_THE_ROW = ("nfinity", "NaN", "egative", "ositive")


def check_fitted(pipeline: Any) -> None:
    """Check a fitted classifier and all that it is made of; build its search trees anew.

    Raises a `ValueError` where something is invalid, or an error of numpy's.
    """
    if not (hasattr(pipeline, "predict") and hasattr(pipeline, "classes_")):
        raise ValueError(f"a {type(pipeline).__name__}, not a fitted classifier")
    classes = pipeline.classes_
    _require(pipeline, isinstance(classes, np.ndarray) and classes.ndim == 1, "classes")
    _require(pipeline, classes.dtype.kind in "biufOSU" and len(classes) > 0, "classes")
    known = classes.tolist()
    _require(pipeline, all(isinstance(each, str | int | float) for each in known), "classes")
    _require(pipeline, known == sorted(set(known)), "classes")
    for part in _parts(pipeline):
        _check_part(part)
    _try(pipeline)


def _try(pipeline: Any) -> None:
    """Let a pipeline that is safe predict one row: its arrays fit together, or it is damaged."""
    columns = getattr(pipeline, "n_features_in_", None)
    if columns is None:
        return
    _require(pipeline, type(columns) is int and 1 <= columns <= 1 << 28, "columns")
    row = np.ones((1, columns), np.float32)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            labels = np.asarray(pipeline.predict(row))
            shares = _probabilities(pipeline, row)
        except Exception as error:  # whatever scikit-learn makes of arrays that do not fit
            if any(word in str(error) for word in _OF_THE_ROW):
                return
            raise ValueError(f"it cannot predict: {error}") from error
    _require(pipeline, labels.shape == (1,) and labels[0] in pipeline.classes_, "predictions")
    expected = (1, len(pipeline.classes_))
    _require(pipeline, shares is None or np.shape(shares) == expected, "probabilities")


def _probabilities(pipeline: Any, row: np.ndarray) -> Any:
    last = pipeline.steps[-1][1] if hasattr(pipeline, "steps") else pipeline
    if not hasattr(pipeline, "predict_proba"):
        return None
    try:
        return pipeline.predict_proba(row)
    except ValueError:
        if type(last).__name__ == "NearestCentroid":  # of a single image a class: no spread
            return None
        raise


def _parts(whole: Any) -> Iterable[Any]:
    """Yield everything that an object is made of, itself first, each once."""
    seen: dict[int, Any] = {}
    pending = [whole]
    while pending:
        part = pending.pop()
        if id(part) in seen or isinstance(part, _LEAVES):
            continue
        seen[id(part)] = part
        yield part
        if isinstance(part, Mapping):
            pending += part.values()
        elif isinstance(part, list | tuple | set):
            pending += part
        elif isinstance(part, np.ndarray):
            pending += part.ravel().tolist() if part.dtype == object else []
        else:
            pending += getattr(part, "__dict__", {}).values()


def _check_part(part: Any) -> None:
    if isinstance(part, np.random.RandomState | np.random.Generator):
        _check_generator(part)
    if type(part).__module__.partition(".")[0] in ("builtins", "numpy"):
        return
    if hasattr(part, "__dict__"):
        _check_attributes(part)
        if {"estimators_", "classes_"} <= vars(part).keys():
            _check_members(part)
        for kind in type(part).__mro__:
            fitted, check = _CHECKS.get(kind.__name__, ("", None))
            if check and kind.__module__.startswith("sklearn.") and fitted in vars(part):
                check(part)


def _check_attributes(part: Any) -> None:
    """Check what any estimator has: no attribute in the place of a method, numbers of a kind."""
    for name, value in vars(part).items():
        own = inspect.getattr_static(type(part), name, None)
        _require(part, not (callable(own) or hasattr(own, "__get__")), f"attribute {name!r}")
        if name == "n_jobs" and value is not None:
            _require(part, type(value) is int and abs(value) <= _MOST_JOBS, "n_jobs")
        elif name in _FINITE:
            for each in value if isinstance(value, list) else [value]:
                kind = getattr(each, "dtype", np.dtype(object)).kind
                _require(part, kind != "f" or bool(np.isfinite(each).all()), name)


def _check_members(whole: Any) -> None:
    """Check that the classifiers in an ensemble know its classes, or their numbers."""
    known = {*whole.classes_.tolist(), *range(len(whole.classes_))}
    for each in _parts(whole.estimators_):
        if "classes_" in getattr(each, "__dict__", {}):
            own = np.asarray(each.classes_).tolist()
            _require(whole, own == sorted(set(own)) and set(own) <= known, "classes")


def _check_generator(generator: Any) -> None:
    bits = getattr(generator, "bit_generator", generator)
    state = bits.get_state(legacy=False) if bits is generator else bits.state
    if "pos" in state.get("state", {}):
        _require(generator, 0 <= state["state"]["pos"] <= 624, "position")
    _require(generator, 0 <= state.get("buffer_pos", 0) <= 4, "position")


def _check_svm(machine: Any) -> None:
    """Check a support vector classifier, whose arrays libsvm takes for what they are not."""
    vectors, classes = machine.support_vectors_, len(machine.classes_)
    pairs, columns = classes * (classes - 1) // 2, machine.n_features_in_
    expected = {"SVC": "c_svc", "NuSVC": "nu_svc"}[type(machine).__name__]
    right = machine._impl == expected and machine._sparse is False and classes > 1
    _require(machine, right and machine.kernel in _KERNELS, "kind")
    _require(machine, type(machine.degree) is int and 0 <= machine.degree < 100, "degree")
    _require(machine, tuple(machine.shape_fit_)[1:] == (columns,), "columns")
    n = len(vectors)
    _is_array(machine, "support_vectors_", np.float64, (n, columns))
    _is_array(machine, "support_", np.int32, (n,))
    _is_array(machine, "_n_support", np.int32, (classes,))
    _is_array(machine, "_dual_coef_", np.float64, (classes - 1, n))
    _is_array(machine, "_intercept_", np.float64, (pairs,))
    for name in ("_probA", "_probB"):
        _is_array(machine, name, np.float64, (pairs if len(getattr(machine, name)) else 0,))
    support = machine._n_support
    _require(machine, n > 0 and bool((support >= 0).all()), "numbers of support vectors")
    _require(machine, int(support.astype(np.int64).sum()) == n, "numbers of support vectors")
    for name in ("_gamma", "coef0", "cache_size"):
        value = getattr(machine, name)
        _require(machine, _is_number(value, -1e12, 1e12), name)


def _check_neighbors(model: Any) -> None:
    """Check a nearest-neighbour classifier, and build its search tree from its rows."""
    from sklearn.neighbors import BallTree, KDTree

    rows, classes = model._fit_X, model.classes_
    n = len(rows)
    _require(model, isinstance(rows, np.ndarray) and rows.dtype.kind in "iuf", "rows")
    _require(model, rows.shape == (n, model.n_features_in_) and rows.flags.c_contiguous, "rows")
    _require(model, bool(model.n_samples_fit_ == n > 0), "rows")
    _require(model, model.outputs_2d_ is False, "outputs")
    _require(model, isinstance(classes, np.ndarray) and classes.ndim == 1, "classes")
    numbers = model._y
    _require(model, isinstance(numbers, np.ndarray) and numbers.shape == (n,), "labels")
    _require(model, numbers.dtype == np.intp, "labels")
    _require(model, bool(((numbers >= 0) & (numbers < len(classes))).all()), "labels")
    neighbors = model.n_neighbors
    _require(model, type(neighbors) is not float and _is_number(neighbors, 1, n), "n_neighbors")
    _require(model, model.weights in (None, "uniform", "distance"), "weights")
    _require(model, {model.metric, model.effective_metric_} <= set(_METRICS), "metric")
    parameters = [model.metric_params or {}, model.effective_metric_params_]
    _require(model, all(set(each) <= {"p", "w"} for each in parameters), "parameters of a metric")
    _require(model, all(each.get("w") is None for each in parameters), "weights of a metric")
    powers = [model.p, *(each.get("p", 2) for each in parameters)]
    _require(model, all(_is_number(each, 0, 1e6) for each in powers), "p")
    trees = {"brute": None, "kd_tree": KDTree, "ball_tree": BallTree}
    _require(model, model._fit_method in trees, "method")
    kind = trees[model._fit_method]
    if kind is not None:  # as scikit-learn's own fit does
        _require(model, _is_number(model.leaf_size, 1, 1e9), "leaf_size")
        options = model.effective_metric_params_
        model._tree = kind(rows, model.leaf_size, metric=model.effective_metric_, **options)


def _check_tree_model(model: Any) -> None:
    """Check that an estimator is of the size of its tree, whose nodes are known to be right."""
    from sklearn.tree._tree import Tree

    tree = model.tree_
    _require(model, type(tree) is Tree and tree.n_features == model.n_features_in_, "columns")
    _require(model, model.n_outputs_ == 1, "outputs")
    if hasattr(model, "classes_"):
        classes = len(model.classes_)
        _require(model, model.n_classes_ == classes == tree.n_classes[0], "classes")
    else:
        _require(model, tree.n_classes[0] == 1, "values")


def _check_forest(forest: Any) -> None:
    """Check that all trees of a forest have its columns and its classes."""
    _require(forest, isinstance(forest.estimators_, list) and forest.n_outputs_ == 1, "trees")
    _require(forest, len(forest.estimators_) > 0, "trees")
    for tree in forest.estimators_:
        _require(forest, type(tree).__name__.endswith("TreeClassifier"), "trees")
        _require(forest, tree.n_features_in_ == forest.n_features_in_, "columns")
        _require(forest, tree.n_classes_ == forest.n_classes_ == len(forest.classes_), "classes")


def _check_boosting(model: Any) -> None:
    """Check that the trees of gradient boosting are as many and as wide as they shall be."""
    trees = model.estimators_
    _require(model, isinstance(trees, np.ndarray) and trees.ndim == 2 and trees.size > 0, "trees")
    classes = len(model.classes_)
    each = 1 if classes == 2 else classes
    _require(model, trees.shape[1] == model.n_trees_per_iteration_ == each, "trees")
    for tree in trees.ravel():
        _require(model, type(tree).__name__ == "DecisionTreeRegressor", "trees")
        _require(model, tree.n_features_in_ == model.n_features_in_, "columns")
    start = model._raw_predict_init(np.ones((1, model.n_features_in_), np.float32))
    _require(model, np.shape(start) == (1, each) and start.dtype == np.float64, "start")


def _check_histograms(model: Any) -> None:
    """Check the trees of histogram gradient boosting, whose nodes compiled code follows."""
    _require(model, model._preprocessor is None, "categories")
    _require(model, not np.any(model._bin_mapper.is_categorical_), "categories")
    _require(model, not getattr(model, "_in_fit", False), "state")
    classes = len(model.classes_)
    each = 1 if classes == 2 else classes
    _require(model, model.n_trees_per_iteration_ == each, "trees")
    for trees in model._predictors:
        _require(model, isinstance(trees, list) and len(trees) == each, "trees")
        for tree in trees:
            nodes = tree.nodes
            leaf = nodes["is_leaf"] != 0
            _require(model, nodes.ndim == 1 and len(nodes) > 0, "nodes")
            _require(model, not nodes["is_categorical"].any(), "categories")
            check_nodes(
                nodes["left"], nodes["right"], leaf, nodes["feature_idx"], model.n_features_in_
            )
            _require(model, bool(np.isfinite(nodes["value"][leaf]).all()), "values")


def _check_centroids(model: Any) -> None:
    shape = (len(model.classes_), model.n_features_in_)
    _require(model, np.shape(model.centroids_) == shape, "centroids")
    _require(model, model.metric in ("euclidean", "manhattan"), "metric")


def _check_factors(model: Any) -> None:
    shape = (model._n_components, model.n_features_in_)
    _require(model, np.shape(model.components_) == shape, "components")


def _check_function(transformer: Any) -> None:
    _require(transformer, not transformer.kw_args and not transformer.inv_kw_args, "arguments")


# By the name of the class, or of a base: what a fit leaves, without which nothing is predicted, and
# the check.
_CHECKS: dict[str, tuple[str, Callable[[Any], None] | None]] = {
    "BaseSVC": ("support_vectors_", _check_svm),
    "KNeighborsClassifier": ("_fit_X", _check_neighbors),
    "BaseDecisionTree": ("tree_", _check_tree_model),
    "ForestClassifier": ("estimators_", _check_forest),
    "GradientBoostingClassifier": ("estimators_", _check_boosting),
    "HistGradientBoostingClassifier": ("_predictors", _check_histograms),
    "NearestCentroid": ("centroids_", _check_centroids),
    "NMF": ("components_", _check_factors),
    "FunctionTransformer": ("func", _check_function),
}


def _is_number(value: Any, low: float, high: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return False
    return bool(low <= value <= high)


def _is_array(part: Any, name: str, dtype: Any, shape: tuple[int, ...]) -> None:
    array = getattr(part, name)
    right = isinstance(array, np.ndarray) and array.dtype == dtype and array.shape == shape
    _require(part, right and bool(array.flags.c_contiguous), name)


def _require(part: Any, right: bool, what: str) -> None:
    if not right:
        raise ValueError(f"a {type(part).__name__} with invalid {what}")
