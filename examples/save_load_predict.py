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

DRAWN = Path(__file__).resolve().parents[1] / "data" / "fruit"
PICTURES = (".png", ".jpg", ".pdf", ".svg")

# All that the other process needs to know: a model, and pictures.
PREDICT = """
import json, sys
import featx

predictions = featx.load(sys.argv[1]).predictions(sys.argv[2], progress=False)
print(json.dumps(predictions.rows))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DRAWN)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--classifier", default="logistic")
    parser.add_argument("--model", type=Path, default=Path("model.featx"))
    parser.add_argument("--out", type=Path, default=Path("save_load_predict.png"))
    options = parser.parse_args()
    out, model_file = options.out, options.model
    if out.is_dir() or not out.parent.is_dir() or out.suffix.lower() not in PICTURES:
        raise featx.FeatxError(f"cannot write {out}: expected a .png or .jpg in an existing folder")
    if model_file.is_dir() or not model_file.parent.is_dir():
        raise featx.FeatxError(f"cannot write {model_file}: expected a file in an existing folder")

    train, test = options.folder / "train", options.folder / "test"
    featx.ImageFolder.of(test)  # a mistake is told before anything is trained
    model = featx.train(train, options.classifier, backbone=options.backbone)
    model.save(model_file)
    print(f"{model_file}: {model_file.stat().st_size / 1e3:.0f} kB, {model}")

    words = [sys.executable, "-c", PREDICT, str(model_file), str(test)]
    ended = subprocess.run(words, capture_output=True, text=True)
    if ended.returncode:
        why = (ended.stderr.splitlines() or [f"exit status {ended.returncode}"])[-1]
        raise featx.FeatxError(f"the other process failed: {why}")
    told = pd.DataFrame(json.loads(ended.stdout.splitlines()[-1]))
    for row in told.itertuples():
        failed = row.outcome == "failed"
        said = (
            f"failed: {row.reason}" if failed else f"{row.label:20} {100 * row.probability:.1f} %"
        )
        print(f"{Path(row.path).name:20} {said}")

    predictions = model.predictions(test)
    here = predictions.to_frame()
    same = here.label.equals(told.label) and np.allclose(
        here.probability, told.probability, atol=1e-6, equal_nan=True
    )
    print(f"this process says {'the same' if same else 'something else'}")
    predictions.plot().savefig(out, dpi=100)
    print(f"look at {out}")


if __name__ == "__main__":
    try:
        main()
    except (featx.FeatxError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
