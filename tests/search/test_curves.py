"""Learning curves: from what a training prints to the store, and to the end of hopeless ones."""

import itertools
import threading
import time

import pytest

from hwnas.errors import IllegalMoveError, StudyError
from hwnas.evaluation import CommandEvaluator, CurvePoint, RunSettings
from hwnas.search import (
    Provenance,
    Study,
    TrialAbandoned,
    TrialState,
    Warned,
    optimize,
    run_study,
)

from .test_optimize import kinds


def test_points_are_kept_by_epoch_and_the_later_of_two_counts(study):
    first, second = study.ask(2)
    study.start(first)
    study.report(first, 1, {"accuracy": 0.5, "loss": 2.0})
    study.report(first, 3, {"accuracy": 0.7})
    study.report(first, 2, {"accuracy": 0.6})
    study.report(first, 3, {"accuracy": 0.75, "loss": 1.0})
    study.report(first, 1, {"accuracy": 0.55})
    assert study.curve(first) == (
        CurvePoint(1.0, {"accuracy": 0.55, "loss": 2.0}),
        CurvePoint(2.0, {"accuracy": 0.6}),
        CurvePoint(3.0, {"accuracy": 0.75, "loss": 1.0}),
    )
    assert study.curve(second) == ()
    assert study.curves().keys() == {0}
    study.tell(first, {"accuracy": 0.8, "p99_ms": 1.0})
    assert len(study.curve(0)) == 3


def test_only_a_running_trial_has_a_curve_that_grows(study):
    (trial,) = study.ask(1)
    with pytest.raises(IllegalMoveError, match="trial 0 is proposed"):
        study.report(trial, 1, {"accuracy": 0.5})
    study.start(trial)
    with pytest.raises(StudyError, match="nan is not a finite number"):
        study.report(trial, 1, {"accuracy": float("nan")})
    study.tell(trial, {"accuracy": 0.8, "p99_ms": 1.0})
    with pytest.raises(IllegalMoveError, match="trial 0 is complete"):
        study.report(trial, 2, {"accuracy": 0.5})


def test_each_attempt_has_its_own_and_an_interrupted_one_begins_anew(study):
    (trial,) = study.ask(1)
    study.start(trial)
    study.report(trial, 1, {"accuracy": 0.1})
    study.release(trial)
    (trial,) = study.ask(1)
    study.start(trial)
    assert study.curve(trial) == ()
    study.report(trial, 2, {"accuracy": 0.2})
    study.fail(trial, "out of memory")
    study.start(trial)
    assert [point.epoch for point in study.curve(trial)] == [2.0]  # the latest that there is
    study.report(trial, 1, {"accuracy": 0.3})
    assert study.curve(trial) == (CurvePoint(1.0, {"accuracy": 0.3}),)


def test_curves_go_with_their_study(study, store):
    (trial,) = study.ask(1)
    study.start(trial)
    study.report(trial, 1, {"accuracy": 0.1})
    Study.remove(store, study.name)
    with store.read() as connection:
        from hwnas.store import schema

        assert connection.execute(schema.trial_curve.select()).all() == []


TRAIN = """
import json, pathlib, sys, time
depth, lr, trial, epochs = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), 8
best = 0.9 if lr > 0.003 else 0.3
pathlib.Path(f"epochs-{trial}").touch()
for epoch in range(1, epochs + 1):
    accuracy = best - 0.2 * 0.5**epoch + 0.001 * depth
    print(json.dumps({"epoch": epoch, "accuracy": accuracy, "loss": 1 - accuracy, "note": "x"}))
    with open(f"epochs-{trial}", "a") as file:
        file.write(f"{epoch} ")
    if epoch > 3 and (trial < 2 or (trial >= 12 and best < 0.5)):
        time.sleep(float(sys.argv[4]))
print(json.dumps({"accuracy": accuracy}))
"""


@pytest.fixture
def curved(tmp_path, made_up, space):
    """The tools of a study whose training is a command that reports after each epoch."""
    from .test_optimize import Measurer, Networks

    (tmp_path / "train.py").write_text(TRAIN)

    def make(pause_s=0.0):
        parameters = [parameter.name for parameter in space.parameters]
        command = ["{python}", "-u", "train.py", "{depth}", "{lr}", "{trial}", str(pause_s)]
        unused = [name for name in parameters if name not in ("depth", "lr")]
        settings = RunSettings(tmp_path, timeout_s=60.0, grace_s=1.0)
        evaluator = CommandEvaluator(command, parameters, ["accuracy"], unused_parameters=unused, settings=settings)
        return {
            "evaluator": evaluator,
            "measurer": Measurer(made_up.truth),
            "networks": Networks(tmp_path),
            "folder": tmp_path / "search",
        }

    return make


def trained(tmp_path, number):
    return (tmp_path / f"epochs-{number}").read_text().split()


def test_what_a_command_reports_is_in_the_store(make_study, curved):
    study = make_study(trials=2, start=2, batch=2)
    optimize(study, **curved())
    for trial in study.trials():
        curve = study.curve(trial)
        assert [point.epoch for point in curve] == [float(epoch) for epoch in range(1, 9)]
        assert curve[0].values.keys() == {"accuracy", "loss"}
        assert curve[-1].values["accuracy"] == trial.values["accuracy"].value
        assert "epoch" not in trial.values
        assert [detail for *_, detail in study.moves(trial)][-1] is None  # a curve is no metric that came twice


def test_a_hopeless_training_is_ended_and_what_it_has_shown_kept(make_study, curved, tmp_path, made_up):
    stopping = {"least_trials": 6, "least_epochs": 2}
    study = make_study(trials=24, start=24, batch=12, stopping=stopping)
    heard = []
    result = optimize(study, **curved(pause_s=1.5), workers=2, on_event=heard.append)
    assert result.finished
    stopped = study.trials(TrialState.ABANDONED)
    assert any(trial.architecture["lr"] <= 0.003 and trial.number >= 12 for trial in stopped)
    for trial in stopped:
        assert trial.error.startswith("stopped at epoch ")
        assert " expected, and trial " in trial.error
        value = trial.values["accuracy"]
        assert value.provenance == Provenance.PREDICTED
        true = 0.9 if trial.architecture["lr"] > 0.003 else 0.3
        assert value.value == pytest.approx(true, abs=0.15)
        assert value.sigma is not None
        assert trial.values["p99_ms"].provenance == Provenance.MEASURED
        assert len(study.curve(trial)) >= 2
        assert "told to stop" in (tmp_path / "search" / "trials" / f"{trial.number:04d}" / "log.txt").read_text()
    spent = {trial.number: len(trained(tmp_path, trial.number)) for trial in stopped}
    assert min(spent.values()) < 8  # where epochs take no time, all of them may be over before it can be ended
    assert {event.trial.number for event in kinds(heard, TrialAbandoned)} == {trial.number for trial in stopped}
    assert not {trial.number for trial in result.front} & {trial.number for trial in stopped}
    (counts,) = study.latency_counts()
    assert (counts.measured, counts.predicted) == (24, 0)  # a predicted accuracy is no predicted latency
    assert optimize(study, **curved()).finished  # and nothing of it is done again


def test_curves_of_trials_that_are_over_are_read_once(make_study, curved, monkeypatch):
    stopping = {"least_trials": 6, "least_epochs": 2}
    study, calls = make_study(trials=16, start=16, batch=8, asynchronous=True, stopping=stopping), []
    plain = study.curves

    def curves(numbers):
        calls.append((set(numbers), {trial.number for trial in study.trials() if trial.state.finished}))
        return plain(numbers)

    monkeypatch.setattr(study, "curves", curves)
    optimize(study, **curved(pause_s=0.7), workers=1)
    assert len(calls) > 4
    for (_, over), (numbers, _) in itertools.pairwise(calls):
        assert not numbers & over


def test_without_the_setting_nothing_is_ended(make_study, curved):
    study = make_study(trials=16, start=16, batch=16)
    optimize(study, **curved(), workers=2)
    assert study.counts()[TrialState.COMPLETE] == 16


def test_a_stop_in_the_middle_of_a_curve_begins_it_anew(make_study, curved, tmp_path):
    study, stop = make_study(trials=2, start=2, batch=2), threading.Event()

    def watch():
        while not study.curves() or len(next(iter(study.curves().values()))) < 2:
            time.sleep(0.05)
        stop.set()

    thread = threading.Thread(target=watch)
    thread.start()
    assert not optimize(study, **curved(pause_s=1.5), stop=stop).finished
    thread.join()
    assert optimize(study, **curved()).finished
    assert all([point.epoch for point in study.curve(trial)] == list(range(1, 9)) for trial in study.trials())


STUDY = """
[search]
name = "followed"
trials = 4
batch = 4
start = 4
[search.stopping]
key = "step"
{more}
[space.parameters]
width = {{ type = "int", low = 1, high = 64 }}
[evaluation]
command = "{{python}} train.py {{width}}"
[[objectives]]
name = "accuracy"
direction = "maximize"
{objective}
"""
STEPS = """
import json, sys
for step in (10, 20):
    print(json.dumps({"step": step, "accuracy": step / 100}))
print(json.dumps({"accuracy": int(sys.argv[1]) / 100}))
"""


def test_a_study_file_names_the_key_and_is_checked(tmp_path, workspace, store):
    (tmp_path / "train.py").write_text(STEPS)
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(more="", objective=""))
    run_study(path, workspace)
    study = Study.load(store, "followed")
    assert study.settings.stopping.key == "step"
    assert [point.epoch for point in study.curve(0)] == [10.0, 20.0]
    path.write_text(STUDY.format(more='metric = "acuracy"', objective=""))
    with pytest.raises(Exception, match="metric 'acuracy' is no optimised objective"):
        run_study(path, workspace)
    other = '[[objectives]]\nname = "f1"\ndirection = "maximize"'
    path.write_text(STUDY.format(more="", objective=other))
    with pytest.raises(Exception, match="early stopping needs exactly one"):
        run_study(path, workspace)


def test_what_is_odd_of_a_training_is_said_and_kept(make_study, curved, tmp_path):
    twice = "import json\nprint(json.dumps({'accuracy': 0.4}))\nprint(json.dumps({'accuracy': 0.5}))\n"
    (tmp_path / "train.py").write_text(twice)
    study, tools, heard = make_study(trials=1, start=1, batch=1), curved(), []
    (tmp_path / "train.py").write_text(twice)
    optimize(study, **tools, on_event=heard.append)
    assert study.trial(0).values["accuracy"].value == 0.5
    assert [event.message for event in kinds(heard, Warned)] == ["trial 0: accuracy printed 2 times: the last counts"]
    assert [detail for *_, detail in study.moves(0)][-1] == "accuracy printed 2 times: the last counts"
