"""Options of embedding, each stated once: name, type, default, choices and help.

`embed`, `compare`, `tune`, `ImageEmbedder` and the shell take theirs from the classes below, and
show them in their signatures, documentation and help. To add one, state it here and give it a field
in the code that obeys it: in `Square` or `Cut` if it changes a feature, in `RunSettings` if not.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Annotated, Any, TypedDict, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from featx.backbones.engines.choice import ENGINES, quickest_precision, settle_precision
from featx.backbones.network import POOLINGS, PRECISIONS
from featx.errors import OptionError, check_choice
from featx.images.folder import CLASSES_FROM
from featx.images.square import DECODES, INTERPOLATIONS, RESIZES

MAX_VIEWS = 64
ON_ERROR = ("skip", "raise")
RUNNERS = ("local", "ray")

Callable_ = TypeVar("Callable_", bound=Callable[..., Any])


@dataclass(frozen=True)
class Option:
    """What is known of an option beside its name and type."""

    default: object  # its value where nothing is asked for
    text: str  # what it does; the help of the shell is the first sentence
    choices: tuple[str, ...] = ()  # the values that it can have; none for any
    bounds: tuple[int, int | None] | None = None  # the least and the greatest whole number
    metavar: str | None = None  # what stands for its value in the help of the shell
    unset: str = ""  # what None means
    shell: bool = True  # whether commands offer it
    group: str = "Pictures"  # under which the help of commands shows it

    @property
    def help(self) -> str:
        """What it does, in a sentence."""
        return re.match(r".*?\.(?= [A-Z\"]|$)", self.text)[0]  # type: ignore[index]

    def check(self, name: str, value: object) -> None:
        """Raise an `OptionError` if the option cannot have this value."""
        if self.choices:
            check_choice(name, value, self.choices)
        if self.bounds is None or value is None:
            return
        least, most = self.bounds
        if not isinstance(value, int | np.integer) or not least <= value <= (most or value):
            expected = f"{least} to {most}" if most else f"{least} up"
            raise OptionError(
                f"{name.replace('_', ' ')} {value!r}: expected a whole number from {expected}"
            )


class PoolingOptions(TypedDict, total=False):
    """What becomes of the map of a layer."""

    pooling: Annotated[
        str,
        Option(
            "avg",
            'How the last map becomes a vector. "none" keeps it: (height, width, channels). '
            '"token" is the class token of a transformer; the others take its patch tokens.',
            choices=POOLINGS,
            group="Network",
        ),
    ]


class LayerOptions(TypedDict, total=False):
    """The layer to read."""

    layer: Annotated[
        str | None,
        Option(
            None,
            "Read this layer instead of the last one; A+B joins two. The vectors of several "
            'layers, such as "conv4_block6_out+conv5_block3_out", are each brought to length 1.',
            metavar="NAME",
            unset="the last one before the classifier",
            group="Network",
        ),
    ]


class ViewOptions(TypedDict, total=False):
    """Augmented views."""

    views: Annotated[
        int,
        Option(
            0,
            "Augmented views of each picture to embed with it: mirrored, tilted, a part of it. "
            "Classifiers learn from them, too; see `Features.views`.",
            bounds=(0, MAX_VIEWS),
            metavar="N",
        ),
    ]


class SizeOptions(TypedDict, total=False):
    """The size of the picture."""

    input_size: Annotated[
        int | None,
        Option(
            None,
            "Side of the square picture that the network sees, in pixels.",
            metavar="PX",
            unset="its own",
            group="Network",
        ),
    ]


class PictureOptions(TypedDict, total=False):
    """Options that change a feature, but for the size of the picture."""

    resize: Annotated[
        str,
        Option(
            "squash",
            'How a picture becomes square. "squash" changes its proportions, "crop" cuts out its '
            "centre, 7/8 of the shorter side, as ImageNet is evaluated, and "
            '"pad" adds black bars.',
            choices=RESIZES,
        ),
    ]
    interpolation: Annotated[
        str,
        Option(
            "bilinear", "The filter of the resizing, as Pillow defines it.", choices=INTERPOLATIONS
        ),
    ]
    decode: Annotated[
        str,
        Option(
            "full",
            "Decode JPEGs in full, or scaled down to no less than twice the input size. "
            '"scaled" decodes to 1/2, 1/4 or 1/8: several times faster for large photographs, at a '
            "feature cosine of about 0.9995.",
            choices=DECODES,
            group="Speed",
        ),
    ]
    precision: Annotated[
        str,
        Option(
            "float32",
            'The numbers that the network computes in. "int8" is two to four times faster than '
            '"float32" on processors with VNNI or AMX, at a feature cosine of about 0.996, and '
            "gives the same values, slowly, on others; a network is calibrated for it once, on up "
            "to 128 of the pictures where featx brings nothing along; fewer than 20 use float32 "
            'and log a warning. "bfloat16" is two to six times faster on processors that have it '
            "(AVX512-BF16, AMX), at a feature cosine of about 0.9998; others use float32 and log a "
            "warning.",
            choices=PRECISIONS,
            group="Speed",
        ),
    ]
    fast: Annotated[
        bool,
        Option(
            False,
            "Both scaled decoding and the quickest precision of the processor, int8 or bfloat16: "
            "several times faster, for nearly the same features.",
            group="Speed",
        ),
    ]
    preprocess: Annotated[
        str | None,
        Option(
            None,
            "What pixels go through before a network in a file, which does not say it itself. A "
            'name, "torch", "clip", "tf", "unit", "caffe", "lite" or "none", or the mean and the '
            'standard deviation of each channel: "0.5,0.5,0.5/0.2,0.2,0.2". Other networks have '
            "their own.",
            metavar="NAME|MEAN/STD",
            unset="that of the JSON file beside it",
            group="Network",
        ),
    ]
    weights: Annotated[
        str | PathLike[str],
        Option(
            "imagenet",
            "Weights of the network: ImageNet's, random ones, a file, or a folder of files under "
            "Keras's names.",
            metavar="imagenet|random|PATH",
            group="Network",
        ),
    ]


class EngineOptions(TypedDict, total=False):
    """Options of what runs a network, which change no feature."""

    engine: Annotated[
        str,
        Option(
            "auto",
            "What runs the network: OpenVINO is the fast one on CPUs, Keras the one on GPUs. "
            'Features are the same to 1e-5. "auto" is OpenVINO on CPUs, and Keras on a GPU or '
            "where KERAS_BACKEND names another backend than TensorFlow.",
            choices=ENGINES,
            group="Speed",
        ),
    ]
    cache: Annotated[
        str | PathLike[str] | bool | None,
        Option(
            None,
            "Folder of the cache, or an address such as s3://bucket/featx, where many machines may "
            "keep features. False keeps no features; networks that were converted for OpenVINO, "
            "and calibrations for int8, are kept all the same, on this machine.",
            metavar="DIR",
            unset="FEATX_CACHE, or the user's cache folder",
            group="Cache",
        ),
    ]
    batch_size: Annotated[
        int | None,
        Option(
            None,
            "Pictures that go through the network at once. No feature depends on it.",
            bounds=(1, None),
            metavar="N",
            unset="what suits the engine",
            group="Speed",
        ),
    ]


class SourceOptions(TypedDict, total=False):
    """Options of what images are worked on, which `ImageFolder.of` takes."""

    root: Annotated[
        str | PathLike[str] | None,
        Option(
            None,
            "Folder in which relative paths of a table or a list begin.",
            metavar="DIR",
            unset="that of the table, or of a list the current one",
        ),
    ]
    path_column: Annotated[
        str, Option("path", "Column of a table that holds the paths.", metavar="NAME")
    ]
    label_column: Annotated[
        str, Option("label", "Column of a table that holds the labels.", metavar="NAME")
    ]
    classes_from: Annotated[
        str,
        Option(
            "first",
            "Folder that is the class, where folders are nested: the first below the one named, "
            "or the last.",
            choices=CLASSES_FROM,
        ),
    ]
    exclude: Annotated[
        str | PathLike[str] | Sequence[str] | None,
        Option(
            None,
            "A file that lists images to leave out, as `featx check --list` writes it. In Python "
            "also a sequence of paths. They are absolute, or relative to the folder.",
            metavar="FILE",
            unset="none",
        ),
    ]


_PROGRESS = Annotated[
    bool,
    Option(True, "Show a progress bar on stderr for work of more than a second.", shell=False),
]


class RunOptions(EngineOptions, SourceOptions, total=False):
    """Options of a run, which change no feature."""

    on_error: Annotated[
        str,
        Option(
            "skip",
            "Leave files that cannot be read out and list them, or stop at the first.",
            choices=ON_ERROR,
        ),
    ]
    progress: _PROGRESS


class RunnerOptions(TypedDict, total=False):
    """Options of where the work is done, which change no feature."""

    runner: Annotated[
        str,
        Option(
            "local",
            'Where the work is done: in this process, or by workers of a Ray cluster. "ray" reads, '
            "decodes and embeds there, and every worker puts its vectors into the cache, which all "
            "of them must reach.",
            choices=RUNNERS,
            group="Ray",
        ),
    ]
    address: Annotated[
        str | None,
        Option(
            None,
            "Address of the Ray cluster, such as head:6379.",
            metavar="ADDR",
            unset="RAY_ADDRESS, or Ray is started on this machine",
            group="Ray",
        ),
    ]
    num_workers: Annotated[
        int | None,
        Option(
            None,
            "Workers of the cluster that hold the network.",
            bounds=(1, None),
            metavar="N",
            unset="one for every 8 cores or each machine, or as many as the GPUs suffice for",
            group="Ray",
        ),
    ]
    num_gpus: Annotated[
        int, Option(0, "GPUs of each such worker.", bounds=(0, None), metavar="G", group="Ray")
    ]


class LabelOptions(PictureOptions, RunOptions, total=False):
    """Options of embedding that `label` takes: the size is that of the classifier."""


class CheckOptions(PictureOptions, EngineOptions, SourceOptions, total=False):
    """Options of embedding that `check` takes: what cannot be read is a finding."""

    progress: _PROGRESS


class TuneOptions(SizeOptions, PictureOptions, RunOptions, total=False):
    """Options of embedding that `tune` takes: poolings and views it searches itself."""


class CompareOptions(LayerOptions, ViewOptions, TuneOptions, total=False):
    """Options of embedding that `compare` takes: of poolings it takes several."""


class EmbedOptions(PoolingOptions, RunnerOptions, CompareOptions, total=False):
    """Every option of embedding."""


class EmbedderOptions(
    PoolingOptions, LayerOptions, SizeOptions, PictureOptions, EngineOptions, total=False
):
    """Options of embedding that `ImageEmbedder` takes: one row for each image."""


@functools.cache  # reading hints takes milliseconds
def options_of(kind: type) -> dict[str, Option]:
    """Return the options that a class of them states, by name."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        name: each
        for name, hint in hints.items()
        for each in get_args(hint)
        if isinstance(each, Option)
    }


OPTIONS = options_of(EmbedOptions)
LABEL_RESIZE = replace(OPTIONS["resize"], default="crop")  # as its networks are evaluated
_TYPES = get_type_hints(EmbedOptions)


def type_of(name: str) -> Any:
    """Return the type of an option, such as `int | None`."""
    return _TYPES[name]


def refuse_options(given: Mapping[str, object]) -> None:
    """Raise an `OptionError` for options that are given beside features."""
    if given:
        raise OptionError(f"features are embedded already: {', '.join(given)} would change nothing")


def settle(given: Mapping[str, Any]) -> EmbedOptions:
    """Check options and fill in what was not given; what is settled already stays as it is.

    `fast` becomes `decode` and `precision`, and stays: where int8 cannot be calibrated, it means
    the next quickest. The precision is one that this machine computes in.
    """
    settled: Any = {name: option.default for name, option in OPTIONS.items()}
    settled.update(given)
    for name, option in OPTIONS.items():
        option.check(name, settled[name])
    if settled["fast"]:
        settled |= {"decode": "scaled", "precision": quickest_precision(settled["engine"])}
    settled["precision"] = settle_precision(settled["precision"], settled["engine"])
    result: EmbedOptions = settled
    return result


def options_in(kind: type, given: Mapping[str, Any]) -> Any:
    """Return those of given options that a class of them states."""
    return {name: given[name] for name in options_of(kind) if name in given}


def takes(kind: type, **changed: Option) -> Callable[[Callable_], Callable_]:
    """Show a class of options, perhaps changed, where people look for what a function takes.

    They replace `**options` in its signature and, where that says "**options : expanded", in its
    documentation. Any other option is a `TypeError`, as if they were spelled out.
    """

    def documented(target: Callable_) -> Callable_:
        options = options_of(kind) | changed
        function: Any = target.__init__ if isinstance(target, type) else target  # type: ignore[misc]
        signature = inspect.signature(function)
        own = [
            parameter
            for name, parameter in signature.parameters.items()
            if name not in options and parameter.kind is not parameter.VAR_KEYWORD
        ]
        named = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option.default)
            for name, option in options.items()
        ]
        known = [*(parameter.name for parameter in own), *options]

        @functools.wraps(function)
        def checked(*arguments: Any, **given: Any) -> Any:
            for name in given:
                if name not in known:
                    raise TypeError(_unknown(name, target.__name__, known))
            return function(*arguments, **given)

        checked.__signature__ = signature.replace(parameters=[*own, *named])  # type: ignore[attr-defined]
        documented: Any = checked
        if isinstance(target, type):
            target.__init__ = checked  # type: ignore[misc]
            documented = target
        documented.__doc__ = _EXPANDED.sub(
            lambda match: _documentation(options, match["indent"]), target.__doc__ or ""
        )
        return documented  # type: ignore[no-any-return]

    return documented


def _unknown(name: str, function: str, known: Sequence[str]) -> str:
    """Say that a function has no option of this name, and what may be meant."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.8 if name in OPTIONS else 0.6)
    hint = f"did you mean {near[0]!r}?" if near else ""
    if not near and name in OPTIONS:
        hint = f"it is an option of embed, not of {function}"
    return f"{function}() got an unexpected keyword argument {name!r}{hint and '; '}{hint}"


_EXPANDED = re.compile(r"^(?P<indent> *)\*\*options : expanded\n(?:(?P=indent) +\S.*\n)*", re.M)


def _documentation(options: Mapping[str, Option], indent: str) -> str:
    """Write the numpydoc entries of options."""
    lines = []
    for name, option in options.items():
        default = "optional" if option.default is None else f"default={option.default!r}"
        lines.append(f"{name} : {_type_text(name, option)}, {default}".replace("'", '"'))
        unset = f" By default {option.unset}." if option.unset else ""
        lines += [f"    {line}" for line in textwrap.wrap(option.text + unset, 92)]
    return "".join(f"{indent}{line}\n" for line in lines)


def _type_text(name: str, option: Option) -> str:
    """Write the type of an option as numpydoc does: `str or path`."""
    if option.choices:
        return f"{{{', '.join(map(repr, option.choices))}}}"
    hint = type_of(name)
    kinds = [
        getattr(get_origin(each), "__name__", each.__name__) for each in get_args(hint) or [hint]
    ]
    plain = {"PathLike": "path", "Sequence": "sequence"}
    *names, last = [plain.get(kind, kind) for kind in kinds if kind != "NoneType"]
    return f"{', '.join(names)} or {last}" if names else last
