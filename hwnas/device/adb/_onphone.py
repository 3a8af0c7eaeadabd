"""What all on-phone runtimes share: their files on the phone, rest between blocks, and how their ends are read."""

from __future__ import annotations

import tempfile
import threading
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas._deadline import Deadline
from hwnas.device.adb._files import local_sha256
from hwnas.device.runtimes._onnxruntime import QUANTISED
from hwnas.errors import DeadlineError, DeviceError, HwnasError, MeasurementError, NetworkCrashedError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwnas.device._conditions import Conditions
    from hwnas.device._device import Device
    from hwnas.device._profile import DeviceProfile
    from hwnas.device.adb._options import AdbOptions
    from hwnas.device.adb._transport import AdbTransport
    from hwnas.network import NetworkFile

_TIDY_S = 5.0
_LOOK_S = 5.0
_ANSWER_S = 10.0
_INSTALL_S, _SLOWEST_BYTES_S = 30.0, 200_000.0  # a weak wireless connection
_SHARE_FOR_REST = 0.5  # of the campaign's time that is left
#: `e_machine` of an ELF file for each of Android's ABIs.
_MACHINES = {"arm64-v8a": 183, "armeabi-v7a": 40, "x86_64": 62, "x86": 3}
_SIGNALS = {4: "illegal instruction", 6: "abort", 7: "bus error", 9: "killed", 11: "segmentation fault", 15: "ended"}
_ALARM = 14


class PhoneRuntime:
    """The files of one on-phone program, and what its sessions need. Thread-safe.

    Where `int8` is set, ONNX networks are quantised here before they are sent, unless they are already.
    """

    int8 = False

    def __init__(
        self, profile: DeviceProfile, transport: AdbTransport, options: AdbOptions, formats: frozenset[str]
    ) -> None:
        """Take the profile's settings; nothing is sent yet."""
        self.profile = profile
        self.transport = transport
        self.options = options
        self.formats = formats

    @property
    def name(self) -> str:
        """Return the name that a profile says."""
        return self.profile.runtime

    def forget(self) -> None:
        """Keep nothing: every session starts a program of its own."""

    def files(self) -> list[Path]:
        """Return the files of this machine that go to the phone: the program, then its libraries.

        Raises:
            DeviceError: one is not named, or is not there.
        """
        if self.options.runner is None:
            raise DeviceError(
                f"device {self.profile.name!r} names no program to run networks with",
                "set transport_options.runner: build hwnas-runner, or bring onnxruntime_perf_test or benchmark_model "
                "(docs/android.md)",
            )
        named = [self.options.runner, *filter(None, (self.options.library or "").split(":"))]
        found = [Path(entry).expanduser().absolute() for entry in named]
        for file in found:
            if not file.is_file():
                raise DeviceError(f"{file}: no such file", f"transport_options of device {self.profile.name!r} name it")
        return found

    def install(self, device: Device, *, deadline: Deadline) -> str:
        """Return the folder on the phone with the program and its libraries, sent where they are missing.

        Raises:
            DeviceError: one is built for another processor, or cannot be written.
        """
        files = self.files()
        for file in files:
            _check_machine(file, device.facts.architecture)
        return self.transport.installation.bundle(files, deadline=deadline)

    def prepare(self, device: Device, *, deadline: Deadline) -> None:
        """Send program and libraries, with time enough for a slow connection; see `Runtime.prepare`."""
        size_bytes = sum(file.stat().st_size for file in self.files())
        limit_s = _INSTALL_S + size_bytes / _SLOWEST_BYTES_S + device.slack_s
        self.install(device, deadline=Deadline.after(deadline.remaining_s(limit_s)))

    def send(self, network: NetworkFile, *, deadline: Deadline) -> str:
        """Return the path on the phone of a network that was sent there; the session removes it.

        Raises:
            NetworkError: its weights lie in files of their own, or it cannot be quantised.
        """
        if network.path.stat().st_size != network.size_bytes:
            raise NetworkError(
                f"{network.path} keeps weights in other files, which are not sent to phones",
                "save it as one file: onnx.save(onnx.load(path), path)",
            )
        if not self.int8 or QUANTISED in network.path.read_bytes():
            return self.transport.installation.network(network, deadline=deadline)
        from hwnas.network import quantise_onnx

        with tempfile.TemporaryDirectory(prefix="hwnas-int8-") as folder:
            small = quantise_onnx(network, Path(folder) / "int8.onnx")
            return self.transport.installation.network(small, deadline=deadline)

    def discard(self, remote: str) -> None:
        """Remove a network from the phone: now, or as soon as it can be reached again. Never raises."""
        try:
            self.transport.run(["rm", "-f", remote], deadline=Deadline.after(_TIDY_S), harmless=True)
        except HwnasError:
            self.transport.forget_file(remote, afresh=False)

    def describe(self, files: Sequence[Path]) -> Mapping[str, str]:
        """Return what the figures depend on: each file's name with the beginning of its hash, and what quantises."""
        found = {file.name: f"sha256 {local_sha256(file)[:16]}" for file in files}
        return found | {"quantiser": f"onnxruntime {version('onnxruntime')}"} if self.int8 else found

    def rest(self, device: Device, *, deadline: Deadline, cancelled: threading.Event | None) -> bool:
        """Rest as the profile wants it; see `Runtime.rest`."""
        options, stop = self.options, cancelled or threading.Event()
        if options.cool_s > 0:
            stop.wait(min(options.cool_s, _SHARE_FOR_REST * deadline.remaining_s()))
        if options.cool_to_c is None:
            return options.cool_s > 0
        end = Deadline.after(min(options.cool_most_s, _SHARE_FOR_REST * deadline.remaining_s()))
        waited = False
        while not stop.is_set() and not end.passed:
            answer = Deadline.after(deadline.remaining_s(at_most=_ANSWER_S + device.slack_s))
            warm = skin_c(device.conditions(deadline=answer))
            if warm is None or warm <= options.cool_to_c:
                break
            waited = True
            stop.wait(end.remaining_s(at_most=_LOOK_S))
        return waited or options.cool_s > 0

    def taskset(self) -> list[str]:
        """Return the words before a command that keep it on the profile's processors; none where it names none."""
        if self.profile.cpus is None:
            return []
        return ["taskset", f"{sum(1 << cpu for cpu in self.profile.cpus):x}"]


def skin_c(state: Conditions) -> float | None:
    """Return how warm the phone is on the outside: its skin sensor, else its battery, else its hottest part."""
    skin = state.extra.get("skin_c")
    if isinstance(skin, float | int):
        return float(skin)
    return (state.temperature_c or {}).get("battery", state.hottest_c)


def ended_error(what: str, exit_code: int, stderr: bytes) -> HwnasError:
    """Return the error of a program that ended by itself, told by its exit code."""
    said = " ".join(stderr.decode("utf-8", "replace").split())[-300:]
    tail = f": {said}" if said else ""
    signal = exit_code - 128
    if signal == _ALARM:
        return DeadlineError(f"{what} did not end in time on the phone", "give it more time, or look at why it hangs")
    if signal in _SIGNALS:
        hint = (
            "the phone may have run out of memory: try a smaller network, or close apps"
            if signal in (9, 6)
            else "run it by hand with `adb shell` to see more; the program may not suit this processor"
        )
        return NetworkCrashedError(
            f"{what}: its process on the phone died of signal {signal} ({_SIGNALS[signal]}){tail}", hint
        )
    if exit_code in (126, 127):
        return DeviceError(
            f"the program cannot be started on the phone (exit code {exit_code}){tail}",
            "it must be built for the phone's processor, and find its libraries (transport_options.library)",
        )
    return MeasurementError(f"{what}: the program on the phone ended with exit code {exit_code}{tail}", "see its words")


def _check_machine(file: Path, abi: str | None) -> None:
    """Check that a program or library is built for the phone, where both can be told."""
    with file.open("rb") as stream:
        head = stream.read(20)
    machine = int.from_bytes(head[18:20], "little")
    wanted = _MACHINES.get(abi or "")
    if head[:4] != b"\x7fELF" or wanted is None or machine == wanted:
        return
    if (abi, machine) in (("arm64-v8a", _MACHINES["armeabi-v7a"]), ("x86_64", _MACHINES["x86"])):
        return  # the phone runs the older kind too
    built = {number: name for name, number in _MACHINES.items()}.get(machine, f"machine {machine}")
    raise DeviceError(f"{file} is built for {built}, and the phone is {abi}", f"build it for {abi} (docs/android.md)")
