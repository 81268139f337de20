"""The installed command, run as a user runs it."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch
from urllib.error import HTTPError, URLError

import structlog

from monitor.cli import main

COMMAND = Path(sys.executable).with_name("ringfence")


def ringfence(*arguments, cwd=None, timeout=300, env=None):
    """Run a command to its end; the result has `returncode`, `stdout` and `stderr` (text)."""
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | (env or {}),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def called(*arguments, cwd=None):
    """Run a command to its end in this process, a tenth of the cost: for what starts no service.

    The result is that of `ringfence`.
    """
    words = ["ringfence", *map(str, arguments)]
    out, err, code = io.StringIO(), io.StringIO(), 0
    logging_before = structlog.get_config()
    try:
        with (
            patch.object(sys, "argv", words),
            patch.dict(os.environ, {"COLUMNS": "80"}),
            chdir(cwd or Path.cwd()),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            main()
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        structlog.configure(**logging_before)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def warm() -> None:
    """Compile what kernels are not compiled yet, as the set-up does: else a service's first records
    wait for a compiler, up to half a minute."""
    subprocess.run([sys.executable, "-m", "monitor.warm"], check=True, capture_output=True)


class RunningService:
    """`ringfence run` in the background, ended by its own process id."""

    def __init__(self, config: Path, port: int, *arguments: str) -> None:
        self.port = port
        self._log = config.with_suffix(".log").open("a")
        self.process = subprocess.Popen(
            [COMMAND, "run", "-c", config, *arguments],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of a page; status 0 while nothing listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()
        except (URLError, OSError):
            return 0, ""

    def metric(self, name: str) -> float:
        """Return the sum of a metric's samples; 0 while there are none."""
        lines = self.get("/metrics")[1].splitlines()
        found = [line for line in lines if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    def wait(self, condition, what: str, timeout_s: float = 60.0) -> None:
        """Wait until a condition holds; fail when it does not in time or the service has ended."""
        until = time.monotonic() + timeout_s
        while not condition():
            assert self.process.poll() is None, f"the service ended while waiting for {what}"
            assert time.monotonic() < until, f"no {what} within {timeout_s} s"
            time.sleep(0.05)

    def stop(self) -> float:
        """Send SIGTERM; return the seconds that the stop took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=30) == 0
        return time.monotonic() - begun

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait(timeout=30)

    def close(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            self.kill()
        self._log.close()
