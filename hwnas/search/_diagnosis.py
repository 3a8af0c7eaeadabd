"""How well the surrogates of a study know what they are to predict: leave-one-out, beside a plain Gaussian process.

Beside the fully Bayesian SAAS model stands a Gaussian process at the maximum of its posterior, as in the figure that
made the case for SAAS in architecture search (Eriksson et al., "Latency-Aware Neural Architecture Search with
Multi-Objective Bayesian Optimization", 2021).

- **SAAS** is not fitted again: each observation is predicted from all others in closed form (Rasmussen and Williams,
  "Gaussian Processes for Machine Learning", 2006, section 5.4.2) for each sample of the hyperparameters. The samples
  have seen the observation, so they are weighted by the inverse of the density that each gives it, the weights
  truncated (Ionides, "Truncated Importance Sampling", 2008).
- **The plain model** is fitted again without the observation, in eight folds. Kept hyperparameters would flatter it: on
  64 trials of 24 parameters an R² of .65 was .38 on new points.

Symbols: `n` trials, `h` samples of the hyperparameters, `d` columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import StoppedError, StudyError
from hwnas.search._data import most_telling, outcome_data
from hwnas.search._inputs import inputs_of
from hwnas.search._saas import _NUTS_COLUMNS

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from jaxtyping import Float

    from hwnas.search._config import SaasSettings
    from hwnas.search._data import OutcomeData
    from hwnas.search._inputs import Inputs
    from hwnas.search._objective import Objective
    from hwnas.search._surrogate import Surrogate
    from hwnas.search._trial import Trial
    from hwnas.space import SearchSpace

#: Fewer trials tell nothing of a model.
_LEAST_TRIALS = 5
#: A model is judged by so many trials at most: the best and the latest.
_JUDGED = 512
#: Below this R², a model says about as little as the mean of the data.
LEAST_R2 = 0.1
#: Of so many 95 % intervals, a share that holds the truth too seldom.
_LEAST_COVERAGE = 0.85
#: How often the plain model is fitted.
_FOLDS = 8
_Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """Each observation predicted from all others.

    Attributes:
        method: of the model: `saas`, `map`, or another word of the surrogate's.
        predicted: `n`, in the objective's own unit; the median where it is modelled as a logarithm.
        low, high: `n`, ends of the 95 % intervals of an observation, noise included.
        r2: the share of the variance that is predicted, on the modelled scale; the mean of the data has 0, or less.
        log_likelihood: mean logarithm of the predictive density, on the standardised scale; the normal distribution of
            the data has -1.42.
        coverage: the share of the observations within their intervals.
    """

    method: str
    predicted: Float[np.ndarray, " n"]
    low: Float[np.ndarray, " n"]
    high: Float[np.ndarray, " n"]
    r2: float
    log_likelihood: float
    coverage: float


@dataclass(frozen=True, slots=True)
class OutcomeDiagnosis:
    """What is known of one outcome's models.

    Attributes:
        objective: which outcome.
        trials: `n` numbers of trials.
        observed: `n` values, in the objective's own unit; those that were raised to the fence are shown there.
        saas, plain: leave-one-out of the search's own model, and of a Gaussian process at its maximum a posteriori.
        relevance: by parameter, most relevant first: quartiles over the samples; see `relevance`.
        notes: what a person should know, each a sentence.
    """

    objective: Objective
    trials: tuple[int, ...]
    observed: Float[np.ndarray, " n"]
    saas: LeaveOneOut
    plain: LeaveOneOut
    relevance: Mapping[str, tuple[float, float, float]]
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Make the mapping read-only."""
        object.__setattr__(self, "relevance", MappingProxyType(dict(self.relevance)))


def diagnose(
    space: SearchSpace,
    objectives: Sequence[Objective],
    trials: Sequence[Trial],
    settings: SaasSettings,
    rng: np.random.Generator,
    *,
    cancelled: threading.Event | None = None,
) -> list[OutcomeDiagnosis]:
    """Fit both models to each outcome, and return how well they predict what they have not seen.

    It takes about as long as the fits of one batch.

    Args:
        space: the study's.
        objectives: the study's.
        trials: the study's; every value that is known serves, of the 512 most telling trials.
        settings: of the fit; `auto` is decided as in the search.
        rng: the source of chance.
        cancelled: once it is set, it gives up between two fits.

    Raises:
        StudyError: an outcome has too few values.
        StoppedError: `cancelled` was set.
    """
    from hwnas.search._surrogate import fit_surrogate, one_thread

    if settings.fit == "auto" and (len(trials) > settings.nuts_trials or space.dim > _NUTS_COLUMNS):
        settings = settings.model_copy(update={"fit": "map"})
    inputs, _ = inputs_of(space, network=settings.network)
    found = []
    trials = sorted(most_telling(objectives, trials, _JUDGED), key=lambda trial: trial.number)
    for objective in objectives:
        data = outcome_data(inputs, objective, trials)
        if len(data.Y) < _LEAST_TRIALS:
            what = f"{len(data.Y)} trials have" if len(data.Y) != 1 else "1 trial has"
            raise StudyError(f"only {what} a value of {objective.name}", f"{_LEAST_TRIALS} are needed to judge a model")
        with one_thread():
            _check(cancelled)
            saas = fit_surrogate(data, settings, int(rng.integers(2**31)))
            _check(cancelled)
            plain = cross_validated(data, rng)
        known = tuple(trial.number for trial in trials if objective.name in trial.values)
        found.append(_outcome(inputs, known, saas, plain))
    return found


def leave_one_out(surrogate: Surrogate) -> LeaveOneOut:
    """Return how a fitted surrogate predicts each observation from all others; see the module's docstring."""
    means, variances = surrogate.leave_one_out_samples()
    density = _log_density(surrogate.data.Y, means, variances)
    weights = np.exp(density.min(axis=0) - density)
    weights = np.minimum(weights, weights.mean(axis=0) * np.sqrt(len(weights)))
    return _scored(surrogate.data, surrogate.method, means, variances, weights / weights.sum(axis=0))


def cross_validated(data: OutcomeData, rng: np.random.Generator) -> LeaveOneOut:
    """Return how the plain model predicts each observation where it is fitted without it, in folds."""
    from hwnas.search._surrogate import fit_map

    n = len(data.Y)
    means, variances = np.empty((1, n)), np.empty((1, n))
    methods = set()
    for held in np.array_split(rng.permutation(n), min(_FOLDS, n)):
        kept = np.setdiff1d(np.arange(n), held)
        part = replace(data, X=data.X[kept], Y=data.Y[kept], Yvar=None if data.Yvar is None else data.Yvar[kept])
        surrogate = fit_map(part, int(rng.integers(2**31)))
        means[:, held], variances[:, held] = surrogate.predict(data.X[held])
        if data.Yvar is not None:
            variances[:, held] += data.Yvar[held]
        methods.add(surrogate.method)
    return _scored(data, "map" if "map" in methods else "prior", means, variances, np.ones((1, n)))


def _log_density(
    Y: Float[np.ndarray, " n"], means: Float[np.ndarray, "h n"], variances: Float[np.ndarray, "h n"]
) -> Float[np.ndarray, "h n"]:
    return np.asarray(-0.5 * (np.log(2 * np.pi * variances) + (Y - means) ** 2 / variances))


def _scored(
    data: OutcomeData,
    method: str,
    means: Float[np.ndarray, "h n"],
    variances: Float[np.ndarray, "h n"],
    weights: Float[np.ndarray, "h n"],
) -> LeaveOneOut:
    """Return a weighted mixture of predictions, compared with the observations."""
    mean = (weights * means).sum(axis=0)
    variance = (weights * (variances + means**2)).sum(axis=0) - mean**2
    spread = _Z95 * np.sqrt(variance)
    density = _log_density(data.Y, means, variances)
    highest = density.max(axis=0)
    mixed = highest + np.log((weights * np.exp(density - highest)).sum(axis=0))
    total = float(((data.Y - data.Y.mean()) ** 2).sum())
    ends = np.stack([_own_unit(data, mean - spread), _own_unit(data, mean + spread)])
    return LeaveOneOut(
        method=method,
        predicted=_own_unit(data, mean),
        low=ends.min(axis=0),
        high=ends.max(axis=0),
        r2=1.0 - float(((data.Y - mean) ** 2).sum()) / total if total > 0 else 0.0,
        log_likelihood=float(mixed.mean()),
        coverage=float((np.abs(data.Y - mean) <= spread).mean()),
    )


def relevance(inputs: Inputs, surrogate: Surrogate) -> dict[str, tuple[float, float, float]]:
    """Return how much each parameter matters to a model, most first: quartiles over the samples of its hyperparameters.

    For a number, the inverse length scale: how many length scales its range holds. For a categorical, the same for its
    two most different choices: the root of the sum of the two largest squares over its one-hot columns, for from one
    choice to another two columns change.
    """
    squares = surrogate.inverse_lengthscale_samples() ** 2
    columns: dict[str, list[int]] = {}
    for column in inputs.columns:
        columns.setdefault(column.parameter, []).append(column.index)
    found = {}
    for name, places in columns.items():
        distance = np.sqrt(np.sort(squares[:, places], axis=1)[:, -2:].sum(axis=1))
        low, median, high = np.quantile(distance, [0.25, 0.5, 0.75])
        found[name] = float(low), float(median), float(high)
    return dict(sorted(found.items(), key=lambda item: -item[1][1]))


def _outcome(inputs: Inputs, numbers: tuple[int, ...], saas: Surrogate, plain: LeaveOneOut) -> OutcomeDiagnosis:
    data = saas.data
    own = leave_one_out(saas)
    observed = _own_unit(data, data.Y)
    return OutcomeDiagnosis(
        data.objective, numbers, observed, own, plain, relevance(inputs, saas), tuple(_notes(saas, own, plain))
    )


def _own_unit(data: OutcomeData, standardised: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return np.array([data.objective.unscore(data.location + data.scale * float(y)) for y in standardised])


def _notes(surrogate: Surrogate, own: LeaveOneOut, plain: LeaveOneOut) -> list[str]:
    """Return what is wrong with a model, in words."""
    data, name = surrogate.data, surrogate.data.objective.name
    if surrogate.notice:
        return [surrogate.notice]
    notes = []
    if own.r2 < LEAST_R2:
        notes.append(
            f"{name}: the model predicts no better than the mean of the trials (leave-one-out R² {own.r2:.2f}, "
            f"{len(data.Y)} trials): so far it guides the search little; more trials, or less noise, would help"
        )
    if own.coverage < _LEAST_COVERAGE:
        notes.append(
            f"{name}: the model is too sure of itself: {own.coverage:.0%} of the trials lie in their 95 % intervals"
        )
    if plain.r2 > own.r2 + LEAST_R2 and plain.log_likelihood > own.log_likelihood:
        notes.append(f"{name}: a plain Gaussian process predicts better (R² {plain.r2:.2f} against {own.r2:.2f})")
    if data.raised:
        notes.append(f"{name}: {data.raised} far-out trials were raised to the fence of the others before the fit")
    return notes


def _check(cancelled: threading.Event | None) -> None:
    if cancelled is not None and cancelled.is_set():
        raise StoppedError("told to stop while it judged the models")
