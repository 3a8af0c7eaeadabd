"""How a study stands, as data and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwnas.cli._board import saved_text
from hwnas.cli._output import duration, plural, table
from hwnas.report import GUESS, doubtful_models, failure_pattern, label, number, summarise
from hwnas.search import is_at_work

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.table import Table

    from hwnas.report import StudySummary
    from hwnas.search import Study, Trial

#: Failed trials that are named, and abandoned ones; the rest are counted.
_NAMED = 5


def _state(study: Study, trials: Sequence[Trial], folder: Path) -> str:
    """Return `running`, `finished` or `stopped`; a search that measures its front once more still runs."""
    if is_at_work(folder) or any(trial.is_held and not trial.state.finished for trial in trials):
        return "running"
    return "finished" if study.is_finished else "stopped"


def brief(study: Study, folder: Path) -> dict[str, Any]:
    """Return a study in a few words: JSON data."""
    trials = study.trials()
    return {
        "name": study.name,
        "state": _state(study, trials, folder),
        "planned": study.settings.trials,
        "complete": sum(trial.state == "complete" for trial in trials),
        "objectives": [objective.name for objective in study.objectives],
    }


def status_data(study: Study, folder: Path) -> dict[str, Any]:
    """Return how a study, whose files lie in `folder`, stands: JSON data."""
    summary = summarise(study)
    trials, proposals = summary.trials, study.proposals()
    return {
        "name": study.name,
        "state": _state(study, trials, folder),
        "source": study.source,
        "planned": summary.planned,
        "trials": summary.counts(),
        "hypervolume": summary.hypervolume[-1] if summary.hypervolume else None,
        "reference": None if summary.reference is None else dict(summary.reference),
        "front": list(summary.front),
        "fronts": {
            device: {"front": list(own.front), "hypervolume": own.hypervolume[-1] if own.hypervolume else None}
            for device, own in summary.by_device().items()
        },
        "beaten": {device: found.to_json() for device, found in summary.beaten().items()},
        "latency": {
            "mode": study.settings.latency,
            "predictor": study.settings.predictor,
            "devices": {counts.device: counts.to_json() for counts in summary.latencies},
        },
        "best": _best(summary),
        "running": [
            {"trial": trial.number, "owner": trial.owner, "started_at": _moment(trial)}
            for trial in trials
            if trial.state == "running"
        ],
        "failed": [
            {"trial": trial.number, "attempts": trial.attempts, "error": trial.error}
            for trial in trials
            if trial.state == "failed"
        ],
        "abandoned": [
            {"trial": trial.number, "reason": trial.error, "trained": trial.started_at is not None}
            for trial in trials
            if trial.state == "abandoned"
        ],
        "spent": {
            "fit_s": sum(proposal.fit_s for proposal in proposals),
            "acquisition_s": sum(proposal.acquisition_s for proposal in proposals),
        },
        "batches": len(proposals),
        "doubtful_models": doubtful_models(proposals),
        "noise": {
            name: {"sigma": noise.sigma, "dof": noise.dof, "relative": noise.relative}
            for name, noise in summary.noises.items()
        },
        "trained_again": len(summary.told),
        "failure_pattern": failure_pattern(proposals),
    }


def _best(summary: StudySummary) -> dict[str, Any]:
    """Return the front's best trial and value by objective."""
    found = {}
    for objective in summary.optimised:
        name = objective.name
        trial = max(summary.front_trials, key=lambda trial: objective.score(trial.values[name].value), default=None)
        if trial is not None:
            value = trial.values[name]
            found[name] = {"trial": trial.number, "value": value.value, "provenance": str(value.provenance)}
    return found


def _mark(found: dict[str, Any]) -> str:
    return GUESS if found["provenance"] == "predicted" else ""


def _moment(trial: Trial) -> str | None:
    return None if trial.started_at is None else trial.started_at.isoformat(timespec="seconds")


def _fronts(fronts: dict[str, Any]) -> list[list[str]]:
    """Return a row for the front of each device, where there are several."""
    if len(fronts) < 2:
        return []
    return [
        [f"front on {device}", f"{plural(len(own['front']), 'trial')}, hypervolume {number(own['hypervolume'])}"]
        for device, own in fronts.items()
    ]


def _beaten(found: dict[str, Any]) -> list[list[str]]:
    """Return a row for what beats the baseline, on each device."""
    rows = []
    for device, one in found.items():
        counts = (
            f"{len(one['better'])} of {plural(one['compared'], 'configuration')}, {len(one['surely'])} significantly"
        )
        rows.append(["baseline beaten" + (f" on {device}" if len(found) > 1 else ""), f"by {counts}"])
    return rows


def status_table(data: dict[str, Any]) -> Table:
    """Return what `status_data` says as a table."""
    counts = " · ".join(f"{count} {state}" for state, count in data["trials"].items() if count) or "none yet"
    best = ", ".join(
        f"{label(name)} {_mark(found)}{number(found['value'])} (trial {found['trial']})"
        for name, found in data["best"].items()
    )
    fit, acquisition = (duration(data["spent"][key]) for key in ("fit_s", "acquisition_s"))
    rows = [
        ["state", data["state"]],
        ["trials", f"{counts}, of {data['planned']}"],
        ["hypervolume", number(data["hypervolume"])],
        ["front", f"{plural(len(data['front']), 'trial')}; best {best}" if best else "empty"],
        *_fronts(data["fronts"]),
        *_beaten(data["beaten"]),
        ["choosing", f"{plural(data['batches'], 'batch')}, fit {fit}, acquisition {acquisition}"],
    ]
    latency = data["latency"]
    if latency["mode"] != "measured":
        devices = latency["devices"].items()
        rows += [[f"on {device}", saved_text(found["measured"], found["predicted"])] for device, found in devices]
    rows += [
        [
            f"model of {name}",
            f"no better than the mean (R² {fit['r2']:.2f} from {plural(fit['n'], 'trial')}): see diagnose",
        ]
        for name, fit in data["doubtful_models"].items()
    ]
    again = plural(data["trained_again"], "network")
    rows += [
        [
            f"noise of {name}",
            f"{number(noise['sigma'])}{' of it' if noise['relative'] else ''}, from {again} trained again",
        ]
        for name, noise in data["noise"].items()
    ]
    pattern = data["failure_pattern"]
    if pattern is not None:
        told = f"depend most on {pattern['depends_on']}: candidates like them are worth less to the search"
        rows.append(["failures", told])
    rows += [*_named(data["failed"], "failed", "error"), *_named(data["abandoned"], "abandoned", "reason")]
    return table([data["name"], ""], rows)


def _named(trials: Sequence[dict[str, Any]], state: str, why: str) -> list[list[str]]:
    """Return a row for each of the first of some trials, and one that counts the others."""
    rows = [[f"trial {trial['trial']} {state}", str(trial[why]).partition("\n")[0]] for trial in trials[:_NAMED]]
    return [*rows, ["", f"and {len(trials) - _NAMED} more, see --json"]] if len(trials) > _NAMED else rows
