"""Train a model, save it, and let another process load it and predict: what a server would do.

    python examples/save_load_predict.py                # the drawn fruit of this project
    python examples/save_load_predict.py PHOTOS         # PHOTOS/train/CLASS, PHOTOS/test/CLASS
    python examples/save_load_predict.py PHOTOS --model photos.featx --classifier mlp

The model is one file without pickle. It holds the classifier and the recipe of its features: which
network, by the digest of its weights, and how pictures are made ready for it.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import featx
from featx.files import PICTURES, check_writable

DRAWN = Path(__file__).resolve().parents[1] / "data" / "fruit"

# All that the other process needs to know: a model, and pictures.
PREDICT = """
import json, sys
import featx

model = featx.load(sys.argv[1])
features = model.features(sys.argv[2], progress=False)
labels, shares = model.predict(features), model.predict_proba(features)
print(json.dumps({"labels": labels.tolist(), "probabilities": shares.max(axis=1).tolist()}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DRAWN)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--classifier", default="logistic")
    parser.add_argument("--model", type=Path, default=Path("model.featx"))
    parser.add_argument("--out", type=Path, default=Path("save_load_predict.png"))
    options = parser.parse_args()
    check_writable(options.out, PICTURES)
    check_writable(options.model)

    train, test = options.folder / "train", options.folder / "test"
    pictures = featx.ImageFolder.of(test)  # a mistake is told before anything is trained
    model = featx.train(train, options.classifier, backbone=options.backbone)
    model.save(options.model)
    print(f"{options.model}: {options.model.stat().st_size / 1e3:.0f} kB, {model}")

    words = [sys.executable, "-c", PREDICT, str(options.model), str(test)]
    ended = subprocess.run(words, capture_output=True, text=True)
    if ended.returncode:
        why = (ended.stderr.splitlines() or [f"exit status {ended.returncode}"])[-1]
        raise SystemExit(f"error: the other process failed: {why}")
    told = json.loads(ended.stdout.splitlines()[-1])
    table = pd.DataFrame({"path": pictures.paths, "true": pictures.labels, **told})
    for row in table.itertuples():
        if pd.isna(row.labels):
            print(f"{Path(row.path).name:20} cannot be read and is left out")
        else:
            print(f"{Path(row.path).name:20} {row.labels:20} {100 * row.probabilities:.1f} %")

    here = model.predict_proba(test).max(axis=1)
    same = np.allclose(here, told["probabilities"], atol=1e-6, equal_nan=True)
    print(f"this process says {'the same' if same else 'something else'}")

    # Mistakes first, and within them and the others the classes in turn.
    table = table[table.labels.notna()]
    right = (table.labels == table.true).rename("right")
    turn = table.groupby([right, "true"], dropna=False).cumcount()
    shown = table.iloc[np.lexsort((turn, right))[:40]]
    figure = featx.plot_gallery(
        shown.path.tolist(),
        shown.labels.tolist(),
        true=shown.true.tolist(),
        probabilities=shown.probabilities.tolist(),
    )
    if len(shown) < len(table):
        counted = f"{right.sum()} of {table.true.count()} right"
        for footer in figure.texts:  # there is none where no label is known
            footer.set_text(f"{counted}; {len(shown)} of {len(table)} shown, mistakes first")
    figure.savefig(options.out, dpi=100)
    print(f"look at {options.out}")


if __name__ == "__main__":
    try:
        main()
    except featx.FeatxError as error:
        raise SystemExit(f"error: {error}") from None
