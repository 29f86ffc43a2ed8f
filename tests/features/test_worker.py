"""What a worker does with a block, without a cluster."""

from __future__ import annotations

import socket
from dataclasses import replace

import fakes
import numpy as np
import pytest

import featx
from featx.errors import OptionError, StorageError
from featx.features.networks import networks_of, work_of
from featx.features.options import settle
from featx.features.request import Request
from featx.features.settings import RunSettings
from featx.features.worker import BlockEmbedder, Claims, Tally, decode_block, keep_engines
from featx.files import cache_folder
from featx.images.square import Square


@pytest.fixture
def work(fake_engine):
    """The work of embedding pictures of 32 pixels by the default network."""
    settled = settle({"input_size": 32})
    request = Request.of("efficientnet_lite0", settled)
    settings = RunSettings.of(settled)
    return work_of(networks_of(request.parts, cache_folder(), settings), settings)


def files_of(folder):
    return list(enumerate(map(str, sorted(folder.rglob("*.png")))))


def decoded(work, files, claims=None, block=0):
    claims = claims or Claims(work)
    return decode_block(work, files, lambda digests: claims.claim(block, digests))


def test_a_block_is_stored_by_the_time_it_is_told_of(work, photos, fake_engine):
    block = BlockEmbedder(work).embed(decoded(work, files_of(photos)))
    assert block.error is None
    assert len(block.computed[0]) == len(block.files) == fake_engine.embedded == 18
    assert all(each.file.pixels == {} for each in block.files)
    features = featx.embed(photos, input_size=32)
    assert fake_engine.embedded == 18, "another run finds them in the cache"
    fakes.assert_rows(features, fit=Square(32))


def test_a_block_that_comes_again_is_not_computed_again(work, photos, fake_engine):
    claims = Claims(work)
    first = BlockEmbedder(work).embed(decoded(work, files_of(photos), claims))
    again = BlockEmbedder(work).embed(decoded(work, files_of(photos), claims))
    assert fake_engine.embedded == 18
    assert again.computed == first.computed
    assert [each.file.digest for each in again.files] == [each.file.digest for each in first.files]


def test_a_copy_belongs_to_the_block_that_comes_first(work, photos):
    files, claims = files_of(photos), Claims(work)
    first = decoded(work, files[:6], claims, block=1)
    second = decoded(work, files[3:9], claims, block=2)
    assert [bool(each.file.pixels) for each in first] == [True] * 6
    assert [bool(each.file.pixels) for each in second] == [False] * 3 + [True] * 3
    assert [each.file.outcome.status for each in second] == ["cached"] * 3 + ["decoded"] * 3


def test_what_is_stored_when_a_run_begins_is_not_decoded(work, photos):
    featx.embed(photos / "red", input_size=32)
    made = decoded(work, files_of(photos))
    assert [bool(each.file.pixels) for each in made] == [True] * 12 + [False] * 6


def test_bad_files_fail_with_the_reasons_of_one_machine(work, tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_bytes(b"no picture")
    files = [*files_of(tmp_path), (2, str(tmp_path / "gone.png"))]
    made = decoded(work, files)
    fakes.draw(tmp_path / "good.png", (1, 2, 3))
    with pytest.warns(featx.errors.ImageSourceWarning):
        local = featx.embed(tmp_path, input_size=32)
    reasons = [each.reason for each in local.outcomes if not each.ok]
    assert [each.file.outcome.reason for each in made] == [*reasons, "no such file or directory"]
    assert [each.file.digest is None for each in made] == [False, False, True]


def test_a_tally_adds_blocks_up(work, photos):
    tally, embedder, claims = Tally(1), BlockEmbedder(work), Claims(work)
    files = files_of(photos)
    for number in range(3):
        part = files[6 * number : 6 * number + 6]
        tally.add(embedder.embed(decoded(work, part, claims, number)))
    assert len(tally.computed[0]) == 18
    assert tally.seconds > 0
    assert tally.images_per_second(0) > 0


def test_a_worker_of_other_versions_or_another_cache_says_so(work, photos):
    host = socket.gethostname()
    older = replace(work, versions=(("featx", "0.0.1"),))
    block = BlockEmbedder(older).embed(decoded(work, files_of(photos)))
    assert isinstance(block.error, OptionError)
    assert str(block.error).startswith(f"the worker on {host} has featx ")
    elsewhere = replace(work, mark="/nowhere/.workers-1")
    block = BlockEmbedder(elsewhere).embed(decoded(work, files_of(photos)))
    assert isinstance(block.error, StorageError)
    assert "is not that of the worker" in str(block.error)
    assert "name a folder that all machines share, or an address" in str(block.error)


def test_networks_that_travel_are_put_where_engines_look(tmp_path):
    files = {"network.bin": b"\x00" * 9, "engine.json": b"{}"}
    for _ in range(2):
        keep_engines({"a" * 32: files}, tmp_path)
    folder = tmp_path / "engines" / ("a" * 32)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    assert [path.name for path in folder.parent.iterdir()] == ["a" * 32]


def test_vectors_of_a_block_are_those_of_the_engine(work, photos):
    files = files_of(photos)
    BlockEmbedder(work).embed(decoded(work, files))
    (store,) = work.open_stores(listed=True)[0]
    digests = [each.file.digest for each in decoded(work, files)]
    vectors = np.empty((18, 9), np.float32)
    store.read(digests, out=vectors)
    expected = np.stack([fakes.alone(path, fit=Square(32)) for _, path in files])
    assert vectors.tobytes() == expected.tobytes()
