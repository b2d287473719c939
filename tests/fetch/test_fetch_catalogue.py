"""Data by name, in Python and on the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from loopback import QUICK, Answer, Loopback, aflux

import paraisite
from paraisite.cli.main import main
from paraisite.datasets.catalogue import load_data_set
from paraisite.errors import FetchError

NAMES = [
    "togo15", "hh143", "mix", "literature", "aflow_agl", "megnet-eform-mp-2018.6.1", "nequix-mp-1-pft", "nequix-oam-1-pft",
    "materials_project",
]  # fmt: skip


def shown(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    output = capsys.readouterr()
    return " ".join(output.out.split()), " ".join(output.err.split())


def test_the_list_names_everything_and_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "aflow_agl.extxyz.gz").touch()
    entries = {entry.source.name: entry for entry in paraisite.list_data(tmp_path)}
    assert list(entries) == NAMES
    assert [name for name, entry in entries.items() if entry.source.shipped] == NAMES[:4]
    for name in NAMES[:4]:
        assert entries[name].source.records == f"{len(load_data_set(name).crystals)} crystals"
    places = {name: entry.location for name, entry in entries.items() if entry.location is not None}
    assert places == {"aflow_agl": tmp_path / "data" / "aflow_agl.extxyz.gz"}
    assert all(entry.source.licence and entry.source.source for entry in entries.values())


def test_the_command_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "aflow_agl.extxyz.gz").touch()
    assert main(["data", "list", "--data", str(tmp_path)]) == 0
    output, _ = shown(capsys)
    assert "togo15: 95 crystals; shipped" in output
    assert f"aflow_agl: about 5 600 entries (2024); {tmp_path / 'aflow_agl.extxyz.gz'}" in output
    assert "megnet-eform-mp-2018.6.1: 2 files, 0.8 MB; not here" in output
    assert "pip install 'paraisite[mp]'" in output


def test_the_command_fetches_and_describes(
    server: Loopback, records: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = aflux([*records, {"auid": "aflow:bad"}])
    data = str(tmp_path / "new" / "data")
    assert main(["data", "fetch", "aflow_agl", "--data", data, "--url", server.url]) == 0
    output, error = shown(capsys)
    assert output == f"aflow_agl: {data}/aflow_agl.extxyz.gz"
    assert "Error" not in error
    assert main(["data", "info", "aflow_agl", "--data", data]) == 0
    output, _ = shown(capsys)
    manifest = json.loads((Path(data) / "aflow_agl.manifest.json").read_text(encoding="utf-8"))
    for words in ("records: 24", "kept: 23", "dropped: 1 aflow:bad: aflow:bad: κ must be", manifest["fetched"]):
        assert words in output
    assert len(load_data_set("aflow_agl", data).crystals) == 23
    assert main(["data", "fetch", "aflow_agl", "--data", data]) == 0, "it is there: nothing is asked for"
    assert len(server.requests) == 1


def test_data_go_to_the_variables_folder_else_to_the_users_own(
    server: Loopback, records: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = aflux(records)
    file_name = "aflow_agl.extxyz.gz"
    options: dict[str, Any] = {"url": server.url, "politeness": QUICK}
    assert paraisite.fetch_data("aflow_agl", **options) == tmp_path / "cache" / "data" / file_name
    assert len(load_data_set("aflow_agl").crystals) == 23
    monkeypatch.setenv("PARAISITE_DATA", str(tmp_path / "named"))
    assert paraisite.fetch_data("aflow_agl", **options) == tmp_path / "named" / file_name
    monkeypatch.delenv("PARAISITE_DATA")
    monkeypatch.setenv("PARAISITE_CACHE", "")
    with pytest.raises(FetchError, match="name one with --data DIR or PARAISITE_DATA"):
        paraisite.fetch_data("aflow_agl", **options)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["fetch", "nonsense"], 1, "no data 'nonsense': give togo15"),
        (["info", "nonsense"], 1, "no data 'nonsense'"),
        (["fetch", "togo15"], 1, "togo15 ships with the package"),
        (["fetch", "materials_project"], 1, "asks for a key"),
        (["fetch"], 2, "Missing argument"),
        (["fetch", "aflow_agl", "materials_project", "--url", "http://x"], 2, "goes with one data set"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str], code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", *arguments, "--data", str(tmp_path)]) == code
    _, error = shown(capsys)
    assert words in error
    assert "Traceback" not in error


def test_a_refusing_server_is_exit_code_1(server: Loopback, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.answer = lambda *_: Answer(status=403)
    assert main(["data", "fetch", "aflow_agl", "--data", str(tmp_path), "--url", server.url]) == 1
    _, error = shown(capsys)
    assert f"Error: aflow_agl could not be fetched: {server.host} answered 403 Forbidden" in error
    assert "--data DIR or PARAISITE_DATA" in error


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_leave_to_write_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o500)
    assert main(["data", "fetch", "aflow_agl", "--data", str(tmp_path / "data")]) == 1
    assert str(tmp_path) in shown(capsys)[1]
