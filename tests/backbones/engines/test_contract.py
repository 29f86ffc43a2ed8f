"""What `Engine` promises: one suite over every row of the table, and an engine of one's own.

A new engine is tested by standing in the table; a new kind of network by an entry in `NETWORKS`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier

import fakes
import numpy as np
import onnx_networks
import pytest

from featx.backbones.backbone import Backbone
from featx.backbones.engines.choice import ENGINES, engines_for, open_engine
from featx.backbones.framework import import_openvino
from featx.backbones.kinds import KINDS, OPENVINO, PIXELS
from featx.backbones.network import FLOATS, JOINT_POOLINGS, POOLINGS
from featx.errors import OptionError

SIZE = 16  # px


def halved(pixels):
    """Preprocess in place, as a careless function of a user's does."""
    pixels /= 2.0
    return pixels


def transformer(build):
    """Return a network in OpenVINO's form, read from ONNX."""
    pytest.importorskip("onnx")
    model = onnx_networks.transformer(SIZE, patch=4).SerializeToString()
    read = import_openvino().Core().read_model(model, b"")
    return Backbone.from_openvino(read, "torch", name="transformer")


#: What engines are tried with, by kind of network: functions of a builder of small Keras networks.
NETWORKS = {
    "keras": {
        "network": lambda build: Backbone.from_keras(build(), preprocess="tf"),
        "network-with-own-preprocessing": lambda build: Backbone.from_keras(build(), halved),
    },
    OPENVINO: {"transformer": transformer},
    PIXELS: {PIXELS: lambda build: Backbone.load(PIXELS)},
}


def no_network(build):
    return Backbone("fake", "ab" * 32, SIZE, 8, "none/1", preprocess=lambda pixels: pixels)


def cases():
    """List every row of the table with each network that it runs, and the registered engine."""
    rows = {
        (form, spec.name)
        for form in {kind.form for kind in KINDS}
        for name in ENGINES
        for spec in engines_for(form, name)
    }
    needs = {"keras": [pytest.mark.keras]}
    table = [
        pytest.param((engine, network), id=f"{engine}-{name}", marks=needs.get(kind, []))
        for kind, engine in sorted(rows)
        for name, network in NETWORKS[kind].items()
    ]
    return [*table, pytest.param(("registered", no_network), id="registered")]


@pytest.fixture(scope="module", params=cases())
def opened(request, small_network, engines, request_for):
    """Return a function that opens the engine; what is not named is the default."""
    engine, network = request.param
    with ExitStack() as stack:
        if engine == "registered":
            stack.enter_context(fakes.install())
        backbone = network(small_network)

        def open_(**settings):
            asked = request_for(backbone, engines, input_size=SIZE, **settings)
            return open_engine(asked, engine if engine in ENGINES else "auto")

        open_.gives_maps = network in NETWORKS["keras"].values()
        yield open_


def noise(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize("precision", FLOATS)
@pytest.mark.parametrize(
    "poolings", [*((each,) for each in POOLINGS), JOINT_POOLINGS], ids="+".join
)
def test_rows_have_the_shape_that_the_engine_says_and_are_float32(opened, poolings, precision):
    if opened.gives_maps and "token" in poolings:
        with pytest.raises(OptionError, match="token pooling takes tokens"):
            opened(poolings=poolings, precision=precision)
        return
    engine = opened(poolings=poolings, precision=precision)
    n = min(3, engine.batch_size)
    rows = engine.embed_batch(noise(n))
    assert rows.shape == (n, *engine.shape)
    assert [type(side) for side in engine.shape] == [int] * len(engine.shape)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()


@pytest.mark.parametrize("batch_size", [None, 1, 2, 5])
def test_a_batch_has_any_number_of_pictures_up_to_the_batch_size(opened, batch_size):
    engine = opened(batch_size=batch_size)
    if batch_size is not None:
        assert engine.batch_size == batch_size
    pictures = noise(engine.batch_size)
    whole = engine.embed_batch(pictures)
    assert len(whole) == engine.batch_size >= 1
    for n in range(1, engine.batch_size + 1):
        np.testing.assert_array_equal(engine.embed_batch(pictures[:n]), whole[:n], err_msg=f"{n=}")


@pytest.mark.parametrize("precision", FLOATS)
def test_a_row_depends_on_its_own_picture_only(opened, precision):
    engine = opened(precision=precision, batch_size=4)
    pictures, others = noise(4), noise(4, seed=1)
    together = engine.embed_batch(pictures)
    for i, row in enumerate(together):
        alone = engine.embed_batch(pictures[i : i + 1])[0]
        np.testing.assert_array_equal(alone, row, err_msg=f"picture {i} alone")
        for place in range(4):
            batch = others.copy()
            batch[place] = pictures[i]
            found = engine.embed_batch(batch)[place]
            np.testing.assert_array_equal(found, row, err_msg=f"picture {i} at place {place}")
    assert len({row.tobytes() for row in together}) == 4, "pictures are not told apart"


def test_the_batch_size_changes_no_row_by_more_than_rounding(opened):
    pictures = noise(6)
    rows = {}
    for batch_size in (1, 2, 6):
        engine = opened(batch_size=batch_size)
        batches = np.split(pictures, 6 // batch_size)
        rows[batch_size] = np.concatenate([engine.embed_batch(batch) for batch in batches])
    scale = np.abs(rows[6]).max()
    for batch_size in (1, 2):
        difference = np.abs(rows[batch_size] - rows[6]).max() / scale
        assert difference < 1e-5, f"batches of {batch_size} and 6 differ by {difference:.1e}"


def test_threads_that_embed_at_once_get_their_own_rows(opened):
    engine = opened(batch_size=2)
    assert engine.streams >= 1
    batches = np.split(noise(32), 16)
    expected = [engine.embed_batch(batch) for batch in batches]
    threads = 2 * engine.streams + 1
    start = Barrier(threads)

    def embed(first):
        start.wait(30)
        return [engine.embed_batch(batches[(first + i) % 16]) for i in range(16)]

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(embed, range(threads)))
    for first, result in enumerate(results):
        wrong = [i for i in range(16) if not np.array_equal(result[i], expected[(first + i) % 16])]
        assert wrong == [], f"thread {first} got other rows for its batches {wrong}"


@pytest.mark.parametrize("n", [3, 4])
def test_the_pictures_are_left_as_they_are(opened, n):
    pictures = noise(4)
    before = pictures.copy()
    opened(batch_size=4).embed_batch(pictures[:n])
    np.testing.assert_array_equal(pictures, before)


def test_rows_stay_as_they_are_when_more_is_embedded(opened):
    engine = opened(batch_size=4)
    pictures = noise(4)
    rows = engine.embed_batch(pictures)
    before = rows.copy()
    for seed in range(2 * engine.streams):
        engine.embed_batch(noise(4, seed))
    pictures[:] = 0
    np.testing.assert_array_equal(rows, before)
