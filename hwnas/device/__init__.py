"""Where it runs: device profiles, the ways to reach devices, and the runtimes on them."""

from hwnas.device._conditions import Conditions, DeviceFacts
from hwnas.device._device import Device, check_profile
from hwnas.device._fleet import on_each
from hwnas.device._kinds import (
    Probe,
    RuntimeKind,
    TransportKind,
    checked_options,
    runtime_kind,
    transport_kind,
    transport_names,
)
from hwnas.device._profile import DeviceProfile, check_device_name, cpus_from_mask
from hwnas.device._registry import DeviceRegistry
from hwnas.device._runtime import Block, Runtime, Session
from hwnas.device._transport import Completed, Transport

__all__ = [
    "Block",
    "Completed",
    "Conditions",
    "Device",
    "DeviceFacts",
    "DeviceProfile",
    "DeviceRegistry",
    "Probe",
    "Runtime",
    "RuntimeKind",
    "Session",
    "Transport",
    "TransportKind",
    "check_device_name",
    "check_profile",
    "checked_options",
    "cpus_from_mask",
    "on_each",
    "runtime_kind",
    "transport_kind",
    "transport_names",
]
