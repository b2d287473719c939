"""What an attack is, and how the command line is run under one."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import paraisite

PACKAGE_PATH = Path(paraisite.__file__).parents[1]
TESTS = Path(__file__).parents[2] / "tests"
MEMORY_BYTES = 2 * 1024**3
"""What an input of any kind may take."""
SAFETY_BYTES = 6 * 1024**3
"""Address space of a command, so that the machine survives one that takes all memory."""
COMMAND_SECONDS = 600.0
_ALWAYS_FAULTS = ("Traceback (most recent call last)", "Unexpected ")


class FaultError(Exception):
    """An attack that did harm: what was lost, changed or said wrongly."""


@dataclass(frozen=True, slots=True)
class Attack:
    """A kind of attack.

    Attributes:
        name: What `--only` takes.
        title: What the report calls it.
        planned: How many there are.
        run: Attacks once, with what tells the attack and a folder of its own; gives how it was held, in a word or two.
        quick: Whether many run in one forked process.
    """

    name: str
    title: str
    planned: int
    run: Callable[[Random, Path], str]
    quick: bool = False


def numbered(random: Random) -> int:
    """Number of a case, of which a list of cases chooses: the first word of its randomness."""
    return int(getattr(random, "number", 0))


class CaseRandom(Random):
    """Randomness of a case, which knows its number."""

    def __init__(self, seed: int, name: str, number: int) -> None:
        """Take what tells the case."""
        super().__init__(f"{seed} {name} {number}")
        self.number = number


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that ended.

    Attributes:
        code: Its exit code; negative for a signal.
        out: What it printed.
        err: What it said on the standard error.
        peak: The largest memory of one of its processes, in bytes.
    """

    code: int
    out: str
    err: str
    peak: int

    @property
    def last_word(self) -> str:
        """The last line that it said."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        return lines[-1].strip()[:300] if lines else ""


class Command:
    """A command of `paraisite` at work."""

    def __init__(
        self,
        *words: object,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        file_bytes: int | None = None,
        address_bytes: int | None = SAFETY_BYTES,
    ) -> None:
        """Start it.

        Args:
            words: Its words.
            cwd: The folder that it runs in, which also holds its cache.
            environment: Variables besides the usual ones.
            file_bytes: Largest file that it may write, as a full disk.
            address_bytes: Its address space; None for all.
        """
        self._files = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115 - closed with the command
        cache = str(cwd.parent / "cache")
        usual = {
            "PYTHONPATH": str(PACKAGE_PATH),
            "OMP_NUM_THREADS": "1",
            "PARAISITE_CACHE": cache,
            "NO_PROXY": "127.0.0.1",
        }

        def limit() -> None:
            if address_bytes is not None:
                resource.setrlimit(resource.RLIMIT_AS, (address_bytes, address_bytes))
            if file_bytes is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write fails, as on a full disk
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "paraisite", *map(str, words)],
            cwd=cwd,
            env={**os.environ, **usual, **(environment or {})},
            stdout=self._files[0],
            stderr=self._files[1],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=limit,  # noqa: PLW1509 - nothing but limits
        )

    def kill(self) -> None:
        """End it and its processes at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def ended(self, seconds: float = COMMAND_SECONDS) -> Ended:
        """Wait for its end.

        Raises:
            FaultError: It does not end in time, or shows a traceback.
        """
        deadline, usage = time.monotonic() + seconds, None
        while usage is None:
            pid, status, used = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                usage = used
            elif time.monotonic() > deadline:
                self.kill()
                os.wait4(self.process.pid, 0)
                raise FaultError(f"hangs for {seconds:.0f} s: {' '.join(map(str, self.process.args))[-200:]}")
            else:
                time.sleep(0.02)
        texts = []
        for file in self._files:
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
            file.close()
        ended = Ended(self.process.returncode, texts[0], texts[1], usage.ru_maxrss * 1024)
        if ended.code != -signal.SIGKILL:
            check_words(ended)
        return ended


def check_words(ended: Ended) -> None:
    """Refuse tracebacks and unforeseen errors in what a command said.

    Raises:
        FaultError: There is one.
    """
    for text in (ended.err, ended.out):
        for word in _ALWAYS_FAULTS:
            if word in text:
                raise FaultError(f"{word.strip()}: {text[text.index(word) :][-400:]}")
    if ended.code < 0:
        raise FaultError(f"ended by signal {-ended.code}: {ended.last_word}")
    if re.search(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f\x9b]", ended.out):
        raise FaultError(f"control characters in the output: {ascii(ended.out)[:200]}")


def run(*words: object, cwd: Path, seconds: float = COMMAND_SECONDS, **options: object) -> Ended:
    """Run a command to its end; as `Command` and `Command.ended`."""
    return Command(*words, cwd=cwd, **options).ended(seconds)  # type: ignore[arg-type]


def succeeded(ended: Ended, codes: Sequence[int] = (0, 3)) -> Ended:
    """Demand an exit code.

    Raises:
        FaultError: It is another one.
    """
    if ended.code not in codes:
        raise FaultError(f"exit code {ended.code}: {ended.last_word}")
    return ended


def refused(ended: Ended) -> str:
    """Demand a refusal with a sentence; how it was held.

    Raises:
        FaultError: The command ended well, or without a sentence.
    """
    if ended.code != 1 or "Error: " not in ended.err or not ended.err.strip().endswith((".", ")")):
        raise FaultError(f"no refusal: exit code {ended.code}, {ended.last_word!r}")
    return "refused"
