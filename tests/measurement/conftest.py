from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from hwnas.device import DeviceFacts, DeviceProfile
from hwnas.measurement import LatencyTrace, MeasuredNetwork, MeasurementProtocol, MeasurementStore, TraceBlock
from hwnas.network import GraphBuilder, NetworkFile, write_onnx

MS = 1_000_000


@pytest.fixture(autouse=True)
def runtime_folder(tmp_path_factory, monkeypatch):
    """Locks of their own: tests that run beside these must not wait for them."""
    folder = tmp_path_factory.mktemp("runtime")
    monkeypatch.setenv("HWNAS_LOCKS", str(folder))
    return folder


@pytest.fixture
def traces(store):
    return MeasurementStore(store)


@pytest.fixture
def make_block():
    def make(samples_ns, *, process=0, cpu_ns=None, switches=None, before=None, after=None, conditions=None, kept=True):
        samples = np.asarray(samples_ns)
        return TraceBlock(
            process=process,
            samples_ns=samples,
            cpu_ns=samples if cpu_ns is None else np.asarray(cpu_ns),
            involuntary_switches=np.zeros(samples.size) if switches is None else np.asarray(switches),
            reference_before_ns=np.full(5, MS) if before is None else np.asarray(before),
            reference_after_ns=np.full(5, MS) if after is None else np.asarray(after),
            started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            conditions=conditions,
            kept=kept,
        )

    return make


@pytest.fixture
def make_trace(make_block):
    def make(
        blocks=None, *, threads=1, steady=True, before=None, after=None, name="net", network_hash="a" * 64, **more
    ):
        random = np.random.default_rng(0)
        if blocks is None:
            blocks = [make_block(random.normal(MS, MS // 50, 100).astype(int)) for _ in range(10)]
        return LatencyTrace(
            network=MeasuredNetwork(name, network_hash, "onnx", 1234, macs=10, params=5),
            device="fake",
            device_hash=more.pop("device_hash", "d" * 64),
            profile=DeviceProfile("fake", threads=threads),
            facts=DeviceFacts(model="fake", logical_cores=2),
            versions={"fake": "1"},
            protocol=more.pop("protocol", MeasurementProtocol()),
            blocks=tuple(blocks),
            warmup_ns=np.array([3 * MS, 2 * MS]),
            steady=steady,
            ended="samples",
            before=before,
            after=after,
            **more,
        )

    return make


@pytest.fixture
def make_file():
    """A network file that only a fake device can run."""

    def make(name, digit=None):
        digest = f"{digit if digit is not None else abs(hash(name)) % 10**9:064d}"
        return NetworkFile(Path(f"{name}.onnx"), digest, "onnx", name, 100, (), macs=7, params=3)

    return make


@pytest.fixture(scope="session")
def networks(tmp_path_factory):
    """Three real networks of different size."""
    folder, files = tmp_path_factory.mktemp("networks"), []
    for width in (8, 16, 24):
        builder = GraphBuilder(f"w{width}")
        x = builder.input((1, 8, 8))
        for _ in range(3):
            x = builder.activation(builder.conv(x, width, kernel=3), "relu")
        files.append(write_onnx(builder.graph(builder.global_avg_pool(x)), folder / f"w{width}.onnx"))
    return files
