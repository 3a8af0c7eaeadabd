"""What to try next: studies and their trials, and the strategies that propose them.

A study asks for nothing but a space and objectives. No device and no training is needed to use it: ask for
architectures, find out what they are like in whatever way, and tell.

>>> import tempfile
>>> from hwnas.search import Objective, SearchSettings, Study
>>> from hwnas.space import Categorical, Int, SearchSpace
>>> from hwnas.store import Store
>>> store = Store.open(f"sqlite:///{tempfile.mkdtemp()}/hwnas.sqlite")
>>> space = SearchSpace("cells", [Int("depth", 1, 8), Categorical("op", ("conv", "pool"))])
>>> objectives = [Objective("accuracy", "maximize"), Objective("p99_ms", "minimize", limit=6.0, log=True)]
>>> study = Study.create(store, SearchSettings(name="first", trials=12, start=12), space, objectives)
>>> while trials := study.ask(4):
...     for trial in trials:
...         depth, op = trial.architecture["depth"], trial.architecture["op"]
...         accuracy = 1 - 0.5**depth if op == "conv" else 0.5
...         _ = study.tell(trial, {"accuracy": accuracy, "p99_ms": float(depth)})
>>> study.is_finished
True
>>> [dict(trial.architecture.values) for trial in study.pareto_front()][0]
{'depth': 6, 'op': 'conv'}
>>> study.best_under(p99_ms=3.0).values["accuracy"].value
0.875

The same study is there in another process, and after a crash: `Study.load(store, "first")`. `run_study` does all of it
from a study file, with devices and trainings, and `optimize` is that loop for a study of one's own.
"""

from hwnas.search._config import (
    AutoSettings,
    SaasSettings,
    SearchSettings,
    StoppingSettings,
    StudyConfig,
    load_study_config,
)
from hwnas.search._counts import LatencyCounts, latency_counts
from hwnas.search._devices import DeviceMeasurer
from hwnas.search._diagnosis import LEAST_R2, LeaveOneOut, OutcomeDiagnosis, diagnose
from hwnas.search._events import (
    BatchProposed,
    Event,
    FrontRemeasured,
    Growth,
    LatencyForeseen,
    LatencySettled,
    MeasurementProgress,
    PhaseStarted,
    Progress,
    ReplicaCompleted,
    ReplicaFailed,
    StudyFinished,
    StudyStarted,
    StudyStopped,
    TrialAbandoned,
    TrialCompleted,
    TrialFailed,
    TrialStarted,
    ValueRecorded,
    Warned,
)
from hwnas.search._evolution import LocalSearchStrategy, Nsga2Strategy, RandomStrategy
from hwnas.search._foresight import Foresight
from hwnas.search._ledger import ProposalRecord
from hwnas.search._networks import CommandNetworks, GraphNetworks, NetworkSource
from hwnas.search._noise import Noise
from hwnas.search._objective import BASELINE, Objective
from hwnas.search._optimize import StudyResult, optimize
from hwnas.search._presence import is_at_work
from hwnas.search._replica_rows import Replica
from hwnas.search._run import resume_study, run_study, study_with_networks
from hwnas.search._saas import SaasQnehviStrategy
from hwnas.search._significance import Difference, compare_trials, difference, t_quantile
from hwnas.search._strategy import Proposals, SobolStrategy, Strategy
from hwnas.search._study import Study
from hwnas.search._targets import hypervolume_histories, reference_points, targets
from hwnas.search._tools import Measurer
from hwnas.search._trainings import task_of
from hwnas.search._trial import Provenance, Trial, TrialState, Value

__all__ = [
    "BASELINE",
    "LEAST_R2",
    "AutoSettings",
    "BatchProposed",
    "CommandNetworks",
    "DeviceMeasurer",
    "Difference",
    "Event",
    "Foresight",
    "FrontRemeasured",
    "GraphNetworks",
    "Growth",
    "LatencyCounts",
    "LatencyForeseen",
    "LatencySettled",
    "LeaveOneOut",
    "LocalSearchStrategy",
    "MeasurementProgress",
    "Measurer",
    "NetworkSource",
    "Noise",
    "Nsga2Strategy",
    "Objective",
    "OutcomeDiagnosis",
    "PhaseStarted",
    "Progress",
    "ProposalRecord",
    "Proposals",
    "Provenance",
    "RandomStrategy",
    "Replica",
    "ReplicaCompleted",
    "ReplicaFailed",
    "SaasQnehviStrategy",
    "SaasSettings",
    "SearchSettings",
    "SobolStrategy",
    "StoppingSettings",
    "Strategy",
    "Study",
    "StudyConfig",
    "StudyFinished",
    "StudyResult",
    "StudyStarted",
    "StudyStopped",
    "Trial",
    "TrialAbandoned",
    "TrialCompleted",
    "TrialFailed",
    "TrialStarted",
    "TrialState",
    "Value",
    "ValueRecorded",
    "Warned",
    "compare_trials",
    "diagnose",
    "difference",
    "hypervolume_histories",
    "is_at_work",
    "latency_counts",
    "load_study_config",
    "optimize",
    "reference_points",
    "resume_study",
    "run_study",
    "study_with_networks",
    "t_quantile",
    "targets",
    "task_of",
]
