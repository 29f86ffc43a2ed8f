"""Files that PyTorch itself wrote give the tensors that it reads from them."""

from __future__ import annotations

import argparse
import os
import random

import numpy as np
import pytest
from tensor_files import dictionary, save_safetensors, tensor, write_old, write_zip

from featx.errors import WeightsError
from featx.tensors.tensor_file import TENSOR_FILES, read_tensors


def test_the_format_is_told_by_the_content_not_by_the_name(tmp_path):
    program = dictionary(("w", tensor()))
    for suffix in (*TENSOR_FILES, ".anything"):
        write_zip(tmp_path / "a", program).rename(tmp_path / f"zip{suffix}")
        write_old(tmp_path / "a", program).rename(tmp_path / f"old{suffix}")
        numbers = np.arange(6, dtype="f4").reshape(2, 3)
        save_safetensors(tmp_path / "a", {"w": numbers}).rename(tmp_path / f"safe{suffix}")
        for kind in ("zip", "old", "safe"):
            np.testing.assert_array_equal(
                read_tensors(tmp_path / f"{kind}{suffix}")["w"], [[0, 1, 2], [3, 4, 5]]
            )


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "module._orig_mod."])
def test_names_are_those_of_the_network_not_of_a_wrapper(tmp_path, wrapper):
    arrays = {"conv.weight": np.ones(3), "module.weight": np.zeros(2)}
    wrapped = {f"{wrapper}{name}": each for name, each in arrays.items()}
    path = save_safetensors(tmp_path / "a.safetensors", wrapped)
    assert list(read_tensors(path)) == list(arrays)
    assert list(read_tensors(save_safetensors(path, arrays))) == list(arrays)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.pth")
    with pytest.raises(WeightsError, match="it is no file"):
        read_tensors(tmp_path / "pipe.pth")


@pytest.mark.parametrize("kind", ["zip", "old", "safetensors"])
def test_files_damaged_in_many_places_are_read_or_refused(tmp_path, kind):
    program = dictionary(*((str(number), tensor()) for number in range(4)))
    writers = {
        "zip": lambda path: write_zip(path, program),
        "old": lambda path: write_old(path, program),
        "safetensors": lambda path: save_safetensors(path, {"w": np.ones(4), "v": np.ones((2, 2))}),
    }
    good = writers[kind](tmp_path / "a").read_bytes()
    generator = random.Random(0)
    path = tmp_path / "b"
    messages = []
    for _ in range(300):
        data = bytearray(good)
        for _ in range(generator.choice((1, 1, 2, 8))):
            place = generator.randrange(len(data))
            data[place] = generator.choice((0, 1, 0x7F, 0x80, 0xFF, generator.randrange(256)))
        path.write_bytes(data)
        try:
            read_tensors(path)
        except WeightsError as error:
            messages.append(str(error))
    assert 0 < len(messages) < 300
    assert not [message for message in messages if "\n" in message or len(message) > 400]


@pytest.mark.slow
@pytest.mark.parametrize("zipped", [True, False])
def test_what_pytorch_saved_is_read(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    numbers = torch.arange(-20, 20).reshape(5, 8)
    signed = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn)
    signed += (torch.float8_e5m2, torch.int64, torch.int32, torch.int16, torch.int8, torch.bool)
    tensors = {str(dtype): (numbers * 3).to(dtype).t() for dtype in signed}
    for dtype in (torch.uint8, torch.uint16, torch.uint32, torch.uint64):
        tensors[str(dtype)] = numbers.abs().to(dtype)[1:, ::2]
    tensors["parameter"] = torch.nn.Parameter(numbers[1:3, 2:4].float())
    tensors["number"], tensors["empty"] = torch.tensor(3.5), torch.zeros(0, 3)
    network = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    checkpoint = {
        "args": argparse.Namespace(lr=0.1, name="run"),
        "best": np.float64(0.5),
        "optimizer": optimizer.state_dict(),
        "state_dict": network.state_dict(),
    }
    for content, expected in ((tensors, tensors), (checkpoint, network.state_dict())):
        torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
        read = read_tensors(tmp_path / "a.pth")
        assert list(read) == list(expected)
        for name, value in expected.items():
            value = value.detach()
            if value.is_floating_point() and value.element_size() < 4 and name != "torch.float16":
                value = value.float()
            assert read[name].dtype == value.numpy().dtype, name
            np.testing.assert_array_equal(read[name], value.numpy(), err_msg=name)


@pytest.mark.slow
def test_whole_networks_of_pytorch_are_refused_by_what_they_are(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(2, 3), tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"refers to 'torch.nn.modules.linear.Linear'.*state_di"):
        read_tensors(tmp_path / "a.pth")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 3)), tmp_path / "a.pt")
    with pytest.raises(WeightsError, match="a TorchScript program"):
        read_tensors(tmp_path / "a.pt")
