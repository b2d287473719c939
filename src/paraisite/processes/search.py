"""The place where a task ends its process: done again step by step, without the steps that are found to do so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

from paraisite.processes.child import ChildDiedError
from paraisite.processes.worker import ATTEMPTS, TaskCrashedError, Worker


@dataclass(frozen=True, slots=True)
class At:
    """An answer that only says which step begins.

    Attributes:
        place: The step.
    """

    place: Hashable


def answers_without_crashes(
    worker: Worker, crash: TaskCrashedError, task_of: Callable[[int, frozenset[Any]], Any]
) -> Iterator[Any]:
    """The other answers to a task that ended its process, the steps that do so left out.

    Args:
        worker: Does the task, again and again.
        crash: What is known of it.
        task_of: The task that begins after so many items and leaves out some places; its answers announce each step by `At`.

    Raises:
        ChildDiedError: The process dies before its first step.
    """
    deaths = Counter[Hashable]()
    crashed: set[Hashable] = set()
    n_done = crash.n_done
    while True:
        place: Hashable = None
        try:
            for answer in worker.attempt(task_of(n_done, frozenset(crashed))):
                if isinstance(answer, At):
                    place = answer.place
                else:
                    n_done += worker.size_of(answer)
                    deaths.pop(None, None)
                    yield answer
        except ChildDiedError:
            deaths[place] += 1
            if deaths[place] < ATTEMPTS:
                continue
            if place is None:
                raise
            crashed.add(place)
        else:
            return
