"""`featx demo`: the main job on the sample images."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from featx.cli.flags import json_option
from featx.cli.help import command, option
from featx.cli.output import emit, say, working
from featx.errors import ImageSourceError
from featx.files import storage_errors
from featx.text import count, percent, printable

_PACKAGE = Path(__file__).resolve().parents[1]


@command(epilog="Example: featx demo --out demo/")
@option("--out", default="demo", show_default=True, metavar="DIR", help="Where the results go.")
@json_option
def demo(out: str, as_json: bool) -> None:
    """Embed, train and predict on drawn sample images."""
    images, folder = sample_images(), Path(out)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    steps: list[dict[str, Any]] = []
    results: dict[str, Any] = {"images": images, "folder": folder}
    for name, work in _STEPS.items():
        start = time.perf_counter()
        with working():
            said = work(results)
        seconds = time.perf_counter() - start
        steps.append({"step": name, "seconds": round(seconds, 3), "result": said})
        say(f"{name:<9} {seconds:6.1f} s   {printable(said)}", err=as_json)
    document = {
        "steps": steps,
        "validation": results["model"].training.validation.to_dict(),
        "test": results["test"].to_dict(),
        "out": str(folder),
    }
    text = (
        "\nNow with photographs of your own, in a folder with a sub-folder for each class:\n"
        "  featx train PHOTOS --out my.featx\n"
        "  featx predict my.featx PICTURE"
    )
    emit(document, text, as_json=as_json)


def _embed(results: dict[str, Any]) -> str:
    import featx

    features = results["features"] = featx.embed(results["images"] / "train")
    features.save(results["folder"] / "train.npz")
    run = features.to_dict()
    return (
        f"{count(len(features), 'drawn picture')} -> {' x '.join(map(str, features.X.shape))} "
        f"features ({run['n_embedded']} embedded, {run['n_cached']} from the cache)"
    )


def _train(results: dict[str, Any]) -> str:
    import featx

    model = results["model"] = featx.train(results["features"], validation=True)
    model.save(results["folder"] / "fruit.featx")
    assert model.training is not None
    validation = model.training.validation
    assert validation is not None
    return (
        f"{' and '.join(map(str, model.classes))}: {percent(validation.accuracy)} right "
        f"in {validation.splits.folds}-fold cross-validation"
    )


def _predict(results: dict[str, Any]) -> str:
    test = results["test"] = results["model"].evaluate(results["images"] / "test")
    right = int((test.y_true == test.y_pred).sum())
    return f"{right} of {count(len(test.y_true), 'held-out picture')} right"


def _gallery(results: dict[str, Any]) -> str:
    from featx.charts.style import save_figure

    path = results["folder"] / "gallery.png"
    save_figure(results["model"].predictions(results["images"] / "test").plot(), path)
    return f"look at {path}"


_STEPS: dict[str, Callable[[dict[str, Any]], str]] = {
    "embed": _embed,
    "train": _train,
    "predict": _predict,
    "gallery": _gallery,
}


def sample_images(package: Path = _PACKAGE) -> Path:
    """Return the folder of the sample images: in the installed package, or in the checkout."""
    places = [package / "data" / "fruit", package.parent / "data" / "fruit"]
    for place in places:
        if place.is_dir():
            return place
    raise ImageSourceError(
        f"the sample images are not at {places[0]}: install featx again, or run the demo in its "
        "checkout"
    )
