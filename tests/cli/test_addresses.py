"""Addresses of buckets at the shell: as sources, and as mistakes."""

import sys

import pytest

import featx


def test_a_bucket_is_a_source_like_a_folder(featx_run, bucket, photos, tmp_path, fake_engine):
    address = bucket.put_folder(photos, "photos")
    model = tmp_path / "m.featx"
    featx_run("train", address, "--classifier", "knn", "--out", model)
    featx_run("predict", model, f"{address}/red", "--out", tmp_path / "p.csv")
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert len(lines) == 1 + 6
    assert all(line.startswith(f"{address}/red/") for line in lines[1:])
    featx_run("embed", f"{address}/*/00*.png", "--out", tmp_path / "x.npz")
    assert (featx.Features.load(tmp_path / "x.npz").X == featx.embed(photos).X).all()


MISTAKES = {
    "an unknown scheme": ("ftp://host/photos", "unknown address 'ftp://host/photos': expected"),
    "a missing bucket": (
        "s3://no-such-bucket/photos",
        "cannot list s3://no-such-bucket/photos: there is no bucket 'no-such-bucket'; check its",
    ),
    "an empty folder": ("s3://{}/none", "no images in 's3://{}/none', which holds no file"),
    "a missing picture": ("s3://{}/1.jpg", "there is no s3://{}/1.jpg: expected"),
    "a missing table": ("s3://{}/a.csv", "there is no s3://{}/a.csv: expected a table"),
    "a folder of the web": ("https://127.0.0.1:1/", "cannot list https://127.0.0.1:1/: a web"),
    "no server": ("https://127.0.0.1:1/1.jpg", "cannot read https://127.0.0.1:1/1.jpg: no connec"),
}


@pytest.mark.parametrize(("source", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_in_an_address_is_one_line(
    featx_ends, bucket, tmp_path, fake_engine, source, message
):
    ended = featx_ends("embed", source.format(bucket.name), "--out", tmp_path / "x.npz")
    assert (ended.status, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert ended.err.startswith(f"featx: {message.format(bucket.name)}")
    assert list(tmp_path.iterdir()) == []


def test_missing_credentials_are_one_line(featx_ends, bucket, monkeypatch, tmp_path, fake_engine):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    ended = featx_ends("embed", bucket, "--out", tmp_path / "x.npz")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert ended.err.startswith(f"featx: cannot list {bucket}: no credentials that work (")


def test_a_missing_package_is_one_line(featx_ends, bucket, monkeypatch, tmp_path, fake_engine):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.setenv("AWS_PROFILE", "with which nothing is open yet")
    ended = featx_ends("embed", bucket, "--out", tmp_path / "x.npz")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == (
        'featx: s3:// needs a package that is not installed: pip install "featx[s3]"\n'
    )


def test_pictures_of_a_bucket_are_copied_by_their_labels(
    featx_run, bucket, photos, tmp_path, fake_engine
):
    address = bucket.put_folder(photos, "photos")
    model = tmp_path / "m.featx"
    featx_run("train", photos, "--classifier", "knn", "--out", model)
    featx_run("predict", model, f"{address}/red", "--copy-to", tmp_path / "sorted")
    copies = sorted((tmp_path / "sorted" / "red").iterdir())
    assert [each.read_bytes() for each in copies] == [
        each.read_bytes() for each in sorted((photos / "red").iterdir())
    ]


def test_a_bucket_is_not_watched(featx_ends, bucket, photos, tmp_path, fake_engine):
    model = tmp_path / "m.featx"
    featx.train(photos, "knn").save(model)
    ended = featx_ends("watch", model, bucket, "--out", tmp_path / "p.csv")
    assert (ended.status, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert f"'{bucket}' is an address: expected a folder of this machine to watch" in ended.err
