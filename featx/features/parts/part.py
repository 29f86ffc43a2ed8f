"""A part: one Parquet file of pictures in order, with their vectors.

The columns are `key` (the SHA-256 of the picture's file, in hexadecimal), `path`, `label`,
`outcome` ("embedded", "cached" or "failed"), `reason` (why it failed), `notes` and `vector`, which
is null where the picture failed. What reads Parquet reads it. The vectors of a row group stand one
after the other at the end of its only page, neither compressed nor encoded, so that a row is read
by its position; the footer has a checksum of each. A part that another program wrote again is read
as any Parquet file is.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from featx.errors import FeatxError, StorageError, get_logger, one_line
from featx.features.parts.place import Place
from featx.images.decode import Outcome
from featx.text import count

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

GROUP_BYTES = 16 << 20  # of vectors in a row group
GROUP_ROWS = 2048
_FOOTER = "featx"
_TEXTS = ("key", "path", "label", "outcome", "reason")
_VALUES = "vector.list.element"
STATUSES = ("embedded", "cached", "failed")

log = get_logger(__name__)


@dataclass(frozen=True)
class Rows:
    """Pictures in order, and the vectors of those that did not fail.

    Attributes
    ----------
    vectors : ndarray of shape (n, width), float32
    paths : list of str
    labels : list of str or None
        As texts.
    outcomes : list of Outcome or None
        None where it is not known; such a picture has a vector.
    digests : list of str or None
        SHA-256 of the files, in hexadecimal.
    """

    vectors: np.ndarray
    paths: Sequence[str]
    labels: Sequence[str | None]
    outcomes: Sequence[Outcome | None]
    digests: Sequence[str | None]

    @property
    def valid(self) -> np.ndarray:
        """Which of the pictures have a vector."""
        return np.array([each is None or each.ok for each in self.outcomes], dtype=bool)

    def as_kept(self) -> Rows:
        """Return the rows as a later run finds them: what was embedded was there before."""
        outcomes = [
            replace(each, status="cached") if each and each.ok else each for each in self.outcomes
        ]
        return replace(self, outcomes=outcomes)


def write_part(file: Path, rows: Rows, about: dict[str, Any]) -> int:
    """Write a part, and return the checksum of its footer, which keeps the plain values `about`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    width = rows.vectors.shape[1]
    vector = pa.list_(pa.field("element", pa.float32(), nullable=False), width)
    fields = [pa.field(name, pa.string()) for name in _TEXTS]
    schema = pa.schema(
        [*fields, pa.field("notes", pa.list_(pa.string())), pa.field("vector", vector)]
    )
    texts, exact = _texts(rows)
    valid, counts, ends = rows.valid, [], []
    starts = np.concatenate([[0], np.cumsum(valid)])
    step = max(1, min(GROUP_ROWS, GROUP_BYTES // (4 * width or 1)))
    with (
        file.open("wb") as sink,
        pq.ParquetWriter(
            sink,
            schema,
            use_dictionary=["label", "outcome", "reason"],
            compression={name: "zstd" for name in (*_TEXTS, "notes.list.element")}
            | {_VALUES: "none"},
            write_statistics=["key", "path", "label", "outcome"],
            data_page_size=1 << 30,
            write_page_checksum=True,
        ) as writer,
    ):
        for start in range(0, len(valid), step):
            stop = min(start + step, len(valid))
            own = rows.vectors[starts[start] : starts[stop]]
            arrays = [pa.array(column[start:stop], field.type) for column, field in
                      zip(texts, schema, strict=False)]  # fmt: skip
            arrays.append(_vectors(own, valid[start:stop], vector))
            writer.write_table(pa.table(arrays, schema=schema), row_group_size=step)
            counts.append(len(own))
            ends.append(sink.tell())
        checksums = np.array([zlib.crc32(row) for row in _contiguous(rows.vectors)], "<u4")
        known = {
            **about,
            "width": width,
            "valid": counts,
            "ends": ends,
            "exact": exact,
            "checksums": base64.b64encode(checksums.tobytes()).decode(),
        }
        footer = json.dumps(known)
        writer.add_key_value_metadata({_FOOTER: footer})
    return zlib.crc32(footer.encode())


def _texts(rows: Rows) -> tuple[list[list[Any]], list[tuple[str, int, str]]]:
    """Return the columns before the vectors, and the cells that are no Unicode as they were."""
    outcomes = rows.outcomes
    columns: dict[str, list[Any]] = {
        "key": list(rows.digests),
        "path": list(map(str, rows.paths)),
        "label": list(rows.labels),
        "outcome": [each and each.status for each in outcomes],
        "reason": [each and (each.reason or None) for each in outcomes],
    }
    exact = []
    for name in ("path", "label", "reason"):
        for row, text in enumerate(columns[name]):
            if text is not None and (plain := _unicode(text)) != text:
                exact.append((name, row, text))
                columns[name][row] = plain
    notes = [None if each is None else list(map(_unicode, each.notes)) for each in outcomes]
    return [*columns.values(), notes], exact


def _unicode(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _vectors(own: np.ndarray, valid: np.ndarray, kind: pa.DataType) -> pa.Array:
    """Return vectors as a column, with nulls where none is valid."""
    import pyarrow as pa

    if valid.all():
        return pa.FixedSizeListArray.from_arrays(pa.array(_contiguous(own).ravel()), type=kind)
    padded = np.zeros((len(valid), own.shape[1]), np.float32)
    padded[valid] = own
    return pa.FixedSizeListArray.from_arrays(
        pa.array(padded.ravel()), type=kind, mask=pa.array(~valid)
    )


def _contiguous(vectors: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(vectors, dtype=np.float32)


def found_part(place: Place, name: str) -> Part | None:
    """Return a part as its own footer tells of it; None if there is none, or it is damaged."""
    import pyarrow.parquet as pq

    try:
        with place.opened(name) as file:
            metadata = pq.read_metadata(file)
        footer = metadata.metadata[_FOOTER.encode()]
        about = json.loads(footer)
        pictures, vectors = metadata.num_rows, sum(about["valid"])
        width, checksum = int(about["width"]), zlib.crc32(footer)
        return Part(place, name, pictures, pictures - vectors, width, checksum)
    except Exception:  # whatever damaged bytes are read as
        return None


@dataclass(frozen=True)
class _Layout:
    """Where the vectors of a part are.

    Attributes
    ----------
    starts : ndarray of int
        The first vector of each row group, and the number of all.
    offsets : list of int, or None
        The first byte of the vectors of each row group; None where they are encoded.
    checksums : ndarray of uint32, or None
        Of each vector; None where they are not known.
    about : dict
        What the footer keeps.
    """

    starts: np.ndarray
    offsets: list[int] | None
    checksums: np.ndarray | None
    about: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Part:
    """A part that is there, of so many pictures, of which some failed; it is opened when read.

    What is missing or damaged is a `StorageError` then.
    """

    place: Place
    name: str
    pictures: int
    failed: int
    width: int
    footer: int | None = None  # its checksum, if that is known

    def __len__(self) -> int:
        return self.pictures - self.failed

    @property
    def about(self) -> dict[str, Any]:
        """What the footer keeps; nothing where another program wrote the part again."""
        return self._layout.about

    def rows(self) -> Rows:
        """Read all but the vectors."""
        with self._errors():
            table = self._table([*_TEXTS, "notes"])
            columns = {name: table[name].to_pylist() for name in table.column_names}
            for name, row, text in self.about.get("exact", ()):
                columns[name][row] = str(text)
            unknown = [None] * self.pictures
            paths = [str(path) for path in columns["path"]]
            outcomes = [
                None if status is None else _outcome(status, reason, notes, path)
                for status, reason, notes, path in zip(
                    *(columns.get(name, unknown) for name in ("outcome", "reason", "notes")),
                    paths,
                    strict=True,
                )
            ]
            labels = [each if each is None else str(each) for each in columns.get("label", unknown)]
            keys = [each if each is None else str(each) for each in columns.get("key", unknown)]
            rows = Rows(np.empty((0, self.width), np.float32), paths, labels, outcomes, keys)
            if rows.valid.sum() != len(self):
                raise ValueError(f"{self.pictures - rows.valid.sum():,} pictures failed")
            return rows

    def keys(self) -> np.ndarray:
        """Read the keys of the pictures that have a vector, 64 bytes each, empty where unknown."""
        with self._errors():
            keys = self._column("key").fill_null("")
            return np.array(keys.to_numpy(), dtype="S64")

    def texts(self, name: str) -> list[str | None]:
        """Read a column, of the pictures that have a vector, as texts."""
        if any(column == name for column, *_ in self.about.get("exact", ())):
            rows = self.rows()
            valid = rows.valid
            column = {"path": rows.paths, "label": rows.labels}[name]
            return [text for text, sound in zip(column, valid, strict=True) if sound]
        with self._errors():
            cells = self._column(name).to_pylist()
            return [None if cell is None else str(cell) for cell in cells]

    def _column(self, name: str) -> pa.ChunkedArray:
        """Read a column of the pictures that have a vector."""
        import pyarrow as pa

        table = self._table([name, "outcome"] if self.failed else [name])
        if name not in table.column_names:
            return pa.chunked_array([pa.nulls(len(self), pa.string())])
        if self.failed:
            table = table.filter(_sound(table["outcome"]))
        if table.num_rows != len(self):
            raise ValueError(f"{self.pictures - table.num_rows:,} pictures failed")
        return table[name]

    def read(
        self, rows: np.ndarray, out: np.ndarray, targets: np.ndarray, columns: Any = None
    ) -> None:
        """Read vectors, by ascending positions, into the rows `targets` of `out`.

        With `columns` only these of each go there.
        """
        layout = self._layout
        gap = 1 + self.place.gap // (4 * self.width or 1)
        skipped = gap if layout.offsets is not None else self.pictures
        with self._errors(), self.place.opened(self.name) as file:
            for start, stop in _runs(rows, layout.starts, skipped):
                own = rows[start:stop]
                vectors = self._run(file, own)
                out[targets[start:stop]] = vectors if columns is None else vectors[:, columns]

    def _run(self, file: BinaryIO, rows: np.ndarray) -> np.ndarray:
        """Read vectors of one row group that stand close together."""
        layout, first = self._layout, int(rows[0])
        group = int(np.searchsorted(layout.starts, first, "right")) - 1
        if layout.offsets is not None:
            offset = layout.offsets[group] + (first - int(layout.starts[group])) * self.width * 4
            with suppress(EOFError):  # it was written again, and is shorter
                block = _exactly(file, offset, (int(rows[-1]) - first + 1) * self.width * 4)
                plain: np.ndarray = np.frombuffer(block, "<f4").reshape(-1, self.width)
                plain = plain[rows - first]
                if self._is_sound(plain, rows):
                    return plain
        vectors: np.ndarray = self._decoded(file, group)[rows - int(layout.starts[group])]
        if not self._is_sound(vectors, rows):
            raise ValueError("vectors do not match their checksums")
        return vectors

    def _is_sound(self, vectors: np.ndarray, rows: np.ndarray) -> bool:
        checksums = self._layout.checksums
        if checksums is None:
            return True
        known: list[int] = checksums[rows].tolist()
        return [zlib.crc32(vector) for vector in vectors] == known

    def _decoded(self, file: BinaryIO, group: int) -> np.ndarray:
        """Read the vectors of a row group however they are encoded."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(file, page_checksum_verification=True) as source:
            column = source.read_row_group(group, columns=["vector"])["vector"]
        column = column.combine_chunks().drop_null()
        values: np.ndarray = column.flatten().to_numpy(zero_copy_only=False).astype("<f4")
        return values.reshape(len(column), self.width)

    def _table(self, names: Sequence[str]) -> pa.Table:
        """Read columns, those that are there."""
        import pyarrow.parquet as pq

        with (
            self.place.opened(self.name) as file,
            pq.ParquetFile(file, page_checksum_verification=True) as source,
        ):
            known = [name for name in names if name in source.schema_arrow.names]
            self._footer_of(source.metadata)
            table = source.read(columns=known)
        if table.num_rows != self.pictures:
            raise ValueError(f"{count(table.num_rows, 'row')}, expected {self.pictures:,}")
        return table

    @cached_property
    def _layout(self) -> _Layout:
        import pyarrow.parquet as pq

        with self._errors(), self.place.opened(self.name) as file:
            metadata = pq.read_metadata(file)
            if metadata.num_rows != self.pictures:
                raise ValueError(f"{count(metadata.num_rows, 'row')}, expected {self.pictures:,}")
            about = json.loads(self._footer_of(metadata))
            if not _is_as_written(metadata, about.get("valid")):
                log.info("%s/%s was written again by another program", self.place, self.name)
                return _Layout(self._group_starts(metadata), None, None, {})
            starts = np.concatenate([[0], np.cumsum(about["valid"], dtype=np.int64)])
            checksums = np.frombuffer(base64.b64decode(about["checksums"]), "<u4")
            if starts[-1] != len(self) or len(checksums) != len(self):
                raise ValueError(f"{count(int(starts[-1]), 'vector')}, expected {len(self):,}")
            return _Layout(starts, _offsets(about, self.width), checksums, about)

    def _footer_of(self, metadata: pq.FileMetaData) -> bytes:
        """Return what featx keeps in the footer, unless it is that of another part."""
        footer: bytes | None = (metadata.metadata or {}).get(_FOOTER.encode())
        if footer is None:
            return b"{}"
        if self.footer not in (None, zlib.crc32(footer)):
            raise StorageError(
                f"{self.name} of {self.place} is not the one that its manifest tells of: load it "
                "again if it was written since, else copy the whole folder, or embed into it again"
            )
        return footer

    def _group_starts(self, metadata: pq.FileMetaData) -> np.ndarray:
        """Count the vectors of each row group by its outcomes."""
        rows = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        sound = np.ones(self.pictures, dtype=np.int64)
        if self.failed:
            sound = _sound(self._table(["outcome"])["outcome"]).to_numpy().astype(np.int64)
        ends: np.ndarray = np.concatenate([[0], np.cumsum(sound)])
        bounds = np.concatenate([[0], np.cumsum(rows, dtype=np.int64)])
        return np.asarray(ends[bounds])

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say in one line what is wrong with the file."""
        try:
            yield
        except FeatxError:
            raise
        except FileNotFoundError as error:
            raise StorageError(
                f"{self.place} lacks {self.name}, which its manifest names; copy the whole folder"
            ) from error
        except Exception as error:  # whatever Arrow, JSON or numpy make of damaged bytes
            raise StorageError(
                f"{self.name} of {self.place} is damaged ({one_line(error)}); copy it again, or "
                "remove it and embed into the same folder again, which makes it anew"
            ) from error


def _is_as_written(metadata: pq.FileMetaData, valid: Any) -> bool:
    """Whether a part has the row groups that its footer tells of, by their vectors."""
    if not isinstance(valid, list) or len(valid) != metadata.num_row_groups:
        return False
    return all(
        isinstance(known, int) and 0 <= known <= metadata.row_group(group).num_rows
        for group, known in enumerate(valid)
    )


def _offsets(about: dict[str, Any], width: int) -> list[int] | None:
    """Return the first byte of the vectors of each row group; None where older parts do not tell.

    Parquet tells it as well, but Arrow ends the process where that is damaged.
    """
    valid, ends = about["valid"], about.get("ends")
    if ends is None:
        return None
    return [int(end) - known * width * 4 for known, end in zip(valid, ends, strict=True)]


def _runs(rows: np.ndarray, starts: np.ndarray, skipped: int) -> Iterator[tuple[int, int]]:
    """Divide ascending positions into those of one row group with no more than so much between."""
    groups = np.searchsorted(starts, rows, "right")
    ends = np.flatnonzero((np.diff(rows) > skipped) | (np.diff(groups) > 0)) + 1
    return pairwise([0, *ends.tolist(), len(rows)]) if len(rows) else iter(())


def _exactly(file: BinaryIO, offset: int, size: int) -> bytearray:
    """Read bytes of an unbuffered file."""
    block = bytearray(size)
    view, done = memoryview(block), 0
    file.seek(offset)
    while done < size:
        read = file.readinto(view[done:])  # type: ignore[attr-defined]
        if not read:
            raise EOFError("the file ends early")
        done += read
    return block


def _outcome(status: Any, reason: Any, notes: Any, path: str) -> Outcome:
    if status not in STATUSES:
        raise ValueError(f"{status!r} is no outcome")
    return Outcome(status, str(reason or ""), tuple(map(str, notes or ())), path)


def _sound(outcomes: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return which pictures have a vector."""
    import pyarrow.compute as pc

    return pc.fill_null(pc.not_equal(outcomes, "failed"), True)
