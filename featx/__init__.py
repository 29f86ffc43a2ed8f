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
    from featx.insight.plots import plot_gallery
    from featx.learning.classifiers import CLASSIFIERS, make_classifier
    from featx.learning.embedder import ImageEmbedder
    from featx.learning.evaluation import CrossValidation, Evaluation, cross_validate
    from featx.learning.label import label
    from featx.learning.model import ImageClassifier, load, train

__version__ = "0.1.0"

_HOMES = {
    "Backbone": "featx.backbones.backbone",
    "BACKBONES": "featx.backbones.table",
    "FeatxError": "featx.errors",
    "embed": "featx.features.embed",
    "Features": "featx.features.matrix",
    "Recipe": "featx.features.recipe",
    "ImageFolder": "featx.images.folder",
    "plot_gallery": "featx.insight.plots",
    "CLASSIFIERS": "featx.learning.classifiers",
    "make_classifier": "featx.learning.classifiers",
    "ImageEmbedder": "featx.learning.embedder",
    "CrossValidation": "featx.learning.evaluation",
    "Evaluation": "featx.learning.evaluation",
    "cross_validate": "featx.learning.evaluation",
    "label": "featx.learning.label",
    "ImageClassifier": "featx.learning.model",
    "load": "featx.learning.model",
    "train": "featx.learning.model",
}

__all__ = [
    "BACKBONES",
    "CLASSIFIERS",
    "Backbone",
    "CrossValidation",
    "Evaluation",
    "Features",
    "FeatxError",
    "ImageClassifier",
    "ImageEmbedder",
    "ImageFolder",
    "Recipe",
    "cross_validate",
    "embed",
    "label",
    "load",
    "make_classifier",
    "plot_gallery",
    "train",
]


def __getattr__(name: str):
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'featx' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
