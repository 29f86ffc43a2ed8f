"""Operations of a converted network, by kind and order: their names vary with the session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from featx.backbones.calibration import Place

#: These change no value, and their number varies with the version of the converter.
LAYOUT = frozenset({"Transpose", "Reshape", "Squeeze", "Unsqueeze"})
_UNCOUNTED = LAYOUT | {"Constant", "Convert", "FakeQuantize", "Parameter", "Result"}
WEIGHTED = frozenset(
    {
        *("Convolution", "GroupConvolution", "MatMul"),
        *("ConvolutionBackpropData", "GroupConvolutionBackpropData"),
    }
)


class Operations:
    """The operations that a network computes its output with.

    They are in the order in which a walk from the output back to the input leaves them, so that
    operations which are put behind the output change the order of none.
    """

    def __init__(self, network: Any) -> None:
        self.nodes = _walked(network.get_results()[0])
        self._kinds: dict[str, tuple[str, int]] = {}  # by the name, which is unique in a network
        counts: Counter[str] = Counter()
        for node in self.nodes:
            kind = node.get_type_name()
            if kind not in _UNCOUNTED:
                self._kinds[node.get_name()] = kind, counts[kind]
                counts[kind] += 1
        self._nodes = {self._kinds[node.get_name()]: node for node in self.counted()}

    def counted(self) -> Iterator[Any]:
        """Give the operations that have a place."""
        return (node for node in self.nodes if node.get_name() in self._kinds)

    def of_kind(self, kind: str, order: int | None = None) -> list[Any]:
        """List the operations of a kind, or the one of that order."""
        return [
            node
            for (each, number), node in self._nodes.items()
            if each == kind and order in (None, number)
        ]

    def place_of(self, target: Any) -> Place:
        """Return the place of an input of an operation."""
        kind, order = self._kinds[target.get_node().get_name()]
        return Place(kind, order, target.get_index())

    def at(self, place: Place) -> Any | None:
        """Return the input at a place; None where there is none."""
        node = self._nodes.get((place.kind, place.order))
        return node.input(place.port) if node and place.port < node.get_input_size() else None

    def behind(self, target: Any) -> str | None:
        """Return the kind of operation whose output, perhaps with a bias, an input takes.

        None for constants.
        """
        node = target.get_source_output().get_node()
        while node.get_type_name() in LAYOUT:
            node = node.input_value(0).get_node()
        if node.get_type_name() == "Add":
            varying = [each for each in node.inputs() if constant(each.get_source_output()) is None]
            return self.behind(varying[0]) if len(varying) == 1 else "Add"
        return None if constant(node.output(0)) is not None else str(node.get_type_name())

    def takers(self, output: Any, *, through: bool) -> list[Place]:
        """List the inputs that take an output, `through` what changes no value, too."""
        found = []
        for target in output.get_target_inputs():
            node = target.get_node()
            kind = node.get_type_name()
            if node.get_name() in self._kinds:
                found.append(self.place_of(target))
            elif target.get_index() == 0 and (
                kind == "FakeQuantize" or (through and kind in LAYOUT)
            ):
                found += self.takers(node.output(0), through=through)
        return sorted(found)


def constant(source: Any) -> np.ndarray | None:
    """Return the values of an output, float32; None where they depend on the input."""
    node = source.get_node()
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant":
        return None
    values: np.ndarray = np.asarray(node.data).astype(np.float32)
    return values


def leading(operations: Operations) -> list[Any]:
    """List the operations that prepare pixels: all that come before the first weights."""
    prepared: set[str] = set()
    found = []
    for node in operations.nodes:
        sources = [node.input_value(port) for port in range(node.get_input_size())]
        varying = [each.get_node().get_name() for each in sources if constant(each) is None]
        kind = node.get_type_name()
        if kind == "Parameter" or (
            varying and kind not in WEIGHTED and prepared.issuperset(varying)
        ):
            prepared.add(node.get_name())
            if kind not in ("Parameter", "Result"):
                found.append(node)
    return found


def trailing(operations: Operations) -> list[Any]:
    """List the operations behind the last weights."""
    counted = list(operations.counted())
    places = [place for place, node in enumerate(counted) if node.get_type_name() in WEIGHTED]
    return counted[max(places, default=-1) + 1 :]


def attends(operations: Operations) -> bool:
    """Whether the network has attention, as transformers do."""
    if operations.of_kind("ScaledDotProductAttention"):
        return True
    takers = [
        place.kind
        for node in operations.of_kind("Softmax")
        for place in operations.takers(node.output(0), through=True)
    ]
    return "MatMul" in takers


def _walked(end: Any) -> list[Any]:
    """Order a node and all that it takes so that each comes behind what it takes."""
    ordered, seen, path = [], set(), [(end, 0)]
    while path:
        node, port = path.pop()
        if port == 0:
            if node.get_name() in seen:
                continue
            seen.add(node.get_name())
        if port < node.get_input_size():
            path.append((node, port + 1))
            path.append((node.input_value(port).get_node(), 0))
        else:
            ordered.append(node)
    return ordered
