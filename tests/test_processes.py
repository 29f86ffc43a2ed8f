"""Processes that compute for this one answer, and are noticed when they end."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from featx.processes import Processes, python_command, python_environment

SECONDS = 60  # in which whatever is waited for must come


@pytest.fixture
def processes():
    made = Processes(2, partial(os.putenv, "FEATX_BEGUN", "yes"))
    yield made
    made.close()


def _cut_answers():
    """Let the answers of this process from the next on be cut: it is killed as it writes."""
    whole = pickle.dumps

    def half(answer):
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return whole(answer)[:200_000]

    pickle.dumps = half


def _at_work(pid):
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def test_one_that_is_killed_in_the_middle_of_an_answer_is_noticed():
    processes = Processes(1, int)
    processes.submit(_cut_answers).result(SECONDS)
    lost = processes.submit(partial(bytes, 400_000))
    with pytest.raises(ChildProcessError, match="ended with status -9"):
        lost.result(SECONDS)
    assert processes.submit(partial(sum, [20, 3])).result(SECONDS) == 23
    processes.close()


def test_they_begin_as_told_and_what_they_print_is_no_answer(processes):
    shell = partial(subprocess.run, 'echo "$FEATX_BEGUN" >&2; echo printed', shell=True)
    ended = processes.submit(partial(shell, stderr=subprocess.PIPE)).result(SECONDS)
    assert ended.stderr == b"yes\n"


def test_what_goes_wrong_in_one_is_raised_and_it_works_on(processes):
    pids = set()
    for _ in range(3):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            processes.submit(partial(os.stat, "nowhere")).result(SECONDS)
        pids.add(processes.submit(os.getpid).result(SECONDS))
    assert len(pids) <= 2
    assert os.getpid() not in pids


def test_they_do_not_hear_of_ctrl_c_and_end_when_told(processes):
    for started in processes.start():
        started.result(SECONDS)
    pid = processes.submit(os.getpid).result(SECONDS)
    os.kill(pid, signal.SIGINT)
    assert _at_work(pid)
    sleeping = [processes.submit(partial(time.sleep, SECONDS)) for _ in range(3)]
    processes.close()
    assert not _at_work(pid)
    assert all(each.cancelled() or each.exception() for each in sleeping)
    with pytest.raises(RuntimeError, match="shutdown"):
        processes.submit(os.getpid)


def test_nothing_is_imported_from_the_folder_in_which_the_command_is_called(tmp_path):
    (tmp_path / "pickle.py").write_text("raise SystemExit('run')")
    ended = subprocess.run(
        python_command("featx.processes"),
        cwd=tmp_path,
        env=python_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
