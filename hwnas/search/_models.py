"""What a batch is chosen by: for each outcome its surrogate, or that it is computed; and what is likely to fail."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.errors import StoppedError
from hwnas.search._data import outcome_data
from hwnas.search._feasibility import Feasibility, feasibility
from hwnas.search._known import Known
from hwnas.search._points import Points
from hwnas.search._surrogate import Surrogate
from hwnas.search._targets import targets

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from jaxtyping import Float

    from hwnas.search._computed import Computed
    from hwnas.search._config import SaasSettings
    from hwnas.search._data import OutcomeData
    from hwnas.search._inputs import Inputs
    from hwnas.search._objective import Objective
    from hwnas.search._trial import Trial
    from hwnas.space import Architecture


@dataclass(frozen=True, slots=True)
class Models:
    """All that a batch is chosen by.

    Attributes:
        outcomes: one for each objective, in their order.
        points: turns architectures into the rows that the outcomes read.
        feasibility: how probably an architecture succeeds; `None` where nothing speaks for failures.
    """

    outcomes: tuple[Surrogate | Known, ...]
    points: Points
    feasibility: Feasibility | None

    @property
    def notices(self) -> list[str]:
        """What a person should know of the fits."""
        fitted = [model for model in self.outcomes if isinstance(model, Surrogate)]
        return [model.notice for model in fitted if model.notice]

    def expected(self, architectures: Sequence[Architecture]) -> dict[str, Float[np.ndarray, " n"]]:
        """Return by outcome the scores that are expected of `n` architectures, tried or not."""
        rows = self.points.rows(architectures).numpy()
        found = {}
        for model in self.outcomes:
            data = model.data
            mean = rows[:, model.column] if isinstance(model, Known) else model.expected(rows[:, : self.points.d])
            found[data.objective.name] = data.location + data.scale * mean
        return found

    def spread(self, name: str) -> float:
        """Return the standard deviation of an outcome's scores, by which the models scale them."""
        return next(model.data.scale for model in self.outcomes if model.data.objective.name == name)

    def describe(self, chosen: Sequence[Architecture]) -> dict[str, Any]:
        """Return what the models say of themselves, and of what was chosen, as JSON data."""
        inputs = self.points.inputs
        told: dict[str, Any] = {
            "outcomes": {
                model.data.objective.name: describe_surrogate(inputs, model)
                if isinstance(model, Surrogate)
                else {"method": "computed", "n": len(model.data.Y)}
                for model in self.outcomes
            }
        }
        if self.feasibility is not None:
            told["feasibility"] = self.feasibility.describe(inputs, chosen)
        return told


def fit_models(
    inputs: Inputs,
    objectives: Sequence[Objective],
    trials: Sequence[Trial],
    settings: SaasSettings,
    computed: Computed | None,
    rng: np.random.Generator,
    cancelled: threading.Event | None = None,
    *,
    joint: bool = False,
) -> Models:
    """Return the models of all outcomes, fitted beside each other where there are processors for it.

    Args:
        inputs: what the models see of an architecture.
        objectives: the study's.
        trials: what is modelled.
        settings: of the fits, `fit` decided.
        computed: what needs no model.
        rng: the source of chance; how much is drawn from it depends on nothing but the number of objectives.
        cancelled: once it is set, it gives up between two fits.
        joint: whether there is one front of all objectives, where several devices are targets.

    Raises:
        StoppedError: `cancelled` was set.
    """
    from hwnas.search._surrogate import fit_surrogate, quietly

    data = {objective.name: outcome_data(inputs, objective, trials) for objective in objectives}
    seeds = dict(zip(data, rng.integers(2**31, size=len(data)).tolist(), strict=True))
    known = [] if computed is None else [objective.name for objective in computed.objectives]

    def fit(name: str) -> Surrogate | Known:
        _check(cancelled)
        if name in known:
            return Known.at(inputs.dim + known.index(name), data[name])
        return fit_surrogate(data[name], settings, seeds[name])

    pool = ThreadPoolExecutor(min(len(data), os.cpu_count() or 1), thread_name_prefix="hwnas-fit")
    with quietly(), pool:  # Python's warning filters belong to all threads: hold them while any thread changes them
        outcomes = tuple(pool.map(fit, data))
    _check(cancelled)
    success = feasibility(inputs, trials, settings)
    fronts = [objectives] if joint else list(targets(objectives).values())
    points = Points(inputs, computed, [data[name] for name in known], success, fronts)
    return Models(outcomes, points, success)


def describe_surrogate(inputs: Inputs, surrogate: Surrogate) -> dict[str, Any]:
    """Return what a fit says of itself, as JSON data."""
    data: OutcomeData = surrogate.data
    inverse: dict[str, float] = {}
    for column, value in zip(inputs.columns, surrogate.inverse_lengthscales(), strict=True):
        inverse[column.parameter] = max(inverse.get(column.parameter, 0.0), float(value))
    mean, variance = surrogate.leave_one_out()
    error = data.Y - mean
    spread = float(((data.Y - data.Y.mean()) ** 2).sum())
    chain = surrogate.chain
    return {
        "method": surrogate.method,
        "chain": chain
        and {
            "r_hat": _json_float(chain.r_hat),
            "ess": _json_float(chain.ess),
            "reruns": chain.reruns,
            "divergences": chain.divergences,
        },
        "n": len(data.Y),
        "raised": data.raised,
        "noise": "given" if data.Yvar is not None else "inferred",
        "inverse_lengthscales": inverse,
        "loo_r2": _json_float(1.0 - float((error**2).sum()) / spread) if spread > 0 else None,
        "loo_log_likelihood": _json_float(float((-0.5 * (np.log(2 * np.pi * variance) + error**2 / variance)).mean())),
    }


def _check(cancelled: threading.Event | None) -> None:
    if cancelled is not None and cancelled.is_set():
        raise StoppedError("told to stop while it fitted the models")


def _json_float(value: float) -> float | None:
    return value if math.isfinite(value) else None
