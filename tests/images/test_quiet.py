"""Nothing of Pillow's reaches the screen, and everything is put back afterwards."""

import logging
import struct
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from fakes import decode, encoded, photo

from featx.images.quiet import quiet_pillow
from featx.images.square import Square


def damaged_tiff() -> bytes:
    """A picture whose compressed strip is zeros."""
    data = bytearray(encoded(photo(), "TIFF", compression="tiff_adobe_deflate"))
    data[8:400] = bytes(392)
    return bytes(data)


def tiff_of_many_samples() -> bytes:
    """A picture that says it has 200 samples a pixel."""
    data = encoded(photo(), "TIFF")
    return data.replace(
        struct.pack("<HHIHH", 277, 3, 1, 3, 0), struct.pack("<HHIHH", 277, 3, 1, 200, 0)
    )


def test_warnings_of_pillow_are_silenced_and_no_others():
    with warnings.catch_warnings(record=True) as heard, quiet_pillow():
        warnings.simplefilter("always", append=True)
        warnings.warn_explicit("corrupt EXIF", UserWarning, "x.py", 1, module="PIL.TiffImagePlugin")
        warnings.warn_explicit("mine", UserWarning, "x.py", 1, module="somebody")
    assert [str(warning.message) for warning in heard] == ["mine"]


def test_no_filter_is_left_behind_in_whatever_order_threads_leave():
    before = list(warnings.filters)
    first, second = quiet_pillow(), quiet_pillow()
    with ThreadPoolExecutor(1) as thread:
        thread.submit(first.__enter__).result()
        second.__enter__()
        thread.submit(first.__exit__, None, None, None).result()
        assert len(warnings.filters) == len(before) + 1, "still quiet for the second"
        second.__exit__(None, None, None)
    assert list(warnings.filters) == before
    assert logging.getLogger("PIL").handlers == []


def test_a_filter_that_is_set_meanwhile_stays():
    with warnings.catch_warnings():
        with quiet_pillow():
            warnings.filterwarnings("error", "set meanwhile")
        assert warnings.filters[0][1].pattern == "set meanwhile"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (damaged_tiff(), "damaged: decoder error"),
        (tiff_of_many_samples(), "not an image that Pillow can read"),
    ],
)
def test_nothing_is_printed_of_a_damaged_tiff(data, reason, monkeypatch, capfd):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # as where nobody set up logging
    with quiet_pillow():
        _, outcome = decode(data, Square(16))
    assert outcome.reason.startswith(reason), outcome
    assert capfd.readouterr().err == ""


def test_who_listens_to_the_records_of_pillow_still_hears_them(caplog):
    with quiet_pillow():
        decode(tiff_of_many_samples(), Square(16))
    assert [record.name for record in caplog.records] == ["PIL.TiffImagePlugin"]
