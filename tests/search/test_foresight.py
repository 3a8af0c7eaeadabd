from dataclasses import replace

import numpy as np
import pytest

from hwnas.errors import ConfigError, PredictorError
from hwnas.predictor import PredictorLibrary, save_device_predictor
from hwnas.search import Foresight, Objective, Provenance, SearchSettings, Value
from hwnas.search._foresight import foresight_from_settings
from hwnas.search._trial import TrialState


def settings(latency="auto", **more):
    return SearchSettings(name="first", trials=32, batch=8, start=8, latency=latency, **more)


def measured(trial, p99_ms):
    value = Value(p99_ms, 0.05 * p99_ms, Provenance.MEASURED)
    return replace(trial, values={**trial.values, "p99_ms": value})


@pytest.fixture
def trials(space, made_up):
    """Twenty-four trials in three batches, nothing known of them."""
    found = made_up.complete(space.sample(24, np.random.default_rng(3)))
    return [replace(trial, values={}, state=TrialState.PROPOSED, batch=trial.number // 8) for trial in found]


@pytest.fixture
def foresight(space, objectives):
    return Foresight(space, objectives, settings(auto={"first": 5}))


def tell(trials, numbers, made_up):
    """Return the trials, those of these numbers measured."""
    return [
        measured(trial, made_up.truth(trial.architecture)["p99_ms"]) if trial.number in numbers else trial
        for trial in trials
    ]


def test_the_first_measurements_are_made_before_anything_is_predicted(foresight, trials):
    assert len(foresight.choose(trials, trials[:8], "phone")) == 5
    assert foresight.foretell(trials, trials[:8], "phone") == {}


def test_a_first_batch_that_is_too_small_is_measured_whole(foresight, trials):
    small = [replace(trial, batch=trial.number // 4) for trial in trials]
    assert foresight.choose(small, small[:4], "phone") == [0, 1, 2, 3]


def test_a_batch_that_was_interrupted_is_decided_as_before(foresight, trials, made_up):
    chosen = foresight.choose(trials, trials[:8], "phone")
    done = tell(trials, chosen[:2], made_up)
    left = [trial for trial in done[:8] if not trial.values]
    assert foresight.choose(done, left, "phone") == chosen[2:]


def test_predictions_come_with_their_doubt_and_follow_what_was_measured(foresight, trials, made_up):
    known = tell(trials, range(8), made_up)
    told = foresight.foretell(known, known[8:], "phone")
    assert list(told) == list(range(8, 24))
    values = [told[number]["p99_ms"] for number in told]
    assert all(value.provenance == Provenance.PREDICTED and value.sigma > 0 for value in values)
    true = [made_up.truth(trial.architecture)["p99_ms"] for trial in known[8:]]
    assert np.corrcoef(np.log([value.value for value in values]), np.log(true))[0, 1] > 0.6
    assert foresight.foretell(known, known[8:], "phone") == told
    better = tell(trials, range(16), made_up)
    assert foresight.foretell(better, better[16:], "phone") != {n: told[n] for n in range(16, 24)}


def test_no_more_is_measured_than_the_budget_allows(space, objectives, trials, made_up):
    foresight = Foresight(space, objectives, settings(auto={"first": 5, "doubt": 1e-9, "most": 0.25}))
    known = tell(trials, range(7), made_up)  # of 32 trials 8 may be measured
    assert foresight.budget(known, "phone") == 1
    assert len(foresight.choose(known, known[8:16], "phone")) <= 1


def test_what_the_front_will_cost_at_the_end_is_kept_back(space, objectives, trials, made_up):
    foresight = Foresight(space, objectives, settings(auto={"first": 3, "most": 0.5}))  # 16 of 32 trials
    known = [replace(trial, state=TrialState.COMPLETE) for trial in tell(trials, range(4), made_up)]
    told = foresight.foretell(known, known[4:16], "phone")
    complete = [
        replace(trial, values={**trial.values, **told.get(trial.number, {}), "accuracy": Value(0.5, 0.0)})
        for trial in known[:16]
    ]
    # one accuracy for all: the front is the quickest alone
    quickest = min(complete, key=lambda trial: trial.values["p99_ms"].value)
    due = 1  # predicted, it is to be measured; measured, it is to be measured once more
    assert foresight.budget(complete, "phone") == 16 - 4 - due
    confirmed = [
        replace(trial, again={"p99_ms": trial.values["p99_ms"]}, values=measured(trial, 1e-6).values)
        if trial is quickest
        else trial
        for trial in complete
    ]
    done = 4 + (quickest.number >= 4)
    assert foresight.budget(confirmed, "phone") == 16 - done


def test_prediction_alone_needs_a_predictor_of_the_figure(space, objectives):
    with pytest.raises(ConfigError, match=r"'p99_ms' cannot be predicted"):
        Foresight(space, objectives, settings("predicted", predictor="mine"))


def test_a_trained_predictor_is_used_from_the_start_and_measures_nothing_where_told_so(
    space, objectives, trials, made_up
):
    prior = Foresight(space, objectives, settings(auto={"first": 5}))
    known = tell(trials, range(8), made_up)
    adapted = prior._model(objectives[1], known)
    alone = Foresight(space, objectives, settings("predicted", predictor="mine"), {"phone": adapted})
    assert alone.choose(trials, trials[:8], "phone") == []
    assert set(alone.foretell(trials, trials[:8], "phone")) == set(range(8))
    auto = Foresight(space, objectives, settings(predictor="mine"), {"phone": adapted})
    assert len(auto.choose(trials, trials[:8], "phone")) < 8
    assert set(auto.foretell(trials, trials[:8], "phone")) == set(range(8))


def test_a_predictor_that_is_not_there_is_named(space, objectives, workspace):
    with pytest.raises(PredictorError, match="no predictor 'mine'"):
        foresight_from_settings(space, objectives, settings(predictor="mine"), workspace)
    everything = SearchSettings(name="first")
    assert foresight_from_settings(space, objectives, everything, workspace) is None


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="needs a predictor"):
        settings("predicted")
    with pytest.raises(ValueError, match="uses none"):
        settings("measured", predictor="mine")


def test_every_figure_of_a_device_can_be_foretold(space, trials, made_up):
    both = [
        Objective("p99_ms", "minimize", "device", device="phone"),
        Objective("peak_memory_bytes", "minimize", "device", device="phone"),
    ]
    known = [
        replace(
            trial,
            values={**trial.values, "peak_memory_bytes": Value(1e6 + 1e4 * trial.number, 0.0, Provenance.MEASURED)},
        )
        for trial in tell(trials, range(8), made_up)[:8]
    ]
    told = Foresight(space, both, settings()).foretell([*known, *trials[8:]], trials[8:10], "phone")
    assert set(told[8]) == {"p99_ms", "peak_memory_bytes"}


@pytest.fixture
def stored(workspace, space, objectives, trials, made_up):
    """A predictor `mine` of the workspace; returns what it becomes once it is adapted to the phone."""
    start = Foresight(space, objectives, settings(auto={"first": 5}))
    told = {"name": space.name, "version": space.version, "source": "x.toml", "definition": space.to_json()}
    trained = {"space": {**told, "graph": False}, "metric": "p99_ms"}
    PredictorLibrary(workspace).add("mine", start._prior(), None, trained)
    return start._model(objectives[1], tell(trials, range(8), made_up))


def test_a_stored_predictor_serves_as_it_is_and_adapted(workspace, space, objectives, stored, trials, made_up):
    with pytest.raises(ConfigError, match="'mine' is not adapted to device 'phone'"):
        foresight_from_settings(space, objectives, settings("predicted", predictor="mine"), workspace)
    auto = foresight_from_settings(space, objectives, settings(predictor="mine"), workspace)
    assert len(auto.choose(trials, trials[:8], "phone")) == 8  # of the default `first`
    save_device_predictor(workspace, "mine", stored)
    alone = foresight_from_settings(space, objectives, settings("predicted", predictor="mine"), workspace)
    values = [value["p99_ms"].value for value in alone.foretell(trials, trials[8:], "phone").values()]
    true = [made_up.truth(trial.architecture)["p99_ms"] for trial in trials[8:]]
    assert np.corrcoef(np.log(values), np.log(true))[0, 1] > 0.6
