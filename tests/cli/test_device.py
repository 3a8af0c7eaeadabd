import tomllib

import pytest

from hwnas.cli._device import assignments, cpu_list
from hwnas.errors import ConfigError


def test_add_writes_the_profile(hwnas, workspace):
    said = hwnas("device", "add", "host", "--transport", "host", "--runtime", "onnxruntime", "--threads", "1")
    assert (said.code, said.out) == (0, "")
    written = tomllib.loads((workspace.devices / "host.toml").read_text())
    assert (written["transport"], written["runtime"], written["threads"]) == ("host", "onnxruntime", 1)
    assert "hwnas device check host" in said.err


def test_every_option_reaches_the_profile(hwnas):
    said = hwnas(
        *("device", "add", "fast", "--threads", "2", "--cpus", "0-1", "--batch", "4", "--notes", "mine", "--json"),
        *("--option", "graph_optimization=none", "--option", "spinning=false", "--protocol", "samples=4000"),
    )
    assert said.data["threads"] == 2
    assert said.data["cpus"] == [0, 1]
    assert said.data["batch"] == 4
    assert said.data["options"] == {"graph_optimization": "none", "spinning": False}
    assert said.data["protocol"] == {"samples": 4000}
    assert said.data["notes"] == "mine"
    assert hwnas("device", "show", "fast", "--json").data.items() >= {
        (key, value) for key, value in said.data.items() if isinstance(value, (int, str)) and key != "path"
    }


def test_a_mask_is_a_list_of_processors(hwnas):
    assert hwnas("device", "add", "big", "--cpu-mask", "f0", "--json").data["cpus"] == [4, 5, 6, 7]


def test_both_a_mask_and_a_list_is_refused(refused):
    assert "--cpu-mask" in refused("device", "add", "x", "--cpus", "0", "--cpu-mask", "1")


def test_a_second_device_of_one_name_is_refused_unless_replaced(hwnas, refused):
    hwnas("device", "add", "host")
    assert "already" in refused("device", "add", "host", "--threads", "2")
    assert hwnas("device", "add", "host", "--threads", "2", "--replace").code == 0
    assert hwnas("device", "show", "host", "--json").data["threads"] == 2


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--transport", "hots"], "did you mean 'host'?"),
        (["--runtime", "onnxruntme"], "did you mean 'onnxruntime'?"),
        (["--threads", "0"], "threads"),
        (["--cpus", "1-"], "--cpus"),
        (["--cpus", "3-1"], "--cpus"),
        (["--cpu-mask", "xyz"], "xyz"),
        (["--option", "graph_optimisation=none"], "graph_optimization"),
        (["--option", "spinning"], "--option 'spinning'"),
        (["--option", "spinning=true", "--option", "spinning=false"], "twice"),
        (["--protocol", "smaples=4000"], "did you mean 'samples'?"),
        (["--protocol", "samples=0"], "samples is 0"),
    ],
)
def test_a_wrong_option_is_named_and_nothing_is_written(refused, workspace, options, named):
    assert named in refused("device", "add", "x", *options)
    assert list(workspace.devices.glob("*.toml")) == []


def test_a_name_that_is_a_path_is_refused(refused, workspace):
    assert "not a name" in refused("device", "add", "../x")
    assert not (workspace.root / "x.toml").exists()


def test_list(hwnas):
    assert "device add" in hwnas("device", "list").err
    hwnas("device", "add", "b", "--threads", "2")
    hwnas("device", "add", "a", "--option", "graph_optimization=none")
    said = hwnas("device", "list")
    assert [line.split()[0] for line in said.out.splitlines()[2:]] == ["a", "b"]
    assert "graph_optimization=none" in said.out
    assert [profile["name"] for profile in hwnas("device", "list", "--json").data] == ["a", "b"]


def test_show(hwnas):
    hwnas("device", "add", "host", "--cpus", "0,1")
    out = hwnas("device", "show", "host").out
    assert "onnxruntime" in out
    assert "0, 1" in out


def test_a_device_that_is_not_there(refused):
    assert "no device 'hots'" in refused("device", "show", "hots")


def test_a_device_that_is_nearly_there(hwnas, refused):
    hwnas("device", "add", "host")
    assert "did you mean 'host'?" in refused("device", "show", "hots")


def test_remove(hwnas, refused):
    hwnas("device", "add", "host")
    assert hwnas("device", "remove", "host", "--json").data == {"removed": "host"}
    assert "no device" in refused("device", "remove", "host")


def test_a_profile_with_a_wrong_key_names_file_and_key(refused, workspace):
    (workspace.devices / "bad.toml").write_text('name = "bad"\nthreds = 1\n')
    text = refused("device", "show", "bad")
    assert "bad.toml" in text
    assert "threds" in text
    assert "did you mean 'threads'?" in text


def test_assignments_are_toml_scalars_where_they_can_be():
    words = ["a=1", "b=1.5", "c=true", "d=fast=yes", "e="]
    assert assignments("--option", words) == {"a": 1, "b": 1.5, "c": True, "d": "fast=yes", "e": ""}
    assert assignments("--option", None) == {}


@pytest.mark.parametrize(("text", "cpus"), [("0", (0,)), ("0,2", (0, 2)), ("4-7, 1", (4, 5, 6, 7, 1)), (None, None)])
def test_cpu_list(text, cpus):
    assert cpu_list(text) == cpus


@pytest.mark.parametrize("text", ["", "a", "1,,2", "-1", "1-", "99999999999"])
def test_no_cpu_list(text):
    with pytest.raises(ConfigError, match="--cpus"):
        cpu_list(text)
