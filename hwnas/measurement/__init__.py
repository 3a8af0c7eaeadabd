"""How long it takes: the protocol, the traces, p99 with its interval, and the store of them."""

from hwnas.measurement._card import card_path, describe_file, write_card, write_json
from hwnas.measurement._check import DeviceCheck, check_device
from hwnas.measurement._events import (
    BlockMeasured,
    CampaignStarted,
    MeasurementEvent,
    NetworkFailed,
    NetworkMeasured,
    Waiting,
)
from hwnas.measurement._exchange import record_sigma_log
from hwnas.measurement._exchange_file import header_of, holds_measurements, read_records, write_records
from hwnas.measurement._measure import measure
from hwnas.measurement._measurement import Estimate, Measurement, MeasurementFailure, Verdict
from hwnas.measurement._protocol import MeasurementProtocol
from hwnas.measurement._stability import StabilityReport, check_stability
from hwnas.measurement._store import MeasurementStore
from hwnas.measurement._summary import estimate, summarize
from hwnas.measurement._trace import LatencyTrace, MeasuredNetwork, TraceBlock
from hwnas.measurement._transfer import Imported, export_measurements, import_measurements, measurement_records

__all__ = [
    "BlockMeasured",
    "CampaignStarted",
    "DeviceCheck",
    "Estimate",
    "Imported",
    "LatencyTrace",
    "MeasuredNetwork",
    "Measurement",
    "MeasurementEvent",
    "MeasurementFailure",
    "MeasurementProtocol",
    "MeasurementStore",
    "NetworkFailed",
    "NetworkMeasured",
    "StabilityReport",
    "TraceBlock",
    "Verdict",
    "Waiting",
    "card_path",
    "check_device",
    "check_stability",
    "describe_file",
    "estimate",
    "export_measurements",
    "header_of",
    "holds_measurements",
    "import_measurements",
    "measure",
    "measurement_records",
    "read_records",
    "record_sigma_log",
    "summarize",
    "write_card",
    "write_json",
    "write_records",
]
