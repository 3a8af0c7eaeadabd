import numpy as np
import pytest
from scipy.stats import spearmanr

from hwnas.report import tradeoffs
from hwnas.search import Objective

from .conftest import ACCURACY, P99, PHONE, WATCH, make_summary, make_trial


def on_both(*rows):
    names = ("accuracy", "p99_ms@phone", "p99_ms@watch")
    trials = [make_trial(number, dict(zip(names, row, strict=True))) for number, row in enumerate(rows)]
    return make_summary((ACCURACY, PHONE, WATCH), trials)


def test_a_member_of_one_front_costs_more_on_the_other_device_than_the_best_there():
    (found,) = tradeoffs(on_both((0.9, 1.0, 30.0), (0.9, 2.0, 10.0), (0.8, 0.5, 5.0)))
    assert (found.across, found.up, found.trials) == (PHONE, WATCH, 3)
    # the phone's front: trials 0 and 2; on the watch 30 against 10 of trial 1, and 5 against 5
    assert found.price == ((2.0, 3.0), (1.5, 2.0))


def test_only_what_is_as_accurate_is_compared_with():
    (found,) = tradeoffs(on_both((0.9, 1.0, 30.0), (0.8, 2.0, 10.0)))
    assert found.price == ((1.0, 1.0), (1.5, 2.0))


def test_the_rank_correlation_is_that_of_all_trials(devices):
    (found,) = tradeoffs(devices)
    values = np.array([[trial.values[o.name].value for o in (PHONE, WATCH)] for trial in devices.trials])
    assert found.rank_correlation == pytest.approx(spearmanr(values[:, 0], values[:, 1]).statistic)
    assert 0.0 < found.rank_correlation < 0.9
    told = found.to_json()
    assert told["objectives"] == ["p99_ms@phone", "p99_ms@watch"]
    assert told["front_of_first_on_second"]["worst"] >= told["front_of_first_on_second"]["median"] >= 1.0


def test_too_little_says_nothing():
    (found,) = tradeoffs(on_both((0.9, 1.0, 30.0), (0.8, 2.0, 10.0)))
    assert found.rank_correlation is None
    (same,) = tradeoffs(on_both((0.9, 1.0, 3.0), (0.8, 2.0, 3.0), (0.7, 3.0, 3.0)))
    assert same.rank_correlation is None
    (empty,) = tradeoffs(on_both())
    assert (empty.trials, empty.price) == (0, (None, None))


def test_one_device_or_two_figures_have_none(summary):
    assert tradeoffs(summary) == []
    other = Objective("p50_ms@watch", "minimize", "device", "watch")
    assert tradeoffs(make_summary((ACCURACY, PHONE, other), [])) == []
    assert tradeoffs(make_summary((ACCURACY, P99), [])) == []
