"""Small networks in ONNX, as people export them: a convolutional one, and a vision transformer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

CLASSES = 5


class Graph:
    """A network as it is put together, node by node."""

    def __init__(self, seed: int = 0) -> None:
        import onnx

        self.onnx = onnx
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights = [], []

    def node(self, kind: str, *inputs: str, name: str | None = None, **attributes) -> str:
        """Add an operation, and return the name of the tensor that it gives."""
        output = name or f"{kind.lower()}_{len(self.nodes)}"
        made = self.onnx.helper.make_node(kind, inputs, [output], name=f"/{output}", **attributes)
        self.nodes.append(made)
        return output

    def constant(self, values) -> str:
        """Add numbers, and return their name."""
        name = f"weight_{len(self.weights)}"
        self.weights.append(self.onnx.numpy_helper.from_array(np.asarray(values), name))
        return name

    def drawn(self, *shape: int, scale: float = 1.0) -> str:
        """Add random weights, and return their name."""
        return self.constant((self.random.normal(size=shape) * scale).astype(np.float32))

    def linear(self, x: str, inputs: int, outputs: int, name: str | None = None) -> str:
        """Add a linear layer."""
        product = self.node("MatMul", x, self.drawn(inputs, outputs, scale=inputs**-0.5))
        return self.node("Add", product, self.drawn(outputs, scale=0.1), name=name)

    def model(self, entries: dict[str, list], outputs: dict[str, list], kind: int = 1):
        """Return the model of what was put together."""
        helper = self.onnx.helper
        entry = [helper.make_tensor_value_info(*each) for each in _typed(entries, kind)]
        ends = [helper.make_tensor_value_info(*each) for each in _typed(outputs, 1)]
        graph = helper.make_graph(self.nodes, "network", entry, ends, self.weights)
        opset = helper.make_opsetid("", 17)
        return helper.make_model(graph, opset_imports=[opset], ir_version=8)


def _typed(shapes: dict[str, list], kind: int) -> list[tuple]:
    return [(name, kind, shape) for name, shape in shapes.items()]


def convolutional(size: int | None = None, batch: int | str = "n"):
    """Make a network of two convolutions and a classifier, for one size of pictures or any."""
    graph = Graph()
    first = graph.node("Conv", "pixels", graph.drawn(8, 3, 3, 3), strides=[2, 2], pads=[1] * 4)
    first = graph.node("Relu", first, name="stem")
    second = graph.node("Conv", first, graph.drawn(16, 8, 3, 3), strides=[2, 2], pads=[1] * 4)
    second = graph.node("Relu", second, name="map")
    pooled = graph.node("GlobalAveragePool", second)
    flat = graph.node("Flatten", pooled, name="pooled")
    graph.linear(flat, 16, CLASSES, name="logits")
    sides = [size or "height", size or "width"]
    return graph.model({"pixels": [batch, 3, *sides]}, {"logits": [batch, CLASSES]})


def transformer(size: int = 32, patch: int = 8, width: int = 12, registers: int = 0):
    """Make a vision transformer of one block, with a class token and perhaps registers."""
    graph = Graph(1)
    side, tokens = size // patch, (size // patch) ** 2 + 1 + registers
    kernel = graph.drawn(width, 3, patch, patch, scale=1 / patch)
    x = graph.node("Conv", "pixel_values", kernel, strides=[patch] * 2)
    x = graph.node("Reshape", x, graph.constant([0, width, side * side]))
    x = graph.node("Transpose", x, perm=[0, 2, 1])
    shape = graph.node("Shape", x, start=0, end=1)
    ends = graph.node("Concat", shape, graph.constant([1 + registers, width]), axis=0)
    first = graph.node("Expand", graph.drawn(1, 1 + registers, width), ends)
    x = graph.node("Concat", first, x, axis=1)
    x = graph.node("Add", x, graph.drawn(1, tokens, width), name="embedded")
    normal = _normalized(graph, x, width)
    queries, keys, values = (graph.linear(normal, width, width) for _ in range(3))
    keys = graph.node("Transpose", keys, perm=[0, 2, 1])
    scores = graph.node("Softmax", graph.node("MatMul", queries, keys), axis=-1)
    x = graph.node("Add", x, graph.node("MatMul", scores, values))
    x = _normalized(graph, x, width, name="last_hidden_state")
    token = graph.node("Gather", x, graph.constant(0), axis=1)
    graph.node("Tanh", graph.linear(token, width, width), name="pooler_output")
    outputs = {"last_hidden_state": ["n", tokens, width], "pooler_output": ["n", width]}
    return graph.model({"pixel_values": ["n", 3, "height", "width"]}, outputs)


def channels_last(size: int = 32):
    """Make a convolutional network that takes and gives its channels last, as TensorFlow's do."""
    graph = Graph(2)
    x = graph.node("Transpose", "pixels", perm=[0, 3, 1, 2])
    x = graph.node("Conv", x, graph.drawn(8, 3, 3, 3), strides=[4, 4])
    graph.node("Transpose", graph.node("Relu", x), perm=[0, 2, 3, 1], name="map")
    side = (size - 3) // 4 + 1
    return graph.model({"pixels": ["n", size, size, 3]}, {"map": ["n", side, side, 8]})


def _normalized(graph: Graph, x: str, width: int, name: str | None = None) -> str:
    scale = graph.constant(np.ones(width, np.float32))
    return graph.node("LayerNormalization", x, scale, graph.drawn(width), axis=-1, name=name)


def write(path: Path, model) -> Path:
    """Write a model to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def computed(model, layer: str, pictures: np.ndarray) -> np.ndarray:
    """Run a model up to a tensor on ONNX Runtime; pictures are as its input takes them."""
    import onnxruntime

    known = {each.name for each in model.graph.output}
    if layer not in known:
        model.graph.output.append(type(model.graph.output[0])(name=layer))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run([layer], {session.get_inputs()[0].name: pictures})[0]
