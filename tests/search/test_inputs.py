"""What the models see of an architecture: the choices, and figures of its network."""

from pathlib import Path

import numpy as np
import pytest

from hwnas.errors import SpaceError
from hwnas.predictor import NetworkFigures
from hwnas.search import (
    Objective,
    SaasQnehviStrategy,
    SaasSettings,
    Study,
    load_study_config,
    study_with_networks,
)
from hwnas.search import _inputs as module
from hwnas.search._data import outcome_data
from hwnas.search._inputs import NetworkInputs, inputs_of
from hwnas.search._surrogate import fit_surrogate
from hwnas.space import SearchSpace, get_space
from hwnas.space.nasbench201 import cell_from_text, is_live

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits" / "search.toml"
FAST = SaasSettings(fit="map", members=2, mc_samples=8, candidates=32)


@pytest.fixture(scope="module")
def cells():
    return get_space("nasbench201")


def named(inputs, rows):
    return {column.parameter: rows[:, column.index] for column in inputs.columns if column.kind == "float"}


@pytest.mark.parametrize("name", ["digits", "nasbench201"])
def test_the_encoding_comes_first_and_figures_of_the_network_behind_it(name):
    space = get_space(name)
    inputs, notice = inputs_of(space)
    assert notice == ""
    assert inputs.columns[: space.dim] == space.columns
    more = inputs.columns[space.dim :]
    assert 5 <= len(more) <= 20
    assert all(column.parameter.startswith("network: ") for column in more)
    assert [column.index for column in inputs.columns] == list(range(inputs.dim))
    archs = space.sample(40, np.random.default_rng(3))
    rows = inputs.encode(archs)
    assert rows.shape == (40, inputs.dim)
    np.testing.assert_array_equal(rows[:, : space.dim], space.encode(archs))
    assert (rows > -0.2).all()
    assert (rows < 1.2).all()
    assert (np.ptp(rows[:, space.dim :], axis=0) > 0.2).all()  # each of them tells something
    assert inputs.encode([]).shape == (0, inputs.dim)
    np.testing.assert_array_equal(
        inputs_of(space)[0].encode(archs[:3]), rows[:3]
    )  # a search that goes on sees the same


def test_work_is_that_of_the_network():
    space = get_space("digits")
    inputs, _ = inputs_of(space)
    archs = space.sample(30, np.random.default_rng(4))
    macs = [space.graph(arch).macs for arch in archs]
    seen = named(inputs, inputs.encode(archs))["network: macs"]
    assert np.corrcoef(np.log1p(macs), seen)[0, 1] > 0.999


def test_a_cell_that_is_cut_off_is_told_from_one_that_is_not(cells):
    inputs, _ = inputs_of(cells)
    archs = cells.sample(300, np.random.default_rng(5))
    dead = cell_from_text("|none~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|none~0|nor_conv_3x3~1|none~2|")
    seen = named(inputs, inputs.encode([*archs, dead]))["network: live edges"]
    assert (seen > 0).tolist() == [is_live(arch) for arch in [*archs, dead]]


def test_a_space_that_makes_no_networks_is_seen_by_its_choices(space):
    assert inputs_of(space) == (space, "")


def test_what_takes_too_long_is_left_and_that_is_said(cells, monkeypatch):
    monkeypatch.setattr(module, "_MOST_MS", 0.0)
    found, notice = inputs_of(cells)
    assert found is cells
    assert "the models see the choices alone" in notice
    assert "too long" in notice


def test_a_network_that_cannot_be_made_lies_in_the_middle_of_the_others():
    digits = get_space("digits")
    bad = digits.sample(3, np.random.default_rng(6))[1]

    def graph(arch):
        if arch.values == bad.values:
            raise SpaceError("no network", "none")
        return digits.graph(digits.architecture(arch.values))

    space = SearchSpace("some", digits.parameters, digits.constraints, graph=graph)
    inputs, _ = inputs_of(space)
    archs = [space.architecture(arch.values) for arch in digits.sample(3, np.random.default_rng(6))]
    rows = inputs.encode(archs)[:, space.dim :]
    assert (rows[1] == 0.5).all()
    assert not (rows[[0, 2]] == 0.5).all(axis=1).any()


def test_where_no_network_can_be_made_that_is_said():
    digits = get_space("digits")

    def fails(arch):
        raise SpaceError("no network", "none")

    space = SearchSpace("broken", digits.parameters, digits.constraints, graph=fails)
    found, notice = inputs_of(space)
    assert found is space
    assert "'broken' makes none of its networks" in notice


def test_no_network_is_looked_at_twice(cells):
    asked = []
    figures = NetworkFigures(cells)

    def counted(archs):
        asked.extend(arch.id for arch in archs)
        return figures(archs)

    inputs = NetworkInputs(cells, counted, figures.names)
    archs = cells.sample(20, np.random.default_rng(7))
    inputs.encode([*archs, *archs])
    inputs.encode(archs)
    assert len(asked) == len(set(asked))


def test_a_model_that_sees_the_network_predicts_better_from_few_trials(cells, made_up):
    score = Objective("score", "maximize")
    rng = np.random.default_rng(8)
    archs = cells.sample(160, rng)
    figures = NetworkFigures(cells)
    work = figures(archs)[:, figures.names.index("most work on a path")]
    truth = np.sqrt(work) + 0.05 * rng.standard_normal(len(archs))  # of live paths: no choice alone tells
    trials = [made_up.trial(i, arch, {"score": float(y)}) for i, (arch, y) in enumerate(zip(archs, truth, strict=True))]
    known, new = trials[:40], archs[40:]
    errors = []
    for inputs in (inputs_of(cells)[0], cells):
        data = outcome_data(inputs, score, known)
        mean = data.location + data.scale * fit_surrogate(data, FAST, 0).expected(inputs.encode(new))
        errors.append(float(((mean - truth[40:]) ** 2).mean() / truth[40:].var()))
    assert errors[0] < 0.1
    assert errors[0] < errors[1] / 4


@pytest.mark.parametrize("network", [True, False])
def test_the_setting_decides_what_a_search_sees(cells, objectives, made_up, network):
    archs = cells.sample(12, np.random.default_rng(9))
    macs = [cells.graph(arch).macs / 1e8 for arch in archs]
    values = [{"accuracy": float(np.tanh(x)), "p99_ms": 1 + x} for x in macs]
    trials = [made_up.trial(i, arch, told) for i, (arch, told) in enumerate(zip(archs, values, strict=True))]
    settings = FAST.model_copy(update={"network": network})
    told = [
        SaasQnehviStrategy(settings).propose(cells, objectives, trials, 2, np.random.default_rng(0)) for _ in range(2)
    ]
    assert told[0].architectures == told[1].architectures
    assert told[0].notices == ()
    for outcome in told[0].diagnostics["outcomes"].values():
        assert any(name.startswith("network: ") for name in outcome["inverse_lengthscales"]) == network
        assert set(outcome["inverse_lengthscales"]) >= {parameter.name for parameter in cells.parameters}


@pytest.mark.parametrize(("place", "has"), [({"builtin": "digits"}, True), ({"file": "gone.toml"}, False)])
def test_a_study_that_is_looked_at_has_the_networks_of_its_file(store, tmp_path, place, has):
    config = load_study_config(EXAMPLE)
    file = {**config.model_dump(mode="json", exclude_unset=True), "space": place}
    space, objectives = get_space("digits"), config.resolved_objectives()
    Study.create(store, config.search, space, objectives, file=file, source=str(tmp_path / "study.toml"))
    found = study_with_networks(store, config.search.name)
    assert found.space == space
    assert found.space.has_graph == has
