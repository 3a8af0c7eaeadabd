"""What the columns of our own latency tables are: a target, and the machine that it was measured on.

A column is called `TARGET.MACHINE`, such as `ort1.amd-epyc-25-17-2c`: no two machines share one.
"""

from __future__ import annotations

import os
import platform
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.device import DeviceProfile

if TYPE_CHECKING:
    from collections.abc import Sequence

PROFILES = (
    DeviceProfile("ort1", notes="ONNX Runtime, one thread"),
    DeviceProfile("litert", runtime="litert", notes="LiteRT with XNNPACK, one thread"),
    DeviceProfile("openvino", runtime="openvino", notes="OpenVINO, one thread"),
    DeviceProfile("ort-int8", options={"precision": "int8"}, notes="ONNX Runtime in eight-bit integers (static QDQ)"),
    DeviceProfile("ort-plain", options={"graph_optimization": "none"}, notes="ONNX Runtime without graph optimisation"),
    DeviceProfile("ncnn", runtime="ncnn", notes="ncnn, one thread"),
    DeviceProfile("ort2", threads=2, notes="ONNX Runtime, two threads"),
    DeviceProfile("litert-plain", runtime="litert", options={"xnnpack": False}, notes="LiteRT without XNNPACK"),
    DeviceProfile("pytorch", runtime="pytorch", notes="PyTorch eager, one thread"),
)
TARGETS = {profile.name: profile for profile in PROFILES}
#: The others are slower (LiteRT without XNNPACK two times, PyTorch four times), or need both cores of a small machine.
USUAL = ("ort1", "litert", "openvino", "ort-int8", "ort-plain", "ncnn")
_CPUINFO = Path("/proc/cpuinfo")


def column(name: str) -> DeviceProfile:
    """Return the profile of a column's target, by the column's name."""
    return replace(TARGETS[parts(name)[0]], name=name)


def parts(column: str) -> tuple[str, str]:
    """Return the target and the machine of a column."""
    target, _, machine = column.partition(".")
    return target, machine


def in_order(columns: Sequence[str]) -> list[str]:
    """Return columns by target in our order, then by machine."""
    order = list(TARGETS)
    return sorted(columns, key=lambda name: (order.index(parts(name)[0]), name))


def machine_name(cpuinfo: Path = _CPUINFO) -> str:
    """Return what this kind of machine is called: its processor, with family and model number, and its cores.

    A virtual machine often tells no more of its processor than `AMD EPYC`; the numbers tell the generations apart.
    """
    text = cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.exists() else ""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    name = found.get("model name") or platform.processor() or platform.machine()
    words = re.sub(r"\(r\)|\(tm\)|\bcpu\b|\bprocessor\b|@.*", " ", name.lower())
    numbers = [found[key] for key in ("cpu family", "model") if key in found]
    slug = "-".join([*re.findall(r"[a-z0-9]+", words), *numbers])
    return f"{slug}-{os.cpu_count()}c"
