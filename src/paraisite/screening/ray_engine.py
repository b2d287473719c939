"""The engine of a cluster: the same scan as a Ray Data pipeline of stateful actors, on CPUs or GPUs.

Every actor loads the model once, cuts the source itself (files must be at the same path on all machines) and writes parts
into the scan's folder (which must be shared). An actor that is lost is started anew by Ray and its piece done again, without
end; so what was tried stands in a file beside the parts, and a structure that ends actors again and again is left out.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import socket
from collections.abc import Generator, Iterator
from functools import partial
from typing import Any

import numpy as np

from paraisite.errors import ParaisiteError
from paraisite.processes.child import child_environment
from paraisite.screening.journal import write_part_again
from paraisite.screening.scanner import PieceResult, Scanner, ScannerSettings
from paraisite.screening.sources import Meter, Work
from paraisite.sources.pieces import Piece

MAX_BLOCKS = 2000
RAY_CONNECT_TIMEOUT_SECONDS = 10.0
ACTOR_VARIABLES = ("OMP_NUM_THREADS", "PYTHONSAFEPATH", "SPGLIB_WARNING")


def scan_with_ray(
    work: Work, settings: ScannerSettings, processes: int | None, address: str | None, meter: Meter | None = None
) -> Generator[PieceResult, None, None]:
    """Scan pieces on a Ray cluster; results in the order in which they are finished.

    Args:
        work: The source and what is left of it.
        settings: What the actors need to know.
        processes: Number of actors; one for each CPU (or GPU) of the cluster if unset.
        address: The cluster's address; without it Ray starts one on this machine.
        meter: Is told of the pieces.

    Raises:
        ParaisiteError: Ray is not installed, the cluster cannot be reached, or what an actor raised.
        OSError: An actor cannot write a part.
    """
    ray = connect(address)
    todo = [{"index": index} for index, _ in work.left(meter)]
    if not todo:
        return
    resource = "CPU" if settings.device == "cpu" else "GPU"
    actors = processes or int(ray.cluster_resources().get(resource, 1))
    data = ray.data.from_items(todo, override_num_blocks=min(len(todo), MAX_BLOCKS))
    results = data.map_batches(
        PieceActor,
        fn_constructor_args=(work, settings),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=min(actors, len(todo))),
        num_cpus=1,
        num_gpus=0 if settings.device == "cpu" else 1,
    )
    for row in results.iter_rows():
        if row["error"]:
            raise pickle.loads(row["error"])  # noqa: S301 - written by our own actor
        yield PieceResult(int(row["index"]), json.loads(row["counts"]))


def connect(address: str | None) -> Any:
    """Connect to a cluster, or start one on this machine; once connected it stays so.

    Raises:
        ParaisiteError: Ray is not installed, or the cluster cannot be reached.
    """
    try:
        import ray  # noqa: PLC0415 - an extra
        import ray.data  # noqa: PLC0415
        import ray.job_config  # noqa: PLC0415
    except ImportError as error:
        raise ParaisiteError("The engine ray needs Ray: install it with pip install 'paraisite[ray]'.") from error
    if not ray.is_initialized():
        _check_reachable(address)
        try:
            # Ray puts the current folder first on the path of its workers, and with it a `gemmi.py` that came with the data;
            # only for jobs of its client it does not.
            job = ray.job_config.JobConfig(_client_job=True)
            environment = {name: child_environment()[name] for name in ACTOR_VARIABLES}
            ray.init(address, log_to_driver=False, job_config=job, runtime_env={"env_vars": environment})
        except (ConnectionError, ValueError, RuntimeError) as error:
            where = address or "this machine"
            raise ParaisiteError(f"Ray cannot be used on {where}: {str(error).splitlines()[0]}.") from error
    ray.data.DataContext.get_current().enable_progress_bars = False
    return ray


def _check_reachable(address: str | None) -> None:
    """Refuse an address that does not answer: Ray itself would try for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not port.isdecimal():
        return  # none, or a word such as `auto`
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=RAY_CONNECT_TIMEOUT_SECONDS).close()
    except OSError as error:
        raise ParaisiteError(f"No Ray cluster answers at {address}: {error.strerror or error}.") from error


class PieceActor:
    """A loaded scanner that finds its pieces by number."""

    def __init__(self, work: Work, settings: ScannerSettings) -> None:
        """Load the model."""
        os.environ["OMP_NUM_THREADS"] = "1"
        self._work, self._scanner = work, Scanner(settings)
        gc.freeze()  # as the local engine's workers do
        self._left: Iterator[tuple[int, Piece]] = iter(())
        self._last = -1

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[Any]]:
        """Scan the pieces of a batch.

        What a user can mend is an answer: Ray wraps an exception that is raised, and loses the one inside.
        """
        indices = batch["index"].tolist()
        try:
            results = [write_part_again(self._scanner, index, partial(self._piece, index)) for index in indices]
        except (ParaisiteError, OSError) as error:
            return {"index": indices[:1], "counts": [""], "error": [pickle.dumps(error)]}
        return {
            "index": indices,
            "counts": [json.dumps(result.counts) for result in results],
            "error": [b"" for _ in results],
        }

    def _piece(self, wanted: int) -> Piece:
        if wanted <= self._last or self._last < 0:
            self._left = self._work.left()
        for index, piece in self._left:
            if index == wanted:
                self._last = index
                return piece
        raise ParaisiteError(f"The source no longer has a piece {wanted}: it was changed during the scan.")
