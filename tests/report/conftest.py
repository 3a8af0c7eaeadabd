from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from hwnas.report import StudySummary
from hwnas.search import Objective, Provenance, Trial, TrialState, Value
from hwnas.search._front import hypervolume_history, pareto_front, reference_values
from hwnas.search._targets import fronts, hypervolume_histories, reference_points
from hwnas.space import Architecture

BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
ACCURACY = Objective("accuracy", "maximize")
P99 = Objective("p99_ms", "minimize", "device", "host")


def make_trial(number, values, *, origin="saas-qnehvi", state=TrialState.COMPLETE, again=None, sigmas=None, trace=None):
    """A trial whose figures are `values`, completed `number` seconds after the beginning."""
    sigmas = sigmas or {}

    def told(figures):
        return {name: Value(value, sigmas.get(name), Provenance.MEASURED, trace) for name, value in figures.items()}

    return Trial(
        number=number,
        architecture=Architecture("toy", "1", {"width": 8 + number, "act": "relu", "fast": number % 2 == 0}),
        state=state,
        batch=number // 16,
        origin=origin,
        created_at=BEGAN,
        values=told(values),
        again=told(again or {}),
        ended_at=BEGAN + timedelta(seconds=number),
    )


def make_summary(objectives, trials, name="toy", **more):
    """A summary of these trials, as `summarise` makes it of a study."""
    objectives, trials = tuple(objectives), tuple(trials)
    return StudySummary(
        name=name,
        planned=len(trials),
        objectives=objectives,
        trials=trials,
        front=tuple(trial.number for trial in pareto_front(objectives, trials)),
        reference=reference_values(objectives, trials),
        hypervolume=tuple(float(value) for value in hypervolume_history(objectives, trials)),
        fronts={device: tuple(t.number for t in front) for device, front in fronts(objectives, trials).items()},
        references=reference_points(objectives, trials),
        hypervolumes={
            device: tuple(float(value) for value in history)
            for device, history in hypervolume_histories(objectives, trials).items()
        },
        **more,
    )


@pytest.fixture
def summary():
    """Sixty-four trials, the first sixteen a space-filling start, the front measured again, and a few hopeless ones."""
    rng = np.random.default_rng(5)
    trials = []
    for number in range(64):
        size = rng.uniform()
        p99_ms = 0.03 * np.exp(4 * size + 0.2 * rng.normal())
        accuracy = 0.98 - 0.1 * np.exp(-5 * size) * rng.uniform(0.5, 1.5) - (0.5 if number % 13 == 5 else 0.0)
        trials.append(
            make_trial(
                number,
                {"accuracy": accuracy, "p99_ms": p99_ms},
                origin="sobol" if number < 16 else "saas-qnehvi",
                again={"p99_ms": p99_ms * np.exp(0.05 * rng.normal())},
                sigmas={"p99_ms": 0.05 * p99_ms},
            )
        )
    return make_summary((ACCURACY, P99), trials)


PHONE = Objective("p99_ms@phone", "minimize", "device", "phone")
WATCH = Objective("p99_ms@watch", "minimize", "device", "watch")


@pytest.fixture
def devices():
    """Forty trials on two devices that order them differently; the first is the baseline, which some beat."""
    rng = np.random.default_rng(7)
    trials = []
    for number in range(40):
        size, shape = rng.uniform(size=2) if number else (0.5, 0.5)
        values = {
            "accuracy": 0.95 - 0.2 * np.exp(-4 * size) + 0.005 * rng.normal(),
            "p99_ms@phone": np.exp(2 * size + 1.0 * shape + 0.05 * rng.normal()),
            "p99_ms@watch": 10 * np.exp(2 * size - 1.0 * shape + 0.05 * rng.normal()),
        }
        origin = "baseline" if number == 0 else "sobol" if number < 16 else "saas-qnehvi"
        sigmas = {name: 0.03 * value for name, value in values.items() if name != "accuracy"}
        trials.append(make_trial(number, values, origin=origin, sigmas=sigmas))
    return make_summary((ACCURACY, PHONE, WATCH), trials)


@pytest.fixture
def guessed(summary):
    """The same trials, of which every third is predicted; the front's first member was, and has been measured since."""
    first = summary.front[0]
    trials = []
    for trial in summary.trials:
        value = trial.values["p99_ms"]
        foretold = Value(1.2 * value.value, 0.3 * value.value, Provenance.PREDICTED)
        if trial.number == first:
            trials.append(replace(trial, again={}, foretold={"p99_ms": foretold}))
        elif trial.number % 3 == 0 or trial.number == summary.front[1]:
            predicted = replace(value, provenance=Provenance.PREDICTED)
            trials.append(replace(trial, again={}, values={**trial.values, "p99_ms": predicted}))
        else:
            trials.append(trial)
    return make_summary((ACCURACY, P99), trials)
