"""A slice of the public comparison, where the tables are; `benchmarks/predictors.py` runs it whole."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from hwnas.predictor import CellFeaturiser, FbnetFeaturiser, LatencyPredictor, LatencyTable

DATA = Path(os.environ.get("HWNAS_PUBLIC_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = pytest.mark.skipif(
    not (DATA / "splits.json").exists(), reason="no public tables; HWNAS_PUBLIC_DATA can name their folder"
)


def ranks(table, featuriser, split, count):
    features = featuriser(table.architectures)
    training = np.arange(900)
    predictor = LatencyPredictor(featuriser).fit(
        table.select(rows=training, devices=split["train"]), features[training]
    )
    rows = predictor.suggest_support(count, features[training])
    out, covered = [], []
    for device in split["test"]:
        y = table.column(device)
        found = predictor.adapt(features[rows], y[rows]).predict(features)
        low, high = found.interval_ms()
        out.append(spearmanr(found.mean_ms, y)[0])
        covered.append(np.mean((low <= y) & (y <= high)))
    return np.mean(out), np.mean(covered)


def test_nasbench201_with_helps_split_and_ten_measurements():
    split = json.loads((DATA / "splits.json").read_text())["nasbench201"]["help"]
    rank, covered = ranks(LatencyTable.read(DATA / "nasbench201.csv.gz"), CellFeaturiser(), split, 10)
    assert rank > 0.95
    assert 0.88 < covered < 0.99


def test_fbnets_hardest_task_with_ten_measurements():
    split = json.loads((DATA / "splits.json").read_text())["fbnet"]["F3"]
    rank, _ = ranks(LatencyTable.read(DATA / "fbnet.csv.gz"), FbnetFeaturiser(), split, 10)
    assert rank > 0.85


def test_training_and_adapting_take_seconds_and_less_of_one_core():
    split = json.loads((DATA / "splits.json").read_text())["nasbench201"]["help"]
    table = LatencyTable.read(DATA / "nasbench201.csv.gz")
    began = time.process_time()
    predictor = LatencyPredictor(CellFeaturiser()).fit(table.select(rows=np.arange(900), devices=split["train"]))
    trained = time.process_time()
    rows = predictor.suggest_support(10, table.architectures[:900])
    chosen = time.process_time()
    predictor.adapt([table.architectures[i] for i in rows], table.column("fpga")[rows])
    assert trained - began < 5
    assert time.process_time() - chosen < 0.5
