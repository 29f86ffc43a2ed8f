"""Names of files and classes reach the terminal as text: they drive, forge and hide nothing."""

import os
import re

import fakes
import pytest

from featx.cli.commands import cli

CLASSES = ("\x1b[2J\x1b]0;owned\x07\x7f", "=cmd()\u202egnp", "c\nfeatx: forged\r\x9b31m")
FILES = ("a\nfeatx: forged.png", "\x1b[8mhidden\u2066.png", "\udcff\u200b\u2028b.png")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of nasty names, in which pictures are broken, copied and of one class."""
    place = tmp_path / "\x1b[5mphotos\n\u202e"
    for number, name in enumerate(CLASSES):
        color = [0, 0, 0]
        color[number] = 200
        for row, file in enumerate((*FILES, "\x1b.png", "\u200f.png")):
            color[number - 1] = row * 9
            fakes.draw(place / name / file, tuple(color))
        (place / name / "\x1bbroken\n.png").write_text("no picture")
    twin = next((place / CLASSES[0]).glob("*hidden*"))
    (place / CLASSES[0] / "\x1btwin.png").write_bytes(twin.read_bytes())
    monkeypatch.chdir(tmp_path)
    rows = [f'"{place.name}/{name}/{FILES[0]}"\t"{name}"' for name in CLASSES]
    gone = '"gone\x1b[2J\u202e.png"\t"\x9b31m"'
    text = "\n".join(["path\tlabel\todd\x1b[2J", *(f"{row}\t" for row in rows), f"{gone}\t"])
    (tmp_path / "\x1b\u202e.tsv").write_text(text, encoding="utf-8")
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache\x1b[2J\n\u202e"))
    return place.name


COMMANDS = {
    "backbones": [""],
    "check": [
        "{photos} --test {photos} --list l\x1b\n.txt --report k\u202e.html",
        "{photos} --exclude l\x1b\n.txt",
        "{photos} --exclude \x1bnone\u202e",
        "{photos} --fail-on \x1b\u202e",
    ],
    "embed": [
        "{photos} --out out\x1b\n.csv --map m\x1b\n.svg",
        "{photos}/none --out out.csv",
        "{photos} --out \x1b",
    ],
    "train": [
        "{photos} --out \x1b\n.featx --test {photos} --report \x1b\u202e.html --reject 0.9",
        "{photos} --labels \x1b\u202e.tsv --out \x1b.featx",
        "\x1b\u202e.tsv --path-column \x9b --out \x1b.featx",
        "\x1b*\u202e\n --out \x1b.featx",
    ],
    "predict": [
        "\x1b\n.featx {photos} --out p\x1b\u202e.csv --gallery \x9b.png",
        "\x1b\n.featx {photos} --only-new --out p\x1b\u202e.csv --copy-to c\x1b\n\u202e",
        "\x1b\n.featx {photos} --copy-to {photos}/\x1b\u202e",
        "\x1bno.featx x",
    ],
    "watch": [
        "\x1b\n.featx {photos} --out w\x1b\u202e.csv --once --every 0.01",
        "\x1b\n.featx {photos} --out w\x1b\u202e.csv --once --every 0.01",
        "\x1b\n.featx \x1bno\u202e --out w\x1b\u202e.csv",
    ],
    "serve": ["\x1bno.featx", "\x1b\n.featx --port \x1b\u202e"],
    "export": ["\x1bno.featx --out x.onnx", "\x1b\n.featx --out e\x1b\u202e.pt"],
    "similar": [
        "{photos} --among out\x1b\n.csv -n 2 --gallery s\x1b\u202e.png",
        "{photos} --among \x1bnone\n.npz",
        "\x1bnone\n --among out\x1b\n.csv",
    ],
    "explain": [
        "\x1b\n.featx {photos} --out why\x1b\u202e.png",
        "\x1b\n.featx {photos} --out why\x1b\u202e.html",
        "\x1b\n.featx {photos} --label \x1b\u202e",
    ],
    "inspect": ["\x1b\n.featx --card i\x1b\n.md", "\x1bnone\n.featx"],
    "evaluate": ["\x1b\n.featx {photos} --report e\x1b\n.html", "\x1b\n.featx \x1bnone\n"],
    "compare": [
        "{photos} --backbones efficientnet_lite0 --out c\x1b.csv --report r\u2066\n.html",
        "{photos} --backbones efficientnet_lite0 --plot p\x1b.svg --curves c\u2066\n.pdf",
    ],
    "tune": ["{photos} --backbones efficientnet_lite0 --budget 1 --out t\x1b\n.featx"],
    "cache": ["info", "verify", "clear --all", "clear \x1b\u202e", "\x1b"],
    "demo": ["--out demo\x1b\n"],
    "label": ["{photos}", "\x1b\u202e\n"],
}


def test_names_drive_no_terminal_forge_no_line_and_hide_nothing(
    place, featx_ends, engines, request
):
    assert set(COMMANDS) == set(cli.commands)
    seen, done = "", []
    for command, lines in COMMANDS.items():
        if command == "label":
            request.getfixturevalue("guessing")
        for line in lines:
            words = [word.format(photos=place) for word in line.split(" ") if word]
            ended = featx_ends(command, *words)
            assert "Traceback" not in ended.err
            said = ended.out + ended.err
            assert not fakes.DRIVES_A_TERMINAL.search(said), (command, line, said)
            assert not re.search("^featx: forged", said, re.MULTILINE), (command, line)
            if command in ("check", "predict", "label", "cache"):
                as_json = featx_ends(command, *words, "--json")
                told = as_json.out + as_json.err
                assert not fakes.DRIVES_A_TERMINAL.search(told), (command, line)
            done += [command] if ended.status == 0 else []
            seen += said
    # The one ends when it is told to, and the other needs Keras.
    assert set(done) == set(COMMANDS) - {"serve", "export"}
    assert r"\x1b[8mhidden" in seen
    assert r"\x1bbroken\n.png: not an image" in seen
    for name in filter(re.compile(r"\.(csv|html)$").search, os.listdir(".")):
        with open(name, encoding="utf-8", errors="surrogateescape", newline="") as file:
            text = file.read()
        if name.endswith(".html"):
            assert not fakes.DRIVES_A_TERMINAL.search(text), name
        assert not re.search('(^|,)"?=cmd', text, re.MULTILINE), name
