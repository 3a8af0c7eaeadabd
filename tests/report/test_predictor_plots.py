import numpy as np
import pytest

from hwnas.errors import HwnasError
from hwnas.predictor import LatencyPredictor, LatencyTable, Scores, device_map, reference_curve
from hwnas.report import device_figure, predicted_figure, reference_figure, write_figure


@pytest.fixture(scope="module")
def known():
    rng = np.random.default_rng(0)
    x = rng.random((60, 5))
    y = 1 + x @ rng.gamma(2.0, 1.0, (5, 4)) * np.exp(0.02 * rng.standard_normal((60, 4)))
    table = LatencyTable(tuple(map(tuple, x)), ("one", "two", "three"), y[:, :3])
    predictor = LatencyPredictor(scale_vectors=64).fit(table)
    return predictor, predictor.featuriser(x), y


def test_predictions_are_drawn_with_identity_and_references(known, tmp_path):
    predictor, blocks, y = known
    adapted = predictor.adapt(blocks[:10], y[:10, 3])
    prediction = adapted.predict(blocks[10:])
    scores = Scores.of(prediction, y[10:, 3])
    support = adapted.predict(blocks[:10]).mean_ms, y[:10, 3]
    figure = predicted_figure(prediction, y[10:, 3], scores, device="new", support=support)
    (axis,) = figure.axes
    labels = set(axis.get_legend_handles_labels()[1])
    assert {"identity", "references", "within 10 %"} <= labels
    points = sum(len(line.get_xdata()) for line in axis.lines if str(line.get_label()).startswith("measured"))
    assert points == 50
    assert f"{scores.coverage:.0%}" in figure.get_suptitle()
    path = write_figure(figure, tmp_path / "new" / "plot.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_wide_latencies_are_drawn_on_logarithms_with_plain_numbers(known):
    predictor, blocks, y = known
    adapted = predictor.adapt(blocks[:10], y[:10, 3])
    prediction = adapted.predict(blocks[10:])
    wide = y[10:, 3] * np.geomspace(0.1, 10, 50)
    figure = predicted_figure(prediction, wide, Scores.of(prediction, wide), device="new")
    assert figure.axes[0].get_xscale() == "log"
    figure.canvas.draw()
    assert {label.get_text() for label in figure.axes[0].get_xticklabels()} & {"1", "2", "5", "10"}


def test_the_curve_has_every_number_of_references(known):
    predictor, blocks, y = known
    curve = reference_curve(predictor, blocks, y[:, 3], counts=(3, 6, 12, 58), draws=2)
    assert curve.counts == (3, 6, 12)
    assert curve.designed[-1].n == 48
    assert curve.designed[-1].median_error < curve.designed[0].median_error
    figure = reference_figure(curve, device="new")
    assert list(figure.axes[0].lines[-1].get_xdata()) == [3, 6, 12]


def test_the_map_has_every_device_and_its_own_likeness(known):
    predictor, blocks, y = known
    adapted = predictor.adapt(blocks[:10], y[:10, 0], device="one again")
    found = device_map(predictor, [adapted])
    assert found.devices == ("one", "two", "three", "one again")
    np.testing.assert_allclose(np.diag(found.correlation), 1.0)
    assert np.argsort(-found.correlation[3])[:2].tolist() == [3, 0]
    figure = device_figure(found)
    names = {label.get_text() for label in figure.axes[0].get_yticklabels()}
    assert names == {"one", "two", "three", "one again *"}


def test_one_device_has_a_map_too(known):
    _, _, y = known
    table = LatencyTable(tuple((i, i**0.5) for i in range(60)), ("only",), y[:, :1])
    assert device_figure(device_map(LatencyPredictor(scale_vectors=64).fit(table))).axes


def test_a_folder_that_cannot_be_made_is_said(known, tmp_path):
    (tmp_path / "file").write_text("")
    figure = device_figure(device_map(known[0]))
    with pytest.raises(HwnasError, match="cannot write"):
        write_figure(figure, tmp_path / "file" / "plot.png")
