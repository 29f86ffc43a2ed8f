"""Output is text for a person or one JSON document, whatever the terminal can show."""

import io
import sys

import numpy as np
import pytest

from featx.cli.output import complain, emit, table


@pytest.mark.parametrize(("encoding", "printed"), [("latin-1", "± caf?"), ("utf-8", "± caf\ufffd")])
def test_output_in_an_encoding_that_lacks_letters_is_no_obstacle(monkeypatch, encoding, printed):
    stream = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    emit({}, "± caf\udce9", as_json=False)
    assert stream.buffer.getvalue().decode(encoding) == f"{printed}\n"


def test_a_table_aligns_its_columns():
    assert table(["a", "n"], [["long", 7], ["x", 1234]], right=("n",)).splitlines() == [
        "a        n",
        "long     7",
        "x     1234",
    ]


def test_json_holds_plain_values_only(capsys):

    emit({"a": np.float32(0.5), "b": [np.int64(2), float("nan")], "c": (None,)}, "", as_json=True)
    assert "".join(capsys.readouterr().out.split()) == '{"a":0.5,"b":[2,null],"c":[null]}'


def test_a_complaint_is_one_line(capsys):
    complain("two\nlines and  a\ttab caf\udce9")
    assert capsys.readouterr() == ("", "featx: two lines and a tab caf\\udce9\n")
