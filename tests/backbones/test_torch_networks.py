"""Networks of PyTorch give on OpenVINO what they give on PyTorch, at every layer and pooling."""

from __future__ import annotations

import numpy as np
import pytest

from featx.backbones.backbone import Backbone
from featx.backbones.engines.choice import open_engine
from featx.backbones.engines.engine import EngineRequest
from featx.backbones.network import Cut
from featx.errors import OptionError

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
torchvision = pytest.importorskip("torchvision")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:the weights of"),
    pytest.mark.filterwarnings("ignore:The default weight initialization"),
]

POOLINGS = ["avg", "max", "token", "flatten", "none"]
MAPS = ["timm:resnet18", "timm:convnext_atto", "timm:swin_tiny_patch4_window7_224"]
TOKENS = [
    "timm:vit_tiny_patch16_224",
    "timm:vit_small_patch14_dinov2",
    "timm:deit_tiny_distilled_patch16_224",
]
OTHERS = [
    "torchvision:resnet18",
    "torchvision:vit_b_16",
    "torchvision:densenet121",
    "torchvision:swin_t",
]


def pictures(size, n=3):
    """Draw pictures that differ as photographs do: smooth colours, and some noise."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (n, 4, 4, 3)).astype(float)
    rows = np.linspace(0, 3.999, size).astype(int)
    smooth = coarse[:, rows][:, :, rows] + random.normal(0, 20, (n, size, size, 3))
    return smooth.clip(0, 255).astype(np.uint8)


def prepared(images, mean, std):
    scaled = (images / 255 - np.array(mean)) / np.array(std)
    return torch.from_numpy(scaled.transpose(0, 3, 1, 2).astype(np.float32))


def given(name, images):
    """Return the features of the original, and how many tokens stand before the patches."""
    library, _, network = name.partition(":")
    size = images.shape[1]
    torch.manual_seed(0)
    with torch.no_grad():
        if library == "timm":
            options = {"img_size": size} if "dinov2" in network else {}
            model = timm.create_model(network, **options).eval()
            data = timm.data.resolve_model_data_config(model)
            features = model.forward_features(prepared(images, data["mean"], data["std"]))
            if getattr(model, "output_fmt", "NCHW") == "NHWC":
                features = features.permute(0, 3, 1, 2)
            return features.numpy(), getattr(model, "num_prefix_tokens", 0)
        model = torchvision.models.get_model(network, weights=None).eval()
        x = prepared(images, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        return as_torchvision_computes(model, network, x).numpy(), int("vit" in network)


def as_torchvision_computes(model, network, x):
    """Return what the source of torchvision has before its classifier."""
    if network == "vit_b_16":
        given = []
        model.encoder.register_forward_hook(lambda module, taken, tokens: given.append(tokens))
        model(x)
        return given[0]
    if network == "densenet121":
        return torch.relu(model.features(x))
    if network == "swin_t":
        return model.permute(model.norm(model.features(x)))
    return torch.nn.Sequential(*list(model.children())[:-2])(x)


def pooled(features, prefix, pooling):
    if features.ndim == 3:
        side = int((features.shape[1] - prefix) ** 0.5)
        if pooling == "token":
            return features[:, 0]
        features = features[:, prefix:].reshape(len(features), side, side, -1)
    else:
        features = features.transpose(0, 2, 3, 1)
    return {
        "avg": lambda: features.mean((1, 2)),
        "max": lambda: features.max((1, 2)),
        "flatten": lambda: features.reshape(len(features), -1),
        "none": lambda: features,
    }[pooling]()


def engine_of(backbone, folder, pooling, size, layer=None):
    return open_engine(EngineRequest(backbone, Cut(layer=layer), (pooling,), size, folder))


def embedded(backbone, folder, images, pooling, layer=None):
    engine = engine_of(backbone, folder, pooling, images.shape[1], layer)
    return np.concatenate([engine.embed_batch(image[None]) for image in images])


def assert_alike(actual, expected):
    """Assert a cosine above 0.9999 of each row, also of what tells it from the others."""
    assert actual.shape == expected.shape
    actual, expected = (each.reshape(len(each), -1).astype(float) for each in (actual, expected))
    for some, others in (
        (actual, expected),
        (actual - actual.mean(0), expected - expected.mean(0)),
    ):
        norms = np.linalg.norm(some, axis=1) * np.linalg.norm(others, axis=1)
        assert ((some * others).sum(1) / norms).min() > 0.9999


@pytest.mark.parametrize("name", [*MAPS, *TOKENS, *OTHERS])
def test_features_are_those_of_the_original_for_every_pooling(name, tmp_path):
    images = pictures(224)
    backbone = Backbone.load(name, "random")
    features, prefix = given(name, images)
    for pooling in POOLINGS:
        if pooling == "token" and not prefix:
            with pytest.raises(OptionError, match="token"):
                engine_of(backbone, tmp_path, pooling, 224)
            continue
        assert_alike(
            embedded(backbone, tmp_path, images, pooling), pooled(features, prefix, pooling)
        )
