"""The part of a study that keeps repeated trainings of its trials, and what they say of the noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import StudyError
from hwnas.search._noise import Noise, best_estimate, pooled_noise
from hwnas.search._reader import StudyReader
from hwnas.search._told import checked_values, number_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwnas.search._objective import Objective
    from hwnas.search._replica_rows import Replica, ReplicaRows
    from hwnas.search._trial import Trial, Value


class StudyReplicas(StudyReader):
    """What a study keeps of further trainings of its complete trials, each with a seed of its own."""

    _replica_rows: ReplicaRows

    def replicas(self, trial: Trial | int | None = None) -> list[Replica]:
        """Return the further trainings of a trial, or of all, with those that run or failed."""
        found = self._replica_rows.all()
        return found if trial is None else [replica for replica in found if replica.trial == number_of(trial)]

    def begin_replica(self, trial: Trial | int, most: int | None = None) -> Replica | None:
        """Hold the next further training of a complete trial for this process; `None` where there is none to do.

        Its seed derives from the study's seed, the trial and the training's number. No two processes get the same; what
        a process began that died is given out again.

        Args:
            trial: which.
            most: how many further trainings the trial is to have; by default the study's `replicas`.

        Raises:
            StudyError: the trial is not complete.
        """
        number = number_of(trial)
        limit = self.settings.replicas if most is None else most
        return self._replica_rows.begin(number, limit, lambda place: replica_seed(self.settings.seed, number, place))

    def record_replica(
        self,
        trial: Trial | int,
        values: Mapping[str, float | Value],
        *,
        seed: int | None = None,
        replica: Replica | None = None,
    ) -> Trial:
        """Keep what a further training of a complete trial gave, and return the trial; see `Trial.replicas`.

        Args:
            trial: which.
            values: every objective that a training reports, and whatever else it reported.
            seed: what it was trained with, where that is to be kept.
            replica: the one that `begin_replica` gave; without it, the training is added to those that are known.

        Raises:
            StudyError: a value that is not finite, or that the objective cannot have; a figure that no training changes
                (of a device, or of the network); an objective that is missing; a trial that is not complete; or the
                replica is over already. Nothing is kept then.
        """
        number = number_of(trial)
        told = checked_values(self.objectives, trial, values)
        for objective in self.objectives:
            if objective.source != "evaluation" and objective.name in told:
                raise StudyError(
                    f"trial {number}, {objective.name}: no training tells it",
                    "a second measurement is kept by record_again()",
                )
        missing = [o.name for o in self.objectives if o.source == "evaluation" and o.name not in told]
        if missing or not told:
            raise StudyError(
                f"a further training of trial {number} lacks {', '.join(missing) or 'any value'}",
                "tell every objective that a training reports",
            )
        if replica is None:
            self._replica_rows.add(number, told, seed)
        else:
            self._replica_rows.end(replica, told)
        return self.trial(number)

    def fail_replica(self, replica: Replica, error: BaseException | str) -> None:
        """Keep that a further training failed, and why; the trial stays complete, and this training missing.

        Raises:
            StudyError: it is over already, or another process runs it.
        """
        self._replica_rows.end(replica, {}, str(error) or repr(error))

    def release_replica(self, replica: Replica) -> None:
        """Hand a further training back that came to no end; see `fail_replica` for the error."""
        self._replica_rows.release(replica)

    def noise(self, name: str) -> Noise | None:
        """Return how much an objective varies between trainings of one architecture.

        It is pooled over all trials that were trained again; see `Noise`. `None` where there is none, and where all
        trainings of each agree to the last digit.

        Raises:
            StudyError: `name` is no objective.
        """
        return pooled_noise(self._objective(name), self.trials())

    def best_estimate(self, trial: Trial | int, name: str) -> Value:
        """Return the best estimate of an objective of a trial, with its standard error, as `Trial.best_estimate` does.

        Raises:
            StudyError: `name` is no objective, or the trial has no value of it.
        """
        objective = self._objective(name)
        trials = self.trials()
        found = self.trial(number_of(trial))
        if name not in found.values:
            raise StudyError(f"trial {found.number} has no {name} yet", "its state says how far it is")
        return best_estimate(found, name, pooled_noise(objective, trials))

    def _objective(self, name: str) -> Objective:
        by_name = {objective.name: objective for objective in self.objectives}
        if name not in by_name:
            raise StudyError(f"{name!r} is no objective of this study", f"its objectives are {', '.join(by_name)}")
        return by_name[name]


def replica_seed(study_seed: int, trial: int, replica: int) -> int:
    """Return the seed of a further training, other than those of the trial's attempts.

    Args:
        study_seed: the study's.
        trial: the trial's number.
        replica: the training's, from 1.
    """
    return int(np.random.SeedSequence([study_seed, trial, 0, replica]).generate_state(1)[0]) % 2**31
