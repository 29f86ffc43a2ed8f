"""Nothing is told to anybody: no command calls another machine, no library reports its use."""

from __future__ import annotations

import ast
import json
import math
import subprocess
import sys
import urllib.request
from pathlib import Path

import fakes
import onnx_networks
import pytest
from connections import Listener

from featx.cli.commands import cli

ROOT = Path(__file__).parents[1]
DATA, PACKAGE = ROOT / "data" / "fruit", ROOT / "featx"

REPORTING = ("openvino", "nncf")

# Runs commands, a line of a file each, in one process.
RUN = """
import sys
from featx.cli.main import main
for line in open(sys.argv[1]):
    try:
        main(line.split())
    except SystemExit as end:
        assert not end.code, f"{line} ends with status {end.code}"
"""

#: Lines for each command, on the default network. `serve` runs until it is told to end, and what
#: `export` writes takes Keras: they have their own tests.
COMMANDS = {
    "train": ["{data}/train --out model.featx --test {data}/test --report report.html"],
    "predict": ["model.featx {data}/test --out labels.csv --gallery gallery.png"],
    "watch": ["model.featx {data}/test --out watched.csv --once --every 0.01"],
    "explain": ["model.featx {data}/test/banana --out why.png"],
    "inspect": ["model.featx"],
    "evaluate": ["model.featx {data}/test"],
    "embed": ["{data}/train --out features.npz --map map.png"],
    "similar": ["{data}/test/banana --among features.npz --gallery similar.png"],
    "check": ["{data}/train"],
    "compare": ["{data}/train --backbones efficientnet_lite0 --classifiers logistic,knn"],
    "tune": ["{data}/train --backbones efficientnet_lite0 --budget 1 --out tuned.featx"],
    "label": ["{data}/test/banana"],
    "backbones": ["efficientnet_lite0"],
    "demo": ["--out demo"],
    "cache": ["info", "verify", "clear --all"],
    "serve": [],
    "export": [],
}


@pytest.fixture
def listener(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Listener(tmp_path / "listener")


def run(listener, *lines):
    """Run commands in one process; fail unless all end well."""
    Path("lines.txt").write_text("\n".join(lines))
    ended = listener.run("-c", RUN, "lines.txt")
    assert ended.returncode == 0, ended.stderr


def answer_over_http(listener, model, picture) -> None:
    """Let `featx serve` answer once, and end it."""
    words = [sys.executable, "-m", "featx", "serve", model, "--port", "0", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=listener.environment) as service:
        try:
            address = json.loads(service.stdout.readline())["address"]
            request = urllib.request.Request(
                f"{address}/predict", picture, {"Content-Type": "image/jpeg"}
            )
            with urllib.request.urlopen(request, timeout=60) as response:
                assert json.load(response)["predictions"][0]["label"] == "banana"
        finally:
            service.terminate()
    assert service.returncode == 0


def test_no_command_calls_another_machine_and_openvino_reports_nothing(listener):
    assert set(COMMANDS) == set(cli.commands)
    lines = [f"{name} {each}" for name, some in COMMANDS.items() for each in some]
    run(listener, *(line.format(data=DATA) for line in lines))
    picture = next((DATA / "test" / "banana").iterdir()).read_bytes()
    answer_over_http(listener, "model.featx", picture)
    assert listener.heard == []


def test_networks_in_files_and_their_calibration_by_nncf_report_nothing(listener):
    pytest.importorskip("nncf")
    onnx_networks.write(Path("net.onnx"), onnx_networks.convolutional(32))
    network = "--backbone net.onnx --preprocess torch --precision int8"
    run(listener, f"embed {DATA}/train {network} --out x.npz")
    assert listener.heard == []


@pytest.mark.keras
def test_exports_report_nothing(listener):
    for package in ("tf2onnx", "nncf"):
        pytest.importorskip(package)
    fakes.draw_folder(Path("photos"), each=14)
    run(
        listener,
        "train photos --input-size 64 --out model.featx",
        "export model.featx --out model.xml",
        "export model.featx --out int8.onnx --quantize --calibrate photos",
    )
    assert listener.heard == []


@pytest.mark.keras
def test_networks_of_keras_report_nothing(listener):
    network = "--backbone mobilenet --weights random --input-size 32"
    run(
        listener,
        f"embed {DATA}/train {network} --engine openvino --out x.npz",
        f"embed {DATA}/train {network} --engine keras --out x.npz",
    )
    assert listener.heard == []


def reporting_imports(path: Path) -> list[str]:
    """Return the imports of OpenVINO and NNCF in a module that would let them report."""
    tree, kept, found = ast.parse(path.read_text()), set(), []
    for node in ast.walk(tree):
        if is_guard(node):
            kept |= set(ast.walk(node))
        elif isinstance(node, ast.FunctionDef):  # its second import, or one that it is given
            calls = [each.lineno for each in ast.walk(node) if is_guarded_import(each)]
            calls += [node.lineno for each in node.args.args if each.arg in REPORTING]
            after = min(calls, default=math.inf)
            kept |= {each for each in ast.walk(node) if getattr(each, "lineno", 0) > after}
    for node in set(ast.walk(tree)) - kept:
        if isinstance(node, ast.Import):
            found += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(str(node.module))
    return [each for each in found if each.split(".")[0] in REPORTING]


def is_guard(node: ast.AST) -> bool:
    """Whether nothing in a block is imported, or nothing that is reports."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    items = node.items if isinstance(node, ast.With) else []
    return any(ast.unparse(each) == "without_reports()" for each in items)


def is_guarded_import(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in (
        "import_openvino",
        "import_nncf",
    )


def test_no_module_imports_openvino_or_nncf_in_a_way_that_reports_it():
    found = {str(path): reporting_imports(path) for path in PACKAGE.rglob("*.py")}
    assert len(found) > 200
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import socket; socket.getaddrinfo('featx.invalid', 80)", "socket.getaddrinfo featx.inv"),
        (
            "import socket; s = socket.socket(); s.settimeout(0.01); s.connect(('192.0.2.1', 9))",
            "socket.connect 192.0.2.1",
        ),
        ("import openvino", "send_event ov import general_import"),
    ],
)
def test_whatever_would_be_said_is_heard(listener, code, expected):
    """Also in a child of the process."""
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    listener.run("-c", child)
    assert any(line.startswith(expected) for line in listener.heard), listener.heard
