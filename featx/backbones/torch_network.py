"""A PyTorch network turned into OpenVINO's form, where layers go by the names of its modules."""

from __future__ import annotations

import copy
import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.backbones.framework import import_openvino
from featx.errors import ConversionError, OptionError, get_logger, one_line
from featx.forks import starting
from featx.text import listed

if TYPE_CHECKING:
    import openvino
    import torch

CONVERSION_VERSION = 1  # raise it where a change below changes a converted network
FEATURES = "features"  # what the output goes by, where a network has one
TOLERANCE = 1e-3  # of the scale of the features, between PyTorch and the converted network
_LEAST_COSINE = 0.9999
_TRACED = "__module.network."  # before the names of operations: "blocks.5.attn/aten::add/Add"

log = get_logger(__name__)


@dataclass(frozen=True)
class TorchNetwork:
    """A PyTorch network, and how features are computed with it."""

    module: torch.nn.Module
    run: Callable[[torch.nn.Module, torch.Tensor], Any]  # from prepared pictures to its output

    def for_inference(self) -> TorchNetwork:
        """Copy the network to one on the CPU, in float32, that does not train."""
        try:
            module = copy.deepcopy(self.module)
        except (RuntimeError, TypeError) as error:
            raise OptionError(f"the module cannot be copied: {one_line(error)}") from error
        return TorchNetwork(module.cpu().float().eval(), self.run)


def import_torch() -> Any:
    """Import PyTorch, or say how to get it."""
    with starting:
        try:
            import torch
        except ImportError as error:
            raise OptionError(
                "networks of PyTorch need torch, which cannot be imported "
                f'({one_line(error)}): pip install "featx[torch]"'
            ) from error
        return torch


def digest_of(architecture: str, module: torch.nn.Module) -> str:
    """Digest what a network is called or looks like, and its weights."""
    torch = import_torch()
    total = hashlib.sha256(architecture.encode())
    for name, value in sorted(module.state_dict().items()):
        if not isinstance(value, torch.Tensor):  # what a module keeps beside its tensors
            total.update(repr((name, value)).encode())
            continue
        total.update(repr((name, str(value.dtype), tuple(value.shape))).encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        total.update(flat.view(torch.uint8).numpy().data)
    return total.hexdigest()


def outputs_of(network: TorchNetwork, size: int, name: str) -> dict[str, tuple[int, ...]]:
    """Run a network that is ready for inference on one picture: names and shapes of its outputs.

    Raises
    ------
    OptionError
        It does not take a picture of this size, or gives no tensor.
    """
    outputs = _run(network, _pictures(1, size), name)
    return {key: tuple(value.shape) for key, value in outputs.items()}


def convert(network: TorchNetwork, size: int, name: str) -> openvino.Model:
    """Convert a network that is ready for inference, and check that it gives the same.

    Parameters
    ----------
    network : TorchNetwork
        What `for_inference` gave.
    size : int
        Side of the pictures, in pixels.
    name : str
        What messages call it.

    Returns
    -------
    openvino.Model
        From prepared pictures, (n, 3, size, size), float32, to the output "features" (or, where
        the network gives several, to them under their own names) and to what its modules give,
        under the names that `named_modules` has. Modules that are called twice, or that give no
        single tensor of 2 to 4 axes, are left out.

    Raises
    ------
    OptionError
        The network does not take pictures of this size, or gives no tensor.
    ConversionError
        The network cannot be traced or converted, or gives other features once converted.
    """
    openvino = import_openvino()
    torch = import_torch()
    pictures = _pictures(2, size)
    outputs = list(_run(network, pictures, name))
    layers = [layer for layer in _layers(network, pictures) if layer not in outputs]
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a trace that holds for one size, as it may
            tapped = _tapped(network, layers)
            trace = torch.jit.trace(tapped, pictures, check_trace=False, strict=False)
            model = openvino.convert_model(trace, example_input=pictures)
    except Exception as error:  # whatever tracing meets in a network of the user's own
        raise ConversionError(f"{name} cannot be converted: {one_line(error)}") from error
    _name(model, [*outputs, *layers])
    model.reshape([-1, 3, size, size])
    return _checked(model, network, size, name)


@contextmanager
def watched(module: torch.nn.Module, told: Callable[[str, Any], None]) -> Iterator[None]:
    """Tell a function, within the block, the name of each module that is called, and its output."""
    scripted = import_torch().jit.ScriptModule  # which takes no hooks
    hooks = [
        each.register_forward_hook(lambda _module, _taken, given, name=name: told(name, given))
        for name, each in module.named_modules()
        if name and not isinstance(each, scripted)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _pictures(n: int, size: int, seed: int = 0) -> torch.Tensor:
    """Draw prepared pictures."""
    drawn = np.random.default_rng(seed).standard_normal((n, 3, size, size))
    pictures: torch.Tensor = import_torch().from_numpy(drawn.astype(np.float32))
    return pictures


def _run(network: TorchNetwork, pictures: torch.Tensor, name: str) -> dict[str, torch.Tensor]:
    """Run a network and return its outputs by name."""
    size = pictures.shape[-1]
    try:
        with import_torch().no_grad():
            given = network.run(network.module, pictures)
    except Exception as error:  # whatever the network says
        raise OptionError(
            f"{name} does not take pictures of {size} px ({one_line(error)}): expected a network "
            f"that takes a tensor of shape (n, 3, {size}, {size}), or choose another input size"
        ) from error
    outputs = _named(given)
    if not outputs:
        raise OptionError(
            f"{name} gives {type(given).__name__} and no tensor for each picture: expected a "
            "tensor of shape (n, ...), or several in a tuple or a dictionary"
        )
    return outputs


def _named(given: Any) -> dict[str, torch.Tensor]:
    """Return the tensors of an output by name: one, several, or a dictionary of them."""
    torch = import_torch()
    if isinstance(given, torch.Tensor):
        return {FEATURES: given}
    if isinstance(given, Mapping):
        pairs = [(str(key), value) for key, value in given.items()]
    elif isinstance(given, tuple | list):
        pairs = [(f"output_{number}", value) for number, value in enumerate(given)]
    else:
        return {}
    tensors = [(key, value) for key, value in pairs if isinstance(value, torch.Tensor)]
    return {FEATURES: tensors[0][1]} if len(tensors) == 1 else dict(tensors)


def _layers(network: TorchNetwork, pictures: torch.Tensor) -> list[str]:
    """List the modules that are called once and give one tensor that can be read."""
    torch = import_torch()
    calls: Counter[str] = Counter()
    readable: dict[str, bool] = {}

    def look(name: str, given: Any) -> None:
        calls[name] += 1
        readable[name] = (
            isinstance(given, torch.Tensor)
            and given.is_floating_point()
            and 2 <= given.ndim <= 4
            and given.shape[0] == len(pictures)
        )

    with torch.no_grad(), watched(network.module, look):
        network.run(network.module, pictures)
    return [name for name in readable if readable[name] and calls[name] == 1]


def _tapped(network: TorchNetwork, layers: list[str]) -> torch.nn.Module:
    """Make a module that gives the outputs of a network, and what its modules give."""
    torch = import_torch()

    class Tapped(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.network = network.module

        def forward(self, pictures: Any) -> tuple[Any, ...]:
            taken: dict[str, Any] = {}

            def take(name: str, given: Any) -> None:
                if name in wanted:
                    taken[name] = given.clone()  # before what follows writes into it

            with watched(self.network, take):
                outputs = _named(network.run(self.network, pictures))
            return (*outputs.values(), *(taken[name] for name in layers))

    wanted = set(layers)
    return Tapped().eval()


def _name(model: openvino.Model, names: list[str]) -> None:
    """Give the outputs of a network their names, and no others to what it computes."""
    for node in model.get_ordered_ops():
        node.set_friendly_name(node.get_friendly_name().removeprefix(_TRACED))
        for output in node.outputs():
            output.set_names(set())
    for result, name in zip(model.outputs, names, strict=True):
        source = result.get_node().input(0).get_source_output()
        source.set_names(source.get_names() | {name})
        if source.get_node().get_output_size() == 1:
            source.get_node().set_friendly_name(name)


def _checked(model: openvino.Model, network: TorchNetwork, size: int, name: str) -> openvino.Model:
    """Check that a converted network gives what the original does."""
    pictures = _pictures(2, size, seed=1)
    expected = [each.numpy() for each in _run(network, pictures, name).values()]
    precise = {"INFERENCE_PRECISION_HINT": "f32"}
    actual = import_openvino().Core().compile_model(model, "CPU", precise)([pictures.numpy()])
    for number, each in enumerate(expected):
        difference = np.abs(actual[number] - each).max() / (np.abs(each).max() or 1)
        if not difference < TOLERANCE or _cosine(actual[number], each) < _LEAST_COSINE:
            raise ConversionError(
                f"{name} gives other features once converted (by {difference:.1e} of their scale)"
            )
    log.info("%s is converted, with the layers %s", name, listed(_outputs(model)))
    return model


def _outputs(model: openvino.Model) -> list[str]:
    return [min(output.get_names()) for output in model.outputs if output.get_names()]


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    one, other = (each.reshape(len(each), -1).astype(np.float64) for each in (one, other))
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(np.where(lengths > 0, (one * other).sum(1) / np.maximum(lengths, 1e-30), 1).min())
