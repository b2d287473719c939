"""Files that are whole or absent, whatever their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from paraisite.atomic import write_text_atomic


@pytest.mark.parametrize("name", ["n" * 255, "☢" * 85, "x"])
def test_every_name_that_the_file_system_takes(tmp_path: Path, name: str) -> None:
    write_text_atomic(tmp_path / name, "content")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "content"
