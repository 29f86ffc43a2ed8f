"""Libraries of PyTorch networks: what they build, imported or refused in a line, and their hub."""

from __future__ import annotations

import importlib
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.backbones.torch_network import TorchNetwork, import_torch
from featx.errors import OptionError, WeightsError, one_line
from featx.forks import starting

if TYPE_CHECKING:
    import torch

OFFLINE = (
    "give a file of them (--weights FILE), or bring the library's cache here from a machine that "
    "has a network; weights='random' is for trying out only"
)
_MOST_CLASSES = 100_000  # ImageNet has 21,843


@dataclass(frozen=True)
class Built:
    """A network that a library has built, with its weights, and what the library says of it."""

    network: TorchNetwork
    architecture: str  # "library:name" without the tag of its weights
    input_size: int  # side of the pictures that it was made for, in pixels
    mean: tuple[float, float, float]  # of each channel of pixels from 0 to 1
    std: tuple[float, float, float]
    prefix_tokens: int | None  # how many tokens stand before those of patches, if known
    evaluated: str  # how pictures were made square where its accuracy was measured


def import_library(name: str) -> Any:
    """Import timm or torchvision, or say what hinders.

    pip adds to a PyTorch for CPUs the torchvision for CUDA, with which neither can be imported.
    """
    with starting:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise OptionError(
                f"networks of {name} need {error.name}, which is not installed: "
                'pip install "featx[timm]"'
            ) from error
        except (ImportError, RuntimeError, OSError, AttributeError) as error:
            raise OptionError(
                f"{name} cannot be imported ({one_line(error)}): torch and torchvision do not "
                "belong together, as where pip adds a torchvision for CUDA to a torch for CPUs; "
                "install both anew from PyTorch's CPU index, see pytorch.org"
            ) from error


def as_torch(tensors: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Return tensors of a file as PyTorch has them."""
    torch = import_torch()
    return {name: torch.from_numpy(np.array(each)) for name, each in tensors.items()}


def classes_in(tensors: Mapping[str, Any], classifier: str) -> int | None:
    """Return how many classes a classifier of this name has in a file; None where that is odd.

    A network is built for so many, before the file is found to fit it or not.
    """
    weight = tensors.get(f"{classifier}.weight")
    if weight is None or weight.ndim < 2 or not 0 < len(weight) <= _MOST_CLASSES:
        return None
    return len(weight)


def mismatch(error: BaseException) -> str:
    """Return, on one line, what PyTorch says of weights that do not fit a network."""
    return one_line(ValueError(str(error).partition(":\n")[2] or one_line(error)))


@contextmanager
def seeded() -> Iterator[None]:
    """Draw the same numbers in the block every time, and leave the user's generator alone."""
    torch = import_torch()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def fetched(repository: str, file: str, name: str) -> Path | None:
    """Return a file of a repository of the hub, from its cache or downloaded; None if it has none.

    Raises
    ------
    WeightsError
        The file is not in the cache and cannot be downloaded; `name` is what it belongs to.
    """
    hub = import_library("huggingface_hub")
    repository, _, revision = repository.partition("@")
    cached = hub.try_to_load_from_cache(repository, file, revision=revision or None)
    if cached is not None:
        return Path(cached) if isinstance(cached, str) else None
    try:
        require_address(hub.constants.ENDPOINT)
        return Path(hub.hf_hub_download(repository, file, revision=revision or None))
    except hub.errors.LocalEntryNotFoundError as error:
        reason: BaseException = error.__cause__ or error
    except hub.errors.EntryNotFoundError:
        return None
    except Exception as error:  # whatever the network below says
        reason = error
    raise WeightsError(
        f"cannot fetch the weights of {name}, {file} of {repository} on the Hugging Face hub "
        f"({one_line(reason)}): {OFFLINE}"
    ) from reason


@contextmanager
def quick_hub() -> Iterator[None]:
    """Let the hub look in its cache alone, within the block, where there is no network."""
    constants = import_library("huggingface_hub").constants
    usual = constants.HF_HUB_OFFLINE
    try:
        require_address(constants.ENDPOINT)
    except OSError:
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = usual


def require_address(address: str) -> None:
    """Find out in no time that there is no network, which the hub tries for most of a minute."""
    parts = urllib.parse.urlsplit(address)
    if not urllib.request.getproxies():
        socket.getaddrinfo(parts.hostname, parts.port or parts.scheme)
