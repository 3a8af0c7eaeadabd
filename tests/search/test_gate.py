"""What breaks a limit for sure is never trained, and what it has shown is kept."""

import pytest

from hwnas.search import (
    Foresight,
    Objective,
    Provenance,
    TrialAbandoned,
    TrialState,
    Value,
    Warned,
    optimize,
)
from hwnas.search._data import outcome_data
from hwnas.search._gate import broken_limits

from .test_optimize import kinds, tools  # noqa: F401  a fixture

ACCURACY = Objective("accuracy", "maximize", limit=0.5)
P99 = Objective("p99_ms", "minimize", "device", "phone", limit=8.0)


@pytest.fixture
def broken(space, made_up, rng):
    """Say which limits a trial with these values breaks."""
    (architecture,) = space.sample(1, rng)

    def ask(objectives, joint=False, **values):
        told = {name.replace("_at_", "@"): value for name, value in values.items()}
        trial = made_up.trial(7, architecture, {})
        return broken_limits(objectives, type(trial)(**{**_fields(trial), "values": told}), joint=joint)

    return ask


def _fields(trial):
    return {name: getattr(trial, name) for name in type(trial).__slots__}


def measured(value, sigma):
    return Value(value, sigma, Provenance.MEASURED, 3)


def test_a_figure_is_beyond_its_limit_where_all_of_its_interval_is(broken):
    assert broken([P99], p99_ms=measured(12.3, 0.2)) == "p99_ms 12.3 (11.91 to 12.7) is above the limit 8"
    assert broken([P99], p99_ms=measured(8.3, 0.2)) is None
    assert broken([P99], p99_ms=measured(8.3, 0.1)) is not None
    assert broken([P99], p99_ms=measured(7.9, 0.0)) is None
    assert broken([P99], p99_ms=measured(8.0, 0.0)) is None
    assert broken([P99], p99_ms=measured(8.01, None)) == "p99_ms 8.01 is above the limit 8"


def test_of_a_prediction_the_interval_is_wider(broken):
    def predicted(value):
        return Value(value, 0.1 * value, Provenance.PREDICTED)

    assert broken([P99], p99_ms=predicted(10.0)) is None  # 95 % would do: 8.2 to 12.2
    said = broken([P99], p99_ms=predicted(10.5))
    assert said == "p99_ms 10.5 (8.116 to 13.58) is predicted, above the limit 8"


def test_what_is_to_be_maximised_is_below_its_limit(broken):
    speed = Objective("macs", "maximize", "network", limit=100.0)
    assert broken([speed], macs=Value(90.0, 0.0, Provenance.COMPUTED)) == "macs 90 is below the limit 100"
    assert broken([speed], macs=Value(110.0, 0.0, Provenance.COMPUTED)) is None


def test_what_a_training_reports_and_what_is_not_known_do_not_count(broken):
    assert broken([ACCURACY, P99], accuracy=Value(0.1)) is None
    assert broken([ACCURACY, P99]) is None
    assert broken([Objective("p99_ms", "minimize", "device", "phone")], p99_ms=measured(99.0, 0.0)) is None


def test_with_several_devices_a_network_may_be_too_slow_for_one(broken):
    phone = Objective("p99_ms@phone", "minimize", "device", "phone", limit=8.0)
    watch = Objective("p99_ms@watch", "minimize", "device", "watch", limit=20.0)
    size = Objective("size_bytes", "minimize", "network", limit=1000.0, optimize=False)
    memory = Objective("peak_memory_mb@tv", "minimize", "device", "tv", limit=10.0, optimize=False)
    slow, quick = measured(50.0, 0.1), measured(5.0, 0.1)
    every = [ACCURACY, phone, watch, size, memory]
    assert broken(every, p99_ms_at_phone=slow) is None
    assert broken(every, joint=True, p99_ms_at_phone=slow).startswith("p99_ms@phone 50 (")
    assert broken(every, p99_ms_at_phone=slow, p99_ms_at_watch=quick) is None
    both = broken(every, p99_ms_at_phone=slow, p99_ms_at_watch=slow)
    assert both.startswith("p99_ms@phone 50 (")
    assert "; p99_ms@watch 50 (" in both
    assert broken(every, p99_ms_at_phone=quick, size_bytes=Value(1001.0, 0.0, Provenance.COMPUTED)) is not None
    assert "peak_memory_mb@tv 11" in broken(every, p99_ms_at_phone=quick, **{"peak_memory_mb@tv": Value(11.0, 0.0)})


LIMIT = 0.12


@pytest.fixture
def limited(make_study):
    """Make a study whose latency has a limit that about half of the space breaks."""
    objectives = (
        Objective("accuracy", "maximize"),
        Objective("p99_ms", "minimize", "device", "phone", limit=LIMIT),
    )

    def make(**settings):
        return make_study(**{"objectives": objectives, "trials": 16, "batch": 8, "start": 16, **settings})

    return make


def over(made_up, trial):
    return made_up.truth(trial.architecture)["p99_ms"] > LIMIT * 1.11


def test_what_is_too_slow_is_measured_and_never_trained(limited, tools, made_up):  # noqa: F811
    study, tooled, heard = limited(), tools(), []
    result = optimize(study, **tooled, on_event=heard.append)
    assert result.finished
    abandoned = study.trials(TrialState.ABANDONED)
    assert 3 <= len(abandoned) <= 13
    assert all(over(made_up, trial) for trial in abandoned)
    trained = {task.trial for task in tooled["evaluator"].tasks}
    assert trained == {trial.number for trial in study.trials(TrialState.COMPLETE)}
    assert not any(over(made_up, study.trial(number)) for number in trained)
    for trial in abandoned:
        assert trial.error.endswith("is above the limit 0.12: not trained")
        assert trial.values.keys() == {"p99_ms"}
        assert (trial.attempts, trial.started_at, trial.owner) == (0, None, None)
        assert [new for _, _, new, _ in study.moves(trial)] == ["proposed", "abandoned"]
    assert [event.trial for event in kinds(heard, TrialAbandoned)] == abandoned
    assert {trial.number for trial in result.front} <= trained
    assert len(study.hypervolume_history()) == len(trained)
    # what they have shown serves the model, and none of them is proposed again
    p99 = study.objectives[1]
    assert len(outcome_data(study.space, p99, study.trials()).Y) == 16
    assert len({trial.id for trial in study.trials()}) == 16
    assert study.latency_counts()[0].measured == 16


def test_a_setting_has_them_trained_all_the_same(limited, tools):  # noqa: F811
    study, tooled = limited(train_over_limit=True), tools()
    optimize(study, **tooled)
    assert len(tooled["evaluator"].tasks) == 16
    assert study.counts()[TrialState.COMPLETE] == 16


def test_where_nothing_is_trained_nothing_is_spared(make_study, tools):  # noqa: F811
    limited = Objective("p99_ms", "minimize", "device", "phone", limit=LIMIT)
    study, tooled = make_study(objectives=[limited], trials=12, start=12), tools()
    optimize(study, measurer=tooled["measurer"], networks=tooled["networks"])
    assert study.counts()[TrialState.COMPLETE] == 12


def test_what_is_too_large_is_not_even_measured(make_study, tools):  # noqa: F811
    objectives = [
        Objective("accuracy", "maximize"),
        Objective("p99_ms", "minimize", "device", "phone"),
        Objective("size_bytes", "minimize", "network", limit=1003.0, optimize=False),
    ]
    study, tooled = make_study(objectives=objectives), tools()
    optimize(study, **tooled)
    assert [trial.number for trial in study.trials(TrialState.COMPLETE)] == [0, 1, 2, 3]
    assert [len(ids) for _, ids, _ in tooled["measurer"].calls][:1] == [4]
    assert study.trial(7).error == "size_bytes 1,007 is above the limit 1,003: not trained"
    assert "p99_ms" not in study.trial(7).values


def test_a_limit_that_nothing_keeps_to_is_said_and_the_search_goes_on(make_study, tools):  # noqa: F811
    objectives = (Objective("accuracy", "maximize"), Objective("p99_ms", "minimize", "device", "phone", limit=1e-6))
    study, tooled, heard = make_study(objectives=objectives), tools(), []
    assert optimize(study, **tooled, on_event=heard.append).finished
    assert study.counts()[TrialState.ABANDONED] == 8
    assert tooled["evaluator"].tasks == []
    said = [event.message for event in kinds(heard, Warned)]
    assert [line.partition(";")[0] for line in said] == [
        "4 trials so far were given up, and none is complete",
        "8 trials so far were given up, and none is complete",
    ]


def test_predictions_that_are_far_too_slow_spare_trainings_too(limited, tools, space):  # noqa: F811
    study = limited(trials=32, start=32, latency="auto", auto={"first": 8})
    tooled = tools()
    foresight = Foresight(space, study.objectives, study.settings)
    assert optimize(study, **tooled, foresight=foresight).finished
    abandoned = study.trials(TrialState.ABANDONED)
    guessed = [trial for trial in abandoned if trial.values["p99_ms"].provenance == Provenance.PREDICTED]
    assert guessed
    assert all(trial.error.endswith("is predicted, above the limit 0.12: not trained") for trial in guessed)
    (counts,) = study.latency_counts()
    assert counts.measured + counts.predicted == 32
