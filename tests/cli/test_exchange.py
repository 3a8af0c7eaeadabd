import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import hwnas as package
from hwnas.measurement._columns import COLUMNS, SERIES
from hwnas.predictor import LatencyTable
from hwnas.space import Architecture

PAGE = (Path(package.__file__).parent.parent / "docs" / "measurements.md").read_text(encoding="utf-8")
TABLE = "architecture,macs,note,latency_ms.pi,latency_ms.phone\na,10,x,1.5,2\nb,20,y,,3\n"
QUICK = ["--samples", "50", "--protocol", "processes=1", "--protocol", "reference=0", "--protocol", "warmup_s=0.05"]


def test_the_page_describes_every_column():
    rows = re.findall(r"(?m)^\| (`[^|]+) \|", PAGE.partition("## Measurements in files")[2])
    described = [name for row in rows for name in re.findall(r"`([a-z0-9_]+)`", row)]
    assert sorted(described) == sorted(column.name for column in COLUMNS + SERIES)


def test_measurements_go_out_and_come_in(hwnas, tmp_path):
    hwnas("device", "add", "host")
    hwnas("measure", "host", "--space", "digits", "--count", "2", *QUICK)
    listed = hwnas("measurements", "list", "--json").data
    assert len(listed) == 2
    path = tmp_path / "digits.parquet"
    said = hwnas("measurements", "export", path, "--space", "digits", "--samples", "--card", "--notes", "mine")
    assert said.code == 0
    assert f"2 measurements in {path}, card in {tmp_path / 'digits.json'}" in said.err
    card = json.loads((tmp_path / "digits.json").read_text())
    assert (card["measurements"], card["notes"], card["spaces"]) == (2, "mine", {"digits": 2})
    assert hwnas(
        "measurements", "export", tmp_path / "some.csv", "--network", listed[0]["network_name"], "--json"
    ).data == {
        "file": str(tmp_path / "some.csv"),
        "card": None,
        "measurements": 1,
    }
    counts = {"new": 0, "known": 2, "completed": 0, "foreign": 0, "left_out": []}
    assert hwnas("measurements", "import", path, "--json").data == {"kind": "measurements", "file": str(path), **counts}

    other = tmp_path / "other"
    hwnas("init", other)
    said = hwnas("-w", other, "measurements", "import", tmp_path / "some.csv")
    assert "1 new, 0 known already, 1 measured elsewhere" in said.err
    assert "host (imported)" in hwnas("-w", other, "measurements", "list").out
    shown = hwnas("-w", other, "measurements", "show", "1")
    assert "measured for the store" in shown.out
    assert "protocol" in shown.out
    (found,) = hwnas("-w", other, "measurements", "list", "--json").data
    assert found == listed[0] | {"id": 1, "imported_from": pq.read_table(path)["store"][0].as_py()}

    table = LatencyTable.read(path)
    assert table.devices == ("host",)
    assert all(isinstance(item, Architecture) and item.space == "digits" for item in table.architectures)
    assert {item.id for item in table.architectures} == {item["architecture_id"] for item in listed}


def test_a_table_of_others_comes_in_with_a_card(hwnas, workspace, tmp_path):
    source = tmp_path / "theirs.csv"
    source.write_text(TABLE)
    said = hwnas("measurements", "import", source, "--space", "toys", "--notes", "by mail")
    assert said.code == 0
    assert "2 architectures on 2 devices" in said.err
    assert "1 cell without a latency" in said.err
    assert "columns left out: note" in said.err
    card = json.loads((workspace.measurements / "theirs.json").read_text())
    assert card["devices"] == {"pi": 1, "phone": 2}
    assert (card["space"], card["notes"], card["source"]["file"]) == ("toys", "by mail", "theirs.csv")
    kept, first = LatencyTable.read(workspace.measurements / "theirs.parquet"), LatencyTable.read(source)
    assert (kept.architectures, kept.devices, list(kept.facts)) == (first.architectures, first.devices, ["macs"])
    assert hwnas("measurements", "import", source, "--json").data["unchanged"] is True
    assert hwnas("measurements", "list", "--json").data == []


def test_another_table_of_that_name_wants_a_word(hwnas, refused, workspace, tmp_path):
    source = tmp_path / "theirs.csv"
    source.write_text(TABLE)
    hwnas("measurements", "import", source)
    source.write_text(TABLE.replace("1.5", "1.6"))
    assert "there is another table 'theirs'" in refused("measurements", "import", source)
    assert hwnas("measurements", "import", source, "--name", "new").code == 0
    assert hwnas("measurements", "import", source, "--replace").code == 0
    assert LatencyTable.read(workspace.measurements / "theirs.parquet").latencies_ms[0, 0] == 1.6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TABLE.replace("1.5", "0"), "line 2, latency_ms.pi: 0 ms is not a positive number"),
        (TABLE.replace("1.5", "fast"), "line 2, latency_ms.pi: 'fast' is not a number"),
        (TABLE.replace("b,20", "a,20"), "architecture 'a' is in the table more than once"),
        (TABLE.replace("latency_ms.", "ms_"), "no column of latencies"),
        (TABLE.replace("b,20", ",20"), "line 3 names no architecture"),
        ("a,b\n", "no rows"),
        ("", "no rows"),
    ],
)
def test_a_wrong_table_is_one_error(refused, tmp_path, text, words):
    (tmp_path / "bad.csv").write_text(text)
    assert words in refused("measurements", "import", tmp_path / "bad.csv")


def test_what_cannot_be_done_is_one_error(refused, tmp_path):
    assert "no such file" in refused("measurements", "import", tmp_path / "none.csv")
    assert "what kind of file is that" in refused("measurements", "import", tmp_path / "x.json")
    assert "nothing to export" in refused("measurements", "export", tmp_path / "x.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and then nothing")
    assert "cannot be read" in refused("measurements", "import", tmp_path / "bad.parquet")
    (tmp_path / "odd name.csv").write_text(TABLE)
    assert "cannot be a table's name" in refused("measurements", "import", tmp_path / "odd name.csv")
    assert "no verdict 'fine'" in refused("measurements", "list", "--verdict", "fine")


def test_a_median_is_taken_on_request(hwnas, workspace, tmp_path):
    (tmp_path / "twice.csv").write_text("architecture,latency_ms.x\na,1\na,3\nb,5\n")
    assert hwnas("measurements", "import", tmp_path / "twice.csv", "--duplicates", "median").code == 0
    assert LatencyTable.read(workspace.measurements / "twice.parquet").latencies_ms.tolist() == [[2], [5]]


def test_the_python_of_the_page_runs(hwnas, tmp_path, monkeypatch):
    hwnas("device", "add", "host")
    hwnas("measure", "host", "--space", "digits", "--count", "1", *QUICK)
    (tmp_path / "measurements").mkdir()
    monkeypatch.chdir(tmp_path)
    for folder in (".", "measurements"):
        assert hwnas("measurements", "export", f"{folder}/digits.parquet").code == 0
    names = {}
    for block in re.findall(r"(?ms)^```python\n(.*?)^```", PAGE):
        exec(compile(block, "measurements.md", "exec"), names)  # noqa: S102  the page of this repository
    assert names["columns"][0] == "device"
    assert names["table"].latencies_ms.shape == (1, 1)


def test_the_costs_of_the_page_are_objectives():
    import tomllib

    from hwnas.search._config import ObjectiveSettings

    (text,) = [block for block in re.findall(r"(?ms)^```toml\n(.*?)^```", PAGE) if "objectives" in block]
    memory, params = [ObjectiveSettings(**item).objective() for item in tomllib.loads(text)["objectives"]]
    assert (memory.source, memory.device, memory.limit, memory.optimize) == ("device", "pi", 60.0, False)
    assert (params.source, params.direction, params.limit) == ("network", "minimize", 500000)
    rows = re.findall(r"(?m)^\| (`[^|]+) \|", PAGE.partition("## Measurements in files")[0])
    from hwnas.measurement._measurement import COSTS

    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(COSTS) - {"peak_memory_bytes"}
