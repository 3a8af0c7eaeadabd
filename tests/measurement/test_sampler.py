from datetime import UTC, datetime

import numpy as np
import pytest

from hwnas.device import Block
from hwnas.measurement._sampler import _without_first


def test_samples_before_those_that_count_take_their_energy_with_them():
    samples = np.array([300, 100, 100, 100])
    block = Block(samples, samples, None, datetime(2026, 1, 1, tzinfo=UTC), energy_mj=12.0)
    counting = _without_first(block, 1)
    assert counting.energy_mj == pytest.approx(6.0)
    assert counting.samples_ns.tolist() == [100, 100, 100]
    assert _without_first(Block(samples, None, None, block.started_at), 1).energy_mj is None
