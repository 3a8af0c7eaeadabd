"""Studies in every condition that the report page must be right for; each function fills one and returns it."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from hwnas.device import DeviceFacts, DeviceProfile
from hwnas.measurement import LatencyTrace, MeasuredNetwork, MeasurementProtocol, MeasurementStore, TraceBlock
from hwnas.search import Objective, Provenance, SearchSettings, Study, Value
from hwnas.space import Categorical, Float, Int, Ordinal, SearchSpace

#: What a page must show as text, whoever says it.
EVIL = "<script>alert(1)</script>"
EVIL_END = "</script><img src=x onerror=alert(2)>"
ACCURACY = Objective("accuracy", "maximize", reference=0.5)
P99 = Objective("p99_ms", "minimize", "device", "phone")


def space():
    """Every kind of parameter, two of them conditional, and a choice that would be markup."""
    return SearchSpace(
        "cells",
        [
            Int("depth", 1, 4),
            Int("width", 1, 100_000, log=True),
            Categorical("block", ("conv", "mbconv", EVIL_END)),
            Ordinal("expansion", (2, 3, 4, 6), when={"block": "mbconv"}),
            Categorical("fast", (True, False)),
            Float("lr", 1e-4, 1e-1, log=True, when={"fast": True}),
        ],
    )


def begun(store, objectives, *, name="page", trials=16, **more):
    """A study without a trial."""
    settings = SearchSettings(name=name, trials=trials, batch=4, start=trials, **more)
    return Study.create(store, settings, space(), objectives)


def truth(trial):
    """Accuracy and p99 of a trial, made up."""
    values = trial.architecture.values
    size = values["depth"] * math.log(values["width"] + 2)
    return 0.95 - 0.4 * math.exp(-size / 8) - 0.001 * trial.number, 0.1 + 0.05 * size


def told(study, values):
    """Ask and tell until the study has all its trials."""
    while trials := study.ask(4):
        for trial in trials:
            study.tell(trial, values(trial))
    return study


def trace(device):
    """A measurement of a thousand samples about a millisecond."""
    samples = np.random.default_rng(0).normal(1e6, 2e4, 1000).astype(int)
    reference = np.full(5, 1_000_000)
    block = TraceBlock(0, samples, samples, np.zeros(1000, int), reference, reference, datetime.now(UTC))
    return LatencyTrace(
        network=MeasuredNetwork("net", "a" * 64, "onnx", 1234),
        device=device,
        device_hash="d" * 64,
        profile=DeviceProfile(device, threads=4, cpus=(4, 5), options={"graph_optimization": "all"}),
        facts=DeviceFacts(model=f"Phone {EVIL}", logical_cores=8, serial="SECRET-SERIAL"),
        versions={"onnxruntime": "1.0"},
        protocol=MeasurementProtocol(),
        blocks=(block,),
        warmup_ns=np.array([3_000_000]),
        steady=True,
        ended="samples",
    )


def empty(store):
    return begun(store, (ACCURACY, P99))


def usual(store):
    """Two objectives, the latency with its doubt."""
    study = begun(store, (ACCURACY, P99))
    return told(study, lambda t: {"accuracy": truth(t)[0], "p99_ms": Value(truth(t)[1], 0.01, Provenance.MEASURED)})


def troubled(store):
    """Trials that failed, were given up, and were interrupted; reasons that would be markup; a limit; predictions."""
    study = begun(store, (ACCURACY, Objective("p99_ms", "minimize", "device", "phone", limit=1.2)), attempts=2)
    first, second, third, fourth = study.ask(4)
    for _ in range(2):
        study.start(first)
        study.fail(first, f"exit code 1: {EVIL}\nlook at log.txt")
    study.start(second)
    study.record(second, {"p99_ms": Value(3.0, 0.1, Provenance.MEASURED)})
    study.abandon(second, f"p99_ms 3.0 is over its limit 1.2 {EVIL}")
    study.fail(third, "killed by the kernel for its memory")
    study.start(third)
    for epoch in (1, 2, 3):
        study.report(third, epoch, {"accuracy": 0.2 * epoch})
    study.tell(third, {"accuracy": 0.8, "p99_ms": Value(1.0, 0.1, Provenance.PREDICTED)})
    study.start(fourth)
    study.release(fourth)
    told(study, lambda t: {"accuracy": truth(t)[0], "p99_ms": Value(truth(t)[1], 0.02, Provenance.MEASURED)})
    for trial in study.pareto_front():
        study.record_again(trial, {"p99_ms": Value(1.02 * trial.values["p99_ms"].value, 0.02, Provenance.MEASURED)})
    return study


def unlucky(store):
    """No trial is complete."""
    study = begun(store, (ACCURACY, P99), trials=4, attempts=1)
    for trial in study.ask(4):
        study.fail(trial, "no GPU")
    return study


def running(store):
    """Some trials are complete, and this process is at work on others."""
    study = begun(store, (ACCURACY, P99))
    trials = study.ask(4) + study.ask(4)
    for trial in trials[:5]:
        study.tell(trial, {"accuracy": truth(trial)[0], "p99_ms": truth(trial)[1]})
    study.start(trials[5])
    return study


def single(store):
    """One objective alone, with a limit on another figure."""
    study = begun(store, (ACCURACY, Objective("params", "minimize", "network", limit=400.0, optimize=False)))
    return told(study, lambda t: {"accuracy": truth(t)[0], "params": 100.0 * t.architecture["depth"] + 50.0})


def three(store):
    study = begun(store, (ACCURACY, P99, Objective("params", "minimize", "network")))
    return told(study, lambda t: {"accuracy": truth(t)[0], "p99_ms": truth(t)[1], "params": t.architecture["width"]})


def two_devices(store):
    """Two targets, whose order of networks differs, with a real measurement behind one of the figures."""
    phone, watch = (Objective(f"p99_ms@{name}", "minimize", "device", name) for name in ("phone", "watch"))
    study = begun(store, (ACCURACY, phone, watch))
    measured = MeasurementStore(store).add(trace("phone"))

    def values(trial):
        accuracy, p99_ms = truth(trial)
        first = Value(measured.p99_ms, 0.05, Provenance.MEASURED, measured.id)
        on_phone = first if trial.number == 0 else Value(p99_ms, 0.02, Provenance.MEASURED)
        return {"accuracy": accuracy, phone.name: on_phone, watch.name: 8.0 / (1.0 + p99_ms) + trial.number % 3}

    return told(study, values)


def repeated(store):
    """Members of the front that were trained again."""
    study = usual(store)
    rng = np.random.default_rng(0)
    for trial in study.pareto_front():
        for _ in range(3):
            study.record_replica(trial, {"accuracy": truth(trial)[0] + 0.01 * rng.normal()})
    return study


def against_baseline(store):
    """A study with a baseline, and a reference point that is the baseline's."""
    values = {"depth": 2, "width": 100, "block": "mbconv", "expansion": 4, "fast": False}
    objectives = (replace(ACCURACY, reference="baseline"), replace(P99, reference="baseline"))
    settings = SearchSettings(name="page", trials=16, batch=4, start=16)
    study = Study.create(store, settings, space(), objectives, baseline=space().architecture(values))
    return told(study, lambda t: {"accuracy": truth(t)[0], "p99_ms": Value(truth(t)[1], 0.02, Provenance.MEASURED)})


def modelled(store):
    """Batches that a model chose; what it said of itself is made up here, as the strategy words it."""
    study = usual(store)
    import sqlalchemy as sa

    from hwnas.store import schema

    def fit(r2):
        names = ("depth", "width", "block", "expansion", "fast", "lr")
        inverse = {name: 1.0 / (1 + place) for place, name in enumerate(names)}
        chain = {"r_hat": 1.01, "ess": 120.0, "reruns": 0, "divergences": 0}
        told_ = {"method": "saas", "chain": chain, "n": 8, "raised": 0, "noise": "inferred", "loo_log_likelihood": -0.4}
        return {**told_, "loo_r2": r2, "inverse_lengthscales": inverse}

    for batch, r2 in ((2, 0.4), (3, None), (4, 0.05)):
        computed = {"method": "computed", "n": 8}  # an objective that needs no model
        outcomes = {"accuracy": fit(r2), "p99_ms": fit(0.9), "params": computed}
        row = {"batch": batch, "at": datetime.now(UTC), "origin": "saas-qnehvi", "fit_s": 3.0, "acquisition_s": 1.0}
        row |= {"study_id": 1, "diagnostics": {"outcomes": outcomes}}
        with store.begin() as connection:
            connection.execute(sa.insert(schema.proposal).values(row))
    return study


def diagnosis(study):
    """The content of a `diagnosis.json` of a study, made up."""

    def model(method, observed):
        values = np.asarray(observed)
        ends = {"predicted": 1.02 * values, "low": 0.9 * values, "high": 1.1 * values}
        figures = {"r2": 0.8, "log_likelihood": -0.5, "coverage": 0.95}
        return {"method": method, **{key: end.tolist() for key, end in ends.items()}, **figures}

    outcomes = []
    for objective in study.objectives:
        observed = [trial.values[objective.name].value for trial in study.trials()]
        quartiles = {"depth": [0.5, 1.0, 2.0], "width": [0.1, 0.2, 0.4]}
        both = {"saas": model("saas", observed), "plain": model("map", observed)}
        told_ = {"objective": objective.name, "trials": list(range(len(observed))), "observed": observed}
        outcomes.append({**told_, **both, "relevance": quartiles, "notes": []})
    return {"format": "hwnas-diagnosis", "version": 1, "study": study.name, "outcomes": outcomes}


ALL = (empty, usual, troubled, unlucky, running, single, three, two_devices, repeated, against_baseline, modelled)
