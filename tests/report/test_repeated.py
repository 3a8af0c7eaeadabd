"""What outputs say of a study whose front was trained several times."""

import pytest

from hwnas.report import front_data, front_table, summarise
from hwnas.search import Objective, Provenance, SearchSettings, Study, Value
from hwnas.space import Int, SearchSpace

OBJECTIVES = (Objective("accuracy", "maximize"), Objective("p99_ms", "minimize", "device", "host"))
TOLD = {0: (0.93, 2.0), 1: (0.92, 1.0), 2: (0.80, 0.5), 3: (0.85, 3.0)}


@pytest.fixture
def study(store):
    """Three members of the front, the first two hardly different, and a baseline that is off it."""
    settings = SearchSettings(name="toy", trials=4, batch=4, start=4)
    space = SearchSpace("toy", [Int("width", 1, 8)])
    study = Study.create(store, settings, space, OBJECTIVES)
    architectures = [space.architecture({"width": width}) for width in (5, 4, 3, 8)]
    study.add(architectures[:3], "sobol")
    study.add(architectures[3:], "baseline")
    for trial in study.ask(4):
        accuracy, p99_ms = TOLD[trial.number]
        study.tell(trial, {"accuracy": accuracy, "p99_ms": Value(p99_ms, 0.01 * p99_ms, Provenance.MEASURED)})
    return study


@pytest.fixture
def repeated(study):
    for number, (accuracy, _) in TOLD.items():
        for gap in (0.012, -0.006):
            study.record_replica(number, {"accuracy": accuracy + gap})
    return study


def test_a_row_has_mean_standard_error_and_how_many(repeated):
    columns, rows = front_table(summarise(repeated))
    assert columns[:5] == ["trial>", "accuracy>", "±>", "n>", "p99_ms>"]
    assert [row[0] for row in rows] == ["0", "1", "2"]
    noise = repeated.noise("accuracy")
    assert rows[0][1:4] == ["0.9320≈", f"{noise.sigma / 3**0.5:.4g}", "3"]
    assert [row[1][-1] for row in rows] == ["≈", " ", " "]
    assert [row[4][-1] for row in rows] == [" ", " ", " "]  # latencies differ significantly


def test_without_repeated_trainings_nothing_is_added(study):
    columns, rows = front_table(summarise(study))
    assert columns[:4] == ["trial>", "accuracy>", "p99_ms>", "95 %>"]
    assert rows[0][1] == "0.9300"
    data = front_data(summarise(study))
    assert data["noise"] == {}
    assert data["front"][0]["trainings"] == {}
    assert data["front"][0]["against_next"]["accuracy"]["significant"] is None


def test_the_json_has_each_training_and_what_is_significant(repeated):
    data = front_data(summarise(repeated))
    first, second, last = data["front"]
    assert data["noise"]["accuracy"]["dof"] == 8
    assert first["trainings"] == {"accuracy": pytest.approx([0.93, 0.942, 0.924])}
    value = first["values"]["accuracy"]
    assert (value["value"], value["provenance"]) == (pytest.approx(0.932), "averaged")
    low, high = value["interval_95"]
    assert (high - low) / 2 == pytest.approx(2.306 * value["sigma"], rel=1e-3)  # Student's t, 8 degrees of freedom
    assert first["against_next"]["accuracy"]["significant"] is False
    assert second["against_next"]["accuracy"]["significant"] is True
    assert second["against_next"]["accuracy"]["value"] == pytest.approx(0.12)
    ratio = first["against_next"]["p99_ms"]
    assert (ratio["relative"], ratio["value"], ratio["significant"]) == (True, pytest.approx(2.0), True)
    assert last["against_next"] is None
    assert second["against_baseline"]["accuracy"]["significant"] is True
    assert second["against_baseline"]["p99_ms"]["value"] == pytest.approx(1 / 3)


def test_a_front_that_the_mean_changes_is_the_same_everywhere(repeated):
    for _ in range(3):
        repeated.record_replica(0, {"accuracy": 0.7})
    summary = summarise(repeated)
    assert list(summary.front) == [trial.number for trial in repeated.pareto_front()] == [1, 2]
    assert [row[0] for row in front_table(summary)[1]] == ["1", "2"]
    assert summary.hypervolume[-1] == pytest.approx(repeated.hypervolume_history()[-1])
