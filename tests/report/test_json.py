import json
import math

import pytest

from hwnas.errors import HwnasError
from hwnas.report import front_data, write_front_json

from .conftest import ACCURACY, P99, make_summary, make_trial


def test_the_file_says_what_it_is_and_holds_the_whole_front(summary, tmp_path):
    data = json.loads(write_front_json(summary, tmp_path / "front.json").read_text(encoding="utf-8"))
    assert (data["format"], data["version"]) == ("hwnas-front", 1)
    assert [member["trial"] for member in data["front"]] == list(summary.front)
    assert data["study"]["trials"]["complete"] == 64
    assert data["hypervolume"]["now"] == pytest.approx(summary.hypervolume[-1])
    assert len(data["hypervolume"]["history"]) == 64
    assert {objective["name"] for objective in data["objectives"]} == {"accuracy", "p99_ms"}


def test_a_member_has_its_architecture_and_the_evidence_of_each_figure(summary):
    member = front_data(summary)["front"][0]
    trial = summary.front_trials[0]
    assert member["architecture"]["id"] == trial.id
    assert member["architecture"]["values"] == dict(trial.architecture.values)
    first, again = member["values"]["p99_ms"], member["again"]["p99_ms"]
    assert first["value"] == trial.values["p99_ms"].value
    assert again["value"] == trial.again["p99_ms"].value
    assert first["interval_95"][0] < first["value"] < first["interval_95"][1]
    assert first["provenance"] == "measured"
    assert member["values"]["accuracy"]["interval_95"] is None


def test_an_end_that_cannot_be_bounded_is_null(tmp_path):
    trials = [make_trial(0, {"accuracy": 0.9, "p99_ms": 1.0}, trace=3)]
    summary = make_summary((ACCURACY, P99), trials, intervals={(3, "p99_ms"): (0.5, math.inf)})
    data = json.loads(write_front_json(summary, tmp_path / "front.json").read_text(encoding="utf-8"))
    assert data["front"][0]["values"]["p99_ms"]["interval_95"] == [0.5, None]


def test_a_study_without_a_trial(tmp_path):
    data = json.loads(write_front_json(make_summary((ACCURACY, P99), []), tmp_path / "front.json").read_text())
    assert (data["front"], data["reference"], data["hypervolume"]["now"]) == ([], None, None)


def test_a_file_is_replaced_whole(summary, tmp_path):
    path = tmp_path / "front.json"
    path.write_text("old")
    write_front_json(summary, path)
    assert json.loads(path.read_text())["format"] == "hwnas-front"
    assert [file.name for file in tmp_path.iterdir()] == ["front.json"]


def test_a_folder_that_is_not_there(summary, tmp_path):
    with pytest.raises(HwnasError, match="cannot write"):
        write_front_json(summary, tmp_path / "gone" / "front.json")


def test_predicted_figures_say_so_and_the_measurements_saved_are_counted(guessed):
    data = front_data(guessed)
    for member, trial in zip(data["front"], guessed.front_trials, strict=True):
        how = "predicted" if guessed.predicted(trial) else "measured"
        assert member["values"]["p99_ms"]["provenance"] == how
        assert ("p99_ms" in member["foretold"]) == ("p99_ms" in trial.foretold)
    assert data["front"][0]["foretold"]["p99_ms"]["provenance"] == "predicted"
    count = sum(guessed.predicted(trial) for trial in guessed.trials)
    again = sum(bool(trial.again) for trial in guessed.trials)
    assert data["latency"]["host"] == {"measured": 64 - count, "predicted": count, "again": again, "saved": count}


def test_each_device_has_its_front_and_there_is_what_beats_the_baseline(devices, tmp_path):
    data = json.loads(write_front_json(devices, tmp_path / "front.json").read_text(encoding="utf-8"))
    assert list(data["fronts"]) == ["phone", "watch"]
    for device, found in data["fronts"].items():
        assert found["objectives"] == ["accuracy", f"p99_ms@{device}"]
        assert [member["trial"] for member in found["front"]] == list(devices.fronts[device])
        assert found["hypervolume"]["now"] == devices.hypervolumes[device][-1]
        assert found["reference"] == devices.references[device]
        assert list(found["front"][0]["relative"]) == ["accuracy", f"p99_ms@{device}"]
    assert [pair["objectives"] for pair in data["tradeoffs"]] == [["p99_ms@phone", "p99_ms@watch"]]
    assert data["baseline"]["trial"] == 0
    assert set(data["baseline"]["relative"].values()) == {1.0}
    assert list(data["beaten"]) == ["phone", "watch"]
    assert data["beaten"]["phone"]["better"] == list(devices.beaten()["phone"].better)


def test_with_one_device_its_front_is_the_front(summary):
    data = front_data(summary)
    (own,) = data["fronts"].values()
    assert list(data["fronts"]) == ["host"]
    assert (own["front"], own["reference"]) == (data["front"], data["reference"])
    assert (data["tradeoffs"], data["baseline"], data["beaten"]) == ([], None, None)
