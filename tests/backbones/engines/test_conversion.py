"""Converted networks: kept once, told apart, and made anew where they are damaged."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zlib
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import waits

import featx
from featx.backbones.backbone import Backbone
from featx.backbones.engines import conversion
from featx.backbones.framework import import_keras, import_openvino
from featx.backbones.network import FLOATS, PRECISIONS
from featx.errors import ConversionError
from featx.features.store.cache import engines as engines_in

# What a new process does with the default network: open it, embed a picture, say what it loaded.
EMBED = """
import sys
from pathlib import Path
import numpy as np
from featx.backbones.backbone import Backbone
from featx.backbones.engines.engine import EngineRequest
from featx.backbones.engines.choice import open_engine
from featx.backbones.network import Cut
backbone = Backbone.load("efficientnet_lite0")
request = EngineRequest(backbone, Cut(), ("avg",), 32, Path(sys.argv[1]))
engine = open_engine(request, "openvino")
pixels = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
print(engine.embed_batch(pixels).tobytes().hex())
print(*sorted({"tensorflow", "keras"} & sys.modules.keys()))
"""

# The same, but all is imported beforehand, and it waits for a word to begin.
AT_ONCE = f"""
from featx.backbones.framework import import_keras, import_openvino
import_keras(), import_openvino()
print("ready", flush=True)
input()
{EMBED}
"""

# The same, but killed when the folder is whole and not yet in its place.
KILLED = f"""
import os
from pathlib import Path
Path.rename = lambda self, target: os._exit(9)
{EMBED}
"""


@pytest.fixture(scope="session")
def open_(open_openvino):
    """Return a function that opens a network, in batches of eight unless told otherwise."""
    return lambda backbone, cache, **options: open_openvino(
        backbone, cache, **{"batch_size": 8, **options}
    )


@pytest.fixture
def own(small_network):
    """A backbone that takes no time: a small network of a user's own."""
    return Backbone.from_keras(small_network(), preprocess="tf")


@pytest.fixture
def counts(monkeypatch):
    """How often OpenVINO converted a network, and how often it gave compiled form to be kept."""
    openvino = import_openvino()
    found = {"converted": 0, "compiled": 0}

    def counted(owner, name, key):
        function = getattr(owner, name)

        def call(*args, **options):
            found[key] += 1
            return function(*args, **options)

        monkeypatch.setattr(owner, name, call)

    counted(openvino, "convert_model", "converted")
    counted(openvino.CompiledModel, "export_model", "compiled")
    return found


def folder_of(cache):
    (folder,) = (path for path in (cache / "engines").iterdir() if not path.name.startswith("."))
    return folder


# -- Kept ----------------------------------------------------------------------------------------


@pytest.mark.keras
def test_a_network_is_converted_and_compiled_once(
    open_, own, tmp_path, counts, lines, small_pictures
):
    first = open_(own, tmp_path).embed_batch(small_pictures)
    again = open_(own, tmp_path).embed_batch(small_pictures)
    np.testing.assert_array_equal(again, first)
    assert counts == {"converted": 1, "compiled": 1}
    assert lines() == []


@pytest.mark.keras
def test_each_batch_size_and_precision_is_compiled_once_from_one_conversion(
    open_, own, tmp_path, counts
):
    for _ in range(2):
        for precision in FLOATS:
            for batch_size in (1, 8):
                open_(own, tmp_path, precision=precision, batch_size=batch_size)
    assert counts == {"converted": 1, "compiled": 4}
    assert len(list(folder_of(tmp_path).glob("compiled-*.blob"))) == 4


@pytest.mark.keras
def test_the_folder_holds_the_files_of_the_description_and_no_others(open_, own, tmp_path):
    open_(own, tmp_path, layer="first", pooling="max")
    folder = folder_of(tmp_path)
    names = sorted(path.name.partition("-")[0] for path in folder.iterdir())
    assert names == ["compiled", "engine.json", "network.bin", "network.xml"]
    description = json.loads((folder / "engine.json").read_text())
    sums = description.pop("crc32")
    files = {name: zlib.crc32((folder / name).read_bytes()) for name in sums}
    assert files == sums
    assert description == {
        "backbone": "mine",
        "weights": own.digest,
        "preprocessing": "tf",
        "layer": "first",
        "pooling": "max",
        "input_size": 16,
        "conversion": conversion.CONVERSION_VERSION,
        "keras": metadata.version("keras"),
        "openvino": metadata.version("openvino"),
    }
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.fixture(scope="session")
def embed_default(open_openvino):
    """Return a function that does what EMBED does, and gives the features as it prints them."""

    def embed(cache):
        engine = open_openvino(Backbone.load("efficientnet_lite0"), cache, input_size=32)
        pixels = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
        return engine.embed_batch(pixels).tobytes().hex()

    return embed


@pytest.fixture(scope="module")
def kept(embed_default, tmp_path_factory):
    """A cache that has the default network already; and the features that this gave."""
    cache = tmp_path_factory.mktemp("kept")
    return cache, embed_default(cache)


def run(code, cache):
    return subprocess.run([sys.executable, "-c", code, str(cache)], capture_output=True, text=True)


@pytest.mark.keras
def test_once_converted_a_network_is_opened_without_tensorflow(kept):
    cache, features = kept
    before = {path: path.stat().st_mtime_ns for path in folder_of(cache).iterdir()}
    ended = run(EMBED, cache)
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == [features, ""]
    after = {path: path.stat().st_mtime_ns for path in folder_of(cache).iterdir()}
    assert after == before, "something was converted or compiled again"


@pytest.mark.keras
def test_no_cache_keeps_the_converted_network_and_no_features(
    own, fruit, tmp_path, monkeypatch, counts
):
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path))
    options = {"engine": "openvino", "cache": False, "progress": False}
    features = featx.embed(fruit / "test", own, **options)
    assert [outcome.status for outcome in features.outcomes] == ["embedded"] * 8
    assert [path.name for path in tmp_path.iterdir()] == ["engines"]
    assert [each.settings["backbone"] for each in engines_in(tmp_path)] == ["mine"]
    again = featx.embed(fruit / "test", own, **options)
    assert [outcome.status for outcome in again.outcomes] == ["embedded"] * 8
    assert counts == {"converted": 1, "compiled": 1}


# -- Told apart ----------------------------------------------------------------------------------


@pytest.fixture
def key(monkeypatch, request_for, tmp_path):
    """Return a function that gives the key of a network, which need not exist."""
    key_of = conversion.key_of

    class FoundError(Exception):
        pass

    def found(settings):
        raise FoundError(key_of(settings))

    monkeypatch.setattr(conversion, "key_of", found)
    backbone = Backbone("fake", "ab" * 32, 16, 8, "tf/1", preprocess=lambda pixels: pixels)

    def of(options=None, **changes):
        request = request_for(replace(backbone, **changes), tmp_path, **(options or {}))
        with pytest.raises(FoundError) as caught:
            conversion.converted(request)
        return str(caught.value)

    return of


def test_the_key_is_the_same_for_the_same_network_anywhere(key, monkeypatch):
    monkeypatch.setattr(metadata, "version", {"keras": "3.9", "openvino": "2026.1"}.get)
    monkeypatch.setattr(conversion, "CONVERSION_VERSION", 1)
    assert key() == key() == "5e91ede13b121ac69b408cc0988cccd0"


def test_the_key_changes_with_everything_that_shapes_the_network(key, monkeypatch):
    installed = {name: metadata.version(name) for name in ("keras", "openvino")}

    def updated(name):
        monkeypatch.setattr(metadata, "version", {**installed, name: "99.0"}.get)
        try:
            return key()
        finally:
            monkeypatch.setattr(metadata, "version", installed.get)

    keys = {
        "as it is": key(),
        "name": key(name="other"),
        "weights": key(digest="cd" * 32),
        "preprocessing": key(preprocessing="tf/2"),
        "layer": key({"layer": "first"}),
        "pooling": key({"pooling": "max"}),
        "two poolings": key({"poolings": ("avg", "max")}),
        "two poolings in another order": key({"poolings": ("max", "avg")}),
        "input size": key({"input_size": 32}),
        "keras": updated("keras"),
        "openvino": updated("openvino"),
    }
    monkeypatch.setattr(conversion, "CONVERSION_VERSION", conversion.CONVERSION_VERSION + 1)
    keys["conversion"] = key()
    assert len(set(keys.values())) == len(keys), keys


def test_precision_and_batch_size_change_no_conversion(key):
    keys = {key({"precision": each, "batch_size": n}) for each in PRECISIONS for n in (None, 3)}
    assert keys == {key()}


# -- Damaged -------------------------------------------------------------------------------------


def flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def truncate(data):
    return data[: len(data) // 2]


def empty(data):
    return b""


def garbage(data):
    return b"\x00\xff" * 500


DAMAGES = {each.__name__: each for each in (flip, truncate, empty, garbage)}


FILES = ("network.bin", "network.xml", "engine.json")
ONE_BIT = ("engine.json", "flip")  # it may fall on what is for people only


@pytest.mark.keras
@pytest.mark.parametrize(
    ("file", "damage"),
    [(file, damage) for file in FILES for damage in DAMAGES if (file, damage) != ONE_BIT],
)
def test_a_damaged_network_is_converted_again_with_one_warning(
    open_, file, damage, own, tmp_path, counts, lines, small_pictures
):
    expected = open_(own, tmp_path).embed_batch(small_pictures)
    path = folder_of(tmp_path) / file
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    features = open_(own, tmp_path).embed_batch(small_pictures)
    np.testing.assert_array_equal(features, expected)
    assert lines() == [
        f"the converted network {folder_of(tmp_path)} is damaged; it is converted again"
    ]
    assert counts["converted"] == 2
    open_(own, tmp_path)
    assert lines() == []
    assert counts["converted"] == 2


@pytest.mark.keras
@pytest.mark.parametrize(
    "text",
    ["[]", "null", '"crc32"', "{}", '{"crc32": {}}', '{"crc32": {"network.xml": 1}}', '{"crc32":'],
)
def test_a_description_that_says_something_else_counts_as_damaged(
    open_, text, own, tmp_path, counts, lines
):
    open_(own, tmp_path)
    (folder_of(tmp_path) / "engine.json").write_text(text)
    open_(own, tmp_path)
    assert len(lines()) == 1
    assert counts["converted"] == 2


class WantedError(Exception):
    """The network was to be converted again."""


class NoNetwork:
    """A source of a network that was converted already."""

    pools_freely = True
    prefix_tokens = None

    def network(self, layer, pooling, input_size):
        raise WantedError


@pytest.mark.keras
def test_a_flipped_bit_of_the_description_is_noticed_where_it_matters(
    open_, own, request_for, tmp_path
):
    open_(own, tmp_path)
    folder = folder_of(tmp_path)
    data = (folder / "engine.json").read_bytes()
    request = request_for(replace(own, source=NoNetwork()), tmp_path)
    found = {True: [], False: []}
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        (folder / "engine.json").write_bytes(changed)
        try:
            sums = json.loads(changed)["crc32"]
            same = all(sums[name] == json.loads(data)["crc32"][name] for name in sums)
        except (ValueError, KeyError):
            same = False
        try:
            taken = conversion.converted(request)[1] == folder
        except WantedError:
            taken = False
        assert taken == same, f"byte {place}: {changed[place:][:20]!r}"
        found[same].append(place)
    assert all(found.values()), "every bit mattered, or none did"


@pytest.mark.keras
@pytest.mark.parametrize("file", FILES)
def test_a_network_that_lacks_a_file_is_converted_again(
    open_, file, own, tmp_path, counts, lines, small_pictures
):
    expected = open_(own, tmp_path).embed_batch(small_pictures)
    (folder_of(tmp_path) / file).unlink()
    features = open_(own, tmp_path).embed_batch(small_pictures)
    np.testing.assert_array_equal(features, expected)
    assert lines() == [], "another process may have cleared the cache: nothing to warn about"
    assert counts["converted"] == 2


def with_sum(body):
    """Write compiled form with the right checksum, whatever it is."""
    return json.dumps({"crc32": zlib.crc32(body)}).encode() + b"\n" + body


BLOBS = {
    **DAMAGES,
    "flipped header": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "another checksum": lambda data: data.replace(b'"crc32": ', b'"crc32": 1', 1),
    "no checksum": lambda data: b"{}\n" + data.partition(b"\n")[2],
    "a list": lambda data: b"[1]\n" + data.partition(b"\n")[2],
    "header only": lambda data: data.partition(b"\n")[0],
    "sound garbage": lambda data: with_sum(b"garbage" * 1000),
    "sound emptiness": lambda data: with_sum(b""),
    "a sound half": lambda data: with_sum(truncate(data.partition(b"\n")[2])),
    "another version": lambda data: with_sum(data.partition(b"\n")[2].replace(b"ov=", b"ov=1", 1)),
}


@pytest.mark.keras
@pytest.mark.parametrize("damage", BLOBS)
def test_damaged_compiled_form_is_made_anew_in_silence(
    open_, damage, own, tmp_path, counts, lines, small_pictures
):
    expected = open_(own, tmp_path).embed_batch(small_pictures)
    (path,) = folder_of(tmp_path).glob("compiled-*.blob")
    data = path.read_bytes()
    path.write_bytes(BLOBS[damage](data))
    assert path.read_bytes() != data
    features = open_(own, tmp_path).embed_batch(small_pictures)
    np.testing.assert_array_equal(features, expected)
    assert lines() == []
    assert counts == {"converted": 1, "compiled": 2}
    open_(own, tmp_path)
    assert counts == {"converted": 1, "compiled": 2}, "it was not replaced"


# -- Accidents -----------------------------------------------------------------------------------


@pytest.mark.keras
def test_a_cache_that_cannot_be_written_costs_one_warning(
    open_, own, tmp_path, counts, lines, small_pictures
):
    expected = open_(own, tmp_path / "other").embed_batch(small_pictures)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "engines").write_text("a file is in the way")
    features = open_(own, tmp_path / "cache").embed_batch(small_pictures)
    np.testing.assert_array_equal(features, expected)
    (line,) = lines()
    assert line.startswith(f"cannot write {tmp_path / 'cache' / 'engines'}")
    assert line.endswith("; the network is not kept, and converted again next time")
    assert counts == {"converted": 2, "compiled": 1}


@pytest.mark.keras
def test_compiled_form_that_cannot_be_kept_is_no_matter(
    open_, own, tmp_path, lines, small_pictures
):
    expected = open_(own, tmp_path).embed_batch(small_pictures)
    (blob,) = folder_of(tmp_path).glob("*.blob")
    blob.unlink()
    blob.mkdir()
    before = sorted(folder_of(tmp_path).iterdir())
    features = open_(own, tmp_path).embed_batch(small_pictures)
    np.testing.assert_array_equal(features, expected)
    assert lines() == []
    assert sorted(folder_of(tmp_path).iterdir()) == before
    assert list(blob.iterdir()) == []


@pytest.mark.keras
def test_a_network_killed_before_it_was_in_its_place_is_converted_by_the_next(
    kept, embed_default, tmp_path, counts, lines
):
    _, features = kept
    ended = run(KILLED, tmp_path)
    assert ended.returncode == 9, ended.stderr
    left = list((tmp_path / "engines").iterdir())
    assert len(left) == 1, left
    assert left[0].name.startswith(".")
    assert engines_in(tmp_path) == []
    assert embed_default(tmp_path) == features
    assert counts["converted"] == 1
    assert lines() == []
    assert [each.settings["input_size"] for each in engines_in(tmp_path)] == [32]


@pytest.mark.keras
def test_two_processes_that_convert_at_once_both_work(kept, tmp_path):
    _, features = kept
    command = [sys.executable, "-c", AT_ONCE, str(tmp_path)]
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    processes = [subprocess.Popen(command, text=True, **pipes) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        out, err = process.communicate(timeout=waits.SECONDS)
        assert out.splitlines()[:1] == [features], err
        assert "Traceback" not in err
    names = sorted(path.name.partition("-")[0] for path in folder_of(tmp_path).iterdir())
    assert names == ["compiled", "engine.json", "network.bin", "network.xml"]
    last = run(EMBED, tmp_path)
    assert last.stdout.splitlines() == [features, ""], last.stderr


@pytest.mark.keras
def test_a_network_that_another_process_put_in_place_first_is_replaced_or_taken(
    open_, own, tmp_path, counts, lines, small_pictures, monkeypatch
):
    """Both have converted; the other one wins between the removal of the folder and the rename."""
    first = open_(own, tmp_path / "other").embed_batch(small_pictures)
    source = folder_of(tmp_path / "other")
    rename = Path.rename

    def late(self, target):
        if self.name == "engine":
            shutil.copytree(source, target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", late)
    features = open_(own, tmp_path / "cache").embed_batch(small_pictures)
    np.testing.assert_array_equal(features, first)
    assert lines() == []
    assert [path.name for path in (tmp_path / "cache" / "engines").iterdir()] == [source.name]


# -- Refused -------------------------------------------------------------------------------------


@pytest.mark.keras
def test_what_the_converter_does_not_know_is_one_line(open_, own, tmp_path, monkeypatch):
    def fail(model):
        raise RuntimeError("No conversion rule\nfor the operation\n\tFancyOp\n")

    monkeypatch.setattr("openvino.convert_model", fail)
    with pytest.raises(ConversionError) as caught:
        open_(own, tmp_path)
    assert str(caught.value) == (
        "mine cannot be converted: No conversion rule for the operation FancyOp"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.keras
@pytest.mark.parametrize("other", ["weights", "not a number"])
def test_a_converted_network_that_gives_other_features_is_refused(
    open_, other, own, small_network, tmp_path, monkeypatch
):
    openvino, keras = import_openvino(), import_keras()
    convert = openvino.convert_model
    network = small_network(seed=1)
    if other == "not a number":
        network.set_weights([np.full_like(each, np.nan) for each in network.get_weights()])
    pixels = keras.Input((16, 16, 3), dtype="uint8")
    maps = network(keras.ops.cast(pixels, "float32"))
    wrong = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(maps))
    monkeypatch.setattr("openvino.convert_model", lambda _: convert(wrong))
    with pytest.raises(ConversionError, match=r"^mine gives other features once converted \(by "):
        open_(own, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.keras
def test_a_difference_above_the_tolerance_is_refused(open_, own, tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "TOLERANCE", 0.0)
    with pytest.raises(ConversionError, match="once converted"):
        open_(own, tmp_path)
