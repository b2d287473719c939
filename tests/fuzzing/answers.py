"""Damaged pages of an OPTIMADE provider, over loopback: each is refused in one sentence, or all its records are kept."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import requests

sys.path.append(str(Path(__file__).parents[1] / "fetch"))

from checks import check_sentence
from loopback import QUICK, Answer, Loopback
from mutators import mutated_text
from seeds import seeds

from paraisite.errors import FetchError
from paraisite.fetch.common import FetchOptions
from paraisite.fetch.optimade import fetch_optimade


def check_answer(folder: Path, random: Random) -> int:
    """Fetch a damaged page.

    Args:
        folder: A folder for what is fetched.
        random: Tells the damage.

    Returns:
        Number of records that were kept.

    Raises:
        AssertionError: Records of the page are not kept, and no error says so.
        Exception: Whatever the package lets through.
    """
    records = [json.loads(text) for text in seeds()["optimade"][: random.choice((1, 3, 5))]]
    page = {
        "data": records,
        "links": {"next": None},
        "meta": {"more_data_available": False, "data_available": len(records)},
    }
    sent = mutated_text(random, json.dumps(page).encode(), json_too=True)
    server = _server()
    server.requests.clear()
    server.times.clear()
    server.answer = lambda *_: Answer(sent)
    out = folder / "fetched"
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # the client prints what the error says
            fetch_optimade(out, server.url, "", FetchOptions(politeness=QUICK))
        kept = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in out.glob("page-*.jsonl"))
        assert kept == len(_as_sent(sent)["data"]), f"LOST without a word: {kept} records kept"
    except FetchError as error:
        check_sentence(" ".join(str(error).split()).rstrip(".") + ".")
        return 0
    finally:
        shutil.rmtree(out, ignore_errors=True)
    return kept


@cache
def _server() -> Loopback:
    return Loopback()


def _as_sent(content: bytes) -> dict[str, Any]:
    """The page as the client's library reads it, which finds out the encoding."""
    response = requests.Response()
    response._content = content
    page: dict[str, Any] = response.json()
    return page
