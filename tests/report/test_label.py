import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.report import interval_text, label, number


@pytest.mark.parametrize(
    ("name", "device", "words"),
    [
        ("accuracy", None, "accuracy"),
        ("p99_ms", "host", "p99 latency on host (ms)"),
        ("p99_ms@pixel7", "pixel7", "p99 latency on pixel7 (ms)"),
        ("p50_ms@pixel7", None, "p50 latency on pixel7 (ms)"),
        ("peak_memory_bytes", "host", "peak memory on host (bytes)"),
        ("peak_memory_mb@pi", None, "peak memory on pi (MB)"),
        ("energy_mj", "host", "energy on host (mJ)"),
        ("macs", None, "multiply-accumulates"),
        ("energy_mj", None, "energy (mJ)"),
        ("start_up_s", None, "start up (s)"),
        ("tree_f1", None, "tree f1"),
        ("ms", None, "ms"),
    ],
)
def test_label(name, device, words):
    assert label(name, device) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "–"),
        (0.0, "0"),
        (0.98765, "0.9877"),
        (12, "12"),
        (1234.5, "1234"),
        (12345, "12.35 k"),
        (3.2e6, "3.2 M"),
        (7.5e9, "7.5 G"),
        (0.00001234, "1.23e-05"),
        (0.000099999, "0.0001"),
        (9999.4, "9999"),
        (9999.7, "10 k"),
        (999_960, "1 M"),
        (999.96e6, "1 G"),
        (9.999e12, "9999 G"),
        (9.9996e12, "1e+13"),
        (-1e15, "-1e+15"),
        (1e308, "1e+308"),
        (-0.5, "-0.5"),
    ],
)
def test_number(value, text):
    assert number(value) == text


def test_even_numbers_have_as_many_digits():
    assert [number(value, even=True) for value in (0.9, 0.97654, 12.5, 3.0)] == ["0.9000", "0.9765", "12.50", "3"]


@given(st.floats(min_value=1e-9, max_value=1e12))
def test_a_number_is_within_its_digits_and_short(value):
    text = number(value)
    assert len(text) <= 9
    mantissa, _, letter = text.partition(" ")
    assert float(mantissa) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[letter] == pytest.approx(value, rel=6e-3)


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (None, "–"),
        ((0.975, 1.0512), "0.9750 to 1.051"),
        ((0.975, math.inf), "from 0.9750"),
        ((1e-300, math.inf), "open"),
    ],
)
def test_interval_text(interval, text):
    assert interval_text(interval) == text
