"""Archives stand wherever folders do: the same pictures, labels and order, read in place."""

import os
import struct
import tarfile
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fakes import draw, draw_folder, plant
from packed import picture, shards_of, table_of, tar_of, zip_of

from featx.errors import ImageSourceError
from featx.images.digests import DigestMemo, digest_bytes, read_file
from featx.images.division import Division
from featx.images.folder import ImageFolder
from featx.images.packed import parquet_table
from featx.images.packed.container_file import ContainerFile


def contents(images: ImageFolder) -> list[bytes]:
    return [read_file(path)[0] for path in images.paths]


def files(folder: Path) -> dict[str, bytes]:
    found = sorted(folder.rglob("*.png"))
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=["stored.zip", "deflated.zip", "ustar.tar", "gnu.tar", "pax.tar"])
def archive(photos, here, request):
    """A folder as an archive of each kind."""
    kind, _, suffix = request.param.partition(".")
    if suffix == "zip":
        method = zipfile.ZIP_DEFLATED if kind == "deflated" else zipfile.ZIP_STORED
        return zip_of(photos, Path(request.param), compression=method)
    form = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
    return tar_of(dict(reversed(files(photos).items())), Path(request.param), form[kind])


def test_an_archive_is_the_folder_that_was_packed(archive, photos):
    folder, images = ImageFolder.of(photos), ImageFolder.of(archive)
    assert images.labels == folder.labels
    assert contents(images) == contents(folder)
    assert images.root == str(archive)
    kind = archive.suffix[1:]
    assert images.paths[0] == f"{kind}://blue/000.png::{archive}"


def test_what_is_around_everything_is_no_class(photos, here):
    packed = {f"./photos/all/{name}": data for name, data in files(photos).items()}
    images = ImageFolder.of(tar_of(packed, here / "photos.tar"))
    assert images.classes == ("blue", "green", "red")
    one = {name: data for name, data in files(photos).items() if name.startswith("red/")}
    assert ImageFolder.of(tar_of(one, here / "red.tar")).classes == ("red",)


@pytest.mark.parametrize(
    "source", ["zip://x.zip", "x.zip/red", "zip://red::x.zip", "x.zip/red/000.png", "./x.zip"]
)
def test_an_archive_and_what_is_in_it_are_named_as_one_likes(photos, here, source):
    zip_of(photos, here / "x.zip")
    images = ImageFolder.of(source)
    n = 18 if source.endswith("x.zip") and "::" not in source else 1 if "png" in source else 6
    assert len(images) == n
    assert set(contents(images)) <= set(files(photos).values())
    assert ImageFolder.of([source]).paths == images.paths


def test_parts_of_a_data_set_are_found_in_an_archive(here):
    plant(here, *(f"all/{part}/{name}/1.png" for part in ("train", "test") for name in "ab"))
    images = ImageFolder.of(zip_of(here / "all", Path("all.zip")))
    assert images.parts is not None
    assert "learn from all.zip/train" in images.parts
    assert ImageFolder.of("all.zip/train").classes == ("a", "b")


def test_hidden_files_and_those_left_behind_are_no_pictures(here):
    names = ["a/1.png", "a/.2.png", "__MACOSX/a/1.png", "b/notes.txt", "@eaDir/1.png"]
    images = ImageFolder.of(zip_of(plant(here / "all", *names), here / "x.zip"))
    assert images.paths == (f"zip://a/1.png::{here / 'x.zip'}",)
    assert images.n_other == 4


def test_names_need_not_be_unicode(here):
    with zipfile.ZipFile("x.zip", "w") as archive:
        archive.writestr("a/\N{LATIN SMALL LETTER E WITH ACUTE}.png", b"1")
    raw = Path("x.zip").read_bytes().replace("é".encode(), b"\x82\x82")
    Path("x.zip").write_bytes(changed(raw, flags=0))
    assert ImageFolder.of("x.zip").paths == ("zip://a/éé.png::x.zip",)
    assert contents(ImageFolder.of("x.zip")) == [b"1"]


def test_long_names_are_read_in_every_form_of_tar(here):
    name = "/".join(["a" * 60] * 3) + "/é.png"
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = tar_of({name: b"1", "b.png": b"2"}, here / "x.tar", form)
        assert contents(ImageFolder.of(path)) == [b"1", b"2"]
        assert ImageFolder.of(path).paths[0] == f"tar://{name}::{path}"


@pytest.mark.parametrize("sidecar", ["cls", "json"])
def test_webdataset_shards_carry_their_labels(photos, here, sidecar):
    shards = shards_of(photos, here / "shards", sidecar=sidecar)
    folder = ImageFolder.of(photos)
    expected = dict(zip(contents(folder), folder.labels, strict=True))
    named = [
        "shards",
        "shards/shard-*.tar",
        "shards/shard-{0000..0002}.tar",
        list(map(str, shards)),
    ]
    for source in named:
        images = ImageFolder.of(source)
        assert dict(zip(contents(images), images.labels, strict=True)) == expected
        assert images.paths[0] == f"tar://000000.png::{Path('shards', 'shard-0000.tar')}" or (
            isinstance(source, list)
        )
        assert list(images.paths) == sorted(images.paths, key=lambda path: path[::-1][:5][::-1])


def test_labels_of_shards_are_numbers_where_they_are_written_so(here):
    packed = {"1.cls": b"7\n", "1.jpg": b"x", "2.cls": b"0", "2.jpg": b"y", "3.jpg": b"z"}
    assert ImageFolder.of(tar_of(packed, here / "x.tar")).labels == (7, 0, None)
    told = {"1.json": b'{"species": "cat"}', "1.jpg": b"x", "2.json": b"{", "2.jpg": b"y"}
    images = ImageFolder.of(tar_of(told, here / "y.tar"), label_column="species")
    assert images.labels == ("cat", None)
    told = {"1.json": b'{"label": 9223372036854775808}', "1.jpg": b"x"}
    assert ImageFolder.of(tar_of(told, here / "z.tar")).labels == ("9223372036854775808",)


def test_labels_of_shards_that_are_numbers_and_names_are_names(here):
    one = {"1.cls": b"7", "1.jpg": b"x", "2.cls": b"cat", "2.jpg": b"y"}
    assert ImageFolder.of(tar_of(one, here / "a0.tar")).classes == ("7", "cat")
    tar_of({"3.cls": b"8", "3.jpg": b"x"}, here / "a1.tar")
    assert ImageFolder.of("a{1..1}.tar").classes == (8,)
    assert ImageFolder.of("a{0..1}.tar").classes == ("7", "8", "cat")


def test_a_range_that_ends_before_it_begins_names_nothing(here):
    with pytest.raises(
        ImageSourceError, match=r"'a\{5\.\.1\}\.tar' does not exist: its range ends"
    ):
        ImageFolder.of("a{5..1}.tar")


def test_a_picture_beside_another_of_the_same_key_is_left_alone(here):
    packed = {"1.jpg": b"x", "1.mask.png": b"y", "1.cls": b"a", "2.0.jpg": b"z"}
    images = ImageFolder.of(tar_of(packed, here / "x.tar"))
    assert [path.partition("::")[0] for path in images.paths] == ["tar://1.jpg", "tar://2.0.jpg"]
    assert "left alone: 1 picture beside others of the same key, such as 1.mask.png" in str(
        images.notes
    )


def test_a_shard_that_is_missing_is_a_row_and_one_that_is_damaged_is_noted(photos, here):
    shards_of(photos, here / "shards")
    Path("shards", "shard-0001.tar").write_bytes(b"no archive" * 100)
    images = ImageFolder.of("shards/shard-{0000..0003}.tar")
    assert len(images) == 13
    assert images.paths[-1] == "shards/shard-0003.tar"
    assert "'shards/shard-0001.tar' cannot be read: no tar archive" in images.notes[0]


def test_a_second_look_reads_no_member_again(photos, here, later, monkeypatch):
    images = ImageFolder.of(zip_of(photos, here / "x.zip"))
    with DigestMemo(here / "memo.sqlite") as memo:
        for path in images.paths:
            data, stamp = read_file(path)
            memo.remember([(path, digest_bytes(data), stamp)])
        expected = {path: digest_bytes(read_file(path)[0]) for path in images.paths}
        monkeypatch.setattr(ContainerFile, "read", lambda *_: pytest.fail("a member was read"))
        assert memo.known(images.paths) == expected
        monkeypatch.chdir(photos)
        os.utime(here / "x.zip")
        monkeypatch.chdir(here)
        assert memo.known(images.paths) == {}


def test_an_archive_that_changed_is_looked_at_again(photos, here):
    path = ImageFolder.of(zip_of(photos, here / "x.zip")).paths[0]
    zip_of(draw(here / "new" / "blue" / "000.png", (1, 2, 3)).parents[1], here / "x.zip")
    assert read_file(path)[0] == Path("new", "blue", "000.png").read_bytes()
    with pytest.raises(OSError, match=r"there is no such picture in .*x.zip"):
        read_file(str(path).replace("000", "001"))


def test_a_table_names_pictures_within_an_archive(photos, here):
    zip_of(photos, here / "x.zip")
    table = here / "labels.csv"
    table.write_text("path,label\nred/000.png,warm\nblue/001.png,cold\n")
    images = ImageFolder.of("x.zip", table)
    assert images.labels == ("cold", "warm")
    listed = ImageFolder.of(table, root="x.zip")
    assert listed.paths == ("zip://red/000.png::x.zip", "zip://blue/001.png::x.zip")
    assert len(ImageFolder.of("x.zip", exclude=["red/000.png", "x.zip/red/001.png"])) == 16


def test_names_that_lead_out_of_an_archive_are_left_alone(here):
    members = dict.fromkeys(["../1.png", "/etc/1.png", "C:\\1.png", "a/../../b.png"], b"x")
    with zipfile.ZipFile("x.zip", "w") as archive:
        for name in [*members, "a/ok.png"]:
            archive.writestr(name, b"x")
    for path in ("x.zip", str(tar_of(members | {"a/ok.png": b"x"}, here / "x.tar"))):
        images = ImageFolder.of(path)
        assert [each.partition("::")[0][6:] for each in images.paths] == ["a/ok.png"]
        assert "4 members have names that lead out of the archive" in images.notes[0]


def test_a_sparse_member_is_said_to_be_left_alone(here):
    info = tarfile.TarInfo("1.png")
    info.type = tarfile.GNUTYPE_SPARSE
    with tarfile.open("x.tar", "w") as archive:
        archive.addfile(info)
        archive.addfile(tarfile.TarInfo("2.png"))
    images = ImageFolder.of("x.tar")
    assert images.paths == ("tar://2.png::x.tar",)
    assert images.notes == (
        "x.tar: sparse members are left alone: expected those of a tar without --sparse",
    )


def test_links_in_an_archive_are_no_pictures(here):
    info = tarfile.TarInfo("link.png")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open("x.tar", "w") as archive:
        archive.addfile(info)
        archive.addfile(tarfile.TarInfo("1.png"))
    assert ImageFolder.of("x.tar").paths == ("tar://1.png::x.tar",)
    link = zipfile.ZipInfo("link.png")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile("x.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("1.png", b"")
    assert ImageFolder.of("x.zip").paths == ("zip://1.png::x.zip",)


def changed(data: bytes, **fields: int) -> bytes:
    """Write other numbers into the first entry of the list of members of a zip archive."""
    places = {"flags": (8, "<H"), "method": (10, "<H"), "packed": (20, "<I"), "size": (24, "<I")}
    start, raw = data.index(b"PK\1\2"), bytearray(data)
    for name, value in fields.items():
        place, form = places[name]
        struct.pack_into(form, raw, start + place, value)
    return bytes(raw)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"size": 10}, "not what the list of its archive says"),
        ({"size": 600_000_000}, "too large: 600.0 MB, at most 512.0 MB"),
        ({"flags": 1}, "encrypted"),
        ({"method": 14}, "packed by method 14"),
        ({"method": 0}, "not what the list of its archive says"),
    ],
)
def test_a_member_that_is_not_what_the_list_says_is_refused(here, fields, reason):
    with zipfile.ZipFile("x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.png", bytes(1_000_000))
    Path("x.zip").write_bytes(changed(Path("x.zip").read_bytes(), **fields))
    with pytest.raises(OSError, match=reason):
        read_file(ImageFolder.of("x.zip").paths[0])


def test_members_that_share_bytes_are_refused(here):
    """As in the archive of 42 kB by Fifield that unpacks to 5 GB."""
    with zipfile.ZipFile("x.zip", "w") as archive:
        archive.writestr("1.png", b"x" * 100)
        archive.writestr("2.png", b"y" * 100)
    data = Path("x.zip").read_bytes()
    Path("x.zip").write_bytes(changed(data, packed=180, size=180))
    with pytest.raises(ImageSourceError, match="its members share bytes"):
        ImageFolder.of("x.zip")


def test_no_more_is_unpacked_than_the_list_says(here, monkeypatch):
    with zipfile.ZipFile("x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.png", bytes(100_000_000))
    Path("x.zip").write_bytes(changed(Path("x.zip").read_bytes(), size=1000))
    made, unpack = [], zlib.decompressobj

    class Watched:
        def __init__(self, bits):
            self._engine = unpack(bits)

        def decompress(self, data, most):
            made.append(self._engine.decompress(data, most))
            return made[-1]

    monkeypatch.setattr(zlib, "decompressobj", Watched)
    with pytest.raises(OSError, match="not what the list"):
        read_file(ImageFolder.of("x.zip").paths[0])
    assert [len(each) for each in made] == [1001]


@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_damage_is_said_in_a_line_wherever_it_is(here, photos, suffix):
    if suffix == "zip":
        data = zip_of(photos, here / "whole.zip").read_bytes()
    else:
        data = tar_of(files(photos), here / "whole.tar").read_bytes()
    path, said = Path(f"x.{suffix}"), list[str]()
    for place in range(0, len(data), max(1, len(data) // 60)):
        for damaged in (
            data[:place],
            data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :],
        ):
            path.write_bytes(damaged)
            try:
                for each in ImageFolder.of(path).paths:
                    with suppress(OSError):
                        read_file(each)
            except ImageSourceError as error:
                said.append(str(error))
    assert said
    assert [each for each in said if "\n" in each or str(path) not in each] == []


@pytest.mark.parametrize(
    ("name", "said"), [("x.zip", "no zip archive"), ("x.tar", "no tar archive")]
)
def test_what_is_no_archive_is_said_to_be_none(here, name, said):
    Path(name).write_bytes(b"something else" * 100)
    with pytest.raises(ImageSourceError, match=said):
        ImageFolder.of(name)
    Path(name).write_bytes(b"")
    with pytest.raises(ImageSourceError, match=f"'{name}'"):
        ImageFolder.of(name)


def test_a_compressed_tar_is_refused_with_what_to_do(here):
    for name in ("x.tar", "x.tar.gz", "x.tgz"):
        with tarfile.open(name, "w:gz") as archive:
            archive.addfile(tarfile.TarInfo("1.png"))
        with pytest.raises(ImageSourceError, match=r"gzip has compressed.*expected a plain \.tar"):
            ImageFolder.of(name)


def test_an_archive_that_is_called_as_members_are_is_refused(photos, here):
    zip_of(photos, here / "a::b.zip")
    with pytest.raises(ImageSourceError, match=r"'a::b\.zip' has :: in its name"):
        ImageFolder.of("a::b.zip")


def test_an_archive_without_pictures_is_said_to_have_none(here):
    path = zip_of(plant(here / "all", "notes.txt"), here / "x.zip")
    with pytest.raises(ImageSourceError, match=r"no images in .*x\.zip', which has 1 other file:"):
        ImageFolder.of(path)


def test_a_picture_may_be_empty_in_its_archive(here, tmp_path):
    path = tar_of({"1.png": b"", "2.png": picture(tmp_path, "red")}, here / "x.tar")
    assert contents(ImageFolder.of(path))[0] == b""


@pytest.mark.parametrize("plain", [False, True])
def test_a_table_of_pictures_is_read_row_by_row(photos, here, plain):
    images = ImageFolder.of(table_of(photos, here / "x.parquet", plain=plain))
    folder = ImageFolder.of(photos)
    assert images.labels == folder.labels
    assert images.paths[13] == f"parquet://image/13::{here / 'x.parquet'}"
    assert contents(images) == contents(folder)
    order = [3, 17, 0, 16, 4, 4, 2]
    assert contents(images.select(order)) == contents(folder.select(order))
    assert images.table.columns == ["number", "label"]


def test_numbers_of_classes_have_the_names_that_stand_beside_them(photos, here):
    table = table_of(photos, here / "x.parquet", names=["green", "red", "blue"])
    assert ImageFolder.of(table).labels == ImageFolder.of(photos).labels


def test_shards_of_a_table_are_one_and_their_names_divide_them(photos, here):
    draw_folder(here / "held", each=2, start=50)
    table_of(photos, here / "data" / "train-00000-of-00001.parquet")
    table_of(here / "held", here / "data" / "test-00000-of-00001.parquet")
    for source in ("data", "data/*.parquet"):
        division = Division.of(ImageFolder.of(source))
        assert len(division.training) == 18
        assert len(division.test) == 6
        assert division.test.labels == ImageFolder.of("held").labels


def test_threads_that_read_a_table_get_the_rows_they_ask_for(photos, here):
    images = ImageFolder.of(table_of(photos, here / "x.parquet", group=18))
    expected = contents(ImageFolder.of(photos))
    order = np.random.default_rng(0).permutation(18 * 4) % 18
    with ThreadPoolExecutor(6) as pool:
        read = list(pool.map(lambda row: read_file(images.paths[row])[0], order))
    assert read == [expected[row] for row in order]


def test_a_row_without_a_picture_says_so(here):
    held = pa.array([{"bytes": None, "path": "lost.jpg"}, None, {"bytes": b"x", "path": None}])
    pq.write_table(pa.table({"image": held}), "x.parquet")
    images = ImageFolder.of("x.parquet")
    assert images.labels == (None, None, None)
    assert read_file(images.paths[2])[0] == b"x"
    for path in images.paths[:2]:
        with pytest.raises(OSError, match="no picture: its row in the table is empty"):
            read_file(path)
    with pytest.raises(OSError, match=r"no such picture in x\.parquet"):
        read_file("parquet://image/3::x.parquet")


def test_damage_of_a_table_is_said_in_a_line(photos, here):
    data = table_of(photos, here / "x.parquet", plain=True).read_bytes()
    rows = ImageFolder.of("x.parquet").paths
    said = []
    for place in range(0, len(data) // 2, len(data) // 60):
        Path("x.parquet").write_bytes(data[:place] + b"\xff" * 8 + data[place + 8 :])
        for row in rows:
            try:
                read_file(row)
            except OSError as error:
                said.append(str(error))
    assert any("thrift" in each for each in said), said
    assert [each for each in said if "\n" in each] == []


def test_a_table_of_two_columns_of_one_name_is_refused(here):
    pq.write_table(pa.table([[b"1"], [b"2"]], names=["image", "image"]), "x.parquet")
    with pytest.raises(ImageSourceError, match="2 columns are called `image`: expected one"):
        ImageFolder.of("x.parquet")
    pq.write_table(pa.table({"image": [b"1"]}), "x.parquet")
    with pytest.raises(ImageSourceError, match=r"x\.parquet has no other columns: expected `kind`"):
        ImageFolder.of("x.parquet", label_column="kind")


def test_a_table_that_unpacks_to_much_more_than_it_has_is_refused(here, monkeypatch):
    monkeypatch.setattr(parquet_table, "MAX_FILE_BYTES", 1_000_000)
    table = pa.table({"image": [bytes(20_000_000)]})
    pq.write_table(table, "x.parquet", compression="zstd", use_dictionary=False)
    with pytest.raises(ImageSourceError, match=r"B of it would unpack to 20\.0 MB: expected pict"):
        ImageFolder.of("x.parquet")
    pq.write_table(table, "x.parquet", compression="none", use_dictionary=False)
    assert len(ImageFolder.of("x.parquet")) == 1


def test_a_picture_that_stands_in_a_thousand_rows_is_in_memory_once(here):
    values = pa.DictionaryArray.from_arrays(np.zeros(1000, np.int32), [bytes(30_000_000)])
    table = pa.table({"image": values})
    pq.write_table(table, "x.parquet", compression="zstd", dictionary_pagesize_limit=1 << 30)
    assert Path("x.parquet").stat().st_size < 100_000
    images = ImageFolder.of("x.parquet")
    before = pa.default_memory_pool().max_memory()
    assert len(read_file(images.paths[900])[0]) == 30_000_000
    assert pa.default_memory_pool().max_memory() < max(before, 200_000_000)


def test_a_table_of_paths_is_one_of_paths_whatever_else_it_holds(photos, here):
    paths = sorted(map(str, photos.rglob("*.png")))
    pd.DataFrame({"path": paths, "hash": [b"1"] * 18}).to_parquet("x.parquet")
    assert ImageFolder.of("x.parquet").paths == tuple(paths)


def test_a_table_with_another_column_of_pictures_may_name_it(photos, here):
    held = [b"1", b"2"]
    pq.write_table(pa.table({"image": held, "mask": [b"3", b"4"], "kind": ["a", "b"]}), "x.parquet")
    images = ImageFolder.of("x.parquet", path_column="mask", label_column="kind")
    assert contents(images) == [b"3", b"4"]
    assert images.labels == ("a", "b")
    assert contents(ImageFolder.of("x.parquet")) == held
    with pytest.raises(ImageSourceError, match=r"x\.parquet' cannot be read: no column `path2`"):
        ImageFolder.of("x.parquet", path_column="path2")


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_folder_with_metadata_has_its_labels(here, suffix):
    plant(here / "photos", "1.jpg", "2.jpg", "sub/3.jpg", "4.jpg")
    rows = pd.DataFrame({"file_name": ["1.jpg", "sub/3.jpg", "2.jpg"], "label": ["a", "b", "c"]})
    path = f"photos/metadata.{suffix}"
    if suffix == "csv":
        rows.to_csv(path, index=False)
    elif suffix == "jsonl":
        rows.to_json(path, orient="records", lines=True)
    else:
        rows.to_parquet(path)
    images = ImageFolder.of("photos")
    assert dict(zip(images.paths, images.labels, strict=True)) == {
        "photos/1.jpg": "a",
        "photos/2.jpg": "c",
        "photos/sub/3.jpg": "b",
    }
    assert images.notes == (
        f"classes are those of metadata.{suffix}",
        f"1 of 4 pictures has no row in metadata.{suffix} and is left out: photos/4.jpg",
    )
    given = pd.DataFrame({"path": ["photos/4.jpg"], "label": ["d"]})
    assert ImageFolder.of("photos", given).labels == ("d",)


def test_metadata_of_the_parts_of_a_data_set_are_read_together(here):
    for part in ("train", "test"):
        plant(here / "photos" / part, "1.jpg", "2.jpg")
        lines = "file_name,label\n1.jpg,a\n2.jpg,b\n"
        (here / "photos" / part / "metadata.csv").write_text(lines)
    division = Division.of(ImageFolder.of("photos"))
    assert division.training.labels == division.test.labels == ("a", "b")
    assert division.training.paths == ("photos/train/1.jpg", "photos/train/2.jpg")


def test_a_table_of_something_else_leaves_the_folders_to_be_classes(here):
    plant(here / "photos", "a/1.jpg", "b/1.jpg")
    (here / "photos" / "metadata.csv").write_text("file_name,text\na/1.jpg,a cat\n")
    assert ImageFolder.of("photos").labels == ("a", "b")
    (here / "photos" / "metadata.csv").write_text("name,label\na/1.jpg,x\n")
    assert ImageFolder.of("photos").labels == ("a", "b")


def test_metadata_that_cannot_be_read_is_a_line(here):
    plant(here / "photos", "1.jpg")
    (here / "photos" / "metadata.jsonl").write_text('{"file_name": "1.jpg"}\n[1]\n')
    with pytest.raises(ImageSourceError, match=r"metadata.jsonl' cannot be read \(line 2 is no"):
        ImageFolder.of("photos")
