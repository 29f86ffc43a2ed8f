"""What do photographs show? The three likeliest of ImageNet's 1000 classes, by several networks.

    python examples/imagenet_top3.py                        # the drawn strawberries of this project
    python examples/imagenet_top3.py PHOTOS                 # a folder of pictures, or one picture
    python examples/imagenet_top3.py PHOTOS --most 6 --networks efficientnet_lite0 resnet50 vgg16

A network tells the classes by its weights "with the classifier", which are larger files than those
for features. Those of efficientnet_lite0 come with featx. The others are looked for in the folder
FEATX_WEIGHTS and in Keras's cache, or else downloaded by Keras, once (0.1 to 0.6 GB each); a
network whose weights cannot be had is named and left out.
"""

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image, ImageOps

import featx

DRAWN = Path(__file__).resolve().parents[1] / "data" / "fruit" / "test" / "strawberry"
PICTURES = (".png", ".jpg", ".pdf", ".svg")


def draw(told: dict[str, list[featx.Labelled]], out: Path) -> None:
    """Draw a row for each picture: itself, and the bars of each network."""
    pictures = next(iter(told.values()))
    figure, rows = plt.subplots(
        len(pictures),
        1 + len(told),
        figsize=(2.1 + 2.5 * len(told), 1.75 * len(pictures) + 0.4),
        squeeze=False,
        layout="constrained",
    )
    for number, (picture, axes) in enumerate(zip(pictures, rows, strict=True)):
        axes[0].imshow(ImageOps.exif_transpose(Image.open(picture.path)).convert("RGB"))
        axes[0].axis("off")
        for ax, (network, results) in zip(axes[1:], told.items(), strict=True):
            for place, guess in enumerate(results[number].labels):
                ax.barh(place, guess.probability, color="#0b5fa5", alpha=0.35)
                text = f"{guess.name.replace('_', ' ')}  {100 * guess.probability:.0f} %"
                ax.text(0.02, place, text, va="center", fontsize=9)
            ax.set(xlim=(0, 1), ylim=(2.6, -0.6), xticks=[], yticks=[])
            ax.spines[["top", "right", "bottom"]].set_visible(False)
            if number == 0:
                ax.set_title(network, fontsize=10)
    figure.savefig(out, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="?", type=Path, default=DRAWN)
    parser.add_argument("--most", type=int, default=4, help="pictures to look at")
    parser.add_argument("--networks", nargs="+", default=["efficientnet_lite0"])
    parser.add_argument("--out", type=Path, default=Path("imagenet_top3.png"))
    options = parser.parse_args()
    out = options.out
    if out.is_dir() or not out.parent.is_dir() or out.suffix.lower() not in PICTURES:
        raise featx.FeatxError(f"cannot write {out}: expected a .png or .jpg in an existing folder")
    if unknown := [name for name in options.networks if name not in featx.BACKBONES]:
        raise featx.FeatxError(f"unknown network {unknown[0]!r}: `featx backbones` lists all names")

    paths = list(featx.ImageFolder.of(options.pictures).paths[: options.most])
    told, unreadable = {}, {}
    for name in dict.fromkeys(options.networks):  # each once
        try:
            results = featx.label(paths, top=3, backbone=name)
        except OSError as error:  # no weights
            print(f"{name} is left out: {error}")
            continue
        told[name] = [result for result in results if result.labels]
        unreadable |= {each.path: each.outcome.failure for each in results if not each.labels}
        print(name)
        for result in told[name]:
            guesses = (f"{each.name} {100 * each.probability:.1f} %" for each in result.labels)
            print(f"  {Path(result.path).name}: {', '.join(guesses)}")
    for loss in unreadable.values():
        print(loss)
    if not any(told.values()):
        raise featx.FeatxError("no picture can be read, or no network has its weights (see above)")
    draw(told, out)
    print(f"look at {out}")


if __name__ == "__main__":
    try:
        main()
    except (featx.FeatxError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
