"""The command `hwnas`: its nouns, its global options, and what an error becomes.

Exit codes: 0 done; 1 a bug of hwnas, with its traceback; 2 a `HwnasError` or a wrong command line, with a message and a
hint; 3 done in part, what failed says why; 130 stopped by Ctrl-C; 141 done, but who read the result left before its
end.
"""

from __future__ import annotations

import platform
import sys
import traceback
from pathlib import Path  # noqa: TC003 - typer reads the annotation when it runs
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

import hwnas
from hwnas.cli import (
    _device,
    _exchange,  # noqa: F401 - adds its commands to `measurements`
    _init,
    _measure,
    _measurements,
    _output,
    _phone,  # noqa: F401 - adds its commands to `device`
    _predictor,
    _report,
    _search,
    _streams,
)
from hwnas.cli._options import STOPPED, Settings
from hwnas.errors import ConfigError, HwnasError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Sequence

_WRONG = 2
_BUG = 1
#: The function of Typer's that writes help to stdout, past `_output`.
_HELP = "show_help"

app = typer.Typer(
    name="hwnas",
    help="Find neural networks that are accurate and fast on the hardware they will run on.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init")(_init.init)
app.add_typer(_device.app, name="device")
app.command("measure")(_measure.measure)
app.add_typer(_measurements.app, name="measurements")
app.add_typer(_predictor.app, name="predictor")
app.add_typer(_search.app, name="search")
app.command("report")(_report.report)


def _version(asked: bool) -> None:
    if asked:
        _streams.write_result(f"hwnas {hwnas.__version__} (Python {platform.python_version()})\n")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    workspace: Annotated[
        Path | None,
        typer.Option(
            "--workspace",
            "-w",
            metavar="FOLDER",
            help="The workspace to work in. Without it: HWNAS_WORKSPACE, else the nearest one at or above this folder.",
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback acts on it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and end.")
    ] = False,
) -> None:
    context.obj = Settings(workspace)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process with its exit code.

    Args:
        arguments: what follows `hwnas`; by default what the process was started with.
    """
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code; the module's docstring lists them."""
    _streams.prepare()
    code = _run(arguments)
    return _streams.PIPE_CLOSED if code == 0 and _streams.closed_early() else code


def _run(arguments: Sequence[str]) -> int:
    try:
        _check_text(arguments)
        code = app(args=list(arguments), prog_name="hwnas", standalone_mode=False)
    except StoppedError as error:
        if error.hint:
            _output.note(error.hint)
        return STOPPED
    except HwnasError as error:
        _output.fail(error.message, error.hint)
        return _WRONG
    except typer.TyperException as error:
        return _refuse(error)
    except (KeyboardInterrupt, typer.Abort):
        code = STOPPED
    except Exception as error:  # noqa: BLE001 - the last frame: the traceback is shown whole, nothing is swallowed
        if isinstance(error, OSError) and any(
            frame.name == _HELP for frame in traceback.extract_tb(error.__traceback__)
        ):
            return _unwritten(error)
        traceback.print_exc()
        _ask_for_report(arguments)
        return _BUG
    if code == STOPPED:
        _output.note("stopped")
    return code if isinstance(code, int) else 0


def _unwritten(error: OSError) -> int:
    """Return the exit code of help that could not be written."""
    try:
        _streams.unwritten(error)
    except HwnasError as told:
        _output.fail(told.message, told.hint)
        return _WRONG
    return 0


def _check_text(arguments: Sequence[str]) -> None:
    """Refuse what no file, store or page can hold: bytes that are no UTF-8, which Python carries as surrogates."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as exc:
            shown = argument.encode(errors="backslashreplace").decode()
            raise ConfigError(f"{shown}: not UTF-8 text", "give that file or thing another name") from exc


def _refuse(error: typer.TyperException) -> int:
    """Say in the house's form what is wrong with the command line; where it only stops short, show its help."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:
        _output.note(context.get_help())
        return _WRONG
    message = error.format_message()
    command = context.command_path if context is not None else "hwnas"
    _output.fail(message[:1].lower() + message[1:].rstrip("."), f"see {command} --help")
    return _WRONG


def _ask_for_report(arguments: Sequence[str]) -> None:
    _output.fail(
        "this is a bug in hwnas, not in what you did",
        "please report it with the traceback above and this line: "
        f"hwnas {hwnas.__version__}, Python {platform.python_version()}, {platform.platform()}, "
        f"command: hwnas {' '.join(arguments)}",
    )
