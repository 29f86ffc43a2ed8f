import os
from pathlib import Path

import numpy as np
import pytest

import featx
from featx.errors import OptionError
from featx.storage.address import bucket_of, is_address, joined, key_of, local_path, scheme_of


@pytest.mark.parametrize(
    ("path", "scheme"),
    [
        ("s3://bucket/photos", "s3"),
        ("S3://bucket/photos", "s3"),
        ("gs://bucket", "gs"),
        ("abfs://box@account.dfs.core.windows.net/photos", "abfs"),
        ("https://example.org/1.jpg", "https"),
        ("ftp://example.org/1.jpg", "ftp"),
    ],
)
def test_an_address_begins_with_a_scheme(path, scheme):
    assert is_address(path)
    assert scheme_of(path) == scheme


@pytest.mark.parametrize(
    "path", ["photos/1.jpg", "/photos", "C:\\photos\\1.jpg", "C://photos", "", "a:b", "s3:/bucket"]
)
def test_paths_of_the_disk_are_no_addresses(path):
    assert not is_address(path)
    assert local_path(path) == path


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("file:///photos/1.jpg", "/photos/1.jpg"),
        ("file:///my%20photos/%23?.jpg", "/my photos/#?.jpg"),
        ("file:///C:/photos/1.jpg", "C:/photos/1.jpg"),
    ],
)
def test_an_address_of_a_file_is_its_path(address, path):
    assert not is_address(address)
    assert local_path(address) == path


def test_an_address_has_a_bucket_and_a_key():
    assert (bucket_of("s3://bucket/a/b.jpg"), key_of("s3://bucket/a/b.jpg")) == (
        "bucket",
        "a/b.jpg",
    )
    assert (bucket_of("s3://bucket"), key_of("s3://bucket")) == ("bucket", "")


def test_a_path_begins_in_a_folder_unless_it_says_where():
    assert joined("s3://bucket/photos/", "cat/1.jpg") == "s3://bucket/photos/cat/1.jpg"
    assert joined("photos", "s3://bucket/1.jpg") == "s3://bucket/1.jpg"
    assert joined("photos", "1.jpg") == os.path.join("photos", "1.jpg")
    assert joined("s3://bucket", os.path.abspath("1.jpg")) == os.path.abspath("1.jpg")


def test_an_address_that_pathlib_took_a_slash_of_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    features = featx.Features(np.zeros((1, 2)), None, ["1.jpg"])
    address = Path("s3://bucket/x")
    for use in (
        lambda: featx.embed(address),
        lambda: featx.embed([b""], cache=address),
        lambda: featx.Features.load(address),
        lambda: featx.Features.load(Path("s3://bucket/x.features")),
        lambda: features.save(Path("s3://bucket/x.npz")),
    ):
        with pytest.raises(
            OptionError, match=r"lacks a slash: expected 's3://bucket/x.* as a text"
        ):
            use()
    assert not list(tmp_path.iterdir())
