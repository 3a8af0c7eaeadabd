"""Parameters that are numbers on a scale: floats and ints."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hwnas.space._parameter import FloatArray, OneColumn, others
from hwnas.space._values import Value, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Digits that a float keeps: of its range on a linear scale, of itself on a log scale. Decoding is exact for them.
DIGITS = 10
_MAX_INT = 10**12
_MIN_LOG_RATIO = 1.01


@dataclass(frozen=True, slots=True)
class Float(OneColumn):
    """A real number between `low` and `high`, both included.

    A value is kept to ten digits: of the range on a linear scale, of itself on a log scale. That is far finer than any
    search needs, gives clean numbers on command lines, and makes encoding and decoding exact.

    Attributes:
        name: a Python identifier.
        low: least value.
        high: greatest value.
        log: spread on a log scale.
        when: parent values for which this parameter is active.
    """

    kind: ClassVar[str] = "float"
    name: str
    low: float
    high: float
    log: bool = False
    when: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Check the bounds."""
        self._check()
        _check_bounds(self, (int, float))
        try:
            self._set(low=float(self.low), high=float(self.high))
        except OverflowError:
            raise self.error("a bound is out of hand", "choose another unit") from None
        if not 1e-200 < self.high - self.low < 1e200:
            raise self.error(f"the range from {self.low!r} to {self.high!r} is out of hand", "choose another unit")

    @property
    def count(self) -> None:
        """No number: a float is continuous."""
        return

    def coerce(self, value: object) -> float:
        """Return `value` as a float of the range, kept to ten digits."""
        given = plain(value)
        if isinstance(given, (bool, str)) or not self.low <= given <= self.high:
            raise self.refusal(value, f"a number from {self.low!r} to {self.high!r}")
        return self._tidy(float(given))

    def position(self, values: Sequence[Value] | FloatArray) -> FloatArray:
        """Return the position of each value."""
        return _to_unit(np.asarray(values, dtype=np.float64), self.low, self.high, log=self.log)

    def nearest(self, u: FloatArray) -> list[Value]:
        """Return the value at each position."""
        return [self._tidy(value) for value in _from_unit(u, self.low, self.high, log=self.log).tolist()]

    def draw(self, u: FloatArray) -> list[Value]:
        """Return the value at each position."""
        return self.nearest(u)

    def moves(self, value: Value, rng: np.random.Generator, float_moves: int) -> list[Value]:
        """Return `float_moves` Gaussian steps, of standard deviations 0.2, 0.05, 0.0125 ... of the scale."""
        here = self.position([value])[0]
        steps = rng.standard_normal(float_moves) * 0.2 * 0.25 ** np.arange(float_moves)
        there = here + steps
        outside = (there < 0.0) | (there > 1.0)
        at_end = here in (0.0, 1.0)
        # A step beyond an end goes to the end, where optima often lie; one that starts at the end turns round.
        there[outside] = (here - steps if at_end else there)[outside]
        return others(value, self.nearest(there))

    def _tidy(self, value: float) -> float:
        """Return `value` rounded to the digits kept; the ends stay as they are."""
        if self.log:
            rounded, grain = float(f"{value:.{DIGITS - 1}e}"), 10.0 ** (1 - DIGITS) * value
        else:
            places = DIGITS - math.floor(math.log10(self.high - self.low))
            rounded, grain = round(value, places), 10.0**-places
        if rounded - self.low < grain / 2:
            return self.low
        return self.high if self.high - rounded < grain / 2 else rounded + 0.0


@dataclass(frozen=True, slots=True)
class Int(OneColumn):
    """A whole number between `low` and `high`, both included, in steps.

    Attributes:
        name: a Python identifier.
        low: least value.
        high: greatest value; a whole number of steps above `low`.
        step: distance between values.
        log: spread on a log scale.
        when: parent values for which this parameter is active.
    """

    kind: ClassVar[str] = "int"
    name: str
    low: int
    high: int
    step: int = 1
    log: bool = False
    when: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Check the bounds and the step."""
        self._check()
        _check_bounds(self, (int,))
        step = plain(self.step)
        if type(step) is not int or step < 1:
            raise self.error(f"step is {self.step!r}", "a step is a whole number, 1 or more")
        self._set(low=int(self.low), high=int(self.high), step=step)
        if max(abs(self.low), abs(self.high)) > _MAX_INT:
            raise self.error(f"bounds lie beyond {_MAX_INT}", "choose another unit, or a float")
        over = (self.high - self.low) % step
        if over:
            raise self.error(
                f"high ({self.high}) is no whole number of steps of {step} above low ({self.low})",
                f"high would be {self.high - over} or {self.high - over + step}",
            )

    @property
    def count(self) -> int:
        """How many values there are."""
        return (self.high - self.low) // self.step + 1

    def domain(self) -> range:
        """Return every value in order."""
        return range(self.low, self.high + 1, self.step)

    def coerce(self, value: object) -> int:
        """Return `value` as an int of the range; a float that is whole will do."""
        given = plain(value)
        if isinstance(given, float) and given.is_integer():
            given = int(given)
        if type(given) is int and given in self.domain():
            return given
        steps = f" in steps of {self.step}" if self.step > 1 else ""
        raise self.refusal(value, f"a whole number from {self.low} to {self.high}{steps}")

    def position(self, values: Sequence[Value] | FloatArray) -> FloatArray:
        """Return the position of each value."""
        return _to_unit(np.asarray(values, dtype=np.float64), self.low, self.high, log=self.log)

    def nearest(self, u: FloatArray) -> list[Value]:
        """Return the value whose position is nearest to each `u`."""
        u = np.clip(u, 0.0, 1.0)
        index = (_from_unit(u, self.low, self.high, log=self.log) - self.low) / self.step
        if self.log:  # the nearer of the two values around, on the log scale
            below = np.clip(np.floor(index), 0, self.count - 2)
            gaps = [np.abs(self.position(self.low + self.step * side) - u) for side in (below, below + 1)]
            index = below + (gaps[1] < gaps[0])
        whole = np.clip(np.rint(index), 0, self.count - 1).astype(np.int64)
        return [self.low + self.step * place for place in whole.tolist()]

    def draw(self, u: FloatArray) -> list[Value]:
        """Return the value at each position; on a linear scale all are equally likely."""
        second, last_but_one = self.position([self.low + self.step, self.high - self.step])
        # The scale reaches half a step beyond both ends, so that the end values are as likely as the others.
        below, above = second / 2, (1.0 - last_but_one) / 2
        return self.nearest(u * (1.0 + below + above) - below)

    def moves(self, value: Value, rng: np.random.Generator, _float_moves: int) -> list[Value]:
        """Return the values one step away, a Gaussian step of 0.2 of the scale, and one drawn from all."""
        here = self.coerce(value)
        beside = [near for near in (here - self.step, here + self.step) if self.low <= near <= self.high]
        far = self.nearest(self.position([here]) + 0.2 * rng.standard_normal(1))
        return others(value, [*beside, *far, self.sample(rng)])


def _check_bounds(parameter: Float | Int, kinds: tuple[type, ...]) -> None:
    """Refuse bounds that are no numbers, that are in the wrong order, or that a log scale cannot span."""
    low, high = plain(parameter.low), plain(parameter.high)
    for word, bound in (("low", low), ("high", high)):
        if isinstance(bound, bool) or not isinstance(bound, kinds):
            raise parameter.error(
                f"{word} is {bound!r}", f"{word} is a number" + ("" if float in kinds else ", and whole")
            )
    if not isinstance(parameter.log, bool):
        raise parameter.error(f"log is {parameter.log!r}", "log is True or False")
    if low >= high:  # type: ignore[operator]  # both are numbers by now
        raise parameter.error(
            f"low ({low}) is not below high ({high})", "for one value only, use a categorical with it"
        )
    if parameter.log and low <= 0:  # type: ignore[operator]  # as above
        raise parameter.error(f"a log scale cannot start at {low}", "raise low above 0, or leave log out")
    if parameter.log and high < low * _MIN_LOG_RATIO:  # type: ignore[operator]  # as above
        raise parameter.error(f"a log scale from {low} to {high} is as good as linear", "leave log out")


def _to_unit(values: FloatArray, low: float, high: float, *, log: bool) -> FloatArray:
    if log:
        values, low, high = np.log(values), np.log(low), np.log(high)
    return np.asarray((values - low) / (high - low), dtype=np.float64)


def _from_unit(u: FloatArray, low: float, high: float, *, log: bool) -> FloatArray:
    start, end = (np.log(low), np.log(high)) if log else (low, high)
    values = start + np.clip(u, 0.0, 1.0) * (end - start)
    return np.clip(np.exp(values) if log else values, low, high)
