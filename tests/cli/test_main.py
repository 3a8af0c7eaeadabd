import os
import signal
import subprocess
import sys
import textwrap

import pytest

import hwnas as package
from hwnas.cli import _init, _main
from hwnas.errors import StoreError, WorkspaceError
from hwnas.workspace import Workspace


def python(code, *args, **options):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )
    return done.returncode, done.stdout, done.stderr


def test_version(hwnas):
    said = hwnas("--version")
    assert said.code == 0
    assert said.out.startswith(f"hwnas {package.__version__} ")
    assert said.err == ""


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_noun(hwnas, flag):
    said = hwnas(flag)
    assert said.code == 0
    for noun in ("init", "device", "measure", "measurements", "search"):
        assert f"\n  {noun} " in said.out


def test_help_of_a_command(hwnas):
    said = hwnas("device", "add", "-h")
    assert said.code == 0
    assert "--cpu-mask" in said.out


def test_nothing_said_is_help(hwnas):
    said = hwnas()
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("Usage: hwnas ")
    assert hwnas("device").err.startswith("Usage: hwnas device ")


def test_a_mistyped_command_is_recognised(refused):
    text = refused("serach")
    assert "no such command 'serach'" in text
    assert "search" in text
    assert "see hwnas --help" in text


def test_a_mistyped_verb_is_recognised(refused):
    text = refused("device", "lst")
    assert "'list'" in text
    assert "see hwnas device --help" in text


def test_an_unknown_option_is_named(refused):
    assert "--frobnicate" in refused("device", "list", "--frobnicate")


def test_a_missing_argument_is_named(refused):
    text = refused("device", "show")
    assert "NAME" in text
    assert "see hwnas device show --help" in text


def test_a_wrong_number_is_named(refused):
    text = refused("device", "add", "x", "--threads", "many")
    assert "--threads" in text
    assert "integer" in text


def test_an_argument_that_is_no_text_is_refused(hwnas, refused, network):
    """A file may be called so, but neither the store nor a page can hold that name."""
    hwnas("device", "add", "host")
    odd = network.rename(network.with_name("\udcff.onnx"))
    error, hint = refused("measure", "host", odd).splitlines()
    assert error == f"error: {network.parent}/\\udcff.onnx: not UTF-8 text"
    assert "another name" in hint


def test_an_error_is_a_message_and_a_hint(hwnas, monkeypatch):
    def broken(_root):
        raise StoreError("the disk is full", "make room")

    monkeypatch.setattr(Workspace, "create", broken)
    said = hwnas("init")
    assert (said.code, said.out, said.err) == (2, "", "error: the disk is full\n hint: make room\n")


def test_markup_in_a_message_is_text(hwnas, monkeypatch):
    def broken(_root):
        raise StoreError("[red]not markup[/red] [evaluation] [/x]")

    monkeypatch.setattr(Workspace, "create", broken)
    assert hwnas("init").err == "error: [red]not markup[/red] [evaluation] [/x]\n"


def test_a_bug_keeps_its_traceback_and_says_how_to_report_it(hwnas, monkeypatch):
    def broken(_root):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Workspace, "create", broken)
    said = hwnas("init", "x")
    assert said.code == 1
    assert "Traceback (most recent call last)" in said.err
    assert "ZeroDivisionError: a bug" in said.err
    last = said.err.splitlines()[-1]
    assert "report" in last
    assert package.__version__ in last
    assert "command: hwnas init x" in last


def test_ctrl_c_is_130(hwnas, monkeypatch):
    def interrupted(_root):
        raise KeyboardInterrupt

    monkeypatch.setattr(Workspace, "create", interrupted)
    said = hwnas("init")
    assert said.code == 130
    assert "stopped" in said.err
    assert "Traceback" not in said.err


def test_main_ends_the_process_with_the_code(monkeypatch):
    monkeypatch.setattr(_main, "run", lambda arguments: 2 if list(arguments) == ["x"] else 0)
    with pytest.raises(SystemExit) as ended:
        _main.main(["x"])
    assert ended.value.code == 2


def test_the_workspace_option_wins(hwnas, tmp_path):
    other = Workspace.create(tmp_path / "other")
    hwnas("-w", other.root, "device", "add", "elsewhere")
    assert (other.devices / "elsewhere.toml").exists()
    assert hwnas("device", "list", "--json").data == []


def test_a_folder_that_is_no_workspace_is_refused_even_inside_one(refused, workspace):
    inside = workspace.root / "inside"
    inside.mkdir()
    assert "is no workspace" in refused("--workspace", inside, "device", "list")


def test_no_workspace_says_how_to_make_one(refused, tmp_path, monkeypatch):
    monkeypatch.delenv("HWNAS_WORKSPACE")
    monkeypatch.chdir(tmp_path)
    assert "hwnas init" in refused("device", "list")


def test_python_dash_m_is_the_same_command():
    done = subprocess.run([sys.executable, "-m", "hwnas", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()[0]) == (0, "hwnas")


def test_a_reader_that_goes_away_is_no_bug(workspace):
    """`hwnas ... | head` must not end with a traceback."""
    code = """
        import os, sys
        from hwnas.cli import main
        read, write = os.pipe()
        os.close(read)
        os.dup2(write, 1)
        main(["device", "list", "--json"])
    """
    _, _, stderr = python(code, env={**os.environ, "HWNAS_WORKSPACE": str(workspace.root)})
    assert "Traceback" not in stderr
    assert "bug" not in stderr


def test_init_makes_a_workspace(hwnas, tmp_path):
    said = hwnas("init", tmp_path / "new")
    assert (said.code, said.out) == (0, "")
    assert Workspace.find(tmp_path / "new").root == tmp_path / "new"
    assert "device add" in said.err


def test_init_as_json(hwnas, tmp_path):
    said = hwnas("init", tmp_path / "new", "--json")
    assert said.data == {"workspace": str(tmp_path / "new")}
    assert said.err == ""


def test_init_here(hwnas, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hwnas("init").code == 0
    assert (tmp_path / "devices").is_dir()


def test_init_where_a_file_is_in_the_way(refused, tmp_path):
    (tmp_path / "devices").write_text("x")
    assert "cannot make a workspace" in refused("init", tmp_path)
    assert issubclass(WorkspaceError, Exception)


def test_colour_only_where_it_is_wanted(workspace):
    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    code = "from hwnas.cli import main; main(['device', 'show', 'x'])"
    named = {**environment, "HWNAS_WORKSPACE": str(workspace.root)}
    assert "\x1b[" not in python(code, env=named)[2]
    assert "\x1b[" in python(code, env={**named, "FORCE_COLOR": "1"})[2]
    assert "\x1b[3" not in python(code, env={**named, "FORCE_COLOR": "1", "NO_COLOR": "1"})[2]


def test_sigint_during_a_quick_command_has_no_traceback(workspace):
    code = """
        import os, signal, sys
        from hwnas.cli import _init, main
        from hwnas.workspace import Workspace
        Workspace.create = lambda root: os.kill(os.getpid(), signal.SIGINT)
        main(["init"])
    """
    returncode, _, stderr = python(code)
    assert returncode == 128 + signal.SIGINT
    assert "Traceback" not in stderr
    assert callable(_init.init)
