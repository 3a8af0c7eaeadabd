"""Phones as devices: the transport `adb` and its runtimes."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.device._kinds import RuntimeKind, TransportKind, checked_options
from hwnas.device.adb._benchmark_model import BenchmarkModelRuntime
from hwnas.device.adb._choose import connect
from hwnas.device.adb._options import AdbOptions, key_of_serial
from hwnas.device.adb._perf_test import PerfTestRuntime
from hwnas.device.adb._probe import AdbProbe
from hwnas.device.adb._runner import RunnerRuntime
from hwnas.device.adb._transport import AdbTransport
from hwnas.device.runtimes._onnxruntime import OPTIONS as ONNXRUNTIME_OPTIONS
from hwnas.errors import ConfigError, DeviceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwnas._deadline import Deadline
    from hwnas.device._kinds import Probe
    from hwnas.device._profile import DeviceProfile
    from hwnas.device._runtime import Runtime
    from hwnas.device._transport import Transport


@dataclass(frozen=True)
class LiteRtOptions:
    """What TensorFlow Lite and LiteRT can be told.

    Attributes:
        provider: what computes: `cpu` (with XNNPACK), `nnapi`, `gpu` or `npu`, as far as program and library have it.
    """

    provider: str = "cpu"


def options_of(profile: DeviceProfile) -> AdbOptions:
    """Return the checked transport options of a profile.

    Raises:
        ConfigError: one is unknown or out of range.
    """
    where = f"device {profile.name!r}, transport_options"
    found: AdbOptions = checked_options(AdbOptions, profile.transport_options, source=where)
    return found


def open_transport(profile: DeviceProfile, deadline: Deadline) -> AdbTransport:
    """Return the transport of a phone's profile, connected.

    Raises:
        ConfigError: its options are wrong.
        DeviceError: the packages for ADB are not installed.
        DeviceConnectionError: the phone cannot be reached.
        DeadlineError: it did not answer in time.
    """
    options = options_of(profile)
    missing = [package for package in ("adb-shell", "adbutils") if find_spec(package.replace("-", "_")) is None]
    if missing:
        raise DeviceError(
            f"phones need {' and '.join(missing)}, which is not installed", f"pip install {' '.join(missing)}"
        )
    transport = AdbTransport(lambda limit: connect(options, deadline=limit), reconnect_s=options.reconnect_s)
    transport.open(deadline=deadline)
    return transport


def lock_key_of(profile: DeviceProfile, transport: AdbTransport, *, deadline: Deadline) -> str:
    """Return what a connected phone is known by on this machine, as `Device.lock_key` has it.

    Raises:
        DeviceConnectionError: the phone cannot be reached.
        DeadlineError: it did not answer in time.
    """
    told = transport.run(["getprop", "ro.serialno"], deadline=deadline, harmless=True).stdout
    return key_of_serial(told.decode("utf-8", "replace").strip()) or options_of(profile).key


def _probe(profile: DeviceProfile, transport: Transport) -> Probe:
    return AdbProbe(_adb(transport), profile.cpus, accept_charging=options_of(profile).accept_charging)


def _make_onnxruntime(profile: DeviceProfile, transport: Transport) -> Runtime:
    options = options_of(profile)
    chosen = checked_options(ONNXRUNTIME_OPTIONS, profile.options, source=f"device {profile.name!r}, options")
    formats = frozenset({"onnx"})
    if "perf_test" in _program(options):
        if not chosen.arena:
            raise ConfigError(
                f"device {profile.name!r}: onnxruntime_perf_test cannot do without the arena", "leave it on"
            )
        tool = PerfTestRuntime(profile, _adb(transport), options, formats)
        tool.int8 = chosen.precision == "int8"
        tool.level, tool.provider, tool.spinning = chosen.graph_optimization, chosen.provider, chosen.spinning
        return tool
    runner = RunnerRuntime(profile, _adb(transport), options, formats)
    runner.int8 = chosen.precision == "int8"
    runner.flags = (
        *("--optimisation", chosen.graph_optimization, "--provider", chosen.provider),
        *("--spinning", _switch(on=chosen.spinning), "--arena", _switch(on=chosen.arena)),
    )
    return runner


def _make_litert(profile: DeviceProfile, transport: Transport) -> Runtime:
    options = options_of(profile)
    chosen = checked_options(LiteRtOptions, profile.options, source=f"device {profile.name!r}, options")
    formats = frozenset({"tflite"})
    if "benchmark_model" in _program(options):
        tool = BenchmarkModelRuntime(profile, _adb(transport), options, formats)
        tool.provider = chosen.provider
        return tool
    runner = RunnerRuntime(profile, _adb(transport), options, formats)
    runner.flags = ("--provider", chosen.provider)
    return runner


def _runtimes() -> Mapping[str, RuntimeKind]:
    return {
        "onnxruntime": RuntimeKind("onnxruntime", ONNXRUNTIME_OPTIONS, _make_onnxruntime),
        "litert": RuntimeKind("litert", LiteRtOptions, _make_litert, formats=frozenset({"tflite"})),
    }


def _program(options: AdbOptions) -> str:
    return Path(options.runner or "").name


def _switch(*, on: bool) -> str:
    return "on" if on else "off"


def _adb(transport: Transport) -> AdbTransport:
    if not isinstance(transport, AdbTransport):
        raise DeviceError(f"{transport.describe()} is no phone", 'set transport = "adb" in the profile')
    return transport


KIND = TransportKind(
    name="adb",
    options=AdbOptions,
    connect=open_transport,
    probe=_probe,
    runtimes=_runtimes,
    lock_key=lambda profile: options_of(profile).key,
    connect_s=lambda profile: 30.0 + options_of(profile).authorise_s,
    slack_s=lambda profile: options_of(profile).reconnect_s,
    known_by=lambda facts: key_of_serial(facts.serial or ""),
)
