"""Weights of potentials: the published bytes or nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from loopback import QUICK, Answer, Loopback

import paraisite
from paraisite.errors import FetchError
from paraisite.fetch.catalogue import describe_data
from paraisite.fetch.potentials import NEQUIX_FILES

Serve = Callable[[str, dict[str, str]], Answer]


def serving(files: dict[str, bytes], cut: list[int]) -> Serve:
    """A server of files that knows ranges, and breaks off an answer after each number of bytes in `cut`."""

    def answer(path: str, headers: dict[str, str]) -> Answer:
        content = files[path.rpartition("/")[2]]
        if "Range" not in headers:
            return Answer(content, cut=cut.pop() if cut else 0)
        start = int(headers["Range"].removeprefix("bytes=").removesuffix("-"))
        span = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        return Answer(content[start:], status=206, headers=span)

    return answer


@pytest.fixture
def files(shared: Path) -> dict[str, bytes]:
    folder = shared / "pretrained" / "nequix"
    return {file.file_name: (folder / file.file_name).read_bytes() for file in NEQUIX_FILES.values()}


@pytest.mark.parametrize("model", NEQUIX_FILES)
def test_a_broken_download_is_continued_and_checked(
    server: Loopback, files: dict[str, bytes], tmp_path: Path, model: str
) -> None:
    file = NEQUIX_FILES[model]
    server.answer = serving(files, [1_000_000])
    path = paraisite.fetch_data(file.name, tmp_path, url=f"{server.url}/models", politeness=QUICK)
    assert path == tmp_path / file.file_name
    assert path.read_bytes() == files[file.file_name]
    assert [item for item, _ in server.requests] == [f"/models/{file.file_name}"] * 2
    assert "Range" in server.requests[-1][1]
    assert sorted(item.name for item in tmp_path.iterdir()) == sorted([file.file_name, f"{file.name}.manifest.json"])
    assert describe_data(file.name, tmp_path).manifest["sha256"] == {file.file_name: file.sha256}


def test_wrong_bytes_are_refused(server: Loopback, files: dict[str, bytes], tmp_path: Path) -> None:
    file = NEQUIX_FILES["mp-1-pft"]
    damaged = bytearray(files[file.file_name])
    damaged[-1] ^= 1
    server.answer = serving({file.file_name: bytes(damaged)}, [])
    with pytest.raises(
        FetchError, match=r"sent a nequix-mp-1-pft\.nqx with SHA-256 .* where a88aeaed71fd… was expected"
    ):
        paraisite.fetch_data(file.name, tmp_path, url=server.url, politeness=QUICK)
    assert not list(tmp_path.rglob("*.nqx*"))
