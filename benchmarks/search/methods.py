"""What searches: our strategies, and the interface that peers are brought behind.

Every method gets each parameter in its own native type, is told noisy values in batches of 16, and for the rest has
the defaults that its documentation recommends. What needs points to begin with gets one batch that fills the space.
"""

from __future__ import annotations

import datetime
import importlib.util
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from hwnas.search import (
    Nsga2Strategy,
    RandomStrategy,
    SaasQnehviStrategy,
    SaasSettings,
    SobolStrategy,
    Strategy,
    Trial,
    TrialState,
    Value,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.search.problems import Problem

BATCH = 16


class Method(Protocol):
    """One search, from its start to its end."""

    def ask(self, n: int, batch: int) -> list[dict[str, Any]]:
        """Return what to evaluate next: `n` settings of all parameters, or fewer."""
        ...

    def tell(self, values: Sequence[Mapping[str, Any]], seen: Sequence[Sequence[float]]) -> None:
        """Take in the noisy values of a batch; also of one that this process has not asked for."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A method by name.

    Attributes:
        label: what it is called in tables.
        make: from problem and seed.
        ours: whether it is hwnas.
        batch: how many are asked for at a time, once the start is over.
        most: evaluations at most, for what costs too much to go on.
        replays: whether it goes on as well when it is told what another process has evaluated.
        needs: the package it comes from.
        networks: whether it differs from another only where the space makes networks.
    """

    label: str
    make: Callable[[Problem, int], Method]
    ours: bool = False
    batch: int = BATCH
    most: int | None = None
    replays: bool = True
    needs: str = "hwnas"
    networks: bool = False

    @property
    def installed(self) -> bool:
        """Whether its package is there."""
        return importlib.util.find_spec(self.needs) is not None


@dataclass
class Ours:
    """One of hwnas's strategies, after a first batch of Sobol points."""

    problem: Problem
    seed: int
    strategy: Strategy
    trials: list[Trial] = field(default_factory=list)

    def ask(self, n: int, batch: int) -> list[dict[str, Any]]:
        """Return the strategy's proposals."""
        strategy = self.strategy if self.trials else SobolStrategy(self.seed)
        rng = np.random.default_rng([self.seed, batch])
        told = strategy.propose(self.problem.space, self.problem.objectives, self.trials, n, rng)
        for notice in told.notices:
            print(f"    {notice}", flush=True)
        return [dict(arch.values) for arch in told.architectures]

    def tell(self, values: Sequence[Mapping[str, Any]], seen: Sequence[Sequence[float]]) -> None:
        """Turn the batch into complete trials."""
        now = datetime.datetime.now(datetime.UTC)
        names = [objective.name for objective in self.problem.objectives]
        for setting, figures in zip(values, seen, strict=True):
            number = len(self.trials)
            architecture = self.problem.space.architecture(setting)
            told = {name: Value(figure) for name, figure in zip(names, figures, strict=True)}
            self.trials.append(
                Trial(number, architecture, TrialState.COMPLETE, number // BATCH, self.strategy.name, now, told)
            )


def _saas(fit: Literal["nuts", "map"], *, network: bool = True) -> Callable[[Problem, int], Method]:
    settings = SaasSettings(fit=fit, network=network)
    return lambda problem, seed: Ours(problem, seed, SaasQnehviStrategy(settings))


def _sobol(problem: Problem, seed: int) -> Method:
    return Ours(problem, seed, SobolStrategy(seed))


def _evolved(problem: Problem, seed: int) -> Method:
    return Ours(problem, seed, Nsga2Strategy())


def _random(problem: Problem, seed: int) -> Method:
    return Ours(problem, seed, RandomStrategy())


def _tpe(problem: Problem, seed: int) -> Method:
    from benchmarks.search.optuna_peers import tpe

    return tpe(problem, seed)


def _nsga2(problem: Problem, seed: int) -> Method:
    from benchmarks.search.optuna_peers import nsga2

    return nsga2(problem, seed)


def _optuna_gp(problem: Problem, seed: int) -> Method:
    from benchmarks.search.optuna_peers import gp

    return gp(problem, seed)


def _ax(problem: Problem, seed: int) -> Method:
    from benchmarks.search.ax_peers import default

    return default(problem, seed)


def _ax_saas(problem: Problem, seed: int) -> Method:
    from benchmarks.search.ax_peers import saas

    return saas(problem, seed)


METHODS: dict[str, Entry] = {
    "sobol": Entry("Sobol points", _sobol, ours=True),
    "saas-qnehvi": Entry("hwnas, NUTS", _saas("nuts"), ours=True),
    "saas-map": Entry("hwnas, fast", _saas("map"), ours=True),
    "saas-qnehvi-choices": Entry(
        "hwnas, NUTS, sees choices alone", _saas("nuts", network=False), ours=True, networks=True
    ),
    "saas-map-choices": Entry("hwnas, fast, sees choices alone", _saas("map", network=False), ours=True, networks=True),
    "nsga2": Entry("hwnas, NSGA-II", _evolved, ours=True),
    "random": Entry("hwnas, random", _random, ours=True),
    "optuna-tpe": Entry("Optuna TPE", _tpe, needs="optuna"),
    "optuna-nsga2": Entry("Optuna NSGA-II, population 16", _nsga2, replays=False, needs="optuna"),
    "optuna-gp": Entry("Optuna GP", _optuna_gp, needs="optuna"),
    "ax": Entry("Ax, default", _ax, needs="ax"),
    "ax-saas": Entry("Ax, SAAS", _ax_saas, batch=1, most=48, needs="ax"),
}
