"""The main module of a child process: `python -P -m paraisite.processes.serve [MODULE …]`, the modules not to import."""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
import traceback
from typing import IO, Any

from paraisite.errors import ParaisiteError
from paraisite.processes.child import Failed, Finished


def serve(tasks: queue.SimpleQueue[bytes], output: IO[bytes]) -> None:
    """Do tasks as they come, the first of which is the service; what one raises is its last answer."""
    answers: Any = None
    while True:
        content = tasks.get()
        try:
            task = pickle.loads(content)  # noqa: S301 - written by our own parent
            if answers is None:
                answers = task()
                continue
            for answer in answers(task):
                _write(output, answer)
        except BrokenPipeError:
            return  # nobody waits for the answer
        except Exception as error:
            failed = Failed(_portable(error))
            if answers is None:
                answers = _Unable(failed.error)
                continue
            _write(output, failed)
        else:
            _write(output, Finished())


class _Unable:
    """What answers the tasks of a child that could not be made ready: the reason."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __call__(self, _: object) -> Any:
        raise self._error


def _write(output: IO[bytes], answer: object) -> None:
    # As bytes first: an answer that cannot be pickled must not leave half of itself in the pipe.
    output.write(pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL))
    output.flush()


def _portable(error: Exception) -> Exception:
    """The exception, if it is the same after the journey; else one of ours that quotes it."""
    if not isinstance(error, ParaisiteError | OSError):
        error.add_note("In a working process:\n" + "".join(traceback.format_exception(error)).rstrip())
    try:
        same = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
        if type(same) is type(error) and str(same) == str(error):
            return error
    except Exception:  # noqa: S110 - exceptions of other libraries may refuse in any way
        pass
    return ParaisiteError(f"A working process stopped with {type(error).__name__}: {error}")


def _receive(tasks: queue.SimpleQueue[bytes]) -> None:
    """Take tasks from the standard input at any time, and end this process when the parent is gone.

    A parent that was killed closes the pipe; the process ends at once, in the middle of its work, so that two never write one
    folder.
    """
    try:
        while True:
            tasks.put(pickle.load(sys.stdin.buffer))  # noqa: S301 - written by our own parent
    finally:
        os._exit(1)


def main() -> None:
    """Serve tasks until the parent ends."""
    # vesin imports PyTorch where it is installed, seconds and hundreds of megabytes that a reader has no use for.
    sys.modules.update(dict.fromkeys(sys.argv[1:], None))  # type: ignore[arg-type]
    # The standard output is for answers alone: whatever a library prints goes to the error stream.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    tasks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(tasks,), daemon=True).start()
    try:
        serve(tasks, output)
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(1)


if __name__ == "__main__":
    main()
