"""A child process in which networks in files are read and tried: OpenVINO may not survive it.

Of ONNX files damaged at random one in some hundreds ends the process that reads or runs them, and
some never end. So the child does that, within limits of memory and time, and what the parent opens
is the network as the child wrote it, once it has run there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx import errors
from featx.backbones.backbone import Backbone
from featx.backbones.framework import import_openvino
from featx.backbones.kinds import OPENVINO
from featx.backbones.network import Cut
from featx.backbones.network_file import NetworkFile
from featx.backbones.onnx_original import check_original
from featx.backbones.openvino_network import cut_openvino_network, layer_shapes
from featx.backbones.openvino_trial import tried
from featx.backbones.preprocessing import Preprocessing
from featx.errors import ConversionError, FeatxError, WeightsError
from featx.processes import python_command, python_environment

if TYPE_CHECKING:
    import openvino

_SECONDS = 600.0  # a large network takes a minute
_MEMORY = 2 << 30  # bytes, beside some times the files, the activations, and what threads take
_TIMES_FILES = 12
_PER_PIXEL = 4096  # bytes
_PER_THREAD = 32 << 20  # bytes
_RESULT, _NETWORK = "result.json", "network.xml"


def cut_file(
    backbone: Backbone, cut: Cut, poolings: tuple[str, ...], input_size: int
) -> openvino.Model:
    """Cut a network in a file, and try it; see `featx.backbones.openvino_network`."""
    task = {"layer": cut.layer, "poolings": poolings, "input_size": input_size}
    with tempfile.TemporaryDirectory(prefix="featx-") as folder:
        _run(backbone, task, Path(folder), input_size)
        core = import_openvino().Core()
        core.set_property({"ENABLE_MMAP": "NO"})  # as the files go
        return core.read_model(Path(folder) / _NETWORK)


def layers_of_file(backbone: Backbone) -> dict[str, tuple[int, ...]]:
    """List the layers of a network in a file; see `featx.backbones.layers.layer_shapes`."""
    with tempfile.TemporaryDirectory(prefix="featx-") as folder:
        result = _run(backbone, {}, Path(folder), backbone.input_size)
    return {name: tuple(shape) for name, shape in result["layers"].items()}


def _run(
    backbone: Backbone, task: Mapping[str, Any], folder: Path, input_size: int
) -> dict[str, Any]:
    """Let a child do something with the network of a backbone, and return its result."""
    source = backbone.source
    assert isinstance(source, NetworkFile)
    preprocess = backbone.preprocess
    files = sum(each.stat().st_size for each in source.files)
    asked = {
        **task,
        "name": backbone.name,
        "path": str(source.path),
        "digest": source.digest,
        "preprocessing": asdict(preprocess) if isinstance(preprocess, Preprocessing) else None,
        "size": backbone.input_size,
        "folder": str(folder),
        "memory": _MEMORY
        + _TIMES_FILES * files
        + _PER_PIXEL * input_size**2
        + _PER_THREAD * (os.cpu_count() or 1),
    }
    try:
        ended = subprocess.run(
            python_command(__name__, json.dumps(asked)),
            env=python_environment(PYTHONFAULTHANDLER=""),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _broken(source.path, f"it does not end within {_SECONDS:.0f} s") from None
    except OSError as error:
        raise ConversionError(
            f"{backbone.name} cannot be converted, as no process can be started: {error}"
        ) from error
    try:
        result = json.loads((folder / _RESULT).read_text())
    except (OSError, ValueError):
        number = ended.returncode
        how = signal.Signals(-number).name if number < 0 else f"status {number}"
        raise _broken(source.path, f"OpenVINO breaks down, {how}") from None
    if "error" in result:
        raise getattr(errors, result["error"])(result["message"])
    return dict(result)


def _broken(path: Path, why: str) -> WeightsError:
    return WeightsError(
        f"{path} cannot be read and run ({why}): it is damaged, or too large for this machine; "
        "export it again"
    )


def _main(asked: Mapping[str, Any]) -> None:
    """Do in the child what `_run` asks for, and write the result."""
    folder = Path(asked["folder"])
    _limit_memory(asked["memory"])
    try:
        result = _done(asked, folder)
    except FeatxError as error:
        result = {"error": type(error).__name__, "message": str(error)}
    except (MemoryError, RuntimeError, ValueError, OSError) as error:
        message = f"{asked['name']} cannot be run: {errors.one_line(error)}"
        result = {"error": ConversionError.__name__, "message": message}
    (folder / _RESULT).write_text(json.dumps(result))


def _done(asked: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    numbers = asked["preprocessing"]
    preprocess = Preprocessing(**numbers) if numbers else _unprepared
    source = NetworkFile(Path(asked["path"]), asked["digest"], preprocess, asked["size"])
    backbone = Backbone(
        asked["name"],
        asked["digest"],
        asked["size"],
        min_size=1,
        preprocessing="",
        preprocess=preprocess,
        kind=OPENVINO,
        source=source,
    )
    if "poolings" not in asked:
        return {"layers": layer_shapes(backbone)}
    cut = Cut(asked["layer"])
    network = cut_openvino_network(backbone, cut, tuple(asked["poolings"]), asked["input_size"])
    network = tried(network, backbone.name)
    check_original(backbone, source.path, cut.layer, asked["input_size"])
    import_openvino().save_model(network, folder / _NETWORK, compress_to_fp16=False)
    return {}


def _unprepared(pixels: Any) -> Any:
    """Stand for a function of a user's own, which the parent calls."""
    return pixels


def _limit_memory(most: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
