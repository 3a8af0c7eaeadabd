"""Searches that predict: what is measured, what takes whose place, and that it goes on where it was."""

import threading

import numpy as np
import pytest

from hwnas.errors import NetworkCrashedError
from hwnas.measurement import MeasurementFailure
from hwnas.search import (
    Foresight,
    LatencyForeseen,
    LatencySettled,
    PhaseStarted,
    Provenance,
    Value,
    Warned,
    optimize,
)

from .test_optimize import Evaluator, Measured, Networks, kinds


class Device:
    """Measures by the made-up truth with two per cent of noise, the same each time; counts what it measures."""

    def __init__(self, truth, stop_after=None, broken=()):
        self.truth, self.stop_after, self.broken, self.measured = truth, stop_after, broken, []

    def measure(self, device, networks, architectures, *, again=False, cancelled, on_progress):
        results = []
        for network, architecture in zip(networks, architectures, strict=True):
            if architecture.id in self.broken:
                error = NetworkCrashedError("segmentation fault", "fix it")
                results.append(MeasurementFailure(network.name, network.hash, architecture.id, device, error))
                continue
            self.measured.append((architecture.id, again))
            noise = np.random.default_rng(int(architecture.id[:8], 16)).normal()
            results.append(Measured(self.truth(architecture)["p99_ms"] * np.exp(0.02 * noise)))
        if self.stop_after is not None and len(self.measured) >= self.stop_after:
            self.stop_after = None
            raise KeyboardInterrupt  # as if the process died before it could note anything down
        return results


@pytest.fixture
def searching(make_study, space, objectives, made_up, tmp_path):
    """Make a study with its tools; returns the study, the tools and the device."""

    def make(device=None, name="first", **settings):
        settings = {"trials": 24, "batch": 8, "start": 24, "latency": "auto", "auto": {"first": 6}, **settings}
        study = make_study(name=name, **settings)
        device = device or Device(made_up.truth)
        foresight = Foresight(space, objectives, study.settings) if study.settings.latency == "auto" else None
        tools = {
            "evaluator": Evaluator(made_up.truth, tmp_path),
            "measurer": device,
            "networks": Networks(tmp_path),
            "folder": tmp_path / name,
            "foresight": foresight,
        }
        return study, tools, device

    return make


def values(study):
    return {t.number: (t.values["p99_ms"], t.foretold.get("p99_ms"), t.again.get("p99_ms")) for t in study.trials()}


def test_auto_measures_some_predicts_the_others_and_measures_the_whole_front(searching):
    heard = []
    study, tools, device = searching()
    result = optimize(study, **tools, on_event=heard.append)
    assert result.finished
    (counts,) = study.latency_counts()
    assert counts.measured + counts.predicted == 24
    assert counts.predicted > 8
    assert all(trial.values["p99_ms"].provenance == Provenance.MEASURED for trial in result.front)
    first = [key for key, again in device.measured if not again]
    assert len(first) == len(set(first)) == counts.measured
    assert len(kinds(heard, LatencyForeseen)) == 3
    assert {event.number for event in kinds(heard, LatencySettled)} == {t.number for t in study.trials() if t.foretold}
    assert "settle" in {event.phase for event in kinds(heard, PhaseStarted)}


def test_the_front_is_that_of_the_truth(searching, made_up):
    study, tools, _ = searching()
    optimize(study, **tools)
    everything, alltools, _ = searching(name="all", latency="measured")
    optimize(everything, **alltools)
    reference = everything.reference()
    true = everything.hypervolume_history(reference)[-1]
    assert study.hypervolume_history(reference)[-1] == pytest.approx(true, rel=0.05)


def test_a_member_that_was_predicted_is_measured_once_and_one_that_was_measured_is_measured_again(searching):
    study, tools, device = searching()
    for trial in optimize(study, **tools).front:
        times = [again for key, again in device.measured if key == trial.id]
        if "p99_ms" in trial.foretold:
            assert times == [False]
            assert "p99_ms" not in trial.again
            assert trial.foretold["p99_ms"].provenance == Provenance.PREDICTED
        else:
            assert times == [False, True]


def test_nothing_is_left_to_do_once_it_is_done(searching):
    study, tools, device = searching()
    optimize(study, **tools)
    before, count = values(study), len(device.measured)
    optimize(study, **tools)
    assert values(study) == before
    assert len(device.measured) == count


@pytest.mark.parametrize("moment", [3, 10])
def test_a_search_that_died_comes_to_the_same_as_one_that_did_not(searching, made_up, moment):
    study, tools, _ = searching()
    optimize(study, **tools)
    other, others, _ = searching(Device(made_up.truth, stop_after=moment), name="second")
    with pytest.raises(KeyboardInterrupt):
        optimize(other, **others)
    optimize(other, **others)
    assert values(other) == values(study)
    assert [trial.attempts for trial in other.trials()] == [1] * 24
    assert [task.trial for task in others["evaluator"].tasks] == list(range(24))


def test_told_to_stop_it_measures_no_more_and_goes_on_later(searching):
    study, tools, device = searching()
    stop, at_stop = threading.Event(), []

    def hear(event):
        if isinstance(event, LatencySettled) and not stop.is_set():
            stop.set()
            at_stop.append(len(device.measured))

    optimize(study, **tools, on_event=hear, stop=stop)
    assert [len(device.measured)] == at_stop
    result = optimize(study, **tools)
    assert result.finished
    assert len(device.measured) > at_stop[0]
    assert all(trial.values["p99_ms"].provenance == Provenance.MEASURED for trial in result.front)


def test_a_member_that_cannot_be_measured_stays_predicted_and_is_said_to(searching, made_up):
    study, tools, _ = searching()
    bad = next(trial for trial in optimize(study, **tools).front if trial.foretold)
    heard = []
    other, others, _ = searching(Device(made_up.truth, broken={bad.id}), name="second")
    result = optimize(other, **others, on_event=heard.append)
    assert [event.message for event in kinds(heard, Warned)] == [
        f"trial {bad.number} could not be measured, and stays predicted: segmentation fault"
    ]
    assert result.finished
    assert other.trial(bad.number).values["p99_ms"].provenance == Provenance.PREDICTED


def test_predicted_alone_measures_the_front_and_nothing_else(searching, space, objectives, made_up):
    study, tools, _ = searching()
    optimize(study, **tools)
    adapted = tools["foresight"]._model(objectives[1], study.trials())
    alone, others, device = searching(name="alone", latency="predicted", predictor="mine")
    others["foresight"] = Foresight(space, objectives, alone.settings, {"phone": adapted})
    result = optimize(alone, **others)
    assert all(trial.values["p99_ms"].provenance == Provenance.MEASURED for trial in result.front)
    assert {trial.id for trial in result.front} <= {key for key, _ in device.measured}
    assert len(device.measured) == alone.latency_counts()[0].measured < 16


def test_without_a_second_measurement_the_front_is_measured_all_the_same(searching):
    study, tools, _ = searching(remeasure=False)
    result = optimize(study, **tools)
    assert all(trial.values["p99_ms"].provenance == Provenance.MEASURED for trial in result.front)
    assert not any(trial.again for trial in study.trials())


def test_only_predictions_are_revised_and_all_or_none(study):
    first, second = study.ask(2)
    study.record(first, {"p99_ms": Value(2.0, 0.2, Provenance.PREDICTED)})
    study.record(second, {"p99_ms": Value(3.0, 0.1, Provenance.MEASURED)})
    study.revise({first.number: {"p99_ms": Value(2.5, 0.1, Provenance.PREDICTED)}, second.number: {"p99_ms": 9.0}})
    assert study.trial(0).values["p99_ms"].value == 2.5
    assert study.trial(0).foretold == {}
    assert study.trial(1).values["p99_ms"].value == 3.0
    with pytest.raises(Exception, match="not positive"):
        study.revise({0: {"p99_ms": 2.6}, 1: {"p99_ms": -1.0}})
    assert study.trial(0).values["p99_ms"].value == 2.5
    study.revise({0: {"p99_ms": Value(2.7, 0.1, Provenance.MEASURED)}})
    trial = study.tell(0, {"accuracy": 0.5})
    assert trial.values["p99_ms"].provenance == Provenance.MEASURED
    assert trial.foretold["p99_ms"].value == 2.5
