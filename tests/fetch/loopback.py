"""A real HTTP server on loopback that can be told to misbehave, and an AFLUX that answers from Togo15."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import numpy as np
from ase.data import chemical_symbols
from ase.geometry import cell_to_cellpar

from paraisite.fetch.policy import Politeness
from paraisite.structures.crystal import Crystal

QUICK = Politeness(
    interval_seconds=0, timeout_seconds=0.5, attempts=4, first_pause_seconds=0.001, longest_pause_seconds=2.0
)


@dataclass
class Answer:
    """What the server sends; `cut` bytes are promised and not sent."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    delay: float = 0.0


class Loopback:
    """An HTTP server; `answer` maps a request to what is sent."""

    def __init__(self) -> None:
        self.answer: Callable[[str, dict[str, str]], Answer] = lambda *_: Answer(status=404)
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.times: list[float] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, headers = unquote(self.path), dict(self.headers)
                owner.requests.append((path, headers))
                owner.times.append(time.monotonic())
                answer = owner.answer(path, headers)
                time.sleep(answer.delay)
                sent = answer.body[: len(answer.body) - answer.cut]
                try:
                    self.send_response(answer.status)
                    self.send_header("Content-Length", str(len(answer.body)))
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(sent)
                except OSError:
                    return  # the client has gone
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def aflow_record(crystal: Crystal, number: int) -> dict[str, Any]:
    """A crystal as AFLUX words it: sites species by species."""
    order = np.argsort(crystal.numbers, kind="stable")
    numbers, counts = np.unique(crystal.numbers, return_counts=True)
    return {
        "compound": crystal.formula,
        "auid": f"aflow:{number:016x}",
        "aurl": f"aflowlib.duke.edu:AFLOWDATA/ICSD_WEB/FCC/{crystal.formula}_ICSD_{1000 + number}",
        "agl_thermal_conductivity_300K": float(crystal.properties["kappa"]),
        "species": [chemical_symbols[item] for item in numbers],
        "composition": counts.tolist(),
        "geometry": cell_to_cellpar(crystal.cell).tolist(),
        "positions_fractional": crystal.fractional[order].tolist(),
    }


def aflux_page(path: str) -> tuple[int, int]:
    """Page and size that a request asks for."""
    match = re.search(r"\$paging\((\d+),(\d+)\)$", path)
    assert match, path
    return int(match[1]), int(match[2])


def aflux(records: list[dict[str, Any]], keyed: bool = False) -> Callable[[str, dict[str, str]], Answer]:
    """An AFLUX that pages through records, as a list or as a map from "1 of 23"."""

    def answer(path: str, _: dict[str, str]) -> Answer:
        page, size = aflux_page(path)
        start = (page - 1) * size
        part: Any = records[start : start + size]
        if keyed:
            part = {f"{start + k} of {len(records)}": record for k, record in enumerate(part, start=1)}
        return Answer(json.dumps(part).encode())

    return answer


def kill_when(command: str, reached: threading.Event) -> None:
    """Run Python code in a process of its own, and kill it at once when an event comes."""
    process = subprocess.Popen([sys.executable, "-c", command], stderr=subprocess.PIPE)
    try:
        assert reached.wait(60), process.communicate(timeout=1)
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
    finally:
        process.kill()
        process.communicate()
