import numpy as np
import pytest

from hwnas.errors import PredictorError
from hwnas.network import GraphBuilder, reference_graph
from hwnas.predictor import FeatureBlocks, GraphFeaturiser, MatrixFeaturiser
from hwnas.predictor._graph_features import TOTALS


def test_blocks_that_do_not_fit_are_refused():
    with pytest.raises(PredictorError, match="do not fit"):
        FeatureBlocks({"a": np.ones((3, 2)), "b": np.ones((2, 2))})
    with pytest.raises(PredictorError, match="'a': architecture 1 has a feature that is no finite number"):
        FeatureBlocks({"a": np.array([[1.0], [np.nan]])})
    with pytest.raises(PredictorError, match="no blocks"):
        FeatureBlocks({"a": np.ones((3, 2))}, curved=("b",))
    with pytest.raises(PredictorError, match="not rows of numbers"):
        MatrixFeaturiser()(["conv", "pool"])


def test_rows_are_taken_from_every_block():
    blocks = FeatureBlocks({"a": np.arange(6.0).reshape(3, 2), "b": np.arange(3.0)[:, None]}, np.array([1, 0, 1], bool))
    part = blocks[[2, 1]]
    np.testing.assert_array_equal(part.stacked(), [[4, 5, 2], [2, 3, 1]])
    np.testing.assert_array_equal(part.live, [True, False])


def test_a_graphs_features_are_those_of_what_is_deployed():
    graph = reference_graph()
    found = GraphFeaturiser()([graph, graph])
    totals = dict(zip(TOTALS, found.blocks["totals"][0], strict=True))
    np.testing.assert_array_equal(found.blocks["totals"][0], found.blocks["totals"][1])
    folded = sum(node.operation.kind == "batch_norm" for node in graph.nodes)
    assert totals["macs"] == found.blocks["macs"][0].sum() == graph.macs
    assert totals["steps"] == found.blocks["counts"][0].sum() == len(graph.nodes) - folded
    assert 1 <= totals["depth"] <= totals["steps"]
    assert 0 < totals["longest macs"] <= graph.macs
    assert found.live.all()
    resolutions = found.blocks["resolutions"].reshape(2, -1, 8)[0]
    assert resolutions[:3].sum() == graph.macs
    assert resolutions[-2].sum() == totals["steps"]


def test_parallel_branches_are_counted_as_paths_and_a_dead_network_is_known():
    build = GraphBuilder("two")
    x = build.input((4, 8, 8))
    both = build.add(build.conv(x, 4, kernel=1), build.conv(x, 4, kernel=3))
    wide = dict(zip(TOTALS, GraphFeaturiser()([build.graph(both)]).blocks["totals"][0], strict=True))
    assert wide["paths"] == np.log2(3)
    assert (wide["depth"], wide["steps"]) == (2, 3)
    assert wide["longest macs"] == 4 * 4 * 9 * 64
    build = GraphBuilder("dead")
    x = build.input((4, 8, 8))
    dead = build.graph(build.conv(build.zero(x), 4, kernel=1))
    assert not GraphFeaturiser()([dead]).live.any()
