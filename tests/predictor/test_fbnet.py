import numpy as np
import pytest

from hwnas.errors import PredictorError
from hwnas.predictor import FbnetFeaturiser, TrainingSpace, gather


def test_costs_agree_with_a_count_by_hand():
    rows = [["skip"] * 22, ["k3_e6", *["skip"] * 21], ["skip"] * 21 + ["k5_e1_g2"]]
    found = FbnetFeaturiser()(rows).blocks
    extra = found["costs"] - found["costs"][0]
    first = [2 * 16 * 96 * 112**2, 96 * 9 * 112**2, 2 * 96 * 112**2, 2 * 16 * 96 + 96 * 9]
    np.testing.assert_allclose(extra[1], first)
    pointwise = (184 * 184 + 184 * 352) / 2 * 49 - 184 * 352 * 49  # in place of the 1x1 convolution of the skip
    np.testing.assert_allclose(extra[2, :2], [pointwise, 184 * 25 * 49])
    np.testing.assert_array_equal(found["depth"], [[0, 0, 0], [1, 0, 1], [1, 1, 2]])
    np.testing.assert_array_equal(found["counts"].sum(1), [22, 22, 22])


def test_an_unknown_block_is_named():
    with pytest.raises(PredictorError, match=r"architecture 2: unknown block 'k3_e5'"):
        FbnetFeaturiser()([["skip"] * 22, ["k3_e5"] * 22])
    with pytest.raises(PredictorError, match="not of the FBNet space"):
        FbnetFeaturiser()([["skip"] * 21])


def test_a_table_with_an_unknown_block_names_the_file_and_the_row(tmp_path):
    path = tmp_path / "blocks.csv"
    header = ",".join([*(f"block{place}" for place in range(22)), "latency_ms.phone"])
    path.write_text("\n".join([header, ",".join(["skip"] * 22 + ["1.0"]), ",".join(["k3_e5"] * 22 + ["2.0"])]))
    with pytest.raises(PredictorError, match=r"blocks\.csv: architecture 2: unknown block 'k3_e5' \(did you mean"):
        gather(TrainingSpace.named("fbnet"), tables=[path])
