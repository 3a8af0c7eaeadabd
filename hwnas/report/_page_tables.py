"""Tables of the report page: rows of plain text; the page escapes it. A column whose name ends in `>` is of numbers."""

from __future__ import annotations

import platform
import sys
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import hwnas
from hwnas._words import duration
from hwnas.report._label import number
from hwnas.report._page_plot import shown
from hwnas.search import TrialState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from hwnas.device import DeviceFacts
    from hwnas.report._page_material import Material

#: What a search's figures hang on, beside the devices' own.
_PACKAGES = ("numpy", "torch", "botorch", "gpytorch", "jax", "numpyro", "onnx", "onnxruntime", "plotly")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the page.

    Attributes:
        caption: what it is of.
        columns: their names; one that ends in `>` is of numbers.
        rows: a text for each column.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def moment(at: datetime | None) -> str:
    """Return a moment to the minute, in UTC."""
    return "–" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def devices_table(material: Material) -> Table:
    """Return the devices: what they are, how many networks were measured there, and with which verdicts."""
    verdicts: dict[str, Counter[str]] = {}
    for measurement in material.measurements.values():
        verdicts.setdefault(measurement.device, Counter())[str(measurement.verdict)] += 1
    rows = []
    for counts in material.summary.latencies:
        said = ", ".join(
            f"{count} {verdict}" for verdict, count in verdicts.get(counts.device, Counter()).most_common()
        )
        figures = [str(counts.measured), str(counts.predicted), str(counts.again)]
        rows.append([counts.device, *_device(material, counts.device), *figures, said or "–"])
    columns = [
        "device",
        "hardware",
        "runtime and settings",
        "protocol",
        "measured>",
        "predicted>",
        "again>",
        "verdicts",
    ]
    return Table("Devices", columns, rows)


def _device(material: Material, device: str) -> list[str]:
    trace = material.traces.get(device)
    if trace is None:
        return ["not measured yet", "–", "–"]
    profile = trace.profile.to_json()
    settings = {key: profile[key] for key in ("transport", "threads", "cpus", "batch") if profile.get(key) is not None}
    settings |= profile.get("options", {})
    versions = ", ".join(f"{name} {number_}" for name, number_ in trace.versions.items())
    own = profile.get("protocol") or {}
    protocol = f"{trace.protocol.samples} samples, {trace.protocol.processes} processes"
    return [_hardware(trace.facts), f"{profile['runtime']} ({versions}); {_pairs(settings)}", f"{protocol}{_also(own)}"]


def _also(own: Mapping[str, object]) -> str:
    return f"; {_pairs(own)}" if own else ""


def _hardware(facts: DeviceFacts) -> str:
    """Return what a device is; its serial number is nobody else's business."""
    told = [facts.model, facts.soc, facts.architecture, facts.os]
    told.append(f"{facts.logical_cores} cores" if facts.logical_cores else None)
    told.append(f"{facts.memory_bytes / 1e9:.0f} GB" if facts.memory_bytes else None)
    return ", ".join(found for found in told if found) or "–"


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(
        f"{key} {','.join(map(str, value)) if isinstance(value, list) else shown(value)}"
        for key, value in values.items()
    )


def failures_table(material: Material) -> Table:
    """Return the trials that failed or were given up, and the attempts that failed before a trial completed."""
    rows = []
    for trial in material.summary.trials:
        if trial.state in (TrialState.FAILED, TrialState.ABANDONED):
            known = ", ".join(f"{name} {number(value.value)}" for name, value in trial.values.items()) or "–"
            row = [str(trial.number), str(trial.state), str(trial.attempts), trial.error or "–", known]
            rows.append([*row, moment(trial.ended_at)])
            continue
        for at, _, new, detail in material.moves[trial.number]:
            if new in (TrialState.FAILED, TrialState.STALE):
                rows.append(
                    [
                        str(trial.number),
                        f"{new}, now {trial.state}",
                        str(trial.attempts),
                        detail or "–",
                        "–",
                        moment(at),
                    ]
                )
    columns = ["trial>", "state", "attempts>", "reason", "known of it", "ended"]
    return Table("Failed, given up and interrupted", columns, rows)


def fits_table(material: Material) -> Table:
    """Return what the models of the latest batch that a model chose say of themselves."""
    for record in reversed(material.proposals):
        outcomes = record.diagnostics.get("outcomes", {})
        if outcomes:
            rows = [[name, *_fit(fit)] for name, fit in outcomes.items()]
            columns = [
                "objective",
                "method",
                "trials>",
                "R²>",
                "log likelihood>",
                "noise",
                "R-hat>",
                "ESS>",
                "divergences>",
            ]
            return Table(f"The models of batch {record.batch}, judged by leave-one-out", columns, rows)
    return Table("The models", ["objective"], [])


def _fit(fit: Mapping[str, object]) -> list[str]:
    chain = fit.get("chain")
    sampled: Mapping[str, object] = chain if isinstance(chain, dict) else {}
    figures = [_number(fit.get("loo_r2")), _number(fit.get("loo_log_likelihood"))]
    chains = [_number(sampled.get(name)) for name in ("r_hat", "ess", "divergences")]
    return [str(fit["method"]), str(fit["n"]), *figures, str(fit.get("noise", "–")), *chains]


def _number(value: object) -> str:
    return number(value) if isinstance(value, (int, float)) else "–"


def about_rows(material: Material) -> list[tuple[str, str]]:
    """Return what the page was made from, by what and when."""
    study, trials = material.study, material.summary.trials
    versions = [f"{name} {found}" for name in _PACKAGES if (found := _version(name))]
    wall = ""
    if trials and (ends := [trial.ended_at for trial in trials if trial.ended_at is not None]):
        wall = duration((max(ends) - min(trial.created_at for trial in trials)).total_seconds())
    return [
        ("study", study.name),
        ("study file", study.source or "made by a program"),
        ("begun", moment(min((trial.created_at for trial in trials), default=None))),
        ("from the first trial to the last", wall or "–"),
        ("seed", str(study.settings.seed)),
        ("page written", moment(material.at)),
        (
            "written by",
            f"hwnas {hwnas.__version__}, Python {platform.python_version()} on {sys.platform} {platform.machine()}",
        ),
        ("packages", ", ".join(versions)),
    ]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
