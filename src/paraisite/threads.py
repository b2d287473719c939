"""Where the work is done: processes, the device, and the settings of the process that a block of work needs."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from paraisite.errors import ParaisiteError


def import_without(module: str, *optional: str) -> ModuleType:
    """Import a module without some that it takes along where they are installed, such as PyTorch, which costs seconds.

    Args:
        module: Name of a module that also works where the optional ones are not installed.
        optional: Their names; those that are loaded already stay what they are.
    """
    if module in sys.modules:
        return sys.modules[module]
    hidden = [name for name in optional if name not in sys.modules]
    for name in hidden:
        # None is what Python takes for a module that is not installed.
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        return import_module(module)
    finally:
        # What was imported so is ours alone: whoever imports the module later gets it whole.
        for name in [*hidden, *(name for name in sys.modules if name.partition(".")[0] == module)]:
            del sys.modules[name]


def usable_cores() -> int:
    """Cores that this process may use: those of a batch job, not all of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def number_of_processes(given: int | None, unset: int | None = None) -> int:
    """How many processes to start.

    Args:
        given: What the user says; -1 for one per usable core.
        unset: How many where the user says nothing; one per usable core without it.

    Raises:
        ParaisiteError: The number has no meaning.
    """
    if given is None and unset is not None:
        return unset
    if given is None or given == -1:
        return usable_cores()
    if given < 1:
        raise ParaisiteError(f"There cannot be {given} processes; give a number from 1 up, or -1 for one per core.")
    return given


def require_device(device: str) -> None:
    """Refuse a device that is not there.

    Raises:
        ParaisiteError: The word names no device, or PyTorch does not find it.
    """
    if device == "cpu":
        return
    if not re.fullmatch(r"cuda(:[0-9]{1,3})?", device):
        raise ParaisiteError(f"There is no device {device!r}; take cpu, cuda, or cuda:1 for the second GPU.")
    import torch  # noqa: PLC0415 - seconds, and the default model goes without

    n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if n_devices == 0:
        raise ParaisiteError("PyTorch finds no CUDA device on this machine; use the device cpu.")
    if int(device.partition(":")[2] or 0) >= n_devices:
        raise ParaisiteError(
            f"There is no device {device}: this machine has {n_devices}, cuda:0 to cuda:{n_devices - 1}."
        )


@contextmanager
def torch_settings(threads: int, *, tf32: bool | None = None) -> Iterator[None]:
    """Run a block with denormals flushed and a number of CPU threads, and put every setting back afterwards.

    No other place of the package changes a setting of PyTorch that outlives the call.

    Args:
        threads: CPU threads.
        tf32: Whether a GPU may round matrix products to TF32; None leaves that as it is.
    """
    import torch  # noqa: PLC0415 - seconds, and the default model goes without

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
    import torch  # noqa: PLC0415 - as above

    return float(torch.tensor(1e-40) * 1.0) == 0.0
