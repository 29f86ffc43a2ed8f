"""The calibrations that come with featx: `python docs/make_calibrations.py SETS [NETWORK ...]`.

SETS is a folder of sets of pictures, each with a sub-folder `train`; test folders are never looked
at. A network is calibrated on 128 pictures, which lie evenly over some of the sets, and its vectors
in int8 are compared with those in float32 on the photographs of the sets that it was not calibrated
on (`--only-make` leaves that out). Only numbers are kept, in `featx/backbones/calibrations/`.

It needs NNCF and the weights of the networks: `FEATX_WEIGHTS` names their folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from featx.backbones.backbone import Backbone
from featx.backbones.calibration import Calibration
from featx.backbones.calibration_settings import DEFAULTS
from featx.backbones.engines.choice import open_engine
from featx.backbones.engines.engine import EngineRequest
from featx.backbones.engines.quantization import calibrate
from featx.backbones.network import Cut
from featx.backbones.shipped import FOLDER, SUFFIX
from featx.files import cache_folder
from featx.images.decode import decode_all
from featx.images.square import Square

NETWORKS = (
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "inception_v3",
    "resnet50",
    "vgg16",
    "vgg19",
    "xception",
)
#: How many pictures of each set: photographs, and some of 32 and 28 pixels.
N_PICTURES = {"caltech15": 56, "grocery20": 52, "fruit_pair": 4, "cifar10": 8, "mnist": 8}
#: Xception gives spots of a white background up to thirty times what it gives elsewhere. Were they
#: among the pictures, few steps would be left to all others.
WITHOUT_WHITE = {"grocery20": 128}
WITHOUT_CUTS = replace(DEFAULTS, range_estimator="minmax")
PHOTOGRAPHS = ("caltech15", "grocery20", "fruit_pair")


def main() -> None:
    """Calibrate networks, write what was found, and print how exact it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path, help="a folder of sets, each with a folder train")
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--only-make", action="store_true", help="do not compare")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    print("| network | file | mean cosine | least |\n|---|---:|---:|---:|")
    for name in options.networks:
        pictures, settings = N_PICTURES, None
        if name == "xception":
            pictures, settings = WITHOUT_WHITE, WITHOUT_CUTS
        calibrated, others = divided(options.sets, pictures)
        request = request_for(Backbone.load(name))
        calibration = calibrate(request, squares(calibrated, request.input_size), settings)
        path = FOLDER / f"{name}{SUFFIX}"
        path.write_bytes(calibration.to_bytes())
        line = f"| `{name}` | {path.stat().st_size / 1000:.0f} kB |"
        if not options.only_make:
            cosines = compared(request, calibration, squares(others, request.input_size))
            line += f" {cosines.mean():.4f} | {cosines.min():.3f} |"
        print(line, flush=True)


def request_for(backbone: Backbone) -> EngineRequest:
    """Ask for the default layer, pooling and size of a network."""
    return EngineRequest(backbone, Cut(), ("avg",), backbone.input_size, cache_folder())


def divided(sets: Path, n_pictures: Mapping[str, int]) -> tuple[list[Path], list[Path]]:
    """Return the pictures to calibrate on, and the photographs that are left."""
    calibrated, others = [], []
    for name in N_PICTURES:
        n = n_pictures.get(name, 0)
        paths = sorted(path for path in (sets / name / "train").rglob("*") if path.is_file())
        chosen = {paths[row] for row in np.arange(n) * len(paths) // n}
        calibrated += sorted(chosen)
        if name in PHOTOGRAPHS:
            others += [path for path in paths if path not in chosen]
    return calibrated, others


def squares(paths: list[Path], size: int) -> np.ndarray:
    """Decode pictures to squares of a size, as `featx.embed` does by default."""
    decoded = [decode_all(path.read_bytes(), [Square(size)])[0] for path in paths]
    return np.stack([pixels for (pixels,) in decoded])


def compared(request: EngineRequest, calibration: Calibration, pictures: np.ndarray) -> np.ndarray:
    """Return the cosine between the vectors in float32 and in int8 of each picture."""
    cut = replace(request.cut, precision="int8", calibration=calibration.digest)
    backbone = replace(request.backbone, calibration=calibration)
    exact = vectors(request, pictures)
    rounded = vectors(replace(request, cut=cut, backbone=backbone), pictures)
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(rounded, axis=1)
    return np.asarray((exact * rounded).sum(axis=1) / lengths)


def vectors(request: EngineRequest, pictures: np.ndarray) -> np.ndarray:
    """Embed decoded pictures."""
    engine = open_engine(request, "openvino")
    n = engine.batch_size
    batches = [pictures[row : row + n] for row in range(0, len(pictures), n)]
    return np.concatenate([engine.embed_batch(batch) for batch in batches])


if __name__ == "__main__":
    main()
