"""What is said in errors, warnings and logs is one line that drives no terminal."""

import logging
import warnings

import pytest

from featx import errors
from featx.errors import FeatxError, get_logger, one_line, warn

NASTY = "photos/\x1b[2J\nfeatx: forged\u202e.png"
SHOWN = r"photos/\x1b[2J\nfeatx: forged\u202e.png"
KINDS = [each for each in vars(errors).values() if isinstance(each, type)]


@pytest.mark.parametrize("kind", [each for each in KINDS if issubclass(each, FeatxError)])
def test_an_error_names_files_in_one_line_that_drives_no_terminal(kind):
    error = kind(f"no file {NASTY}: expected one")
    assert str(error) == f"no file {SHOWN}: expected one"
    assert error.args == (f"no file {NASTY}: expected one",)
    assert str(kind()) == ""


def test_the_error_of_a_library_is_one_line():
    assert one_line(ValueError("two\nlines \x1b[2J")) == r"two lines \x1b[2J"
    assert one_line(ValueError()) == "ValueError"


def test_a_warning_names_its_caller_and_drives_no_terminal():
    def work():
        warn(f"lost {NASTY}")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        work()
    assert (str(caught[0].message), caught[0].filename) == (f"lost {SHOWN}", __file__)


def test_a_log_drives_no_terminal(caplog):
    for _ in range(2):
        get_logger("featx.some.module").warning("%s is damaged: %d %%", NASTY, 3)
    assert caplog.messages == [f"{SHOWN} is damaged: 3 %"] * 2
    assert len(logging.getLogger("featx.some.module").filters) == 1
