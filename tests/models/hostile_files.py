"""Files that mean harm to whoever looks into a model: bombs, lies, and what is no file at all.

    python -m tests.models.hostile_files 5000

inspects so many mutations of a real model in a process of its own, and says what became of them.
"""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

MODEL = Path(__file__).parents[1] / "released" / "models" / "card.featx"
SCHEMA = "schema.json"


def members() -> dict[str, bytes]:
    """Return what a sound model holds."""
    with zipfile.ZipFile(MODEL) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(contents: dict[str, bytes], path: Path | io.BytesIO, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def with_about(path: Path, about: bytes) -> None:
    packed(members() | {"model.json": about}, path)


def with_schema(path: Path, schema: bytes) -> None:
    inner = io.BytesIO()
    packed({SCHEMA: schema}, inner, zipfile.ZIP_STORED)
    packed(members() | {"pipeline.skops": inner.getvalue()}, path)


def about_with(**values) -> bytes:
    return json.dumps(json.loads(members()["model.json"]) | values).encode()


def bomb(path: Path, name: str, megabytes: int) -> None:
    """Put a member of zeros into a model."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for other, content in members().items():
            if other != name:
                archive.writestr(other, content)
        with archive.open(name, "w", force_zip64=True) as file:
            for _ in range(megabytes):
                file.write(bytes(1 << 20))


def lying_bomb(path: Path, name: str) -> None:
    """Let a member that unpacks to 200 MB say that it is of a thousand bytes."""
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = b"".join(engine.compress(bytes(1 << 20)) for _ in range(200)) + engine.flush()
    raw = name.encode()
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 33, 0, len(data), 1000, len(raw), 0)
    entry = _entry(8, len(data), 1000, len(raw))
    body = local + raw + data
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(entry) + len(raw), len(body), 0)
    path.write_bytes(body + entry + raw + end)


def _entry(method: int, packed: int, size: int, n: int) -> bytes:
    """Return the beginning of an entry of the list of members."""
    head = (b"PK\1\2", 20, 20, 0, method, 0, 33, 0, packed, size)
    return struct.pack("<4s6H3I5H2I", *head, n, *[0] * 6)


def many_members(path: Path, number: int, length: int) -> None:
    """Write a list of so many members with names so long, which all lie in one place."""
    name = b"n" * (length - 8)
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, length, 0) + name
    with path.open("wb") as file:
        start = file.write(local + b"00000000")
        for each in range(number):
            file.write(_entry(0, 0, 0, length) + name + b"%08d" % each)
        size = file.tell() - start
        few = min(number, 0xFFFF)
        file.write(struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, few, few, size, start, 0))


def inner_members(path: Path, number: int) -> None:
    """Let a pipeline have a million empty members."""
    name = b"m" * 20
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, len(name), 0) + name
    packed(members() | {"pipeline.skops": local * number}, path)


def sparse(path: Path) -> None:
    """Write a file that says it is of 6 GB, and takes no room."""
    with path.open("wb") as file:
        file.write(MODEL.read_bytes())
        file.truncate(6 << 30)


def link(path: Path, target: str) -> None:
    path.symlink_to(target)


def deep(opening: bytes, closing: bytes, megabytes: int = 3) -> bytes:
    number = (megabytes << 20) // (len(opening) + len(closing))
    return opening * number + b"1" + closing * number


#: What writes each file; those that are refused with an error are in `NO_FILES`.
FILES: dict[str, Callable[[Path], object]] = {
    "a bomb in model.json": lambda path: bomb(path, "model.json", 150),
    "a bomb in the pipeline": lambda path: bomb(path, "pipeline.skops", 300),
    "a bomb that lies": lambda path: lying_bomb(path, "model.json"),
    "a bomb that lies in the pipeline": lambda path: lying_bomb(path, "pipeline.skops"),
    "nested lists": lambda path: with_about(path, deep(b"[", b"]", 16)),
    "nested objects": lambda path: with_about(path, deep(b'{"a":', b"}")),
    "many lists": lambda path: with_about(path, b"[" + b"[]," * 1_200_000 + b"1]"),
    "many objects": lambda path: with_about(path, b"[" + b'{"":0},' * 500_000 + b"1]"),
    "many names": lambda path: with_about(
        path, b"{" + b",".join(b'"%07d":0' % each for each in range(74_000)) + b"}"
    ),
    "16 MB of text": lambda path: with_about(path, about_with(weights="x" * (16 << 20))),
    "4 MB of emoji": lambda path: with_about(
        path, b'{"format":5,"recipe":"' + "\U0001f600".encode() * 1_000_000 + b'"}'
    ),
    "a text in the place of a number": lambda path: with_about(
        path, about_with(rejection={"precision": {"value": "a " * 1_900_000}, "coverage": {}})
    ),
    "a number of a million digits": lambda path: with_about(
        path, about_with()[:-1] + b', "views": ' + b"9" * 1_000_000 + b"}"
    ),
    "a hundred thousand classes": lambda path: with_about(
        path, about_with(classes=[f"class {each}" for each in range(100_000)])
    ),
    "a million members": lambda path: many_members(path, 1_000_000, 20),
    "names of 60 kB": lambda path: many_members(path, 400, 60_000),
    "a million members within": lambda path: inner_members(path, 1_000_000),
    "a deep schema": lambda path: with_schema(path, deep(b'{"content":', b"}", 15)),
    "a schema of one text": lambda path: with_schema(path, b'{"a":"' + b"\\n" * 7_900_000 + b'"}'),
    "a schema of many objects": lambda path: with_schema(
        path, b"[" + b'{"__class__":"a"},' * 100_000 + b"{}]"
    ),
    "a schema of many types": lambda path: with_schema(
        path, b"[" + b"".join(b'{"__class__":"%d"},' % each for each in range(400_000)) + b"{}]"
    ),
    "a schema too large": lambda path: with_schema(path, b" " * (40 << 20)),
    "a file of 6 GB": sparse,
    "an empty file": lambda path: path.write_bytes(b""),
    "half a file": lambda path: path.write_bytes(MODEL.read_bytes()[:1500]),
    "a pickle": lambda path: path.write_bytes(b"\x80\x04cos\nsystem\n(S'touch canary'\ntR."),
}
NO_FILES: dict[str, Callable[[Path], object]] = {
    "a link to zeros": lambda path: link(path, "/dev/zero"),
    "a link to itself": lambda path: link(path, path.name),
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "nothing": lambda path: None,
}

#: Inspects a file, and prints the most memory that it took in MB, and what became of it.
INSPECT = """
import json, sys
import featx.cli.commands
from featx.errors import FeatxError
from featx.models.inspection import inspect
try:
    found = inspect(sys.argv[1])
    json.dumps(found.to_dict(), allow_nan=False), found._repr_html_()
    told = found.summary
    try:
        found.card()
    except FeatxError as error:
        told += "\\nno card: " + str(error)
except FeatxError as error:
    told = "refused: " + str(error)
heavy = {"sklearn", "scipy", "skops", "openvino", "tensorflow", "keras", "torch", "onnx", "pandas"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024)
print(told.encode(errors="replace").decode()[:100_000])
"""


def inspected(path: Path) -> tuple[int, str]:
    """Inspect a file in a process of its own; return the most memory in MB, and what was told."""
    done = subprocess.run(
        [sys.executable, "-c", INSPECT, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    peak, _, told = done.stdout.partition("\n")
    return int(peak), told


def mutated(data: bytes, random: Random) -> bytes:
    """Damage a file: bits, bytes, a part that is gone, doubled or moved, a number that lies."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8, 40))):
        at = random.randrange(len(changed) or 1)
        if len(changed) < 2:
            break
        kind = random.randrange(7)
        if kind == 0:
            changed[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            changed[at : at + 4] = struct.pack("<I", random.choice((0, 1, 0xFFFF, 0xFFFFFFFF)))
        elif kind == 2:
            del changed[at : at + random.choice((1, 4, 100))]
        elif kind == 3:
            changed[at:at] = changed[at : at + random.choice((1, 30, 500))]
        elif kind == 4:
            end = at + random.choice((2, 16, 64))
            changed[at:end] = random.randbytes(len(changed[at:end]))
        elif kind == 5:
            changed = changed[: max(at, 1)] if random.random() < 0.2 else changed
        else:  # the list of members, which is at the end
            at = len(changed) - 1 - random.randrange(min(len(changed), 260))
            changed[at] = random.randrange(256)
    return bytes(changed)


def mutated_within(random: Random) -> bytes:
    """Damage what is inside, and pack it again as if nothing had been."""
    contents = members()
    name = random.choice(list(contents))
    if name == "pipeline.skops" and random.random() < 0.5:
        with zipfile.ZipFile(io.BytesIO(contents[name])) as archive:
            inner = {each: archive.read(each) for each in archive.namelist()}
        inner[SCHEMA] = mutated(inner[SCHEMA], random)
        stream = io.BytesIO()
        packed(inner, stream, zipfile.ZIP_STORED)
        contents[name] = stream.getvalue()
    else:
        contents[name] = mutated(contents[name], random)
    stream = io.BytesIO()
    packed(contents, stream)
    return stream.getvalue()


def try_mutations(first: int, number: int) -> dict[str, int]:
    """Inspect so many damaged files, and count what became of them."""
    from featx.errors import FeatxError
    from featx.models.inspection import inspect

    whole = MODEL.read_bytes()
    done = {"sound": 0, "wrong": 0, "no model": 0, "seconds": 0}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.featx"
        for seed in range(first, first + number):
            random = Random(seed)
            path.write_bytes(
                mutated(whole, random) if random.random() < 0.5 else mutated_within(random)
            )
            start = time.monotonic()
            found = inspect(path)
            json.dumps(found.to_dict(), allow_nan=False)
            assert all("\n" not in each and len(each) < 400 for each in found.problems), seed
            with suppress(FeatxError):
                found.card()
            word = "no model" if not found.is_model else "wrong" if found.problems else "sound"
            done[word] += 1
            done["seconds"] = max(done["seconds"], round(time.monotonic() - start))
    return done


if __name__ == "__main__":
    print(try_mutations(int(sys.argv[2]) if len(sys.argv) > 2 else 0, int(sys.argv[1])))
