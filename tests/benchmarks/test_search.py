import json
import math

import numpy as np
import pytest

from benchmarks.search import problems
from benchmarks.search.methods import METHODS
from benchmarks.search.report import collect, write_report
from benchmarks.search.runs import PROBLEMS, Run, execute, hypervolumes, unfinished
from hwnas.search._pareto import hypervolume, non_dominated

MIXED = ("dtlz2", "branincurrin", "network")


@pytest.mark.parametrize("name", MIXED)
def test_a_problem_has_24_parameters_and_nothing_beats_its_best(name):
    problem = PROBLEMS[name]()
    kinds = [type(parameter).__name__ for parameter in problem.space.parameters]
    assert [kinds.count(kind) for kind in ("Float", "Int", "Ordinal", "Categorical")] == [8, 8, 4, 4]
    some = problem.space.sample(256, np.random.default_rng(0))
    scores = problem.scores(np.array([problem.truth(arch.values) for arch in some]))
    found = hypervolume(scores[non_dominated(scores)], problem.reference)
    assert found > 0
    assert problem.best is None or found < problem.best


def test_the_front_of_dtlz2_is_where_it_is_said_to_be():
    problem = PROBLEMS["dtlz2"]()
    good = {"x3": 0.5, "n2": 4, "n5": 5, "o1": 4, "c2": "date"}
    any_one = problem.space.sample(1, np.random.default_rng(0))[0].values
    front = np.array([problem.truth({**any_one, **good, "x0": x}) for x in np.linspace(0, 1, 2000)])
    found = hypervolume(problem.scores(front), problem.reference)
    assert found == pytest.approx(problem.best, rel=2e-3)


def test_branin_and_currin_have_their_known_values():
    assert problems._branin((math.pi + 5) / 15, 2.275 / 15) == pytest.approx(0.397887, abs=1e-5)
    assert problems._currin(0.0, 0.0) == pytest.approx(3.0)


def test_noise_is_that_of_the_scale_that_is_modelled():
    problem = PROBLEMS["network"]()
    values = problem.space.sample(1, np.random.default_rng(0))[0].values
    rng = np.random.default_rng(1)
    seen = np.array([problem.observe(values, rng) for _ in range(2000)])
    truth = problem.truth(values)
    assert seen[:, 0].std() == pytest.approx(problem.noise[0], rel=0.1)
    assert (np.log(seen[:, 1]) - np.log(truth[1])).std() == pytest.approx(problem.noise[1], rel=0.1)


def truths(path):
    return [row for batch in json.loads(path.read_text())["batches"] for row in batch["truth"]]


def test_a_run_that_goes_on_is_the_one_that_never_stopped(tmp_path, monkeypatch):
    run = Run("dtlz2", "sobol", 3)
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    stopped.mkdir()
    whole.mkdir()
    execute(run, whole, 48)
    observe, calls = problems.Problem.observe, []

    def breaks(problem, values, rng):
        calls.append(values)
        if len(calls) == 40:
            raise KeyboardInterrupt
        return observe(problem, values, rng)

    with monkeypatch.context() as patch:
        patch.setattr(problems.Problem, "observe", breaks)
        with pytest.raises(KeyboardInterrupt):
            execute(run, stopped, 48)
    half = json.loads(run.path(stopped).read_text())
    assert [batch["n"] for batch in half["batches"]] == [16, 16]
    assert len(half["batches"][1]["values"]) == len(half["batches"][1]["seen"]) == 16
    assert list(unfinished([run], stopped, 48)) == [run]
    execute(run, stopped, 48)
    assert truths(run.path(stopped)) == truths(run.path(whole))
    assert list(unfinished([run], stopped, 48)) == []
    assert "values" not in run.path(stopped).read_text()


def test_the_report_says_what_there_is(tmp_path, capsys):
    folder = tmp_path / "search"
    folder.mkdir()
    execute(Run("branincurrin", "sobol", 0), folder, 64)
    execute(Run("branincurrin", "sobol", 1), folder, 32)
    (line,) = collect(folder, 64)
    assert (line.seeds, line.curves.shape) == (1, (1, 64))
    problem = PROBLEMS["branincurrin"]()
    data = Run("branincurrin", "sobol", 0).load(folder)
    assert line.at(64) == hypervolumes(problem, data)[-1]
    assert line.at(128) is None
    assert line.reached(float(line.curves[0, 10])) <= 11
    write_report(folder, 64)
    assert "| **Sobol points** | 1 |" in (tmp_path / "search.md").read_text()
    assert (tmp_path / "search.png").read_bytes().startswith(b"\x89PNG")


def test_every_method_names_a_package():
    assert {entry.needs for entry in METHODS.values()} == {"hwnas", "optuna", "ax"}
