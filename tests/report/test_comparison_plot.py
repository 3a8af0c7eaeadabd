from dataclasses import replace

import pytest

from hwnas.report import compare, comparison_figure

from .test_comparison import study


def labels(axis):
    return axis.get_legend_handles_labels()[1]


def test_all_configurations_stand_beside_the_baseline_at_one(tmp_path):
    found = compare([study("a", (0.92, 1.0), (0.95, 3.0), origin="nsga2"), study("b", (0.91, 2.5), (0.8, 0.5))])
    figure = comparison_figure(found)
    figure.savefig(tmp_path / "compare.png")
    scatter, history = figure.axes
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
    assert len(figure.axes) == 4
    assert [axis.get_title(loc="left") for axis in figure.axes[::2]] == ["phone", "watch"]


def test_without_a_baseline_figures_have_their_units():
    found = compare([study("a", (0.92, 1.0), baseline=None), study("b", (0.91, 2.5), baseline=None)])
    scatter = comparison_figure(found).axes[0]
    assert "(ms)" in scatter.get_xlabel()
    assert "baseline" not in labels(scatter)
    assert "a (sobol): 1 trials" in labels(scatter)


def test_studies_that_have_just_begun():
    assert len(comparison_figure(compare([study("a", baseline=None), study("b", baseline=None)])).axes) == 2
