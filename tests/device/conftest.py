import pytest

from hwnas._deadline import Deadline
from hwnas.device._host import HostTransport
from hwnas.network import GraphBuilder, reference_graph, write_onnx

#: One function for each transport that the conformance tests run over.
TRANSPORTS = {"host": HostTransport}


@pytest.fixture(autouse=True)
def _own_locks(tmp_path_factory, monkeypatch):
    """Locks of their own: tests that run beside these must not wait for them."""
    monkeypatch.setenv("HWNAS_LOCKS", str(tmp_path_factory.mktemp("runtime")))


@pytest.fixture
def soon():
    """A deadline that is far enough for anything that works."""
    return Deadline.after(60)


@pytest.fixture(scope="session")
def reference(tmp_path_factory):
    """The reference network's file."""
    return write_onnx(reference_graph(), tmp_path_factory.mktemp("networks") / "reference.onnx")


@pytest.fixture(scope="session")
def small_graph():
    """A network that takes a few microseconds."""
    builder = GraphBuilder("small")
    x = builder.input((3, 8, 8))
    x = builder.activation(builder.conv(x, 4, kernel=3), "relu")
    return builder.graph(builder.linear(builder.flatten(builder.global_avg_pool(x)), 5))


@pytest.fixture(params=sorted(TRANSPORTS))
def transport(request):
    """Each transport, connected."""
    opened = TRANSPORTS[request.param]()
    yield opened
    opened.close()
