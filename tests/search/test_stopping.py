"""Which trainings are ended early: rarely one that matters, often one that does not."""

from dataclasses import dataclass

import numpy as np
import pytest

from hwnas.errors import ConfigError
from hwnas.evaluation import CurvePoint
from hwnas.search import Objective, Provenance, StoppingSettings, TrialState, Value
from hwnas.search._pareto import hypervolume, non_dominated
from hwnas.search._stopping import hopeless, outlook, stopping_metric

ACCURACY = Objective("accuracy", "maximize")
P99 = Objective("p99_ms", "minimize", "device", "phone")
OBJECTIVES = (ACCURACY, P99)
EPOCHS = 20


@dataclass(frozen=True)
class Network:
    """What a made-up training is like: its latency, and its accuracy after each epoch."""

    p99_ms: float
    accuracy: np.ndarray

    @property
    def final(self):
        return float(self.accuracy[-1])


def train(rng):
    """Return a network whose curve looks like those of real trainings.

    Larger networks are slower and come to more. Some learning rates are too low, so that the curve still rises steeply
    at the end; some are too high, so that it stays low and jumps about; some trainings stand still for epochs before
    they take off. The error falls by a power law.
    """
    size = rng.uniform()
    kind = rng.choice(["good", "slow", "wild", "late"], p=[0.6, 0.2, 0.1, 0.1])
    best = 0.03 + 0.35 * np.exp(-2.5 * size) + rng.gamma(2.0, 0.03)
    steep = {"good": rng.uniform(1.0, 2.0), "slow": rng.uniform(0.4, 0.8), "wild": 0.3, "late": rng.uniform(1.0, 2.0)}
    epochs = np.arange(1, EPOCHS + 1, dtype=float)
    begin = rng.integers(1, 5) if kind == "late" else 0
    progress = np.maximum(epochs - begin, 0.05)
    error = best + (0.95 - best) * (1.0 + progress) ** -steep[kind]
    jumps = {"wild": 0.05}.get(kind, 0.01)
    noise = rng.normal(size=EPOCHS) * jumps * (1.0 + 2.0 / epochs)
    p99_ms = float(np.exp(1.5 * size + 0.25 * rng.normal()))
    return Network(p99_ms, np.clip(1.0 - error - error * noise, 0.0, 1.0))


def points(network, until=EPOCHS):
    return [CurvePoint(float(epoch), {"accuracy": network.accuracy[epoch - 1]}) for epoch in range(1, until + 1)]


@dataclass(frozen=True)
class Outcome:
    """What early stopping made of a study: epochs trained of those planned, trials stopped, and those in error."""

    share: float
    stopped: int
    front: int
    lost: int
    volume: float


def search(space, made_up, settings, rng, count=96):
    """Train networks one after the other, each to its end or until it is hopeless."""
    architectures = space.sample(count, rng)
    networks = [train(rng) for _ in range(count)]
    trials, curves, spent, stopped = [], {}, 0, []
    for number, (network, architecture) in enumerate(zip(networks, architectures, strict=True)):
        known = {"p99_ms": network.p99_ms}
        running = made_up.trial(number, architecture, known, state=TrialState.RUNNING)
        verdict = None
        for epoch in range(1, EPOCHS + 1):
            curves[number] = points(network, epoch)
            spent += 1
            if epoch < EPOCHS and (verdict := hopeless(OBJECTIVES, settings, running, curves, trials)):
                break
        if verdict is None:
            trials.append(made_up.trial(number, architecture, {**known, "accuracy": network.final}))
        else:
            stopped.append(number)
            trials.append(made_up.trial(number, architecture, known, state=TrialState.ABANDONED))
    Y = np.array([[network.final, -np.log(network.p99_ms)] for network in networks])
    front = set(np.flatnonzero(non_dominated(Y)).tolist())
    kept = np.array([number for number in range(count) if number not in set(stopped)])
    reference = Y.min(axis=0)
    volume = hypervolume(Y[kept], reference) / hypervolume(Y, reference)
    return Outcome(spent / (count * EPOCHS), len(stopped), len(front), len(front & set(stopped)), volume)


def test_epochs_are_saved_and_members_of_the_front_are_not(space, made_up):
    """Over 8 studies half of the epochs are saved; of 85 members of the fronts 5 are lost, and 0.1 % of the volume."""
    outcomes = [search(space, made_up, StoppingSettings(), np.random.default_rng(seed)) for seed in range(8)]
    assert np.mean([outcome.share for outcome in outcomes]) < 0.6
    members = sum(outcome.front for outcome in outcomes)
    assert members > 50
    assert sum(outcome.lost for outcome in outcomes) / members < 0.1
    assert np.mean([outcome.volume for outcome in outcomes]) > 0.995


def test_more_chance_saves_more_and_loses_more(space, made_up):
    careful, bold = (
        [search(space, made_up, StoppingSettings(chance=chance), np.random.default_rng(seed)) for seed in range(3)]
        for chance in (0.01, 0.4)
    )
    assert sum(outcome.share for outcome in bold) < sum(outcome.share for outcome in careful) - 0.1
    assert sum(outcome.lost for outcome in bold) >= sum(outcome.lost for outcome in careful)


@pytest.fixture
def study(space, made_up):
    """Twelve complete trials whose accuracy rises by 0.1 from epoch 1 to their ends, and more with their latency."""
    finals = np.linspace(0.6, 0.9, 12)
    told = [{"accuracy": float(final), "p99_ms": 1.0 + place} for place, final in enumerate(finals)]
    trials = [
        made_up.trial(number, arch, values)
        for number, (arch, values) in enumerate(zip(space.sample(12, np.random.default_rng(3)), told, strict=True))
    ]
    curves = {
        trial.number: [
            CurvePoint(float(epoch), {"accuracy": trial.values["accuracy"].value - 0.1 + 0.02 * epoch, "loss": 1.0})
            for epoch in range(1, 6)
        ]
        for trial in trials
    }
    return trials, curves


@pytest.fixture
def asked(space, made_up, study):
    """Ask for a verdict on a trial with this curve and latency."""
    trials, curves = study

    def ask(*accuracies, objectives=OBJECTIVES, trials=trials, **settings):
        values = {"p99_ms": settings.pop("p99_ms", 5.5)}
        running = made_up.trial(50, space.sample(13, np.random.default_rng(9))[-1], {}, state=TrialState.RUNNING)
        told = {name: value if isinstance(value, Value) else Value(value) for name, value in values.items()}
        running = type(running)(**{**{n: getattr(running, n) for n in type(running).__slots__}, "values": told})
        mine = [CurvePoint(float(epoch), {"accuracy": value}) for epoch, value in enumerate(accuracies, start=1)]
        return hopeless(objectives, StoppingSettings(**settings), running, {**curves, 50: mine}, [*trials, running])

    return ask


def test_a_hopeless_training_is_said_to_be_and_what_it_would_have_come_to(asked):
    verdict = asked(0.2, 0.22, 0.24)
    assert verdict.reason.startswith("stopped at epoch 3 of its training: accuracy 0.24, at most 0.4")
    assert verdict.reason.endswith(" expected, and trial 4 has 0.7091 at no worse p99_ms")
    assert verdict.metric == "accuracy"
    assert verdict.value.provenance == Provenance.PREDICTED
    assert 0.25 < verdict.value.value < 0.45
    assert 0.0 < verdict.value.sigma < 0.1


def test_what_may_still_matter_goes_on(asked):
    assert asked(0.2, 0.22, 0.24) is not None
    assert asked(0.2, 0.22) is None  # too early
    assert asked(0.2, 0.22, least_epochs=2) is not None
    assert asked(0.6, 0.63, 0.66) is None  # as good as the others at its latency
    assert asked(0.2, 0.22, 0.24, p99_ms=0.5) is None  # the fastest of all
    assert asked(0.2, 0.22, 0.24, least_trials=13) is None
    assert asked(0.2, 0.6, 0.1) is None  # its best counts, not its last
    assert asked(0.2, 0.22, 0.24, 0.25) is not None
    assert asked(0.2, 0.22, 0.24, 0.25, 0.25) is None  # as good as over


def test_a_predicted_latency_gets_the_benefit_of_the_doubt(asked):
    fast = Value(1.5, 0.5, Provenance.PREDICTED)
    assert asked(0.2, 0.22, 0.24, p99_ms=1.5) is not None
    assert asked(0.2, 0.22, 0.24, p99_ms=fast) is None


def test_a_limit_out_of_reach_is_hopeless_too(asked):
    limited = (Objective("accuracy", "maximize", limit=0.6), P99)
    verdict = asked(0.2, 0.22, 0.24, p99_ms=0.5, objectives=limited)
    assert verdict.reason.endswith("and the limit is 0.6")


def test_what_breaks_a_limit_is_no_rival(asked):
    tight = (ACCURACY, Objective("p99_ms", "minimize", "device", "phone", limit=0.9))
    assert asked(0.2, 0.22, 0.24, objectives=tight) is None


def test_alone_the_metric_is_compared_with_the_best(asked):
    verdict = asked(0.2, 0.22, 0.24, objectives=(ACCURACY,))
    assert verdict.reason.endswith(" expected, and trial 11 has 0.9")


def test_a_loss_is_followed_downwards(space, made_up):
    loss = Objective("loss", "minimize", log=True)
    trials = [
        made_up.trial(number, arch, {"loss": 0.5 + 0.01 * number})
        for number, arch in enumerate(space.sample(12, np.random.default_rng(3)))
    ]
    curves = {t.number: [CurvePoint(1.0, {"loss": 2.0 * t.values["loss"].value})] for t in trials}
    seen = outlook(loss, StoppingSettings(), 1.0, 4.0, curves, trials)
    assert seen.value == pytest.approx(2.0)
    assert seen.most == pytest.approx(2.0)
    assert seen.trials == 12


def test_the_chance_is_kept_for_gains_like_the_others(space, made_up):
    """Of trials that gain as the others do, no more than the chance exceed what is said to be the most."""
    rng = np.random.default_rng(1)
    exceeded, count = 0, 2000
    architectures = space.sample(12, rng)
    for _ in range(count):
        finals = 0.9 - 0.5 * rng.beta(1.0, 3.0, size=13)
        trials = [made_up.trial(n, arch, {"accuracy": finals[n]}) for n, arch in enumerate(architectures)]
        shown = 1.0 - (1.0 - finals) * np.exp(rng.gamma(1.0, 0.3, size=13))
        shown = np.clip(shown, 0.0, 1.0)
        curves = {n: [CurvePoint(2.0, {"accuracy": shown[n]})] for n in range(12)}
        seen = outlook(ACCURACY, StoppingSettings(), 2.0, float(shown[12]), curves, trials)
        exceeded += finals[12] > seen.most
    assert exceeded / count < 0.1


def test_what_cannot_be_followed_is_refused():
    other = Objective("tree_f1", "maximize")
    assert stopping_metric((ACCURACY, P99), StoppingSettings()) is ACCURACY
    assert stopping_metric((ACCURACY, P99), StoppingSettings(metric="accuracy")) is ACCURACY
    bound = Objective("tree_f1", "maximize", limit=0.5, optimize=False)
    assert stopping_metric((ACCURACY, bound, P99), StoppingSettings()) is ACCURACY
    with pytest.raises(ConfigError, match="2 optimised objectives come from the training"):
        stopping_metric((ACCURACY, other, P99), StoppingSettings(metric="accuracy"))
    with pytest.raises(ConfigError, match="metric 'p99_ms' is no optimised objective that the training reports"):
        stopping_metric((ACCURACY, P99), StoppingSettings(metric="p99_ms"))
    with pytest.raises(ConfigError, match="0 optimised objectives"):
        stopping_metric((P99,), StoppingSettings())
