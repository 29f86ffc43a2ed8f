"""A network is written as plain text, and only audited layers with plain options come back."""

import copy
import json

import numpy as np
import pytest

from featx.learning.scratch.architecture import (
    LAYERS,
    ArchitectureError,
    check,
    describe,
    rebuild,
    weights_of,
)


def described(**changes) -> dict:
    """A description of a small network, its second layer changed."""
    layers = [
        {"name": "conv", "layer": "Conv2D", "options": {"filters": 4, "kernel_size": [3, 3]}},
        {"name": "act", "layer": "Activation", "options": {"activation": "relu"}, **changes},
        {"name": "flat", "layer": "Flatten", "options": {}},
        {"name": "out", "layer": "Dense", "options": {"units": 2, "activation": "softmax"}},
    ]
    inputs = ["input", "conv", "act", "flat"]
    layers = [{"inputs": [taken]} | layer for taken, layer in zip(inputs, layers, strict=True)]
    return {"input": [8, 8, 3], "layers": layers, "output": "out"}


def test_a_plain_description_passes_as_it_is():
    description = described()
    check(description)
    assert description == described(), "it was changed"


SYSTEM = {"class_name": "function", "module": "os", "config": "system", "registered_name": "system"}
ATTACKS = {
    "a Lambda layer": (described(layer="Lambda", options={"function": "x"}), "'Lambda'"),
    "a TorchModuleWrapper": (described(layer="TorchModuleWrapper"), "'TorchModuleWrapper'"),
    "a TFSMLayer, which reads a file": (described(layer="TFSMLayer"), "'TFSMLayer'"),
    "a dotted name": (described(layer="keras.layers.Lambda"), "'keras.layers.Lambda'"),
    "another attribute of the module": (described(layer="__builtins__"), "'__builtins__'"),
    "a class that is no text": (described(layer=["Dense"]), "['Dense']"),
    "a function for an activation": (described(options={"activation": SYSTEM}), "'os'"),
    "the name of a function": (described(options={"activation": "os.system"}), "'os.system'"),
    "a layer for an activation": (
        described(options={"activation": {"class_name": "Lambda", "config": {}}}),
        "'Lambda'",
    ),
    "an initialiser": (
        described(layer="Dense", options={"units": 2, "kernel_initializer": SYSTEM}),
        "'kernel_initializer'",
    ),
    "a dtype": (described(options={"dtype": SYSTEM}), "'dtype'"),
    "bytecode": (described(options={"activation": {"class_name": "__lambda__"}}), "'__lambda__'"),
    "another key of a layer": (described(module="os"), "'module'"),
    "a custom object": (described(registered_name="os>system"), "'registered_name'"),
    "a number that is none": (described(options={"activation": float("nan")}), "nan"),
    "a huge number": (described(layer="Dense", options={"units": 1 << 40}), "1099511627776"),
    "a layer that takes a later one": (described(inputs=["out"]), "['out']"),
    "a second layer of a name": (described(name="conv"), "'conv'"),
    "a nested Lambda": (
        {
            "input": [8, 8, 3],
            "layers": [
                {"name": "in", "inputs": ["input"], "network": described(layer="Lambda")},
            ],
            "output": "in",
        },
        "'Lambda'",
    ),
    "no layers": ({"input": [8, 8, 3], "layers": [], "output": "out"}, "no list of layers"),
    "no output": (described() | {"output": "input"}, "'input'"),
    "a list": ([], "[]"),
    "a config of Keras": ({"class_name": "Functional", "config": {}}, "'class_name'"),
}


@pytest.mark.parametrize(("description", "named"), ATTACKS.values(), ids=ATTACKS)
def test_what_is_not_known_to_be_safe_is_refused_by_name(description, named):
    for again in (description, json.loads(json.dumps(description))):
        with pytest.raises(ArchitectureError) as caught:
            check(again)
        assert named in str(caught.value)


@pytest.mark.parametrize("weights", [["x"], [np.array(["a"])], [np.array([None])], [b"x"]])
def test_weights_that_are_no_numbers_are_refused(weights):
    with pytest.raises(ArchitectureError, match="weights that are no numbers"):
        rebuild(described(), weights)


@pytest.mark.keras
class TestWithKeras:
    @staticmethod
    def branched():
        """A functional network with a branch, a nested network and layers for training only."""
        import keras

        layers = keras.layers
        shades = keras.Sequential(
            [keras.Input((16, 16, 3)), layers.RandomFlip(), layers.Rescaling(1 / 255)], name="in"
        )
        picture = keras.Input((16, 16, 3))
        x = layers.Conv2D(4, 3, padding="same", activation="relu")(shades(picture))
        y = layers.BatchNormalization()(layers.SeparableConv2D(4, 3, padding="same")(x))
        x = layers.Concatenate()([layers.Add()([x, y]), layers.ReLU(max_value=6)(y)])
        x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
        return keras.Model(picture, layers.Dense(3, activation="softmax")(x))

    def test_a_branched_network_comes_back_with_the_same_numbers(self):
        model = self.branched()
        random = np.random.default_rng(0)
        model.set_weights([random.uniform(0.1, 1, each.shape) for each in model.get_weights()])
        description = json.loads(json.dumps(describe(model)))
        again = rebuild(description, weights_of(model, description))
        pictures = random.integers(0, 256, (4, 16, 16, 3)).astype(np.float32)
        one, other = (each(pictures, training=False) for each in (model, again))
        assert np.array_equal(one, other)
        assert describe(again) == description

    def test_every_layer_of_the_table_is_one_of_keras_in_python(self):
        import inspect

        import keras

        for name, options in LAYERS.items():
            known = inspect.signature(getattr(keras.layers, name).__init__).parameters
            assert set(options) <= set(known), name

    def test_a_layer_beyond_the_table_is_named(self):
        import keras

        class Mine(keras.layers.Dense):
            pass

        class Dense(keras.layers.Dense):
            pass

        for layer in (Mine(2), Dense(2), keras.layers.Lambda(lambda x: x)):
            model = keras.Sequential([keras.Input((4,)), layer])
            with pytest.raises(ArchitectureError, match=f"of the class {type(layer).__name__}"):
                describe(model)

        def activation(x):
            return x

        with pytest.raises(ArchitectureError, match="with an option"):
            describe(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation)]))

    def test_weights_of_another_network_are_refused_before_room_is_made_for_them(self):
        small = [np.zeros((3, 3, 3, 4)), np.zeros(4), np.zeros((144, 2)), np.zeros(2)]
        rebuild(described(), small)
        with pytest.raises(ArchitectureError, match="weights of another network"):
            rebuild(described(), small[:2])
        huge = copy.deepcopy(described())
        huge["layers"][0]["options"]["filters"] = 1 << 20
        huge["layers"][3]["options"]["units"] = 1 << 20
        with pytest.raises(ArchitectureError, match="weights of another network"):
            rebuild(huge, small)

    def test_layers_that_do_not_fit_together_are_told(self):
        with pytest.raises(ArchitectureError, match="do not fit together"):
            rebuild(described(layer="Reshape", options={"target_shape": [5]}), [np.zeros(1000)])
