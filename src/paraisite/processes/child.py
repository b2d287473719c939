"""Child processes that work for this one: pickled messages in on their standard input, out on their standard output.

Processes of their own rather than `multiprocessing`: they start without running the user's script again. A child ends when
its standard input does, that is, with its parent, however that one dies.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from contextlib import suppress
from typing import IO, Any, Self

from paraisite.errors import ParaisiteError


class ChildDiedError(ParaisiteError):
    """A child process ended before it answered."""

    code = "process_died"


class Child:
    """A Python process that runs a module."""

    def __init__(self, module: str) -> None:
        """Start the process, with one thread for numerical libraries: children share the cores by being several."""
        path = os.pathsep.join(path for path in sys.path if path)
        # spglib would write lines of its own for each crystal that it gives up on.
        environment = {"SPGLIB_WARNING": "OFF", **os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
        command = [sys.executable, "-m", module]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)  # noqa: S603

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
        """End the child at once; asking it for an answer then tells that it died."""
        self._process.kill()

    def close(self) -> None:
        """End the child and close its pipes."""
        self.kill()
        with suppress(BrokenPipeError), self._process:  # what it never read is still in the pipe
            pass

    def send(self, content: object) -> None:
        """Send a message; a child that died is reported where its answer is missed."""
        try:
            _write(self._process.stdin, content)
        except BrokenPipeError:
            return

    def receive(self) -> Any:
        """Wait for the next message.

        Raises:
            ChildDiedError: The child ended instead, for example killed for want of memory.
        """
        assert self._process.stdout is not None  # noqa: S101 - opened with PIPE
        try:
            return pickle.load(self._process.stdout)  # noqa: S301 - written by our own child
        except (EOFError, pickle.UnpicklingError) as error:
            raise ChildDiedError(
                f"A working process ended unexpectedly (exit status {self._process.wait()}), perhaps for want of memory; try "
                "again with fewer processes."
            ) from error


class Parent:
    """The other end, inside the child."""

    def __init__(self) -> None:
        """Keep the output for messages alone: whatever a library prints goes to the error stream."""
        self._output = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)

    def receive(self) -> Any:
        """Wait for the next message.

        Raises:
            EOFError: The parent has no more to say, or is gone.
        """
        return pickle.load(sys.stdin.buffer)  # noqa: S301 - written by our own parent

    def send(self, content: object) -> None:
        """Send a message."""
        _write(self._output, content)


def _write(pipe: IO[bytes] | None, content: object) -> None:
    assert pipe is not None  # noqa: S101 - opened with PIPE
    pickle.dump(content, pipe, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.flush()
