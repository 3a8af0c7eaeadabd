import json
from datetime import UTC, datetime

import numpy as np
import pytest

from hwnas.errors import HwnasError
from hwnas.report import diagnosis_data, diagnosis_figure, doubtful_models, failure_pattern, write_diagnosis
from hwnas.search import LeaveOneOut, OutcomeDiagnosis, ProposalRecord

from .conftest import ACCURACY, P99


def made_up(objective, values, notes=()):
    values = np.asarray(values, dtype=np.float64)
    saas = LeaveOneOut("saas", values * 1.01, values * 0.9, values * 1.1, 0.81, -0.6, 0.95)
    plain = LeaveOneOut("map", values * 1.1, values * 0.8, values * 1.3, 0.42, -1.2, 0.8)
    quartiles = {f"p{i}": (0.1, 2.0 - 0.1 * i, 2.5) for i in range(15)}
    return OutcomeDiagnosis(objective, tuple(range(len(values))), values, saas, plain, quartiles, notes)


@pytest.fixture
def outcomes(summary):
    return [
        made_up(ACCURACY, [t.values["accuracy"].value for t in summary.trials], ("accuracy: look at this",)),
        made_up(P99, [t.values["p99_ms"].value for t in summary.trials]),
    ]


@pytest.fixture
def proposals():
    def fit(n, r2):
        return {"n": n, "loo_r2": r2, "loo_log_likelihood": -1.0}

    batches = [(1, {"accuracy": fit(16, 0.1), "p99_ms": fit(16, None)}), (2, {"accuracy": fit(32, 0.6)}), (3, {})]
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return [ProposalRecord(b, at, "saas-qnehvi", 1.0, 1.0, {"outcomes": o} if o else {}) for b, o in batches]


def test_the_figure_has_both_models_of_each_objective_and_what_matters(summary, outcomes, proposals):
    figure = diagnosis_figure(summary, outcomes, proposals)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[:3] == [
        "accuracy: SAAS, leave-one-out",
        "accuracy: plain Gaussian process, cross-validated",
        "accuracy: what matters (3 more matter less)",
    ]
    assert titles[6:8] == ["hypervolume over trials", "how the search's models learned"]
    assert "R² 0.81" in figure.axes[0].texts[0].get_text()
    assert "R² 0.42" in figure.axes[1].texts[0].get_text()
    assert figure.axes[0].get_xscale() == "linear"
    assert figure.axes[3].get_xscale() == "log"
    assert figure.axes[0].get_xlim() == figure.axes[1].get_ylim()
    assert [label.get_text() for label in figure.axes[2].get_yticklabels()][-1] == "p0"
    assert "accuracy: look at this" in figure.axes[8].texts[0].get_text()


def test_the_files_hold_what_was_found(summary, outcomes, proposals, tmp_path):
    picture, data = write_diagnosis(summary, outcomes, proposals, tmp_path)
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(data.read_text())
    assert found == {**diagnosis_data(summary, outcomes, proposals), "written_at": found["written_at"]}
    assert found["format"] == "hwnas-diagnosis"
    assert found["outcomes"][1]["objective"] == "p99_ms"
    assert found["outcomes"][1]["saas"]["r2"] == 0.81
    assert len(found["outcomes"][0]["plain"]["predicted"]) == 64
    assert found["outcomes"][0]["relevance"]["p1"] == [0.1, 1.9, 2.5]
    assert [batch["batch"] for batch in found["history"]] == [1, 2]
    assert len(found["hypervolume"]) == 64


def test_a_study_of_sobol_points_has_no_course(summary, outcomes):
    figure = diagnosis_figure(summary, outcomes, [])
    assert "no batch was chosen by a model" in figure.axes[7].texts[0].get_text()


def test_a_folder_that_cannot_be_written_is_said(summary, outcomes, tmp_path):
    with pytest.raises(HwnasError, match="cannot write to"):
        write_diagnosis(summary, outcomes, [], tmp_path / "none")


def test_models_that_know_nothing_are_those_of_the_latest_batch(proposals):
    assert doubtful_models([]) == {}
    assert doubtful_models(proposals) == {}  # .6 by now
    first = proposals[0]
    low = first.diagnostics["outcomes"]["accuracy"] | {"loo_r2": 0.05}
    record = ProposalRecord(1, first.at, "saas-qnehvi", 1.0, 1.0, diagnostics={"outcomes": {"accuracy": low}})
    assert doubtful_models([record]) == {"accuracy": {"n": 16, "r2": 0.05}}


def test_what_failures_depend_on_is_that_of_the_latest_batch(proposals):
    assert failure_pattern([]) is None
    assert failure_pattern(proposals) is None
    told = {"failed": 5, "succeeded": 20, "slope": 3.0, "inverse_lengthscales": {"depth": 0.1, "block": 2.0}}

    def record(told):
        return ProposalRecord(9, proposals[0].at, "saas-map", 1.0, 1.0, diagnostics={"feasibility": told})

    pattern = {"failed": 5, "succeeded": 20, "depends_on": "block"}
    assert failure_pattern([*proposals, record(told)]) == pattern
    assert failure_pattern([record(told), *proposals]) is None
    assert failure_pattern([record(told | {"slope": 0.1})]) is None
