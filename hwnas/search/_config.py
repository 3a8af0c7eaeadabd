"""The study file: what is searched, by which method, and how each figure is had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hwnas._toml import load_toml, validate
from hwnas.errors import ConfigError
from hwnas.evaluation import CURVE_KEY, EvaluationConfig
from hwnas.search._objective import (
    BASELINE,
    DEVICE_METRICS,
    NETWORK_METRICS,
    Direction,
    Objective,
    Reference,
    Source,
    check_objectives,
)
from hwnas.search._stopping import stopping_metric
from hwnas.space import SpaceConfig  # noqa: TC001  as above

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SaasSettings(_Table):
    """`[search.saas]`: how carefully the surrogate is fitted and the acquisition computed.

    Attributes:
        fit: `nuts` samples the hyperparameters; `map` takes an ensemble of most probable ones, much faster; `auto` does
            the one up to `nuts_trials` trials with values, and the other beyond.
        nuts_trials: see `fit`.
        network: whether the models see figures of the networks beside the choices, where the space makes them.
        members: of the ensemble.
        warmup: NUTS steps before samples are kept.
        samples: NUTS samples drawn.
        thinning: every how manieth sample is kept; `samples / thinning` models are averaged over.
        mc_samples: quasi-random samples of the posterior in the acquisition.
        candidates: architectures scored for each proposal before the local search.
    """

    fit: Literal["auto", "nuts", "map"] = "auto"
    nuts_trials: int = Field(default=256, ge=0)
    network: bool = True
    members: int = Field(default=4, ge=1, le=64)
    warmup: int = Field(default=64, ge=16)
    samples: int = Field(default=128, ge=1)
    thinning: int = Field(default=16, ge=1)
    mc_samples: int = Field(default=32, ge=8, le=1024)
    candidates: int = Field(default=512, ge=16)

    @model_validator(mode="after")
    def _some_are_kept(self) -> Self:
        if self.samples < self.thinning:
            raise ValueError(f"thinning {self.thinning} keeps none of {self.samples} samples")
        return self


class AutoSettings(_Table):
    """`[search.auto]`: when `latency = "auto"` measures during the search.

    Attributes:
        first: measurements before anything is predicted, of the first trials.
        doubt: a network is measured where the standard error of its predicted log latency is above this share of the
            spread (standard deviation) of the log latencies measured so far, and a measurement would tell much of it.
            At a half, a prediction explains at least three quarters of the variance.
        front: a network is measured where the front's hypervolume at one end of its 95 % interval differs from that at
            the other end by more than this share.
        most: no more than this share of the trials is measured, what the front will cost at the end, as it looks now,
            included; the front at the end is measured always.
    """

    first: int = Field(default=8, ge=3)
    doubt: float = Field(default=0.5, gt=0)
    front: float = Field(default=0.05, ge=0)
    most: float = Field(default=0.33, ge=0, le=1)


class StoppingSettings(_Table):
    """`[search.stopping]`: when trainings that cannot reach the front any more are ended; without the table none is.

    Attributes:
        metric: the objective that is followed; by default the one that the training reports and that is optimised.
        key: what the points of a learning curve call their epoch.
        least_epochs: points of its own curve before a training may be ended.
        least_trials: complete trials with curves before any training may be.
        chance: the probability, at most, with which a training that is ended would have gained more than was supposed.
    """

    metric: str | None = None
    key: str = Field(default=CURVE_KEY, min_length=1)
    least_epochs: int = Field(default=3, ge=1)
    least_trials: int = Field(default=10, ge=4)
    chance: float = Field(default=0.05, gt=0, lt=0.5)


class SearchSettings(_Table):
    """`[search]`: the name of the study, its size and its method.

    Attributes:
        name: the study's name in the workspace.
        trials: how many architectures are tried in all, the start included.
        batch: how many are proposed at a time.
        start: how many of them are space-filling (Sobol) before the strategy takes over.
        seed: everything random in the search derives from it and the number of the batch.
        strategy: `saas-qnehvi`; `saas-map`, the same with `fit = "map"`; `nsga2`, `local-search`, `random` or `sobol`.
        fronts: where several devices are targets, whether each has a front of its own, `device`, or all objectives
            together have one, `joint`: what the search improves, and measures once more at the end.
        workers: trainings at a time.
        asynchronous: whether new trials are chosen and measured while others are trained, so that no worker waits for
            the slowest of a batch.
        attempts: how often a trial is tried before it stays failed.
        remeasure: whether the front is measured once more at the end.
        replicas: how many further trainings, with other seeds, each member of the front gets when the search is over.
        train_over_limit: whether a network that breaks a limit of the device or of the network file is trained all the
            same; what is beyond it, all of its interval, is not otherwise.
        latency: whether the figures of devices are `measured`, `predicted` (by `predictor`), or `auto`: measured where
            the predictor doubts or the front would change, predicted elsewhere. The front at the end is measured in
            any case.
        predictor: a trained predictor of the workspace; `auto` can do without.
        stopping: when hopeless trainings are ended; `None` where none is.
        auto: settings of `latency = "auto"`.
        saas: settings of `saas-qnehvi`.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    trials: int = Field(default=64, ge=1)
    batch: int = Field(default=16, ge=1, le=256)
    start: int = Field(default=16, ge=0)
    seed: int = Field(default=0, ge=0)
    strategy: Literal["saas-qnehvi", "saas-map", "nsga2", "local-search", "random", "sobol"] = "saas-qnehvi"
    fronts: Literal["device", "joint"] = "device"
    workers: int = Field(default=1, ge=1, le=256)
    asynchronous: bool = False
    attempts: int = Field(default=2, ge=1)
    remeasure: bool = True
    replicas: int = Field(default=0, ge=0, le=64)
    train_over_limit: bool = False
    latency: Literal["measured", "predicted", "auto"] = "measured"
    predictor: str | None = None
    stopping: StoppingSettings | None = None
    auto: AutoSettings = AutoSettings()
    saas: SaasSettings = SaasSettings()

    @model_validator(mode="after")
    def _has_its_predictor(self) -> Self:
        if self.latency == "predicted" and self.predictor is None:
            raise ValueError('latency = "predicted" needs a predictor: name it, or say latency = "auto"')
        if self.latency == "measured" and self.predictor is not None:
            raise ValueError('a predictor is named, and latency = "measured" uses none: say "predicted" or "auto"')
        return self


class NetworkSettings(_Table):
    """`[network]`: the command that writes a trial's network file to `{network}`.

    Without the table the space's own graph is written. The command has the placeholders of `[evaluation]`.

    Attributes:
        command: a command line or a list of arguments; holds `{network}`.
        format: what it writes.
        timeout_s: how long it may take.
    """

    command: str | list[str]
    format: Literal["onnx", "tflite"] = "onnx"
    timeout_s: float = Field(default=600.0, gt=0)

    @model_validator(mode="after")
    def _names_the_file(self) -> Self:
        words = [self.command] if isinstance(self.command, str) else self.command
        if not any("{network}" in word for word in words):
            raise ValueError("the command does not say {network}, the file that it is to write")
        return self


class ObjectiveSettings(_Table):
    """One `[[objectives]]`; see `Objective`. The source and a latency's direction may be left out."""

    name: str
    direction: Direction | None = None
    source: Source | None = None
    device: str | None = None
    limit: float | None = None
    reference: Reference | None = None
    log: bool | None = None
    optimize: bool = True

    def objective(self) -> Objective:
        """Return the objective, what was left out filled in.

        Raises:
            ConfigError: the parts do not fit together.
        """
        metric = self.name.partition("@")[0]
        source = self.source or _source(metric, self.device)
        direction = self.direction or ("minimize" if source != "evaluation" else None)
        if direction is None:
            raise ConfigError(f"objective {self.name!r}: no direction", 'say direction = "maximize" or "minimize"')
        return Objective(self.name, direction, source, self.device, self.limit, self.reference, self.log, self.optimize)


class BaselineSettings(_Table):
    """`[baseline]`: the configuration that a study is compared with, such as the production model.

    Attributes:
        values: one for each parameter that is active in it.
    """

    values: dict[str, bool | int | float | str]


class StudyConfig(_Table):
    """A whole study file.

    Attributes:
        search: its name, size and method.
        space: what is searched.
        network: how a network file is had; `None`: the space's own graph.
        evaluation: how an architecture is trained; `None` where no objective comes from a training.
        objectives: what is to be improved, and within which limits.
        baseline: the configuration that all are compared with; it is tried first.
    """

    search: SearchSettings
    space: SpaceConfig
    network: NetworkSettings | None = None
    evaluation: EvaluationConfig | None = None
    objectives: tuple[ObjectiveSettings, ...] = Field(min_length=1)
    baseline: BaselineSettings | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        try:
            objectives = self.resolved_objectives()
            check_objectives(objectives)
            if self.search.stopping is not None:
                stopping_metric(objectives, self.search.stopping)
        except ConfigError as exc:
            raise ValueError(f"{exc.message}: {exc.hint}") from exc
        asking = [objective.name for objective in objectives if objective.reference == BASELINE]
        if asking and self.baseline is None:
            raise ValueError(f"the reference of {asking[0]!r} is the baseline, and there is no [baseline.values]")
        if self.search.latency != "measured" and all(objective.device is None for objective in objectives):
            raise ValueError(f'latency = "{self.search.latency}", and no objective is measured on a device')
        reported = [objective.name for objective in objectives if objective.source == "evaluation"]
        if reported and self.evaluation is None:
            raise ValueError(f"{reported[0]!r} comes from a training, and there is no [evaluation]")
        if self.search.replicas and not reported:
            raise ValueError(f"replicas = {self.search.replicas} repeats trainings, and no objective comes from one")
        if self.evaluation is not None and not reported:
            raise ValueError("there is an [evaluation], and no objective reads what it reports")
        return self

    def resolved_objectives(self) -> tuple[Objective, ...]:
        """Return the objectives, in the order of the file."""
        return tuple(settings.objective() for settings in self.objectives)


def load_study_config(path: Path, changes: Mapping[str, Any] | None = None) -> StudyConfig:
    """Return a study file, validated.

    Args:
        path: the file.
        changes: settings that take the place of its `[search]`, by name.

    Raises:
        ConfigError: it is missing, or something in it is wrong; every wrong field is named.
    """
    config = load_toml(path, StudyConfig)
    if not changes:
        return config
    file = config.model_dump(mode="json", exclude_unset=True)
    file["search"] = {**file["search"], **changes}
    return validate(file, StudyConfig, source=f"{path}, as changed")


def _source(metric: str, device: str | None) -> Source:
    if device is not None or metric in DEVICE_METRICS:
        return "device"
    return "network" if metric in NETWORK_METRICS else "evaluation"
