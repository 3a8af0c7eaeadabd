import json

import numpy as np
import pytest

from hwnas.errors import PredictorError
from hwnas.predictor import CellFeaturiser, LatencyPredictor


@pytest.fixture
def saved(tmp_path, table, cell_features):
    predictor = LatencyPredictor(CellFeaturiser(), scale_vectors=64, seed=1).fit(table, cell_features)
    predictor.save(tmp_path / "new" / "cells")
    return predictor, tmp_path / "new" / "cells"


def test_a_loaded_predictor_predicts_the_same(saved, cell_features, make_device):
    predictor, folder = saved
    loaded = LatencyPredictor.load(folder)
    assert loaded.get_params() == predictor.get_params()
    rows, y = predictor.suggest_support(10, cell_features), make_device(70)
    assert loaded.suggest_support(10, cell_features) == rows
    first, second = (p.adapt(cell_features[rows], y[rows]).predict(cell_features) for p in (predictor, loaded))
    np.testing.assert_array_equal(first.mean_ms, second.mean_ms)
    np.testing.assert_array_equal(first.std_ms, second.std_ms)
    card = json.loads((folder / "card.json").read_text())
    assert card["devices"] == list("abcdef")
    assert card["architectures"] == 400


def test_no_pickle_is_in_the_file(saved):
    _, folder = saved
    with np.load(folder / "predictor.npz", allow_pickle=False) as arrays:
        assert {array.dtype.kind for array in arrays.values()} <= {"f", "i"}


def damage(folder, kind):
    card = folder / "card.json"
    if kind == "cut":
        data = (folder / "predictor.npz").read_bytes()
        (folder / "predictor.npz").write_bytes(data[: len(data) // 2])
    elif kind == "text":
        card.write_text("{")
    elif kind == "newer":
        card.write_text(card.read_text().replace('"format": 2', '"format": 9'))
    elif kind == "unknown":
        card.write_text(card.read_text().replace("nasbench201", "ours"))
    elif kind == "field":
        card.write_text(card.read_text().replace('"blocks"', '"bricks"'))
    else:
        card.unlink()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("cut", "damaged"),
        ("text", "damaged"),
        ("newer", "format 9"),
        ("unknown", "featuriser 'ours'"),
        ("field", "damaged"),
        ("none", "no predictor here"),
    ],
)
def test_what_cannot_be_loaded_is_one_clear_error(saved, kind, words):
    _, folder = saved
    damage(folder, kind)
    with pytest.raises(PredictorError, match=words):
        LatencyPredictor.load(folder)
