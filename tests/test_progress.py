"""Progress is a bar on a terminal, and a line at the end in a log file."""

import io
import subprocess
import sys
import threading
import time

import pytest
import waits

from featx import progress


class Stream(io.StringIO):
    """An error stream that is a terminal, or not."""

    def __init__(self, terminal):
        super().__init__()
        self.isatty = lambda: terminal


@pytest.fixture
def printed(monkeypatch):
    """Return a function that works through some steps and gives what was printed."""

    def work(terminal, steps=30, shown=True):
        stream = Stream(terminal)
        monkeypatch.setattr(sys, "stderr", stream)
        with progress.progress_bar("5 folds", steps, "fits", shown=shown) as bar:
            for _ in range(steps):
                bar.update()
            bar.unpause()
        return stream.getvalue()

    return work


@pytest.mark.parametrize("terminal", [False, True])
def test_short_work_prints_nothing(terminal, printed):
    assert printed(terminal) == ""


@pytest.mark.parametrize("terminal", [False, True])
def test_nothing_is_printed_where_nothing_is_asked_for(terminal, printed, monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    assert printed(terminal, shown=False) == ""


def test_a_log_file_gets_one_whole_line(printed, monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    assert printed(terminal=False) == "5 folds: 30 of 30 fits, in 0 s\n"


def test_the_longer_the_work_the_rarer_the_lines(printed, monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    lines = printed(terminal=False, steps=10_000).splitlines()  # a second each
    assert lines[0] == "5 folds: 60 of 10,000 fits, in 60 s"
    assert lines[1] == "5 folds: 120 of 10,000 fits, in 120 s"
    assert lines[-1] == "5 folds: 10,000 of 10,000 fits, in 10001 s"
    assert len(lines) == 9
    assert printed(terminal=False, steps=40) == "5 folds: 40 of 40 fits, in 41 s\n"
    assert printed(terminal=False, steps=5) == ""


@pytest.mark.parametrize("terminal", [False, True])
def test_a_time_is_one_bar_that_names_the_step_at_hand(monkeypatch, terminal):
    stream = Stream(terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    monkeypatch.setattr(progress, "FIRST_SECONDS", 1.0)
    with progress.time_bar("tune", 60, shown=True) as step:
        step("xception")
        deadline = time.monotonic() + 20
        while "1 of 60 s" not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.05)
    shown = stream.getvalue()
    assert "tune, xception:" in shown
    assert "1 of 60 s" in shown
    assert shown.count("\n") == (0 if terminal else 1), "a bar that is over is wiped away"


@pytest.mark.parametrize("terminal", [False, True])
def test_a_time_of_less_than_a_second_shows_nothing_and_neither_does_one_not_asked_for(
    monkeypatch, terminal
):
    stream = Stream(terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    for shown in (False, True):
        with progress.time_bar("tune", 0.5, shown=shown) as step:
            step("xception")
    assert stream.getvalue() == ""


def test_a_notebook_gets_a_bar(monkeypatch):
    stream = type("OutStream", (Stream,), {"__module__": "ipykernel.iostream"})(terminal=False)
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.progress_bar("5 folds", 3, "fits", shown=True, delay=0) as bar:
        for _ in range(3):
            bar.update()
    assert "\r5 folds: 100%" in stream.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_what_is_waited_for_is_said_once_it_takes_long(terminal, monkeypatch):
    monkeypatch.setattr(progress, "WAIT_SECONDS" if terminal else "LINE_SECONDS", 0.0)
    monkeypatch.setattr(sys, "stderr", Stream(terminal))
    said = threading.Event()
    monkeypatch.setattr(sys.stderr, "flush", said.set)
    with progress.waiting("converting vgg16\x1b", shown=True):
        assert said.wait(waits.SECONDS)
    assert sys.stderr.getvalue() == "converting vgg16\\x1b\n"


def test_what_is_quickly_done_or_not_to_be_shown_is_not_said(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Stream(True))
    with progress.waiting("converting vgg16", shown=True):
        pass
    monkeypatch.setattr(progress, "WAIT_SECONDS", 0.0)
    with progress.waiting("converting vgg16", shown=False):
        pass
    assert sys.stderr.getvalue() == ""


# A child is forked while another thread draws a bar.
FORK = """
import io, os, sys, threading
from featx.progress import progress_bar
sys.stderr.isatty = lambda: True
writing, forked = threading.Event(), threading.Event()

class Terminal(io.StringIO):
    def isatty(self):
        return True
    def write(self, text):
        writing.set()
        forked.wait(10)

def draw():
    sys.stderr = Terminal()
    with progress_bar("", 2, "", shown=True) as bar:
        bar.refresh()

threading.Thread(target=draw, daemon=True).start()
writing.wait()
child = os.fork()
if child == 0:
    with progress_bar("", 2, "", shown=True) as bar:
        bar.update()
    os._exit(0)
forked.set()
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_forked_while_a_bar_is_drawn_draws_its_own():
    ended = subprocess.run([sys.executable, "-c", FORK], timeout=60, capture_output=True)
    assert ended.returncode == 0, ended.stderr
