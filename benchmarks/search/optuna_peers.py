"""Optuna's samplers, with the defaults of Optuna 5 for several objectives.

- `TPESampler()`: https://optuna.readthedocs.io/en/stable/reference/samplers/generated/optuna.samplers.TPESampler.html
  (constant liar for what is running; independent, not multivariate, for several objectives).
- `NSGAIISampler(population_size=16)`: the default of 50 would see less than five generations in 240 evaluations; with
  16, each batch is one. https://optuna.readthedocs.io/en/stable/reference/samplers/generated/optuna.samplers.NSGAIISampler.html
- `GPSampler()`: log expected hypervolume improvement, noise inferred.
  https://optuna.readthedocs.io/en/stable/reference/samplers/generated/optuna.samplers.GPSampler.html

An ordinal is an integer, its rank: Optuna's categoricals have no order. Latencies are told as logarithms.
"""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from hwnas.space import Categorical, Float, Int, Ordinal, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.search.problems import Problem


class OptunaMethod:
    """A sampler by ask and tell."""

    def __init__(self, problem: Problem, sampler: optuna.samplers.BaseSampler) -> None:
        """Begin a study."""
        optuna.logging.set_verbosity(logging.ERROR)
        self._problem = problem
        self._distributions = {p.name: _distribution(p) for p in problem.space.parameters}
        self._ranks = {p.name: p.values for p in problem.space.parameters if isinstance(p, Ordinal)}
        directions = ["maximize"] * len(problem.objectives)
        self._study = optuna.create_study(directions=directions, sampler=sampler)
        self._asked: list[optuna.Trial] = []

    def ask(self, n: int, batch: int) -> list[dict[str, Any]]:  # noqa: ARG002  the interface's
        """Return `n` settings; each counts as running for the next."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._asked = [self._study.ask(self._distributions) for _ in range(n)]
        return [
            {name: self._ranks[name][value] if name in self._ranks else value for name, value in trial.params.items()}
            for trial in self._asked
        ]

    def tell(self, values: Sequence[Mapping[str, Any]], seen: Sequence[Sequence[float]]) -> None:
        """Tell the trials that were asked for, or add those of another process."""
        scores = [[o.score(v) for o, v in zip(self._problem.objectives, row, strict=True)] for row in seen]
        if self._asked:
            for trial, row in zip(self._asked, scores, strict=True):
                self._study.tell(trial, row)
            self._asked = []
            return
        for setting, row in zip(values, scores, strict=True):
            params = {
                name: self._ranks[name].index(value) if name in self._ranks else value
                for name, value in setting.items()
            }
            self._study.add_trial(
                optuna.trial.create_trial(params=params, distributions=self._distributions, values=row)
            )


def tpe(problem: Problem, seed: int) -> OptunaMethod:
    """Return the tree-structured Parzen estimator."""
    return OptunaMethod(problem, optuna.samplers.TPESampler(seed=seed))


def nsga2(problem: Problem, seed: int) -> OptunaMethod:
    """Return NSGA-II with a population of one batch."""
    return OptunaMethod(problem, optuna.samplers.NSGAIISampler(population_size=16, seed=seed))


def gp(problem: Problem, seed: int) -> OptunaMethod:
    """Return the Gaussian process sampler."""
    return OptunaMethod(problem, optuna.samplers.GPSampler(seed=seed))


def _distribution(parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Float):
        return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    if isinstance(parameter, Int):
        return IntDistribution(parameter.low, parameter.high, step=parameter.step)
    if isinstance(parameter, Ordinal):
        return IntDistribution(0, len(parameter.values) - 1)
    assert isinstance(parameter, Categorical)  # noqa: S101  the spaces of the problems hold nothing else
    return CategoricalDistribution(parameter.choices)
