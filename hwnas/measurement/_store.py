"""The traces of a workspace, in its store."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import sqlalchemy as sa

from hwnas._toml import closest
from hwnas.errors import MeasurementError
from hwnas.measurement._measurement import Verdict
from hwnas.measurement._records import measurement_from_row, trace_from_row, trace_row
from hwnas.measurement._summary import summarize
from hwnas.store.schema import trace as table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from hwnas.measurement._measurement import Measurement
    from hwnas.measurement._trace import LatencyTrace
    from hwnas.store import Store

_SERIES = frozenset({"samples_ns", "cpu_ns", "involuntary_switches", "reference_ns", "warmup_ns"})
#: The columns without the series.
LIGHT = [column for column in table.c if column.name not in _SERIES]
_AT_ONCE = 500  # fewer than SQLite allows as parameters of one query


class MeasurementStore:
    """Adds and finds traces; each is written in one transaction, whole or not at all.

    Threads and processes may share it, as they may share the `Store` below.
    """

    def __init__(self, store: Store) -> None:
        """Use the tables of `store`."""
        self._store = store

    def add(self, trace: LatencyTrace) -> Measurement:
        """Store a trace; returns its measurement, which bears the id of its row.

        Raises:
            StoreError: the database refused.
        """
        measurement = summarize(trace)
        with self._store.begin() as connection:
            done = connection.execute(sa.insert(table).values(trace_row(trace, measurement)))
        key = done.inserted_primary_key
        return dataclasses.replace(measurement, id=int(key[0]) if key else None)

    def get(self, id: int) -> Measurement:  # noqa: A002  # the row's id
        """Return one measurement by its id.

        Raises:
            MeasurementError: there is none.
        """
        found = _light(self._store, table.c.id == id)
        if not found:
            raise _unknown(id)
        return found[0]

    def trace(self, id: int) -> LatencyTrace:  # noqa: A002  # the row's id
        """Return one whole trace, every sample, by its id.

        Raises:
            MeasurementError: there is none.
        """
        return _whole(self._store, id)

    def find(self, network_hashes: Iterable[str], *, device_hash: str, protocol_hash: str) -> dict[str, Measurement]:
        """Return the newest measurement of each network, by the network's hash; those never measured are not in it.

        Args:
            network_hashes: which networks.
            device_hash: measured on exactly this device; see `hwnas.device.Device.hash`.
            protocol_hash: and by exactly this protocol.
        """
        wanted = sorted(set(network_hashes))
        found: dict[str, Measurement] = {}
        for start in range(0, len(wanted), _AT_ONCE):
            for measurement in _light(
                self._store,
                table.c.network_hash.in_(wanted[start : start + _AT_ONCE]),
                table.c.device_hash == device_hash,
                table.c.protocol_hash == protocol_hash,
            ):
                found[measurement.network_hash] = measurement  # in the order of their ids: the newest stays
        return found

    def list(
        self,
        *,
        device: str | None = None,
        network_hash: str | None = None,
        space: str | None = None,
        architecture_id: str | None = None,
        network: str | None = None,
        verdicts: Collection[str] = (),
        newest: int | None = None,
    ) -> list[Measurement]:
        """Return measurements, oldest first.

        Args:
            device: of the device of this name.
            network_hash: of this network.
            space: of architectures of this space.
            architecture_id: of this architecture.
            network: of the network of this name, or whose hash begins so (8 digits at least).
            verdicts: with one of these; whatever the verdict where there is none.
            newest: this many at most, the newest ones.
        """
        wanted = {
            table.c.device: device,
            table.c.network_hash: network_hash,
            table.c.space: space,
            table.c.architecture_id: architecture_id,
        }
        given = [column == value for column, value in wanted.items() if value is not None]
        return _light(self._store, *given, *chosen(network=network, verdicts=verdicts), newest=newest)

    def remove(self, id: int) -> None:  # noqa: A002  # the row's id
        """Remove one measurement and its trace; trials that rest on it keep their figures.

        Raises:
            MeasurementError: there is none.
        """
        with self._store.begin() as connection:
            if connection.execute(sa.delete(table).where(table.c.id == id)).rowcount == 0:
                raise _unknown(id)


def chosen(
    *,
    device: str | None = None,
    space: str | None = None,
    network: str | None = None,
    verdicts: Collection[str] = (),
) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that pick traces; see `MeasurementStore.list`.

    Raises:
        MeasurementError: a verdict is none.
    """
    unknown = sorted(set(verdicts) - set(Verdict))
    if unknown:
        raise MeasurementError(f"no verdict {unknown[0]!r}{closest(unknown[0], Verdict)}", "name one of these")
    found = [column == value for column, value in ((table.c.device, device), (table.c.space, space)) if value]
    if network is not None:
        named = table.c.network_name == network
        by_hash = re.fullmatch(r"[0-9a-f]{8,64}", network)
        found.append(sa.or_(named, table.c.network_hash.startswith(network)) if by_hash else named)
    if verdicts:
        found.append(table.c.verdict.in_(sorted(verdicts)))
    return found


def _light(store: Store, *where: sa.ColumnElement[bool], newest: int | None = None) -> list[Measurement]:
    """Return measurements by the order of their ids; only what an older estimator derived is derived again."""
    query = sa.select(*LIGHT).where(*where).order_by(table.c.id.desc())
    if newest is not None:
        query = query.limit(newest)
    with store.read() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    known = [(row["id"], measurement_from_row(row)) for row in reversed(rows)]
    return [found or summarize(_whole(store, number), id=number) for number, found in known]


def _whole(store: Store, number: int) -> LatencyTrace:
    with store.read() as connection:
        row = connection.execute(sa.select(table).where(table.c.id == number)).mappings().one_or_none()
    if row is None:
        raise _unknown(number)
    return trace_from_row(dict(row))


def _unknown(id: int) -> MeasurementError:  # noqa: A002  # the row's id
    return MeasurementError(f"there is no measurement {id}", "see `hwnas measurements list`")
