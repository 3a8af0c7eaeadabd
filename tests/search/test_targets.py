import numpy as np
import pytest

from hwnas.errors import ConfigError, SpaceError
from hwnas.search import Objective, SearchSettings, Study, TrialState, Value
from hwnas.search._front import hypervolume_history
from hwnas.search._targets import NO_DEVICE, targets
from hwnas.space import Int, SearchSpace

ACCURACY = Objective("accuracy", "maximize")
ON_A = Objective("p99_ms@a", "minimize", "device", device="a")
ON_B = Objective("p99_ms@b", "minimize", "device", device="b", limit=5.0)
MEMORY_C = Objective("peak_memory_mb@c", "minimize", "device", device="c", limit=9.0, optimize=False)

SPACE = SearchSpace("widths", [Int("width", 1, 99)])


@pytest.fixture
def told(store):
    """Make a study of these objectives whose trials have the figures given, one tuple a trial."""

    def make(objectives, rows, **settings):
        settings = SearchSettings(name="told", trials=len(rows), start=len(rows), **settings)
        study = Study.create(store, settings, SPACE, objectives)
        for trial, row in zip(study.ask(len(rows)), rows, strict=True):
            study.tell(trial, dict(zip([objective.name for objective in objectives], row, strict=True)))
        return study

    return make


def numbers(trials):
    return [trial.number for trial in trials]


# fronts


def test_each_device_has_the_front_of_its_own_figures(told):
    rows = [(0.9, 4.0, 1.0), (0.8, 2.0, 2.0), (0.8, 3.0, 0.5), (0.7, 3.0, 3.0), (0.95, 9.0, 4.0)]
    study = told((ACCURACY, ON_A, ON_B), rows)
    found = study.fronts()
    assert {device: numbers(front) for device, front in found.items()} == {"a": [4, 0, 1], "b": [4, 0, 2]}
    assert numbers(study.pareto_front()) == [4, 0, 1, 2]
    assert numbers(study.winners()) == [4, 0, 1, 2]


def test_a_limit_on_one_device_keeps_nothing_off_the_others_front(told):
    study = told((ACCURACY, ON_A, ON_B), [(0.9, 1.0, 6.0), (0.8, 2.0, 4.0)])
    assert {device: numbers(front) for device, front in study.fronts().items()} == {"a": [0], "b": [1]}
    assert numbers(study.pareto_front()) == [1]
    assert numbers(study.winners()) == [0, 1]


def test_a_device_that_only_limits_holds_for_all():
    own = targets((ACCURACY, ON_A, ON_B, MEMORY_C))
    assert own == {"a": (ACCURACY, ON_A, MEMORY_C), "b": (ACCURACY, ON_B, MEMORY_C)}


def test_with_one_device_or_none_there_is_the_joint_front(told):
    study = told((ACCURACY, ON_A, MEMORY_C), [(0.9, 1.0, 20.0), (0.8, 2.0, 4.0)])
    assert {device: numbers(front) for device, front in study.fronts().items()} == {"a": [1]}
    assert numbers(study.pareto_front()) == [1]
    assert targets((ACCURACY,)) == {NO_DEVICE: (ACCURACY,)}


def test_winners_of_a_joint_search_are_the_joint_front(told):
    study = told((ACCURACY, ON_A, ON_B), [(0.9, 1.0, 2.0), (0.8, 0.9, 2.0), (0.85, 1.0, 1.0)], fronts="joint")
    assert numbers(study.winners()) == numbers(study.pareto_front())


def test_each_device_has_its_hypervolume(told):
    rng = np.random.default_rng(0)
    study = told((ACCURACY, ON_A, ON_B), [tuple(row) for row in rng.uniform(0.5, 2.0, (8, 3))])
    found = study.hypervolume_histories()
    assert list(found) == ["a", "b"]
    trials = study.trials()
    for device, own in (("a", (ACCURACY, ON_A)), ("b", (ACCURACY, ON_B))):
        np.testing.assert_allclose(found[device], hypervolume_history(own, trials))
        assert found[device][-1] > 0.0
    given = study.hypervolume_histories({"accuracy": 0.0, "p99_ms@a": 4.0, "p99_ms@b": 4.0})
    assert (given["a"] > found["a"]).all()


# the baseline


@pytest.fixture
def compared(store, space, objectives):
    """Make a study with a baseline."""

    def make(objectives=objectives, values=None, **settings):
        baseline = space.architecture(
            values or {"depth": 2, "kernel": 3, "block": "mbconv", "expansion": 4, "lr": 0.01}
        )
        settings = SearchSettings(**{"name": "compared", "trials": 8, "batch": 4, "start": 5, **settings})
        return Study.create(store, settings, space, objectives, baseline=baseline)

    return make


def test_the_baseline_is_tried_first_and_alone_then_the_start_is_as_without(compared, make_study, store):
    study, without = compared(), make_study(trials=8, start=5)
    assert study.baseline() is None
    first = study.ask(4)
    assert [(trial.number, trial.origin, trial.architecture) for trial in first] == [
        (0, "baseline", study.reference_architecture)
    ]
    start = study.ask(4)
    assert [trial.id for trial in start] == [trial.id for trial in without.ask(4)]
    assert [trial.batch for trial in start] == [1] * 4
    study.tell(first[0], {"accuracy": 0.9, "p99_ms": 2.0})
    assert study.baseline().values["accuracy"] == Value(0.9)
    assert Study.load(store, "compared").baseline() == study.baseline()
    assert [record.origin for record in study.proposals()] == ["baseline", "sobol"]


def test_an_interrupted_baseline_goes_on_and_is_not_tried_twice(compared, store):
    study = compared()
    (first,) = study.ask(4)
    study.release(first)
    again = Study.load(store, "compared")
    assert [trial.number for trial in again.ask(4)] == [0]
    assert [trial.origin for trial in again.ask(4)] == ["sobol"] * 4


def test_a_baseline_that_a_user_added_first_is_not_proposed_again(compared):
    study = compared()
    study.add([study.reference_architecture], "baseline")
    assert [trial.number for trial in study.ask(1)] == [0]
    assert study.ask(1)[0].origin == "sobol"
    assert study.baseline().number == 0


def test_a_study_without_a_baseline_has_none(study):
    study.ask(1)
    assert study.baseline() is None
    assert study.reference_architecture is None


def test_the_reference_may_be_the_baseline(compared):
    study = compared(
        (
            Objective("accuracy", "maximize", reference="baseline"),
            Objective("p99_ms", "minimize", "device", device="phone", reference="baseline"),
        )
    )
    (first,) = study.ask(1)
    assert study.reference() is None
    study.tell(first, {"accuracy": 0.8, "p99_ms": 2.0})
    assert study.reference() == {"accuracy": 0.8, "p99_ms": 2.0}
    study.tell(study.ask(1)[0], {"accuracy": 0.9, "p99_ms": 1.0})
    assert study.hypervolume_history() == pytest.approx([0.0, 0.1 * np.log(2.0)])
    assert Study.load(study.store, "compared").objectives[0].reference == "baseline"


def test_a_reference_whose_baseline_failed_is_inferred(compared):
    objectives = (Objective("accuracy", "maximize", reference="baseline"), Objective("cost", "minimize", reference=3.0))
    study = compared(objectives, attempts=1)
    study.fail(study.ask(1)[0], "out of memory")
    assert study.baseline().state == TrialState.FAILED
    for trial, accuracy in zip(study.ask(2), (0.5, 0.7), strict=True):
        study.tell(trial, {"accuracy": accuracy, "cost": accuracy})
    assert study.reference() == {"accuracy": pytest.approx(0.48), "cost": 3.0}


def test_a_reference_without_a_baseline_is_refused(make_study):
    with pytest.raises(ConfigError, match="the reference of 'accuracy' is the baseline, and there is none"):
        make_study(objectives=(Objective("accuracy", "maximize", reference="baseline"),))


def test_a_baseline_of_another_space_is_refused(compared, store, objectives):
    with pytest.raises(SpaceError):
        compared(values={"depth": 9, "kernel": 3, "block": "conv", "lr": 0.01})
    other = SearchSpace("widths", [Int("width", 1, 9)])
    architecture = SPACE.architecture({"width": 50})
    with pytest.raises(ConfigError, match=r"the baseline is none of the space.*width"):
        Study.create(store, SearchSettings(name="x"), other, objectives, baseline=architecture)
