"""Files that are whole or absent, whatever their names."""

from __future__ import annotations

import errno
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from paraisite.atomic import atomic_path, write_text_atomic


@pytest.mark.parametrize("name", ["n" * 255, "☢" * 85, "x"])
def test_every_name_that_the_file_system_takes(tmp_path: Path, name: str) -> None:
    write_text_atomic(tmp_path / name, "content")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "content"


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may be longer than 4 000 bytes."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_an_error_of_the_system_with_the_name_whatever_library_writes(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too large") as caught, atomic_path(tmp_path / "weights") as path:
        save_file({"x": np.zeros(10_000)}, path)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(tmp_path / "weights"))
    with pytest.raises(OSError, match="too large") as caught:
        write_text_atomic(tmp_path / "text", "x" * 10_000)
    assert caught.value.filename == str(tmp_path / "text")
    assert list(tmp_path.iterdir()) == []
