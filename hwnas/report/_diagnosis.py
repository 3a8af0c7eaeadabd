"""`diagnosis.png` and `diagnosis.json`: how well a study's models predict, and what they think matters.

The format of the JSON file has a version, and its history stands here; fields may be added within one.

1: `format`, `version`, `written_at`, `hwnas`; `study`; `outcomes`: one an objective, with its name, the `trials` it is
   judged by, their `observed` values, `saas` and `plain` (leave-one-out of the search's model, eight-fold
   cross-validation of a plain Gaussian process: `method`, `predicted`, `low` and `high` in the objective's unit, `r2`,
   `log_likelihood`, `coverage`), `relevance` (by parameter: quartiles of the inverse length scale) and `notes`;
   `hypervolume` after each complete trial; `history`: by batch, the R² and log likelihood that the search's own fits
   had by leave-one-out.

Colours are those of `front.png`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

import hwnas
from hwnas.errors import HwnasError
from hwnas.report._label import number, objective_label
from hwnas.report._picture import save_picture
from hwnas.search import LEAST_R2

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hwnas.report._summary import StudySummary
    from hwnas.search import LeaveOneOut, OutcomeDiagnosis, ProposalRecord

FORMAT = "hwnas-diagnosis"
VERSION = 1
_SAAS, _PLAIN, _INK, _FAINT = "#0072B2", "#D55E00", "#333333", "#999999"
_SHADES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
#: Parameters shown by how much they matter.
_MOST = 12
#: A model of success with a slope below this takes all candidates to be about as likely to fail.
LEAST_SLOPE = 0.5
#: What a method is called.
MODELS = {"saas": "SAAS", "saas-map": "SAAS, most probable", "map": "plain Gaussian process", "prior": "prior alone"}


def diagnosis_data(
    summary: StudySummary, outcomes: Sequence[OutcomeDiagnosis], proposals: Sequence[ProposalRecord]
) -> dict[str, Any]:
    """Return the diagnosis as JSON data; the module's docstring has the format."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "hwnas": hwnas.__version__,
        "study": summary.name,
        "outcomes": [_outcome(outcome) for outcome in outcomes],
        "hypervolume": list(summary.hypervolume),
        "history": history(proposals),
    }


def history(proposals: Sequence[ProposalRecord]) -> list[dict[str, Any]]:
    """Return what the search's own fits said of themselves, batch by batch."""
    found = []
    for record in proposals:
        outcomes = record.diagnostics.get("outcomes", {})
        fits = {
            name: {"n": fit["n"], "r2": fit["loo_r2"], "log_likelihood": fit["loo_log_likelihood"]}
            for name, fit in outcomes.items()
            if "loo_r2" in fit
        }
        if fits:
            found.append({"batch": record.batch, "outcomes": fits})
    return found


def doubtful_models(proposals: Sequence[ProposalRecord]) -> dict[str, dict[str, Any]]:
    """Return the models of the latest batch that predicted no better than the mean: by objective, `n` trials and R²."""
    fits = history(proposals)
    if not fits:
        return {}
    latest = fits[-1]["outcomes"]
    return {
        name: {"n": fit["n"], "r2": fit["r2"]}
        for name, fit in latest.items()
        if fit["r2"] is not None and fit["r2"] < LEAST_R2
    }


def failure_pattern(proposals: Sequence[ProposalRecord]) -> dict[str, Any] | None:
    """Return what the latest batch knew of failures: how many trials it had seen, and what they depend on most.

    `None` where it had no model of them, or saw no pattern in them.
    """
    told = proposals[-1].diagnostics.get("feasibility") if proposals else None
    if not told or told["slope"] < LEAST_SLOPE:
        return None
    matters = told["inverse_lengthscales"]
    return {"failed": told["failed"], "succeeded": told["succeeded"], "depends_on": max(matters, key=matters.get)}


def write_diagnosis(
    summary: StudySummary, outcomes: Sequence[OutcomeDiagnosis], proposals: Sequence[ProposalRecord], folder: Path
) -> list[Path]:
    """Write `diagnosis.png` and `diagnosis.json` to a folder and return their paths.

    Raises:
        HwnasError: a file cannot be written.
    """
    picture, data = folder / "diagnosis.png", folder / "diagnosis.json"
    figure = diagnosis_figure(summary, outcomes, proposals)
    text = json.dumps(diagnosis_data(summary, outcomes, proposals), indent=2, ensure_ascii=False) + "\n"
    try:
        save_picture(figure, picture, dpi=130)
        data.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise HwnasError(f"cannot write to {folder}: {exc.strerror or exc}", "check the folder and the space") from exc
    return [picture, data]


def diagnosis_figure(
    summary: StudySummary, outcomes: Sequence[OutcomeDiagnosis], proposals: Sequence[ProposalRecord]
) -> Figure:
    """Return the figure: a row an outcome (SAAS, plain, relevance), and one for the course of the search."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = len(outcomes) + 1
    figure = Figure(figsize=(15.5, 4.7 * len(outcomes) + 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 3, height_ratios=[4.7] * len(outcomes) + [4.0])
    for row, outcome in zip(axes, outcomes, strict=False):
        ends = _ends(outcome)
        _draw_model(row[0], outcome, outcome.saas, _SAAS, ends)
        _draw_model(row[1], outcome, outcome.plain, _PLAIN, ends)
        _draw_relevance(row[2], outcome)
    _draw_hypervolume(axes[-1][0], summary)
    _draw_course(axes[-1][1], history(proposals))
    _write_notes(axes[-1][2], outcomes)
    figure.suptitle(f"{summary.name}: what the models know, after {len(summary.complete)} trials", x=0.01, ha="left")
    return figure


def _outcome(outcome: OutcomeDiagnosis) -> dict[str, Any]:
    def model(found: LeaveOneOut) -> dict[str, Any]:
        return {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in asdict(found).items()}

    return {
        "objective": outcome.objective.name,
        "trials": list(outcome.trials),
        "observed": outcome.observed.tolist(),
        "saas": model(outcome.saas),
        "plain": model(outcome.plain),
        "relevance": {name: list(quartiles) for name, quartiles in outcome.relevance.items()},
        "notes": list(outcome.notes),
    }


def _ends(outcome: OutcomeDiagnosis) -> tuple[float, float]:
    """Return the ends of both axes: what was observed and predicted, without the far ends of intervals."""
    parts = np.concatenate([outcome.observed, outcome.saas.predicted, outcome.plain.predicted])
    scores = np.array([outcome.objective.score(float(value)) for value in parts])
    pad = 0.08 * (np.ptp(scores) or 1.0)
    first, last = sorted(outcome.objective.unscore(float(end)) for end in (scores.min() - pad, scores.max() + pad))
    return first, last


def _draw_model(
    axis: Axes, outcome: OutcomeDiagnosis, model: LeaveOneOut, colour: str, ends: tuple[float, float]
) -> None:
    """Draw predicted against observed, with 95 % intervals, and the line on which both are equal."""
    objective = outcome.objective
    axis.plot(ends, ends, color=_INK, linewidth=1, zorder=1)
    low, high = np.clip(model.low, *ends), np.clip(model.high, *ends)
    axis.vlines(outcome.observed, low, high, color=colour, alpha=0.3, linewidth=1.4, zorder=2)
    axis.plot(outcome.observed, model.predicted, "o", color=colour, markersize=5, markeredgecolor="white", zorder=3)
    if objective.log:
        axis.set_xscale("log")
        axis.set_yscale("log")
        _plain_ticks(axis, ends)
    axis.set(xlim=ends, ylim=ends, xlabel=f"observed {objective_label(objective)}", ylabel="predicted from the others")
    text = f"R² {model.r2:.2f}\nlog likelihood {model.log_likelihood:.2f}\n{model.coverage:.0%} within 95 %"
    axis.text(0.03, 0.97, text, transform=axis.transAxes, va="top", fontsize=9, color=_INK)
    way = "leave-one-out" if model is outcome.saas else "cross-validated"
    axis.set_title(
        f"{objective.name}: {MODELS.get(model.method, model.method)}, {way}",
        fontsize=11,
    )
    _tidy(axis)


def _plain_ticks(axis: Axes, ends: tuple[float, float]) -> None:
    """Label logarithmic axes by plain numbers, evenly spaced."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    places = np.geomspace(*ends, 6)[1:-1]
    rounded = [float(f"{place:.1g}") for place in places]
    rounded = rounded if len(set(rounded)) == len(rounded) else [float(f"{place:.2g}") for place in places]
    for which in (axis.xaxis, axis.yaxis):
        which.set_major_locator(FixedLocator(rounded))
        which.set_minor_locator(NullLocator())
        which.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def _draw_relevance(axis: Axes, outcome: OutcomeDiagnosis) -> None:
    """Draw the parameters that matter most, with quartiles."""
    shown = list(outcome.relevance.items())[:_MOST][::-1]
    medians = [median for _, (_, median, _) in shown]
    axis.barh([name for name, _ in shown], medians, color=_SAAS, alpha=0.75, height=0.66)
    for place, (_, (low, _, high)) in enumerate(shown):
        axis.plot((low, high), (place, place), color=_INK, linewidth=1.4)
    left = len(outcome.relevance) - len(shown)
    axis.set_xlabel("inverse length scale (median and quartiles of the samples)")
    axis.set_title(
        f"{outcome.objective.name}: what matters" + (f" ({left} more matter less)" if left else ""), fontsize=11
    )
    axis.set_xlim(left=0)
    _tidy(axis)


def _draw_hypervolume(axis: Axes, summary: StudySummary) -> None:
    count = len(summary.hypervolume)
    started = summary.started
    if 0 < started < count:
        axis.axvspan(0, started, color=_FAINT, alpha=0.18, linewidth=0, label="sobol start")
        axis.legend(loc="lower right", fontsize=8)
    axis.step(range(count + 1), (0.0, *summary.hypervolume), where="post", color=_SAAS, linewidth=2)
    axis.set(xlim=(0, max(count, 1)), xlabel="completed trials", ylabel="hypervolume")
    axis.set_title("hypervolume over trials", fontsize=11)
    axis.set_ylim(bottom=0)
    _tidy(axis)


def _draw_course(axis: Axes, fits: Sequence[dict[str, Any]]) -> None:
    """Draw how the leave-one-out R² of the search's own fits went, batch by batch."""
    axis.set_title("how the search's models learned", fontsize=11)
    names = list(dict.fromkeys(name for fit in fits for name in fit["outcomes"]))
    for name, colour in zip(names, _SHADES, strict=False):
        points = [(fit["outcomes"][name]["n"], fit["outcomes"][name]["r2"]) for fit in fits if name in fit["outcomes"]]
        known = [(n, max(r2, -0.25)) for n, r2 in points if r2 is not None]
        if known:
            axis.plot(*zip(*known, strict=True), "o-", color=colour, label=name)
    if names:
        axis.axhline(0, color=_FAINT, linewidth=1, linestyle="--")
        axis.legend(fontsize=8, loc="lower right")
    else:
        axis.text(0.5, 0.5, "no batch was chosen by a model", transform=axis.transAxes, ha="center", color="#666666")
    axis.set(ylim=(-0.3, 1.03), xlabel="trials known to the fit", ylabel="leave-one-out R²")
    _tidy(axis)


def _write_notes(axis: Axes, outcomes: Sequence[OutcomeDiagnosis]) -> None:
    import textwrap

    axis.axis("off")
    notes = [note for outcome in outcomes for note in outcome.notes]
    text = "\n\n".join(textwrap.fill(note, 62) for note in notes) or "Nothing to warn of."
    axis.text(0.0, 0.98, text, transform=axis.transAxes, va="top", fontsize=9.5, color=_INK)


def _tidy(axis: Axes) -> None:
    axis.grid(visible=True, which="major", color="#DDDDDD", linewidth=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
