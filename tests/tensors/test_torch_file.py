"""Files of PyTorch are read in both formats; what else they ask for is refused, and not done."""

from __future__ import annotations

import copyreg
import pickle
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensor_files import DICT, STORAGES, dictionary, push, storage, tensor, write_old, write_zip

from featx.errors import WeightsError
from featx.tensors.tensor_file import read_tensors

reuse_tmp_path = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
WRITERS = {"old": write_old, "zip": write_zip}


@pytest.fixture(params=WRITERS)
def write(request):
    """Return the writer of a format."""
    return WRITERS[request.param]


def refusal(path):
    with pytest.raises(WeightsError) as caught:
        read_tensors(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert "expected a dictionary of tensors" in message
    assert len(message) < 400
    return message


@reuse_tmp_path
@given(
    st.dictionaries(
        st.text(max_size=20),
        hnp.arrays(
            st.sampled_from(sorted(STORAGES)),
            hnp.array_shapes(min_dims=0, max_dims=4, max_side=4),
        ),
        max_size=4,
    )
)
def test_what_was_written_is_read(write, tmp_path, arrays):
    pairs, stored = [], {}
    for number, (name, array) in enumerate(arrays.items()):
        key = str(number)
        strides = tuple(step // array.itemsize for step in array.strides)
        reference = storage(key, array.size, STORAGES[array.dtype.name])
        pairs.append((name, tensor(reference, 0, array.shape, strides)))
        stored[key] = array.ravel()
    tensors = read_tensors(write(tmp_path / "a.pth", dictionary(*pairs), stored))
    assert list(tensors) == list(arrays)
    for name, array in arrays.items():
        assert tensors[name].dtype == array.dtype
        np.testing.assert_array_equal(tensors[name], array)


def test_a_permuted_tensor_and_a_slice_share_their_storage(write, tmp_path):
    program = dictionary(
        ("permuted", tensor(sizes=(3, 2), strides=(1, 3))),
        ("slice", tensor(offset=2, sizes=(2,), strides=(2,))),
    )
    tensors = read_tensors(write(tmp_path / "a.pth", program))
    np.testing.assert_array_equal(tensors["permuted"], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(tensors["slice"], [2, 4])
    assert np.shares_memory(tensors["permuted"], tensors["slice"])
    assert not tensors["slice"].flags.writeable


def test_the_metadata_of_modules_is_left_out(write, tmp_path):
    state = b"}" + push("_metadata") + push({"": {"version": 1}}) + b"s"
    tensors = read_tensors(write(tmp_path / "a.pth", dictionary(("w", tensor())) + state + b"b"))
    assert type(tensors) is dict
    assert list(tensors) == ["w"]


def test_a_plain_dictionary_will_do(write, tmp_path):
    tensors = read_tensors(write(tmp_path / "a.pth", b"}" + push("w") + tensor() + b"s"))
    np.testing.assert_array_equal(tensors["w"], [[0, 1, 2], [3, 4, 5]])


def test_a_huge_memo_index_takes_no_memory(write, tmp_path):
    program = dictionary(("w", tensor() + b"r\xff\xff\xff\xff"))
    assert list(read_tensors(write(tmp_path / "a.pth", program))) == ["w"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"PK\x03\x04" + b"\0" * 100, "list of members is missing"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "begins with b'\\x89HDF"),
        (pickle.dumps({"a": 1}), "neither a file of PyTorch nor of safetensors"),
    ],
)
def test_another_format_is_named(tmp_path, content, words):
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    assert words in refusal(path)


def test_a_missing_file_and_a_folder_are_weights_errors(tmp_path):
    assert "No such file" in refusal(tmp_path / "none.pth")
    assert "cannot be read" in refusal(tmp_path)


def canary_programs():
    """Programs that would create the file `canary`, for an unpickler that ran them."""
    command = push("touch canary")
    code = push("open('canary', 'w')")
    system, execute = b"cos\nsystem\n", b"cbuiltins\neval\n"
    call = system + command + b"\x85R"
    return {
        "GLOBAL": call,
        "STACK_GLOBAL": push("os") + push("system") + b"\x93" + command + b"\x85R",
        "INST": b"(" + command + b"ios\nsystem\n",
        "OBJ": b"(" + system + command + b"o",
        "NEWOBJ": system + command + b"\x85\x81",
        "eval": execute + code + b"\x85R",
        "as a value": dictionary(("w", call)),
        "in a tensor": dictionary(("w", tensor(call))),
        "as a storage's type": dictionary(("w", tensor(storage(kind=call)))),
        "before a good tensor": call + b"0" + dictionary(("w", tensor())),
        "in the state": dictionary(("w", tensor())) + call + b"b",
        "as a hook": tensor()[:-2] + call + b"tR",
        "EXT1": b"\x82\xf0" + command + b"\x85R",
        "EXT2": b"\x83\xf0\x00" + command + b"\x85R",
        "EXT4": b"\x84\xf0\x00\x00\x00" + command + b"\x85R",
    }


@pytest.fixture
def _registered_extension():
    """Have `os.system` as an extension that was used before, which skips `find_class`."""
    copyreg.add_extension("os", "system", 0xF0)
    pickle.loads(b"\x80\x02\x82\xf0.")
    yield
    copyreg.remove_extension("os", "system", 0xF0)
    copyreg.clear_extension_cache()


@pytest.mark.usefixtures("_registered_extension")
@pytest.mark.parametrize("kind", canary_programs())
def test_nothing_in_a_file_is_run(write, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    program = canary_programs()[kind]
    assert refusal(write(tmp_path / "a.pth", program))
    # The same program in place of the first three pickles of the old format.
    good = write_old(tmp_path / "a.pth", program).read_bytes()
    for end in (0, 15, 21):
        (tmp_path / "b.pth").write_bytes(good[:end] + b"\x80\x02" + program + b".")
        refusal(tmp_path / "b.pth")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "name",
    [
        b"ctorch\nload\n",
        b"ctorch._utils\n_rebuild_qtensor\n",
        b"ctorch._utils _rebuild_tensor_v2\n\n",
        b"ctorch.cuda\nFloatStorage\n",
        b"ccollections\nOrderedDict.fromkeys\n",
        b"ctorch\\x2eFloatStorage\n\n",
        b"cfeatx.tensors.torch_file\nread_tensors\n",
    ],
)
def test_a_name_off_the_list_is_refused_and_named(write, tmp_path, name):
    module, attribute = name[1:].decode().split("\n")[:2]
    assert f"refers to {f'{module}.{attribute}'!r}" in refusal(write(tmp_path / "a.pth", name))


@pytest.mark.parametrize(
    "value",
    [
        tensor(offset=1),
        tensor(offset=-1, sizes=(2,), strides=(1,)),
        tensor(offset=2**62),
        tensor(sizes=(7,), strides=(1,)),
        tensor(sizes=(2, 3), strides=(4, 1)),
        tensor(sizes=(2,), strides=(-1,)),
        tensor(sizes=(2,), strides=(2**62,)),
        tensor(sizes=(2,), strides=(2**2000,)),
        tensor(sizes=(2**40,), strides=(0,)),
        tensor(sizes=(2**62, 4), strides=(0, 0)),
        tensor(sizes=(0, 2**62), strides=(1, 1)),
        tensor(sizes=(0, -1), strides=(1, 1)),
        tensor(sizes=(-1,), strides=(1,)),
        tensor(sizes=(2, 3), strides=(1,)),
        tensor(sizes=(1,) * 40, strides=(1,) * 40),
        tensor(sizes=(True,), strides=(1,)),
        tensor(sizes=(1.0,), strides=(1,)),
        tensor(sizes=[6], strides=[1]),
        tensor(offset=None),
        tensor(reference=push("k")),
        tensor(storage(count=2**40)),
        tensor(storage(count=2**80)),
        tensor(storage(count=5), sizes=(5,), strides=(1,)),
        tensor(storage(count=-6)),
        tensor(storage(count=True)),
        tensor(storage(key="other")),
        tensor(storage(key=7)),
        tensor(storage(kind=STORAGES["int64"])),
        tensor(storage(kind=DICT)),
        tensor(storage(kind=b"ccollections\nOrderedDict\n")),
        tensor(storage(view=("k", 0, 6))),
        tensor(push(("storage", 1)) + b"Q"),
        tensor(push(("module", 1, 2, 3, 4, None)) + b"Q"),
        push(1),
        push({"w": 1}),
        STORAGES["float32"],
        STORAGES["float32"] + push(10**9) + b"\x85R",
        storage(),
    ],
)
def test_a_tensor_that_cannot_be_is_refused(write, tmp_path, value):
    assert refusal(write(tmp_path / "a.pth", dictionary(("w", value))))


def test_a_storage_described_twice_is_refused(write, tmp_path):
    pairs = ("a", tensor()), ("b", tensor(storage(count=4), sizes=(4,), strides=(1,)))
    assert "twice" in refusal(write(tmp_path / "a.pth", dictionary(*pairs)))


DEEP = b")" + b"\x85" * 300_000  # as a key, it overflows the C stack of an unpickler
WIDE = b")" + b"q\x00h\x00\x86" * 200  # as a key, it is hashed 2 ** 200 times


@pytest.mark.parametrize(
    "program",
    [
        b"}" + DEEP + b"Ns",
        b"}" + WIDE + b"Ns",
        DICT + DEEP + b"Ns",
        dictionary(("w", DEEP)),
        dictionary(("w", WIDE)),
        dictionary(("w", tensor(DEEP))),
        dictionary(("w", tensor(WIDE + b"Q"))),
        dictionary(("w", b"(" + WIDE + b"N" * 5 + b"tQ")),
        dictionary(("w", tensor()[:-2] + WIDE + b"tR")),
        b"}q\x00" + push("w") + b"h\x00s",
        b"]q\x00h\x00a",
        push([]),
        push("w"),
        b"N0N",
        b"\x8d" + struct.pack("<Q", 2**62),
        b"\x8b" + struct.pack("<i", 2**31 - 1),
        b"j\x00\x00\x00\x00",
        b"s",
        b"t",
        b"",
    ],
)
def test_a_program_that_would_crash_or_hang_is_refused(write, tmp_path, program):
    assert refusal(write(tmp_path / "a.pth", program))


def test_a_deep_state_is_dropped(write, tmp_path):
    program = dictionary(("w", tensor())) + DEEP + b"b"
    assert list(read_tensors(write(tmp_path / "a.pth", program))) == ["w"]


def test_a_big_endian_file_is_refused(write, tmp_path):
    path = write(tmp_path / "a.pth", dictionary(("w", tensor())), little_endian=False)
    assert "little-endian" in refusal(path)


def test_a_file_cut_anywhere_or_with_a_tail_is_refused(write, tmp_path):
    data = write(tmp_path / "a.pth", dictionary(("w", tensor()))).read_bytes()
    path = tmp_path / "b.pth"
    for end in range(len(data)):
        path.write_bytes(data[:end])
        refusal(path)
    path.write_bytes(data + b"\0")
    refusal(path)


@reuse_tmp_path
@given(st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(write, tmp_path, data):
    program = dictionary(("w", tensor()), ("v", tensor(offset=0)))
    good = write(tmp_path / "a.pth", program).read_bytes()
    start = data.draw(st.integers(4, len(good) - 1))
    patch = data.draw(st.binary(min_size=1, max_size=6))
    path = tmp_path / "b.pth"
    path.write_bytes(good[:start] + patch + good[start + len(patch) :])
    try:
        tensors = read_tensors(path)
    except WeightsError:
        return
    assert all(array.size <= 6 for array in tensors.values())
    assert all(array.copy().shape == array.shape for array in tensors.values())


def checkpoint(**values):
    """Opcodes of what a training script keeps: numbers, settings, an optimizer, and weights."""
    settings = b"cargparse\nNamespace\n)\x81" + push({"lr": 0.1, "name": "run"}) + b"b"
    best = b"cnumpy._core.multiarray\nscalar\ncnumpy\ndtype\n" + push(("f8", False, True))
    best += b"R(K\x03" + push("<") + b"NNNtbc_codecs\nencode\n" + push(("\0" * 8, "latin1"))
    best += b"R\x86R"
    state = push({"state": {0: {"step": 3}}, "param_groups": [{"lr": 1e-3, "params": [0, 1]}]})
    pairs = ("epoch", push(3)), ("args", settings), ("best", best), ("optimizer", state)
    return b"}(" + b"".join(push(name) + value for name, value in (*pairs, *values.items())) + b"u"


@pytest.mark.parametrize("name", ["state_dict", "model", "model_state_dict", "teacher"])
def test_the_weights_of_a_checkpoint_are_found(write, tmp_path, name):
    program = checkpoint(**{name: dictionary(("w", tensor()))})
    tensors = read_tensors(write(tmp_path / "a.pth", program))
    np.testing.assert_array_equal(tensors["w"], [[0, 1, 2], [3, 4, 5]])
    assert list(tensors) == ["w"]


def test_averaged_weights_go_before_the_last_ones(write, tmp_path):
    last, averaged = dictionary(("w", tensor())), dictionary(("w", tensor(sizes=(1, 3))))
    path = write(tmp_path / "a.pth", checkpoint(state_dict=last, state_dict_ema=averaged))
    assert read_tensors(path)["w"].shape == (1, 3)


def test_a_checkpoint_without_weights_is_refused(write, tmp_path):
    assert "'epoch' is no tensor" in refusal(write(tmp_path / "a.pth", checkpoint()))


def test_a_parameter_is_its_tensor(write, tmp_path):
    parameter = b"ctorch._utils\n_rebuild_parameter\n(" + tensor() + b"\x88" + DICT + b"tR"
    tensors = read_tensors(write(tmp_path / "a.pth", dictionary(("w", parameter))))
    np.testing.assert_array_equal(tensors["w"], [[0, 1, 2], [3, 4, 5]])


def test_bfloat16_becomes_float32(write, tmp_path):
    numbers = np.array([1, -2.5, 0, 3e38, np.inf, 2**-130], "f4")
    halves = {"k": (numbers.view("<u4") >> 16).astype("<u2")}
    value = tensor(storage(kind=b"ctorch\nBFloat16Storage\n"))
    tensors = read_tensors(write(tmp_path / "a.pth", dictionary(("w", value)), halves))
    assert tensors["w"].dtype == np.float32
    np.testing.assert_allclose(tensors["w"].ravel(), numbers, rtol=2**-7)


def test_a_tensor_without_elements_is_read(write, tmp_path):
    value = tensor(storage(count=0), sizes=(0, 3), strides=(3, 1))
    arrays = {"k": np.zeros(0, "f4")}
    assert read_tensors(write(tmp_path / "a.pth", dictionary(("w", value)), arrays))["w"].shape == (
        0,
        3,
    )


def test_tensors_that_are_much_larger_than_the_file_together_are_refused(write, tmp_path):
    pairs = [(str(number), tensor(sizes=(5000,), strides=(1,))) for number in range(40)]
    program = dictionary(*pairs).replace(push(6), push(5000))
    path = write(tmp_path / "a.pth", program, {"k": np.zeros(5000, "f4")})
    assert "much larger" in refusal(path)


def test_an_endless_pickle_is_refused(write, tmp_path):
    assert "damaged" in refusal(write(tmp_path / "a.pth", push("a" * (17 << 20))))
    assert "refers to 'aaa" in refusal(write(tmp_path / "a.pth", b"c" + b"a" * (1 << 20)))
