"""Predictions of what a device would show, and which networks to measure all the same.

Two ways. `predicted`: a trained predictor that was adapted to the device says everything, and only the final front is
measured. `auto`: the study's own measurements feed the predictor as it goes on; it needs no trained one, for it can
begin with machines that never were (`ideal_predictor`) and a few measurements of the first batch.

Nothing is kept between calls but what can be computed again: every answer follows from the trials that are given and
their measurements. So a search that was killed decides as it would have.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import ConfigError
from hwnas.search._targets import winners
from hwnas.search._trial import Provenance, Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jaxtyping import Float

    from hwnas.predictor import DevicePredictor, FeatureBlocks, LatencyPredictor
    from hwnas.search._config import SearchSettings
    from hwnas.search._objective import Objective
    from hwnas.search._trial import Trial
    from hwnas.space import Architecture, SearchSpace
    from hwnas.workspace import Workspace

#: Architectures that stand for the space where no predictor was trained on it.
_POPULATION = 256
#: Measurements that a predictor is adapted to; with more of them, the newest, for its cost grows with their cube.
_MOST_SUPPORT = 80
#: Fewer say nothing of a device.
_LEAST_SUPPORT = 3
#: Standard error of the log of one measured latency where none is known.
_USUAL_SIGMA_LOG = 0.05


class Foresight:
    """Foretells what devices would show of architectures. Its methods change nothing but caches.

    Attributes:
        objectives: those that are foretold.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        settings: SearchSettings,
        adapted: Mapping[str, DevicePredictor] | None = None,
        prior: LatencyPredictor | None = None,
    ) -> None:
        """Say what is to be foretold, and by what.

        Args:
            space: of the architectures.
            objectives: the study's; those that a device gives are foretold.
            settings: the study's; `latency` is `predicted` or `auto`.
            adapted: by device, a trained predictor of its `p99_ms`; `predicted` needs one for each device.
            prior: a trained predictor that the study's own measurements adapt, where there is no adapted one; by
                default one that has seen no device.

        Raises:
            ConfigError: `predicted` was said, and something cannot be.
        """
        self._space = space
        self._all = tuple(objectives)
        self.objectives = [objective for objective in objectives if objective.device is not None]
        self._settings = settings
        self._adapted = dict(adapted or {})
        self._prior_made = prior
        for objective in self.objectives:
            if not self.measures and self._trained(objective) is None:
                raise ConfigError(
                    f"objective {objective.name!r} cannot be predicted: no trained predictor gives it",
                    'name one that was adapted to the device, for p99_ms; or say latency = "auto"',
                )

    @property
    def measures(self) -> bool:
        """Whether it measures during the search: `auto` does, `predicted` does not."""
        return self._settings.latency == "auto"

    def budget(self, trials: Sequence[Trial], device: str) -> int:
        """Return how many networks may still be measured before the search is over.

        What the end will cost, as it looks now, is taken off: members of the front that are predictions, and those that
        are to be measured once more.
        """
        wanted, settings = self._of(device), self._settings
        done = sum(any(is_measured(trial, o) for o in wanted) for trial in trials)
        members = winners(self._all, trials, joint=settings.fronts == "joint")
        due = sum(
            any(is_predicted(trial, o) or (settings.remeasure and is_unconfirmed(trial, o)) for o in wanted)
            for trial in members
        )
        return max(0, settings.auto.first - done, math.floor(settings.auto.most * settings.trials) - done - due)

    def choose(self, trials: Sequence[Trial], asked: Sequence[Trial], device: str) -> list[int]:
        """Return which of the trials asked for to measure before they are trained, by number.

        Each batch is decided as a whole, from what was measured of earlier ones: a search that goes on after it was
        killed in the middle of a batch comes to the same choice.

        Args:
            trials: all trials of the study.
            asked: those whose figures are wanted.
            device: on which.
        """
        if not self.measures:
            return []
        wanted = {trial.number for trial in asked}
        chosen: set[int] = set()
        for batch in sorted({trial.batch for trial in asked}):
            cohort = [trial for trial in trials if trial.batch == batch]
            earlier = [trial for trial in trials if trial.batch < batch]
            room = self.budget(earlier, device)
            for objective in self._of(device):
                chosen.update(cohort[index].number for index in self._doubted(objective, earlier, cohort)[:room])
        return sorted(wanted & chosen)

    def foretell(self, trials: Sequence[Trial], asked: Sequence[Trial], device: str) -> dict[int, dict[str, Value]]:
        """Return the values that the trials asked for would have, by number; empty where too little was measured.

        Args:
            trials: all trials of the study.
            asked: those whose values are wanted.
            device: on which.
        """
        told: dict[int, dict[str, Value]] = {trial.number: {} for trial in asked}
        for objective in self._of(device) if asked else ():
            model = self._model(objective, trials)
            if model is None:
                return {}
            prediction = model.predict(self._features(asked, objective), measuring=False)
            for trial, mean, std in zip(asked, prediction.mean_ms, prediction.std_ms, strict=True):
                told[trial.number][objective.name] = Value(float(mean), float(std), Provenance.PREDICTED)
        return told

    def predicted(self, objective: Objective, architectures: Sequence[Architecture]) -> Float[np.ndarray, " n"]:
        """Return what the trained predictor says of architectures, in the objective's unit.

        Raises:
            ConfigError: there is none for that objective.
        """
        model = self._trained(objective)
        if model is None:
            raise ConfigError(
                f"objective {objective.name!r}: no trained predictor gives it", "train one for its device"
            )
        return np.asarray(model.predict(model.predictor.featuriser(architectures)).mean_ms)

    def _of(self, device: str) -> list[Objective]:
        return [objective for objective in self.objectives if objective.device == device]

    def _trained(self, objective: Objective) -> DevicePredictor | None:
        return self._adapted.get(objective.device or "") if objective.metric == "p99_ms" else None

    def _doubted(self, objective: Objective, earlier: Sequence[Trial], cohort: Sequence[Trial]) -> list[int]:
        """Return the indices of what to measure of a batch, the most telling first."""
        from hwnas.predictor import doubtful

        features = self._features(cohort, objective)
        model = self._model(objective, earlier)
        missing = 0 if self._trained(objective) else self._settings.auto.first - len(known(earlier, objective))
        if missing > 0 or model is None:
            live = [int(index) for index in np.flatnonzero(features.live)]
            if len(live) <= missing or missing <= 0:
                return live or list(range(len(cohort)))
            return self._prior().suggest_support(missing, features)
        errors = model.sigma_log
        return doubtful(
            model,
            features,
            tolerance=self._settings.auto.doubt * float(np.log(model.support_ms).std(ddof=1)),
            sigma_log=_USUAL_SIGMA_LOG if errors is None else float(np.median(errors)),
        )

    def _model(self, objective: Objective, trials: Sequence[Trial]) -> DevicePredictor | None:
        """Return the predictor of an objective after what was measured of these trials."""
        trained = self._trained(objective)
        measured = known(trials, objective)[-_MOST_SUPPORT:] if self.measures else []
        if trained is not None and not measured:
            return trained
        values = [trial.values[objective.name] for trial in measured]
        latencies = np.array([value.value for value in values])
        sigma_log = np.array([(value.sigma or 0.0) / value.value for value in values])
        if trained is not None:
            return trained.observe(self._features(measured, objective), latencies, sigma_log=sigma_log)
        if len(measured) < _LEAST_SUPPORT:
            return None
        features = self._features(measured, objective)
        return self._prior().adapt(features, latencies, sigma_log=sigma_log, device=objective.device or "")

    def _features(self, trials: Sequence[Trial], objective: Objective) -> FeatureBlocks:
        trained = self._trained(objective)
        predictor = self._prior() if trained is None else trained.predictor
        return predictor.featuriser([trial.architecture for trial in trials])

    def _prior(self) -> LatencyPredictor:
        """Return what the study's measurements adapt: the predictor that was named, or one that has seen no device."""
        if self._prior_made is None:
            from hwnas.predictor import featuriser_of, graph_costs, ideal_predictor

            space = self._space
            sample = space.sample(_POPULATION, np.random.default_rng(0), at_most=True)
            featuriser = featuriser_of(space)
            if space.has_graph:
                costs = graph_costs([space.graph(architecture) for architecture in sample])
            else:  # of parameters alone it is only known that more is slower, more often than not
                costs = {"size": 1.0 + space.encode(sample).mean(axis=1)}
            self._prior_made = ideal_predictor(featuriser(sample), costs, featuriser)
        return self._prior_made


class ForetoldOracle:
    """Says what a predictor foretells of any architecture, where nothing is measured during the search; an `Oracle`."""

    def __init__(self, foresight: Foresight) -> None:
        """Take a foresight that does not measure."""
        self._foresight = foresight
        self.names = tuple(objective.name for objective in foresight.objectives)

    def values(self, architectures: Sequence[Architecture]) -> Float[np.ndarray, "n k"]:
        """Return the predicted figures."""
        columns = [self._foresight.predicted(objective, architectures) for objective in self._foresight.objectives]
        return np.stack(columns, axis=1)


def is_measured(trial: Trial, objective: Objective) -> bool:
    """Whether the trial's value of a device's figure was measured."""
    return objective.name in trial.values and trial.values[objective.name].provenance == Provenance.MEASURED


def is_predicted(trial: Trial, objective: Objective) -> bool:
    """Whether the trial's value of a device's figure is a prediction so far."""
    known = objective.device is not None and objective.name in trial.values
    return known and trial.values[objective.name].provenance == Provenance.PREDICTED


def is_unconfirmed(trial: Trial, objective: Objective) -> bool:
    """Whether a measured figure of a member of the final front wants a second one."""
    return objective.name not in trial.again and is_measured(trial, objective) and objective.name not in trial.foretold


def known(trials: Sequence[Trial], objective: Objective) -> list[Trial]:
    """Return the trials whose value of a device's figure was measured, in the order of their numbers."""
    return [trial for trial in trials if is_measured(trial, objective)]


def foresight_from_settings(
    space: SearchSpace, objectives: Sequence[Objective], settings: SearchSettings, workspace: Workspace
) -> Foresight | None:
    """Return what a study's settings ask for; `None` where everything is measured.

    Raises:
        ConfigError: something cannot be predicted.
        PredictorError: the predictor that is named is not there, or of another space.
    """
    if settings.latency == "measured":
        return None
    adapted, prior = {}, None
    if settings.predictor is not None:
        from hwnas.predictor import PredictorLibrary

        stored = PredictorLibrary(workspace).get(settings.predictor)
        prior = stored.main(space)
        metric = stored.trained.get("metric", "p99_ms")
        if metric != "p99_ms":
            raise ConfigError(f"predictor {settings.predictor!r} is of {metric}, not of p99_ms", "name one of p99_ms")
        for device in dict.fromkeys(o.device for o in objectives if o.metric == "p99_ms" and o.device):
            if device in stored.devices():
                adapted[device] = stored.device(device, space=space)
            elif settings.latency == "predicted":
                raise ConfigError(
                    f"predictor {settings.predictor!r} is not adapted to device {device!r}",
                    f"adapt it: hwnas predictor adapt {settings.predictor} --device {device}",
                )
    return Foresight(space, objectives, settings, adapted, prior)
