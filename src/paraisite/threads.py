"""CPU settings of PyTorch for a block of work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_settings(threads: int) -> Iterator[None]:
    """Run a block with denormals flushed and a number of CPU threads, and put the threads back afterwards."""
    before = torch.get_num_threads()
    # Denormal numbers in decayed Adam moments slow a CPU several times.
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
