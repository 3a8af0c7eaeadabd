"""The strategy of choice: SAAS surrogates and qNEHVI, on spaces of any kind of parameter."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hwnas.errors import StoppedError
from hwnas.search._computed import Oracles
from hwnas.search._config import SaasSettings
from hwnas.search._data import complete_trials, most_telling, pending_trials
from hwnas.search._inputs import inputs_of
from hwnas.search._limits import towards_limits
from hwnas.search._strategy import Proposals, SobolStrategy

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    import numpy as np

    from hwnas.search._acquisition import Acquisition
    from hwnas.search._aims import Aim
    from hwnas.search._computed import Oracle
    from hwnas.search._inputs import Inputs
    from hwnas.search._models import Models
    from hwnas.search._objective import Objective
    from hwnas.search._trial import Trial
    from hwnas.space import Architecture, SearchSpace

_LEAST_TRIALS = 2
#: How many trials are modelled, and how many of them may be on the front; the most telling ones.
_MODELLED, _BASELINE = 1024, 256
#: The fast mode takes over where an encoding has more columns than this.
_NUTS_COLUMNS = 64


class SaasQnehviStrategy:
    """Fits a SAAS Gaussian process to each outcome, and picks a batch by noisy hypervolume improvement.

    - **Fit.** By NUTS, or, faster, by an ensemble of most probable models; see `SaasSettings.fit`.
    - **Size.** Past 1024 trials with values the most telling ones are modelled: the best layers of the front, then the
      latest; see `hwnas.search._data.most_telling`.
    - **Data.** Every value that is known serves, of failed and running trials too; see `hwnas.search._data`.
    - **Inputs.** Where the space makes the networks, the models see figures of them beside the choices: depth, work,
      counts of operations; see `hwnas.search._inputs`.
    - **Noise.** Where every value of an outcome has a standard error, that is its observation noise; else one is
      inferred.
    - **Reference.** An objective's own, eased while no trial within limits is better than all of them; for objectives
      without one it lies somewhat below the front of the trials so far. So the front can always be improved, the search
      does not stall while nothing reaches a point that was set too high, and it goes towards that point, not to the
      ends of the front; see `hwnas.search._aims`.
    - **Devices.** Where several are targets, each has a front, and a candidate is worth the sum of what it is expected
      to improve them by, each as a share of that front's hypervolume now. There is one fit an outcome, and the draws of
      those that fronts share are the same; see `hwnas.search._aims`.
    - **Pending.** Trials that are proposed or running, and the picks before in a batch, count by their joint posterior.
    - **Computed.** Parameters and multiply-accumulates of the space's own networks, and latencies that are predicted
      for good, are computed for each candidate and not modelled; what breaks a limit on them is not proposed. See
      `hwnas.search._computed`.
    - **Failures.** Candidates like those that failed are worth less; see `hwnas.search._feasibility`.
    - **Limits** weigh a candidate by how probably it keeps to them. While no trial does, that leads towards them.
    - **Start.** With fewer than two complete trials there is nothing to model: Sobol points are proposed, and said so;
      or, where measured trials broke a limit and were not trained, what likely keeps to it.
    """

    def __init__(self, settings: SaasSettings | None = None, *, joint: bool = False) -> None:
        """Keep the settings; the defaults suit hundreds of trials on two cores.

        Args:
            settings: of the fits and the acquisition.
            joint: whether one front of all objectives is improved where several devices are targets.
        """
        self.settings = settings or SaasSettings()
        self._joint = joint
        self._told: set[str] = set()
        self._oracles = Oracles()
        self._inputs: tuple[SearchSpace, Inputs] | None = None

    def compute(self, oracle: Oracle) -> None:
        """Let an oracle say the values of some objectives for each candidate, instead of a model."""
        self._oracles.add(oracle)

    @property
    def name(self) -> str:
        """`saas-map` where the settings ask for the fast fit, `saas-qnehvi` otherwise."""
        return "saas-map" if self.settings.fit == "map" else "saas-qnehvi"

    def propose(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        trials: Sequence[Trial],
        n: int,
        rng: np.random.Generator,
        *,
        cancelled: threading.Event | None = None,
    ) -> Proposals:
        """Return `n` new architectures, or as many as the space still holds; see `Strategy.propose`."""
        count = len(complete_trials(trials))
        if count < _LEAST_TRIALS:
            few = f"only {count} trials are complete, too few to model"
            within = towards_limits(space, objectives, trials, n, rng, self.settings)
            if within is not None:
                return replace(within, notices=(f"{few}: what likely keeps to the limits is proposed",))
            return _sobol(space, objectives, trials, n, rng, f"{few}: Sobol points are proposed")
        from hwnas.search._compiled import keep_compiled_code
        from hwnas.search._models import fit_models
        from hwnas.search._surrogate import one_thread

        keep_compiled_code()
        from linear_operator.utils.errors import NanError, NotPSDError

        clocks = [_clocks()]
        telling = most_telling(objectives, trials, _MODELLED)
        settings, notices = self._sized(space, sum(bool(trial.values) for trial in trials))
        inputs, wonder = self._inputs_of(space)
        computed, told = self._oracles.computed(space, objectives, trials)
        with one_thread():
            models = fit_models(inputs, objectives, telling, settings, computed, rng, cancelled, joint=self._joint)
            clocks.append(_clocks())
            try:
                chosen, diagnostics, over = self._choose(space, objectives, trials, models, n, rng, cancelled)
            except (NanError, NotPSDError) as exc:
                notice = f"the acquisition failed ({exc}): Sobol points are proposed"
                return _sobol(space, objectives, trials, n, rng, notice)
        clocks.append(_clocks())
        (fit_s, fit_cpu_s), (acquisition_s, acquisition_cpu_s) = (
            (after[0] - before[0], after[1] - before[1]) for before, after in itertools.pairwise(clocks)
        )
        notices += [*wonder, *told, *models.notices, *over]
        return Proposals(
            tuple(chosen),
            self.name,
            fit_s,
            acquisition_s,
            fit_cpu_s,
            acquisition_cpu_s,
            {**diagnostics, "cpu_s": {"fit": fit_cpu_s, "acquisition": acquisition_cpu_s}},
            tuple(notices),
        )

    def _inputs_of(self, space: SearchSpace) -> tuple[Inputs, list[str]]:
        """Return what models see of architectures, and what to say of that, once."""
        notice = ""
        if self._inputs is None or self._inputs[0] is not space:
            found, notice = inputs_of(space, network=self.settings.network)
            self._inputs = space, found
        return self._inputs[1], [notice] if notice else []

    def _sized(self, space: SearchSpace, count: int) -> tuple[SaasSettings, list[str]]:
        """Return the settings with `fit` decided by the size of the problem, and what to say of that, once."""
        settings = self.settings
        if settings.fit != "auto":
            return settings, []
        if count <= settings.nuts_trials and space.dim <= _NUTS_COLUMNS:
            return settings.model_copy(update={"fit": "nuts"}), []
        notice = (
            f"{count} trials and {space.dim} columns: the surrogates are fitted by the fast mode, "
            'for NUTS would take minutes a batch; [search.saas] fit = "nuts" asks for it all the same'
        )
        fresh = [] if "fast" in self._told else [notice]
        self._told.add("fast")
        return settings.model_copy(update={"fit": "map"}), fresh

    def _choose(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        trials: Sequence[Trial],
        models: Models,
        n: int,
        rng: np.random.Generator,
        cancelled: threading.Event | None,
    ) -> tuple[list[Architecture], dict[str, Any], list[str]]:
        """Return what is proposed, the diagnostics, and what a person should know."""
        from hwnas.search._aims import aims, good_architectures
        from hwnas.search._candidates import Pool, first_candidates

        found = aims(objectives, trials, models, joint=self._joint)
        acquisition = self._acquisition(objectives, trials, models, found, n, rng)
        seen, points = {trial.id for trial in trials}, models.points
        good = good_architectures(found, trials)
        wide = any(aim.eased for aim in found.values())
        candidates, near = first_candidates(space, good, self.settings.candidates, rng, seen, points, wide=wide)
        pool = Pool(space, acquisition, candidates, seen, rng, near, points)
        picks: list[tuple[Architecture, float]] = []
        while len(picks) < n and (pick := pool.choose()) is not None:
            _check(cancelled)
            picks.append(pick)
        diagnostics = {
            "reference": _described(found),
            "baseline": acquisition.baseline_size,
            "valued": pool.valued,
            "log_acquisition": [_json_float(value) for _, value in picks],
            **models.describe([arch for arch, _ in picks]),
        }
        over = f"{pool.over} of the proposals break a limit that is computed: nothing within all limits was found"
        return [arch for arch, _ in picks], diagnostics, [over] if pool.over else []

    def _acquisition(
        self,
        objectives: Sequence[Objective],
        trials: Sequence[Trial],
        models: Models,
        found: Mapping[str, Aim],
        n: int,
        rng: np.random.Generator,
    ) -> Acquisition:
        from hwnas.search._acquisition import Acquisition, Outcome

        outcomes = [
            Outcome(
                model,
                None,
                None if objective.limit is None else model.data.standardise(objective.score(objective.limit)),
            )
            for objective, model in zip(objectives, models.outcomes, strict=True)
        ]
        baseline, pending = (
            models.points.rows([trial.architecture for trial in some])
            for some in (complete_trials(most_telling(objectives, trials, _BASELINE)), pending_trials(trials))
        )
        data = [model.data for model in models.outcomes]
        return Acquisition(
            outcomes,
            baseline,
            pending,
            draws=self.settings.mc_samples,
            room=n,
            seed=int(rng.integers(2**31)),
            fronts=[aim.front(data, alone=len(found) == 1) for aim in found.values()],
        )


def _sobol(
    space: SearchSpace,
    objectives: Sequence[Objective],
    trials: Sequence[Trial],
    n: int,
    rng: np.random.Generator,
    notice: str,
) -> Proposals:
    """Return Sobol points, and say why."""
    told = SobolStrategy().propose(space, objectives, trials, n, rng)
    return replace(told, notices=(notice,))


def _clocks() -> tuple[float, float]:
    """Return wall clock and processor time, in seconds."""
    return time.perf_counter(), time.process_time()


def _check(cancelled: threading.Event | None) -> None:
    """Raise where the strategy is to give up."""
    if cancelled is not None and cancelled.is_set():
        raise StoppedError("told to stop while it chose architectures")


def _described(found: Mapping[str, Aim]) -> dict[str, Any]:
    """Return the reference point as JSON data; where there are several fronts, one for each device."""
    points = {device: dict(aim.reference) for device, aim in found.items()}
    return points if len(points) > 1 else next(iter(points.values()))


def _json_float(value: float) -> float | None:
    """Return `value` as JSON can carry it."""
    return value if math.isfinite(value) else None
