"""Archives at addresses are read by ranges, and are what they are on the disk."""

import time
from pathlib import Path

import pytest
from fakes import draw_folder
from packed import shards_of, table_of, tar_of, zip_of

import featx
from featx.errors import ImageSourceError
from featx.images.digests import DigestMemo, digest_bytes, read_file
from featx.images.division import Division
from featx.images.folder import ImageFolder
from featx.images.packed import container_file
from featx.images.stream import stream_images
from featx.storage import objects
from featx.storage.entry import Entry


def contents(images: ImageFolder) -> list[bytes]:
    return [read_file(path)[0] for path in images.paths]


@pytest.fixture
def requests(monkeypatch):
    """The ranges of objects that are read, as they are read."""
    ranges = []

    def read(address, start=None, stop=None):
        ranges.append((start, stop))
        return objects.read(address, start, stop)

    monkeypatch.setattr(container_file, "read", read)
    return ranges


@pytest.fixture
def folder(photos):
    return ImageFolder.of(photos)


def test_a_zip_archive_in_a_bucket_is_the_folder(bucket, photos, folder, tmp_path, requests):
    address = bucket.put("x/photos.zip", zip_of(photos, tmp_path / "photos.zip").read_bytes())
    images = ImageFolder.of(address)
    assert images.labels == folder.labels
    assert images.paths[0] == f"zip://blue/000.png::{bucket}/x/photos.zip"
    assert len(requests) == 2  # the end of the archive, and its list
    assert contents(images) == contents(folder)
    assert len(requests) == 2 + 18
    for source in (f"zip://red::{address}", f"{address}/red", f"zip://{address}/red"):
        assert contents(ImageFolder.of(source)) == contents(folder)[12:]


def test_shards_in_a_bucket_are_found_by_folder_range_and_pattern(bucket, photos, folder, tmp_path):
    expected = dict(zip(contents(folder), folder.labels, strict=True))
    for path in shards_of(photos, tmp_path / "shards"):
        bucket.put(f"set/{path.name}", path.read_bytes())
    bucket.put("set/README.md", b"about it")
    for name in ("set", "set/", "set/shard-{0000..0002}.tar", "set/shard-*.tar"):
        images = ImageFolder.of(f"{bucket}/{name}")
        assert dict(zip(contents(images), images.labels, strict=True)) == expected
    pieces = list(stream_images(f"{bucket}/set", size=5))
    assert [path for piece in pieces for path in piece.paths] == list(images.paths)
    with pytest.raises(ImageSourceError, match=r"there is no .*/set/shard-0003\.tar"):
        ImageFolder.of(f"{bucket}/set/shard-{{0002..0003}}.tar")


def test_tables_of_pictures_in_a_bucket_are_read_by_their_groups(
    bucket, photos, folder, tmp_path, requests
):
    held = draw_folder(tmp_path / "held", each=2, start=50)
    for name, place in (("train-0", photos), ("test-0", held)):
        data = table_of(place, tmp_path / "x.parquet").read_bytes()
        bucket.put(f"data/{name}.parquet", data)
    division = Division.of(ImageFolder.of(f"{bucket}/data"))
    assert division.training.labels == folder.labels
    assert contents(division.training) == contents(folder)
    assert len(division.test) == 6
    alone = ImageFolder.of(f"{bucket}/data/test-0.parquet")
    assert contents(alone) == contents(ImageFolder.of(held))


def test_a_second_run_looks_at_an_archive_once_and_reads_no_member(
    bucket, photos, tmp_path, requests
):
    address = bucket.put("photos.zip", zip_of(photos, tmp_path / "photos.zip").read_bytes())
    images = ImageFolder.of(address)
    with DigestMemo(tmp_path / "memo.sqlite") as memo:
        for path in images.paths:
            data, stamp = read_file(path)
            memo.remember([(path, digest_bytes(data), stamp)])
        del requests[:]
        assert len(memo.known(images.paths)) == 18
        assert requests == []
        bucket.put("photos.zip", zip_of(photos / "red", tmp_path / "photos.zip").read_bytes())
        assert memo.known(images.paths) == {}


def test_a_shard_is_gone_through_once(bucket, photos, tmp_path, requests, monkeypatch):
    (shard,) = shards_of(photos, tmp_path / "shards", n=1, sidecar="json")
    address = bucket.put("x.tar", shard.read_bytes())
    first = ImageFolder.of(address)
    assert len(requests) == 1
    assert ImageFolder.of(address, label_column="other").labels == (None,) * 18
    del requests[:]
    again = ImageFolder.of(address)  # which is not in memory any more
    assert again == first
    assert requests == []
    assert contents(again) == contents(ImageFolder.of(shard))
    changed = tar_of({"1.jpg": b"new", "1.cls": b"5"}, shard)
    bucket.put("x.tar", changed.read_bytes())
    now = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + 60)
    assert ImageFolder.of(address).labels == (5,)


def test_features_of_an_archive_in_a_bucket_are_those_of_the_folder(
    bucket, photos, tmp_path, fake_engine
):
    address = bucket.put("photos.zip", zip_of(photos, tmp_path / "photos.zip").read_bytes())
    features = featx.embed(address)
    assert features.X.tobytes() == featx.embed(photos).X.tobytes()
    assert fake_engine.embedded == 18
    features.save(tmp_path / "x.npz")
    assert featx.Features.load(tmp_path / "x.npz").paths[0] == f"zip://blue/000.png::{address}"


def test_a_table_in_a_bucket_names_pictures_within_an_archive(bucket, photos, tmp_path):
    bucket.put("photos.zip", zip_of(photos, tmp_path / "photos.zip").read_bytes())
    lines = "path,label\nphotos.zip/red/000.png,warm\nzip://blue/001.png::{0}/photos.zip,cold\n"
    table = bucket.put("labels.csv", lines.format(bucket).encode())
    images = ImageFolder.of(table)
    assert images.labels == ("warm", "cold")
    expected = [(Path(photos) / name).read_bytes() for name in ("red/000.png", "blue/001.png")]
    assert contents(images) == expected


def test_a_web_server_that_gives_whole_files_alone_is_told(photos, tmp_path, monkeypatch):
    data = zip_of(photos, tmp_path / "photos.zip").read_bytes() + bytes(100_000)
    found = Entry("https://example.org/photos.zip", len(data), "1")
    monkeypatch.setattr(container_file, "entry", lambda address: found)
    monkeypatch.setattr(container_file, "read", lambda address, start, stop: data)
    with pytest.raises(ImageSourceError, match="gives no parts of files: fetch it first"):
        ImageFolder.of(found.address)


def test_what_is_not_there_or_no_archive_is_a_line(bucket):
    with pytest.raises(ImageSourceError, match=rf"there is no {bucket}/x\.zip"):
        ImageFolder.of(f"{bucket}/x.zip")
    with pytest.raises(ImageSourceError, match="no-such-bucket-at-all"):
        ImageFolder.of("s3://no-such-bucket-at-all/x.zip")
    address = bucket.put("x.zip", b"no archive")
    with pytest.raises(ImageSourceError, match=r"x\.zip' cannot be read: no zip archive"):
        ImageFolder.of(address)
