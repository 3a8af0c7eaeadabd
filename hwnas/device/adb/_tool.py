"""What the runtimes' own benchmark programs have in common: each block starts the program anew."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from hwnas.device.adb._onphone import PhoneRuntime
from hwnas.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwnas._deadline import Deadline
    from hwnas.device._device import Device
    from hwnas.device._runtime import Block
    from hwnas.network import NetworkFile


class ToolSession(ABC):
    """One network on the phone, where no process stays; see `Session`. Subclasses run it."""

    stays_loaded = False
    baseline_memory_bytes = None

    def __init__(self, runtime: ToolRuntime, device: Device, what: str, folder: str, remote: str) -> None:
        """Take over a network that was sent.

        Args:
            runtime: whose program runs it.
            device: the phone.
            what: what the network is called here.
            folder: where the program lies on the phone.
            remote: where the network lies there.
        """
        self._runtime = runtime
        self._device = device
        self._what = what
        self._folder = folder
        self._remote = remote
        self._closed = False
        self.peak_memory_bytes: int | None = None

    @abstractmethod
    def run(self, n: int, *, deadline: Deadline) -> Block:
        """Return the times of `n` inferences; see `Session.run`."""

    def close(self) -> None:
        """Remove the network from the phone. A second call does nothing; never raises."""
        if not self._closed:
            self._closed = True
            self._runtime.discard(self._remote)


class ToolRuntime(PhoneRuntime):
    """See `Runtime`. A subclass names the program, and the sessions that know its words."""

    program: ClassVar[str]
    session: ClassVar[type[ToolSession]]
    provider = "cpu"

    def versions(self, *, deadline: Deadline) -> Mapping[str, str]:
        """Return program and libraries by their hashes; nothing is sent."""
        deadline.check("reading the program")
        return self.describe(self.files())

    def open(self, device: Device, network: NetworkFile, *, deadline: Deadline) -> ToolSession:
        """Return a session: the network lies on the phone, and runs once to show that it can."""
        if self.profile.batch != 1:
            raise NetworkError(f"{self.program} takes no batch size", "use hwnas-runner for other batches than 1")
        folder = self.install(device, deadline=deadline)
        remote = self.send(network, deadline=deadline)
        session = self.session(self, device, str(network.path), folder, remote)
        try:
            session.run(1, deadline=deadline)
        except BaseException:
            session.close()
            raise
        return session

    def words(self, folder: str) -> list[str]:
        """Return the words that a command with the program in `folder` begins with."""
        return ["env", f"LD_LIBRARY_PATH={folder}", *self.taskset(), f"{folder}/{self.files()[0].name}"]
