"""What do photographs show? The three likeliest of ImageNet's 1000 classes, by several networks.

    python examples/imagenet_top3.py                        # the drawn strawberries of this project
    python examples/imagenet_top3.py PHOTOS                 # a folder of pictures, or one picture
    python examples/imagenet_top3.py PHOTOS --most 6 --fetch

A network tells the classes by its weights "with the classifier", which are larger files than those
for features. The one of efficientnet_lite0 comes with featx. The others are looked for in the
folder FEATX_WEIGHTS and in Keras's cache; one that is not there is named and left out, unless
--fetch lets Keras download it (0.1 to 0.6 GB each).
"""

import argparse
import os
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image, ImageOps

import featx
from featx.files import check_writable

DRAWN = Path(__file__).resolve().parents[1] / "data" / "fruit" / "test" / "strawberry"
NETWORKS = ["efficientnet_lite0", "vgg16", "vgg19", "inception_v3", "resnet50", "xception"]


def file_missing(network: str) -> str | None:
    """Name the weights that a network needs to tell classes, if they are not on this machine."""
    name = featx.BACKBONES[network].with_top.name
    keras = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"
    places = [Path(os.environ.get("FEATX_WEIGHTS") or keras), keras]
    packaged = network == "efficientnet_lite0"
    return None if packaged or any((place / name).is_file() for place in places) else name


def draw(told: dict[str, list], out: Path) -> None:
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
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--fetch", action="store_true", help="download weights that are missing")
    parser.add_argument("--out", type=Path, default=Path("imagenet_top3.png"))
    options = parser.parse_args()
    if options.out.suffix.lower() not in (".png", ".jpg", ".pdf", ".svg"):
        raise SystemExit(f"error: {options.out}: expected a name in .png, .jpg, .pdf or .svg")
    check_writable(options.out)

    paths = featx.ImageFolder.of(options.pictures).paths[: options.most]
    told = {}
    for network in options.networks:
        if network in featx.BACKBONES and not options.fetch and (file := file_missing(network)):
            print(f"{network} is left out: {file} is not here")
            continue
        results = featx.label(list(paths), top=3, backbone=network)
        told[network] = [result for result in results if result.labels]  # those that can be read
        print(network)
        for result in told[network]:
            guesses = (f"{each.name} {100 * each.probability:.1f} %" for each in result.labels)
            print(f"  {Path(result.path).name}: {', '.join(guesses)}")
    if not any(told.values()):
        raise SystemExit("nothing to draw: no picture can be read, or no network has its weights")
    draw(told, options.out)
    print(f"look at {options.out}")


if __name__ == "__main__":
    try:
        main()
    except featx.FeatxError as error:
        raise SystemExit(f"error: {error}") from None
