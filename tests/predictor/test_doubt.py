import numpy as np
import pytest

from hwnas.predictor import FeatureBlocks, LatencyPredictor, LatencyTable, doubtful


def features(x):
    return FeatureBlocks({"size": np.asarray(x, dtype=np.float64)})


@pytest.fixture(scope="module")
def predictor():
    """A predictor of latencies that grow with three numbers, trained on two devices, and adapted to a third."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (200, 3))
    latencies = np.column_stack([(1 + x @ [1, 2, 0.5]) ** 2, (1 + x @ [2, 0.5, 1]) ** 2])
    table = LatencyTable(tuple(str(row) for row in range(200)), ("a", "b"), latencies)
    return LatencyPredictor(scale_vectors=128).fit(table, features(x))


@pytest.fixture(scope="module")
def adapted(predictor):
    x = np.random.default_rng(1).uniform(0, 1, (10, 3))
    return predictor.adapt(features(x), (1 + x @ [1, 1, 1]) ** 2, sigma_log=np.full(10, 0.02))


FAR = [[4.0, 0.0, 0.0], [0.5, 0.5, 0.5]]


def test_what_is_unlike_all_that_was_measured_is_doubtful_and_what_is_alike_is_not(adapted):
    assert doubtful(adapted, features(FAR), tolerance=0.02, sigma_log=0.02) == [0]


def test_doubt_below_the_tolerance_is_none(adapted):
    assert doubtful(adapted, features(FAR), tolerance=10.0, sigma_log=0.02) == []


def test_where_measuring_tells_nothing_nothing_is_measured(adapted):
    assert doubtful(adapted, features(FAR), tolerance=0.02, sigma_log=30.0) == []


def test_of_networks_that_are_alike_one_is_enough(adapted):
    chosen = doubtful(adapted, features([FAR[0]] * 6), tolerance=0.02, sigma_log=0.02)
    assert len(chosen) == 1


def test_each_is_chosen_once(adapted):
    x = np.random.default_rng(2).uniform(-4, 4, (12, 3))
    chosen = doubtful(adapted, features(x), tolerance=1e-6, sigma_log=0.0)
    assert 0 < len(chosen) == len(set(chosen)) <= 12
