"""`featx backbones` and `featx embed`."""

from __future__ import annotations

import time
from typing import Any

import click

from featx.cli.options import embedding_options, json_option
from featx.cli.output import count, emit, table, working
from featx.features.matrix import Features


@click.command(epilog="Example: featx backbones --json")
@json_option
def backbones(as_json: bool) -> None:
    """List the networks, and where their weights are."""
    from featx.backbones.table import BACKBONES
    from featx.backbones.weights import at_hand

    rows: list[dict[str, Any]] = [
        {
            "name": spec.name,
            "input_size": spec.input_size,
            "n_features": spec.width,
            "parameters": spec.parameters,
            "weights": "package" if spec.package else "Keras",
            "at_hand": at_hand(spec),
        }
        for spec in BACKBONES.values()
    ]
    header = ["name", "px", "features", "parameters", "weights from", "at hand"]
    cells = [
        [
            row["name"],
            row["input_size"],
            row["n_features"],
            f"{row['parameters'] / 1e6:.1f} M",
            row["weights"],
            row["at_hand"] or "no",
        ]
        for row in rows
    ]
    emit(rows, table(header, cells, right=("px", "features", "parameters")), as_json=as_json)


@click.command(epilog="Example: featx embed photos/ --backbone resnet50 --out photos.npz")
@click.argument("folder")
@embedding_options
@click.option(
    "--out",
    required=True,
    metavar="FILE",
    help="Where to: a name that ends in .npz, .npy, .parquet or .csv.",
)
@json_option
def embed(folder: str, out: str, as_json: bool, **options: Any) -> None:
    """Turn a folder of pictures into a feature matrix."""
    from pathlib import Path

    import featx
    from featx.features.formats import check_suffix
    from featx.files import check_writable

    check_suffix(Path(out))
    check_writable(out)
    with working():
        start = time.perf_counter()
        features = featx.embed(folder, **options)
        features.save(out)
        seconds = time.perf_counter() - start
    document = {**summary(features, seconds), "out": out}
    emit(document, f"{describe(features, seconds)}\nwrote {out}", as_json=as_json)


def summary(features: Features, seconds: float) -> dict[str, Any]:
    """Return what a run did as plain values."""
    statuses = [outcome.status for outcome in features.outcomes]
    embedded = statuses.count("embedded")
    rate = embedded / features.seconds if embedded else len(statuses) / seconds
    return {
        "n_images": len(statuses),
        "n_features": features.matrix.shape[1],
        "n_embedded": embedded,
        "n_cached": statuses.count("cached"),
        "n_failed": statuses.count("failed"),
        "failed": [{"path": each.path, "reason": each.reason} for each in features.failed],
        "n_other": features.n_other,
        "shape": list(features.X.shape),
        "seconds": round(seconds, 3),
        "images_per_second": round(rate, 1),
        "fingerprint": features.recipe.fingerprint if features.recipe else None,
    }


def describe(features: Features, seconds: float) -> str:
    """Say what a run did, and list the files that failed."""
    run = summary(features, seconds)
    parts = [
        f"{run[key]:,} {word}"
        for key, word in (
            ("n_embedded", "embedded"),
            ("n_cached", "from the cache"),
            ("n_failed", "failed"),
        )
        if run[key]
    ]
    lines = [f"{count(run['n_images'], 'image')}: {', '.join(parts)}, in {seconds:.1f} s"]
    if run["n_embedded"]:
        lines[0] += f" ({run['images_per_second']:.1f} images/s)"
    views = f", {count(len(features.views), 'view')} of each" if features.views else ""
    lines.append(f"features {' x '.join(map(str, features.X.shape))}{views} ({features.recipe})")
    if features.n_other:
        lines.append(f"left alone, no images by name: {count(features.n_other, 'file')}")
    lines += [f"failed: {each.path}: {each.reason}" for each in features.failed]
    return "\n".join(lines)
