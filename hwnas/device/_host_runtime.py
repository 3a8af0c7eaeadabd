"""Runtimes on this machine: each network in a process of its own (`hwnas.device.worker`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.device._child import Child, start_program
from hwnas.device._host_core import HomeCore, keeping_to
from hwnas.device._kinds import RuntimeKind, checked_options
from hwnas.device._nursery import Nursery, NurseryLostError
from hwnas.device._runtime import Block
from hwnas.device.runtimes import runtime_modules
from hwnas.device.worker._energy import POWERCAP
from hwnas.errors import DeadlineError, DeviceError, HwnasError, MeasurementError, NetworkError, NetworkMemoryError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from numpy.typing import NDArray

    from hwnas._deadline import Deadline
    from hwnas.device._device import Device
    from hwnas.device._host import HostOptions, HostTransport
    from hwnas.device._profile import DeviceProfile
    from hwnas.network import NetworkFile

_MIB = 1 << 20
_NURSERIES = 2  # where the first is lost, another one is tried
_WORKER = str(Path(__file__).absolute().parent / "worker" / "_start.py")
_VERSIONS = """
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
sys.stdout.write(json.dumps(found))
"""


class HostRuntime:
    """One module of `hwnas.device.runtimes`, with the settings of a profile."""

    def __init__(self, name: str, module: ModuleType, profile: DeviceProfile, host: HostOptions) -> None:
        """Check the profile's options.

        Raises:
            ConfigError: one is unknown or out of range.
        """
        self._name = name
        self._module: Any = module
        self._profile = profile
        self._host = host
        options = checked_options(module.OPTIONS, profile.options, source=f"device {profile.name!r}, options")
        self._guard = threading.Lock()
        self._nursery: Nursery | None = None
        self._home = HomeCore()
        self._forks = sys.platform == "linux" and getattr(module, "FORKS", False)
        self._options = {item.name: getattr(options, item.name) for item in fields(options)}

    @property
    def name(self) -> str:
        """Return the name that a profile says."""
        return self._name

    @property
    def formats(self) -> frozenset[str]:
        """Return the formats of network files that it runs."""
        return frozenset(self._module.FORMATS)

    def versions(self, *, deadline: Deadline) -> Mapping[str, str]:
        """Return the versions of the runtime's packages; nothing is imported.

        Raises:
            DeviceError: none of them is installed, or the profile's interpreter cannot be asked.
        """
        packages: tuple[str, ...] = self._module.PACKAGES
        found = _own_versions(packages) if self._host.python is None else self._foreign_versions(packages, deadline)
        if not found:
            raise DeviceError(
                f"runtime {self._name!r} is not installed for {self._host.python or sys.executable}",
                f"pip install {packages[0]}",
            )
        return found

    def _foreign_versions(self, packages: tuple[str, ...], deadline: Deadline) -> dict[str, str]:
        command = [str(self._host.python), "-c", _VERSIONS, *packages]
        try:
            done = subprocess.run(
                command, capture_output=True, check=True, timeout=deadline.timeout_s(), stdin=subprocess.DEVNULL
            )
            found: dict[str, str] = json.loads(done.stdout)
        except subprocess.TimeoutExpired as exc:
            raise DeadlineError(f"{command[0]} did not tell its packages in time", "check the interpreter") from exc
        except (OSError, subprocess.CalledProcessError, ValueError) as exc:
            raise DeviceError(
                f"{command[0]} cannot be asked for its packages: {exc}", "transport_options.python names an interpreter"
            ) from exc
        return found

    def prepare(self, device: Device, *, deadline: Deadline) -> None:
        """Bring nothing: all is here."""

    def rest(
        self,
        device: Device,  # noqa: ARG002
        *,
        deadline: Deadline,  # noqa: ARG002
        cancelled: threading.Event | None,  # noqa: ARG002
    ) -> bool:
        """Go on at once."""
        return False

    def open(self, device: Device, network: NetworkFile, *, deadline: Deadline) -> HostSession:
        """Return a session with `network` loaded, in a process of its own; see `Runtime.open`."""
        child = self._start(network, deadline)
        limit, home = self._host.memory_limit_mb, self._home_core()
        cpus = self._profile.cpus if home is None else [home]
        try:
            loaded, _ = _ask(
                child,
                {
                    "do": "load",
                    "path": str(Path(network.path).absolute()),
                    "backend": self._backend,
                    "threads": self._profile.threads,
                    "batch": self._profile.batch,
                    "cpus": cpus,
                    "options": self._options,
                    "powercap": POWERCAP,
                    "memory_limit_bytes": None if limit is None else limit * _MIB,
                },
                deadline=deadline,
                package=self._module.PACKAGES[0],
            )
        except BaseException:
            child.kill()
            raise
        return HostSession(child, device, loaded, home)

    def forget(self) -> None:
        """Start from a new interpreter next time, with another layout of its memory; see `Runtime.forget`."""
        with self._guard:
            nursery, self._nursery = self._nursery, None
        if nursery is not None:
            nursery.retire()

    def _home_core(self) -> int | None:
        """Return the processor that all processes keep to: for one thread, where the profile does not name any."""
        free = self._profile.threads == 1 and self._profile.cpus is None
        return self._home.choose() if free else None

    @property
    def _backend(self) -> str:
        return str(Path(str(self._module.__file__)).absolute())

    def _start(self, network: NetworkFile, deadline: Deadline) -> Child:
        """Return the process of a network: a fork where that goes, else a program of its own."""
        what = str(network.path)
        worker = [self._host.python or sys.executable, _WORKER]
        if self._forks:
            for _ in range(_NURSERIES):
                try:
                    return Child(self._forking(worker, deadline).fork, what=what)
                except NurseryLostError:
                    self.forget()
            self._forks = deadline.passed  # what else is wrong, the program tells
        return Child(start_program(worker, self._environment()), what=what)

    def _forking(self, worker: list[str], deadline: Deadline) -> Nursery:
        with self._guard:
            if self._nursery is None:
                command = [*worker, self._backend]
                self._nursery = Nursery(command, environment=self._environment(), deadline=deadline)
            return self._nursery

    def _environment(self) -> dict[str, str]:
        threads = str(self._profile.threads)
        return {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": threads}


class HostSession:
    """One network in its process; see `Session`."""

    def __init__(self, child: Child, device: Device, loaded: Mapping[str, Any], home: int | None) -> None:
        """Take over a process that has loaded its network, and keeps to the processor `home` where there is one."""
        self._child = child
        self._home = home
        self._device = device
        self._peak_bytes: int = loaded["peak_bytes"]
        self._baseline_bytes: int = loaded["baseline_bytes"]
        self.inputs = tuple((name, kind, tuple(shape)) for name, kind, shape in loaded["inputs"])

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def stays_loaded(self) -> bool:
        """Whether the network stays loaded from one `run` to the next: yes."""
        return True

    @property
    def peak_memory_bytes(self) -> int:
        """The most memory that the process has held so far, the runtime itself included."""
        return self._peak_bytes

    @property
    def baseline_memory_bytes(self) -> int:
        """What it held before the network was loaded: the interpreter and the runtime."""
        return self._baseline_bytes

    def run(self, n: int, *, deadline: Deadline) -> Block:
        """Return the times of `n` inferences in a row; see `Session.run`."""
        with keeping_to(self._home):
            reply, payload = _ask(self._child, {"do": "run", "n": n}, deadline=deadline)
        conditions = self._device.conditions(deadline=deadline)
        self._peak_bytes = reply["peak_bytes"]
        wall, cpu, switches = np.frombuffer(payload, dtype=np.int64).reshape(3, n)
        energy_uj = reply["energy_uj"]
        energy_mj = None if energy_uj is None else energy_uj / 1000.0
        return Block(wall, cpu, switches, datetime.fromtimestamp(reply["started_s"], UTC), conditions, energy_mj)

    def infer(self, inputs: Mapping[str, NDArray[Any]], *, deadline: Deadline) -> dict[str, NDArray[Any]]:
        """Return the network's outputs by name: what shows that it is the network that it should be.

        Args:
            inputs: an array for each input by name.
            deadline: by when it must have ended.
        """
        specs = [[name, str(value.dtype), list(value.shape)] for name, value in inputs.items()]
        payload = b"".join(np.ascontiguousarray(value).tobytes() for value in inputs.values())
        reply, data = _ask(self._child, {"do": "infer", "inputs": specs}, payload, deadline=deadline)
        outputs, offset = {}, 0
        for name, kind, shape in reply["outputs"]:
            count = int(np.prod(shape))
            outputs[name] = np.frombuffer(data, dtype=kind, count=count, offset=offset).reshape(shape)
            offset += outputs[name].nbytes
        return outputs

    def close(self) -> None:
        """End the process; a second call does nothing."""
        self._child.kill()


def host_runtimes() -> dict[str, RuntimeKind]:
    """Return every runtime of this machine by name."""
    return {name: _kind(name, module) for name, module in runtime_modules().items()}


def _kind(name: str, module: ModuleType) -> RuntimeKind:
    def make(profile: DeviceProfile, transport: HostTransport) -> HostRuntime:
        return HostRuntime(name, module, profile, transport.options)

    formats = frozenset(module.FORMATS)
    return RuntimeKind(name, module.OPTIONS, make, formats=formats)  # type: ignore[arg-type]  # over the host's alone


def _own_versions(packages: tuple[str, ...]) -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _ask(
    child: Child, request: Mapping[str, Any], payload: bytes = b"", *, deadline: Deadline, package: str = ""
) -> tuple[dict[str, Any], bytes]:
    reply, data = child.request(request, payload, deadline=deadline)
    if "fault" in reply:
        raise _error(child, reply, package)
    return reply, data


def _error(child: Child, reply: Mapping[str, str], package: str) -> HwnasError:
    """Return the error that a process reported, in the words of this side."""
    text = " ".join(reply["message"].split())[:500]
    said = f"{child.what}: {text}"
    match reply["fault"]:
        case "device":
            return DeviceError(text, reply["hint"])
        case "network":
            return NetworkError(said, reply["hint"])
        case "import":
            return DeviceError(f"the runtime cannot be imported: {text}", f"pip install {package}")
        case "memory":
            return NetworkMemoryError(
                f"{child.what}: not enough memory: {text}", "try a smaller network or batch, or a machine with more"
            )
        case "load":
            return NetworkError(f"{child.what} cannot be loaded: {text}", "the runtime may not know an operation of it")
        case _:
            return MeasurementError(f"{child.what} fails when it is run: {text}", "check it with the runtime alone")
