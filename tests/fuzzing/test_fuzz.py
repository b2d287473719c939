"""A part of what `scripts/fuzz.py` does: damaged inputs of every format, alone and in scans."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from checks import check_input
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinds import KINDS, check_number
from mutators import Input, mutated_input
from scans import check_scan
from seeds import FILE_NAMES, seeds
from semantic import FORMATS, check_mutant, harmless_mutant, mutant

quick = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.parametrize("kind", FILE_NAMES)
def test_intact_inputs_give_crystals(kind: str, tmp_path: Path) -> None:
    for data in seeds()[kind]:
        assert check_input(Input(FILE_NAMES[kind], data), tmp_path, Random(0)) > 0


@pytest.mark.parametrize("kind", FILE_NAMES)
@quick
@given(random=st.randoms(use_true_random=False))
def test_damaged_inputs_give_crystals_or_sentences(kind: str, tmp_path: Path, random: Random) -> None:
    check_input(mutated_input(random, kind), tmp_path, random)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in FILE_NAMES])
def test_damaged_containers_cards_and_answers_lose_and_change_nothing_without_a_word(kind: str, tmp_path: Path) -> None:
    for number in range(6 if kind == "optimade-answer" else 40):
        check_number(11, kind, number, tmp_path)


@pytest.mark.parametrize("kind", FORMATS)
def test_files_that_contradict_themselves_are_never_read_as_another_crystal(kind: str) -> None:
    outcomes = [check_mutant(mutant(Random(f"test {number}"), kind)) for number in range(300)]
    assert "contradicts_file" in outcomes


@pytest.mark.parametrize("kind", FORMATS)
def test_files_that_are_written_otherwise_are_read(kind: str) -> None:
    assert {check_mutant(harmless_mutant(Random(f"test {number}"), kind)) for number in range(60)} == {"same"}


def test_scans_of_damaged_inputs_have_a_row_for_each(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    check_scan(tmp_path, seed=0, n_inputs=60)
    assert capfd.readouterr().err == "", "libraries in the workers must not write over the live line"
