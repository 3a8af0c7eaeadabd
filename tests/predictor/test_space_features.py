import numpy as np
import pytest

from hwnas.errors import PredictorError, SpaceError
from hwnas.network import GraphBuilder
from hwnas.predictor import CellFeaturiser, SpaceFeaturiser, featuriser_of
from hwnas.predictor._graph_features import GRAPH_BLOCKS, graph_part
from hwnas.space import Categorical, Float, Int, SearchSpace, get_space


def tiny_graph(arch):
    build = GraphBuilder("tiny")
    x = build.conv(build.input((3, 8, 8)), int(arch["width"]), kernel=3)
    if arch["tail"] == "wide":
        x = build.conv(x, int(arch["tail_width"]), kernel=1)
    return build.graph(build.global_avg_pool(x))


def tiny_space(**changes):
    parameters = [
        Int("width", 1, 8),
        Float("lr", 0.1, 1.0),
        Categorical("tail", ("none", "wide")),
        Int("tail_width", 2, 9, when={"tail": "wide"}),
    ]
    return SearchSpace("tiny", parameters, graph=tiny_graph, **changes)


def test_a_parameter_that_changes_no_network_is_left_out():
    space = tiny_space()
    archs = space.sample(20, np.random.default_rng(0))
    found = SpaceFeaturiser(space)(archs)
    names = [column.parameter for column in space.columns]
    assert "lr" in names
    assert found.widths() == {**GRAPH_BLOCKS, "encoding": len(names) - 1}
    changed = space.architecture({**archs[0].values, "lr": 0.33})
    same = SpaceFeaturiser(space)([archs[0], changed])
    np.testing.assert_array_equal(same.stacked()[0], same.stacked()[1])


def test_what_was_seen_before_has_the_same_features_in_any_order():
    space = tiny_space()
    archs = space.sample(6, np.random.default_rng(1))
    featuriser = SpaceFeaturiser(space)
    first = featuriser(archs).stacked()
    np.testing.assert_array_equal(featuriser([archs[4], archs[4], archs[1]]).stacked(), first[[4, 4, 1]])
    assert len(featuriser([])) == 0
    assert graph_part(featuriser(archs)).widths() == GRAPH_BLOCKS


def test_a_space_without_networks_has_its_encoding():
    space = SearchSpace("plain", [Int("width", 1, 8), Float("lr", 0.1, 1.0)])
    archs = space.sample(5, np.random.default_rng(0))
    np.testing.assert_array_equal(SpaceFeaturiser(space)(archs).stacked(), space.encode(archs))


def test_an_architecture_of_another_space_is_refused():
    other = tiny_space(version="2").sample(1, np.random.default_rng(0))
    with pytest.raises(SpaceError, match="version '2'"):
        SpaceFeaturiser(tiny_space())(other)
    with pytest.raises(PredictorError, match="is no cell of NAS-Bench-201"):
        CellFeaturiser()(other)


def test_nasbench201_keeps_its_own_features():
    space = get_space("nasbench201")
    assert featuriser_of(space) == CellFeaturiser()
    from hwnas.space.nasbench201 import cell_text

    archs = space.sample(30, np.random.default_rng(0))
    by_values, by_text = CellFeaturiser()(archs), CellFeaturiser()([cell_text(arch) for arch in archs])
    np.testing.assert_array_equal(by_values.stacked(), by_text.stacked())
