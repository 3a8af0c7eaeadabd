import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.cli import _output
from hwnas.cli._output import duration, plural


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "?"),
        (math.inf, "?"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7320, "2 h 02 min"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@given(st.floats(min_value=0, max_value=1e6))
def test_a_duration_never_shows_sixty_of_anything(seconds):
    assert "60 s" not in duration(seconds)
    assert "60 min" not in duration(seconds)


def test_plural():
    assert [plural(1, "trial"), plural(0, "trial"), plural(2, "process")] == ["1 trial", "0 trials", "2 processes"]


def test_what_is_not_finite_is_null_in_json(capsys):
    _output.emit({"a": [math.inf, -math.inf, math.nan, 1.5], 3: ("x", None, True)})
    assert json.loads(capsys.readouterr().out) == {"a": [None, None, None, 1.5], "3": ["x", None, True]}


def test_a_table_shows_markup_as_text_and_cuts_nothing_off_in_a_pipe(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    _output.forget_consoles()
    _output.show(_output.table(["name", "n>"], [["[bold]x[/bold]" + "y" * 150, "12"]]))
    out = capsys.readouterr().out
    assert "[bold]x[/bold]" + "y" * 150 in out
    assert out.splitlines()[-1].rstrip().endswith("12")


def test_further_lines_of_a_message_stand_under_the_first(capsys):
    _output.forget_consoles()
    _output.fail("three things\n  one\n  two", "first\nsecond")
    assert capsys.readouterr().err.splitlines() == [
        "error: three things",
        "         one",
        "         two",
        " hint: first",
        "       second",
    ]


def test_names_with_codes_of_emoji_or_markup_are_said_as_they_are(capsys):
    _output.forget_consoles()
    _output.note("wrote :smile: [bold]x[/bold]")
    _output.warn(":smile:")
    _output.show(_output.table(["name"], [[":smile:"]]))
    out, err = capsys.readouterr()
    assert err.splitlines() == ["wrote :smile: [bold]x[/bold]", "warning: :smile:"]
    assert out.splitlines()[-1] == ":smile:"
