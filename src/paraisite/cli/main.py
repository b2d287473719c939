"""The command line: `paraisite COMMAND`. It parses, calls the library, and shows the result."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from paraisite.cli import commands
from paraisite.cli.output import say, set_up_streams
from paraisite.errors import ParaisiteError
from paraisite.version import __version__

EXIT_CODES = """Exit codes: 0 all good, 1 an error that stopped the command, 2 wrong usage, 3 some structures failed (each
has its reason in the table), 130 interrupted."""

app = typer.Typer(
    name="paraisite",
    help="Predict the lattice thermal conductivity κ of crystals at 300 K from their structure.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"paraisite {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Predict the lattice thermal conductivity κ of crystals at 300 K from their structure."""


commands.register(app)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Arguments without the program's name; without them, those of the process.

    Returns:
        The exit code; the process also exits with it when called as a program.
    """
    set_up_streams()
    given = sys.argv[1:] if arguments is None else arguments
    code = _run(given)
    if arguments is None:
        sys.exit(code)
    return code


def _run(arguments: list[str]) -> int:
    """Run a command and turn its end into an exit code."""
    # --debug is taken anywhere on the line, since an error is met after the command was typed.
    debug = "--debug" in arguments
    try:
        result = app(args=[item for item in arguments if item != "--debug"], standalone_mode=False)
    except typer.Exit as leave:
        return leave.exit_code
    except (KeyboardInterrupt, typer.Abort):
        say("Interrupted; the same command goes on where it stopped (a scan with --resume).")
        return 130
    except Exception as error:
        if debug:
            raise
        return _explain(error)
    return result if isinstance(result, int) else 0


def _explain(error: Exception) -> int:
    """Say in one sentence what went wrong; the exit code."""
    show = getattr(error, "show", None)
    if show is not None:  # wrong usage, as typer words it
        show()
        return int(getattr(error, "exit_code", 2))
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        say(f"Error: {error.filename}: {error.strerror}.")
    elif isinstance(error, ParaisiteError | OSError):
        say(f"Error: {error}")
    else:
        say(f"Unexpected {type(error).__name__}: {error} (run again with --debug for the traceback).")
    return 1


if __name__ == "__main__":
    main()
