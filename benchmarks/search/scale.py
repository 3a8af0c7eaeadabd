"""How large a search may become, and whether its proposals stay valid and new: studies in a store of their own.

    python -m benchmarks.search.scale large         # 2,000 trials, 100 parameters: seconds and memory of `ask(16)`
    python -m benchmarks.search.scale conditional   # 240 evaluations in a space with conditions and a constraint

Objectives are formulas with noise. `large` is in the fast mode, as such a study is by itself; `conditional` has NUTS,
or with `--fit map` the fast mode. The exit code is 1 where a promise does not hold: `ask(16)` in under two minutes and
4 GiB; nothing invalid, nothing twice.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwnas import Workspace
from hwnas.search import Objective, SaasSettings, SearchSettings, Study, Trial
from hwnas.space import Categorical, Float, Int, Ordinal, SearchSpace
from hwnas.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_S, MOST_GIB = 120.0, 4.0
OBJECTIVES = [Objective("accuracy", "maximize"), Objective("p99_ms", "minimize", "device", device="made-up")]


def main() -> int:
    """Run one of the two; returns 0 where its promise holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=["large", "conditional"])
    parser.add_argument("--fit", choices=["auto", "nuts", "map"], default="auto")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Workspace.create(Path(folder)).store_url)
        made = large if options.which == "large" else conditional
        return made(store, options.fit, options.seed)


def large(store: Store, fit: str, seed: int) -> int:
    """Tell 2,000 trials of 100 parameters, and ask for 16 more."""
    parameters = [
        *(Float(f"float{i}", 0.0, 1.0) for i in range(40)),
        *(Int(f"int{i}", 0, 20) for i in range(30)),
        *(Ordinal(f"ordinal{i}", (1, 2, 4, 8)) for i in range(15)),
        *(Categorical(f"categorical{i}", ("a", "b", "c")) for i in range(15)),
    ]
    settings = SearchSettings(
        name="large", trials=4000, batch=16, start=2000, seed=seed, saas=SaasSettings.model_validate({"fit": fit})
    )
    study = Study.create(store, settings, SearchSpace("large", parameters), OBJECTIVES)
    rng = np.random.default_rng(seed)
    while len(study.trials()) < settings.start:
        for trial in study.ask(200):
            study.tell(trial, values_of(trial, rng))
    # processor time of all threads beside the wall's, since another program may run
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    asked = study.ask(16)
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{settings.start} trials, {len(parameters)} parameters: ask(16) by {asked[0].origin} took {wall_s:.0f} s "
        f"({cpu_s:.0f} CPU s); the process had at most {peak_gib:.2f} GiB"
    )
    return 0 if len(asked) == 16 and wall_s < MOST_S and peak_gib < MOST_GIB else 1


def conditional(store: Store, fit: str, seed: int) -> int:
    """Search a space with conditions to 240 evaluations, and look at every proposal."""
    parameters = [
        Categorical("block", ("conv", "mbconv", "fused")),
        Ordinal("expand", (1, 2, 4), when={"block": ["mbconv", "fused"]}),
        Categorical("attention", ("none", "squeeze"), when={"block": "mbconv"}),
        Float("reduction", 0.05, 0.5, when={"attention": "squeeze"}),
        *(Int(f"depth{i}", 1, 4) for i in range(4)),
        *(Int(f"width{i}", 8, 64, step=8) for i in range(4)),
        *(Ordinal(f"kernel{i}", (3, 5, 7)) for i in range(4)),
        Float("learning_rate", 1e-4, 1e-1, log=True),
        Float("dropout", 0.0, 0.5),
        *(Float(f"idle{i}", 0.0, 1.0) for i in range(6)),
    ]
    space = SearchSpace("conditional", parameters, ["depth0 * width0 + depth1 * width1 <= 192"])
    settings = SearchSettings(name="conditional", trials=240, seed=seed, saas=SaasSettings.model_validate({"fit": fit}))
    study = Study.create(store, settings, space, OBJECTIVES)
    rng = np.random.default_rng(seed)
    while asked := study.ask(16):
        for trial in asked:
            study.tell(trial, values_of(trial, rng))
        print(f"{len(study.trials())} trials, by {asked[-1].origin}", file=sys.stderr)
    trials = study.trials()
    invalid = [trial.number for trial in trials if not is_valid(trial.architecture.values, space)]
    distinct = {tuple(sorted(trial.architecture.values.items())) for trial in trials}
    active = {frozenset(trial.architecture.values) for trial in trials}
    print(
        f"{len(trials)} evaluations, {len(parameters)} parameters, fit {fit}: {len(invalid)} invalid, "
        f"{len(trials) - len(distinct)} repeated; {len(active)} combinations of active parameters"
    )
    return 1 if invalid or len(distinct) < settings.trials else 0


def is_valid(values: Mapping[str, bool | int | float | str], space: SearchSpace) -> bool:
    """Return whether an architecture obeys the space, its conditions and constraint said here once more by hand."""
    space.validate(values)
    block, attention = values["block"], values.get("attention")
    return (
        ("expand" in values) == (block in ("mbconv", "fused"))
        and ("attention" in values) == (block == "mbconv")
        and ("reduction" in values) == (attention == "squeeze")
        and values["depth0"] * values["width0"] + values["depth1"] * values["width1"] <= 192  # type: ignore[operator]
    )


def values_of(trial: Trial, rng: np.random.Generator) -> dict[str, float]:
    """Return an accuracy that saturates with size, and a latency that grows with it, both with noise."""
    numbers = [float(v) for v in list(trial.architecture.values.values())[:20] if not isinstance(v, str)]
    size = sum(np.log1p(abs(number)) for number in numbers) / len(numbers)
    accuracy = 1 - np.exp(-size) + 0.01 * rng.standard_normal()
    return {"accuracy": float(accuracy), "p99_ms": float(np.exp(size + 0.03 * rng.standard_normal()))}


if __name__ == "__main__":
    sys.exit(main())
