"""The table of engines, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest

from featx.backbones.engines.engine import Engine, EngineRequest
from featx.backbones.framework import has_gpu, imported, keras_backend
from featx.backbones.kinds import PIXELS
from featx.backbones.network import PRECISIONS
from featx.errors import ConversionError, check_choice, get_logger

log = get_logger(__name__)


@dataclass(frozen=True)
class EngineSpec:
    """An engine: what it runs, when it is chosen, and what it computes in."""

    name: str
    builder: str | Callable[[EngineRequest], Engine]  # "module:callable"
    suits: Callable[[], bool]  # whether "auto" may choose it on this machine
    computes_in: Callable[[str], bool]  # whether this machine does so natively, by precision
    kinds: tuple[str, ...] = ("keras",)  # of networks


def _computes_in_bfloat16() -> bool:
    return bool(imported("featx.backbones.engines.openvino:computes_in_bfloat16")())


#: "auto" takes the first that suits.
_ENGINES = [
    EngineSpec(
        "openvino",
        "featx.backbones.engines.openvino:OpenVINOEngine",
        suits=lambda: keras_backend() == "tensorflow" and not has_gpu(),
        computes_in=lambda precision: precision == "float32" or _computes_in_bfloat16(),
    ),
    EngineSpec(
        "keras",
        "featx.backbones.engines.keras:KerasEngine",
        suits=lambda: True,
        computes_in=lambda precision: (
            precision == "float32" or has_gpu() or _computes_in_bfloat16()
        ),
    ),
    EngineSpec(
        PIXELS,
        "featx.backbones.engines.pixels:PixelEngine",
        suits=lambda: True,
        computes_in=lambda precision: precision == "float32",
        kinds=(PIXELS,),
    ),
]
ENGINES = ("auto", *(spec.name for spec in _ENGINES if PIXELS not in spec.kinds))


@contextmanager
def registered(spec: EngineSpec) -> Iterator[EngineSpec]:
    """Offer a further engine, before all others, within the block."""
    _ENGINES.insert(0, spec)
    open_engine.cache_clear()
    try:
        yield spec
    finally:
        _ENGINES.remove(spec)
        open_engine.cache_clear()


def engines_for(kind: str = "keras", engine: str = "auto") -> list[EngineSpec]:
    """List the engines to try for a kind of network, the first choice first.

    "auto" is Keras on a GPU, and where Keras was told to run on JAX or PyTorch; else OpenVINO, and
    Keras for what OpenVINO does not know.
    """
    check_choice("engine", engine, ENGINES)
    able = [spec for spec in _ENGINES if kind in spec.kinds]
    return [spec for spec in able if spec.name == engine] or [spec for spec in able if spec.suits()]


def settle_precision(precision: str, engine: str = "auto") -> str:
    """Return the precision that this machine computes in when asked for `precision`.

    "bfloat16" needs a processor that computes in it natively; elsewhere a warning is logged and
    "float32" returned.
    """
    check_choice("precision", precision, PRECISIONS)
    if precision == "float32" or engines_for(engine=engine)[0].computes_in(precision):
        return precision
    log.warning("this processor does not compute in %s: float32 is used instead", precision)
    return "float32"


@lru_cache(maxsize=4)
def open_engine(request: EngineRequest, engine: str = "auto") -> Engine:
    """Make a network ready to run, by the first of `engines_for` that can.

    The last few engines stay open, so that a session which embeds picture by picture does this
    once. `ConversionError` is raised where the network cannot be converted for the one engine there
    is to try.
    """
    specs = engines_for(request.backbone.kind, engine)
    for spec, following in zip_longest(specs, specs[1:]):
        build = imported(spec.builder) if isinstance(spec.builder, str) else spec.builder
        try:
            opened: Engine = build(request)
            return opened
        except ConversionError as error:
            if following is None:
                raise
            log.warning("%s; the engine %s runs it, which is slower", error, following.name)
    raise AssertionError(f"no engine runs networks of the kind {request.backbone.kind!r}")
