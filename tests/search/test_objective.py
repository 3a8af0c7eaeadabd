import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.errors import ConfigError
from hwnas.measurement._measurement import COSTS
from hwnas.search import Objective
from hwnas.search._objective import DEVICE_METRICS, NETWORK_METRICS, check_objectives

QUANTILES = ("p50_ms", "p90_ms", "p99_ms")

positive = st.floats(1e-6, 1e6)


def test_latencies_are_modelled_as_logarithms_and_other_figures_are_not():
    assert Objective("p99_ms", "minimize", "device", device="phone").log
    assert not Objective("peak_memory_bytes", "minimize", "device", device="phone").log
    assert not Objective("accuracy", "maximize").log
    assert not Objective("p99_ms", "minimize", "device", device="phone", log=False).log


def test_a_latency_of_one_of_several_devices_is_named_by_both():
    assert Objective("p99_ms@pixel7", "minimize", "device", device="pixel7").metric == "p99_ms"


def test_what_a_network_costs_beside_time_is_an_objective_too():
    """Each with its unit in its name; a limit of 20 MB is a limit of 20 MB."""
    limited = Objective("peak_memory_mb", "minimize", "device", device="pi", limit=20.0, optimize=False)
    assert limited.feasible(19.9)
    assert not limited.feasible(20.1)
    for name in DEVICE_METRICS:
        assert Objective(name, "minimize", "device", device="pi").metric in (*QUANTILES, *COSTS)
    for name in NETWORK_METRICS:
        assert Objective(name, "minimize", "network").metric in COSTS


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "", "direction": "maximize"}, "not a name"),
        ({"name": "a:b", "direction": "maximize"}, "not a name"),
        ({"name": "a", "direction": "up"}, "direction 'up' is unknown"),
        ({"name": "a", "direction": "maximize", "source": "oracle"}, "source 'oracle' is unknown"),
        ({"name": "p99_ms", "direction": "minimize", "source": "device"}, "a device goes with source 'device'"),
        ({"name": "a", "direction": "maximize", "device": "phone"}, "a device goes with source 'device'"),
        ({"name": "p98_ms", "direction": "minimize", "source": "device", "device": "d"}, "gives no 'p98_ms'"),
        ({"name": "flops", "direction": "minimize", "source": "network"}, "gives no 'flops'"),
        ({"name": "a", "direction": "maximize", "optimize": False}, "neither optimised nor limited"),
        ({"name": "a", "direction": "maximize", "limit": math.inf}, "limit inf is not finite"),
        (
            {"name": "a", "direction": "maximize", "log": True, "reference": 0.0},
            "reference 0.0 is not finite and posit",
        ),
    ],
)
def test_parts_that_do_not_fit_are_named(fields, said):
    with pytest.raises(ConfigError, match=said) as caught:
        Objective(**fields)
    assert caught.value.hint


def test_objectives_need_distinct_names_and_one_to_optimise():
    one = Objective("accuracy", "maximize")
    with pytest.raises(ConfigError, match="two objectives are called 'accuracy'"):
        check_objectives((one, one))
    with pytest.raises(ConfigError, match="no objective is to be optimised"):
        check_objectives((Objective("accuracy", "maximize", limit=0.9, optimize=False),))


@given(st.sampled_from(["maximize", "minimize"]), st.booleans(), positive, positive)
def test_a_score_is_better_exactly_where_the_value_is(direction, log, a, b):
    objective = Objective("x", direction, log=log)
    better = a > b if direction == "maximize" else a < b
    if math.log(a) != math.log(b):
        assert (objective.score(a) > objective.score(b)) == better
    assert objective.unscore(objective.score(a)) == pytest.approx(a)
    limited = Objective("x", direction, log=log, limit=b)
    assert limited.feasible(a) == (limited.score(a) >= limited.score(b) or a == b)


@given(positive, st.floats(1e-6, 1e-3))
def test_a_sigma_follows_the_scale(value, share):
    sigma = share * value
    logged = Objective("x", "minimize", log=True)
    seen = (math.log(value + sigma) - math.log(value - sigma)) / 2
    assert logged.score_sigma(value, sigma) == pytest.approx(seen, rel=1e-3)
    assert Objective("x", "minimize", log=False).score_sigma(value, sigma) == sigma


def test_json_keeps_all():
    objective = Objective("p99_ms@a", "minimize", "device", "a", 8.0, 10.0, optimize=False)
    assert Objective.from_json(objective.to_json()) == objective
