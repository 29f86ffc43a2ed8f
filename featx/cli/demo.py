"""`featx demo`: the main job on the sample images."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from featx.cli.options import json_option
from featx.cli.output import count, emit, percent, working
from featx.errors import ImageSourceError

_PACKAGE = Path(__file__).resolve().parents[1]


@click.command(epilog="Example: featx demo --out demo/")
@click.option(
    "--out", default="demo", show_default=True, metavar="DIR", help="Where the results go."
)
@json_option
def demo(out: str, as_json: bool) -> None:
    """Embed, train and predict on drawn sample images."""
    import featx
    from featx.files import storage_errors
    from featx.insight.plots import plot_gallery, save_figure

    images = sample_images()
    folder = Path(out)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    steps: list[dict[str, Any]] = []

    @contextmanager
    def step(name: str) -> Iterator[list[str]]:
        said: list[str] = []
        start = time.perf_counter()
        with working():
            yield said
        seconds = time.perf_counter() - start
        steps.append({"step": name, "seconds": round(seconds, 3), "result": said[0]})
        click.echo(f"{name:<9} {seconds:6.1f} s   {said[0]}", err=as_json)

    with step("embed") as said:
        features = featx.embed(images / "train")
        features.save(folder / "train.npz")
        new = sum(outcome.status == "embedded" for outcome in features.outcomes)
        said.append(
            f"{count(len(features), 'drawn picture')} -> {' x '.join(map(str, features.X.shape))} "
            f"features ({new} embedded, {len(features) - new} from the cache)"
        )
    with step("train") as said:
        validation = featx.cross_validate(features)
        model = featx.train(features)
        model.save(folder / "fruit.featx")
        said.append(
            f"{' and '.join(model.classes)}: {percent(validation.accuracy)} right "
            f"in {validation.splits.folds}-fold cross-validation"
        )
    with step("predict") as said:
        test = model.features(images / "test")
        evaluation = model.evaluate(test)
        right = int((evaluation.y_true == evaluation.y_pred).sum())
        said.append(f"{right} of {count(len(test), 'held-out picture')} right")
    with step("gallery") as said:
        probabilities = model.predict_proba(test).max(axis=1)
        figure = plot_gallery(
            test.paths.tolist(),
            evaluation.y_pred.tolist(),
            true=evaluation.y_true.tolist(),
            probabilities=probabilities.tolist(),
        )
        save_figure(figure, folder / "gallery.png")
        said.append(f"look at {folder / 'gallery.png'}")

    document = {
        "steps": steps,
        "cv_accuracy": validation.accuracy,
        "test_accuracy": evaluation.accuracy,
        "out": str(folder),
    }
    text = (
        "\nNow with photographs of your own, in a folder with a sub-folder for each class:\n"
        "  featx train PHOTOS --out my.featx\n"
        "  featx predict my.featx PICTURE"
    )
    emit(document, text, as_json=as_json)


def sample_images() -> Path:
    """Return the folder of the sample images: in the installed package, or in the checkout."""
    places = [_PACKAGE / "data" / "fruit", _PACKAGE.parent / "data" / "fruit"]
    for place in places:
        if place.is_dir():
            return place
    raise ImageSourceError(
        f"the sample images are not at {places[0]}: install featx again, or run the demo in its "
        "checkout"
    )
