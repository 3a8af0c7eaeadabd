import numpy as np
import pytest
from scipy.stats import spearmanr

from hwnas.errors import PredictorError
from hwnas.predictor import CellFeaturiser, CostModel, LatencyPredictor, LatencyTable


@pytest.fixture(scope="session")
def trained(table, cell_features):
    return LatencyPredictor(CellFeaturiser(), scale_vectors=256).fit(table, cell_features)


@pytest.fixture(scope="session")
def support(trained, cell_features):
    return trained.suggest_support(10, cell_features)


@pytest.mark.parametrize("seed", [50, 51, 52])
def test_ten_measurements_make_a_new_device_known(trained, support, cells, cell_features, make_device, seed):
    y = make_device(seed)
    adapted = trained.adapt([cells[i] for i in support], y[support], device="new")
    assert isinstance(adapted, CostModel)
    found = adapted.predict(cells)
    rest = cell_features.live.copy()
    rest[support] = False
    assert spearmanr(found.mean_ms[rest], y[rest])[0] > 0.93
    assert np.median(np.abs(found.mean_ms / y - 1)[rest]) < 0.08
    low, high = found.interval_ms(0.95)
    assert np.mean((low <= y) & (y <= high), where=rest) > 0.85


def test_one_wild_reference_hardly_hurts_and_is_named(trained, support, cell_features, make_device):
    y = make_device(60)
    before = trained.adapt(cell_features[support], y[support]).predict(cell_features).mean_ms
    wild = y[support].copy()
    wild[3] *= 6
    adapted = trained.adapt(cell_features[support], wild)
    assert 3 in adapted.outliers()
    assert spearmanr(adapted.predict(cell_features).mean_ms, before)[0] > 0.95


def test_whole_milliseconds_do_not_hurt(trained, support, cell_features, make_device):
    y = make_device(61)
    adapted = trained.adapt(cell_features[support], np.maximum(np.round(y[support]), 1))
    rest = cell_features.live
    assert spearmanr(adapted.predict(cell_features[rest]).mean_ms, y[rest])[0] > 0.9


def test_references_are_alive_and_different(trained, support, cell_features):
    assert len(set(support)) == 10
    assert cell_features.live[support].all()
    dead = np.flatnonzero(~cell_features.live)
    assert len(dead)
    with pytest.raises(PredictorError, match="3 references from 0 live candidates"):
        trained.suggest_support(3, cell_features[dead])


def test_designed_references_leave_less_doubt_than_random_ones(trained, support, cell_features, make_device):
    y = make_device(62)
    live = np.flatnonzero(cell_features.live)
    designed = trained.adapt(cell_features[support], y[support]).expected_error
    random = [
        trained.adapt(cell_features[rows], y[rows]).expected_error
        for rows in (np.random.default_rng(seed).permutation(live)[:10] for seed in range(5))
    ]
    assert designed < np.mean(random)


def test_measuring_one_at_a_time_lowers_the_doubt_until_it_may_stop(trained, cell_features, make_device):
    y = make_device(63)
    start = trained.suggest_support(4, cell_features)
    adapted = trained.adapt(cell_features[start], y[start])
    first, used = adapted.expected_error, list(start)
    for _ in range(10):
        row = adapted.next_support(cell_features)
        assert row not in used
        assert cell_features.live[row]
        used.append(row)
        adapted = adapted.observe(cell_features[[row]], y[[row]])
    assert adapted.expected_error < first
    assert adapted.next_support(cell_features, tolerance=1.0) is None
    assert adapted.next_support(cell_features, tolerance=1e-9) is not None
    assert adapted.next_support(cell_features[used]) is None


def test_a_doubtful_measurement_counts_less(trained, support, cell_features, make_device):
    y = make_device(64)
    wrong = y[support].copy()
    wrong[0] *= 1.5
    errors = np.full(10, 0.01)
    errors[0] = 0.5
    truth = trained.adapt(cell_features[support], y[support]).predict(cell_features).mean_ms
    known = trained.adapt(cell_features[support], wrong, sigma_log=errors).predict(cell_features).mean_ms
    assert np.median(np.abs(known / truth - 1)) < 0.05
    with pytest.raises(PredictorError, match="standard errors"):
        trained.adapt(cell_features[support], wrong, sigma_log=[0.1])


def test_the_interval_is_of_a_measurement_and_its_known_error(trained, cell_features, make_device):
    rng = np.random.default_rng(5)
    y = make_device(64)
    seen = y * np.exp(0.2 * rng.normal(size=len(y)))
    rows = rng.choice(np.flatnonzero(cell_features.live), 40, replace=False)
    rest = np.setdiff1d(np.flatnonzero(cell_features.live), rows)
    adapted = trained.adapt(cell_features[rows], seen[rows], sigma_log=np.full(40, 0.2))
    shown = adapted.predict(cell_features[rest])
    latency = adapted.predict(cell_features[rest], measuring=False)
    low, high = shown.interval_ms()
    assert 0.9 < np.mean((low <= seen[rest]) & (seen[rest] <= high)) < 0.99
    assert np.array_equal(shown.mean_ms, latency.mean_ms)
    low, high = latency.interval_ms()
    assert np.mean((low <= seen[rest]) & (seen[rest] <= high)) < 0.8
    assert np.mean((low <= y[rest]) & (y[rest] <= high)) > 0.9


def test_missing_cells_and_twins_are_coped_with(table, cell_features, support, make_device):
    holes = table.latencies_ms.copy()
    holes[np.random.default_rng(0).random(holes.shape) < 0.3] = np.nan
    twin = holes[:, [0]] * 2
    gappy = LatencyTable(table.architectures, (*table.devices, "twin"), np.hstack([holes, twin]))
    predictor = LatencyPredictor(CellFeaturiser(), scale_vectors=64).fit(gappy, cell_features)
    assert predictor.twins_ == (("a", "twin"),)
    assert predictor.devices_ == table.devices
    y = make_device(65)
    found = predictor.adapt(cell_features[support], y[support]).predict(cell_features)
    assert spearmanr(found.mean_ms, y)[0] > 0.9


def test_one_training_device_is_enough_to_begin_with(table, cell_features, make_device, support):
    predictor = LatencyPredictor(CellFeaturiser(), scale_vectors=64).fit(table.select(devices=["a"]), cell_features)
    y = make_device(66)
    found = predictor.adapt(cell_features[support], y[support]).predict(cell_features)
    assert spearmanr(found.mean_ms, y)[0] > 0.8


def test_any_matrix_of_numbers_will_do(table, cell_features, make_device, support):
    counts = np.hstack([cell_features.blocks["live counts"], cell_features.blocks["counts"]])
    named = LatencyTable(tuple(range(len(table))), table.devices, table.latencies_ms)
    predictor = LatencyPredictor(scale_vectors=64).fit(named, predictor_features(counts))
    y = make_device(67)
    found = predictor.adapt(counts[support], y[support]).predict(counts)
    assert spearmanr(found.mean_ms, y)[0] > 0.9
    with pytest.raises(PredictorError, match="not those of the training"):
        predictor.adapt(counts[support, :3], y[support])


def predictor_features(matrix):
    from hwnas.predictor import MatrixFeaturiser

    return MatrixFeaturiser()(matrix)


def test_misuse_is_said_plainly(trained, table, cell_features):
    with pytest.raises(PredictorError, match="not trained"):
        LatencyPredictor(CellFeaturiser()).suggest_support(3, cell_features)
    with pytest.raises(PredictorError, match="too few"):
        trained.adapt(cell_features[[0, 1]], [1.0, 2.0])
    with pytest.raises(PredictorError, match="not a positive number"):
        trained.adapt(cell_features[[0, 1, 2]], [1.0, 0.0, 2.0])
    with pytest.raises(PredictorError, match="too few to learn from"):
        LatencyPredictor(CellFeaturiser()).fit(table.select(rows=np.arange(10)))
    with pytest.raises(PredictorError, match="features of 30 architectures"):
        LatencyPredictor(CellFeaturiser()).fit(table, cell_features[np.arange(30)])
    same = trained.adapt(cell_features[np.flatnonzero(cell_features.live)[:5]], [4.0] * 5)  # nothing to rank
    assert np.isfinite(same.predict(cell_features).mean_ms).all()


def test_the_same_seed_gives_the_same_predictor(table, cell_features, support, make_device):
    y = make_device(68)
    twice = [
        LatencyPredictor(CellFeaturiser(), scale_vectors=64, seed=3)
        .fit(table, cell_features)
        .adapt(cell_features[support], y[support])
        .predict(cell_features)
        .mean_ms
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*twice)
