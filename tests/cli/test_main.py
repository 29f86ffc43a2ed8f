"""However a command ends, the shell is told by its status and one line."""

import errno
import logging
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import fakes
import pytest

import featx
from featx.cli.main import main

ROOT = Path(featx.__file__).parents[1]


def refusing(error):
    """Let every network fail to open."""

    def build(request):
        raise error

    return fakes.install(build)


def test_an_interrupted_run_ends_with_130_and_says_how_to_go_on(
    featx_ends, featx_run, photos, tmp_path, monkeypatch
):
    out = tmp_path / "x.npz"
    with monkeypatch.context() as patch:
        fakes.fail_from_batch(patch, 1, KeyboardInterrupt)
        ended = featx_ends("embed", photos, "--out", out)
    assert (ended.status, ended.out) == (130, "")
    assert ended.err.strip() == (
        "featx: interrupted; what was finished is in the cache, run the same command to go on"
    )
    assert not out.exists()
    document = featx_run("embed", photos, "--out", out, "--json").json
    assert (document["n_cached"], document["n_embedded"]) == (8, 10)


def test_an_interrupted_run_without_a_cache_promises_nothing(
    featx_ends, photos, tmp_path, monkeypatch
):
    fakes.fail_from_batch(monkeypatch, 1, KeyboardInterrupt)
    ended = featx_ends("embed", photos, "--no-cache", "--out", tmp_path / "x.npz")
    assert (ended.status, ended.out, ended.err.strip()) == (130, "", "featx: interrupted")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            MemoryError(),
            "out of memory; use a smaller --batch-size or --input-size, or pooling avg",
        ),
        (OSError(errno.ENOSPC, "No space left on device", "/tmp/x"), "No space left on device: /t"),
        (OSError("odd"), "odd"),
    ],
)
def test_what_the_machine_lacks_is_one_line(featx_ends, photos, tmp_path, error, line):
    with refusing(error):
        ended = featx_ends("embed", photos, "--out", tmp_path / "x.npz")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(f"featx: {line}")
    assert ended.err.count("\n") == 1


def test_a_mistake_of_featx_itself_is_not_hidden(photos, tmp_path):
    bug = AssertionError("a bug")
    with refusing(bug), pytest.raises(AssertionError, match="a bug"):
        main(["embed", str(photos), "--out", str(tmp_path / "x.npz")])


def test_a_warning_of_featx_is_one_line_and_those_of_libraries_are_none(
    featx_run, photos, tmp_path
):
    def noisy(request):
        print("a library prints")
        warnings.warn("a library warns", DeprecationWarning, stacklevel=1)
        return fakes.FakeEngine(request)

    for _ in range(2):
        with fakes.install(noisy):
            ended = featx_run(
                *("embed", photos, "--weights", "random", "--no-cache"),
                *("--out", tmp_path / "x.npz", "--json"),
            )
        assert ended.json["n_embedded"] == 18
        assert ended.err.splitlines() == [
            "featx: warning: the weights of efficientnet_lite0 are random, so its features are "
            "meaningless: use them for trying out only",
            "a library prints",
        ]


def test_the_state_of_warnings_and_logging_is_given_back(featx_run):
    before = warnings.showwarning, list(warnings.filters), list(logging.getLogger("featx").handlers)
    featx_run("backbones")
    after = warnings.showwarning, list(warnings.filters), list(logging.getLogger("featx").handlers)
    assert after == before


def shell(command: str, tmp_path) -> subprocess.CompletedProcess:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "FEATX_CACHE": str(tmp_path / "cache"),
    }
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )


def test_featx_runs_as_a_module_and_ends_with_its_status(tmp_path):
    run = shell("python -m featx --version && python -m featx embed nowhere --out x.npz", tmp_path)
    assert run.stdout == f"featx {featx.__version__}\n"
    assert run.returncode == 2
    assert run.stderr.startswith("featx: 'nowhere' does not exist")
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_a_reader_that_goes_early_causes_no_traceback(tmp_path, reader):
    run = shell(f"python -m featx backbones | {reader}", tmp_path)
    assert run.stderr == ""
    assert run.stdout.startswith("name") == (reader == "head -1")


# -- Signals ---------------------------------------------------------------------------------------

# The command line, on the fake engine; `when` says what sends the process a signal.
SIGNALLED = """
import atexit, os, sys
number = int(sys.argv[1])

def send():
    os.kill(os.getpid(), number)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            send()

def batches(times):
    def embed_batch(engine, images):
        if fakes.FakeEngine.embedded >= 8:
            for _ in range(times):
                send()
        return computed(engine, images)
    computed, fakes.FakeEngine.embed_batch = fakes.FakeEngine.embed_batch, embed_batch

class Gone:
    def __del__(self):
        send()

def build(request):
    Gone()
    return fakes.FakeEngine(request)

when, sys.argv[1:] = sys.argv[2], sys.argv[3:]
if when == "import":
    sys.meta_path.insert(0, Finder())
    from featx.cli.main import main
    main()
import fakes
from featx.cli.main import main
if when == "end":
    atexit.register(send)
if when in ("batch", "twice"):
    batches(2 if when == "twice" else 1)
with fakes.install(build if when == "del" else fakes.FakeEngine):
    main()
"""


@pytest.fixture
def signalled(tmp_path):
    """Return a function that embeds the photos in a process that gets a signal."""

    def run(number, when, photos, *options):
        (tmp_path / "tmp").mkdir(exist_ok=True)
        words = ["embed", photos, "--out", tmp_path / "x.npz", "--batch-size", 4, *options]
        return subprocess.run(
            [sys.executable, "-c", SIGNALLED, *map(str, (int(number), when, *words))],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(fakes.__file__).parent)]),
                "FEATX_CACHE": str(tmp_path / "cache"),
                "TMPDIR": str(tmp_path / "tmp"),
            },
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
@pytest.mark.parametrize("when", ["import", "batch", "twice", "del"])
def test_a_signal_ends_a_command_with_one_line_and_leaves_nothing_behind(
    number, status, word, when, signalled, photos, tmp_path
):
    ended = signalled(number, when, photos)
    assert ended.stderr == (
        f"featx: {word}; what was finished is in the cache, run the same command to go on\n"
    )
    assert (ended.returncode, ended.stdout) == (status, "")
    assert list((tmp_path / "tmp").iterdir()) == []
    assert [path.name for path in tmp_path.rglob(".*")] == []
    assert not (tmp_path / "x.npz").exists()


def test_what_was_finished_before_a_signal_to_terminate_is_kept(
    signalled, photos, tmp_path, featx_run
):
    assert signalled(signal.SIGTERM, "batch", photos).returncode == 143
    options = ("--out", tmp_path / "x.npz", "--cache", tmp_path / "cache", "--json")
    assert featx_run("embed", photos, *options).json["n_cached"] >= 8


def test_a_run_without_a_cache_is_terminated_and_its_own_folder_removed(
    signalled, photos, tmp_path
):
    ended = signalled(signal.SIGTERM, "batch", photos, "--no-cache")
    assert (ended.returncode, ended.stderr) == (143, "featx: terminated\n")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_signal_after_the_work_changes_nothing(signalled, photos, tmp_path):
    ended = signalled(signal.SIGTERM, "end", photos)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "x.npz").exists()
