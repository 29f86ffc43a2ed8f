"""The pictures and the console output of the documentation, all of one run.

    python docs/make_figures.py                      # or `make figures`: everything, some minutes
    python docs/make_figures.py --only console report.png per_class.png

`console` writes what the commands of README and the guides print. The pictures in
`examples/images/` are made by the examples on drawn fruit and scikit-learn's digits; those of
tuning, of explanations and of the notebook (`which_backbone.png`, which runs it) are of groceries,
in the folder that FEATX_SHARED names. What cannot be made, for want of photographs, weights
(FEATX_WEIGHTS), a browser (FEATX_CHROMIUM) or Jupyter (`pip install nbclient ipykernel`), is named,
stays as it is, and the exit status is 1. What the examples print is printed, to compare with the
figures in `examples/README.md`. The picture of speed needs a quiet machine:
`python -m tests.benchmarks`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "examples" / "images"
FRUIT = str(ROOT / "data/fruit")
NOTEBOOK = ROOT / "examples" / "which_backbone.ipynb"
TUNING_BUDGET = "2m"
_EXPLAINED = ("Banana", "Carrots", "Garlic", "Kiwi", "Pineapple", "Zucchini")


class MissingError(Exception):
    """What a part needs is not on this machine."""


def main() -> None:
    """Make the parts that are asked for, and say what could not be made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Plain)
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", default=list(PARTS))
    missing = []
    with tempfile.TemporaryDirectory(prefix="featx-figures-") as folder:
        for name in parser.parse_args().only:
            print(f"== {name}", flush=True)
            try:
                PARTS[name](Path(folder))
            except MissingError as reason:
                missing.append(f"{name} stays as it is: {reason}")
    print("\n".join(missing) or "everything is made")
    sys.exit(1 if missing else 0)


class _Plain(argparse.RawDescriptionHelpFormatter):
    """Help that leaves the lines of the description as they are."""


def console(folder: Path) -> None:
    """Write what the commands of the pages print, and their tables."""
    _run(
        *("-m", "pytest", "-q", "tests/test_readme.py", "-k", "page_shows or table or lists"),
        cwd=ROOT,
        FEATX_UPDATE_README="1",
    )


def example(name: str, width: int, words: Sequence[str], folder: Path) -> None:
    """Run the example of a picture and keep that, at most so wide."""
    out = folder / f"{Path(name).stem}.png"
    _run(str(ROOT / "examples" / f"{Path(name).stem}.py"), *words, "--out", str(out), cwd=folder)
    _keep(out, name, width)


def tuning(folder: Path) -> None:
    """Search on the groceries."""
    groceries = _shared("grocery20")
    words = (f"{groceries}/train", "--test", f"{groceries}/test", "--budget", TUNING_BUDGET)
    example("tuning.png", 700, words, folder)


def gallery(folder: Path) -> None:
    """Draw the test pictures of the drawn fruit with their predicted labels."""
    model, out = folder / "fruit.featx", folder / "gallery.png"
    _run("-m", "featx", "train", f"{FRUIT}/train", "--out", str(model), cwd=folder)
    words = ("predict", str(model), f"{FRUIT}/test", "--gallery", str(out))
    _run("-m", "featx", *words, cwd=folder)
    _keep(out, "gallery.jpg", 1000)


def report(folder: Path) -> None:
    """Photograph parts of a report on the drawn fruit, so small that some are mistaken."""
    page, picture = folder / "report.html", folder / "report.png"
    train = ("train", f"{FRUIT}/train", "--input-size", "64", "--report", str(page))
    _run("-m", "featx", *train, "--out", str(folder / "small.featx"), cwd=folder)
    with _browser() as tab:
        tab.open(page, width=1060)
        tab.run(
            "document.querySelectorAll('section').forEach(each => "
            "each.hidden = !['curve', 'predictions'].includes(each.id))"
        )
        tab.photograph(picture)
    with Image.open(picture) as image:
        image.crop((0, 0, image.width, min(image.height, 1740))).save(picture)
    _keep(picture, "report.png", 880)


def why(folder: Path) -> None:
    """Explain the first test picture of some groceries, and why some others are mistaken."""
    groceries, model = _shared("grocery20"), folder / "groceries.featx"
    _run("-m", "featx", "train", f"{groceries}/train", "--out", str(model), cwd=folder)
    first = [sorted((groceries / "test" / name).iterdir())[0] for name in _EXPLAINED]
    words = ("explain", str(model), *map(str, first), "--out", str(folder / "why.png"))
    _run("-m", "featx", *words, cwd=folder)
    _keep(folder / "why.png", "why.jpg", 1000)


def mistakes(folder: Path) -> None:
    """Photograph the page of the mistakes on groceries of a model that learned from few."""
    few, page, picture = folder / "few", folder / "mistakes.html", folder / "mistakes.png"
    groceries = _shared("grocery20")
    for name in sorted(each.name for each in (groceries / "train").iterdir()):
        (few / name).mkdir(parents=True)
        for path in sorted((groceries / "train" / name).iterdir())[:5]:
            (few / name / path.name).symlink_to(path)
    model = str(folder / "few.featx")
    _run("-m", "featx", "train", str(few), "--out", model, cwd=folder)
    words = ("evaluate", model, f"{groceries}/test", "--explain", str(page))
    _run("-m", "featx", *words, cwd=folder)
    with _browser() as tab:
        tab.open(page, width=1060)
        tab.photograph(picture)
    with Image.open(picture) as image:
        image.crop((0, 0, image.width, min(image.height, 900))).save(picture)
    _keep(picture, "mistakes.jpg", 1000)


def page(folder: Path) -> None:
    """Photograph the page of a service: a drawn fruit, what decided, and a chart, which is none."""
    model, picture = folder / "fruit.featx", folder / "page.png"
    train = ("train", f"{FRUIT}/train", "--reject", "0.9", "--keep-pictures", "4")
    _run("-m", "featx", *train, "--out", str(model), cwd=folder)
    words = ("-m", "featx", "serve", str(model), "--port", "0", "--json", "--collect", str(folder))
    service = subprocess.Popen(
        [sys.executable, *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    try:
        assert service.stdout is not None
        address = json.loads(service.stdout.readline() or '{"address": ""}')["address"]
        with _browser() as tab:
            tab.open(f"{address}/", width=1000)
            tab.wait("document.querySelector('#knows').textContent")
            fruit = Path(FRUIT) / "test" / "strawberry" / "strawberry_11.jpg"
            tab.choose("#files", fruit, IMAGES / "speed.png")
            tab.wait("document.querySelectorAll('.card[aria-busy=false]').length === 2")
            tab.click(".heat")
            tab.wait("document.querySelector('[aria-pressed=true]')")
            tab.wait("[...document.images].every(each => each.complete)")
            tab.photograph(picture)
    finally:
        service.terminate()
        service.wait()
    _keep(picture, "page.jpg", 880)


@contextmanager
def _browser() -> Iterator[Any]:
    """Open a browser for the block."""
    sys.path.insert(0, str(ROOT / "tests"))
    import chromium

    program = chromium.find()
    if program is None:
        raise MissingError("there is no Chromium on this machine; FEATX_CHROMIUM may name one")
    tab = chromium.Chromium(program)
    try:
        yield tab
    finally:
        tab.close()


def notebook(folder: Path) -> None:
    """Run the notebook on the groceries and keep its first chart."""
    try:
        import nbclient
        import nbformat
    except ImportError:
        raise MissingError("Jupyter runs it: pip install nbclient ipykernel") from None
    import base64

    places = {"PHOTOS": f"{_shared('grocery20')}/train", "PYTHONPATH": str(ROOT)}
    os.environ |= places
    made = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(
        made, timeout=3600, resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    ).execute()
    charts = []
    for cell in made.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":  # progress is for whoever runs it, not for who reads it
            cell.outputs = [each for each in cell.outputs if each.get("name") != "stderr"]
            charts += [each.data["image/png"] for each in cell.outputs if _is_chart(each)]
    nbformat.write(made, NOTEBOOK)
    picture = folder / "which_backbone.png"
    picture.write_bytes(base64.b64decode(charts[0]))
    _keep(picture, "which_backbone.png", 900)


def _is_chart(output: dict[str, Any]) -> bool:
    return "image/png" in output.get("data", {})


def _run(*words: str, cwd: Path, **environment: str) -> None:
    """Run Python, with this checkout before any installed one, and let it print."""
    ended = subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"} | environment,
    )
    if ended.returncode:
        raise MissingError(f"`python {' '.join(words)}` ended with {ended.returncode}")


def _shared(name: str) -> Path:
    folder = Path(os.environ.get("FEATX_SHARED", ROOT.parent / "shared")) / "data" / name
    if not folder.is_dir():
        raise MissingError(
            f"there is no {name}; FEATX_SHARED names the folder that has it in data/"
        )
    return folder.resolve()


def _keep(picture: Path, name: str, width: int) -> None:
    """Write a picture into the documentation, at most so wide, small as a file."""
    with Image.open(picture) as image:
        made = image.convert("RGB")
    if made.width > width:
        made = made.resize(
            (width, round(made.height * width / made.width)), Image.Resampling.LANCZOS
        )
    if name.endswith(".jpg"):
        made.save(IMAGES / name, quality=88, optimize=True)
    else:
        made.quantize(256, dither=Image.Dither.NONE).save(IMAGES / name, optimize=True)


def _examples() -> dict[str, Callable[[Path], None]]:
    """Return the part of each picture that an example makes, by the name of the picture."""
    flowers = (
        *("--each", "5", "--backbones", "efficientnet_lite0", "resnet50", "xception"),
        *("--classifiers", "logistic", "knn", "centroid"),
    )
    top3 = ("--networks", "efficientnet_lite0", "resnet50")
    pictures: dict[str, tuple[int, tuple[str, ...]]] = {
        "twenty_images.jpg": (760, ()),
        "cats_and_dogs.jpg": (760, ("--each", "4")),
        "imagenet_top3.jpg": (710, top3),
        "small_pictures.png": (900, ()),
        "flowers.png": (750, flowers),
        "per_class.png": (950, ()),
        "augmentation.jpg": (800, ("--each", "2")),
        "save_load_predict.jpg": (760, ()),
    }
    return {name: partial(example, name, width, words) for name, (width, words) in pictures.items()}


PARTS: dict[str, Callable[[Path], None]] = {
    "console": console,
    "gallery.jpg": gallery,
    "report.png": report,
    "why.jpg": why,
    "mistakes.jpg": mistakes,
    "page.jpg": page,
    "which_backbone.png": notebook,
    "tuning.png": tuning,
    **_examples(),
}


if __name__ == "__main__":
    main()
