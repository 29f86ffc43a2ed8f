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
from featx.backbones.table import BackboneSpec, find
from featx.errors import WeightsError
from featx.files import PICTURES, check_writable

DRAWN = Path(__file__).resolve().parents[1] / "data" / "fruit" / "test" / "strawberry"
NETWORKS = ["efficientnet_lite0", "vgg16", "vgg19", "inception_v3", "resnet50", "xception"]


def at_hand(network: BackboneSpec) -> Path | None:
    """Find the weights with the classifier on this machine."""
    keras = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"
    places = [Path(os.environ.get("FEATX_WEIGHTS") or keras).expanduser(), keras]
    files = (place / network.with_top.name for place in places)
    return next(filter(Path.is_file, files), None)


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
    check_writable(options.out, PICTURES)

    networks = {find(name).name: find(name) for name in options.networks}
    paths = featx.ImageFolder.of(options.pictures).paths[: options.most]
    told, unreadable = {}, {}
    for name, network in networks.items():
        weights = "imagenet"  # which is downloaded, unless a package brings it
        if not options.fetch and not network.package:
            weights = at_hand(network)
        if weights is None:
            print(f"{name} is left out: {network.with_top.name} is not here")
            continue
        try:
            results = featx.label(list(paths), top=3, backbone=name, weights=weights)
        except WeightsError as error:
            print(f"{name} is left out: {error}")
            continue
        told[name] = [result for result in results if result.labels]
        unreadable |= {each.path: each.outcome.reason for each in results if not each.labels}
        print(name)
        for result in told[name]:
            guesses = (f"{each.name} {100 * each.probability:.1f} %" for each in result.labels)
            print(f"  {Path(result.path).name}: {', '.join(guesses)}")
    for path, reason in unreadable.items():
        print(f"{path} cannot be read and is left out: {reason}")
    if not any(told.values()):
        raise SystemExit("error: no picture can be read, or no network has its weights (see above)")
    draw(told, options.out)
    print(f"look at {options.out}")


if __name__ == "__main__":
    try:
        main()
    except featx.FeatxError as error:
        raise SystemExit(f"error: {error}") from None
