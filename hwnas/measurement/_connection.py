"""What a call holds while it measures: the connection to the device, and its turn on the machine."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from hwnas._deadline import Deadline
from hwnas.device import Device, DeviceProfile, transport_kind
from hwnas.locks import MachineTurns

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


def turns_on(
    device: Device,
    turns: MachineTurns | None,
    *,
    on_wait: Callable[[str], None],
    cancelled: threading.Event | None = None,
) -> Callable[[], AbstractContextManager[None]]:
    """Return what gives a measurement's turn on this machine, or none where the device does not share it."""
    if not device.shares_this_machine:
        return contextlib.nullcontext
    held = turns or MachineTurns()
    return lambda: held.measuring(on_wait=on_wait, cancelled=cancelled)


@contextlib.contextmanager
def connected(device: Device | DeviceProfile, deadline: Deadline) -> Iterator[Device]:
    """Connect a profile's device for the block; a device that is connected already stays so.

    Raises:
        DeviceError: it cannot be reached, or its runtime cannot be used.
    """
    if isinstance(device, Device):
        yield device
        return
    limit_s = transport_kind(device.transport).connect_s(device)
    with Device.open(device, deadline=Deadline.after(deadline.remaining_s(limit_s))) as opened:
        yield opened
