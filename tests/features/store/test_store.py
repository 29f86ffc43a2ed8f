"""The store gives back what was put in, or nothing, and never loses what it has."""

from __future__ import annotations

import errno
import itertools
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from featx.errors import OptionError, StorageError
from featx.features.recipe import RecipePart
from featx.features.store import shard as shard_module
from featx.features.store import store as store_module
from featx.features.store.folder import shard_paths
from featx.features.store.merge import MOST_ALIKE
from featx.features.store.store import FeatureStore
from featx.files import cache_folder
from featx.images.digests import digest_bytes
from featx.storage import objects

RECIPE = RecipePart.of("resnet50", "0123456789abcdef" * 4, 224)
FORMAT_1 = Path(__file__).parent / "data" / "format1.arrow"
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

numbers = itertools.count()  # of caches that are new

NOTES = [(), ("CMYK to RGB",), ("first of 3 frames", "alpha on white")]

floats = st.floats(width=32)  # NaN and infinities too: the store does not judge
matrices = hnp.arrays(
    np.float32,
    st.one_of(
        st.tuples(st.integers(1, 5), st.integers(1, 8)),
        st.tuples(st.integers(1, 5), *[st.integers(1, 3)] * 3),
    ),
    elements=floats,
)


def keys(count: int, start: int = 0) -> list[str]:
    return [digest_bytes(b"%d" % number) for number in range(start, start + count)]


def matrix(count: int, width: int = 9, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def read(store: FeatureStore, digests: list[str]) -> np.ndarray:
    out = np.full((len(digests), int(np.prod(store.shape))), np.nan, np.float32)
    store.read(digests, out)
    return out


def files(place: Path | str) -> dict[str, bytes]:
    """Return what is in a cache, by name."""
    if isinstance(place, Path):
        return {str(path): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    return {each.address: objects.read(each.address) for each in objects.entries(place)}


@pytest.fixture
def store(tmp_path):
    return FeatureStore(tmp_path, RECIPE)


@pytest.fixture
def shard(store):
    """The file of three rows, with notes."""
    store.append(keys(3), matrix(3), NOTES)
    return shard_paths(store.folder)[0]


@pytest.fixture
def whole(shard):
    return shard.read_bytes()


class TestContract:
    """What every store of vectors must do, whatever it keeps them in: a folder or a bucket."""

    @pytest.fixture(params=["folder", "bucket"])
    def place(self, request, tmp_path):
        return tmp_path if request.param == "folder" else str(request.getfixturevalue("bucket"))

    @pytest.fixture
    def store(self, place):
        return FeatureStore(place, RECIPE)

    @settings(RELAXED, max_examples=30)
    @given(matrices, st.data())
    def test_what_is_appended_is_read_back_bit_for_bit(self, place, vectors, data):
        folder = f"{place}/{next(numbers)}"
        note = st.text(st.characters(codec="utf-8"))
        several = st.lists(note, max_size=3).map(tuple)
        notes = data.draw(st.lists(several, min_size=len(vectors), max_size=len(vectors)))
        digests = keys(len(vectors))
        FeatureStore(folder, RECIPE).append(digests, vectors, notes)
        store = FeatureStore(folder, RECIPE)
        assert store.shape == vectors.shape[1:]
        assert len(store) == len(vectors)
        assert store.sound(digests) == set(digests)
        assert read(store, digests).tobytes() == vectors.tobytes()
        texts = ["; ".join(each) for each in store.notes(digests)]
        assert texts == ["; ".join(each) for each in notes]

    def test_notes_come_back_one_by_one(self, shard, place):
        store = FeatureStore(place, RECIPE)
        assert store.notes(keys(3)) == NOTES

    def test_an_empty_store_has_nothing_and_makes_nothing(self, store, place):
        assert (len(store), store.shape, store.sound(keys(2))) == (0, None, set())
        store.append([], np.empty((0, 9), np.float32))
        assert files(place) == {}

    def test_rows_are_read_in_any_order_and_any_number_of_times(self, store):
        for seed in range(3):
            store.append(keys(4, 4 * seed), matrix(4, seed=seed))
        truth = np.concatenate([matrix(4, seed=seed) for seed in range(3)])
        order = [11, 0, 5, 5, 2, 11, 7]
        assert (read(store, [keys(12)[row] for row in order]) == truth[order]).all()

    def test_many_shards_are_one_store(self, store, place):
        count = 200 if store.files.merges else 50
        truth = matrix(count)
        for row, digest in enumerate(keys(count)):
            store.append([digest], truth[row : row + 1])
        if store.files.merges:
            assert len(shard_paths(store.folder)) < 2 * MOST_ALIKE
        later = FeatureStore(place, RECIPE)
        assert later.sound(keys(count + 1)) == set(keys(count))
        assert (read(later, keys(count)) == truth).all()

    def test_an_append_changes_no_file_that_is_there(self, store, shard, place):
        before = files(place)
        store.append(keys(2, 3), matrix(2))
        after = files(place)
        assert len(after) == len(before) + 1
        assert before.items() <= after.items()

    def test_the_first_vector_of_a_key_stays(self, store, place):
        store.append(keys(1) * 2, matrix(2))
        store.append(keys(1), matrix(1, seed=1))
        for reader in (store, FeatureStore(place, RECIPE)):
            assert len(reader) == 1
            assert (read(reader, keys(1)) == matrix(2)[:1]).all()

    def test_a_store_that_is_open_sees_new_rows_after_a_refresh(self, store, place):
        other = FeatureStore(place, RECIPE)
        store.append(keys(2), matrix(2))
        assert keys(2)[0] in store
        assert keys(2)[0] not in other
        other.refresh()
        assert keys(2)[0] in other
        assert (read(other, keys(2)) == matrix(2)).all()

    def test_another_recipe_sees_nothing(self, store, shard, place):
        other = FeatureStore(place, RecipePart.of("resnet50", "0123456789abcdef" * 4, 225))
        assert (len(other), other.sound(keys(3))) == (0, set())

    def test_a_person_can_read_the_recipe(self, store, shard):
        assert json.loads((store.folder / "recipe.json").read_text()) == RECIPE.to_dict()

    def test_features_of_another_shape_are_refused_and_harm_nothing(self, store, shard):
        with pytest.raises(
            StorageError, match=r"holds features of shape \(9,\), now .*\(1, 3, 3\)"
        ):
            store.append(keys(1, 3), matrix(1).reshape(1, 1, 3, 3))
        assert shard_paths(store.folder) == [shard]

    @pytest.mark.parametrize(
        ("digests", "notes"), [(["00"], None), (["no digest"], None), (keys(2), [("one",)])]
    )
    def test_rows_that_do_not_fit_together_are_refused_whole(self, store, digests, notes):
        with pytest.raises(ValueError, match=r"bytes|hexadecimal|zip"):
            store.append(digests, matrix(len(digests)), notes)
        assert shard_paths(store.folder) == []

    def test_rows_that_are_asked_for_by_the_thousand_are_told_apart(self, store):
        store.append(keys(3000), matrix(3000))
        store.append(keys(10, 5000), matrix(10))
        asked = [*keys(10, 5005), *keys(5, 2998), keys(1)[0]]
        stored = [True] * 5 + [False] * 5 + [True] * 2 + [False] * 3 + [True]
        assert store.stored(asked).tolist() == stored
        assert store.sound(asked) == {
            key for key, is_there in zip(asked, stored, strict=True) if is_there
        }
        with pytest.raises(KeyError, match=keys(1, 5010)[0]):
            read(store, asked)

    def test_a_shard_with_a_name_is_there_for_whoever_asks_for_it(self, store, place):
        worker = FeatureStore(place, RECIPE, listed=False)
        assert not worker.has("block-1")
        worker.append(keys(2), matrix(2), NOTES[:2], name="block-1")
        assert [FeatureStore(place, RECIPE).has(name) for name in ("block-1", "block-2")] == [
            True,
            False,
        ]
        assert len(worker) == 0, "it looks at nothing but what it is asked for"
        for each in (store, worker):
            each.refresh()
            assert each.sound(keys(3)) == set(keys(2))
            assert each.notes(keys(2)) == NOTES[:2]
            assert (read(each, keys(2)) == matrix(2)).all()

    def test_shards_with_names_are_merged_only_when_one_says_so(self, store):
        for number in range(2 * MOST_ALIKE):
            store.append(keys(1, number), matrix(1, seed=number), name=f"block-{number}")
        for number in range(MOST_ALIKE):
            store.append(keys(1, 100 + number), matrix(1))
        assert all(store.has(f"block-{number}") for number in range(2 * MOST_ALIKE))
        assert len(shard_paths(store.folder)) > 2 * MOST_ALIKE
        store.merge()
        assert not store.has("block-0")
        assert len(shard_paths(store.folder)) < MOST_ALIKE
        everything = keys(2 * MOST_ALIKE) + keys(MOST_ALIKE, 100)
        assert store.sound(everything) == set(everything)
        assert (read(store, keys(1, 7)) == matrix(1, seed=7)).all()

    @pytest.mark.parametrize("name", ["", "../escape", "a b", ".hidden", "x" * 101])
    def test_a_name_that_is_no_name_of_a_file_is_refused(self, store, name):
        with pytest.raises(OptionError, match="is no name of a shard"):
            store.append(keys(1), matrix(1), name=name)
        assert shard_paths(store.folder) == []

    def test_two_processes_that_write_at_once_lose_nothing(self, store, place):
        code = """
import sys, numpy as np
from featx import RecipePart
from featx.features.store.store import FeatureStore
from featx.images.digests import digest_bytes
from featx.storage import objects
folder, first, settings = sys.argv[1], int(sys.argv[2]), eval(sys.argv[3])
store = FeatureStore(folder, RecipePart.from_dict(settings))
print("ready", flush=True)
sys.stdin.readline()
for number in range(first, 60, 2):
    vectors = np.full((2, 9), number, np.float32)
    store.append([digest_bytes(b"%d" % number), digest_bytes(b"shared %d" % (number // 2))],
                 vectors // [[1], [2]])
"""
        command = [sys.executable, "-c", code, place]
        writers = [
            subprocess.Popen(
                [*command, str(first), repr(RECIPE.to_dict())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for first in (0, 1)
        ]
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            writer.stdin.write("go\n")
            writer.stdin.flush()
        assert [writer.communicate(timeout=60)[1] for writer in writers] == [None, None]
        assert [writer.returncode for writer in writers] == [0, 0]
        store.refresh()
        shared = [digest_bytes(b"shared %d" % number) for number in range(30)]
        assert store.sound(keys(60) + shared) == set(keys(60) + shared)
        assert read(store, keys(60))[:, 0].tolist() == list(range(60))
        assert read(store, shared)[:, 0].tolist() == list(range(30))
        assert store.damages == []


def test_opening_and_looking_up_makes_no_object_for_each_row(tmp_path):
    FeatureStore(tmp_path, RECIPE).append(keys(20_000), matrix(20_000, 2))
    FeatureStore(tmp_path, RECIPE).stored(keys(1))  # whatever is made once
    before = sys.getallocatedblocks()
    store = FeatureStore(tmp_path, RECIPE)
    assert store.stored(keys(1)).all()
    assert sys.getallocatedblocks() - before < 2_000


@pytest.mark.parametrize("few", [0, 3])
def test_rows_of_a_large_shard_are_read_few_at_a_time_or_all(tmp_path, few):
    truth = matrix(40, 20_000)
    FeatureStore(tmp_path, RECIPE).append(keys(40), truth)
    store = FeatureStore(tmp_path, RECIPE)
    chosen = [39, 0, 7][:few] or list(range(40))
    asked = [keys(40)[row] for row in chosen]
    assert store.sound(asked) == set(asked)
    assert (read(store, asked) == truth[chosen]).all()


def damaged_copies(whole: bytes):
    """Name and content of files that a shard may have become."""
    other = pa.table({"key": ["a"], "vector": [[1.0]]})
    stream = pa.BufferOutputStream()
    with pa.ipc.new_file(stream, other.schema) as writer:
        writer.write_table(other)
    return {
        "empty": b"",
        "zeros": bytes(len(whole)),
        "zeros at the end": whole[:-512] + bytes(512),
        "text": b"this is not an Arrow file\n" * 40,
        "another Arrow file": stream.getvalue().to_pybytes(),
        "another format": whole.replace(b'"format": 1', b'"format": 2'),
        "another shape": whole.replace(b'"shape": [9]', b'"shape": [8]'),
        "a shape of the same width": whole.replace(b'"shape": [9]', b'"shape":[-1]'),
        "the end before the beginning": whole[len(whole) // 2 :] + whole[: len(whole) // 2],
    }


def assert_never_wrong(tmp_path: Path, path: Path, content: bytes, truth: np.ndarray) -> bool:
    """Check what a store makes of a damaged file; return whether it noticed."""
    path.write_bytes(content)
    store = FeatureStore(tmp_path, RECIPE)
    sound = store.sound(keys(3))
    if sound:
        assert sound == set(keys(3)), "some rows are missing and that was not reported"
        assert read(store, keys(3)).tobytes() == truth.tobytes()
        assert store.notes([keys(3)[1]])[0] == ("CMYK to RGB",)
    assert bool(store.damages) == (not sound), store.damages
    return not sound


@pytest.mark.parametrize("kind", damaged_copies(b""))
def test_a_damaged_shard_is_reported_and_a_miss(kind, tmp_path, shard, whole, caplog):
    content = damaged_copies(whole)[kind]
    assert content != whole
    shard.write_bytes(content)
    store = FeatureStore(tmp_path, RECIPE)
    assert store.sound(keys(3)) == set()
    assert [damage.path for damage in store.damages] == [shard]
    assert f"the cache file {shard} is damaged ({store.damages[0].reason})" in caplog.text
    assert len(store.damages[0].reason.splitlines()) == 1, store.damages
    store.refresh()
    assert len(caplog.records) == 1, "it was reported twice"


def test_a_shard_cut_off_anywhere_is_noticed(tmp_path, shard, whole):
    for length in [*range(0, len(whole), 37), *range(len(whole) - 20, len(whole))]:
        assert assert_never_wrong(tmp_path, shard, whole[:length], matrix(3)), length


def test_a_flipped_byte_anywhere_never_gives_a_wrong_vector(tmp_path, shard, whole):
    noticed = {}
    for offset in range(0, len(whole), 5):
        damaged = bytearray(whole)
        damaged[offset] ^= 0x41
        noticed[offset] = assert_never_wrong(tmp_path, shard, bytes(damaged), matrix(3))
    first = whole.index(matrix(3).tobytes())
    of_vectors = [seen for at, seen in noticed.items() if first <= at < first + matrix(3).nbytes]
    assert of_vectors, "no flip hit a vector"
    assert all(of_vectors), "a flip in a vector went unnoticed"


@RELAXED
@given(data=st.data())
def test_no_damage_of_several_bytes_gives_a_wrong_vector(tmp_path, shard, whole, data):
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        offset = data.draw(st.integers(0, len(whole) - 1))
        patch = data.draw(st.binary(min_size=1, max_size=16))
        damaged[offset : offset + len(patch)] = patch
    assert_never_wrong(tmp_path, shard, bytes(damaged), matrix(3))


def test_a_damaged_shard_is_a_miss_as_a_whole_unless_others_have_its_rows(tmp_path, store, shard):
    store.append(keys(2, start=1), matrix(2, seed=1))
    whole = shard.read_bytes()
    shard.write_bytes(whole.replace(matrix(3)[2].tobytes(), matrix(3)[0].tobytes()))
    later = FeatureStore(tmp_path, RECIPE)
    assert later.sound(keys(1)) == set(keys(1)), "its first row is good"
    assert later.damages == []
    assert later.sound(keys(3)) == {keys(3)[1], keys(3)[2]}
    assert (read(later, keys(3)[1:]) == matrix(2, seed=1)).all()
    assert [damage.reason for damage in later.damages] == ["a vector does not match its checksum"]


@pytest.mark.parametrize(("asked", "one_by_one"), [(1, 1), (2, 0), (3, 0)])
def test_most_rows_of_a_shard_are_checked_together(tmp_path, shard, monkeypatch, asked, one_by_one):
    checked = []
    is_sound = shard_module.Shard.is_sound
    monkeypatch.setattr(
        shard_module.Shard,
        "is_sound",
        lambda each, row: checked.append(row) or is_sound(each, row),
    )
    assert FeatureStore(tmp_path, RECIPE).sound(keys(asked)) == set(keys(asked))
    assert len(checked) == one_by_one


def test_rows_that_are_sound_are_so_whatever_becomes_of_the_checksum_of_all(tmp_path, shard, whole):
    total = str(shard_module.open_shard(shard).total).encode()
    assert whole.count(total) == 2, "in the schema and in the footer"
    shard.write_bytes(whole.replace(total, total[:-1] + bytes([total[-1] ^ 1])))
    assert FeatureStore(tmp_path, RECIPE).sound(keys(3)) == set(keys(3))


def test_only_damaged_shards_are_discarded(tmp_path, store, shard, caplog):
    store.append(keys(1, start=3), matrix(1))
    shard.write_bytes(b"")
    later = FeatureStore(tmp_path, RECIPE)
    later.discard_damaged()
    assert shard_paths(store.folder) == shard_paths(later.folder) != []
    assert not shard.exists()
    assert later.damages == []
    caplog.clear()
    assert FeatureStore(tmp_path, RECIPE).sound(keys(4)) == {keys(4)[3]}
    assert caplog.records == []


def test_vectors_of_16_bit_pictures_from_before_their_depth_was_told_are_made_anew(tmp_path):
    store = FeatureStore(tmp_path, RECIPE)
    digests = [f"{number:064x}" for number in range(3)]
    notes = [("alpha on white", "16-bit to 8-bit"), ("16-bit to 8-bit, of depth 16",), ()]
    store.append(digests, np.zeros((3, 4), np.float32), notes)
    assert store.sound(digests) == set(digests[1:])
    store.append(digests[:1], np.ones((1, 4), np.float32), [("16-bit to 8-bit, of depth 12",)])
    assert store.sound(digests) == set(digests)
    out = np.empty((1, 4), np.float32)
    store.read(digests[:1], out)
    assert out.tolist() == [[1, 1, 1, 1]]


def test_a_shard_among_those_of_another_shape_is_reported(tmp_path, store, shard, caplog):
    odd = store.folder / f"9{shard.name}"
    shard_module.write_shard(odd, [bytes(32)], [""], np.zeros((1, 8), np.float32))
    later = FeatureStore(tmp_path, RECIPE)
    assert later.shape == (9,)
    assert len(later) == 3
    assert f"{odd} is damaged (features of shape (8,) among those of (9,))" in caplog.text


def refusing(function, number, where):
    """Wrap a function that opens files, so that the system refuses some of them."""

    def wrapper(path, *args, **kwargs):
        if where(str(path)):
            raise OSError(number, os.strerror(number), str(path))
        return function(path, *args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    ("owner", "name", "number"),
    [(Path, "open", errno.EACCES), (Path, "open", errno.EIO), (Path, "stat", errno.ESTALE)],
)
def test_a_shard_that_cannot_be_read_is_a_miss_and_stays(
    owner, name, number, tmp_path, store, shard, monkeypatch, caplog
):
    store.append(keys(1, start=3), matrix(1))
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, refusing(getattr(owner, name), number, str(shard).__eq__))
        later = FeatureStore(tmp_path, RECIPE)
        later.refresh()
        later.discard_damaged()
    assert (later.sound(keys(4)), later.damages) == ({keys(4)[3]}, [])
    messages = [record.message for record in caplog.records]
    assert len(messages) == 1, messages
    assert f"{shard} cannot be read: " in messages[0]
    assert FeatureStore(tmp_path, RECIPE).sound(keys(4)) == set(keys(4))


def test_a_shard_that_another_process_removes_meanwhile_is_no_matter(
    tmp_path, store, shard, monkeypatch, caplog
):
    shard.unlink()
    monkeypatch.setattr(os, "listdir", lambda folder: [shard.name])
    assert FeatureStore(tmp_path, RECIPE).sound(keys(3)) == set()
    assert caplog.records == []


def test_what_a_killed_writer_left_and_what_is_not_ours_is_ignored(
    tmp_path, store, shard, whole, caplog
):
    (store.folder / f".{shard.name}-0123456789ab.arrow").write_bytes(whole[:100])
    (store.folder / "notes.txt").write_text("mine")
    assert len(FeatureStore(tmp_path, RECIPE)) == 3
    assert caplog.records == []


def full_when_flushed(monkeypatch):
    def fsync(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)


def full_when_written(monkeypatch):
    """Let new files be /dev/full, of which the system itself says that there is no room."""
    real = Path.open

    def open_full(path, mode="r", *args, **kwargs):
        return real(Path("/dev/full") if mode == "wb" else path, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", open_full)


@pytest.mark.parametrize("fill", [full_when_flushed, full_when_written])
@pytest.mark.parametrize("held", [1, store_module.HELD_BYTES])
def test_a_full_disk_is_said_once_and_costs_nothing(
    fill, held, tmp_path, store, shard, monkeypatch, caplog
):
    monkeypatch.setattr(store_module, "HELD_BYTES", held)
    before = {path: path.read_bytes() for path in store.folder.iterdir()}
    with monkeypatch.context() as patch:
        fill(patch)
        store.append(keys(500, start=3), matrix(500), [("a note",)] * 500)
        store.append(keys(1, start=503), matrix(1))
    assert {path: path.read_bytes() for path in store.folder.iterdir()} == before
    assert store.sound(keys(504)) == set(keys(504))
    assert read(store, keys(500, start=3)).tobytes() == matrix(500).tobytes()
    assert store.notes([keys(4)[3]])[0] == ("a note",)
    assert [record.message for record in caplog.records] == [
        f"the cache {tmp_path} cannot be written (no space left on device): what it holds is used, "
        "and nothing is added; --cache or FEATX_CACHE names another folder, --no-cache none"
    ]
    FeatureStore(tmp_path, RECIPE).append(keys(1, start=3), matrix(1))
    assert len(FeatureStore(tmp_path, RECIPE)) == 4


def test_a_store_without_a_folder_holds_what_it_gets(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    store = FeatureStore(None, RECIPE)
    store.append(keys(2), matrix(2), NOTES[:2])
    store.append(keys(1, start=2), matrix(1, seed=1))
    store.note_speed(5.0, 100)
    assert store.sound(keys(4)) == set(keys(3))
    assert (read(store, keys(3)) == np.concatenate([matrix(2), matrix(1, seed=1)])).all()
    assert (store.notes([keys(2)[1]])[0], store.images_per_second) == (NOTES[1], 5.0)
    assert len(FeatureStore(None, RECIPE)) == 0
    assert (list(tmp_path.iterdir()), caplog.records) == ([], [])


class TestMerging:
    """Small shards become one; whoever reads meanwhile finds every row."""

    def test_many_small_runs_leave_few_files_and_every_row(self, tmp_path):
        truth = matrix(300)
        for row, digest in enumerate(keys(300)):
            notes = [NOTES[row % 3]]
            FeatureStore(tmp_path, RECIPE, shared=True).append(
                [digest], truth[row : row + 1], notes
            )
        later = FeatureStore(tmp_path, RECIPE)
        assert len(shard_paths(later.folder)) <= 3 * MOST_ALIKE
        assert later.sound(keys(300)) == set(keys(300))
        assert read(later, keys(300)).tobytes() == truth.tobytes()
        assert later.notes(keys(6)) == NOTES * 2

    def test_a_store_that_was_open_before_keeps_its_rows_and_finds_the_new(self, tmp_path):
        writer = FeatureStore(tmp_path, RECIPE)
        for row in range(MOST_ALIKE - 1):
            writer.append(keys(1, row), matrix(1, seed=row))
        reader = FeatureStore(tmp_path, RECIPE)
        writer.append(keys(1, MOST_ALIKE - 1), matrix(1, seed=MOST_ALIKE - 1))
        assert len(shard_paths(writer.folder)) == 1
        known = keys(MOST_ALIKE - 1)
        assert reader.sound(known) == set(known)
        assert (read(reader, known[3:4]) == matrix(1, seed=3)).all()
        reader.refresh()
        assert reader.sound(keys(MOST_ALIKE)) == set(keys(MOST_ALIKE))
        assert reader.damages == []

    def test_a_listing_from_before_a_merge_loses_no_row(self, tmp_path, monkeypatch):
        """The files vanish after they were listed and before they are opened."""
        writer = FeatureStore(tmp_path, RECIPE)
        for row in range(MOST_ALIKE - 1):
            writer.append(keys(1, row), matrix(1, seed=row))
        old = os.listdir(writer.folder)
        writer.append(keys(1, MOST_ALIKE - 1), matrix(1))
        listdir, listings = os.listdir, [old]
        monkeypatch.setattr(
            os, "listdir", lambda folder: listings.pop() if listings else listdir(folder)
        )
        reader = FeatureStore(tmp_path, RECIPE)
        assert reader.sound(keys(MOST_ALIKE)) == set(keys(MOST_ALIKE))

    def test_a_merge_that_was_killed_leaves_rows_twice_and_the_next_ends_that(
        self, tmp_path, monkeypatch
    ):
        store = FeatureStore(tmp_path, RECIPE)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", refusing(Path.unlink, errno.EPERM, is_finished))
            for row in range(MOST_ALIKE):
                store.append(keys(1, row), matrix(1, seed=row))
        assert len(shard_paths(store.folder)) == MOST_ALIKE + 1
        later = FeatureStore(tmp_path, RECIPE)
        assert len(later) == MOST_ALIKE
        assert later.sound(keys(MOST_ALIKE)) == set(keys(MOST_ALIKE))
        later.append(keys(1, MOST_ALIKE), matrix(1))
        assert len(shard_paths(store.folder)) == 2
        assert len(FeatureStore(tmp_path, RECIPE)) == MOST_ALIKE + 1

    def test_a_merge_that_finds_no_room_costs_nothing(self, tmp_path, monkeypatch, caplog):
        store = FeatureStore(tmp_path, RECIPE)
        for row in range(MOST_ALIKE - 1):
            store.append(keys(1, row), matrix(1, seed=row))
        monkeypatch.setattr(os, "utime", refusing(os.utime, errno.ENOSPC, lambda path: True))
        for row in (MOST_ALIKE - 1, MOST_ALIKE):
            store.append(keys(1, row), matrix(1, seed=row))
        assert len(shard_paths(store.folder)) == MOST_ALIKE + 1
        assert store.sound(keys(MOST_ALIKE + 1)) == set(keys(MOST_ALIKE + 1))
        assert (store.keeps, caplog.records) == (True, [])

    def test_damaged_rows_are_not_merged(self, tmp_path, caplog):
        store = FeatureStore(tmp_path, RECIPE)
        for row in range(MOST_ALIKE - 1):
            store.append(keys(1, row), matrix(1, seed=row))
        damaged = shard_paths(store.folder)[3]
        whole = damaged.read_bytes()
        damaged.write_bytes(whole.replace(matrix(1, seed=3).tobytes(), matrix(1).tobytes()))
        store.append(keys(1, MOST_ALIKE - 1), matrix(1))
        later = FeatureStore(tmp_path, RECIPE)
        assert later.sound(keys(MOST_ALIKE)) == {*keys(MOST_ALIKE)} - {keys(4)[3]}
        assert [damage.path for damage in later.damages] == [damaged]

    def test_the_age_of_rows_stays(self, tmp_path):
        store = FeatureStore(tmp_path, RECIPE)
        for row in range(MOST_ALIKE - 1):
            store.append(keys(1, row), matrix(1))
            os.utime(shard_paths(store.folder)[-1], (row + 1, row + 1))
        (tmp_path / "clock").touch()
        store.append(keys(1, MOST_ALIKE - 1), matrix(1))
        (merged,) = shard_paths(store.folder)
        newest = (tmp_path / "clock").stat().st_mtime
        assert newest - 1 <= merged.stat().st_mtime <= newest + 60


def is_finished(path: str) -> bool:
    return path.endswith(".arrow") and not os.path.basename(path).startswith(".")


def test_a_shared_store_reads_no_file_again_that_is_open_unless_it_changed(tmp_path, monkeypatch):
    store = FeatureStore(tmp_path, RECIPE, shared=True)
    store.append(keys(3), matrix(3))
    opened = []
    real = Path.open
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda path, *args: opened.append(path) or real(path, *args))
        for _ in range(3):
            assert FeatureStore(tmp_path, RECIPE, shared=True).sound(keys(3)) == set(keys(3))
    assert opened == []
    (shard,) = shard_paths(store.folder)
    shard.write_bytes(shard.read_bytes()[:-9])
    later = FeatureStore(tmp_path, RECIPE, shared=True)
    assert (later.sound(keys(3)), [each.path for each in later.damages]) == (set(), [shard])


@pytest.mark.parametrize("width", [9, 200_000])
def test_a_cache_whose_path_is_not_utf_8_works(tmp_path, width):
    cache = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe")
    try:
        os.mkdir(cache)
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    FeatureStore(cache, RECIPE).append(keys(2), matrix(2, width))
    later = FeatureStore(cache, RECIPE)
    assert later.sound(keys(2)) == set(keys(2))
    assert (read(later, keys(2)) == matrix(2, width)).all()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "7",
        '{"images_per_second": 0}',
        f'{{"images_per_second": 1{"0" * 400}}}',
        "\0" * 9,
    ],
)
def test_a_speed_that_cannot_be_read_is_unknown(store, text):
    store.create()
    store.note_speed(12.5, 100)
    file = store.folder / "speed.json"
    assert store.images_per_second == 12.5
    file.write_text(file.read_text().replace("12.5", "92.5"))
    assert math.isnan(store.images_per_second)
    file.write_text(text)
    assert math.isnan(store.images_per_second)
    file.write_text('{"images_per_second": 12.5}')  # as earlier versions wrote it
    assert store.images_per_second == 12.5


def test_a_recipe_that_cannot_be_read_is_written_again(store, shard):
    (store.folder / "recipe.json").write_text('{"backb')
    store.append(keys(1, start=3), matrix(1))
    assert json.loads((store.folder / "recipe.json").read_text()) == RECIPE.to_dict()


def test_a_cache_below_a_file_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="a part of the path is a file, not a folder"):
        FeatureStore(tmp_path / "file", RECIPE).append(keys(1), matrix(1))


def test_a_shard_of_format_1_is_read(tmp_path, store, caplog):
    """The file was written by the first version; a later format must go on reading it."""
    store.create()
    (store.folder / "00000000000000000001-abcdef01.arrow").write_bytes(FORMAT_1.read_bytes())
    store.refresh()
    assert store.sound(keys(3)) == {keys(3)[0], keys(3)[1]}
    assert store.shape == (1, 2, 2)
    truth = np.array([[0.5, -1.0, 2.0, 3.25], [-0.0, 1e-30, 3e38, 1.0]], np.float32)
    assert read(store, keys(2)).tobytes() == truth.tobytes()
    assert store.notes(keys(2)) == [(), ("rotated as EXIF says",)]
    assert caplog.records == []


def test_the_cache_is_where_one_says_or_the_environment_or_the_system(tmp_path, monkeypatch):
    assert cache_folder(tmp_path / "mine") == tmp_path / "mine"
    assert cache_folder("~/mine") == Path.home() / "mine"
    assert cache_folder() == Path(os.environ["FEATX_CACHE"])
    monkeypatch.delenv("FEATX_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "of-the-user"))
    assert cache_folder().name == "featx"
    assert cache_folder() != tmp_path


def test_many_damaged_shards_are_one_line(tmp_path, store, caplog):
    for number in range(3):
        store.append([f"{number:064x}"], np.zeros((1, 9), np.float32))
    for path in store.folder.glob("*.arrow"):
        path.write_bytes(b"")
    reopened = FeatureStore(tmp_path, store.recipe)
    assert len(reopened.damages) == 3
    assert len(caplog.records) == 1
    assert "and so are 2 more" in caplog.text
