"""Make attacks: each in a folder of its own, quick ones in a forked process that may die or hang."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from attacks.base import SAFETY_BYTES, Attack, CaseRandom, FaultError

QUICK_SECONDS = 60.0
"""For one quick attack; on a busy machine what makes the intact things is counted too."""
FIRST_SECONDS = 600.0


def execute(attack: Attack, numbers: Sequence[int], seed: int) -> Iterator[dict[str, Any]]:
    """Make attacks of a kind; for each its number, how it was held, or the fault, and seconds."""
    if not attack.quick:
        yield from (_made(attack, number, seed) for number in numbers)
        return
    left = list(numbers)
    while left:
        for result in _forked(attack, tuple(left), seed):
            left.remove(result["number"])
            yield result


def _made(attack: Attack, number: int, seed: int) -> dict[str, Any]:
    folder, start = Path(tempfile.mkdtemp(prefix="attack-")), time.monotonic()
    held, fault = "", ""
    try:
        (folder / "work").mkdir()
        held = attack.run(CaseRandom(seed, attack.name, number), folder / "work")
    except FaultError as error:
        fault = str(error) or "a fault"
    except Exception as error:  # whatever the package lets through
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        places = " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
        fault = f"{type(error).__name__}: {ascii(str(error))[:300]} at {places}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"number": number, "held": held, "fault": fault, "seconds": round(time.monotonic() - start, 2)}


def _forked(attack: Attack, numbers: Sequence[int], seed: int) -> Iterator[dict[str, Any]]:
    """Make attacks in a forked process; at one that ends it, or hangs, that is the fault and the process is given up."""
    attack_warm_up(attack, numbers[0], seed)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        _work(attack, numbers, seed, sender)
    sender.close()
    for position, number in enumerate(numbers):
        limit = QUICK_SECONDS if position else FIRST_SECONDS
        result = _receive(receiver, limit)
        if isinstance(result, dict):
            yield result
            continue
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        fault = f"longer than {limit:.0f} s" if result is None else f"ended its process, status {status}"
        yield {"number": number, "held": "", "fault": fault, "seconds": limit}
        return
    os.waitpid(child, 0)


def attack_warm_up(attack: Attack, number: int, seed: int) -> None:
    """Make what several attacks share before the fork, so that it is made once."""
    if attack.name not in _warm:
        _warm.add(attack.name)
        _made(attack, number, seed)


_warm: set[str] = set()


def _receive(receiver: Connection, seconds: float) -> dict[str, Any] | str | None:
    """A result; None after a time, a word where the process has ended."""
    if not receiver.poll(seconds):
        return None
    try:
        result: dict[str, Any] = json.loads(receiver.recv_bytes())
    except EOFError:
        return "ended"
    return result


def _work(attack: Attack, numbers: Sequence[int], seed: int, sender: Connection) -> None:
    """What the forked process does; it does not return."""
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_AS, (SAFETY_BYTES, SAFETY_BYTES))
        for number in numbers:
            sender.send_bytes(json.dumps(_made(attack, number, seed)).encode())
        code = 0
    finally:
        os._exit(code)
