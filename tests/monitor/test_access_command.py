"""`ringfence access`: a table for a reader, JSON for a program."""

from __future__ import annotations

import json
import shutil

import pytest

from ingest.errors import TapeError
from monitor.cli import app

WAYS = [
    "latency", "reject", "fee, maker", "fee, taker", "protection", "rate", "queue, filled",
    "queue, entered", "queue, amended", "stp",
]  # fmt: skip


@pytest.fixture
def access(capsys):
    """Run a command in this process, as its command line does; return what it printed."""

    def run(*arguments):
        app(["access", *map(str, arguments)], standalone_mode=False)
        return capsys.readouterr().out

    return run


def test_every_instrument_has_a_row_a_way(access, tape):
    rows = json.loads(access(tape, "--json"))["measured"]
    names = list(dict.fromkeys(row["instrument"] for row in rows))
    assert names
    assert [(row["instrument"], row["way"]) for row in rows] == [
        (name, way) for name in names for way in WAYS
    ]
    assert {row["verdict"] for row in rows} <= {
        "compliant", "breach", "undisclosed", "no_peer_control", "not_compared", "not_seen",
    }  # fmt: skip


def test_a_table_says_what_is_not_compared(access, tape, tmp_path):
    own = shutil.copytree(tape, tmp_path / "tape")
    (own / "disclosures.csv").write_text(
        "subject,kind,instrument,value,unit,valid_from,valid_to,document\n"
        "MM1,rate_limit,,100,per_s,,,terms of every maker\n"
    )
    said = access(own)
    assert said.startswith("access of the affiliated market maker")
    assert "not compared: rate_limit 100 per_s of MM1 (terms of every maker)" in said


def test_a_folder_that_is_no_tape_is_refused(tmp_path):
    with pytest.raises(TapeError):
        app(["access", str(tmp_path)], standalone_mode=False)
