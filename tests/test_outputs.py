"""Output folders: replaced whole or not at all, and nothing of the user's is lost."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from paraisite import outputs
from paraisite.errors import OutputError
from paraisite.outputs import MARKER, claim_folder, output_folder, refuse_existing, whole_folder


def write(
    folder: Path, files: dict[str, str], made_by: str = "analyze", inputs: str = "", *, force: bool = False
) -> None:
    with output_folder(folder, made_by, inputs=inputs, force=force) as new:
        for name, text in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_text(text)


def content(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != MARKER]
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, {"report.md": "one", "figures/a.png": "a", "figures/old.png": "old"})
    write(out, {"report.md": "two", "figures/a.png": "b"})
    assert content(out) == {"report.md": "two", "figures/a.png": "b"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_users_files_stay_and_are_never_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, {"report.md": "one"})
    (out / "figures").mkdir()
    (out / "figures/photo.png").write_text("photo")
    write(out, {"report.md": "two", "figures/a.png": "a"})
    assert content(out) == {"report.md": "two", "figures/a.png": "a", "figures/photo.png": "photo"}
    with pytest.raises(OutputError, match=r"figures/photo\.png"):
        write(out, {"report.md": "three", "figures/photo.png": "ours"})
    (out / "report.md").write_text("my notes")
    with pytest.raises(OutputError, match=r"changed since.*report\.md"):
        write(out, {"report.md": "three"})
    assert content(out) == {"report.md": "my notes", "figures/a.png": "a", "figures/photo.png": "photo"}


@pytest.mark.parametrize("files", [{"report.md": "mine"}, {"tables/measured.csv": "1,2"}])
def test_a_foreign_folder_is_refused_and_named_when_forced(
    tmp_path: Path, files: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "paper"
    for name, text in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text)
    with pytest.raises(OutputError, match="did not write"):
        write(out, {"report.md": "ours"})
    assert content(out) == files
    with caplog.at_level(logging.WARNING):
        write(out, {"report.md": "ours"}, force=True)
    assert content(out) == files | {"report.md": "ours"}
    assert ("report.md" in caplog.text) == ("report.md" in files)


def test_another_commands_folder_and_other_inputs_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, {"model": "a"}, "finetune", "data a")
    with pytest.raises(OutputError, match="made by `paraisite finetune`"):
        write(out, {"model": "b"}, "analyze")
    with pytest.raises(OutputError, match="made from data a, not from data b"):
        write(out, {"model": "b"}, "finetune", "data b")
    write(out, {"model": "c"}, "finetune", "data a")
    assert content(out) == {"model": "c"}


def test_an_error_or_a_kill_leaves_the_earlier_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, {"report.md": "one"})

    def fail() -> None:
        with output_folder(out, "analyze") as new:
            (new / "report.md").write_text("two")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fail()
    assert content(out) == {"report.md": "one"}
    code = (
        "import os, signal, sys; from pathlib import Path; from paraisite.outputs import output_folder\n"
        f"with output_folder({str(out)!r}, 'analyze') as new:\n"
        "    (new / 'report.md').write_text('two'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert content(out) == {"report.md": "one"}
    # The moment between the two renames: the next command puts the earlier folder back before it begins.
    out.rename(tmp_path / ".out.earlier")
    with pytest.raises(RuntimeError, match="stopped"):
        fail()
    assert content(out) == {"report.md": "one"}


def test_a_file_is_not_a_folder_and_files_are_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "kappa.csv"
    path.write_text("keep")
    with pytest.raises(OutputError, match="is a file"):
        write(path, {})
    with pytest.raises(OutputError, match="is there already"):
        refuse_existing(path)
    refuse_existing(path, force=True)
    refuse_existing(tmp_path / "new.csv")
    assert [item.name for item in tmp_path.iterdir()] == ["kappa.csv"]


def test_folders_are_exchanged_also_where_the_system_cannot_in_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write(out, {"report.md": "one"})
    if sys.platform == "linux":
        other = tmp_path / "other"
        write(other, {"report.md": "two"})
        assert outputs._exchange(out, other)
        assert (content(out), content(other)) == ({"report.md": "two"}, {"report.md": "one"})
        assert not outputs._exchange(out, tmp_path / "nowhere")
    monkeypatch.setattr(outputs, "_exchange", lambda *_: False)
    write(out, {"report.md": "three"})
    assert content(out) == {"report.md": "three"}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_a_killed_process_left_beside_is_removed_by_the_next(tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = (
        "import os, signal; from paraisite.outputs import whole_folder\n"
        f"with whole_folder({str(out)!r}) as new:\n"
        "    (new / 'a').write_text('a'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".out.")
    with whole_folder(out) as new:
        (new / "b").write_text("b")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert content(out) == {"b": "b"}


def test_a_folder_that_grows_is_claimed_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "comparison"
    claim_folder(folder, "compare")
    (folder / "notes.txt").write_text("mine")
    claim_folder(folder, "compare")
    with pytest.raises(OutputError, match="made by `paraisite compare`"):
        claim_folder(folder, "demo")
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "table.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"did not write \(table\.csv\)"):
        claim_folder(tmp_path / "paper", "compare")
    assert content(tmp_path / "paper") == {"table.csv": "mine"}
    with caplog.at_level(logging.WARNING):
        claim_folder(tmp_path / "paper", "compare", force=True)
    assert "table.csv" in caplog.text
