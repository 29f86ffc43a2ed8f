"""Mutation fuzzer of networks in files: ``python -m tests.fuzz_networks --files 2000``.

Small ONNX networks are damaged at random, in their bytes and in what they say (shapes, wiring,
operations, sizes of tensors), and each must be embedded with or be refused in a line. A file is
told by its number: ``--first 79 --files 1`` makes it again.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

import onnx_networks

from featx.backbones.backbone import Backbone
from featx.backbones.network import Cut
from featx.backbones.network_child import cut_file
from featx.errors import FeatxError

_TELLING = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)  # bytes that are limits of something
_NUMBERS = (0, -1, 1, 2, 3, 7, 1_000_000, 2**31, 2**40, 2**62, -(2**63))
_OPERATIONS = (
    *("Conv", "MatMul", "Reshape", "Transpose", "Concat", "Expand", "Tile", "ConstantOfShape"),
    *("Loop", "If", "Scan", "Range", "OneHot", "Pad", "Resize", "Slice", "Split", "LSTM", "TopK"),
    *("Einsum", "Dropout", "MaxPool", "ConvTranspose", "QuantizeLinear", "Cast", "ScatterND"),
    *("NonMaxSuppression", "SequenceAt", "RoiAlign", "Unknown"),
)


def seeds() -> list[bytes]:
    """Return small networks that are whole."""
    models = (
        onnx_networks.convolutional(),
        onnx_networks.convolutional(32, 1),
        onnx_networks.transformer(),
        onnx_networks.channels_last(),
    )
    return [model.SerializeToString() for model in models]


def mutated(files: Sequence[bytes], number: int) -> bytes:
    """Damage a network: those of even numbers in their bytes, others in what they say."""
    random = Random(number)
    data = random.choice(files)
    for _ in range(random.choice((1, 1, 2, 4))):
        data = _in_bytes(data, random) if number % 2 == 0 else _in_meaning(data, random)
    return data


def _in_bytes(data: bytes, random: Random) -> bytes:
    damaged, place = bytearray(data), random.randrange(len(data) or 1)
    how = random.choice(("set", "set", "set", "cut out", "put in", "copy", "cut off"))
    if how == "set":
        damaged[place : place + 1] = [random.choice((*_TELLING, random.randrange(256)))]
    elif how == "cut out":
        del damaged[place : place + random.randrange(1, 30)]
    elif how == "put in":
        damaged[place:place] = random.choices(_TELLING, k=random.randrange(1, 10))
    elif how == "copy":
        damaged[place : place + 40] = data[random.randrange(len(data) or 1) :][:40]
    else:
        del damaged[place:]
    return bytes(damaged)


def _in_meaning(data: bytes, random: Random) -> bytes:
    import onnx

    model = onnx.ModelProto()
    model.ParseFromString(data)
    graph = model.graph
    names = [name for node in graph.node for name in node.output]
    names += [each.name for each in (*graph.initializer, *graph.input)]
    node, weights = random.choice(graph.node), random.choice(graph.initializer)
    how = random.randrange(9)
    if how == 0 and weights.dims:
        weights.dims[random.randrange(len(weights.dims))] = random.choice(_NUMBERS)
    elif how == 1 and node.input:
        node.input[random.randrange(len(node.input))] = random.choice(names)
    elif how == 2:
        node.op_type = random.choice(_OPERATIONS)
    elif how == 3 and node.attribute:
        attribute = random.choice(node.attribute)
        if attribute.ints:
            attribute.ints[random.randrange(len(attribute.ints))] = random.choice(_NUMBERS)
        attribute.i = random.choice(_NUMBERS)
    elif how == 4:
        shape = random.choice(graph.input).type.tensor_type.shape
        random.choice(shape.dim).dim_value = random.choice(_NUMBERS)
    elif how == 5:
        weights.data_type = random.randrange(24)
    elif how == 6:
        node.output[0] = random.choice(names)
    elif how == 7:
        del graph.node[random.randrange(len(graph.node))]
    else:
        wanted = onnx.helper.make_tensor("wanted", 7, [2], random.choices(_NUMBERS, k=2))
        graph.initializer.append(wanted)
        last = node.output[0]
        node.output[0] = f"{last} before"
        kind = random.choice(("Expand", "Tile", "Reshape", "Resize", "OneHot"))
        graph.node.append(onnx.helper.make_node(kind, [node.output[0], "wanted"], [last]))
    return model.SerializeToString()


def outcome(data: bytes, folder: Path) -> str:
    """Take a network in a file as a backbone, and return what became of it."""
    path = folder / "network.onnx"
    path.write_bytes(data)
    try:
        backbone = Backbone.from_onnx(path, "torch")
        size = backbone.max_size or 32
        cut_file(backbone, Cut(), ("avg",), size)
    except FeatxError as error:
        message = f"{type(error).__name__}: {str(error).replace(str(path), path.name)}"
        if "\n" in message:
            raise ValueError(f"several lines: {message}") from error
        return message
    return "embedded"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    files, became, slowest = seeds(), Counter(), 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(asked.first, asked.first + asked.files):
            start = time.perf_counter()
            found = outcome(mutated(files, number), Path(folder))
            slowest = max(slowest, time.perf_counter() - start)
            became[found if asked.files == 1 else found[:60]] += 1
    for found, times in became.most_common(20):
        print(f"{times:6} {found}")
    print(f"{asked.files} files, none escaped; slowest {slowest:.1f} s")


if __name__ == "__main__":
    main()
