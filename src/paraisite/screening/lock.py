"""One scan at a time in a folder, whatever the machine that it runs on."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import OwnerRecord, SoftFileLease, Timeout

from paraisite.errors import RunError

LEASE = ".scan.lease"
LEASE_SECONDS = 30.0
"""After so long without a sign of life a scan on another machine counts as dead; three signs are due in that time."""
_LOG = logging.getLogger(__name__)


class ScanLock:
    """The right to write into a scan's folder.

    A lease on a file and no lock of the operating system, which many file systems of clusters keep on one machine alone. A
    dead process of this machine gives way at once, one of another machine when it has shown no sign of life for some time.
    """

    def __init__(self, out: Path, lease: SoftFileLease) -> None:
        """Keep the lease."""
        self._out, self._lease = out, lease

    @property
    def lost(self) -> bool:
        """Whether another scan has taken the folder over, as after a suspension of this one."""
        return self._lease.compromise is not None

    def check(self) -> None:
        """Refuse to go on when another scan has taken the folder over.

        Raises:
            RunError: It has.
        """
        if self.lost:
            raise RunError(f"Another scan took over {self._out} while this one gave no sign of life; that one goes on.")


@contextmanager
def locked_scan(out: Path, lease_seconds: float = LEASE_SECONDS) -> Iterator[ScanLock]:
    """Keep other scans out of a folder while the block runs; the folder is made.

    Args:
        out: The scan's folder.
        lease_seconds: How long another machine may give no sign of life.

    Raises:
        RunError: Another scan is at work in the folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    lease = SoftFileLease(out / LEASE, lease_duration=lease_seconds, thread_local=False)
    try:
        _acquire(lease, out, lease_seconds)
    except Timeout as error:
        owner = lease.owner
        who = f"process {owner.pid} on {owner.hostname}" if owner else "another process"
        raise RunError(
            f"A scan is at work in {out} ({who}); wait for it or stop it, or choose another folder."
        ) from error
    try:
        yield ScanLock(out, lease)
    finally:
        lease.release()


def scan_at_work(out: Path) -> bool:
    """Whether a scan has lately shown a sign of life in a folder."""
    try:
        return time.time() - (out / LEASE).stat().st_mtime < LEASE_SECONDS
    except OSError:
        return False


def _acquire(lease: SoftFileLease, out: Path, lease_seconds: float) -> None:
    try:
        lease.acquire(timeout=0)
    except Timeout:
        owner: OwnerRecord | None = lease.owner
        if owner is not None and owner.hostname == socket.gethostname():
            raise  # the operating system says that it lives
        wait = 1.5 * lease_seconds
        _LOG.warning(
            "A scan on another machine may be at work in %s; waiting %.0f s for a sign of life of it.", out, wait
        )
        lease.acquire(timeout=wait, poll_interval=min(1.0, lease_seconds / 10))
