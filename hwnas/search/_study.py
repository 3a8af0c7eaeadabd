"""A study: trials of one space in the store, what to try next, and what was found."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from hwnas._toml import closest, validate
from hwnas.errors import ConfigError, StudyError, StudyNotFoundError
from hwnas.evaluation import CurvePoint
from hwnas.search._config import SearchSettings, StudyConfig
from hwnas.search._events import BatchProposed, Listener, Warned, ignore
from hwnas.search._ledger import Ledger
from hwnas.search._objective import BASELINE, Objective, check_objectives
from hwnas.search._replica_rows import ReplicaRows
from hwnas.search._replicas import StudyReplicas
from hwnas.search._strategy import Proposals, SobolStrategy, Strategy, strategy_from_settings
from hwnas.search._targets import check_baseline
from hwnas.search._told import checked_values, number_of
from hwnas.store import schema

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from hwnas.search._trial import Trial, Value
    from hwnas.space import Architecture, SearchSpace
    from hwnas.store import Store

#: The format of `study.config`. 1: search, space, objectives, the whole file where the study came from one, and since
#: studies have one, the baseline's values.
_FORMAT = 1


class Study(StudyReplicas):
    """Ask for architectures, tell what they are like, and read the front.

    All state is in the store: two `Study` objects of one name, in one process or in several, are the same study.

    Attributes:
        name: unique in the store.
        store: where it is kept.
        settings: its size and method.
        space: what is searched.
        objectives: what is to be improved.
        file: the whole study file, as data, where it came from one.
        source: the path of that file.
        strategy: what proposes once the start is over.
        reference_architecture: what the study is compared with; `baseline()` is its trial.
    """

    def __init__(self, store: Store, row: sa.Row[Any], space: SearchSpace) -> None:
        """Take a row of the study table; use `create` or `load`."""
        self.store = store
        self.name: str = row.name
        self.space = space
        self.settings = SearchSettings.model_validate(row.config["search"])
        self.objectives = tuple(Objective.from_json(data) for data in row.config["objectives"])
        self.file: Mapping[str, Any] | None = row.config["file"]
        self.source: str | None = row.source
        self.strategy: Strategy = strategy_from_settings(self.settings)
        self.reference_architecture = check_baseline(
            space, self.objectives, row.config.get(BASELINE), f"study {row.name!r}"
        )
        self._ledger = Ledger(store, row.id, (space.name, space.version))
        self._replica_rows = ReplicaRows(store, row.id)

    # its beginning and its end

    @classmethod
    def create(
        cls,
        store: Store,
        settings: SearchSettings,
        space: SearchSpace,
        objectives: Sequence[Objective],
        *,
        baseline: Architecture | None = None,
        file: Mapping[str, Any] | None = None,
        source: str | None = None,
    ) -> Study:
        """Return a new study, stored.

        Args:
            store: where it is kept.
            settings: its name, size and method.
            space: what is searched.
            objectives: what is to be improved; at least one.
            baseline: what the others are compared with, such as the production model: the first that `ask` gives.
            file: the study file as JSON data, and `source` its path, where it comes from one.
            source: see `file`.

        Raises:
            StudyError: there is one of that name.
            ConfigError: the objectives do not go together, or the baseline is none of the space.
        """
        check_objectives(tuple(objectives))
        values = None if baseline is None else dict(baseline.values)
        check_baseline(space, objectives, values, f"study {settings.name!r}")
        config = {
            "format": _FORMAT,
            "search": settings.model_dump(mode="json"),
            "space": space.to_json(),
            "objectives": [objective.to_json() for objective in objectives],
            BASELINE: values,
            "file": file,
        }
        row = {"name": settings.name, "created_at": datetime.now(UTC), "config": config, "source": source}
        try:
            with store.begin() as connection:
                connection.execute(sa.insert(schema.study).values(row))
        except sa.exc.IntegrityError as exc:
            raise StudyError(
                f"there is a study {settings.name!r} already", "load it, remove it, or choose another name"
            ) from exc
        return cls.load(store, settings.name, space)

    @classmethod
    def load(cls, store: Store, name: str, space: SearchSpace | None = None) -> Study:
        """Return a study from the store.

        Args:
            store: where it is kept.
            name: its name.
            space: its space, where it is at hand. One that is rebuilt from the store is the same, but has no networks.

        Raises:
            StudyNotFoundError: there is none of that name.
            StudyError: `space` is not the study's, or the study was written by a newer hwnas.
        """
        from hwnas.space import SearchSpace

        with store.read() as connection:
            row = connection.execute(sa.select(schema.study).where(schema.study.c.name == name)).one_or_none()
        if row is None:
            raise StudyNotFoundError(
                f"no study {name!r}{closest(name, cls.names(store))}", "begin one with `hwnas search run FILE`"
            )
        if row.config["format"] != _FORMAT:
            raise StudyError(f"study {name!r} was written by a newer hwnas", "update hwnas")
        if space is None:
            space = SearchSpace.from_json(row.config["space"])
        elif space.to_json() != row.config["space"]:
            raise StudyError(
                f"study {name!r} searches another space than the {space.name!r} given",
                "a space that changes its meaning needs a study of its own",
            )
        return cls(store, row, space)

    @staticmethod
    def names(store: Store) -> list[str]:
        """Return the names of all studies, oldest first."""
        with store.read() as connection:
            return list(connection.scalars(sa.select(schema.study.c.name).order_by(schema.study.c.id)))

    @staticmethod
    def remove(store: Store, name: str) -> None:
        """Remove a study with its trials; measurements stay.

        Raises:
            StudyNotFoundError: there is none of that name.
        """
        with store.begin() as connection:
            result = connection.execute(sa.delete(schema.study).where(schema.study.c.name == name))
        if result.rowcount == 0:
            raise StudyNotFoundError(f"no study {name!r}{closest(name, Study.names(store))}", "nothing was removed")

    def resize(self, *, trials: int | None = None, workers: int | None = None, replicas: int | None = None) -> None:
        """Change how many trials the study is to have, how many trainings run at a time, or how many replicas it wants.

        Nothing else of it may change.

        Raises:
            ConfigError: a number that cannot be, or fewer trials than there are.
        """
        if trials is workers is replicas is None:
            return
        if trials is not None and trials < (there := len(self.trials())):
            raise ConfigError(f"study {self.name!r} has {there} trials, and cannot have {trials}", "give more, or none")
        given = {"trials": trials, "workers": workers, "replicas": replicas}
        changes = {key: value for key, value in given.items() if value is not None}
        settings = validate({**self.settings.model_dump(), **changes}, SearchSettings, source=f"study {self.name!r}")
        with self.store.begin() as connection:
            where = schema.study.c.name == self.name
            config = connection.scalars(sa.select(schema.study.c.config).where(where).with_for_update()).one()
            config = {**config, "search": settings.model_dump(mode="json")}
            if config["file"] is not None:
                config["file"] = {**config["file"], "search": config["search"]}
                validate(config["file"], StudyConfig, source=f"study {self.name!r}")
            connection.execute(sa.update(schema.study).where(where).values(config=config))
        self.settings, self.file = settings, config["file"]

    # asking and telling

    def ask(self, n: int = 1, *, on_event: Listener = ignore, cancelled: threading.Event | None = None) -> list[Trial]:
        """Return at most `n` trials to evaluate, stored as proposed and held by this process.

        Trials that were interrupted, or put back after a failure, come first, and alone: new ones are proposed when
        none is left, as if nothing had happened. No two callers get the same trial. The list is shorter than `n` at the
        end of the start phase and near the end of the study, and empty when the study has all its trials. A baseline
        comes first, and alone.

        The study's own seed and the number of the batch fix what is proposed, given what is known of the trials.

        Args:
            n: how many at most.
            on_event: gets `BatchProposed`, and `Warned` where the strategy has something to say.
            cancelled: once it is set, the strategy gives up as soon as it can; nothing is stored then.

        Raises:
            ConfigError: `n` is not positive.
            SpaceError: the space holds no new architecture.
            StoppedError: `cancelled` was set.
            StudyError: the strategy proposed nothing new, against its contract.
        """
        if n < 1:
            raise ConfigError(f"ask({n}): cannot propose {n} trials", "ask for at least one")
        self.reset_stale()
        held = self._ledger.claim(n)
        while not held:
            trials = self.trials()
            room = self.settings.trials - len(trials)
            if room <= 0:
                break
            batch = 1 + max((trial.batch for trial in trials), default=-1)
            proposals = self._propose(trials, min(n, room), batch, cancelled)
            # What another process proposed meanwhile is left out; where that leaves nothing, propose again.
            held = self._ledger.insert(proposals, batch=batch, room=self.settings.trials)
            if not held and len(self.trials()) == len(trials):
                raise StudyError(
                    f"strategy {proposals.origin!r} proposed nothing new", "it must leave out what was tried"
                )
            if held:
                numbers = tuple(trial.number for trial in held)
                on_event(BatchProposed(batch, numbers, proposals.origin, proposals.fit_s, proposals.acquisition_s))
            for notice in proposals.notices:
                on_event(Warned(notice))
        return held

    def _propose(self, trials: list[Trial], n: int, batch: int, cancelled: threading.Event | None) -> Proposals:
        first = self.reference_architecture
        if first is not None and all(trial.id != first.id for trial in trials):
            return Proposals((first,), BASELINE)
        seed = self.settings.seed
        rng = np.random.default_rng(np.random.SeedSequence([seed, batch]))
        left = self.settings.start - len(trials)
        if left > 0:
            return SobolStrategy(seed).propose(self.space, self.objectives, trials, min(n, left), rng)
        return self.strategy.propose(self.space, self.objectives, trials, n, rng, cancelled=cancelled)

    def add(self, architectures: Sequence[Architecture], origin: str = "given") -> list[Trial]:
        """Store architectures of the caller's own choice as proposed; whoever asks next gets them.

        Those that the study has already are left out, and those beyond its size.

        Raises:
            SpaceError: one is not of the study's space.
        """
        checked = tuple(self.space.architecture(architecture.values) for architecture in architectures)
        batch = 1 + max((trial.batch for trial in self.trials()), default=-1)
        return self._ledger.insert(Proposals(checked, origin), batch=batch, room=self.settings.trials, mine=False)

    def start(self, trial: Trial | int) -> Trial:
        """Move a proposed trial to running, held by this process.

        Raises:
            IllegalMoveError: it is not proposed; of two that start it at once, one gets this.
        """
        return self._ledger.start(number_of(trial))

    def record(self, trial: Trial | int, values: Mapping[str, float | Value]) -> Trial:
        """Keep some values of a trial that is proposed or running, such as its latency before it is trained.

        They serve the surrogate at once, and stay where the trial fails or is interrupted.

        Raises:
            StudyError: a value that is not finite, that the objective cannot have, or that was told already; or the
                trial is over.
        """
        return self._ledger.record(number_of(trial), self._checked(trial, values))

    def report(self, trial: Trial | int, epoch: float, values: Mapping[str, float]) -> None:
        """Keep a point of the learning curve of a running trial; see `curve`. Of two at one epoch the later counts.

        Args:
            trial: a running one.
            epoch: how far its training is.
            values: what it has reached, by name.

        Raises:
            IllegalMoveError: the trial does not run.
            StudyError: a number that is not finite.
        """
        wrong = [number for number in (epoch, *values.values()) if not math.isfinite(number)]
        if wrong:
            raise StudyError(f"trial {number_of(trial)}: {wrong[0]} is not a finite number", "leave such points out")
        self.report_points(trial, [CurvePoint(float(epoch), values)])

    def report_points(self, trial: Trial | int, points: Sequence[CurvePoint]) -> None:
        """Keep several points of a learning curve, in one transaction; see `report`."""
        self._ledger.report(number_of(trial), points)

    def tell(
        self, trial: Trial | int, values: Mapping[str, float | Value] | None = None, *, note: str | None = None
    ) -> Trial:
        """Keep the last values of a trial and move it to complete.

        With those recorded before, every objective must have a value. Others may be told too, and are kept. A trial
        that is still proposed passes through running. Of two that tell one trial, the first counts.

        Args:
            trial: which one.
            values: the last ones.
            note: what a person may want to know of how it went; kept in its history, see `moves`.

        Raises:
            IllegalMoveError: the trial is over.
            StudyError: as for `record`, or an objective has no value; nothing is kept then.
        """
        required = [objective.name for objective in self.objectives]
        return self._ledger.complete(number_of(trial), self._checked(trial, values or {}), required, note)

    def fail(self, trial: Trial | int, error: BaseException | str, *, keep: bool = False) -> Trial:
        """Move a trial to failed, with the reason, and back to proposed where it has attempts left.

        What was recorded of it stays: a latency is true even where the training failed.

        Args:
            trial: which one.
            error: why.
            keep: whether this process goes on holding it, to try it again itself; else whoever asks next gets it.

        Raises:
            IllegalMoveError: the trial is over.
        """
        return self._ledger.fail(number_of(trial), str(error) or repr(error), self.settings.attempts, keep=keep)

    def retry(self, trial: Trial | int) -> Trial:
        """Put a failed trial back to proposed, its attempts forgotten; see `fail` for the errors."""
        return self._ledger.retry(number_of(trial))

    def abandon(self, trial: Trial | int, reason: str, values: Mapping[str, float | Value] | None = None) -> Trial:
        """Give a trial up for good, with what is known of it; it is never tried again, and never proposed again.

        See `fail` for the errors.
        """
        return self._ledger.abandon(number_of(trial), reason, self._checked(trial, values or {}))

    def release(self, trial: Trial | int) -> Trial:
        """Hand a proposed or running trial back, its attempt not counted; see `fail` for the errors."""
        return self._ledger.release(number_of(trial))

    def reset_stale(self, *, everywhere: bool = False) -> list[Trial]:
        """Hand back the trials that dead processes hold, running or not, and return them; `ask` does so by itself.

        Args:
            everywhere: those of other machines too, and the repeated trainings that they held. Nobody here can tell
                whether a process there lives, so say it only where no other machine is at work on the study.
        """
        if everywhere:
            self._replica_rows.forget_lost()
        return self._ledger.reset_stale(everywhere=everywhere)

    def record_again(self, trial: Trial | int, values: Mapping[str, float | Value]) -> Trial:
        """Keep the values of a second measurement of a complete trial beside the first; see `Trial.again`."""
        return self._ledger.record(number_of(trial), self._checked(trial, values), again=True)

    def revise(self, values: Mapping[int, Mapping[str, Value]]) -> None:
        """Replace predictions by better ones, or by measurements, of several trials at once; in one transaction.

        Only what is a prediction is replaced, in whatever state its trial is; a measured or reported value stays. A
        prediction that a measurement replaces is kept beside it, see `Trial.foretold`.

        Args:
            values: by the trials' numbers.

        Raises:
            StudyError: a value that the objective cannot have; nothing is kept then.
        """
        if values:
            self._ledger.revise({number: self._checked(number, told) for number, told in values.items()})

    def _checked(self, trial: Trial | int, values: Mapping[str, float | Value]) -> dict[str, Value]:
        return checked_values(self.objectives, trial, values)
