import numpy as np
import pytest

from hwnas.errors import PredictorError
from hwnas.predictor import featuriser_of, graph_costs, ideal_predictor
from hwnas.space import get_space


@pytest.fixture(scope="module")
def digits():
    space = get_space("digits")
    sample = space.sample(160, np.random.default_rng(0))
    return space, sample, graph_costs([space.graph(item) for item in sample])


def test_costs_are_of_the_graph(digits):
    space, sample, costs = digits
    graph = space.graph(sample[3])
    assert costs["arithmetic"][3] == graph.macs
    assert costs["starting operations"][3] == len(graph.nodes)
    assert costs["moving data"][3] > graph.params


def test_ten_measurements_of_a_device_that_mixes_machines_predict_the_others(digits):
    space, sample, costs = digits
    predictor = ideal_predictor(featuriser_of(space)(sample[:120]), {name: cost[:120] for name, cost in costs.items()})
    rng = np.random.default_rng(1)
    true = 0.002 * costs["starting operations"] + costs["arithmetic"] / 4e8 + costs["moving data"] / 3e7
    seen = true * np.exp(0.03 * rng.normal(size=len(true)))
    features = featuriser_of(space)(sample)
    chosen = predictor.suggest_support(10, features[np.arange(40)])
    adapted = predictor.adapt(features[np.array(chosen)], seen[chosen], sigma_log=np.full(10, 0.03))
    rest = np.arange(40, 160)
    prediction = adapted.predict(features[rest])
    error = np.abs(np.log(prediction.mean_ms / true[rest]))
    assert np.median(error) < 0.1
    low, high = prediction.interval_ms()
    assert np.mean((low <= seen[rest]) & (seen[rest] <= high)) > 0.85


def test_costs_that_tell_nothing_are_refused(digits):
    space, sample, _ = digits
    features = featuriser_of(space)(sample)
    with pytest.raises(PredictorError, match="cost the same"):
        ideal_predictor(features, {"size": np.ones(160)})
    with pytest.raises(PredictorError, match="'size' has no positive mean"):
        ideal_predictor(features, {"size": np.zeros(160)})
