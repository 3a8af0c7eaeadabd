import numpy as np
import pytest

from hwnas.search import Objective
from hwnas.search._computed import Computed, Remembered
from hwnas.search._data import OutcomeData
from hwnas.search._points import Points
from hwnas.space import Int, SearchSpace

PHONE = Objective("p99_ms@phone", "minimize", "device", device="phone", log=False, limit=3.0)
WATCH = Objective("p99_ms@watch", "minimize", "device", device="watch", log=False, limit=7.0)
ACCURACY = Objective("accuracy", "maximize")
SPACE = SearchSpace("widths", [Int("width", 1, 9)])


class Oracle:
    """The phone takes as many ms as there is width, the watch ten less that."""

    names = (PHONE.name, WATCH.name)

    def values(self, architectures):
        return np.array([[arch["width"], 10.0 - arch["width"]] for arch in architectures], dtype=np.float64)


@pytest.fixture
def allowed():
    """Return whether limits rule anything out, and the widths that are allowed, where these are the fronts."""
    computed = Computed([(Remembered(Oracle()), [0, 1])], (PHONE, WATCH))
    empty = np.empty((0, 1)), np.empty(0)
    scales = [OutcomeData(objective, *empty, None, -5.0, 2.0, 0) for objective in (PHONE, WATCH)]
    archs = [SPACE.architecture({"width": width}) for width in range(1, 10)]

    def call(*fronts):
        points = Points(SPACE, computed, scales, None, fronts)
        kept = points.allowed(points.rows(archs)).tolist()
        return points.is_limited, [arch["width"] for arch, ok in zip(archs, kept, strict=True) if ok]

    return call


def test_all_limits_hold_for_one_front(allowed):
    assert allowed() == (True, [3])
    assert allowed((ACCURACY, PHONE, WATCH)) == (True, [3])


def test_what_keeps_to_the_limits_of_one_devices_front_is_allowed(allowed):
    assert allowed((ACCURACY, PHONE), (ACCURACY, WATCH)) == (True, list(range(1, 10)))
    assert allowed((PHONE,), (PHONE, WATCH)) == (True, [1, 2, 3])


def test_a_front_without_a_limit_allows_all(allowed):
    assert allowed((ACCURACY, PHONE), (ACCURACY,)) == (False, list(range(1, 10)))
