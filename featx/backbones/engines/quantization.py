"""Quantization of converted networks to int8: measured once with NNCF, done without it.

NNCF is OpenVINO's library for that. It is asked for the ranges of activations, for what corrects
biases, and for which weights are rounded; from these numbers, a `Calibration`, the same quantized
network is made on any machine.

Weights are rounded to -127 to 127 in all layers. Sums of such products overflow on a processor
without VNNI or AMX; the same network, rounding included, is made of float32 operations there.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.backbones.calibration import (
    ActivationRange,
    BiasCorrection,
    Calibration,
    Kernel,
    Place,
)
from featx.backbones.calibration_settings import CalibrationSettings, settings_for
from featx.backbones.engines.conversion import converted, float_network, kept, settings_of
from featx.backbones.engines.engine import EngineRequest, network_input
from featx.backbones.engines.operations import (
    WEIGHTED,
    Operations,
    attends,
    constant,
    leading,
    trailing,
)
from featx.backbones.framework import import_openvino, without_reports
from featx.errors import ConversionError, MissingPackageError, one_line
from featx.forks import starting

if TYPE_CHECKING:
    import openvino

QUANTIZATION_VERSION = 1  # raise it where a change below changes a quantized network
_LARGEST = 127  # of rounded weights
_MISSING = (
    'calibrating a network for int8 needs nncf, which is not installed: pip install "featx[int8]"'
)
_COMPARED = 32  # pictures whose features in int8 are compared with those in float32


def quantized_network(
    request: EngineRequest, *, natively: bool
) -> tuple[openvino.Model, Path | None]:
    """Return the network of a request in int8, from the cache or quantized now, and its folder.

    See `quantized`, and `featx.backbones.engines.conversion.converted`. A backbone without a
    calibration, or with another than the cut names, raises `ConversionError`.
    """
    backbone, calibration = request.backbone, request.backbone.calibration
    if calibration is None or request.cut.calibration not in (None, calibration.digest):
        raise ConversionError(
            f"the calibration of {backbone.name} for int8 is missing: calibrate it on pictures"
        )
    settings = {
        **settings_of(request),
        "precision": "int8" if natively else "int8, computed in float32",
        "calibration": calibration.digest,
        "quantization": QUANTIZATION_VERSION,
    }

    def make() -> openvino.Model:
        return quantized(converted(request)[0], calibration, natively=natively)

    return kept(request.cache, settings, make)


def greatest_sums() -> tuple[openvino.Model, np.ndarray, np.ndarray]:
    """Return a layer of the greatest numbers of int8, what it takes, and what it has to give."""
    openvino, channels = import_openvino(), 64
    opset = openvino.opset14
    entry = opset.parameter([1, channels, 4, 4], np.float32)
    place = Place("Convolution", 0, 0)
    kernels = np.full((channels, channels, 1, 1), _LARGEST, np.float32)
    layer = opset.convolution(entry, kernels, [1, 1], [0, 0], [0, 0], [1, 1])
    calibration = Calibration(
        *("sums", "", None, 4, 0),
        ranges=(ActivationRange((place,), np.zeros(1, "f4"), np.full(1, 255, "f4"), 256),),
        kernels=(Kernel(Place("Convolution", 0, 1), kernels.shape, (0,)),),
    )
    network = quantized(openvino.Model([layer], [entry]), calibration)
    pixels = np.full((1, channels, 4, 4), 255, np.float32)
    return network, pixels, np.full_like(pixels, channels * 255 * _LARGEST)


def calibrate(
    request: EngineRequest, pictures: np.ndarray, settings: CalibrationSettings | None = None
) -> Calibration:
    """Measure on pictures what quantizes a network; the same pictures give the same numbers.

    It holds for every pooling: the network is quantized up to the layer that is read. Its settings
    say how near features then are to those in float32, by the mean "cosine" of some pictures.

    Parameters
    ----------
    request : EngineRequest
        The network and its layer; poolings, precision and batch size play no part.
    pictures : ndarray of shape (n, size, size, 3), uint8
        RGB, 0 to 255, as the network will see them.
    settings : CalibrationSettings, optional
        How it is measured; by default what suits the network.

    Raises
    ------
    MissingPackageError
        NNCF is not installed.
    ConversionError
        The network cannot be converted or quantized.
    """
    backbone, cut = request.backbone, request.cut
    nncf = import_nncf()
    # Poolings would be quantized, too, and differently where there are two.
    network = float_network(replace(request, poolings=("none",), progress=False))
    settings = settings or settings_for(backbone.name)
    pixels = network_input(backbone, pictures)
    left_out = _left_out(network, settings, ending=not backbone.joins_poolings(cut.layer))
    measured = _measured(nncf, network, settings, left_out, pixels)
    before, after = Operations(network), Operations(measured)
    ranges, kernels = _rounded_by(after)
    calibration = Calibration(
        network=backbone.name,
        weights=backbone.digest,
        layer=cut.layer,
        input_size=request.input_size,
        n_pictures=len(pictures),
        settings={**settings.to_dict(), "nncf": nncf.__version__},
        ranges=tuple(ranges),
        kernels=tuple(kernels),
        corrections=tuple(_corrections(before, after)),
    )
    cosine = _cosine(network, quantized(network, calibration, natively=False), pixels[:_COMPARED])
    return replace(calibration, settings={**calibration.settings, "cosine": cosine})


def _cosine(network: openvino.Model, another: openvino.Model, pixels: np.ndarray) -> float:
    """Return the mean cosine of what two networks give, averaged over positions."""
    core, vectors = import_openvino().Core(), []
    for each in (network, another):
        compiled = core.compile_model(each, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        given = np.concatenate([compiled([pixels[i : i + 1]])[0] for i in range(len(pixels))])
        rows = given.reshape(len(given), -1, given.shape[-1]).mean(axis=1)
        vectors.append(rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-30))
    return round(float((vectors[0] * vectors[1]).sum(axis=1).mean()), 3)


def quantized(
    network: openvino.Model, calibration: Calibration, *, natively: bool = True
) -> openvino.Model:
    """Quantize a network by what was measured, without NNCF.

    Parameters
    ----------
    network : openvino.Model
        A converted float network; it stays as it is.
    calibration : Calibration
        What was measured on it, with whatever poolings.
    natively : bool, default=True
        Whether the processor multiplies bytes without overflow. Else the network computes the same
        in float32, but for rounding.

    Raises
    ------
    ConversionError
        The calibration is one of another network.
    """
    network = network.clone()
    operations = Operations(network)
    change = _Change(import_openvino().opset14, operations, calibration, natively)
    try:
        change.make()
        network.validate_nodes_and_infer_types()
    except RuntimeError as error:  # ranges of another number of channels
        if isinstance(error, ConversionError):
            raise
        raise change.misfit(one_line(error)) from error
    return network


def _is_fused(
    each: ActivationRange, operations: Operations, ranges: tuple[ActivationRange, ...]
) -> bool:
    """Whether a range only serves the sum of two branches, directly behind a layer with weights.

    OpenVINO computes such a sum within the layer. In int8 it then clips to the range, and rounds
    the sum alone, where that is rounded. Where both branches end in such layers, that is so for the
    first.
    """
    place = each.before[0]
    if len(each.before) > 1 or place.kind != "Add":
        return False
    branches = [operations.at(Place("Add", place.order, port)) for port in (0, 1)]
    kinds = [operations.behind(target) for target in branches if target is not None]
    first = next((port for port, kind in enumerate(kinds) if kind in WEIGHTED), None)
    if place.port != first or None in kinds:
        return False
    return _is_rounded(operations.of_kind("Add", place.order)[0], operations, ranges)


def _is_rounded(node: Any, operations: Operations, ranges: tuple[ActivationRange, ...]) -> bool:
    """Whether all that takes what an operation gives, or its activation, takes it rounded."""
    takers = operations.takers(node.output(0), through=True)
    if takers and any(set(takers) <= set(each.before) for each in ranges):
        return True
    if len(takers) != 1:
        return False
    activation = operations.of_kind(takers[0].kind, takers[0].order)[0]
    return activation.get_input_size() == 1 and _is_rounded(activation, operations, ranges)


@dataclass(frozen=True)
class _Change:
    """The changes that make a float network a quantized one."""

    opset: Any
    operations: Operations
    calibration: Calibration
    natively: bool

    def misfit(self, reason: str) -> ConversionError:
        """Return the error for a calibration of another network."""
        return ConversionError(
            f"the calibration of {self.calibration.network} does not fit this network "
            f"({reason}); calibrate again"
        )

    def make(self) -> None:
        """Make all changes of the calibration."""
        for kernel in self.calibration.kernels:
            self.round_weights(kernel)
        for correction in self.calibration.corrections:
            self.correct_bias(correction)
        ranges = self.calibration.ranges
        fused = [not self.natively and _is_fused(each, self.operations, ranges) for each in ranges]
        for each, is_clipped in zip(ranges, fused, strict=True):
            self.round_activations(each, is_clipped)

    def round_weights(self, kernel: Kernel) -> None:
        """Put whole numbers, and their scales, in place of weights."""
        target = self._at(kernel.at)
        weights = self._constant(target, kernel.shape)
        rounded, scales = _rounded(weights, kernel.axes)
        if self.natively:
            whole = self.opset.convert(self.opset.constant(rounded), "f32")
            scaled = self.opset.multiply(whole, self.opset.constant(scales))
        else:
            scaled = self.opset.constant(rounded.astype(np.float32) * scales)
        target.replace_source_output(scaled.output(0))

    def correct_bias(self, correction: BiasCorrection) -> None:
        """Put a corrected bias in place of one."""
        target = self._at(correction.at)
        bias = self._constant(target, correction.values.shape)
        corrected = self.opset.constant(bias + correction.values)
        target.replace_source_output(corrected.output(0))

    def round_activations(self, each: ActivationRange, is_clipped: bool) -> None:
        """Round what some inputs take; those that take the same share the operation."""
        made: dict[tuple[str, int], Any] = {}
        for target in [self._at(place) for place in each.before]:
            source = target.get_source_output()
            key = source.get_node().get_name(), source.get_index()
            if key not in made:
                limited = self._limited(source, each, is_clipped).output(0)
                shape = source.get_partial_shape()
                too_many = shape.rank.is_static and each.low.ndim > len(shape)
                if too_many or limited.get_partial_shape() != shape:
                    raise self.misfit(f"{target.get_node().get_type_name()} takes {shape}")
                made[key] = limited
            target.replace_source_output(made[key])

    def _limited(self, source: Any, each: ActivationRange, is_clipped: bool) -> Any:
        opset = self.opset
        low, high = opset.constant(each.low), opset.constant(each.high)
        if self.natively:
            return opset.fake_quantize(source, low, high, low, high, each.levels)
        limited = opset.minimum(opset.maximum(source, low), high)
        if is_clipped:
            return limited
        step = opset.constant((each.high - each.low) / np.float32(each.levels - 1))
        whole = opset.round(opset.divide(opset.subtract(limited, low), step), "half_to_even")
        return opset.add(opset.multiply(whole, step), low)

    def _at(self, place: Place) -> Any:
        if (found := self.operations.at(place)) is None:
            raise self.misfit(f"there is no {place}")
        return found

    def _constant(self, target: Any, shape: tuple[int, ...]) -> np.ndarray:
        values = constant(target.get_source_output())
        if values is None or values.shape != shape:
            got = "none" if values is None else values.shape
            name = target.get_node().get_type_name()
            raise self.misfit(f"{name} with numbers of shape {got}, not {shape}")
        return values


def _rounded(weights: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Round weights to whole numbers, and return these and the step of each channel.

    The steps are NNCF's, and so is the order of the float32 operations, as ties depend on it.
    """
    others = tuple(axis for axis in range(weights.ndim) if axis not in axes)
    largest = np.abs(weights).max(axis=others, keepdims=True)
    least = np.maximum(largest.max() * np.float32(0.01), np.float32(8e-5))
    largest = np.maximum(largest, least)  # channels of nearly nothing share a step
    width, steps = largest + largest, np.float32(2 * _LARGEST)
    rounded = np.rint((weights + largest) / width * steps) - _LARGEST
    return rounded.astype(np.int8), width / steps


# -- What NNCF finds -------------------------------------------------------------------------------


def _measured(
    nncf: Any,
    network: openvino.Model,
    settings: CalibrationSettings,
    left_out: list[str],
    pixels: np.ndarray,
) -> openvino.Model:
    """Let NNCF quantize a network, on its inputs for some pictures."""
    from nncf.quantization import advanced_parameters as advanced
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    network.reshape([1, *pixels.shape[1:]])  # some networks take no more at once
    operations = Operations(network)
    # So NNCF leaves normalisations float, also those that are written out, as Keras's layers are:
    # small variances would be rounded to 0, and they are divided by.
    careful = attends(operations) or bool(operations.of_kind("SquaredDifference"))
    parameters = advanced.AdvancedQuantizationParameters(
        overflow_fix=advanced.OverflowFix.DISABLE,
        smooth_quant_alphas=advanced.AdvancedSmoothQuantParameters(convolution=-1, matmul=-1),
        backend_params={"compress_weights": False},
    )
    if settings.range_estimator != "default":
        estimator = getattr(RangeEstimatorParametersSet, settings.range_estimator.upper())
        parameters.activations_range_estimator_params = estimator
    try:
        with quiet_nncf():
            return nncf.quantize(
                network,
                nncf.Dataset([pixels[i : i + 1] for i in range(len(pixels))]),
                preset=nncf.QuantizationPreset(settings.preset),
                model_type=nncf.ModelType.TRANSFORMER if careful else None,
                subset_size=len(pixels),
                fast_bias_correction=True,
                ignored_scope=nncf.IgnoredScope(names=left_out),
                advanced_parameters=parameters,
            )
    except Exception as error:  # whatever NNCF meets in a network of the user's own
        raise ConversionError(f"the network cannot be quantized: {one_line(error)}") from error


def _left_out(network: openvino.Model, settings: CalibrationSettings, *, ending: bool) -> list[str]:
    """Name the operations that stay float: those that prepare pixels, and those of the settings.

    With `ending` also those behind the last weights, where a network that pools itself does so.
    """
    operations = Operations(network)
    nodes = leading(operations)
    for kind, order in settings.left_out:
        nodes += operations.of_kind(kind, order)  # none, where it is cut before
    if ending:
        nodes += trailing(operations)
    return sorted({node.get_friendly_name() for node in nodes})


def _rounded_by(measured: Operations) -> tuple[list[ActivationRange], list[Kernel]]:
    """Read off a network that NNCF quantized what it rounds."""
    ranges: list[ActivationRange] = []
    kernels: list[Kernel] = []
    for node in measured.nodes:
        if node.get_type_name() != "FakeQuantize":
            continue
        low, high, *out = (constant(node.input_value(port)) for port in range(1, 5))
        if low is None or high is None or not _same((low, high), out):
            raise ConversionError("NNCF quantizes in a way that is not known here; update featx")
        weights = constant(node.input_value(0))
        places = measured.takers(node.output(0), through=weights is None and low.size == 1)
        if weights is not None:
            axes = tuple(axis for axis, size in enumerate(low.shape) if size > 1)
            kernels += [Kernel(place, weights.shape, axes) for place in places]
        elif places and (low < high).all():  # not of what is the same in every picture
            levels = node.get_attributes()["levels"]
            ranges.append(ActivationRange(tuple(places), low, high, levels))
    return ranges, kernels


def _same(some: Any, others: Any) -> bool:
    pairs = zip(some, others, strict=True)
    return all(np.array_equal(each, other) for each, other in pairs)


def _corrections(network: Operations, measured: Operations) -> Iterator[BiasCorrection]:
    """Give the differences between the biases of two networks."""
    for node, other in zip(network.counted(), measured.counted(), strict=True):
        for port in range(node.get_input_size()) if node.get_type_name() == "Add" else ():
            before = constant(node.input_value(port))
            after = constant(other.input_value(port))
            if before is not None and after is not None and not np.array_equal(before, after):
                yield BiasCorrection(network.place_of(node.input(port)), after - before)


def require_nncf() -> None:
    """Raise a `MissingPackageError` unless NNCF is installed; it is not imported for that."""
    if importlib.util.find_spec("nncf") is None:
        raise MissingPackageError(_MISSING)


def import_nncf() -> Any:
    """Import NNCF, without what it logs, and without the report of its use to its makers."""
    logger_class = logging.getLoggerClass()
    with starting, without_reports():
        try:
            import nncf
        except ImportError as error:
            raise MissingPackageError(_MISSING) from error
        finally:
            logging.setLoggerClass(logger_class)  # it makes all loggers of the process its own
    logging.getLogger("nncf").setLevel(logging.ERROR)  # and not the handlers, which others share
    return nncf


@contextlib.contextmanager
def quiet_nncf() -> Iterator[None]:
    """Keep bars and warnings of NNCF off the screen."""
    import rich

    console = rich.get_console()
    usual = vars(console).copy()
    rich.reconfigure(file=io.StringIO(), quiet=True, force_terminal=False, force_jupyter=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        vars(console).update(usual)
