"""Transfer learning with frozen image features.

Folders of photographs become feature matrices, kept in a cache that never goes stale, and small
scikit-learn classifiers learn from them. The public names below are imported on first use, so
`import featx` is quick and loads neither Keras nor matplotlib.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featx.backbones.backbone import Backbone
    from featx.backbones.table import BACKBONES
    from featx.errors import FeatxError
    from featx.features.embed import embed
    from featx.features.matrix import Features
    from featx.features.recipe import Recipe
    from featx.images.folder import ImageFolder
    from featx.insight.charts import plot_comparison, plot_confusion, plot_learning_curve
    from featx.insight.history import plot_history
    from featx.insight.plots import plot_gallery
    from featx.insight.report import write_report
    from featx.learning.classifiers import CLASSIFIERS, make_classifier
    from featx.learning.comparing import compare
    from featx.learning.comparison import Candidate, Comparison
    from featx.learning.curve import LearningCurve, learning_curve
    from featx.learning.duplicates import find_duplicates, find_leaks
    from featx.learning.embedder import ImageEmbedder
    from featx.learning.evaluation import Evaluation
    from featx.learning.label import label
    from featx.learning.model import ImageClassifier, load
    from featx.learning.rejection import UNSURE
    from featx.learning.training import train
    from featx.learning.tuned import Tuning
    from featx.learning.tuning import tune
    from featx.learning.validation import CrossValidation, cross_validate

__version__ = "0.1.0"

_HOMES = {
    "Backbone": "featx.backbones.backbone",
    "BACKBONES": "featx.backbones.table",
    "FeatxError": "featx.errors",
    "embed": "featx.features.embed",
    "Features": "featx.features.matrix",
    "Recipe": "featx.features.recipe",
    "ImageFolder": "featx.images.folder",
    "plot_comparison": "featx.insight.charts",
    "plot_confusion": "featx.insight.charts",
    "plot_gallery": "featx.insight.plots",
    "plot_history": "featx.insight.history",
    "plot_learning_curve": "featx.insight.charts",
    "write_report": "featx.insight.report",
    "CLASSIFIERS": "featx.learning.classifiers",
    "make_classifier": "featx.learning.classifiers",
    "compare": "featx.learning.comparing",
    "Candidate": "featx.learning.comparison",
    "Comparison": "featx.learning.comparison",
    "LearningCurve": "featx.learning.curve",
    "learning_curve": "featx.learning.curve",
    "find_duplicates": "featx.learning.duplicates",
    "find_leaks": "featx.learning.duplicates",
    "ImageEmbedder": "featx.learning.embedder",
    "CrossValidation": "featx.learning.validation",
    "Evaluation": "featx.learning.evaluation",
    "cross_validate": "featx.learning.validation",
    "label": "featx.learning.label",
    "ImageClassifier": "featx.learning.model",
    "load": "featx.learning.model",
    "train": "featx.learning.training",
    "tune": "featx.learning.tuning",
    "Tuning": "featx.learning.tuned",
    "UNSURE": "featx.learning.rejection",
}

__all__ = [
    "BACKBONES",
    "CLASSIFIERS",
    "UNSURE",
    "Backbone",
    "Candidate",
    "Comparison",
    "CrossValidation",
    "Evaluation",
    "Features",
    "FeatxError",
    "ImageClassifier",
    "ImageEmbedder",
    "ImageFolder",
    "LearningCurve",
    "Recipe",
    "Tuning",
    "compare",
    "cross_validate",
    "embed",
    "find_duplicates",
    "find_leaks",
    "label",
    "learning_curve",
    "load",
    "make_classifier",
    "plot_comparison",
    "plot_confusion",
    "plot_gallery",
    "plot_history",
    "plot_learning_curve",
    "train",
    "tune",
    "write_report",
]


def __getattr__(name: str):
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'featx' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
