import math
import multiprocessing
import os
import signal
import subprocess
import sys
from datetime import UTC

import numpy as np
import pytest

from hwnas.errors import ConfigError, IllegalMoveError, SpaceError, StudyError, StudyNotFoundError
from hwnas.search import (
    BatchProposed,
    Objective,
    Proposals,
    Provenance,
    SearchSettings,
    SobolStrategy,
    Study,
    TrialState,
    Value,
    Warned,
)
from hwnas.space import Int, SearchSpace
from hwnas.store import Store

# beginning and end


def test_a_study_is_the_same_after_loading(store, study, space, objectives):
    again = Study.load(store, "first")
    assert (again.settings, again.objectives, again.space) == (study.settings, objectives, space)
    assert Study.names(store) == ["first"]


def test_a_name_is_taken_once_and_free_after_removal(store, make_study):
    study = make_study()
    study.tell(study.ask(1)[0], {"accuracy": 0.9, "p99_ms": 1.0})
    with pytest.raises(StudyError, match="there is a study 'first' already"):
        make_study()
    Study.remove(store, "first")
    assert make_study().trials() == []
    with pytest.raises(StudyNotFoundError, match="no study 'second'"):
        Study.remove(store, "second")


def test_a_missing_study_is_named_with_the_nearest(store, study):
    with pytest.raises(StudyNotFoundError, match="did you mean 'first'"):
        Study.load(store, "frist")


def test_another_space_is_refused(store, study):
    with pytest.raises(StudyError, match="searches another space"):
        Study.load(store, "first", SearchSpace("cells", [Int("depth", 1, 4)]))


def test_objectives_are_checked(make_study):
    with pytest.raises(ConfigError, match="no objective is to be optimised"):
        make_study(objectives=[])


def test_a_study_can_be_made_longer_and_nothing_else(store, make_study):
    study = make_study(trials=2)
    for trial in study.ask(4):
        study.tell(trial, {"accuracy": 0.9, "p99_ms": 1.0})
    assert study.is_finished
    study.resize(trials=3, workers=5)
    assert not study.is_finished
    assert (
        Study.load(store, "first").settings
        == study.settings
        == SearchSettings(name="first", trials=3, batch=4, start=8, workers=5)
    )
    with pytest.raises(ConfigError, match="trials"):
        study.resize(trials=0)


# asking


def test_ask_gives_new_valid_architectures_until_the_study_has_all(study, space):
    first, second = study.ask(5), study.ask(5)
    assert [trial.number for trial in first + second] == list(range(8))
    assert [trial.batch for trial in first + second] == [0] * 5 + [1] * 3
    assert len({trial.id for trial in first + second}) == 8
    for trial in first + second:
        space.validate(trial.architecture.values)
    assert study.ask(5) == []


def test_the_start_goes_on_with_one_sobol_sequence(make_study, space):
    study = make_study()
    asked = [trial.id for size in (3, 1, 4) for trial in study.ask(size)]
    whole = SobolStrategy(0).propose(space, study.objectives, [], 8, np.random.default_rng(9))
    assert asked == [architecture.id for architecture in whole.architectures]


def test_the_strategy_takes_over_after_the_start_and_is_seeded_by_study_and_batch(make_study, listed):
    study = make_study(start=3, seed=5)
    study.strategy = listed
    assert [len(study.ask(4)) for _ in range(3)] == [3, 4, 1]
    seeds = [int(np.random.default_rng(np.random.SeedSequence([5, batch])).integers(2**31)) for batch in (1, 2)]
    assert listed.calls == [(3, 4, seeds[0]), (7, 1, seeds[1])]
    assert [trial.origin for trial in study.trials()] == ["sobol"] * 3 + ["listed"] * 5


def test_ask_says_what_it_proposed_and_keeps_what_it_cost(study):
    heard = []
    study.ask(2, on_event=heard.append)
    (event,) = heard
    assert isinstance(event, BatchProposed)
    assert (event.batch, event.trials, event.origin) == (0, (0, 1), "sobol")
    (kept,) = study.proposals()
    assert (kept.batch, kept.origin, kept.acquisition_s) == (0, "sobol", event.acquisition_s)
    assert kept.at.tzinfo == UTC


def test_notices_of_a_strategy_are_heard(make_study, listed):
    class Noting:
        name = "noting"

        def propose(self, *args, **kwargs):
            return Proposals(listed.propose(*args, **kwargs).architectures, self.name, notices=("look here",))

    study = make_study(start=0)
    study.strategy = Noting()
    heard = []
    study.ask(1, on_event=heard.append)
    assert heard[1] == Warned("look here")


def test_what_another_process_proposed_meanwhile_is_proposed_by_nobody_else(make_study, store, space, listed):
    class Overtaken:
        """Proposes the same architectures as a rival, who stores them first."""

        name = "overtaken"

        def propose(self, *args, **kwargs):
            proposals = listed.propose(*args, **kwargs)
            if len(listed.calls) == 1:
                rival.strategy = type(listed)(listed.architectures)
                rival.ask(4)
            return proposals

    study, rival = make_study(start=0, trials=40), Study.load(store, "first", space)
    study.strategy = Overtaken()
    mine = study.ask(4)
    assert len(listed.calls) == 2
    assert [trial.architecture for trial in study.trials()] == listed.architectures[:8]
    assert [trial.architecture for trial in mine] == listed.architectures[4:8]


def test_a_small_space_is_used_up_to_the_last_architecture(make_study):
    study = make_study(space=SearchSpace("tiny", [Int("depth", 1, 5)]), trials=9, start=9)
    assert len(study.ask(4)) == 4
    assert len(study.ask(4)) == 1
    with pytest.raises(SpaceError):
        study.ask(4)


def test_a_strategy_that_repeats_itself_is_an_error_and_not_a_loop(make_study, listed):
    study = make_study(start=0, trials=40)
    study.strategy = type(listed)(listed.architectures[:1])
    assert len(study.ask(2)) == 1
    with pytest.raises(StudyError, match="'listed' proposed nothing new"):
        study.ask(2)


def test_asking_for_nothing_is_an_error(study):
    with pytest.raises(ConfigError, match=r"ask\(0\)"):
        study.ask(0)


def test_added_architectures_are_given_out_first(make_study, listed):
    study = make_study()
    added = study.add([listed.architectures[0], listed.architectures[0], listed.architectures[1]])
    assert [trial.architecture for trial in added] == listed.architectures[:2]
    assert [trial.number for trial in study.ask(4)] == [0, 1]
    assert study.trial(0).origin == "given"


# telling


def test_values_come_in_parts_and_keep_where_they_come_from(study):
    (trial,) = study.ask(1)
    study.record(trial, {"p99_ms": Value(2.0, 0.1, Provenance.MEASURED)})
    study.start(trial)
    done = study.tell(trial, {"accuracy": 0.9, "epochs": 12})
    assert done.state == TrialState.COMPLETE
    assert done.values == {
        "p99_ms": Value(2.0, 0.1, Provenance.MEASURED),
        "accuracy": Value(0.9, None, Provenance.REPORTED),
        "epochs": Value(12.0),
    }
    assert done.attempts == 1
    assert done.owner is None
    assert done.duration_s >= 0.0


def test_a_trial_is_told_from_proposed_with_every_move_on_record(study):
    (trial,) = study.ask(1)
    study.tell(trial, {"accuracy": 0.9, "p99_ms": 2.0})
    assert [(old, new) for _, old, new, _ in study.moves(trial)] == [
        (None, "proposed"),
        ("proposed", "running"),
        ("running", "complete"),
    ]


def test_telling_twice_is_refused_and_the_first_counts(study):
    (trial,) = study.ask(1)
    study.tell(trial, {"accuracy": 0.9, "p99_ms": 2.0})
    with pytest.raises(IllegalMoveError, match="trial 0 is complete and cannot become complete"):
        study.tell(trial, {"accuracy": 0.1, "p99_ms": 9.0})
    with pytest.raises(StudyError, match="trial 0 is complete: its values are not taken"):
        study.record(trial, {"loss": 0.1})
    assert study.trial(0).values["accuracy"].value == 0.9


def test_a_value_is_told_once(study):
    (trial,) = study.ask(1)
    study.record(trial, {"p99_ms": 2.0})
    with pytest.raises(StudyError, match="was told its p99_ms already: 2, and now 3"):
        study.tell(trial, {"accuracy": 0.9, "p99_ms": 3.0})
    assert study.trial(0).state == TrialState.PROPOSED
    assert study.trial(0).values.keys() == {"p99_ms"}


def test_a_trial_without_all_values_is_not_complete_and_nothing_is_kept(study):
    (trial,) = study.ask(1)
    with pytest.raises(StudyError, match="trial 0 lacks p99_ms"):
        study.tell(trial, {"accuracy": 0.9})
    assert study.trial(0).state == TrialState.PROPOSED
    assert study.trial(0).values == {}


@pytest.mark.parametrize("bad", [math.nan, math.inf, Objective])
def test_what_is_no_number_is_refused_by_name(study, bad):
    (trial,) = study.ask(1)
    with pytest.raises(StudyError, match=r"trial 0, accuracy: .* is not a"):
        study.tell(trial, {"accuracy": bad, "p99_ms": 1.0})
    assert study.trial(0).state == TrialState.PROPOSED


def test_a_latency_is_positive(study):
    (trial,) = study.ask(1)
    with pytest.raises(StudyError, match="trial 0, p99_ms: 0 is not positive"):
        study.record(trial, {"p99_ms": 0.0})


def test_out_of_order_is_fine(study):
    for trial in reversed(study.ask(4)):
        study.tell(trial, {"accuracy": 0.5, "p99_ms": 1.0})
    assert study.counts()[TrialState.COMPLETE] == 4


def test_what_is_told_late_counts_where_nobody_else_has_told_it(study, monkeypatch):
    """The trials of a process that was taken for dead are given out again; it lives, and tells them after all."""
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    slow = study.ask(3)
    for trial in slow:
        study.start(trial)
    monkeypatch.undo()
    study.reset_stale(everywhere=True)
    again = study.ask(3)
    assert [trial.number for trial in again] == [trial.number for trial in slow]
    study.start(again[0])
    study.tell(again[1], {"accuracy": 0.4, "p99_ms": 1.0})
    study.abandon(again[2], "hopeless")

    study.tell(slow[0], {"accuracy": 0.5, "p99_ms": 1.0})  # late, and the first
    with pytest.raises(IllegalMoveError, match="trial 0 is complete"):
        study.tell(again[0], {"accuracy": 0.6, "p99_ms": 1.0})
    for late, state in ((slow[1], "complete"), (slow[2], "abandoned")):
        with pytest.raises(IllegalMoveError, match=f"trial {late.number} is {state} and cannot become"):
            study.tell(late, {"accuracy": 0.6, "p99_ms": 1.0})
        with pytest.raises(IllegalMoveError, match=f"trial {late.number} is {state} and cannot become"):
            study.fail(late, "too late")
    assert [trial.values["accuracy"].value for trial in study.trials(TrialState.COMPLETE)] == [0.5, 0.4]


def test_a_trial_told_after_the_study_has_all_is_kept(make_study):
    study = make_study(trials=2)
    first, last = study.ask(2)
    study.tell(last, {"accuracy": 0.5, "p99_ms": 1.0})
    assert study.ask(1) == []
    assert not study.is_finished
    study.tell(first, {"accuracy": 0.9, "p99_ms": 1.0})
    assert study.is_finished
    assert [trial.number for trial in study.pareto_front()] == [0]


def test_an_unknown_trial_is_named(study):
    for action in (study.start, study.trial, study.release, lambda n: study.fail(n, "x"), lambda n: study.tell(n, {})):
        with pytest.raises(StudyError, match="no trial 7"):
            action(7)


# failing, giving up, handing back


def test_a_failed_trial_is_tried_again_and_then_stays_failed(make_study):
    study = make_study(attempts=2)
    (trial,) = study.ask(1)
    study.record(trial, {"p99_ms": 2.0})
    study.start(trial)
    once = study.fail(trial, "out of memory")
    assert (once.state, once.attempts, once.error) == (TrialState.PROPOSED, 1, "out of memory")
    study.start(trial)
    twice = study.fail(trial, ValueError("diverged"))
    assert (twice.state, twice.attempts, twice.error) == (TrialState.FAILED, 2, "diverged")
    assert twice.values["p99_ms"].value == 2.0
    with pytest.raises(IllegalMoveError):
        study.tell(trial, {"accuracy": 0.9})
    again = study.retry(trial)
    assert (again.state, again.attempts) == (TrialState.PROPOSED, 0)
    assert study.ask(4) == [study.trial(0)]
    assert study.tell(trial, {"accuracy": 0.9}).error is None


def test_a_failed_trial_is_given_out_next_unless_the_process_keeps_it(make_study):
    study = make_study(attempts=3)
    (trial,) = study.ask(1)
    study.start(trial)
    study.fail(trial, "no luck", keep=True)
    assert [other.number for other in study.ask(1)] == [1]
    study.fail(trial, "no luck again")
    assert [other.number for other in study.ask(1)] == [0]


def test_a_loop_of_ones_own_comes_to_an_end_where_a_trial_fails_once(make_study):
    study = make_study(trials=4, attempts=2, start=4)
    failed = set()
    while trials := study.ask(2):
        for trial in trials:
            if trial.number == 1 and not failed:
                failed.add(study.fail(trial, "no luck").number)
            else:
                study.tell(trial, {"accuracy": 0.5, "p99_ms": 1.0})
    assert failed == {1}
    assert study.is_finished
    assert {trial.state for trial in study.trials()} == {TrialState.COMPLETE}


def test_an_abandoned_trial_is_over(study):
    (trial,) = study.ask(1)
    assert study.abandon(trial, "too wide").error == "too wide"
    for action in (study.start, study.release, study.retry, lambda t: study.fail(t, "x")):
        with pytest.raises(IllegalMoveError):
            action(trial)


def test_a_released_trial_is_given_out_next_and_its_attempt_does_not_count(study):
    first, second = study.ask(2)
    study.start(first)
    study.release(first)
    study.release(second)
    again = study.ask(4)
    assert [trial.number for trial in again] == [0, 1]
    assert [trial.attempts for trial in again] == [0, 0]


def test_of_two_that_start_one_trial_one_fails(study):
    (trial,) = study.ask(1)
    study.start(trial)
    with pytest.raises(IllegalMoveError, match="trial 0 is running and cannot become running"):
        study.start(trial)


# several processes


def hold(url, done, count):
    """Ask for one trial at a time, in a process of its own."""
    study = Study.load(Store.open(url), "first")
    while trials := study.ask(count):
        for trial in trials:
            study.start(trial)
            done.put(trial.number)
            study.tell(trial, {"accuracy": 0.5, "p99_ms": 1.0})


@pytest.mark.parametrize("settings", [{"start": 30}, {"start": 2, "strategy": "random"}], ids=["start", "strategy"])
def test_processes_that_ask_at_once_never_get_the_same_trial(make_study, workspace, settings):
    study = make_study(trials=30, **settings)
    context = multiprocessing.get_context("spawn")
    done = context.Queue()
    processes = [context.Process(target=hold, args=(workspace.store_url, done, count)) for count in (1, 3)]
    for process in processes:
        process.start()
    got = [done.get(timeout=60) for _ in range(30)]
    for process in processes:
        process.join(timeout=60)
    assert sorted(got) == list(range(30))
    assert all(process.exitcode == 0 for process in processes)
    assert study.counts()[TrialState.COMPLETE] == 30
    assert len({trial.id for trial in study.trials()}) == 30


DIES = """
import os, signal, sys
from hwnas.search import Study
from hwnas.store import Store
study = Study.load(Store.open(sys.argv[1]), "first")
first, second, third = study.ask(3)
study.start(first)
study.start(second)
study.record(second, {"p99_ms": 2.0})
study.tell(third, {"accuracy": 0.5, "p99_ms": 1.0})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_trials_of_a_killed_process_are_given_out_again_with_what_is_known(study, workspace):
    died = subprocess.run([sys.executable, "-c", DIES, workspace.store_url], check=False)
    assert died.returncode == -signal.SIGKILL
    assert [trial.state for trial in study.trials()] == ["running", "running", "complete"]
    again = study.ask(4)
    assert [(trial.number, trial.state, trial.attempts) for trial in again] == [(0, "proposed", 0), (1, "proposed", 0)]
    assert again[1].values["p99_ms"].value == 2.0
    assert [new for _, _, new, _ in study.moves(0)] == ["proposed", "running", "stale", "proposed"]
    assert str(os.getpid()) in again[0].owner
    assert [trial.number for trial in study.ask(1)] == [3]


def test_trials_of_other_machines_come_back_only_when_told_so(study, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    started, _ = study.ask(2)
    study.start(started)
    monkeypatch.undo()
    assert study.reset_stale() == []
    assert [trial.number for trial in study.ask(1)] == [2]
    assert [trial.number for trial in study.reset_stale(everywhere=True)] == [0, 1]
    assert [trial.number for trial in study.ask(4)] == [0, 1]


# reading


def test_the_front_the_best_and_the_hypervolume(make_study):
    objectives = [
        Objective("accuracy", "maximize", reference=0.0, limit=0.2),
        Objective("p99_ms", "minimize", log=True, reference=math.e**2),
    ]
    study = make_study(objectives=objectives)
    told = [(0.5, math.e), (0.9, 1.0), (0.4, 1.0), (0.1, 0.01), (0.3, 0.5), (0.95, 20.0)]
    for (accuracy, p99_ms), trial in zip(told, study.ask(4) + study.ask(2), strict=True):
        study.tell(trial, {"accuracy": accuracy, "p99_ms": p99_ms})
    assert [trial.number for trial in study.pareto_front()] == [5, 1, 4]
    assert study.best_under(p99_ms=1.0).number == 1
    assert study.best_under(p99_ms=0.6).number == 4
    assert study.best_under(p99_ms=0.1) is None
    assert study.best_under(accuracy=0.95).number == 5
    assert study.reference() == {"accuracy": 0.0, "p99_ms": math.e**2}
    gain = 0.3 * math.log(1.0 / 0.5)
    assert study.hypervolume_history() == pytest.approx([0.5, 1.8, 1.8, 1.8, 1.8 + gain, 1.8 + gain])
    shifted = study.hypervolume_history({"accuracy": 0.0, "p99_ms": math.e})
    assert shifted == pytest.approx([0.0, 0.9, 0.9, 0.9, 0.9 + gain, 0.9 + gain])
    with pytest.raises(StudyError, match="'p98_ms' is no objective"):
        study.best_under(p98_ms=1.0)
    with pytest.raises(StudyError, match="every objective is limited"):
        study.best_under(p99_ms=1.0, accuracy=0.5)


def test_an_empty_study_has_an_empty_front(study):
    assert study.pareto_front() == []
    assert study.reference() is None
    assert study.best_under(p99_ms=1.0) is None
    assert len(study.hypervolume_history()) == 0
    study.tell(study.ask(1)[0], {"accuracy": 0.5, "p99_ms": 1.0})
    assert study.hypervolume_history() > 0.0


def test_second_values_stand_beside_the_first(study):
    (trial,) = study.ask(1)
    with pytest.raises(StudyError, match="trial 0 is proposed: its values are not taken"):
        study.record_again(trial, {"p99_ms": 1.5})
    study.tell(trial, {"accuracy": 0.5, "p99_ms": 1.0})
    done = study.record_again(trial, {"p99_ms": 1.5})
    assert done.values["p99_ms"].value == 1.0
    assert done.again == {"p99_ms": Value(1.5)}
    assert study.record_again(trial, {"p99_ms": 1.6}).again["p99_ms"].value == 1.6


def test_a_removed_study_says_so(store, study):
    Study.remove(store, "first")
    with pytest.raises(StudyError, match="the study was removed"):
        study.ask(1)


def test_a_study_cannot_be_made_smaller_than_it_is(study):
    study.ask(3)
    with pytest.raises(ConfigError, match="has 3 trials, and cannot have 2"):
        study.resize(trials=2)
    study.resize(trials=3)
    assert study.settings.trials == 3


def test_an_abandoned_trial_keeps_what_it_is_given_up_with_or_nothing_happens(study):
    (trial,) = study.ask(1)
    study.record(trial, {"accuracy": 0.4})
    with pytest.raises(StudyError, match="accuracy already"):
        study.abandon(trial, "hopeless", {"accuracy": 0.5})
    assert study.trial(trial.number).state == TrialState.PROPOSED
    over = study.abandon(trial, "hopeless", {"p99_ms": Value(2.0, 0.1, Provenance.PREDICTED)})
    assert over.values["p99_ms"].provenance == Provenance.PREDICTED
    assert over.state == TrialState.ABANDONED
