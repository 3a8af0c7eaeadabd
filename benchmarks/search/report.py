"""The table and the plot of all runs so far."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.search.methods import BATCH, METHODS
from benchmarks.search.nasbench201 import table
from benchmarks.search.runs import PROBLEMS, Run, hypervolumes

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

#: Evaluations at which the table shows the hypervolume.
_AT = (64, 128, 240)
#: Okabe and Ito's colours ("Color Universal Design", 2008); a method that is ours is drawn thicker.
_COLOURS = (
    "#999999",
    "#0072B2",
    "#56B4E9",
    "#8C6BB1",
    "#BBBBBB",
    "#D55E00",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#000000",
    "#A04000",
)


@dataclass(frozen=True, slots=True)
class Line:
    """What the runs of one method on one problem have shown.

    Attributes:
        problem, method: whose.
        seeds: how many runs; those that are finished, or all where none is.
        curves: `seeds x k`, the hypervolume after each evaluation, as far as all of them came.
        cpu: by batches chosen, `(evaluations before it, CPU seconds, candidates)`.
        versions: of the packages that made the runs, as `name version`; hwnas's has the commit.
    """

    problem: str
    method: str
    seeds: int
    curves: np.ndarray
    cpu: list[tuple[int, float, int]]
    versions: frozenset[str]

    def at(self, evaluations: int) -> float | None:
        """Return the mean hypervolume after so many evaluations."""
        return float(self.curves[:, evaluations - 1].mean()) if self.curves.shape[1] >= evaluations else None

    def error_at(self, evaluations: int) -> float | None:
        """Return the standard error of that mean, of two runs and more."""
        if self.seeds < 2 or self.at(evaluations) is None:
            return None
        return float(self.curves[:, evaluations - 1].std(ddof=1) / np.sqrt(self.seeds))

    def reached(self, volume: float) -> int | None:
        """Return after how many evaluations the mean reaches a hypervolume."""
        hits = np.flatnonzero(self.curves.mean(axis=0) >= volume)
        return int(hits[0]) + 1 if len(hits) else None


def write_report(folder: Path, evaluations: int) -> None:
    """Write `search.md` and `search.png` beside the folder of the runs, and print the table."""
    lines = collect(folder, evaluations)
    if not lines:
        print("there are no runs yet")
        return
    text = markdown(lines, evaluations)
    print(text)
    folder.with_suffix(".md").write_text(text, encoding="utf-8")
    plot(lines, evaluations, folder.with_suffix(".png"))
    print(f"wrote {folder.with_suffix('.md')} and {folder.with_suffix('.png')}")


def collect(folder: Path, evaluations: int) -> list[Line]:
    """Read the runs."""
    found = []
    for problem_name, make in PROBLEMS.items():
        if problem_name == "nasbench201" and table() is None:
            continue
        problem = make()
        for method, entry in METHODS.items():
            paths = sorted(folder.glob(f"{problem_name}.{method}.*.json"))
            runs = [Run(problem_name, method, int(path.name.split(".")[2])).load(folder) for path in paths]
            loaded = [run for run in runs if run and run["batches"]]
            if not loaded:
                continue
            target = min(evaluations, entry.most or evaluations)
            done = [run for run in loaded if _count(run) >= target]
            volumes = [hypervolumes(problem, run) for run in done or loaded]
            shortest = min(len(volume) for volume in volumes)
            curves = np.array([volume[:shortest] for volume in volumes])
            costs = [cost for run in loaded for cost in _cpu(run)]
            versions = frozenset(f"{name} {number}" for run in loaded for name, number in run["versions"].items())
            found.append(Line(problem_name, method, len(volumes), curves, costs, versions))
    return found


def _count(run: dict[str, Any]) -> int:
    return sum(batch["n"] for batch in run["batches"])


def _cpu(run: dict[str, Any]) -> list[tuple[int, float, int]]:
    before, found = 0, []
    for batch in run["batches"]:
        if before >= BATCH:
            found.append((before, batch["cpu_s"], batch["n"]))
        before += batch["n"]
    return found


def markdown(lines: list[Line], evaluations: int) -> str:
    """Return the table, problem by problem."""
    text = [
        "# Search methods compared",
        "",
        "Mean true hypervolume of what was evaluated, with its standard error over seeds. `reach`: evaluations until",
        "the mean is at the best peer's end.",
        "CPU seconds are those of one thread to choose a batch of 16 (Ax with SAAS: 16 times one candidate's), the",
        "start left out: median, and for the last batch. `n` runs were finished; a `*` says that none was, and the",
        "figures are of what there is. docs/benchmarks.md says what was compared, and how to go on with it.",
    ]
    for problem in dict.fromkeys(line.problem for line in lines):
        own = [line for line in lines if line.problem == problem]
        best = PROBLEMS[problem]().best
        goal = _goal(own)
        at = " | ".join(f"at {at}" for at in _AT)
        text += [
            "",
            f"## {problem}" + (f" (best possible {best:.4g})" if best else ""),
            "",
            f"| method | n | {at} | reach {_figure(goal)} | CPU s | last |",
            "| --- " * (len(_AT) + 5) + "|",
        ]
        text += [_row(line, goal, evaluations) for line in own]
    versions = sorted(set().union(*(line.versions for line in lines)))
    text += ["", f"Made with {', '.join(versions)}."]
    return "\n".join(text) + "\n"


def _goal(lines: list[Line]) -> float | None:
    """Return the best peer's mean hypervolume at the end."""
    ends = [line.at(_AT[-1]) for line in lines if not METHODS[line.method].ours]
    return max((end for end in ends if end is not None), default=None)


def _row(line: Line, goal: float | None, evaluations: int) -> str:
    entry = METHODS[line.method]
    partial = "*" if line.curves.shape[1] < min(evaluations, entry.most or evaluations) else ""
    volumes = [_with_error(line.at(at), line.error_at(at)) for at in _AT]
    reached = None if goal is None else line.reached(goal)
    costs = [seconds * BATCH / n for _, seconds, n in line.cpu]
    last = [seconds * BATCH / n for before, seconds, n in line.cpu if before + n >= evaluations]
    cells = [
        f"{'**' if entry.ours else ''}{entry.label}{'**' if entry.ours else ''}",
        f"{line.seeds}{partial}",
        *volumes,
        "–" if reached is None else str(reached),
        _figure(statistics.median(costs) if costs else None),
        _figure(statistics.median(last) if last else None),
    ]
    return f"| {' | '.join(cells)} |"


def _with_error(value: float | None, error: float | None) -> str:
    return _figure(value) + ("" if error is None else f" ± {error:.2g}")


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def plot(lines: list[Line], evaluations: int, path: Path) -> None:
    """Draw a panel for each problem, and one for the CPU seconds of a batch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    problems = list(dict.fromkeys(line.problem for line in lines))
    figure = Figure(figsize=(15, 8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(2, 3).flat)
    colours = dict(zip([name for name, entry in METHODS.items() if not entry.networks], _COLOURS, strict=False))
    colours |= {name: colours[_whole(name)] for name, entry in METHODS.items() if entry.networks}
    for axis, problem in zip(axes, problems, strict=False):
        _draw_problem(axis, problem, [line for line in lines if line.problem == problem], colours, evaluations)
    last, *unused = axes[len(problems) :]
    _draw_cpu(last, lines, colours, evaluations)
    for axis in unused:
        axis.axis("off")
    handles, labels = last.get_legend_handles_labels()
    unused[0].legend(handles, labels, loc="center left", fontsize=11, frameon=False, title="mean and range of seeds")
    figure.savefig(path, dpi=110)


def _whole(method: str) -> str:
    """Return the method that one with less to see is compared with."""
    return method.removesuffix("-choices")


def _draw_problem(axis: Axes, problem: str, lines: list[Line], colours: dict[str, str], evaluations: int) -> None:
    best = PROBLEMS[problem]().best
    if best is not None:
        axis.axhline(best, color="#333333", linewidth=0.8, linestyle=":")
    for line in lines:
        mean, x = line.curves.mean(axis=0), np.arange(1, line.curves.shape[1] + 1)
        ours = line.method.startswith("saas-")
        style = "--" if METHODS[line.method].networks else "-"
        axis.plot(
            x,
            mean,
            color=colours[line.method],
            linewidth=2.8 if ours else 1.4,
            linestyle=style,
            zorder=3 if ours else 2,
        )
        if line.seeds > 1 and style == "-":
            low, high = line.curves.min(axis=0), line.curves.max(axis=0)
            axis.fill_between(x, low, high, color=colours[line.method], alpha=0.1, linewidth=0)
    axis.set(title=problem, xlim=(0, evaluations), xlabel="evaluations", ylabel="true hypervolume")
    axis.set_ylim(bottom=0)
    _tidy(axis)


def _draw_cpu(axis: Axes, lines: list[Line], colours: dict[str, str], evaluations: int) -> None:
    for method in METHODS:
        costs = [cost for line in lines if line.method == method for cost in line.cpu]
        places = sorted({before for before, _, _ in costs})
        medians = [statistics.median(s * BATCH / n for before, s, n in costs if before == place) for place in places]
        ours = method.startswith("saas-")
        width = 2.8 if ours else 1.4
        if places:
            label, style = METHODS[method].label, "--" if METHODS[method].networks else "-"
            shown = np.maximum(medians, 1e-3)
            axis.plot(places, shown, color=colours[method], linewidth=width, linestyle=style, label=label)
    axis.set(
        title="CPU seconds to choose a batch of 16", yscale="log", xlim=(0, evaluations), xlabel="evaluations before it"
    )
    _tidy(axis)


def _tidy(axis: Axes) -> None:
    axis.grid(visible=True, color="#DDDDDD", linewidth=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
