"""A test that hangs is ended with its stacks, and costs no more than itself where Python can."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

HALF = "import sys; from tests.half import main; sys.exit(main(*sys.argv[1:], exit_seconds=1))"

PYTHON = """
import subprocess, sys, threading
import pytest

@pytest.fixture
def process():
    yield
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        process.wait()

def never():
    threading.Event().wait()

def test_that_waits_for_a_thread_and_then_for_a_process(process):
    thread = threading.Thread(target=never)
    thread.start()
    thread.join()

def test_that_goes_well_and_leaves_a_thread():
    threading.Thread(target=never).start()
"""

COMPILED = """
import ctypes

def test_that_waits_for_a_lock():
    library, lock = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    library.pthread_mutex_lock(lock)
    library.pthread_mutex_lock(lock)
"""


@pytest.fixture
def half(tmp_path):
    """Return a function that runs a file of tests as the half of that name."""

    def run(text: str) -> subprocess.CompletedProcess:
        (tmp_path / "test_some.py").write_text(text)
        words = [sys.executable, "-c", HALF, "some", "-p", "hangs", "-o", "hang_seconds=1"]
        variables = {
            "PYTHONPATH": os.pathsep.join(map(str, [ROOT, ROOT / "tests"])),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        return subprocess.run(
            [*words, "--rootdir", tmp_path, "test_some.py"],
            cwd=tmp_path,
            env=os.environ | variables,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def test_a_test_that_hangs_fails_with_all_stacks_and_the_others_go_on(half):
    ended = half(PYTHON)
    lines = ended.stdout.splitlines()
    assert all(line.startswith("some | ") for line in lines), ended.stdout
    assert "1 failed, 1 passed, 1 error in" in lines[-1]
    for line in ("thread.join()", "process.wait()", "in never"):
        assert line in ended.stdout
    assert ended.stdout.count("Failed: not done after 1 seconds") >= 2
    assert ended.returncode == 1
    assert "in _shutdown" in ended.stderr  # the interpreter waits for the thread that is left


@pytest.mark.skipif(sys.platform != "linux", reason="the lock is one of Linux")
def test_compiled_code_that_hangs_ends_the_run_with_its_stack(half):
    ended = half(COMPILED)
    assert ended.returncode == 1
    assert "in test_that_waits_for_a_lock" in ended.stderr
