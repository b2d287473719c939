"""What `scripts/attack.py` does: it attacks, goes on where it stopped, and its report says what its results say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.append(str(SCRIPTS))

from attacks.base import Attack, FaultError  # noqa: E402 - the path above
from attacks.execute import execute  # noqa: E402
from attacks.report import DOCUMENT, RESULTS, render, summary_of_attacks  # noqa: E402


def attack(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / "attack.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_attacks_hold_and_are_not_made_twice(tmp_path: Path) -> None:
    words = [tmp_path, "--only", "damage-bz2", "damage-poscar", "--minutes"]
    first = attack(*words, 0.3)
    assert first.returncode == 0, first.stdout + first.stderr
    made = [json.loads(line) for line in (tmp_path / "attacks.jsonl").read_text().splitlines()]
    assert {line["attack"] for line in made} <= {"damage-bz2", "damage-poscar"}
    assert all(line["held"] for line in made)
    assert attack(*words, 0.1, "--report-to", tmp_path).returncode == 0
    again = [json.loads(line) for line in (tmp_path / "attacks.jsonl").read_text().splitlines()]
    assert len({(line["attack"], line["number"]) for line in again}) == len(again) >= len(made) > 0
    assert f"| {len(again)} | {len(again)} | 0 |" in (tmp_path / "reliability.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_minute_of_everything(tmp_path: Path) -> None:
    ended = attack(tmp_path, "--minutes", 1, "--seed", 5)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def _die(random: object, folder: Path) -> str:
    import os

    number = random.number  # type: ignore[attr-defined]
    if number == 1:
        os._exit(9)
    if number == 2:
        raise FaultError("lost")
    if number == 3:
        raise KeyError("x")
    return "the same"


def test_a_quick_attack_that_ends_its_process_is_a_fault_and_the_others_go_on() -> None:
    results = list(execute(Attack("dying", "dying", 5, _die, quick=True), [0, 1, 2, 3, 4], seed=0))
    assert [result["number"] for result in results] == [0, 1, 2, 3, 4]
    assert [bool(result["fault"]) for result in results] == [False, True, True, True, False]
    assert "ended its process" in results[1]["fault"]


def test_only_the_last_code_counts() -> None:
    kinds = [Attack("kill", "killed", 2, _die)]
    line = {"attack": "kill", "seed": 0, "number": 0, "held": "", "fault": "lost", "date": "2026-01-01T00:00:00"}
    made = [{**line, "code": "old"}, {**line, "code": "new", "fault": "", "held": "same"}]
    summary = summary_of_attacks(made, kinds)
    assert (summary["code"], summary["kinds"][0]["tried"], summary["kinds"][0]["faults"]) == ("new", 1, 0)


def test_the_document_shows_the_results() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == render(json.loads(RESULTS.read_text(encoding="utf-8")))
