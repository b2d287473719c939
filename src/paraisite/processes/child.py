"""A child process that works for this one: tasks go in through its standard input, answers come out of its standard output.

Own code rather than loky or `concurrent.futures`: docs/decisions/processes.md says what was measured.
"""

from __future__ import annotations

import os
import pickle
import site
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import paraisite
from paraisite.errors import ParaisiteError

Service = Callable[[], Callable[[Any], Iterable[Any]]]
"""What a child does: called once in the child, it returns the function that gives the answers to one task."""


class ChildDiedError(ParaisiteError):
    """A child process ended before it answered."""

    code = "process_died"


@dataclass(frozen=True, slots=True)
class Failed:
    """The message that a task ended with an exception.

    Attributes:
        error: The exception itself.
    """

    error: Exception


class Finished:
    """The message that a task has no more answers."""


class Child:
    """A Python process that does tasks, one after the other, and ends with this process, however this one dies."""

    def __init__(self, service: Service, *, without: Sequence[str] = (), log: Path | None = None) -> None:
        """Start the process, with one thread for numerical libraries: children share the cores by being several.

        Args:
            service: What it does; must be importable by name there, as by `pickle`.
            without: Modules that it must not import; importing them fails there as if they were not installed.
            log: File that what it prints is appended to; without it, the error stream of this process.
        """
        # `-P`: a file such as `queue.py` in the current folder must not be imported in place of the library's module.
        command = [sys.executable, "-P", "-m", "paraisite.processes.serve", *without]
        with open(log or os.devnull, "ab") as opened:  # noqa: PTH123 - a path or a name
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our own arguments
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=opened if log else None,
                env=child_environment(),
            )
        self.send(service)

    def __enter__(self) -> Self:
        """Use the child in a `with` block, which ends it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the child, also in the middle of its work."""
        self.close()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def kill(self) -> None:
        """End the child at once; waiting for an answer then raises `ChildDiedError`."""
        self._process.kill()

    def close(self) -> None:
        """End the child and close its pipes."""
        self.kill()
        with suppress(BrokenPipeError), self._process:  # what it never read is still in the pipe
            pass

    def send(self, task: object) -> None:
        """Give the child a task to do after those that it has; that it died is reported where its answers are missed.

        The child reads its standard input at any time, also while it works, so this never waits for a task to end.
        """
        assert self._process.stdin is not None  # noqa: S101 - opened with PIPE
        with suppress(BrokenPipeError):
            # As bytes: the child's reading thread must not import the modules that the task is made of.
            pickle.dump(pickle.dumps(task, protocol=pickle.HIGHEST_PROTOCOL), self._process.stdin)
            self._process.stdin.flush()

    def answers(self) -> Iterator[Any]:
        """Answers to the oldest task that was sent and whose answers were not yet taken; all must be taken.

        Raises:
            ChildDiedError: The child ended before the last answer, for example killed for want of memory.
            Exception: What the task raised, as it was raised in the child.
        """
        while True:
            answer = self._receive()
            if isinstance(answer, Finished):
                return
            if isinstance(answer, Failed):
                raise answer.error
            yield answer

    def _receive(self) -> Any:
        assert self._process.stdout is not None  # noqa: S101 - opened with PIPE
        try:
            return pickle.load(self._process.stdout)  # noqa: S301 - written by our own child
        except (EOFError, pickle.UnpicklingError, ValueError) as error:
            raise ChildDiedError(
                f"A working process ended unexpectedly ({how_it_ended(self._process.wait())}), perhaps for want of memory; "
                "try again with fewer processes."
            ) from error


def how_it_ended(status: int) -> str:
    """The exit status of a process in words."""
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def child_environment() -> dict[str, str]:
    """Environment of a child: what this process imports from, without the current folder and that of the user's script."""
    return {
        # spglib would write lines of its own for each crystal that it gives up on.
        "SPGLIB_WARNING": "OFF",
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join(import_path()),
    }


def import_path() -> list[str]:
    """Folders that this process imports from and that hold libraries, not the user's data.

    Python puts the current folder or the folder of the script first, where a data set may have brought a `gemmi.py`. A folder
    that `PYTHONPATH` names stays, since the user chose it; an empty part of `PYTHONPATH` means the current folder, and goes.
    """
    package = str(Path(paraisite.__file__).parents[1])
    named = {os.path.abspath(part) for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part}  # noqa: PTH100
    kept = {package, *named, *site.getsitepackages(), *sysconfig.get_paths().values()}
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    refused = {os.path.realpath(os.curdir)} | ({os.path.realpath(Path(script).parent)} if script else set())
    found = [path for path in sys.path if path and (path in kept or os.path.realpath(path) not in refused)]
    return found if package in found else [*found, package]
