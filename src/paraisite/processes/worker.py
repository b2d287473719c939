"""A worker: a child process that is replaced when it dies, and whose unfinished tasks are done again."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Self

from paraisite.processes.child import Child, ChildDiedError

ATTEMPTS = 2
"""Times that a task may end the process that does it; once can be an accident, such as a signal from outside."""


class TaskCrashedError(ChildDiedError):
    """A task ended its process each time that it was tried.

    Attributes:
        task: The task.
        n_done: Items that the answers stand for which were taken before.
    """

    def __init__(self, message: str, task: Any = None, n_done: int = 0) -> None:
        """Keep the task."""
        super().__init__(message)
        self.task, self.n_done = task, n_done


def one_item(_: object) -> int:
    """Size of an answer that stands for one item."""
    return 1


class Worker:
    """A child process and the tasks that it was given."""

    def __init__(self, start: Callable[[], Child], size_of: Callable[[Any], int] = one_item) -> None:
        """Start the first child.

        Args:
            start: Starts a child.
            size_of: Items that an answer stands for.
        """
        self._start, self.size_of = start, size_of
        self._child = start()
        self._tasks: deque[Any] = deque()
        self._n_sent = 0
        self._closing = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        """Use the worker in a `with` block, which ends it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the child, also in the middle of its work."""
        self.close()

    @property
    def pid(self) -> int:
        """Number of the present process."""
        return self._child.pid

    def close(self) -> None:
        """End the child, also in the middle of its work; it is not replaced."""
        with self._closing:
            self._closed = True
            self._child.close()

    def submit(self, task: Any) -> None:
        """Give the worker one more task; see `Child.send`."""
        self._tasks.append(task)
        self._send_tasks()

    def answers(self) -> Iterator[Any]:
        """Answers to the oldest task; one whose process dies is done once more, without the answers that were taken.

        Raises:
            TaskCrashedError: The process died as often as is allowed; `attempt` can do the task in another way.
            Exception: What the task raised.
        """
        task, n_taken, n_done = self._tasks[0], 0, 0
        for attempt in range(1, ATTEMPTS + 1):
            self._send_tasks()
            try:
                for number, answer in enumerate(self._child.answers(), 1):
                    if number > n_taken:
                        n_taken, n_done = number, n_done + self.size_of(answer)
                        yield answer
            except ChildDiedError as error:
                self._replace()
                if attempt == ATTEMPTS:
                    self._tasks.popleft()
                    raise TaskCrashedError(str(error), task, n_done) from error
            except Exception:
                self._finish()
                raise
            else:
                self._finish()
                return

    def attempt(self, task: Any) -> Iterator[Any]:
        """Answers to a task that is done at once, before those that wait; only after `answers` raised `TaskCrashedError`.

        Raises:
            ChildDiedError: The process died, and was replaced.
            Exception: What the task raised.
        """
        self._child.send(task)
        try:
            yield from self._child.answers()
        except ChildDiedError:
            self._replace()
            raise

    def _send_tasks(self) -> None:
        """Send the tasks that the present child does not have."""
        for task in islice(self._tasks, self._n_sent, None):
            self._child.send(task)
        self._n_sent = len(self._tasks)

    def _finish(self) -> None:
        self._tasks.popleft()
        self._n_sent -= 1

    def _replace(self) -> None:
        with self._closing:
            if self._closed:
                raise ChildDiedError("The work was stopped.")
            self._child.close()
            self._child, self._n_sent = self._start(), 0
