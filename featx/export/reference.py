"""The reference of an exported file: a few lines that label a picture with it, without featx."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from featx.images.square import CROP_FRACTION, Square

_IMPORTS = {
    "onnx": "import json\n\nimport numpy as np\nimport onnxruntime",
    "openvino": "import json\n\nimport numpy as np\nimport openvino",
    "litert": (
        "import json\nimport zipfile\n\nimport numpy as np\n"
        "from ai_edge_litert.interpreter import Interpreter"
    ),
    "keras": "import json\nimport zipfile\n\nimport keras\nimport numpy as np",
}
_FILES = {
    "onnx": """\
model = onnxruntime.InferenceSession({file})
classes = json.loads(model.get_modelmeta().custom_metadata_map["featx"])["classes"]""",
    "openvino": """\
network = openvino.Core().read_model({file})
classes = json.loads(network.get_rt_info("featx").value)["classes"]
model = openvino.compile_model(network, "CPU", {{"INFERENCE_PRECISION_HINT": "f32"}})""",
    "litert": """\
model = Interpreter({file}).get_signature_runner()
classes = json.loads(zipfile.ZipFile({file}).read("featx.json"))["classes"]""",
    "keras": """\
model = keras.saving.load_model({file})
classes = json.loads(zipfile.ZipFile({file}).read("featx.json"))["classes"]""",
}
_RUNS = {
    "onnx": "probabilities = model.run(None, {pixels})[0][0]",
    "openvino": "probabilities = model({pixels})[0][0]",
    "litert": "probabilities = next(iter(model(**{pixels}).values()))[0]",
    "keras": "probabilities = np.asarray(model({pixels}))[0]",
}
_ONLY = 'pixels = {"pixels": np.asarray(square)[None]}'
_SQUARES = {
    "squash": "square = picture.resize(({size}, {size}), {filter})",
    "crop": """\
scale = {shorter} / min(picture.size)
sides = [max({shorter}, round(side * scale)) for side in picture.size]
starts = [round((side - {size}) / 2) for side in sides]
box = [at * old / new for at, old, new in zip(starts, picture.size, sides)]
box += [min(old, (at + {size}) * old / new) for at, old, new in zip(starts, picture.size, sides)]
square = picture.resize(({size}, {size}), {filter}, box)""",
    "pad": """\
sides = [max(1, round(side * {size} / max(picture.size))) for side in picture.size]
inner = picture.resize(sides, {filter})
square = Image.new("RGB", ({size}, {size}))
square.paste(inner, (({size} - inner.width) // 2, ({size} - inner.height) // 2))""",
}


def reference(
    kind: str, path: Path, inputs: Mapping[str, Square], picture: str = "photo.jpg"
) -> str:
    """Return a program that loads a file and labels a picture.

    It takes Pillow, NumPy and the runtime of the format, and makes the picture square as featx
    does. It prints the label and its probability.

    Parameters
    ----------
    kind : {"onnx", "openvino", "litert", "keras"}
        The format of the file.
    path : path
        The file, by the name that the program shall call it.
    inputs : mapping of str to Square
        What the picture is made into, for each input of the file.
    picture : str, default="photo.jpg"
        The picture, by the name that the program shall call it.
    """
    made = [
        f'{square_code(square)}\npixels["{name}"] = np.asarray(square)[None]'
        for name, square in inputs.items()
    ]
    only = len(made) == 1
    if only:
        made = [made[0].replace('pixels["pixels"] = np.asarray(square)[None]', _ONLY)]
    else:
        made.insert(0, "pixels = {}")
    return "\n".join(
        [
            _IMPORTS[kind],
            "from PIL import Image, ImageOps",
            "",
            _FILES[kind].format(file=ascii(str(path))),
            f'picture = ImageOps.exif_transpose(Image.open({picture!a})).convert("RGB")',
            *made,
            _RUNS[kind].format(pixels='pixels["pixels"]' if only and kind == "keras" else "pixels"),
            "print(classes[probabilities.argmax()], probabilities.max())",
        ]
    )


def square_code(square: Square) -> str:
    """Return the lines that make `square` of `picture`, an upright RGB image of Pillow."""
    return _SQUARES[square.resize].format(
        size=square.size,
        shorter=round(square.size / CROP_FRACTION),
        filter=f"Image.Resampling.{square.interpolation.upper()}",
    )
