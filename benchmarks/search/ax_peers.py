"""Ax's methods, by its `Client` (https://ax.dev/docs/tutorials/getting_started/).

- `default`: no method is named. A Sobol start of one batch (the default of 5 would leave a batch of 16 unfilled),
  then BoTorch's defaults and qLogNEHVI, which Ax picks for several objectives.
- `saas`: `method="quality"`, which is a fully Bayesian SAAS Gaussian process with input warping by NUTS, and the same
  acquisition. One candidate takes minutes, so it is asked for one at a time and ends early.

Each objective has its threshold, as Ax's documentation recommends for several objectives; it is the reference point.
Latencies are told as logarithms.
"""

from __future__ import annotations

import fcntl
import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
from ax.utils.common.logger import set_ax_logger_levels

from benchmarks.search.methods import BATCH
from hwnas.space import Categorical, Float, Int, Ordinal, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.search.problems import Problem


class AxMethod:
    """A client by ask and tell."""

    def __init__(self, problem: Problem, seed: int, method: Literal["fast", "quality"]) -> None:
        """Describe the experiment."""
        set_ax_logger_levels(logging.ERROR)
        _compile_kernel()
        self._problem = problem
        self._client = Client(random_seed=seed)
        self._client.configure_experiment(parameters=[_config(p) for p in problem.space.parameters])
        names = [objective.name for objective in problem.objectives]
        thresholds = [
            f"{objective.name} >= {objective.score(objective.reference)}"
            for objective in problem.objectives
            if objective.reference is not None
        ]
        self._client.configure_optimization(objective=", ".join(names), outcome_constraints=thresholds)
        self._client.configure_generation_strategy(
            method=method, initialization_budget=BATCH, initialization_random_seed=seed
        )
        self._asked: list[int] = []

    def ask(self, n: int, batch: int) -> list[dict[str, Any]]:  # noqa: ARG002  the interface's
        """Return `n` settings; Ax may give fewer at a time, so it is asked until they are there or none comes."""
        found: dict[int, Any] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            while len(found) < n:
                told = self._client.get_next_trials(max_trials=n - len(found))
                if not told:
                    break
                found.update(told)
        self._asked = list(found)
        return [dict(setting) for setting in found.values()]

    def tell(self, values: Sequence[Mapping[str, Any]], seen: Sequence[Sequence[float]]) -> None:
        """Complete the trials that were asked for, or attach those of another process."""
        if not self._asked:
            self._asked = [self._client.attach_trial(dict(setting)) for setting in values]
        for index, row in zip(self._asked, seen, strict=True):
            told = {o.name: o.score(v) for o, v in zip(self._problem.objectives, row, strict=True)}
            self._client.complete_trial(index, raw_data=told)
        self._asked = []


def _compile_kernel() -> None:
    """Let BoTorch compile its kernel for the acquisition, once and outside of what is timed.

    It would do so at the first use, and wait for ever where a killed process has left its lock. Here a lock that dies
    with its process is held meanwhile, in a folder of the benchmark's own; so a lock that lies there is a dead one's.
    """
    folder = Path(__file__).resolve().parents[2] / "build" / "torch-extensions"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["TORCH_EXTENSIONS_DIR"] = str(folder)
    with (folder / "turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        for left in folder.glob("*/lock"):
            left.unlink()
        from botorch.acquisition.multi_objective import logei

        logei._try_load_fused_kernel()  # noqa: SLF001  there is no public name


def default(problem: Problem, seed: int) -> AxMethod:
    """Return what Ax does by itself."""
    return AxMethod(problem, seed, "fast")


def saas(problem: Problem, seed: int) -> AxMethod:
    """Return Ax with SAAS."""
    return AxMethod(problem, seed, "quality")


def _config(parameter: Parameter) -> RangeParameterConfig | ChoiceParameterConfig:
    name = parameter.name
    if isinstance(parameter, Float):
        scaling: Literal["log", "linear"] = "log" if parameter.log else "linear"
        return RangeParameterConfig(name, (parameter.low, parameter.high), "float", scaling=scaling)
    if isinstance(parameter, Int):
        step = float(parameter.step) if parameter.step > 1 else None
        return RangeParameterConfig(name, (parameter.low, parameter.high), "int", step_size=step)
    if isinstance(parameter, Ordinal):
        return ChoiceParameterConfig(name, list(parameter.values), "int", is_ordered=True)
    assert isinstance(parameter, Categorical)  # noqa: S101  the spaces of the problems hold nothing else
    return ChoiceParameterConfig(name, list(parameter.choices), "str", is_ordered=False)
