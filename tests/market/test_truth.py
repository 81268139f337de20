"""The truth file: written and read back, and one line for what is none."""

from __future__ import annotations

import pytest

from ingest.errors import UsageError
from market.truth import Truth, read_truth, write_truth

ONE = Truth(
    scenario="spoofing",
    instrument="SIM",
    accounts=("MM1",),
    start_ns=5,
    end_ns=9,
    severity=0.5,
    order_ids=("O1",),
    client_harm=1.25,
)


def test_what_is_written_is_read_back_by_start_and_then_by_name(tmp_path):
    later = Truth(scenario="a", instrument="S", accounts=("M",), start_ns=7, end_ns=7, severity=1)
    write_truth(tmp_path, [later, ONE])
    assert read_truth(tmp_path) == [ONE, later]
    write_truth(tmp_path, [])
    assert read_truth(tmp_path) == []


def test_fields_that_are_not_known_are_left_out_and_optional_ones_may_lack(tmp_path):
    text = (
        '[{"scenario":"x","instrument":"S","accounts":["M"],"start_ns":1,"end_ns":2,'
        '"severity":0.1,"colour":"red"}]'
    )
    (tmp_path / "truth.json").write_text(text)
    [truth] = read_truth(tmp_path)
    assert (truth.also, truth.order_ids, truth.client_harm) == ((), (), None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'[{"scenario":"\xff"}]', "is not JSON"),
        (b"[", "is not JSON"),
        (b"{}", "Expected `array`"),
        (b'[{"scenario":"x"}]', "missing required field"),
    ],
)
def test_what_is_no_truth_is_one_line(tmp_path, content, said):
    (tmp_path / "truth.json").write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_truth(tmp_path)


def test_a_tape_without_truth_a_file_and_a_folder_of_that_name_are_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "odd" / "truth.json").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "file", tmp_path / "odd"):
        with pytest.raises(UsageError, match="only a labelled tape"):
            read_truth(folder)
