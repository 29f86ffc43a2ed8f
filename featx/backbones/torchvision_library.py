"""Networks of torchvision for classification, built with their weights."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.backbones.torch_library import (
    OFFLINE,
    Built,
    as_torch,
    classes_in,
    import_library,
    mismatch,
    require_address,
    seeded,
)
from featx.backbones.torch_network import TorchNetwork, import_torch, watched
from featx.errors import UnknownBackboneError, WeightsError, one_line
from featx.tensors.tensor_file import read_tensors
from featx.text import listed

if TYPE_CHECKING:
    import torch

#: What the published weights are made for, where that is not the default.
_OPTIONS = {name: {"transform_input": True} for name in ("inception_v3", "googlenet")}
# Where the features before the classifier are not simply what the last module gives that has a map
# or tokens: the module, and a function that the network itself calls on it.
_FEATURES = {"SqueezeNet": ("features", None), "DenseNet": ("features", "relu")}


def names() -> list[str]:
    """List the networks of torchvision for classification, as backbones are named."""
    import_library("torchvision")
    from torchvision import models

    return [f"torchvision:{name}" for name in models.list_models(module=models)]


def build(name: str, weights: str, size: int | None) -> Built:
    """Build a network of torchvision; see `featx.backbones.torch_library.Built`.

    A network that has to know the size of its pictures takes its own only.
    """
    import_library("torchvision")
    from torchvision import models

    if name not in (names := models.list_models(module=models)):
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"; did you mean {listed(near)}?" if near else ""
        raise UnknownBackboneError(
            f"torchvision has no network {name!r} for classification{hint} "
            "(`featx backbones torchvision:` lists all)"
        )
    published = models.get_model_weights(name).DEFAULT
    options = _OPTIONS.get(name, {})
    if weights == "imagenet":
        module = _filled(models, name, options, _published(published, name), published.url)
    elif weights == "random":
        with seeded():
            module = models.get_model(name, weights=None, **options)
    else:
        module = _filled(models, name, options, as_torch(read_tensors(weights)), weights)
    seen = published.transforms()
    return Built(
        network=TorchNetwork(module, _features),
        architecture=f"torchvision:{name}",
        input_size=seen.crop_size[0],
        mean=tuple(seen.mean),
        std=tuple(seen.std),
        prefix_tokens=1 if hasattr(module, "class_token") else None,
        evaluated=(
            f"center crop of {seen.crop_size[0]} of {seen.resize_size[0]} px, "
            f"{seen.interpolation.value}"
        ),
    )


def _features(module: torch.nn.Module, pictures: torch.Tensor) -> Any:
    """Return the last map or tokens before the classifier."""
    torch = import_torch()
    wanted, function = _FEATURES.get(type(module).__name__, (None, None))
    last = None

    def look(name: str, given: Any) -> None:
        nonlocal last
        is_map = isinstance(given, torch.Tensor) and (
            given.ndim == 3 or (given.ndim == 4 and max(given.shape[1:3]) > 1 < given.shape[3])
        )
        if name == wanted or (wanted is None and is_map):
            last = given.clone()

    with watched(module, look):
        module(pictures)
    return getattr(torch.nn.functional, function)(last) if function else last


def _published(published: Any, name: str) -> dict[str, torch.Tensor]:
    """Return the weights that torchvision publishes, from PyTorch's cache or downloaded."""
    torch = import_torch()
    file = Path(torch.hub.get_dir()) / "checkpoints" / published.url.rpartition("/")[2]
    try:
        if not file.is_file():
            require_address(published.url)
        tensors: dict[str, Any] = published.get_state_dict(
            progress=True, check_hash=True, weights_only=True
        )
        return tensors
    except Exception as error:  # whatever the network below says
        raise WeightsError(
            f"cannot fetch the weights of torchvision:{name}, {published.url} "
            f"({one_line(error)}): {OFFLINE}"
        ) from error


def _filled(
    models: Any, name: str, options: dict[str, Any], tensors: dict[str, torch.Tensor], place: str
) -> Any:
    """Build a network with weights, whose classes may be others."""
    torch = import_torch()
    module: Any = models.get_model(name, weights=None, **options)
    linear = [key for key, each in module.named_modules() if isinstance(each, torch.nn.Linear)]
    classes = classes_in(tensors, linear[-1]) if linear else None
    if classes and classes != module.get_submodule(linear[-1]).out_features:
        module = models.get_model(name, weights=None, num_classes=classes, **options)
    try:
        module.load_state_dict(tensors)
    except Exception as error:  # a file of a user's own: whatever PyTorch meets in it
        raise WeightsError(f"{place} does not fit torchvision:{name}: {mismatch(error)}") from error
    return module
