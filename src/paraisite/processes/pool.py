"""Several workers that share tasks: answers in the order of the tasks, or as they come."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, suppress
from typing import Any, Self

from paraisite.processes.child import Child
from paraisite.processes.worker import TaskCrashedError, Worker, one_item

TASKS_AHEAD = 2
"""Tasks that a worker holds at a time, so that it need not wait for the next."""

Recovery = Callable[[Worker, TaskCrashedError], Iterator[Any]]
"""What is done instead of a task that ends every process that tries it: its other answers, by `Worker.attempt`."""


def no_recovery(_: Worker, crash: TaskCrashedError) -> Iterator[Any]:
    """Give up."""
    raise crash


class Pool:
    """Workers that are replaced when they die, and end with this process."""

    def __init__(
        self,
        start: Callable[[], Child],
        n_workers: int,
        recover: Recovery = no_recovery,
        size_of: Callable[[Any], int] = one_item,
    ) -> None:
        """Start the workers.

        Args:
            start: Starts a child.
            n_workers: Number of workers.
            recover: What to do instead of a task that ended its process each time.
            size_of: Items that an answer stands for.
        """
        self._recover = recover
        self.workers: list[Worker] = []
        with ExitStack() as stack:
            for _ in range(n_workers):
                self.workers.append(stack.enter_context(Worker(start, size_of)))
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        """Use the pool in a `with` block, which ends the workers."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the workers, also in the middle of their work."""
        self._stack.close()

    def in_order(self, tasks: Iterator[Any]) -> Iterator[Any]:
        """Answers in the order of the tasks; the workers begin at once.

        A worker whose answers are not yet wanted waits when its pipe is full, so memory stays bounded.

        Raises:
            Exception: What the first task that failed raised.
        """
        at_work: deque[Worker] = deque()
        for _ in range(TASKS_AHEAD):
            for worker in self.workers:
                for task in _next(tasks):
                    worker.submit(task)
                    at_work.append(worker)
        return self._collect(tasks, at_work)

    def _collect(self, tasks: Iterator[Any], at_work: deque[Worker]) -> Iterator[Any]:
        while at_work:
            worker = at_work.popleft()
            yield from self._answers(worker)
            for task in _next(tasks):
                worker.submit(task)
                at_work.append(worker)

    def as_finished(self, tasks: Iterator[Any]) -> Generator[Any, None, None]:
        """Answers as they come; the tasks are drawn one at a time, by the thread of the worker that is free.

        Raises:
            Exception: What a task, or drawing one, raised first; the workers are ended then.
        """
        answers = queue.Queue[tuple[str, Any]]()
        drawing, stopped = threading.Lock(), threading.Event()
        for worker in self.workers:
            arguments = (worker, tasks, drawing, answers, stopped)
            threading.Thread(target=self._serve, args=arguments, daemon=True).start()
        n_at_work = len(self.workers)
        try:
            while n_at_work:
                kind, content = answers.get()
                if kind == "error":
                    raise content
                if kind == "end":
                    n_at_work -= 1
                else:
                    yield content
        finally:
            stopped.set()
            self._stack.close()  # which ends the waiting of the threads too

    def _serve(
        self,
        worker: Worker,
        tasks: Iterator[Any],
        drawing: threading.Lock,
        answers: queue.Queue[tuple[str, Any]],
        stopped: threading.Event,
    ) -> None:
        """Feed one worker until the tasks end."""
        try:
            while not stopped.is_set():
                with drawing:
                    drawn = _next(tasks)
                if not drawn:
                    break
                worker.submit(drawn[0])
                for answer in self._answers(worker):
                    answers.put(("answer", answer))
        except Exception as error:  # raised by the thread that waits
            answers.put(("error", error))
        else:
            answers.put(("end", None))

    def _answers(self, worker: Worker) -> Iterator[Any]:
        try:
            yield from worker.answers()
        except TaskCrashedError as crash:
            yield from self._recover(worker, crash)


def _next(tasks: Iterator[Any]) -> list[Any]:
    """The next task, if there is one."""
    with suppress(StopIteration):
        return [next(tasks)]
    return []
