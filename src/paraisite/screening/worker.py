"""A worker process of a scan: settings come in, then pieces with their numbers; results go out."""

from __future__ import annotations

import gc

from paraisite.processes.child import Parent
from paraisite.screening.scanner import Scanner


def main() -> None:
    """Scan pieces until the standard input ends."""
    parent = Parent()
    try:
        scanner = Scanner(parent.receive())
        # What the libraries made stays to the end: looking through it again and again took 4 % of a scan's time.
        gc.freeze()
        while True:
            index, piece = parent.receive()
            try:
                parent.send(scanner.write_part(index, piece))
            except OSError as error:
                parent.send(error)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return  # the scan is over


if __name__ == "__main__":
    main()
