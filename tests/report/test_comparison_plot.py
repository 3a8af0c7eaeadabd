from dataclasses import replace

import pytest

from hwnas.report import compare, comparison_figure
from hwnas.search import Objective

from .conftest import ACCURACY, P99, make_summary, make_trial
from .test_comparison import study


def labels(axis):
    return axis.get_legend_handles_labels()[1]


def test_all_configurations_stand_beside_the_baseline_at_one(tmp_path):
    found = compare([study("a", (0.92, 1.0), (0.95, 3.0), origin="nsga2"), study("b", (0.91, 2.5), (0.8, 0.5))])
    figure = comparison_figure(found)
    figure.savefig(tmp_path / "compare.png")
    whole, scatter, history = figure.axes
    assert whole.get_title(loc="left") == "host: all configurations"
    assert whole.get_ylim()[0] < 0.8 / 0.9 < 1.0 < whole.get_ylim()[1]
    points = {line.get_label(): line for line in scatter.get_lines()}
    mine = points["a (nsga2): 3 trials, 1 beat the baseline"]
    assert list(mine.get_xdata()) == pytest.approx([1.0, 0.5, 1.5])
    assert list(mine.get_ydata()) == pytest.approx([1.0, 0.92 / 0.9, 0.95 / 0.9])
    assert (points["baseline"].get_xdata(), points["baseline"].get_ydata()) == ([1.0], [1.0])
    assert "b (sobol): 3 trials, 0 beat the baseline" in points
    assert "relative to the baseline" in scatter.get_xlabel()
    assert "less is better" in scatter.get_xlabel()
    assert scatter.get_xscale() == "log"
    assert {"a", "b"} <= set(labels(history))


def test_one_row_of_panels_a_device(devices):
    figure = comparison_figure(compare([devices, replace(devices, name="other")]))
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles[:3] == ["phone: all configurations", "phone: near the fronts", ""]
    assert titles[3:] == ["watch: all configurations", "watch: near the fronts", ""]


def test_without_a_baseline_figures_have_their_units():
    found = compare([study("a", (0.92, 1.0), baseline=None), study("b", (0.91, 2.5), baseline=None)])
    scatter = comparison_figure(found).axes[0]
    assert "(ms)" in scatter.get_xlabel()
    assert "baseline" not in labels(scatter)
    assert "a (sobol): 1 trials" in labels(scatter)


def test_studies_that_have_just_begun():
    assert len(comparison_figure(compare([study("a", baseline=None), study("b", baseline=None)])).axes) == 3


def test_what_is_beyond_the_edge_keeps_its_study_and_a_third_objective_has_a_panel():
    size = Objective("size_bytes", "minimize", "network")
    rows = [(0.9, 2.0, 100.0), (0.91, 1.9, 90.0), (0.905, 1.8, 95.0), (0.1, 2.0, 100.0)]
    names = ("accuracy", "p99_ms", "size_bytes")
    trials = [make_trial(n, dict(zip(names, row, strict=True))) for n, row in enumerate(rows)]
    found = compare([make_summary((ACCURACY, P99, size), trials, name=name) for name in "ab"])
    first, second, _ = comparison_figure(found).axes
    assert "latency" in first.get_xlabel()
    assert "file size" in second.get_xlabel()
    arrows = [line for line in first.get_lines() if line.get_marker() == "v"]
    assert [line.get_color() for line in arrows] == ["#0072B2", "#D55E00"]
