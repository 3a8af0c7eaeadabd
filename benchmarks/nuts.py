"""Our NUTS against BoTorch's on the same data: leave-one-out R², log likelihood, and CPU seconds.

    python benchmarks/nuts.py --trials 64 --seeds 3

The data are a function of 2 columns out of `--columns`, with noise; a seed makes the data and the chains.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings

import numpy as np
import torch

from hwnas.search import Objective, SaasSettings
from hwnas.search._data import OutcomeData
from hwnas.search._surrogate import Surrogate, conditioned, fit_surrogate


def data_of(n: int, d: int, seed: int) -> OutcomeData:
    """Return standardised noisy values of a function of the first two columns."""
    rng = np.random.default_rng(seed)
    X = rng.random((n, d))
    Y = np.sin(5 * X[:, 0]) + (X[:, 1] - 0.4) ** 2 + 0.05 * rng.standard_normal(n)
    return OutcomeData(Objective("y", "maximize"), X, (Y - Y.mean()) / Y.std(ddof=1), None, 0.0, 1.0, 0)


def theirs(data: OutcomeData, seed: int) -> Surrogate:
    """Return BoTorch's own fit (256 steps of warm-up, 128 samples), conditioned as ours."""
    from botorch.fit import fit_fully_bayesian_model_nuts
    from botorch.models.fully_bayesian import SaasFullyBayesianSingleTaskGP

    model = SaasFullyBayesianSingleTaskGP(torch.as_tensor(data.X), torch.as_tensor(data.Y)[:, None])
    torch.manual_seed(seed)
    fit_fully_bayesian_model_nuts(model, warmup_steps=256, num_samples=128, thinning=16, disable_progbar=True)
    return conditioned(data, model.eval(), "saas")


def scores(surrogate: Surrogate) -> tuple[float, float]:
    """Return leave-one-out R² and mean log likelihood."""
    mean, variance = surrogate.leave_one_out()
    error = surrogate.data.Y - mean
    likelihood = -0.5 * (np.log(2 * np.pi * variance) + error**2 / variance)
    return 1.0 - float(np.mean(error**2) / np.var(surrogate.data.Y)), float(likelihood.mean())


def main() -> None:
    """Print a line for each fit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--columns", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    sys.stdout.write("fit        seed  LOO R2   LOO log likelihood   CPU s\n")
    for seed in range(options.seeds):
        data = data_of(options.trials, options.columns, seed)
        for name in ("hwnas", "hwnas map", "BoTorch"):
            began = time.process_time()
            if name == "BoTorch":
                surrogate = theirs(data, seed)
            else:
                surrogate = fit_surrogate(data, SaasSettings(fit="map" if name == "hwnas map" else "nuts"), seed)
            r2, likelihood = scores(surrogate)
            cpu_s = time.process_time() - began
            sys.stdout.write(f"{name:10s} {seed:4d}  {r2:6.3f}   {likelihood:18.3f}   {cpu_s:5.1f}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
