"""TensorFlow Lite's own `benchmark_model` on the phone. It prints no single times, so that quantiles are estimates.

Of a run of m inferences it tells minimum, maximum, average and standard deviation, newer builds also the 5th, 50th and
95th percentile. With m = 69 the maximum lies above the true p99 as often as below (0.99^69 = 0.5), so that the median
of many runs' maxima estimates the p99. To let the one protocol do the rest, each run becomes 100 figures: 98 along the
quantiles that it told, up to its 95th percentile, and its maximum twice. The p99 of R such runs together is then the
median of their R maxima. The order-statistic interval of a p99 from 100 R samples is as wide as that of a median from
R: a standard deviation of √R maxima over 2, both. Older builds tell no percentiles: there the average stands for the
median. What was reconstructed so is marked in the conditions of every block: `estimated_from`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from hwnas.device._runtime import Block
from hwnas.device.adb._onphone import ended_error
from hwnas.device.adb._tool import ToolRuntime, ToolSession
from hwnas.errors import MeasurementError, NetworkError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwnas._deadline import Deadline

RUNS = 69  # so that the maximum is a median-unbiased estimate of the p99
FIGURES = 100
ESTIMATED_FROM = f"benchmark_model's figures of {RUNS} inferences at a time"
_WARM_UP = 10
_LINE = re.compile(r"^.*?count=(\d+) (.*)$", re.MULTILINE)
_WORD = re.compile(r"(\w+)=([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)")
#: MiB since the tool began, though it says MB: whole pages come out of it.
_PEAK = re.compile(r"overall=([0-9.]+)")


class BenchmarkModelSession(ToolSession):
    """See `ToolSession`."""

    _runtime: BenchmarkModelRuntime

    def run(self, n: int, *, deadline: Deadline) -> Block:
        """Return figures of at least `n` inferences, in whole hundreds; the median alone where `n` is 1."""
        started_at = datetime.now(UTC)
        runs = [self._once(deadline) for _ in range(math.ceil(n / FIGURES))]
        conditions = self._device.conditions(deadline=deadline)
        figures = np.concatenate([reconstructed(run) for run in runs])
        if n == 1:
            figures = np.array([int(np.median(figures))])
        marked = dataclasses.replace(
            conditions, extra={**conditions.extra, "estimated_from": ESTIMATED_FROM, "estimated_runs": len(runs)}
        )
        return Block(figures, None, None, started_at, marked)

    def _once(self, deadline: Deadline) -> RunFigures:
        argv = self._runtime.command(self._folder, self._remote)
        done = self._runtime.transport.run(argv, deadline=deadline, harmless=True)
        text = (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace")
        if done.exit_code != 0:
            if "Failed to load" in text or "Failed to initialize" in text or "isn't a valid" in text:
                raise NetworkError(
                    f"{self._what} cannot be loaded on the phone: {_last(text)}", "check it with the tool"
                )
            raise ended_error(self._what, done.exit_code, done.stderr or done.stdout)
        peak = _PEAK.search(text)
        if peak is not None:
            self.peak_memory_bytes = int(float(peak[1]) * 2**20)
        return read_output(text, self._what)


class BenchmarkModelRuntime(ToolRuntime):
    """See `ToolRuntime`."""

    program = "benchmark_model"
    session = BenchmarkModelSession

    def command(self, folder: str, remote: str) -> list[str]:
        """Return the command that runs a network."""
        flags = {
            "graph": remote,
            "num_runs": RUNS,
            "min_secs": 0,
            "warmup_runs": _WARM_UP,
            "warmup_min_secs": 0,
            "num_threads": self.profile.threads,
            "use_xnnpack": str(self.provider in ("cpu", "xnnpack")).lower(),
            "use_gpu": str(self.provider == "gpu").lower(),
            "use_nnapi": str(self.provider == "nnapi").lower(),
        }
        options = [f"--{name}={value}" for name, value in flags.items()]
        return [*self.words(folder), *options]


@dataclasses.dataclass(frozen=True, slots=True)
class RunFigures:
    """What one run told, in microseconds; `None` for what older builds do not tell."""

    count: int
    low_us: float
    high_us: float
    average_us: float
    deviation_us: float
    p5_us: float | None
    median_us: float | None
    p95_us: float | None


def read_output(text: str, what: str) -> RunFigures:
    """Return the figures of the inferences that count: those of the last `count=` line.

    Raises:
        MeasurementError: there are none, or of another number of inferences.
    """
    lines = _LINE.findall(text)
    words = dict(_WORD.findall(lines[-1][1])) if lines else {}
    if not lines or int(lines[-1][0]) != RUNS or not {"min", "max", "avg", "std"} <= words.keys():
        raise MeasurementError(
            f"{what}: benchmark_model told nothing of {RUNS} inferences: {_last(text)}", "run it by hand to see more"
        )
    value = {name: float(number) for name, number in words.items()}
    quantiles = value.get("p5"), value.get("median"), value.get("p95")
    return RunFigures(RUNS, value["min"], value["max"], value["avg"], value["std"], *quantiles)


def reconstructed(run: RunFigures) -> NDArray[np.int64]:
    """Return 100 figures in nanoseconds, `int64[100]`, that stand for a run; see the module."""
    middle = run.median_us if run.median_us is not None else _between(run, run.average_us)
    upper = run.p95_us if run.p95_us is not None else _between(run, max(middle, run.average_us + run.deviation_us))
    known = [(0.0, run.low_us), (0.5, middle), (0.95, upper)]
    if run.p5_us is not None:
        known.insert(1, (0.05, run.p5_us))
    at, values = zip(*known, strict=True)
    below = np.interp((np.arange(FIGURES - 2) + 0.5) / FIGURES, at, values)
    figures = np.concatenate([below, [run.high_us, run.high_us]]) * 1e3
    shuffled: NDArray[np.int64] = np.rint(np.random.default_rng(0).permutation(figures)).astype(np.int64)
    return np.maximum(shuffled, 1, dtype=np.int64)


def _between(run: RunFigures, value_us: float) -> float:
    return min(max(value_us, run.low_us), run.high_us)


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "nothing"
