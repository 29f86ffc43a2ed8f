"""A PyTorch module of a user's own as a backbone."""

from __future__ import annotations

import inspect
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.backbones.backbone import Backbone, Preprocess
from featx.backbones.kinds import OPENVINO
from featx.backbones.network_file import digest_with_function
from featx.backbones.network_store import whole_network
from featx.backbones.openvino_graph import USUAL_OUTPUTS
from featx.backbones.preprocessing import PreprocessLike, preprocessing_of, written_name
from featx.backbones.torch_network import (
    CONVERSION_VERSION,
    TorchNetwork,
    convert,
    digest_of,
    import_torch,
    outputs_of,
)
from featx.errors import OptionError
from featx.text import listed

if TYPE_CHECKING:
    import openvino
    import torch

_PLAIN = (int, float, str, bytes, type(None))


@dataclass(frozen=True, eq=False)
class TorchModule:
    """A module as it was given, as `featx.backbones.backbone.OpenVINOSource` says.

    One is equal to itself only: another of the same weights may be trained on.
    """

    module: torch.nn.Module
    name: str
    preprocess: Preprocess
    input_size: int
    pools_freely: bool = True
    prefix_tokens: int | None = None

    def model(self, input_size: int) -> openvino.Model:
        """Convert the module as it is now, unless that was done before."""
        settings = {
            "name": self.name,
            "weights": digest_of(_architecture(self.module), self.module),
            "input_size": input_size,
            "conversion": CONVERSION_VERSION,
        }
        network = TorchNetwork(self.module, _call)
        return whole_network(
            settings, lambda: convert(network.for_inference(), input_size, self.name)
        )

    def digests(self) -> tuple[str, ...]:
        """Digest what the module computes now: architecture, weights and preprocessing."""
        digest = digest_of(_architecture(self.module), self.module)
        return (digest_with_function(digest, self.preprocess, self.input_size),)


def own_backbone(
    module: torch.nn.Module,
    preprocess: PreprocessLike,
    input_size: int,
    layer: str | None,
    name: str | None,
) -> Backbone:
    """Make a backbone of a module of a user's own; see `Backbone.from_torch`."""
    torch = import_torch()
    if not isinstance(module, torch.nn.Module):
        raise OptionError(f"expected a torch.nn.Module: got {type(module).__name__}")
    function = preprocessing_of(preprocess)
    name = name or type(module).__name__
    outputs = outputs_of(TorchNetwork(module, _call).for_inference(), input_size, name)
    if len(outputs) > 1 and layer is None and not set(outputs) & set(USUAL_OUTPUTS):
        raise OptionError(
            f"{name} gives {len(outputs)} outputs, {listed(list(outputs))}: name the one to read, "
            f"such as layer={next(iter(outputs))!r}"
        )
    prefix = getattr(module, "num_prefix_tokens", None)
    source = TorchModule(
        module,
        name,
        function,
        input_size,
        prefix_tokens=prefix if isinstance(prefix, int) else None,
    )
    return Backbone(
        name=name,
        digest=source.digests()[0],
        input_size=input_size,
        min_size=1,
        preprocessing=written_name(function),
        layer=layer,
        preprocess=function,
        kind=OPENVINO,
        source=source,
    )


def _call(module: torch.nn.Module, pictures: torch.Tensor) -> Any:
    return module(pictures)


def _architecture(module: torch.nn.Module) -> str:
    """Describe a module: its parts with their settings, and what classes of a user's own compute.

    Classes of installed packages are known by their names.
    """
    parts = []
    for name, each in module.named_modules():
        kind = type(each)
        parts.append(f"{name}: {kind.__module__}.{kind.__qualname__}({each.extra_repr()})")
        if hasattr(each, "code"):  # TorchScript
            parts.append(each.code)
        elif not _is_installed(kind):
            parts.append(_source_of(kind))
    return "\n".join(parts)


def _is_installed(kind: type) -> bool:
    try:
        path = inspect.getfile(kind)
    except (OSError, TypeError):  # typed in, in a session
        return False
    return Path(path).is_relative_to(sysconfig.get_path("purelib")) or "-packages" in path


def _source_of(kind: type) -> str:
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        code = getattr(getattr(kind, "forward", None), "__code__", None)
        constants = [each for each in code.co_consts if isinstance(each, _PLAIN)] if code else []
        return f"{code.co_code.hex()} {code.co_names} {constants}" if code else ""
