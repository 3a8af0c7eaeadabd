import numpy as np
import pytest

from hwnas.errors import PredictorError
from hwnas.predictor import CellFeaturiser, cell_graphs, parse_cells
from hwnas.space import get_space
from hwnas.space.nasbench201 import cell_from_text

CHAIN = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|"
DEAD_END = "|nor_conv_3x3~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"
DEAD = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_1x1~2|"


def test_only_edges_on_a_path_from_input_to_output_are_live():
    found = CellFeaturiser()([CHAIN, DEAD_END, DEAD])
    np.testing.assert_array_equal(found.live, [True, True, False])
    np.testing.assert_array_equal(found.blocks["live counts"], [[1, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    np.testing.assert_array_equal(found.blocks["counts"][1], [3, 0, 1, 1, 1])
    np.testing.assert_array_equal(found.blocks["paths"][0, :3], [2, 2, 1])
    assert not found.blocks["paths"][2].any()
    assert sum(found.widths().values()) == 74


def test_architectures_of_the_built_in_space_are_cells_as_well():
    np.testing.assert_array_equal(
        parse_cells([cell_from_text(CHAIN), cell_from_text(DEAD)]), parse_cells([CHAIN, DEAD])
    )
    space = get_space("digits")
    with pytest.raises(PredictorError, match=r"architecture 0: .*digits.* is no cell"):
        parse_cells(space.sample(1, np.random.default_rng(0)))


def test_an_unknown_operation_is_named_with_the_near_miss():
    with pytest.raises(PredictorError, match=r"architecture 1: unknown operation 'nor_conv_3x4' \(did you mean"):
        parse_cells([CHAIN, CHAIN.replace("3x3", "3x4")])
    with pytest.raises(PredictorError, match="architecture 0: 'conv-conv' is no cell"):
        parse_cells(["conv-conv"])


def test_graphs_hold_one_operation_a_node_and_gather_along_edges():
    nodes, gathers = cell_graphs([CHAIN, DEAD])
    assert nodes.shape == (2, 9, 8)
    np.testing.assert_array_equal(nodes.sum(2), np.ones((2, 9)))
    assert gathers.sum() == 9 + 8 + (3 + 4 + 3)  # itself, the global node, and input, inner and output edges
    reach = np.linalg.matrix_power(gathers, 4) > 0
    assert reach[7, 0]
    assert not reach[0, 7]
