import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hwnas.errors import SpaceError
from hwnas.space import Float, Int

REAL = st.floats(allow_nan=False, allow_infinity=False)
ENDS = st.sampled_from([0.0, 1.0])
UNIT = st.floats(0.0, 1.0) | ENDS


@st.composite
def floats(draw):
    log = draw(st.booleans())
    low, high = sorted([draw(REAL), draw(REAL)])
    assume(1e-200 < high - low < 1e200)
    assume(not log or (low > 0 and high >= low * 1.01))
    return Float("x", low, high, log=log)


@st.composite
def ints(draw):
    log = draw(st.booleans())
    step = draw(st.integers(1, 10**6))
    low = draw(st.integers(1 if log else -(10**12), 10**12 - step))
    steps = draw(st.integers(1, max(1, (10**12 - low) // step)))
    assume(not log or low + step * steps >= low * 1.01)
    return Int("x", low, low + step * steps, step=step, log=log)


def there_and_back(parameter, value):
    columns = parameter.encode([value])
    assert columns.shape == (1, 1)
    assert 0.0 <= columns[0, 0] <= 1.0
    return parameter.decode(columns)[0]


@given(floats(), UNIT)
def test_a_float_survives_encoding_exactly(parameter, u):
    value = parameter.nearest(np.array([u]))[0]
    assert parameter.low <= value <= parameter.high
    assert there_and_back(parameter, value) == value
    assert parameter.coerce(value) == value


@given(floats(), st.data())
def test_any_float_of_the_range_is_taken_and_moved_by_less_than_a_billionth(parameter, data):
    given_value = data.draw(st.floats(parameter.low, parameter.high))
    value = parameter.coerce(given_value)
    scale = abs(given_value) if parameter.log else parameter.high - parameter.low
    assert abs(value - given_value) <= 1e-9 * scale
    assert there_and_back(parameter, value) == value


@given(floats())
def test_the_ends_of_a_float_are_kept_to_the_last_bit(parameter):
    for end, position in ((parameter.low, 0.0), (parameter.high, 1.0)):
        assert parameter.coerce(end) == end
        assert parameter.position([end])[0] == position
        assert there_and_back(parameter, end) == end


def test_a_float_is_spread_over_its_scale():
    assert Float("x", 1e-4, 1.0, log=True).nearest(np.array([0.0, 0.25, 0.5, 1.0])) == [1e-4, 1e-3, 1e-2, 1.0]
    assert Float("x", -1.0, 3.0).nearest(np.array([0.0, 0.25, 0.5, 1.0])) == [-1.0, 0.0, 1.0, 3.0]


def test_a_float_reads_well_on_a_command_line():
    assert str(Float("x", 0.0, 1.0).coerce(0.1 + 0.2)) == "0.3"
    assert str(Float("x", 1e-6, 1.0, log=True).coerce(1e-6 / 3 * 10)) == "3.333333333e-06"
    assert str(Float("x", -1.0, 1.0).coerce(-1e-30)) == "0.0"


@given(ints(), UNIT)
def test_an_int_survives_encoding_exactly(parameter, u):
    value = parameter.nearest(np.array([u]))[0]
    assert type(value) is int
    assert value in parameter.domain()
    assert there_and_back(parameter, value) == value


@given(ints())
def test_the_ends_of_an_int_and_what_lies_beside_them_are_told_apart(parameter):
    low, high, step = parameter.low, parameter.high, parameter.step
    for value in {low, low + step, high - step, high}:
        assert there_and_back(parameter, value) == value


@pytest.mark.parametrize("log", [False, True])
def test_nearest_takes_the_value_whose_position_is_nearest(log):
    parameter = Int("x", 3, 48, step=5, log=log)
    values = list(parameter.domain())
    for u in np.linspace(-0.2, 1.2, 200):
        gaps = np.abs(parameter.position(values) - np.clip(u, 0, 1))
        assert gaps[values.index(parameter.nearest(np.array([u]))[0])] == gaps.min()


def test_every_int_of_a_linear_scale_is_equally_likely():
    u = (np.arange(7000) + 0.5) / 7000
    drawn = Int("x", 10, 40, step=5).draw(u)
    assert {value: drawn.count(value) for value in set(drawn)} == dict.fromkeys(range(10, 45, 5), 1000)


def test_an_int_of_a_log_scale_is_as_likely_as_its_share_of_the_scale():
    drawn = Int("x", 1, 1000, log=True).draw((np.arange(100_000) + 0.5) / 100_000)
    share = sum(10 <= value < 100 for value in drawn) / len(drawn)
    # The scale reaches half a cell beyond both ends, from 1 / sqrt(2) to a little more than 1000.
    assert share == pytest.approx(math.log(99.5 / 9.5) / math.log(1000.5 * math.sqrt(2)), abs=2e-3)


@given(floats(), UNIT, st.integers(0, 2**32))
def test_a_float_moves_to_other_values_of_its_range(parameter, u, seed):
    value = parameter.nearest(np.array([u]))[0]
    moves = parameter.moves(value, np.random.default_rng(seed), 4)
    assert value not in moves
    assert len(set(moves)) == len(moves) <= 4
    assert all(parameter.coerce(move) == move for move in moves)


@given(st.integers(0, 2**32))
def test_a_float_at_its_end_still_moves_every_time(seed):
    for end in (0.0, 1.0):
        assert len(Float("x", 0.0, 1.0).moves(end, np.random.default_rng(seed), 4)) == 4


@given(ints(), UNIT, st.integers(0, 2**32))
def test_an_int_moves_to_what_lies_beside_it_and_further(parameter, u, seed):
    value = parameter.nearest(np.array([u]))[0]
    moves = parameter.moves(value, np.random.default_rng(seed), 4)
    assert value not in moves
    assert len(set(moves)) == len(moves)
    assert set(moves) <= {parameter.coerce(move) for move in moves}
    for beside in (value - parameter.step, value + parameter.step):
        assert (beside in moves) == (parameter.low <= beside <= parameter.high)


@pytest.mark.parametrize(
    ("value", "kept"), [(16, 16), (16.0, 16), (np.int64(16), 16), (np.float32(16.0), 16), (np.uint8(8), 8)]
)
def test_an_int_takes_whole_numbers_of_any_type(value, kept):
    taken = Int("x", 8, 64, step=8).coerce(value)
    assert (taken, type(taken)) == (kept, int)


@pytest.mark.parametrize("value", [12, 7, 72, 16.5, "16", True, None, float("nan"), float("inf"), [16], 10**30])
def test_an_int_refuses_the_rest(value):
    with pytest.raises(SpaceError):
        Int("x", 8, 64, step=8).coerce(value)


def test_a_float_is_refused_at_once_by_an_int_of_many_values():
    with pytest.raises(SpaceError, match="none of its values"):
        Int("x", -(10**12), 10**12).coerce(0.5)


def test_a_float_takes_ints():
    taken = Float("x", 0, 4).coerce(np.int32(3))
    assert (taken, type(taken)) == (3.0, float)


@pytest.mark.parametrize("value", [-0.1, 4.1, "3", True, None, float("nan"), float("inf")])
def test_a_float_refuses_the_rest(value):
    with pytest.raises(SpaceError):
        Float("x", 0, 4).coerce(value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Float("x", 2, 1), "low (2) is not below high (1)"),
        (lambda: Float("x", 1, 1), "low (1) is not below high (1)"),
        (lambda: Float("x", 0, 1, log=True), "a log scale cannot start at 0"),
        (lambda: Float("x", -1, 1, log=True), "a log scale cannot start at -1"),
        (lambda: Float("x", 1, 1.001, log=True), "as good as linear"),
        (lambda: Float("x", "0", 1), "low is '0'"),
        (lambda: Float("x", 1, 2, log="yes"), "log is 'yes'"),
        (lambda: Float("x", 0, True), "high is True"),
        (lambda: Float("x", 0, float("inf")), "inf is no value"),
        (lambda: Float("x", -1e308, 1e308), "out of hand"),
        (lambda: Float("x", 0, 5e-324), "out of hand"),
        (lambda: Float("x", 1, 10**400), "out of hand"),
        (lambda: Int("x", 4, 1), "low (4) is not below high (1)"),
        (lambda: Int("x", 1.5, 4), "low is 1.5"),
        (lambda: Int("x", 0, 8, log=True), "a log scale cannot start at 0"),
        (lambda: Int("x", 1, 8, step=0), "step is 0"),
        (lambda: Int("x", 1, 8, step=1.5), "step is 1.5"),
        (lambda: Int("x", 1, 8, step=2), "high (8) is no whole number of steps of 2 above low (1)"),
        (lambda: Int("x", 0, 10**13), "bounds lie beyond"),
    ],
)
def test_what_makes_no_sense_is_refused(make, said):
    with pytest.raises(SpaceError) as caught:
        make()
    assert said in caught.value.message
    assert caught.value.hint


def test_the_hint_names_the_ends_that_steps_reach():
    with pytest.raises(SpaceError) as caught:
        Int("x", 1, 8, step=2)
    assert caught.value.hint == "high would be 7 or 9"
