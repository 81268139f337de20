"""The JSON Schema of the record, the file in docs, and the output that it describes."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from alerts.output import write_alerts
from alerts.record import Alert, decode
from alerts.record_schema import record_schema
from detectors.base import Feature

FILE = Path(__file__).resolve().parents[2] / "docs" / "alert.schema.json"


@pytest.fixture
def lines(venue, tmp_path):
    book = venue.book()
    book.apply(
        [
            venue.finding("breaches", client_harm=12.5, counterfactual="served first"),
            venue.finding("rules", seqs=(1, 3), coverage="incomplete"),
            venue.finding("indicators", first=9, code=1, notify_clock="asap"),
            venue.finding("rules", first=6, features={"word": Feature("client", "word", 3)}),
        ],
        venue.register,
    )
    path = tmp_path / "alerts.ndjson"
    assert write_alerts(path, book.alerts()) == 3
    return path.read_bytes().splitlines()


def test_the_file_in_docs_is_the_schema_of_the_code():
    assert json.loads(FILE.read_text()) == record_schema()


def test_real_output_is_valid(lines):
    jsonschema.Draft202012Validator.check_schema(record_schema())
    validator = jsonschema.Draft202012Validator(record_schema())
    for line in lines:
        validator.validate(json.loads(line))
        assert list(json.loads(line)) == list(Alert.__struct_fields__)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("score", 1.5),
        ("status", "open"),
        ("alert_id", "ABC"),
        ("revision", 0),
        ("detected_ns", 1.5),
        ("accounts", "MM1"),
        ("source", [{"topic": "orders", "partition": 0, "first_offset": 1}]),
        ("features", {"x": {"value": 1}}),
        ("extra", 1),
    ],
)
def test_a_record_that_is_not_one_is_refused(lines, field, value):
    broken = json.loads(lines[0]) | {field: value}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, record_schema())


def test_the_file_holds_the_last_revisions_in_order_of_detection(venue, tmp_path, lines):
    alerts = [decode(line) for line in lines]
    assert alerts == sorted(alerts, key=lambda a: (a.detected_ns, a.alert_id))
    book = venue.book()
    changes = [
        *book.apply([venue.finding()], venue.register),
        *book.apply([venue.finding(revision=2, seqs=(6,))], venue.register),
    ]
    path = tmp_path / "other.ndjson"
    write_alerts(path, reversed(changes))
    assert [decode(line).revision for line in path.read_bytes().splitlines()] == [2]
    assert not list(tmp_path.glob("*.partial"))
