"""Archives of small pictures, as people and programs make them, and as those who mean harm do."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import fakes

COLORS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 200)}


def picture(tmp_path: Path, color: str, seed: int = 0) -> bytes:
    """Return the file of a small picture of one colour, with noise."""
    return fakes.draw(tmp_path / "drawn.png", COLORS[color], seed=seed).read_bytes()


def zip_of(folder: Path, path: Path, **options) -> Path:
    """Pack the files of a folder, with paths from the folder on."""
    with zipfile.ZipFile(path, "w", **options) as archive:
        for file in sorted(folder.rglob("*"), reverse=True):
            archive.write(file, file.relative_to(folder))
    return path


def tar_of(members: Mapping[str, bytes], path: Path, format: int = tarfile.PAX_FORMAT) -> Path:
    """Write an archive of these files, in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=format) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def shards_of(folder: Path, place: Path, n: int = 3, sidecar: str = "cls") -> list[Path]:
    """Write pictures of a folder as WebDataset does, in turn into `n` shards, with their labels."""
    shards: list[dict[str, bytes]] = [{} for _ in range(n)]
    for number, file in enumerate(sorted(folder.rglob("*.png"))):
        label = file.parent.name
        told = label.encode() if sidecar == "cls" else json.dumps({"label": label}).encode()
        shards[number % n] |= {
            f"{number:06d}.{sidecar}": told,
            f"{number:06d}.png": file.read_bytes(),
        }
    return [
        tar_of(members, place / f"shard-{number:04d}.tar") for number, members in enumerate(shards)
    ]


def table_of(folder: Path, path: Path, *, names=None, plain=False, group=4) -> Path:
    """Write the pictures of a folder as Hugging Face does, `names` being those of the classes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = sorted(folder.rglob("*.png"))
    labels = [file.parent.name for file in files]
    held = [file.read_bytes() for file in files]
    structs = [{"bytes": data, "path": file.name} for data, file in zip(held, files, strict=True)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {
        "number": pa.array(range(len(files))),
        "image": pa.array(held, pa.binary()) if plain else pa.array(structs, kind),
        "label": pa.array([names.index(label) for label in labels] if names else labels),
    }
    table = pa.table(columns)
    if names:
        about = {"info": {"features": {"label": {"names": list(names), "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=group)
    return path
