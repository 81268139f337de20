"""Lives of a worker that end as a crash does: forked of one warm process, killed at a point.

`Lives` keeps that process: it has imported everything, loaded every kernel and holds no client of
Kafka or of a database, so a life begins in a fraction of a second. Run as a module it is it.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from monitor.boundaries import BOUNDARIES

ROOT = Path(__file__).resolve().parents[2]
POLL_S = 0.01
FAILED = 70
"""Exit code of a life that an error ended; its log says which."""
WHEN_NEEDED = (
    "monitor.run",
    "alembic.command",
    "pg8000.dbapi",
    "sqlalchemy.dialects.postgresql.pg8000",
    "sqlalchemy.dialects.sqlite",
)
"""What a worker imports on its way: imported before any life is forked."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A life, and how it is to end; by default when the feed has been drained."""

    config: str
    drains: bool = True
    """Whether it ends by itself once the feed has been drained."""
    boundary: str = ""
    hit: int = 1
    """It is killed when it comes to `boundary` for this time."""
    calls: int = 0
    """It is killed at this boundary, whichever it is; 0 = not."""
    number: int = signal.SIGKILL
    """Signal that it gives itself there; a stopped one goes on once it is told to."""
    alarm_s: float = 0.0
    """It is killed when so much wall time has passed, wherever it is; 0 = not."""
    call: str = ""
    """MODULE:CLASS.METHOD that takes the place of a boundary: it ends before this is called."""
    idle_s: float = 0.0
    """Time after which the database ends a transaction in which nothing happens; 0 = as set up."""
    environment: dict[str, str] = {}


class End(msgspec.Struct, frozen=True, kw_only=True):
    """How a life ended."""

    code: int
    """Exit code, or the number of the signal that ended it, negative."""
    reached: tuple[str, ...]
    """Boundaries that it came to, in order."""

    def was_at(self, boundary: str, hit: int) -> bool:
        """Return whether it was killed when it had come there, and so often."""
        there = self.reached[-1:] == (boundary,)
        return self.code == -signal.SIGKILL and there and self.reached.count(boundary) == hit


class Life:
    """A worker in a process of its own."""

    def __init__(self, pid: int, lives: Lives, notes: Path, log: Path) -> None:
        self.pid = pid
        self.log = log
        self._lives = lives
        self._notes = notes

    @property
    def reached(self) -> tuple[str, ...]:
        """Boundaries that it has come to, in order."""
        return tuple(BOUNDARIES[number] for number in self._notes.read_bytes())

    def signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def poll(self) -> End | None:
        """Return how it ended, or None while it goes on."""
        status = self._lives.ask({"do": "poll", "pid": self.pid})
        if status is None:
            return None
        return End(code=os.waitstatus_to_exitcode(status), reached=self.reached)

    def end(self, timeout_s: float = 150.0) -> End:
        """Wait for its end and return it; one that goes on for longer fails the test."""
        until = time.monotonic() + timeout_s
        while (end := self.poll()) is None:
            if time.monotonic() > until:
                self.signal(signal.SIGABRT)
                raise AssertionError(f"it still runs after {timeout_s} s:\n{self.tail()}")
            time.sleep(POLL_S)
        return end

    def ends_well(self, timeout_s: float = 150.0) -> End:
        """Wait for its end; fail when it is not exit code 0."""
        end = self.end(timeout_s)
        assert end.code == 0, f"ended with {end.code}:\n{self.tail()}"
        return end

    def wait(self, condition: Any, what: str, timeout_s: float = 150.0) -> None:
        """Wait until a condition holds; fail when it does not in time or the life ends first."""
        until = time.monotonic() + timeout_s
        while not condition():
            end = self.poll()
            assert end is None, f"it ended ({end}) while waiting for {what}:\n{self.tail()}"
            assert time.monotonic() < until, f"no {what} within {timeout_s} s:\n{self.tail()}"
            time.sleep(POLL_S)

    def frozen(self) -> bool:
        """Return whether it has been stopped and not been told to go on."""
        stat = Path(f"/proc/{self.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def tail(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-4_000:]


class Lives:
    """The warm process that lives are forked of.

    Parameters
    ----------
    folder : Path
        Takes logs and what lives note of the boundaries that they come to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.lives"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == "warm"

    def start(self, config: Path, **plan: Any) -> Life:
        """Begin a life; the arguments are those of `Plan`."""
        self._count += 1
        notes, log = (self.folder / f"{self._count}.{kind}" for kind in ("notes", "log"))
        notes.touch()
        asked = {"do": "start", "notes": str(notes), "log": str(log)}
        asked["plan"] = msgspec.to_builtins(Plan(config=str(config), **plan))
        return Life(self.ask(asked), self, notes, log)

    def ask(self, question: dict[str, Any]) -> Any:
        """Put a question to the warm process."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the warm process, and every life that goes on."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process that lives are forked of has ended"
        return json.loads(line)


class Hook:
    """Notes every boundary in a file, and ends the process at the planned one."""

    def __init__(self, plan: Plan, notes: Path) -> None:
        self._plan = plan
        self._file = os.open(notes, os.O_WRONLY | os.O_APPEND)
        self._calls = 0
        self._hits = 0

    def __call__(self, boundary: str) -> None:
        plan = self._plan
        os.write(self._file, bytes([BOUNDARIES.index(boundary)]))
        self._calls += 1
        self._hits += boundary == plan.boundary
        here = boundary == plan.boundary and self._hits == plan.hit
        if here or self._calls == plan.calls:
            os.kill(os.getpid(), plan.number)


def watch_calls(plan: Plan) -> None:
    """Let this process end, or stop, before the planned call of a method."""
    module, _, path = plan.call.partition(":")
    owner, _, name = path.partition(".")
    kind = getattr(importlib.import_module(module), owner)
    method, calls = getattr(kind, name), count(1)

    def watched(*arguments: Any, **options: Any) -> Any:
        if next(calls) == plan.hit:
            os.kill(os.getpid(), plan.number)
        return method(*arguments, **options)

    setattr(kind, name, watched)


def live(plan: Plan, notes: Path) -> None:
    """Run the service as planned."""
    from rich.console import Console

    import alerts.database
    from monitor.run import run_service

    os.environ.update(plan.environment)
    if plan.call:
        watch_calls(plan)
    if plan.idle_s:
        alerts.database.IDLE_MS = int(plan.idle_s * 1000)  # type: ignore[misc]
    if plan.alarm_s:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, plan.alarm_s)
    run_service(
        Path(plan.config),
        None,
        exit_when_drained=plan.drains,
        err=Console(stderr=True),
        show=lambda *_: None,
        reach=Hook(plan, notes),
    )


def load_kernels() -> None:
    """Take every compiled kernel from its cache; no thread is started and no data is touched."""
    from numba.core.dispatcher import Dispatcher

    rooms = [m for name, m in sys.modules.items() if name.startswith(("ingest.", "detectors."))]
    found = {id(o): o for room in rooms for o in vars(room).values() if isinstance(o, Dispatcher)}
    for kernel in found.values():
        for signature, *_ in kernel._cache._cache_file._load_index():  # type: ignore[attr-defined]
            kernel.compile(signature)


def _begin(question: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = FAILED
    try:
        log = os.open(question["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        live(msgspec.convert(question["plan"], Plan), Path(question["notes"]))
        code = 0
    except BaseException:  # noqa: BLE001 (nothing may get back into the loop below)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    """Fork a life for each question that asks for one, until there are no more questions."""
    for name in WHEN_NEEDED:
        importlib.import_module(name)
    subprocess.run([sys.executable, "-m", "monitor.warm"], check=True, stdout=subprocess.DEVNULL)
    load_kernels()
    ended: dict[int, int] = {}
    going: set[int] = set()
    print(json.dumps("warm"), flush=True)  # noqa: T201
    for line in sys.stdin:
        question = json.loads(line)
        if question["do"] == "start":
            pid = _begin(question)
            going.add(pid)
            print(pid, flush=True)  # noqa: T201
            continue
        pid = question["pid"]
        if pid in going:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                going.remove(pid)
                ended[pid] = status
        print(json.dumps(ended.get(pid)), flush=True)  # noqa: T201
    for pid in going:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    serve()
