"""A raw server on loopback that sends any bytes at any pace: what no well-behaved HTTP library would send."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

Script = Callable[[bytes], Iterator[bytes | float]]


class RawServer:
    """Sends what a script gives: bytes, or seconds to wait; the script gets the head of the request."""

    def __init__(self, script: Script) -> None:
        self.heads: list[bytes] = []
        self._script = script
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.url = f"http://{self.host}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(line,), daemon=True).start()

    def _answer(self, line: socket.socket) -> None:
        with line:
            head = b""
            while b"\r\n\r\n" not in head:
                part = line.recv(65536)
                if not part:
                    return
                head += part
            self.heads.append(head)
            try:
                for item in self._script(head):
                    if isinstance(item, bytes):
                        line.sendall(item)
                    else:
                        time.sleep(item)
            except OSError:
                return  # the client has gone

    def stop(self) -> None:
        self._socket.close()


OK = b"HTTP/1.1 200 OK\r\n"


def trickle(content: bytes) -> Iterator[bytes | float]:
    """A byte every few hundredths of a second: never silent, never done."""
    for byte in content:
        yield bytes([byte])
        yield 0.02


def for_ever(content: bytes) -> Iterator[bytes]:
    while True:
        yield content
