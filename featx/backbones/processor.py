"""The JSON file beside a network that says how pictures are prepared, as Hugging Face writes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx.backbones.preprocessing import Preprocessing, preprocessing_of
from featx.errors import FeatxError, WeightsError, one_line

NAME = "preprocessor_config.json"
_MOST_BYTES = 1 << 20
_LARGEST_SIZE = 4096  # px


@dataclass(frozen=True)
class Processor:
    """What a network is given: the scaling of pixels, and the side of the picture if it is said."""

    preprocessing: Preprocessing
    input_size: int | None


def processor_beside(path: Path) -> Processor | None:
    """Read the JSON file that belongs to the file of a network; None where there is none.

    That is the file of its name with `.json`, or `preprocessor_config.json` in the folder, or in
    the folder above where the network is in one called `onnx`, as exports are laid out. Raises a
    `WeightsError` if it cannot be understood.
    """
    places = [path.with_suffix(".json"), path.with_name(NAME)]
    if path.parent.name == "onnx":
        places.append(path.parent.parent / NAME)
    found = next((each for each in places if each.is_file()), None)
    if found is None:
        return None
    try:
        with found.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_BYTES} bytes")
        return _processor(json.loads(text))
    except (FeatxError, OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise WeightsError(
            f"{found} does not say how pictures are prepared ({one_line(error)}): expected "
            "image_mean and image_std; mend it, or give preprocess="
        ) from error


def _processor(said: Any) -> Processor:
    if not isinstance(said, dict):
        raise ValueError("no object")
    scale = said.get("rescale_factor", 1 / 255) if said.get("do_rescale", True) else 1.0
    if said.get("do_normalize", True):
        mean, std = said["image_mean"], said["image_std"]
    else:
        mean, std = 0.0, 1.0
    preprocessing = preprocessing_of((mean, std, scale))
    assert isinstance(preprocessing, Preprocessing)
    sizes = (said.get("crop_size") if said.get("do_center_crop", True) else None, said.get("size"))
    return Processor(preprocessing, next(filter(None, map(_side, sizes)), None))


def _side(size: object) -> int | None:
    """Return the side of a square, however it is written; None where it is no square."""
    if isinstance(size, dict):
        sides = {size[name] for name in ("height", "width", "shortest_edge") if size.get(name)}
        size = sides.pop() if len(sides) == 1 else None
    whole = type(size) is int and 0 < size <= _LARGEST_SIZE
    return size if whole else None  # type: ignore[return-value]
