"""Networks of timm (PyTorch Image Models), built with their weights."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.backbones.torch_library import (
    OFFLINE,
    Built,
    as_torch,
    classes_in,
    fetched,
    import_library,
    mismatch,
    quick_hub,
    seeded,
)
from featx.backbones.torch_network import TorchNetwork
from featx.errors import OptionError, UnknownBackboneError, WeightsError, one_line
from featx.tensors.tensor_file import read_tensors
from featx.text import listed

if TYPE_CHECKING:
    import torch


def names() -> list[str]:
    """List the networks of timm, as backbones are named."""
    return [f"timm:{name}" for name in import_library("timm").list_models()]


def build(name: str, weights: str, size: int | None) -> Built:
    """Build a network of timm; see `featx.backbones.torch_library.Built`."""
    timm = import_library("timm")
    config = _config(timm, name)
    options = _size_option(config, size)
    if weights == "random":
        with seeded():
            module = _create(timm, name, options)
    elif weights == "imagenet":
        module = _pretrained(timm, name, config, options)
    else:
        module = _with_file(timm, name, config, Path(weights), options)
    data = timm.data.resolve_model_data_config(module)
    return Built(
        network=TorchNetwork(module, _features),
        architecture=f"timm:{config.architecture}",
        input_size=data["input_size"][-1],
        mean=data["mean"],
        std=data["std"],
        prefix_tokens=getattr(module, "num_prefix_tokens", None),
        evaluated=f"{data['crop_mode']} crop of {data['crop_pct']:.1%}, {data['interpolation']}",
    )


def _features(module: torch.nn.Module, pictures: torch.Tensor) -> Any:
    """Return the map or the tokens before the classifier, which is run so that it can be read."""
    features = module.forward_features(pictures)
    module.forward_head(features)
    return features


def _config(timm: Any, name: str) -> Any:
    """Return what timm knows of a network and its weights."""
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        near = difflib.get_close_matches(architecture, timm.list_models(), n=3, cutoff=0.5)
        hint = f"; did you mean {listed(near)}?" if near else ""
        raise UnknownBackboneError(
            f"timm has no network {architecture!r}{hint} (`featx backbones timm:` lists all)"
        )
    try:
        return timm.get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError as error:
        known = timm.list_models(f"{architecture}.*", pretrained=True)
        raise UnknownBackboneError(
            f"timm knows no weights {name.partition('.')[2]!r} of {architecture}: expected one of "
            f"{listed(known) or 'none'}"
        ) from error


def _size_option(config: Any, size: int | None) -> dict[str, Any]:
    """Return how timm is told the side of the pictures, of a network that has to know it."""
    native = config.input_size[-1]
    return {"img_size": size} if config.fixed_input_size and size not in (None, native) else {}


def _create(timm: Any, name: str, options: dict[str, Any], **weights: Any) -> Any:
    try:
        return timm.create_model(name, **options, **weights)
    except TypeError as error:
        if not options or "img_size" not in str(error):
            raise
        raise OptionError(f"timm:{name} takes pictures of its own size only") from error


def _pretrained(timm: Any, name: str, config: Any, options: dict[str, Any]) -> Any:
    """Build a network with the weights that timm publishes, from the hub's cache or the hub."""
    if not config.hf_hub_id and not config.url:
        raise WeightsError(
            f"timm publishes no weights of {name}: give a file, or weights='random' for trying out"
        )
    usual = config.hf_hub_id and not config.hf_hub_filename and not config.custom_load
    if usual and (path := fetched(config.hf_hub_id, "model.safetensors", f"timm:{name}")):
        return _create(
            timm,
            name,
            options,
            pretrained=True,
            pretrained_cfg_overlay={"state_dict": as_torch(read_tensors(path))},
        )
    try:
        with quick_hub():
            return _create(timm, name, options, pretrained=True)
    except Exception as error:  # whatever the network below says
        raise WeightsError(
            f"cannot fetch the weights of timm:{name} ({one_line(error)}): {OFFLINE}"
        ) from error


def _with_file(timm: Any, name: str, config: Any, path: Path, options: dict[str, Any]) -> Any:
    """Build a network with the weights of a file, which may know other classes, or none."""
    tensors = as_torch(read_tensors(path))
    errors = []
    for classes in (classes_in(tensors, config.classifier) or config.num_classes, 0):
        try:
            return _create(
                timm,
                name,
                {**options, "num_classes": classes},
                pretrained=True,
                pretrained_cfg_overlay={"state_dict": dict(tensors), "num_classes": classes},
            )
        except OptionError:
            raise
        except Exception as error:  # a file of a user's own: whatever timm meets in it
            errors.append(error)
    raise WeightsError(f"{path} does not fit timm:{name}: {mismatch(errors[0])}")
