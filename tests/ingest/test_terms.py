"""Terms: agreements and disclosures beside accounts.csv, part of the register's version."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from ingest.errors import RegistryError
from ingest.names import Names
from ingest.register import Registered, RegisterFile, read_register
from ingest.registry import ALWAYS, FOREVER, parse_time
from ingest.terms import NO_TERMS, Party
from ingest.terms_csv import read_terms, write_terms

ACCOUNTS = """account,owner,legal_entity,role,valid_from,valid_to
MM1,Group,Group Ltd,affiliated_mm,,
"""
OBLIGATIONS = """account,instrument,max_spread_bps,min_quantity,min_presence_ratio,window_s,\
valid_from,valid_to
MM1,B-USD,20,0.100,0.8,3600,2025-01-01T00:00:00Z,
MM1,A-USD,20,0.100,0.8,3600,,2025-01-01T00:00:00Z
"""
DISCLOSURES = """subject,kind,instrument,value,unit,valid_from,valid_to,document
MM1,latency,,60000,ns,2025-01-01T00:00:00Z,,"rack space, as of every maker"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "accounts.csv").write_text(ACCOUNTS)
    (tmp_path / "obligations.csv").write_text(OBLIGATIONS)
    (tmp_path / "disclosures.csv").write_text(DISCLOSURES)
    return tmp_path


def test_rows_say_what_the_files_say(folder: Path) -> None:
    terms = read_terms(folder)
    first, second = terms.obligations
    assert (first.instrument, second.instrument) == ("A-USD", "B-USD")
    assert (second.max_spread_bps, second.min_quantity) == (Decimal(20), Decimal("0.1"))
    assert (second.min_presence_ratio, second.window_s) == (Decimal("0.8"), 3600)
    assert (first.valid_from_ns, second.valid_to_ns) == (ALWAYS, FOREVER)
    (said,) = terms.disclosures
    assert (said.subject, said.kind, said.value, said.unit) == ("MM1", "latency", "60000", "ns")
    assert said.valid_from_ns == parse_time("2025-01-01T00:00:00Z", 0, "")
    assert said.document == "rack space, as of every maker"


def test_a_folder_without_tables_has_no_terms(tmp_path: Path) -> None:
    assert read_terms(tmp_path) == NO_TERMS
    assert not NO_TERMS


def test_written_terms_are_the_same_when_read(folder: Path, tmp_path: Path) -> None:
    terms = read_terms(folder)
    there = tmp_path / "there"
    there.mkdir()
    write_terms(terms, there)
    again = read_terms(there)
    assert again.content == terms.content
    write_terms(NO_TERMS, tmp_path / "there")


def test_terms_are_part_of_the_version(folder: Path) -> None:
    path = folder / "accounts.csv"
    with_both = read_register(path, Names())
    assert with_both.said == Registered(rows=with_both.rows, terms=read_terms(folder))
    (folder / "obligations.csv").write_text(OBLIGATIONS.replace("0.8", "0.9"))
    changed = read_register(path, Names())
    (folder / "obligations.csv").unlink()
    (folder / "disclosures.csv").unlink()
    without = read_register(path, Names())
    assert len({with_both.version, changed.version, without.version}) == 3


def test_the_version_does_not_depend_on_the_order_of_lines(folder: Path) -> None:
    before = read_register(folder / "accounts.csv", Names()).version
    header, *rows = OBLIGATIONS.splitlines()
    (folder / "obligations.csv").write_text("\n".join([header, *reversed(rows)]))
    assert read_register(folder / "accounts.csv", Names()).version == before


def test_a_changed_agreement_is_a_new_version_of_a_file_in_use(folder: Path) -> None:
    file = RegisterFile(folder / "accounts.csv", Names())
    assert file.reload_if_changed() is None
    (folder / "obligations.csv").write_text(OBLIGATIONS.replace("0.8", "0.95"))
    new = file.reload_if_changed()
    assert new is not None
    assert {row.min_presence_ratio for row in new.terms.obligations} == {Decimal("0.95")}
    (folder / "disclosures.csv").write_text(DISCLOSURES.replace("latency", "luck"))
    with pytest.raises(RegistryError, match="kind must be one of"):
        file.reload_if_changed()
    assert file.current is new
    assert file.reload_if_changed() is None


@pytest.mark.parametrize(
    ("table", "old", "new", "says"),
    [
        ("obligations", "0.8,", "1.2,", "line 2: min_presence_ratio must be a number above 0 up"),
        ("obligations", "0.100", "none", "line 2: min_quantity must be a number above 0 up"),
        ("obligations", "0.100", "1e30", "line 2: min_quantity must be a number above 0 up to"),
        ("obligations", "0.100", "1e999999", "line 2: min_quantity must be a number above 0 up"),
        ("obligations", "account,instrument", '"account"x,instrument', "obligations.csv line"),
        ("disclosures", "subject,kind", '"subject,kind', "disclosures.csv line"),
        ("obligations", "3600", "0.5", "line 2: window_s must be whole seconds"),
        ("obligations", "3600", "90000", "window_s must be a number above 0 up to 86400"),
        ("obligations", "MM1,B-USD", ",B-USD", "line 2: account must not be empty"),
        ("obligations", "MM1,A-USD", "MM1,B-USD", "must not overlap, but line 2 and line 3 do"),
        ("obligations", "max_spread_bps", "spread", "missing: max_spread_bps"),
        ("disclosures", "MM1,", ",", "line 2: subject must not be empty"),
        ("disclosures", "2025-01-01T00:00:00Z,,", "2025-01-01T00:00:00Z,2024-01-01T00:00:00Z,",
         "line 2: valid_to must be after valid_from"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_by_line(
    folder: Path, table: str, old: str, new: str, says: str
) -> None:
    path = folder / f"{table}.csv"
    text = path.read_text()
    if says.startswith("must not overlap"):
        text = text.replace(",,2025-01-01T00:00:00Z", ",2025-06-01T00:00:00Z,")
    path.write_text(text.replace(old, new))
    with pytest.raises(RegistryError, match=says):
        read_terms(folder)


def test_names_in_the_terms_have_the_codes_of_their_accounts(folder: Path) -> None:
    (folder / "accounts.csv").write_text(ACCOUNTS + "MM2,Group,Group Ltd,affiliated_mm,,\n")
    (folder / "disclosures.csv").write_text(
        DISCLOSURES + "Group,fee,,0.5,maker_bps,,,fees\nNobody,fee,,0.5,maker_bps,,,fees\n"
    )
    names = Names(["other"])
    register = read_register(folder / "accounts.csv", names)
    one, two, group = (names.find(name) for name in ("MM1", "MM2", "Group"))
    assert register.parties == {
        "MM1": Party(one, (one,)),
        "Group": Party(group, (one, two)),
        "Nobody": Party(names.find("Nobody")),
    }
    assert register.said.terms == read_terms(folder)
