"""The loop, with trainings and measurements made up in this process."""

import threading
from dataclasses import dataclass, field

import pytest

from hwnas.errors import ConfigError, DeviceConnectionError, EvaluationError, NetworkCrashedError, StudyError
from hwnas.evaluation import EvaluationResult
from hwnas.measurement import MeasurementFailure
from hwnas.network import NetworkFile, TensorSpec
from hwnas.search import (
    BatchProposed,
    FrontRemeasured,
    Objective,
    PhaseStarted,
    Progress,
    Provenance,
    StudyFinished,
    StudyStarted,
    StudyStopped,
    TrialCompleted,
    TrialFailed,
    TrialStarted,
    TrialState,
    ValueRecorded,
    Warned,
    optimize,
)
from hwnas.space import Int, SearchSpace


class Networks:
    """Writes no files, and says what they would be; fails for the trials of `bad`."""

    def __init__(self, tmp_path, bad=()):
        self.tmp_path, self.bad = tmp_path, bad

    def write(self, task, *, cancelled):
        if task.trial in self.bad:
            raise EvaluationError("the exporter said no", "look at it")
        path = self.tmp_path / f"{task.architecture.id}.onnx"
        spec = TensorSpec("x", (1, 1, 8, 8), "float32")
        size = 1000 + task.trial
        return NetworkFile(path, task.architecture.id * 4, "onnx", task.architecture.id, size, (spec,), 100, 10)


class Measured:
    """What the search asks of a measurement."""

    id = None

    def __init__(self, p99_ms):
        self.p99_ms = p99_ms

    def figure(self, metric):
        assert metric == "p99_ms"
        return self.p99_ms, 0.05 * self.p99_ms


@dataclass
class Measurer:
    """Measures by the made-up truth; twice as long when asked again."""

    truth: object
    crash: tuple = ()
    error: Exception = field(default_factory=lambda: NetworkCrashedError("segmentation fault", "fix it"))
    calls: list = field(default_factory=list)

    def measure(self, device, networks, architectures, *, again=False, cancelled, on_progress):
        self.calls.append((device, [architecture.id for architecture in architectures], again))
        on_progress("half way")
        return [self.one(device, *pair, again) for pair in zip(networks, architectures, strict=True)]

    def one(self, device, network, architecture, again):
        if len(self.calls) == 1 and network.size_bytes - 1000 in self.crash:
            return MeasurementFailure(network.name, network.hash, architecture.id, device, self.error)
        p99 = self.truth(architecture)["p99_ms"] * (2.0 if again else 1.0)
        return Measured(p99)


@dataclass
class Evaluator:
    """Trains by the made-up truth; `fails` has the attempts that fail by trial, `hangs` the trials that never end."""

    truth: object
    tmp_path: object
    fails: dict = field(default_factory=dict)
    hangs: tuple = ()
    tasks: list = field(default_factory=list)
    hanging: threading.Event = field(default_factory=threading.Event)

    def evaluate(self, task, *, cancelled):
        from hwnas.errors import StoppedError

        self.tasks.append(task)
        if task.trial in self.hangs:
            self.hanging.set()
            cancelled.wait(30)
            raise StoppedError("told to stop")
        if task.attempt <= self.fails.get(task.trial, 0):
            raise EvaluationError(f"exit code {task.attempt}", "the log has more")
        accuracy = self.truth(task.architecture)["accuracy"]
        extras = {"epoch": 12.0, "p99_ms": 77.0, "a:b": 1.0}
        return EvaluationResult({"accuracy": accuracy}, {"accuracy": 0.01}, 0.1, self.tmp_path / "log", extras)


@pytest.fixture
def tools(made_up, tmp_path):
    """Make the tools of a study: keyword arguments for `optimize`."""

    def make(*, bad=(), crash=(), error=None, **training):
        measurer = Measurer(made_up.truth, crash)
        measurer.error = error or measurer.error
        return {
            "evaluator": Evaluator(made_up.truth, tmp_path, **training),
            "measurer": measurer,
            "networks": Networks(tmp_path, bad),
            "folder": tmp_path / "search",
        }

    return make


def kinds(heard, *wanted):
    return [event for event in heard if isinstance(event, wanted)]


def test_a_study_is_run_to_its_end(study, tools, made_up):
    heard = []
    tooled = tools()
    result = optimize(study, **tooled, workers=2, on_event=heard.append)
    assert result.finished
    assert study.counts()[TrialState.COMPLETE] == 8
    for trial in study.trials():
        true = made_up.truth(trial.architecture)
        assert trial.values["accuracy"].value == true["accuracy"]
        assert trial.values["accuracy"].sigma == 0.01
        assert trial.values["accuracy"].provenance == Provenance.REPORTED
        assert trial.values["p99_ms"].value == pytest.approx(true["p99_ms"])
        assert trial.values["p99_ms"].sigma == pytest.approx(0.05 * true["p99_ms"])
        assert trial.values["p99_ms"].provenance == Provenance.MEASURED
        assert trial.values.keys() == {"accuracy", "p99_ms", "epoch"}
    # two batches are measured whole, then the front once more
    front = study.pareto_front()
    assert [(len(ids), again) for _, ids, again in tooled["measurer"].calls] == [
        (4, False),
        (4, False),
        (len(front), True),
    ]
    assert list(result.front) == front
    for trial in front:
        assert trial.again["p99_ms"].value == pytest.approx(2 * trial.values["p99_ms"].value)
    assert result.hypervolume == study.hypervolume_history()[-1]
    tasks = tooled["evaluator"].tasks
    assert sorted(task.trial for task in tasks) == list(range(8))
    assert len({task.seed for task in tasks}) == 8
    assert {task.folder.name for task in tasks} == {f"{number:04d}" for number in range(8)}
    assert all(task.network_file.name == f"{task.architecture.id}.onnx" for task in tasks)


def test_what_happens_is_heard_in_order(study, tools):
    heard = []
    optimize(study, **tools(), on_event=heard.append)
    assert heard[0] == StudyStarted("first", 8, 0, resumed=False)
    assert isinstance(heard[-1], StudyFinished)
    phases = [event.phase for event in kinds(heard, PhaseStarted)]
    assert phases == ["propose", "network", "measure", "evaluate"] * 2 + ["remeasure"]
    assert len(kinds(heard, BatchProposed)) == 2
    for number in range(8):
        mine = [
            type(event)
            for event in heard
            if getattr(event, "number", None) == number
            or getattr(getattr(event, "trial", None), "number", None) == number
        ]
        assert mine[:3] == [ValueRecorded, TrialStarted, TrialCompleted]
    last = kinds(heard, Progress)[-1]
    assert last.counts["complete"] == last.total == 8
    assert last.left_s is None  # what the front still needs has another pace
    volumes = study.hypervolume_history()
    assert last.growth.trials == 4
    assert last.growth.share == pytest.approx((volumes[-1] - volumes[3]) / volumes[-1])
    assert last.hypervolume == volumes[-1] > 0.0
    assert kinds(heard, Progress)[0].left_s is None
    assert [event.after.value / event.before.value for event in kinds(heard, FrontRemeasured)] == pytest.approx(
        [2.0] * len(study.pareto_front())
    )


def test_failures_stay_with_their_trials(study, tools):
    heard = []
    tooled = tools(bad=(0,), crash=(1,), fails={2: 1, 3: 2, 6: 2})
    result = optimize(study, **tooled, workers=2, on_event=heard.append)
    assert result.finished
    states = {trial.number: trial for trial in study.trials()}
    assert {n: trial.error for n, trial in states.items() if trial.state == TrialState.FAILED} == {
        0: "the exporter said no\nlook at it",
        3: "exit code 2\nthe log has more",
        6: "exit code 2\nthe log has more",
    }
    assert states[1].attempts == states[2].attempts == 2  # the second attempt succeeded
    assert states[1].state == states[2].state == TrialState.COMPLETE
    assert "p99_ms" in states[3].values
    failed = [(event.number, event.error, event.retried) for event in kinds(heard, TrialFailed)]
    assert (1, "segmentation fault", True) in failed
    assert (3, "exit code 2", False) in failed
    seeds = [task.seed for task in tooled["evaluator"].tasks if task.trial == 3]
    assert len(set(seeds)) == 2


def test_it_gives_up_when_nothing_ever_works(study, tools):
    with pytest.raises(StudyError, match="all 4 trials so far failed; the last, trial 3: exit code 2"):
        optimize(study, **tools(fails=dict.fromkeys(range(8), 2)))
    assert study.counts()[TrialState.FAILED] == 4


def test_a_lost_device_ends_the_search_and_burns_no_trial(study, tools):
    lost = DeviceConnectionError("the phone is gone", "plug it in")
    with pytest.raises(DeviceConnectionError, match="the phone is gone"):
        optimize(study, **tools(crash=(2,), error=lost))
    assert study.counts()[TrialState.PROPOSED] == 4
    assert [("p99_ms" in trial.values, trial.attempts, trial.owner) for trial in study.trials()] == [
        (number != 2, 0, None) for number in range(4)
    ]
    tooled = tools()
    assert optimize(study, **tooled).finished
    assert [len(ids) for _, ids, _ in tooled["measurer"].calls][:2] == [1, 4]


def test_a_stop_ends_trainings_and_hands_their_trials_back(study, tools):
    tooled, stop, heard = tools(hangs=(2,)), threading.Event(), []
    threading.Thread(target=lambda: tooled["evaluator"].hanging.wait(30) and stop.set()).start()
    result = optimize(study, **tooled, on_event=heard.append, stop=stop)
    assert not result.finished
    assert [trial.state for trial in study.trials()] == ["complete", "complete", "proposed", "proposed"]
    assert [trial.attempts for trial in study.trials()] == [1, 1, 0, 0]
    stopped = heard[-1]
    assert isinstance(stopped, StudyStopped)
    assert (stopped.finished, stopped.total) == (2, 8)
    assert "hwnas search resume first" in stopped.hint

    again = tools()
    resumed = []
    assert optimize(study, **again, on_event=resumed.append).finished
    assert resumed[0] == StudyStarted("first", 8, 2, resumed=True)
    assert sorted(task.trial for task in again["evaluator"].tasks) == list(range(2, 8))
    assert [len(ids) for _, ids, _ in again["measurer"].calls][:1] == [4]  # the first batch was measured before


def test_a_stop_before_anything_does_nothing(study, tools):
    stop = threading.Event()
    stop.set()
    assert not optimize(study, **tools(), stop=stop).finished
    assert study.trials() == []


def test_a_bug_of_the_evaluator_ends_the_search_with_its_trials_handed_back(study, tools):
    tooled = tools()
    tooled["evaluator"].truth = {}.__getitem__
    with pytest.raises(KeyError):
        optimize(study, **tooled)
    assert study.counts()[TrialState.PROPOSED] == 4
    assert all(trial.owner is None for trial in study.trials())


def test_a_finished_study_is_left_as_it_is(study, tools):
    optimize(study, **tools())
    tooled = tools()
    before = study.trials()
    assert optimize(study, **tooled).finished
    assert tooled["measurer"].calls == []
    assert study.trials() == before


def test_the_front_is_not_measured_again_where_that_is_not_wanted(make_study, tools):
    tooled = tools()
    optimize(make_study(remeasure=False), **tooled)
    assert not any(again for _, _, again in tooled["measurer"].calls)


def test_computed_objectives_need_no_training(make_study, tools):
    study = make_study(
        objectives=[Objective("size_bytes", "minimize", "network"), Objective("macs", "minimize", "network")]
    )
    tooled = tools()
    assert optimize(study, networks=tooled["networks"]).finished
    value = study.trial(3).values["size_bytes"]
    assert (value.value, value.sigma, value.provenance) == (1003.0, 0.0, Provenance.COMPUTED)


def test_several_devices_are_measured_and_trained_for_once(make_study, tools):
    objectives = [
        Objective("accuracy", "maximize"),
        *(Objective(f"p99_ms@{device}", "minimize", "device", device) for device in ("phone", "watch")),
    ]
    study, tooled = make_study(objectives=objectives), tools()
    assert optimize(study, **tooled).finished
    assert [device for device, _, _ in tooled["measurer"].calls][:4] == ["phone", "watch"] * 2
    assert len(tooled["evaluator"].tasks) == 8
    assert study.trial(0).values.keys() >= {"p99_ms@phone", "p99_ms@watch"}


def test_the_members_of_every_devices_front_are_measured_again_on_all(make_study, tools):
    """The watch is fast where the phone is slow, so the two fronts differ."""

    class Opposed(Measurer):
        def one(self, device, network, architecture, again):
            found = super().one(device, network, architecture, again)
            return Measured(1.0 / found.p99_ms) if device == "watch" else found

    objectives = [
        Objective("accuracy", "maximize"),
        *(Objective(f"p99_ms@{device}", "minimize", "device", device) for device in ("phone", "watch")),
    ]
    study, tooled = make_study(objectives=objectives), tools()
    tooled["measurer"] = Opposed(tooled["measurer"].truth)
    optimize(study, **tooled)
    fronts = {device: {trial.id for trial in front} for device, front in study.fronts().items()}
    assert fronts["phone"] != fronts["watch"]
    again = {device: set(ids) for device, ids, again in tooled["measurer"].calls if again}
    assert again == dict.fromkeys(("phone", "watch"), fronts["phone"] | fronts["watch"])
    assert len(fronts["phone"] | fronts["watch"]) < 8


def test_what_objectives_need_is_asked_for(study, tools):
    tooled = tools()
    for missing, said in [
        ("evaluator", "'accuracy' comes from a training, and there is no evaluator"),
        ("measurer", "'p99_ms' is measured, and there is no measurer"),
        ("networks", "'p99_ms' is had from a network file"),
    ]:
        with pytest.raises(ConfigError, match=said):
            optimize(study, **{**tooled, missing: None})
    assert study.trials() == []


def test_a_space_that_is_used_up_ends_the_study_early(make_study, tools, made_up):
    study = make_study(
        space=SearchSpace("tiny", [Int("depth", 1, 6)]), objectives=[Objective("size_bytes", "minimize", "network")]
    )
    heard = []
    result = optimize(study, networks=tools()["networks"], on_event=heard.append)
    assert not result.finished
    assert study.counts()[TrialState.COMPLETE] == 6
    assert kinds(heard, Warned)[0].message.startswith("the study ends early")


def test_trials_of_others_are_left_to_them(study, tools, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    study.ask(2)
    monkeypatch.undo()
    heard = []
    result = optimize(study, **tools(), on_event=heard.append)
    assert not result.finished
    assert study.counts() == {**dict.fromkeys(TrialState, 0), TrialState.COMPLETE: 6, TrialState.PROPOSED: 2}
    assert "held by other processes: 2 trials, by elsewhere:" in kinds(heard, Warned)[0].message
    assert not kinds(heard, FrontRemeasured, StudyFinished)  # the front may still change
    assert heard[-1] == StudyStopped("first", 6, 8, "the processes that hold the others go on")


def test_a_network_that_cannot_be_written_any_more_is_told_and_the_others_are_measured(study, tools):
    tooled, heard = tools(), []
    plain = tooled["networks"].write

    def write(task, *, cancelled):
        if len(study.trials(TrialState.COMPLETE)) == 8 and task.trial == study.pareto_front()[0].number:
            raise EvaluationError("the exporter is gone", "bring it back")
        return plain(task, cancelled=cancelled)

    tooled["networks"].write = write
    assert optimize(study, **tooled, on_event=heard.append).finished
    first, *others = study.pareto_front()
    assert [event.number for event in kinds(heard, FrontRemeasured)] == [trial.number for trial in others] != []
    assert f"trial {first.number} could not be measured again: the exporter is gone" in [
        event.message for event in kinds(heard, Warned)
    ]


def test_a_trial_that_somebody_told_meanwhile_is_left_alone(study, tools):
    tooled, heard = tools(), []
    plain = tooled["evaluator"].evaluate

    def overtaken(task, *, cancelled):
        if task.trial == 1:
            study.tell(1, {"accuracy": 0.123})
        return plain(task, cancelled=cancelled)

    tooled["evaluator"].evaluate = overtaken
    assert optimize(study, **tooled, on_event=heard.append).finished
    assert study.trial(1).values["accuracy"].value == 0.123
    assert "trial 1 is complete" in kinds(heard, Warned)[0].message
