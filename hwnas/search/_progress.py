"""What a search tells its listener of the whole: trials by state, hypervolume, time spent and time left."""

from __future__ import annotations

import time
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Literal

from hwnas.search import _front
from hwnas.search._counts import latency_counts
from hwnas.search._events import Growth, Progress
from hwnas.search._trial import TrialState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hwnas.search._events import Event, Listener
    from hwnas.search._study import Study

Work = Literal["propose", "measure", "evaluate"]


class Reporter:
    """Hands events to the listener, and adds up where the time goes."""

    def __init__(self, study: Study, listener: Listener) -> None:
        """Begin to count."""
        self._study = study
        self._listener = listener
        self._spent_s: dict[Work, float] = {"propose": 0.0, "measure": 0.0, "evaluate": 0.0}
        self._began_s = time.monotonic()
        self._finished_before = sum(trial.state.finished for trial in study.trials())

    def say(self, event: Event) -> None:
        """Hand an event on."""
        self._listener(event)

    def relayed(self, hand_on: Callable[[Callable[[], None]], None]) -> Reporter:
        """Return one for another thread: it adds up the same times, and lets `hand_on` see to it that events are heard.

        Args:
            hand_on: gets a call to make in the thread of this one.
        """
        other = copy(self)
        other._listener = lambda event: hand_on(lambda: self._listener(event))  # noqa: SLF001  one of this class
        return other

    @contextmanager
    def timed(self, work: Work) -> Iterator[None]:
        """Count the time of the block as spent on `work`."""
        began_s = time.monotonic()
        try:
            yield
        finally:
            self._spent_s[work] += time.monotonic() - began_s

    def progress(self) -> None:
        """Say where the search stands."""
        study = self._study
        trials = study.trials()
        volumes = _front.hypervolumes_now(study.objectives, trials, study.settings.batch)
        self._listener(
            Progress(
                counts={str(state): sum(trial.state == state for trial in trials) for state in TrialState},
                total=study.settings.trials,
                hypervolume=None if volumes is None else volumes[0],
                propose_s=self._spent_s["propose"],
                measure_s=self._spent_s["measure"],
                evaluate_s=self._spent_s["evaluate"],
                left_s=self._left_s(sum(trial.state.finished for trial in trials)),
                latencies=latency_counts(study.objectives, trials),
                growth=_growth(volumes, study.settings.batch),
            )
        )

    def _left_s(self, finished: int) -> float | None:
        """Return the time left at the pace so far; `None` before the first trial of this run is over, and once all are.

        What the front still needs then has another pace.
        """
        done = finished - self._finished_before
        if done < 1 or finished >= self._study.settings.trials:
            return None
        return (time.monotonic() - self._began_s) / done * (self._study.settings.trials - finished)


def _growth(volumes: tuple[float, float] | None, latest: int) -> Growth | None:
    """Return what the latest trials have added; `None` while there was nothing before them."""
    if volumes is None or not volumes[1] > 0.0:
        return None
    return Growth(latest, 1.0 - volumes[1] / volumes[0])
