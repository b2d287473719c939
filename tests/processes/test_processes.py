"""The process layer by itself: real processes, really killed."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import services

from paraisite.errors import ModelFileError, ParaisiteError
from paraisite.processes.child import Child, ChildDiedError, import_path
from paraisite.processes.pool import ProcessPool
from paraisite.processes.worker import TaskCrashedError, Worker

HERE = Path(__file__).parent
LONG_TASK = ["x" * 1300] * 64
"""More bytes than a pipe holds."""


def test_answers_come_in_the_order_of_the_tasks() -> None:
    with ProcessPool(partial(Child, services.echo), 2) as pool:
        assert list(pool.in_order(iter(range(20)))) == list(range(20))


def test_answers_as_they_come_are_all_there() -> None:
    with ProcessPool(partial(Child, services.echo), 2) as pool:
        assert sorted(pool.as_finished(iter(range(20)))) == list(range(20))


def test_a_task_is_taken_while_another_is_at_work() -> None:
    with Child(services.slow) as child:
        list(_sent(child, LONG_TASK))  # the child is ready
        begin = time.monotonic()
        child.send(LONG_TASK)
        time.sleep(0.2)
        for _ in range(5):
            child.send(LONG_TASK)
        assert time.monotonic() - begin < 0.9, "sending waited for a task to end"
        assert [list(child.answers()) for _ in range(6)] == [[64]] * 6


def _sent(child: Child, task: object) -> list[object]:
    child.send(task)
    return list(child.answers())


def test_many_files_of_long_paths_do_not_fill_a_pipe_for_ever() -> None:
    code = (
        "from paraisite.models.inputs import Needs\n"
        "from paraisite.prediction.worker import Preparation, prepare_pool, prepare_with\n"
        "paths = ['/' + '/'.join([('%03d' % n) * 50] * 8) + 'x' * 60 for n in range(600)]\n"
        "assert len(paths[0]) == 1268\n"
        "with prepare_pool(1, Preparation(Needs())) as pool:\n"
        "    print(sum(len(chunk.rows.status) for chunk in prepare_with(pool, paths)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.strip() == "600"


def test_a_worker_that_is_killed_is_replaced_and_repeats_no_answer(tmp_path: Path) -> None:
    with ProcessPool(partial(Child, partial(services.die_once, tmp_path / "mark")), 1) as pool:
        before = pool.workers[0].pid
        assert list(pool.in_order(iter(range(5)))) == [0, 1, 10, 11, 20, 21, 30, 31, 40, 41]
        assert pool.workers[0].pid != before
    assert (tmp_path / "mark").exists()


def test_a_task_that_kills_twice_is_named_and_the_others_go_on() -> None:
    crashes = []

    def recover(_: Worker, crash: TaskCrashedError) -> list[int]:
        crashes.append(crash)
        return [-1]

    with ProcessPool(partial(Child, services.count_or_die), 2, recover) as pool:
        found = list(pool.in_order(iter(range(8))))
    assert found == [*range(3), *(10 * t + n for t in range(1, 5) for n in range(3)), 50, -1, *(60, 61, 62, 70, 71, 72)]
    assert [(crash.task, crash.n_done) for crash in crashes] == [(5, 1)]
    assert "signal 9" in str(crashes[0])


def test_without_recovery_it_is_one_error() -> None:
    with ProcessPool(partial(Child, services.count_or_die), 1) as pool, pytest.raises(ChildDiedError, match="signal 9"):
        list(pool.as_finished(iter(range(8))))


def test_exceptions_reach_the_parent_as_themselves() -> None:
    with Child(services.raising) as child:
        for number, expected in enumerate(services.RAISED):
            with pytest.raises(type(expected)) as caught:
                _sent(child, number)
            assert type(caught.value) is type(expected)
            assert str(caught.value) == str(expected)
            for name in ("code", "filename", "errno", "start"):
                assert getattr(caught.value, name, None) == getattr(expected, name, None)
        with pytest.raises(ParaisiteError, match="OddError: odd 99"):
            _sent(child, 99)
        with pytest.raises(MemoryError) as again:
            _sent(child, len(services.RAISED) - 1)
        assert "services.py" in again.value.__notes__[0]


def test_a_service_that_cannot_begin_says_why() -> None:
    with (
        ProcessPool(partial(Child, services.unready), 2) as pool,
        pytest.raises(ModelFileError, match="no model") as caught,
    ):
        list(pool.as_finished(iter(range(3))))
    assert caught.value.code == "no_model"


def test_all_errors_of_the_package_survive_pickling() -> None:
    found, seen = [ParaisiteError], set()
    while found:
        kind = found.pop()
        found += kind.__subclasses__()
        if kind.__module__.startswith("paraisite.") and kind not in seen:
            seen.add(kind)
            copy = pickle.loads(pickle.dumps(kind("A sentence.")))
            assert (type(copy), str(copy), copy.code) == (kind, "A sentence.", kind.code)


def test_what_a_library_prints_is_no_answer(tmp_path: Path) -> None:
    with Child(services.print_much, log=tmp_path / "log") as child:
        assert _sent(child, "task") == ["task"]
    assert (tmp_path / "log").read_text().split() == ["printed", "written"]


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    out = tmp_path / "written"
    code = (
        "import sys, time, services\n"
        "from paraisite.processes.child import Child\n"
        "child = Child(services.write_for_ever); child.send(sys.argv[1]); time.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *import_path()])}
    parent = subprocess.Popen([sys.executable, "-c", code, str(out)], env=environment)
    _wait_for(out.exists)
    (worker,) = set(map(int, out.read_text().split()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _wait_for(lambda: not _alive(worker))
    n_written = out.stat().st_size
    time.sleep(0.5)
    assert out.stat().st_size == n_written


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def _wait_for(condition: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_child_imports_nothing_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "of_the_user.py").write_text("")
    (tmp_path / "queue.py").write_text("raise SystemExit('of the user')")
    monkeypatch.chdir(tmp_path)
    for first in ("", str(tmp_path), "."):
        monkeypatch.setattr(sys, "path", [first, *sys.path])
        with Child(services.import_module) as child:
            assert _sent(child, "of_the_user") == [None]
            assert not _sent(child, "queue")[0].startswith(str(tmp_path))


def test_modules_that_are_not_to_be_loaded() -> None:
    with Child(services.import_module, without=("colorsys",)) as child:
        assert _sent(child, "colorsys") == [None]
        assert _sent(child, "wave")[0].endswith("wave.py")
