"""A correction changes one account over one stretch of time, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.correction import Correction, corrected
from ingest.errors import RegistryError
from ingest.names import Names
from ingest.register import read_register
from ingest.registry import ALWAYS, FOREVER

HEADER = "account,owner,legal_entity,role,valid_from,valid_to,note\n"
ROWS = (
    'C1,O-C1,"One, Ltd",client,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z,kept\n'
    "C1,O-C1,One,client,2026-02-01T00:00:00Z,,\n"
    "C2,O-C2,Two,client,,,\n"
    "MM1,O-G,Group,affiliated_mm,,,\n"
)
TEXT = HEADER + ROWS
DAY_NS = 86_400 * 10**9
JANUARY_NS = 1_767_225_600 * 10**9


def read(text, tmp_path):
    path = tmp_path / "accounts.csv"
    path.write_text(text)
    return read_register(path, Names())


def test_only_the_account_and_time_named_change(tmp_path):
    at_ns = JANUARY_NS + 10 * DAY_NS
    text = corrected(TEXT, Correction(account="C1", from_ns=at_ns, linked_to="MM1"))
    lines = text.splitlines()
    assert lines[0] == HEADER.strip() + ",linked_to"
    assert lines[1] == ('C1,O-C1,"One, Ltd",client,2026-01-01T00:00:00Z,2026-01-11T00:00:00Z,kept,')
    assert lines[2] == (
        'C1,O-C1,"One, Ltd",client,2026-01-11T00:00:00Z,2026-02-01T00:00:00Z,kept,MM1'
    )
    assert lines[3] == "C1,O-C1,One,client,2026-02-01T00:00:00Z,,,MM1"
    assert lines[4:] == [line + "," for line in ROWS.splitlines()[2:]]
    register = read(text, tmp_path)
    assert [row.linked_to for row in register.rows_of_name("C1")] == ["", "MM1", "MM1"]
    assert register.complex_of_name("C1") != register.complex_of_name("C2")


@settings(deadline=None)
@given(
    start=st.integers(-40, 80),
    length=st.integers(1, 90),
    probe=st.integers(-60, 200),
)
def test_at_every_time_an_account_is_what_it_was_or_what_was_decided(
    tmp_path_factory, start, length, probe
):
    folder = tmp_path_factory.mktemp("register")
    from_ns, to_ns = JANUARY_NS + start * DAY_NS, JANUARY_NS + (start + length) * DAY_NS
    correction = Correction(account="C1", from_ns=from_ns, to_ns=to_ns, owner="O-NEW")
    before = read(TEXT, folder)
    at_ns = JANUARY_NS + probe * DAY_NS
    names = Names()
    (folder / "accounts.csv").write_text(TEXT)
    before = read_register(folder / "accounts.csv", names)
    if to_ns <= JANUARY_NS:
        with pytest.raises(RegistryError):
            corrected(TEXT, correction)
        return
    (folder / "accounts.csv").write_text(corrected(TEXT, correction))
    after = read_register(folder / "accounts.csv", names)
    for account in ("C1", "C2", "MM1"):
        was, now = (each.row_at(names.find(account), at_ns) for each in (before, after))
        assert (was is None) == (now is None)
        if was is not None and now is not None:
            within = account == "C1" and from_ns <= at_ns < to_ns
            assert now.owner == ("O-NEW" if within else was.owner)
            assert now.legal_entity == was.legal_entity


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"account": "C1"}, "must set one of role, owner, linked_to"),
        ({"account": "C1", "role": "friend"}, "role must be one of"),
        ({"account": "C1", "owner": "X", "from_ns": 5, "to_ns": 5}, "end after it begins"),
        ({"account": "C1", "linked_to": "MM1 "}, "no spaces around it"),
        ({"account": "C1", "owner": "N\nM"}, "no spaces around it"),
    ],
)
def test_a_correction_that_says_nothing_or_nonsense_is_refused(arguments, why):
    with pytest.raises(RegistryError, match=why):
        Correction(**arguments)


def test_an_account_without_a_row_in_that_time_is_refused():
    with pytest.raises(RegistryError, match="no row of GHOST in that time"):
        corrected(TEXT, Correction(account="GHOST", owner="X"))
    early = Correction(account="C1", to_ns=JANUARY_NS, owner="X")
    with pytest.raises(RegistryError, match="no row of C1 in that time"):
        corrected(TEXT, early)


def test_without_bounds_a_correction_is_of_all_time(tmp_path):
    correction = Correction(account="C2", role="affiliated")
    assert (correction.from_ns, correction.to_ns) == (ALWAYS, FOREVER)
    (row,) = read(corrected(TEXT, correction), tmp_path).rows_of_name("C2")
    assert correction.holds(row)


def test_columns_without_a_name_and_line_breaks_within_quotes_stay():
    header = HEADER.strip() + ",,,note\n"
    text = header + 'C1,O,L,client,,,a,b,c,"line one\nline two"\nC2,O,L,client,,,1,2,3,"x\ny"\n'
    assert corrected(text, Correction(account="C1", owner="P")) == (text.replace("C1,O,", "C1,P,"))


def test_a_column_that_stands_twice_is_refused():
    text = TEXT.replace("note", "owner")
    with pytest.raises(RegistryError, match="column owner more than once"):
        corrected(text, Correction(account="C1", owner="P"))
