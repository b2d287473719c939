"""Where PyTorch works: the device, and the settings of the process that a block of work needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from paraisite.errors import ParaisiteError


def require_device(device: str) -> None:
    """Refuse a CUDA device where there is none.

    Raises:
        ParaisiteError: `cuda` is asked for, and PyTorch finds no such device.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ParaisiteError("PyTorch finds no CUDA device on this machine; use the device cpu.")


@contextmanager
def torch_settings(threads: int, *, tf32: bool | None = None) -> Iterator[None]:
    """Run a block with denormals flushed and a number of CPU threads, and put every setting back afterwards.

    No other place of the package changes a setting of PyTorch that outlives the call.

    Args:
        threads: CPU threads.
        tf32: Whether a GPU may round matrix products to TF32; None leaves that as it is.
    """
    before, flushed = torch.get_num_threads(), _flushes_denormals()
    matmul, convolution = torch.backends.cuda.matmul, torch.backends.cudnn
    rounded = (matmul.allow_tf32, convolution.allow_tf32)
    # Denormal numbers in decayed Adam moments slow a CPU several times.
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads)
    if tf32 is not None:
        matmul.allow_tf32 = convolution.allow_tf32 = tf32
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(flushed)
        if tf32 is not None:
            matmul.allow_tf32, convolution.allow_tf32 = rounded


def _flushes_denormals() -> bool:
    """Whether this thread flushes denormals; PyTorch can set it but not report it."""
    return float(torch.tensor(1e-40) * 1.0) == 0.0
