"""Reversals are computed as slices, with the same values to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from featx.backbones.engines.reversal import quicken_reversals
from featx.backbones.framework import import_openvino


def network_of(lengths):
    """Return a network that reverses the channels of its pixels, as many as `lengths` says."""
    openvino = import_openvino()
    opset13 = openvino.opset13
    pixels = opset13.parameter([2, 3, 4, 4], np.float32)
    shape = opset13.shape_of(pixels)
    if lengths == "all":  # as OpenVINO converts `keras.ops.flip`
        zero, first = opset13.constant(0), opset13.constant([0])
        lengths = opset13.broadcast(
            opset13.gather(shape, opset13.constant([1]), zero), opset13.gather(shape, first, zero)
        )
    turned = opset13.reverse_sequence(pixels, lengths, batch_axis=0, seq_axis=1)
    weights = np.random.default_rng(0).random((5, 3, 3, 3), np.float32)
    output = opset13.convolution(turned, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    return openvino.Model([output], [pixels])


def run(network):
    pixels = np.random.default_rng(1).random((2, 3, 4, 4), np.float32)
    return import_openvino().Core().compile_model(network, "CPU")([pixels])[0]


def kinds_of(network):
    return [node.get_type_name() for node in network.get_ops()]


@pytest.mark.parametrize("lengths", ["all", [3, 3]])
def test_a_reversal_of_all_channels_becomes_a_slice_and_no_value_changes(lengths):
    network = network_of(lengths)
    expected = run(network)
    assert quicken_reversals(network)
    assert "ReverseSequence" not in kinds_of(network)
    assert np.array_equal(run(network), expected)


def test_a_reversal_of_some_channels_stays_as_it_is():
    network = network_of([3, 2])
    assert not quicken_reversals(network)
    assert kinds_of(network) == kinds_of(network_of([3, 2]))


def test_a_network_without_a_reversal_stays_as_it_is():
    network = network_of("all")
    quicken_reversals(network)
    kinds = kinds_of(network)
    assert not quicken_reversals(network)
    assert kinds_of(network) == kinds
