"""Towards the limits, while what was measured broke them and next to nothing was trained."""

import numpy as np
import pytest

from hwnas.search import Objective, SaasQnehviStrategy, SaasSettings, TrialState
from hwnas.search._limits import towards_limits

SETTINGS = SaasSettings(fit="map", candidates=64, members=2)


@pytest.fixture
def limited():
    """Objectives whose latency limit few keep to."""
    return (Objective("accuracy", "maximize"), Objective("p99_ms", "minimize", "device", "phone", limit=0.09))


@pytest.fixture
def measured(space, made_up, limited):
    """Trials that broke the limit: they were measured and not trained."""
    slow = [arch for arch in space.sample(40, np.random.default_rng(5)) if made_up.truth(arch)["p99_ms"] > 0.11]
    return [
        made_up.trial(number, arch, {"p99_ms": made_up.truth(arch)["p99_ms"]}, state=TrialState.ABANDONED, sigma=0.02)
        for number, arch in enumerate(slow[:24])
    ]


def share_within(architectures, made_up):
    return np.mean([made_up.truth(arch)["p99_ms"] <= 0.09 for arch in architectures])


def test_what_is_proposed_likely_keeps_to_the_limit(space, limited, measured, made_up):
    made = towards_limits(space, limited, measured, 8, np.random.default_rng(0), SETTINGS)
    assert made.origin == "towards-limits"
    assert len({arch.id for arch in made.architectures} - {trial.id for trial in measured}) == 8
    at_random = share_within(space.sample(400, np.random.default_rng(1)), made_up)
    assert at_random < 0.2
    assert share_within(made.architectures, made_up) >= 0.75
    again = towards_limits(space, limited, measured, 8, np.random.default_rng(0), SETTINGS)
    assert again.architectures == made.architectures


def test_the_strategy_turns_to_it_and_says_so(space, limited, measured):
    made = SaasQnehviStrategy(SETTINGS).propose(space, limited, measured, 4, np.random.default_rng(0))
    assert made.origin == "towards-limits"
    assert made.notices == (
        "only 0 trials are complete, too few to model: what likely keeps to the limits is proposed",
    )


def test_where_nothing_breaks_a_limit_or_little_is_known_it_has_nothing_to_say(space, limited, measured, made_up):
    def ask(objectives, trials):
        return towards_limits(space, objectives, trials, 4, np.random.default_rng(0), SETTINGS)

    assert ask(limited, measured[:3]) is None
    assert ask(limited, []) is None
    assert ask((limited[0], Objective("p99_ms", "minimize", "device", "phone")), measured) is None
    assert ask((limited[0], Objective("p99_ms", "minimize", "device", "phone", limit=99.0)), measured) is None
