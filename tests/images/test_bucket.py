"""Images in buckets and on web servers, as sources like folders."""

import http.server
import threading
import warnings
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial

import fakes
import pandas as pd
import pytest
from packed import tar_of
from PIL import Image

import featx
from featx.errors import ImageSourceError, NoImagesError, OptionError, StorageError
from featx.images.digests import DigestMemo, digest_bytes, read_file
from featx.images.folder import ImageFolder
from featx.images.times import taken_at
from featx.storage.objects import read_with_stamp, write

NAMES = {
    "photos/ant/1.jpg",
    "photos/ant/2.png",
    "photos/bee/deep/3.jpg",
    "photos/bee/notes.txt",
    "photos/bee/.hidden.jpg",
    "photos/.git/4.jpg",
    "photos/@eaDir/5.jpg",
    "photos/@eaDir/more/6.jpg",
    "photos/empty/readme.md",
    "photos/7.jpg",
}


@pytest.fixture
def filled(bucket, tmp_path):
    """A bucket of empty objects, and a folder of the same."""
    for name in NAMES:
        bucket.put(name, b"")
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return bucket, tmp_path


def relative(images, root):
    return [path.removeprefix(f"{root}/") for path in images.paths]


@pytest.mark.parametrize("classes_from", ["first", "last"])
@pytest.mark.parametrize("end", ["", "/"])
def test_a_folder_in_a_bucket_is_one_on_the_disk(filled, classes_from, end):
    bucket, folder = filled
    ours = ImageFolder.of(f"{bucket}/photos{end}", classes_from=classes_from)
    known = ImageFolder.of(folder / "photos", classes_from=classes_from)
    assert relative(ours, bucket) == relative(known, folder)
    assert ours.labels == known.labels
    assert (ours.n_other, ours.notes) == (known.n_other, known.notes)
    assert ours.root == f"{bucket}/photos{end}"


def test_a_whole_bucket_is_a_folder(filled):
    bucket, folder = filled
    assert relative(ImageFolder.of(str(bucket)), bucket) == relative(ImageFolder.of(folder), folder)


def test_a_table_of_labels_names_pictures_by_their_addresses(filled):
    bucket, _ = filled
    paths = ImageFolder.of(f"{bucket}/photos").paths
    named = [f"class of {path}" for path in paths]
    images = ImageFolder.of(
        f"{bucket}/photos", labels=pd.DataFrame({"path": paths[::-1], "label": named[::-1]})
    )
    assert images.labels == tuple(named)
    assert images.notes == ()


def test_wild_cards_match_in_a_bucket(filled):
    bucket, _ = filled
    assert relative(ImageFolder.of(f"{bucket}/photos/*/*.jpg"), bucket) == ["photos/ant/1.jpg"]
    found = ImageFolder.of(f"{bucket}/photos/**/*.jpg")
    assert relative(found, bucket) == ["photos/7.jpg", "photos/ant/1.jpg", "photos/bee/deep/3.jpg"]


ODD = [
    *("a*.jpg", "a[1].jpg", "what?.jpg", "100%.jpg", "a%20b.jpg", "a b#1+2.jpg", "{0..3}.jpg"),
    *("\u00e9.jpg", "e\u0301.jpg", "/1.jpg", "//2.jpg", "cat//3.jpg", "$~'\"&.jpg", "a::b.jpg"),
    *("x" * 1000 + ".jpg", "\u00e9" * 500 + ".jpg", "\x01.jpg", "s3:/4.jpg"),
]


def test_objects_may_be_called_anything(bucket):
    for number, name in enumerate(ODD):
        bucket.put(f"*/{name}", b"%d" % number)
    listed = ImageFolder.of(f"{bucket}/*")
    assert relative(listed, bucket) == sorted(f"*/{name}" for name in ODD)
    assert set(listed.labels) == {None, "cat", "s3:"}
    for number, name in enumerate(ODD):
        path = f"{bucket}/*/{name}"
        for images in (ImageFolder.of(path), ImageFolder.of([path])):
            assert images.paths == (path,)
        assert read_file(path)[0] == b"%d" % number


def test_of_wild_cards_only_stars_are_some_in_a_bucket(bucket, tmp_path):
    names = ["a[1]/1.jpg", "a1/1.jpg", "b?/1.jpg", "bx/1.jpg"]
    for name in names:
        bucket.put(f"photos/{name}", b"")
    for name in names:
        pattern = f"{bucket}/photos/{name.replace('1.', '*.')}"
        assert ImageFolder.of(pattern).paths == (f"{bucket}/photos/{name}",)
    archive = tar_of({"1.jpg": b"one"}, tmp_path / "x.tar").read_bytes()
    for name in ("[1].tar", "1.tar", "*.tar", "{1..2}.tar"):
        bucket.put(f"set/{name}", archive)
        (path,) = ImageFolder.of(f"{bucket}/set/{name}").paths
        assert path == f"tar://1.jpg::{bucket}/set/{name}"
    assert len(ImageFolder.of(f"{bucket}/set/*1*.tar")) == 3


def test_a_list_may_mix_objects_folders_and_files(filled):
    bucket, folder = filled
    given = [f"{bucket}/photos/7.jpg", f"{bucket}/photos/ant", str(folder / "photos/7.jpg")]
    images = ImageFolder.of([*given, f"{bucket}/photos/missing.jpg"])
    assert images.paths == (
        given[0],
        f"{bucket}/photos/ant/1.jpg",
        f"{bucket}/photos/ant/2.png",
        given[2],
        f"{bucket}/photos/missing.jpg",
    )


def test_a_table_in_a_bucket_names_what_lies_beside_it(filled):
    bucket, folder = filled
    elsewhere = str(folder / "photos/7.jpg")
    text = f"path,label\nant/1.jpg,ant\n{bucket}/photos/bee/deep/3.jpg,bee\n{elsewhere},none\n"
    images = ImageFolder.of(bucket.put("photos/table.csv", text.encode()))
    assert images.paths == (
        f"{bucket}/photos/ant/1.jpg",
        f"{bucket}/photos/bee/deep/3.jpg",
        elsewhere,
    )
    assert images.labels == ("ant", "bee", "none")
    assert images.notes == ()


def test_a_table_on_the_disk_may_name_objects(filled):
    bucket, folder = filled
    pd.DataFrame({"path": ["ant/1.jpg", "7.jpg"]}).to_parquet(folder / "table.parquet")
    images = ImageFolder.of(folder / "table.parquet", root=f"{bucket}/photos")
    assert images.paths == (f"{bucket}/photos/ant/1.jpg", f"{bucket}/photos/7.jpg")


def test_a_table_gives_objects_their_labels(filled):
    bucket, _ = filled
    table = pd.DataFrame({"path": ["ant/1.jpg", "7.jpg"], "label": ["red", "blue"]})
    images = ImageFolder.of(f"{bucket}/photos", table)
    assert relative(images, bucket) == ["photos/7.jpg", "photos/ant/1.jpg"]
    assert images.labels == ("blue", "red")


def test_objects_are_left_out_by_their_paths(filled):
    bucket, _ = filled
    left_out = ["ant/1.jpg", f"{bucket}/photos/7.jpg"]
    images = ImageFolder.of(f"{bucket}/photos", exclude=left_out)
    assert relative(images, bucket) == ["photos/ant/2.png", "photos/bee/deep/3.jpg"]


def test_an_address_of_a_file_is_its_path(filled):
    _, folder = filled
    path = folder / "photos/7.jpg"
    assert ImageFolder.of(path.as_uri()).paths == (str(path),)
    assert ImageFolder.of([path.as_uri()]).paths == (str(path),)
    assert len(ImageFolder.of((folder / "photos").as_uri())) == 4


def test_any_store_of_fsspec_will_do():
    memory = pytest.importorskip("fsspec").filesystem("memory")
    write("memory://photos/ant/1.jpg", b"one")
    write("memory://photos/bee/2.jpg", b"two")
    images = ImageFolder.of("memory://photos")
    memory.store.clear()
    assert images.paths == ("memory://photos/ant/1.jpg", "memory://photos/bee/2.jpg")
    assert images.labels == ("ant", "bee")


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("s3://no-such-bucket/photos", ImageSourceError, "there is no bucket 'no-such-bucket'"),
        ("s3://no-such-bucket/1.jpg", ImageSourceError, "there is no bucket 'no-such-bucket'"),
        ("s3://no-such-bucket/a.csv", ImageSourceError, "there is no bucket 'no-such-bucket'"),
        ("{}/none", NoImagesError, "no images in '{}/none', which holds no file"),
        ("{}/1.jpg", ImageSourceError, "there is no {}/1.jpg: expected a folder of images"),
        ("{}/a.csv", ImageSourceError, "there is no {}/a.csv: expected a table"),
        ("ftp://host/photos", OptionError, "unknown address 'ftp://host/photos': expected one"),
        ("s3://", OptionError, "'s3://' is no whole address: expected one such as s3://bucket"),
        ("https:///1.jpg", OptionError, "expected one such as https://host/1"),
        ("https://127.0.0.1:1/1.jpg", ImageSourceError, "no connection"),
    ],
)
def test_what_is_wrong_with_an_address_is_one_line(bucket, source, error, message):
    with pytest.raises(error) as caught:
        ImageFolder.of(source.format(bucket))
    assert message.format(bucket) in str(caught.value)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- digests


def test_the_digest_of_an_unchanged_object_is_remembered(bucket, tmp_path):
    addresses = [bucket.put(f"{number}.jpg", b"%d" % number) for number in range(4)]
    read = {path: read_file(path) for path in addresses}
    assert [data for data, _ in read.values()] == [b"0", b"1", b"2", b"3"]
    memo = DigestMemo(tmp_path / "memo")
    memo.remember((path, digest_bytes(data), stamp) for path, (data, stamp) in read.items())
    bucket.put("1.jpg", b"x")
    bucket.delete("2.jpg")
    missing = f"{bucket}/9.jpg"
    assert memo.known([*addresses, missing]) == {
        addresses[0]: digest_bytes(b"0"),
        addresses[3]: digest_bytes(b"3"),
    }


def test_objects_that_were_embedded_are_not_read_again(bucket, photos, fake_engine):
    address = bucket.put_folder(photos, "photos")
    first = featx.embed(address)
    assert first.labels == featx.embed(photos).labels
    assert first.paths.tolist()[0] == f"{address}/blue/000.png"
    assert (first.X == featx.embed(photos).X).all()
    with bucket.requests() as asked:
        again = featx.embed(address)
    assert {each.status for each in again.outcomes} == {"cached"}
    assert (again.X == first.X).all()
    assert "GetObject" not in asked
    assert asked.count("ListObjects") <= 2


def test_an_object_that_changed_is_embedded_again(bucket, photos, fake_engine):
    address = bucket.put_folder(photos, "photos")
    featx.embed(address)
    bucket.put("photos/blue/000.png", fakes.encoded(fakes.photo()))
    again = featx.embed(address)
    assert [each.status for each in again.outcomes].count("embedded") == 1


def test_objects_that_cannot_be_read_are_outcomes(bucket, photos, fake_engine):
    address = bucket.put_folder(photos, "photos")
    bucket.put("photos/blue/broken.png", b"no picture")
    with pytest.warns(featx.ImageSourceWarning):
        features = featx.embed([address, f"{bucket}/photos/gone.png"])
    failed = {each.path: each.reason for each in features.outcomes if not each.ok}
    assert failed[f"{bucket}/photos/gone.png"] == "no such object"
    assert failed.keys() == {f"{bucket}/photos/gone.png", f"{bucket}/photos/blue/broken.png"}


# ---------------------------------------------------------------- the web


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *told):
        pass


def served(folder):
    """Serve a folder to browsers; gives the address."""
    return serving(partial(Quiet, directory=str(folder)))


@contextmanager
def serving(handler):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_pictures_and_tables_come_from_the_web(photos, fake_engine):
    (photos / "table.csv").write_text("path,label\nblue/000.png,blue\nred/001.png,red\n")
    with served(photos) as address:
        images = ImageFolder.of(f"{address}/table.csv?version=1")
        assert images.paths == (f"{address}/blue/000.png", f"{address}/red/001.png")
        features = featx.embed(images)
        asked = f"{address}/blue/000.png?width=800"
        assert (features.X[0] == featx.embed(asked).X).all()
        with pytest.warns(featx.ImageSourceWarning):
            missing = featx.embed([asked, f"{address}/blue/none.png"])
        assert [each.reason for each in missing.outcomes if not each.ok] == ["no such object"]
        with pytest.raises(ImageSourceError, match=r"there is no http://.*/none\.png"):
            ImageFolder.of(f"{address}/none.png")


def test_a_web_server_that_sends_too_much_is_left():
    class Endless(Quiet):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while True:
                    self.wfile.write(bytes(1 << 16))

    with serving(Endless) as address, pytest.raises(StorageError, match=r"at most 1\.0 MB"):
        read_with_stamp(f"{address}/1.jpg", 1_000_000)


def test_a_picture_that_a_web_server_refuses_is_told_without_a_warning():
    class Closed(Quiet):
        def do_GET(self):
            self.send_error(403)

    with (
        serving(Closed) as address,
        warnings.catch_warnings(action="error"),
        pytest.raises(StorageError, match="access denied; expected an address that anybody may"),
    ):
        read_with_stamp(f"{address}/1.jpg")


def test_photographs_in_a_bucket_say_when_they_were_taken(bucket):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2026:05:04 10:20:30"
    data = fakes.encoded(fakes.photo(), "JPEG", exif=exif)
    paths = [bucket.put(f"{number}.jpg", data) for number in range(3)]
    assert taken_at(paths) == [datetime(2026, 5, 4, 10, 20, 30)] * 3
