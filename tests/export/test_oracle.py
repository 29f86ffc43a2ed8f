"""The head held against skl2onnx, which converts pipelines by itself, on ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest

from featx.export.head import keras_head
from featx.learning.learner import Learner

pytestmark = [pytest.mark.keras, pytest.mark.slow]
skl2onnx = pytest.importorskip("skl2onnx")


# That of others is not in the same words: skl2onnx lets all nearest neighbours count alike.
@pytest.mark.parametrize("name", ["mlp", "pca-mlp"])
def test_the_head_gives_what_skl2onnx_gives(name, cloud):
    import onnxruntime

    features = cloud(each=20)
    X = features.X.astype(np.float32)
    learner = Learner.of(name)
    fitted = learner.fit(learner.build_for(features.y, X.shape[1]), X, features.y)
    options = {id(fitted): {"zipmap": False}}
    converted = skl2onnx.to_onnx(fitted, X[:1], options=options)
    session = onnxruntime.InferenceSession(
        converted.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    new = cloud(each=20, seed=1).X.astype(np.float32)
    expected = session.run(None, {session.get_inputs()[0].name: new})[1]
    assert np.abs(np.asarray(keras_head(fitted, X.shape[1])(new)) - expected).max() < 1e-4
