"""Running a study file: everything that it names is checked before anything is proposed, trained or measured."""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas._toml import validate
from hwnas.errors import ConfigError, HwnasError, StudyError
from hwnas.search._batch import devices_of
from hwnas.search._config import StudyConfig, load_study_config
from hwnas.search._events import StudyFinished, StudyStarted, ignore
from hwnas.search._foresight import foresight_from_settings, is_unconfirmed
from hwnas.search._optimize import StudyResult, optimize
from hwnas.search._presence import at_work, is_at_work
from hwnas.search._replicate import lacking
from hwnas.search._settle import is_unsettled
from hwnas.search._study import Study
from hwnas.search._targets import check_baseline
from hwnas.space import space_from_config
from hwnas.store import Store

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping

    from hwnas.evaluation import Evaluator
    from hwnas.locks import MachineTurns
    from hwnas.search._events import Listener
    from hwnas.search._networks import NetworkSource
    from hwnas.search._objective import Objective
    from hwnas.search._tools import Measurer
    from hwnas.space import SearchSpace
    from hwnas.workspace import Workspace

#: Where a study's folder has network files.
_NETWORKS = "networks"
#: What may differ between a study and its file when it goes on: how much is tried, and how many at a time.
_MAY_DIFFER = ("search.trials", "search.workers", "search.replicas")


def run_study(
    path: Path,
    workspace: Workspace,
    *,
    again: bool = False,
    changes: Mapping[str, Any] | None = None,
    on_event: Listener = ignore,
    stop: threading.Event | None = None,
) -> StudyResult:
    """Run a study file to its end, and return what it has come to.

    A study of that name that is there already goes on where it was, if it is the same one; `trials` and `workers` may
    differ, and the file's count. One that is finished is left as it is, and its result returned.

    Args:
        path: the study file.
        workspace: where its devices are registered, and where it is kept.
        again: remove the study of that name first, with its trials. Measurements stay, so they are not made again.
        changes: settings that take the place of the file's `[search]`, by name, such as `latency`.
        on_event: hears what happens.
        stop: once set, the search ends cleanly; see `optimize`.

    Raises:
        ConfigError: the file, or something that it names, is wrong.
        StudyError: there is another study of that name, or a living process works on the one that is to be removed.
        HwnasError: as of `optimize`.
    """
    config = load_study_config(path, changes)
    source = path.absolute()
    space = space_from_config(config.space, source.parent)
    with _opened(workspace) as store:
        name = config.search.name
        folder = workspace.searches / name
        removed = again and name in Study.names(store)
        if removed:
            _check_idle(Study.load(store, name), folder)
        tools = _Tools(config, source, space, workspace, store)
        if removed:
            with at_work(folder):  # nothing goes where its folder cannot be written to
                Study.remove(store, name)
                shutil.rmtree(folder / _NETWORKS, ignore_errors=True)  # what writes them may have changed
        study = None
        if name not in Study.names(store):
            with suppress(StudyError):  # another process makes it at this moment
                study = Study.create(
                    store,
                    config.search,
                    space,
                    config.resolved_objectives(),
                    baseline=tools.baseline,
                    file=config.model_dump(mode="json", exclude_unset=True),
                    source=str(source),
                )
        return tools.run(study or _same_study(store, config, space, source), on_event, stop)


def resume_study(
    name: str,
    workspace: Workspace,
    *,
    sizes: Mapping[str, int] | None = None,
    on_event: Listener = ignore,
    stop: threading.Event | None = None,
) -> StudyResult:
    """Go on with a study that was made from a file, and return what it has come to.

    The file is taken as it was when the study began; its folder must still be there, for what the file names.

    Args:
        name: the study's.
        workspace: where it is kept.
        sizes: what is to change: `trials`, `workers`, `replicas`; see `Study.resize`.
        on_event: hears what happens.
        stop: once set, the search ends cleanly; see `optimize`.

    Raises:
        StudyNotFoundError: there is none of that name.
        StudyError: it was made by a program, or its space has changed; nothing was changed then.
        HwnasError: as of `optimize`.
    """
    with _opened(workspace) as store:
        found = Study.load(store, name)
        if found.file is None or found.source is None:
            raise StudyError(f"study {name!r} was made by a program, not from a file", "go on with it by that program")
        config = _config_of(found, sizes)
        base = Path(found.source).parent
        if not base.is_dir():
            raise StudyError(
                f"study {name!r} was begun from {found.source}, and that folder is gone", "put it back where it was"
            )
        space = space_from_config(config.space, base)
        study = Study.load(store, name, space)
        tools = _Tools(config, Path(found.source), space, workspace, store)
        study.resize(**(sizes or {}))
        return tools.run(study, on_event, stop)


def study_with_networks(store: Store, name: str) -> Study:
    """Return a study with the space that its file names, which may make networks; without it where it is gone.

    Raises:
        StudyNotFoundError: there is none of that name.
    """
    found = Study.load(store, name)
    if found.file is None or found.source is None:
        return found
    try:
        space = space_from_config(_config_of(found).space, Path(found.source).parent)
        return Study.load(store, name, space)
    except HwnasError:  # it is gone, or another one now; the trials can be looked at all the same
        return found


class _Tools:
    """What a study file names, looked up and checked."""

    def __init__(
        self, config: StudyConfig, source: Path, space: SearchSpace, workspace: Workspace, store: Store
    ) -> None:
        """Look everything up.

        Raises:
            HwnasError: something is not there, or does not fit; it is named.
        """
        from hwnas.locks import MachineTurns

        base = source.parent
        self._objectives = config.resolved_objectives()
        values = None if config.baseline is None else config.baseline.values
        self.baseline = check_baseline(space, self._objectives, values, f"{source}, [baseline.values]")
        self._config = config
        self._folder = workspace.searches / config.search.name
        self._turns = MachineTurns()
        self._evaluator = _evaluator(config, base, space, self._objectives)
        self._networks = _networks(config, base, space, self._folder / _NETWORKS, self._turns)
        self._measurer = self._measurers(workspace, store, space)
        self._foresight = foresight_from_settings(space, self._objectives, config.search, workspace)

    def _measurers(self, workspace: Workspace, store: Store, space: SearchSpace) -> Measurer | None:
        names = devices_of(self._objectives)
        if not names:
            return None
        from hwnas.device import DeviceRegistry
        from hwnas.search._devices import DeviceMeasurer, check_format
        from hwnas.search._networks import GraphNetworks

        registry = DeviceRegistry(workspace)
        own = space if isinstance(self._networks, GraphNetworks) else None
        profiles = [registry.get(name) for name in names]
        if self._config.network is not None:
            check_format(profiles, self._config.network.format)
        return DeviceMeasurer(profiles, store, self._turns, space=own, folder=self._folder / _NETWORKS)

    def run(self, study: Study, on_event: Listener, stop: threading.Event | None) -> StudyResult:
        """Run the study, if there is anything left to do."""
        if study.is_finished and not _wants_remeasuring(study) and not lacking(study):
            result = StudyResult.of(study)
            count = len(study.trials())
            on_event(StudyStarted(study.name, count, count, resumed=True))
            front = tuple(trial.number for trial in result.front)
            on_event(StudyFinished(study.name, count, front, result.hypervolume))
            return result
        with at_work(self._folder):
            return optimize(
                study,
                evaluator=self._evaluator,
                measurer=self._measurer,
                networks=self._networks,
                folder=self._folder,
                turns=self._turns,
                foresight=self._foresight,
                on_event=on_event,
                stop=stop,
            )


def _evaluator(
    config: StudyConfig, base: Path, space: SearchSpace, objectives: tuple[Objective, ...]
) -> Evaluator | None:
    if config.evaluation is None:
        return None
    from hwnas.evaluation import CURVE_KEY, evaluator_from_config

    stopping, evaluation = config.search.stopping, config.evaluation
    if stopping is not None:  # Python keeps back what it prints to a pipe, and a curve is wanted as it grows
        evaluation = evaluation.model_copy(update={"env": {"PYTHONUNBUFFERED": "1", **evaluation.env}})
    parameters = [parameter.name for parameter in space.parameters]
    metrics = [objective.name for objective in objectives if objective.source == "evaluation"]
    return evaluator_from_config(
        evaluation,
        base,
        parameters,
        metrics,
        workers=config.search.workers,
        curve_key=CURVE_KEY if stopping is None else stopping.key,
    )


def _networks(
    config: StudyConfig, base: Path, space: SearchSpace, folder: Path, turns: MachineTurns
) -> NetworkSource | None:
    from hwnas.search._networks import CommandNetworks, GraphNetworks, check_networks

    source: NetworkSource | None = GraphNetworks(space, folder) if space.has_graph else None
    if config.network is not None:
        from dataclasses import replace

        from hwnas.evaluation import NetworkCommand, RunSettings, settings_from_config

        workers = config.search.workers
        shared = (
            RunSettings(base)
            if config.evaluation is None
            else settings_from_config(config.evaluation, base, workers=workers)
        )
        parameters = [parameter.name for parameter in space.parameters]
        settings = replace(shared, timeout_s=config.network.timeout_s)
        command = NetworkCommand(config.network.command, parameters, settings=settings)
        source = CommandNetworks(command, folder, config.network.format, turns)
    check_networks(config.resolved_objectives(), source)
    return source


def _same_study(store: Store, config: StudyConfig, space: SearchSpace, source: Path) -> Study:
    """Return the study of the file's name, with the file's size.

    Raises:
        StudyError: it is another one; what differs is named.
    """
    name = config.search.name
    found = Study.load(store, name)
    hint = "give the file another name, or remove the old study first with --again"
    if found.file is None:
        raise StudyError(f"there is a study {name!r} already, and it was made by a program, not from {source}", hint)
    old = _config_of(found).model_dump(mode="json")
    differ = [key for key in _differences(old, config.model_dump(mode="json")) if key not in _MAY_DIFFER]
    if not differ and space.to_json() != found.space.to_json():
        differ = [f"the space that {config.space.python or config.space.file or config.space.builtin} describes"]
    if differ:
        raise StudyError(
            f"there is a study {name!r} already, and it differs from {source} in {', '.join(differ)}", hint
        )
    study = Study.load(store, name, space)
    trials = max(config.search.trials, len(study.trials()))  # it may have been made larger since
    study.resize(trials=trials, workers=config.search.workers, replicas=config.search.replicas)
    return study


def _config_of(study: Study, sizes: Mapping[str, int] | None = None) -> StudyConfig:
    """Return the study file as it was when the study began, with what was changed since, and with other `sizes`.

    Raises:
        ConfigError: a size does not go with the rest.
        StudyError: this hwnas does not take the file any more; it says what is wrong.
    """
    assert study.file is not None  # noqa: S101  the callers have looked
    file = {**study.file, "search": {**study.file["search"], **(sizes or {})}}
    try:
        return validate(file, StudyConfig, source=f"the file of study {study.name!r}")
    except ConfigError as exc:
        if sizes:
            raise
        raise StudyError(exc.message, "mend the study file and run it with --again, or under another name") from exc


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], at: str = "") -> list[str]:
    """Return the dotted names of what differs."""
    found = []
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            found += _differences(before, after, f"{at}{key}.")
        elif before != after:
            found.append(f"{at}{key}")
    return found


def _check_idle(study: Study, folder: Path) -> None:
    if is_at_work(folder):
        raise StudyError(
            f"study {study.name!r} cannot be removed: a search on this machine is at work on it",
            "stop that search first",
        )
    held = [trial for trial in study.trials() if not trial.state.finished and trial.is_held]
    if held:
        raise StudyError(
            f"study {study.name!r} cannot be removed: {held[0].owner} works on {len(held)} of its trials",
            "stop that search first",
        )


def _wants_remeasuring(study: Study) -> bool:
    measured = [objective for objective in study.objectives if objective.device is not None]
    return is_unsettled(study) or (
        study.settings.remeasure
        and any(is_unconfirmed(trial, objective) for trial in study.winners() for objective in measured)
    )


@contextmanager
def _opened(workspace: Workspace) -> Iterator[Store]:
    store = Store.open(workspace.store_url)
    try:
        yield store
    finally:
        store.close()
