"""What `python -m monitor.warm` is for: afterwards nobody waits for a compiler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from monitor.config import default_config
from monitor.warm import share_of
from tests.support.venue import ABUSES, random_tape

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
from pathlib import Path

from numba.core.dispatcher import Dispatcher

from monitor import warm
from monitor.config import default_config
from monitor.replay import replay

def compiled():
    rooms = [m for n, m in sorted(sys.modules.items()) if n.startswith(("ingest.", "detectors."))]
    kernels = {id(v): v for m in rooms for v in vars(m).values() if isinstance(v, Dispatcher)}
    names = {k: f"{k.py_func.__module__}.{k.__name__}" for k in kernels.values()}
    return {f"{name} {types}" for k, name in names.items() for types in k.signatures}

warm.main()
before = compiled()
assert len(before) > 15, before
for tape in sys.argv[2:]:
    replay(Path(tape), Path(sys.argv[1]), default_config(Path(sys.argv[1])))
print(*sorted(compiled() - before), sep="\\n")
"""


@pytest.fixture
def hours(tmp_path) -> Path:
    """Simulated: more accounts than tables begin with, over some hours, so that windows close."""
    tape = random_tape(3, 12_000, instruments=1, accounts=1_500, abuse=ABUSES)
    start = tape.records[0]["engine_ns"]
    for record in tape.records:
        for name in ("engine_ns", "received_ns"):
            if record.get(name) is not None:
                record[name] = start + 100 * (record[name] - start)
    return tape.write(tmp_path / "hours")


def test_after_the_warm_up_no_tape_makes_the_compiler_run(hours, gappy_tape, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), str(hours), str(gappy_tape)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["", ""]
    assert "kernels are ready" in done.stderr


def test_the_processes_that_compile_share_all_detectors_between_them(tmp_path):
    config = default_config(tmp_path)
    shares = [share_of(config, part, 3).detectors for part in range(3)]
    assert sum(len(share) for share in shares) == len(config.detectors)
    assert {name for share in shares for name in share} == set(config.detectors)
