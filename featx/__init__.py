"""Transfer learning with frozen image features.

Folders of photographs become feature matrices, kept in a cache that never goes stale, and small
scikit-learn classifiers learn from them. `__init__.pyi` lists the public names; each is imported on
first use, so `import featx` is quick and loads neither Keras nor matplotlib.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
