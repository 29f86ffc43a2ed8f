"""The table of engines, and the choice among them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from featx.backbones.calibration import Calibration
from featx.backbones.engines.engine import Engine, EngineRequest
from featx.backbones.framework import has_gpu, imported, keras_backend
from featx.backbones.kinds import OPENVINO, PIXELS
from featx.backbones.network import PRECISIONS
from featx.errors import ConversionError, OptionError, check_choice, get_logger
from featx.forks import in_child, never_free, starting

log = get_logger(__name__)


@dataclass(frozen=True)
class EngineSpec:
    """An engine: what it runs, when it is chosen, and what it computes in."""

    name: str
    builder: str | Callable[[EngineRequest], Engine]  # "module:callable"
    suits: Callable[[], bool]  # whether "auto" may choose it on this machine
    computes_in: Callable[[str], bool]  # whether this machine does so natively, by precision
    kinds: tuple[str, ...] = ("keras", OPENVINO)  # of networks
    calibrator: str | Callable[[EngineRequest, np.ndarray], Calibration] | None = None  # for int8
    require_calibrator: Callable[[], None] = lambda: None  # raises where it lacks something
    preparer: str | Callable[[EngineRequest], list[Path]] | None = None  # of what it keeps on disk


def _computes_in_bfloat16() -> bool:
    return bool(imported("featx.backbones.engines.openvino:computes_in_bfloat16")())


def _computes_in_int8() -> bool:
    return bool(imported("featx.backbones.engines.openvino:computes_in_int8")())


#: "auto" takes the first that suits.
_ENGINES = [
    EngineSpec(
        "openvino",
        "featx.backbones.engines.openvino:OpenVINOEngine",
        suits=lambda: keras_backend() == "tensorflow" and not has_gpu(),
        computes_in=lambda precision: (
            precision == "float32"
            or (_computes_in_int8() if precision == "int8" else _computes_in_bfloat16())
        ),
        calibrator="featx.backbones.engines.quantization:calibrate",
        require_calibrator=lambda: imported("featx.backbones.engines.quantization:require_nncf")(),
        preparer="featx.backbones.engines.openvino:prepared",
    ),
    EngineSpec(
        "keras",
        "featx.backbones.engines.keras:KerasEngine",
        suits=lambda: True,
        computes_in=lambda precision: (
            precision == "float32"
            or (precision == "bfloat16" and (has_gpu() or _computes_in_bfloat16()))
        ),
        kinds=("keras",),
    ),
    EngineSpec(
        PIXELS,
        "featx.backbones.engines.pixels:PixelEngine",
        suits=lambda: True,
        computes_in=lambda precision: precision == "float32",
        kinds=(PIXELS,),
    ),
]
_QUICKEST = ("int8", "bfloat16")  # where a processor computes in all of them
_KEPT_OPEN = 4
_open: OrderedDict[tuple[EngineRequest, str], Engine] = OrderedDict()  # the last used is the last
ENGINES = ("auto", *(spec.name for spec in _ENGINES if PIXELS not in spec.kinds))


@contextmanager
def registered(spec: EngineSpec) -> Iterator[EngineSpec]:
    """Offer a further engine, before all others, within the block."""
    _ENGINES.insert(0, spec)
    close_engines()
    try:
        yield spec
    finally:
        _ENGINES.remove(spec)
        close_engines()


def engines_for(
    kind: str = "keras", engine: str = "auto", precision: str = "float32"
) -> list[EngineSpec]:
    """List the engines to try for a kind of network, the first choice first.

    "auto" is Keras on a GPU, and where Keras was told to run on JAX or PyTorch; else OpenVINO, and
    Keras for what OpenVINO does not know. In int8 it is OpenVINO everywhere: no other quantizes. A
    kind that one engine alone runs is left to that.
    """
    check_choice("engine", engine, ENGINES)
    able = [
        spec for spec in _ENGINES if kind in spec.kinds and (spec.calibrator or precision != "int8")
    ]
    named = [spec for spec in able if spec.name == engine]
    return named or [spec for spec in able if spec.suits()] or able


def settle_precision(precision: str, engine: str = "auto") -> str:
    """Return the precision that this machine computes in when asked for `precision`.

    "bfloat16" needs a processor that computes in it natively; elsewhere a warning is logged and
    "float32" returned. "int8" gives the same values everywhere, fast or not, but not on Keras: that
    engine beside it is an `OptionError`.
    """
    check_choice("precision", precision, PRECISIONS)
    if precision == "int8":
        able = [spec.name for spec in engines_for(engine=engine, precision=precision)]
        if engine not in ("auto", *able):
            raise OptionError(
                f"the engine {engine} does not compute in int8, OpenVINO does: take engine "
                "'openvino' or 'auto', or another precision"
            )
        return precision
    if precision == "float32" or engines_for(engine=engine)[0].computes_in(precision):
        return precision
    log.warning("this processor does not compute in %s: float32 is used instead", precision)
    return "float32"


def quickest_precision(engine: str = "auto", *, kind: str = "keras", but: str | None = None) -> str:
    """Return the quickest precision that this machine computes in natively, all `but` one.

    `kind` is that of the network.
    """
    spec = engines_for(kind, engine)[0]
    known = (each for each in _QUICKEST if spec.calibrator or each != "int8")
    able = (each for each in known if each != but and spec.computes_in(each))
    return next(able, "float32")


def require_calibrator(kind: str = "keras", engine: str = "auto") -> None:
    """Raise a `MissingPackageError` where what calibrates a kind of network is not installed."""
    engines_for(kind, engine, "int8")[0].require_calibrator()


def calibrate(request: EngineRequest, pictures: np.ndarray, engine: str = "auto") -> Calibration:
    """Measure on pictures what a network needs to be computed in int8.

    Parameters
    ----------
    request : EngineRequest
        The network and its layer.
    pictures : ndarray of shape (n, size, size, 3), uint8
        RGB, 0 to 255, as the network will see them.
    engine : str
        What will run it.

    Raises
    ------
    OptionError
        What measures is not installed.
    ConversionError
        The network cannot be converted or quantized.
    """
    calibrator = engines_for(request.backbone.kind, engine, "int8")[0].calibrator
    measure = imported(calibrator) if isinstance(calibrator, str) else calibrator
    assert measure is not None
    calibration: Calibration = measure(request, pictures)
    return calibration


def open_engine(request: EngineRequest, engine: str = "auto") -> Engine:
    """Make a network ready to run, by the first of `engines_for` that can.

    The last few engines stay open, so that a session which embeds picture by picture does this
    once. Any number of threads may ask; one at a time opens an engine. `ConversionError` is raised
    where the network cannot be converted for the one engine there is to try.
    """
    asked = request, engine
    if (opened := _open.get(asked)) is None:
        with starting:
            opened = _open.get(asked) or _opened(request, engine)
            _open[asked] = opened
            if len(_open) > _KEPT_OPEN:
                _open.popitem(last=False)
    with suppress(KeyError):  # another thread opened so many meanwhile
        _open.move_to_end(asked)
    return opened


def prepare(request: EngineRequest, engine: str = "auto") -> list[Path]:
    """Make what an engine keeps of a network on the disk, and return the folders of it.

    With copies of them in a cache, the engine is opened without what the network was made of. There
    are none where the engine keeps nothing, or cannot convert the network.
    """
    spec = engines_for(request.backbone.kind, engine, request.cut.precision)[0]
    if spec.preparer is None:
        return []
    make = imported(spec.preparer) if isinstance(spec.preparer, str) else spec.preparer
    try:
        with starting:
            folders: list[Path] = make(request)
    except ConversionError as error:  # opening the engine tells it, or another one runs it
        log.info("%s is not prepared: %s", request.backbone.name, error)
        return []
    return folders


def close_engines() -> None:
    """Forget the engines that are open; those at work go on."""
    _open.clear()


def _opened(request: EngineRequest, engine: str) -> Engine:
    specs = engines_for(request.backbone.kind, engine, request.cut.precision)
    for spec, following in zip_longest(specs, specs[1:]):
        build = imported(spec.builder) if isinstance(spec.builder, str) else spec.builder
        try:
            start = time.perf_counter()
            opened: Engine = build(request)
            seconds = time.perf_counter() - start
            log.info("%s runs on %s, opened in %.1f s", request.backbone.name, spec.name, seconds)
            return opened
        except ConversionError as error:
            if following is None:
                raise
            log.warning("%s; the engine %s runs it, which is slower", error, following.name)
    raise AssertionError(f"no engine runs networks of the kind {request.backbone.kind!r}")


@in_child
def _leave_engines() -> None:
    """Leave the engines that are open to the parent process: their threads are there."""
    for engine in _open.values():
        never_free(engine)
    close_engines()
