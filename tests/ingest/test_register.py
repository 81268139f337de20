from __future__ import annotations

import os
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import RegistryError
from ingest.events import (
    GROUP_ROLES,
    REGISTRY_CHANGES,
    TAGS,
    WIRE,
    Batch,
    ChangeKind,
    Role,
    empty,
)
from ingest.instruments import Instruments
from ingest.names import Names
from ingest.register import Register, RegisterFile, RegistryRow, read_register
from ingest.register_changes import change_table, changes
from ingest.registry import ALWAYS, FOREVER, format_time, parse_time

HEADER = "account,owner,legal_entity,role,valid_from,valid_to"


def person(  # noqa: PLR0917
    account, role=Role.CLIENT, owner="", start=ALWAYS, end=FOREVER, linked_to=""
):
    return RegistryRow(
        account=account, owner=owner, legal_entity="E", role=role, valid_from_ns=start,
        valid_to_ns=end, linked_to=linked_to,
    )  # fmt: skip


def write(path, *rows, header=HEADER):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def tags(register, names, account, at, column="account"):
    """Role, owner and membership that one row gets for an account."""
    columns = empty(WIRE, 1)
    columns[column][:] = names.code(account) if account else -1
    columns["engine_ns"][:] = at
    out = register.tag(Batch(columns, Instruments([])))
    prefix = column.removesuffix("account")
    member = out[f"{prefix}complex" if prefix else "in_complex"][0]
    return Role(out[f"{prefix}role"][0]), names.name(out[f"{prefix}owner"][0]), bool(member)


# ---- tags ------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["account", "buy_account", "sell_account"])
def test_the_row_in_force_tags_the_event_and_bounds_are_half_open(column):
    names = Names(["someone else"])
    register = Register(
        [
            person("A", Role.CLIENT, "O1", 100, 200),
            person("A", Role.STAFF, "O2", 200, 300),
            person("A", Role.EXTERNAL_MM, "O3", 400),
        ],
        names,
    )
    expected = {
        99: (Role.UNKNOWN, "", False),
        100: (Role.CLIENT, "O1", False),
        199: (Role.CLIENT, "O1", False),
        200: (Role.STAFF, "O2", True),
        299: (Role.STAFF, "O2", True),
        300: (Role.UNKNOWN, "", False),
        399: (Role.UNKNOWN, "", False),
        400: (Role.EXTERNAL_MM, "O3", False),
        2**62: (Role.EXTERNAL_MM, "O3", False),
    }
    for at, tag in expected.items():
        assert tags(register, names, "A", at, column) == tag
        row = register.row_at(names.find("A"), at)
        assert (Role.UNKNOWN if row is None else row.role) is tag[0]


def test_an_account_without_a_row_is_unknown_and_no_account_is_none():
    names = Names()
    register = Register([person("A")], names)
    assert tags(register, names, "B", 5) == (Role.UNKNOWN, "", False)
    assert tags(register, names, "", 5) == (Role.NONE, "", False)
    owner = Register([person("A", owner="O")], names)
    assert tags(owner, names, "O", 5)[0] is Role.UNKNOWN, "an owner's name is no account"
    assert register.row_at(names.find("B"), 5) is None
    assert register.row_at(-1, 5) is None


def test_an_empty_owner_is_no_code():
    names = Names()
    out = Register([person("A")], names)
    assert tags(out, names, "A", 5) == (Role.CLIENT, "", False)


def test_tags_have_the_dtypes_of_the_vocabulary_and_leave_the_batch_alone():
    names = Names()
    batch = Batch(empty(WIRE, 3), Instruments([]))
    out = Register([], names).tag(batch)
    assert {name: str(out[name].dtype) for name in TAGS} == {n: c.dtype for n, c in TAGS.items()}
    assert set(batch.names) == set(WIRE)


def test_rows_of_gives_all_rows_by_name_then_time_whatever_the_codes():
    names = Names()
    for name in ("Z", "B", "A"):
        names.code(name)
    register = Register([person("Z"), person("A", start=9), person("A", end=5)], names)
    found = register.rows_of([names.find("Z"), names.find("B"), names.find("A")])
    assert [(row.account, row.valid_from_ns) for row in found] == [
        ("A", ALWAYS), ("A", 9), ("Z", ALWAYS),
    ]  # fmt: skip


# ---- the complex -----------------------------------------------------------------------------


@pytest.mark.parametrize("role", [r for r in Role if r not in (Role.NONE, Role.UNKNOWN)])
def test_exactly_the_roles_of_the_group_make_an_account_part_of_the_complex(role):
    names = Names()
    register = Register([person("A", role)], names)
    assert tags(register, names, "A", 5)[2] is (role in GROUP_ROLES)


def test_an_owner_is_shared_only_while_both_rows_are_in_force():
    names = Names()
    register = Register(
        [
            person("MM", Role.AFFILIATED_MM, "Group", 100, 200),
            person("C", Role.CLIENT, "Group", 50, 150),
            person("C", Role.CLIENT, "Other", 150, 300),
            person("D", Role.CLIENT, "Group", 200),
        ],
        names,
    )
    for at, member in ((99, False), (100, True), (149, True), (150, False), (199, False)):
        assert tags(register, names, "C", at)[2] is member, at
    assert tags(register, names, "D", 200)[2] is False, "the maker's row has just lapsed"


def test_nobody_shares_an_empty_owner():
    names = Names()
    register = Register([person("MM", Role.AFFILIATED_MM), person("C")], names)
    assert tags(register, names, "C", 5)[2] is False


@pytest.mark.parametrize("named", ["MM", "C"])
def test_a_link_counts_both_ways_while_both_rows_are_in_force(named):
    names = Names()
    link = {named: "C" if named == "MM" else "MM"}
    register = Register(
        [
            person("MM", Role.HOUSE, start=100, end=200, linked_to=link.get("MM", "")),
            person("C", start=120, linked_to=link.get("C", "")),
        ],
        names,
    )
    found = {at: tags(register, names, "C", at)[2] for at in (120, 199, 200, 300)}
    assert found == {120: True, 199: True, 200: False, 300: False}


def test_membership_passes_on_through_owners_and_links_in_turn():
    names = Names()
    chain = [
        person("MM", Role.AFFILIATED, "G", start=10, end=20),
        person("A", owner="G"),
        person("B", linked_to="A", owner="X", start=12),
        person("C", owner="X", end=18),
        person("D", linked_to="nobody", owner="Y"),
    ]
    for rows in (chain, chain[::-1]):
        register = Register(rows, names)
        assert register.complex_of_name("A") == [(10, 20)]
        assert register.complex_of_name("B") == [(12, 20)]
        assert register.complex_of_name("C") == [(12, 18)]
        assert register.complex_of_name("D") == []


def test_membership_by_two_paths_in_turn_has_no_seam():
    names = Names()
    register = Register(
        [
            person("M1", Role.STAFF, "G", 0, 10),
            person("M2", Role.STAFF, "H", 10, 20),
            person("C", owner="G", linked_to="M2"),
        ],
        names,
    )
    assert register.complex_of_name("C") == [(0, 20)]


def complex_at(rows, at):
    """The fixpoint at one moment, in plain Python."""
    rows = [row for row in rows if row.valid_from_ns <= at < row.valid_to_ns]
    found = {row.account for row in rows if row.role in GROUP_ROLES}
    while True:
        owners = {row.owner for row in rows if row.account in found and row.owner}
        linked = {row.linked_to for row in rows if row.account in found}
        more = {
            row.account
            for row in rows
            if row.owner in owners or row.linked_to in found or row.account in linked
        }
        if more <= found:
            return found
        found |= more


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_complex_agrees_with_the_fixpoint_taken_moment_by_moment(data):
    rows = []
    for account in "ABCDEF":
        bounds = data.draw(st.lists(st.integers(0, 12), min_size=2, max_size=4, unique=True))
        for start, end in pairwise(sorted(bounds)):
            if data.draw(st.booleans()):
                rows.append(
                    person(
                        account,
                        data.draw(st.sampled_from([Role.CLIENT, Role.CLIENT, Role.STAFF])),
                        data.draw(st.sampled_from(["", "", "X", "Y", "Z"])),
                        start, end,
                        data.draw(st.sampled_from(["", "", "", "A", "B", "F"])),
                    )
                )  # fmt: skip
    names = Names()
    register = Register(rows, names)
    for at in range(-1, 14):
        expected = complex_at(rows, at)
        for account in "ABCDEF":
            assert tags(register, names, account, at)[2] is (account in expected), (account, at)


# ---- the file --------------------------------------------------------------------------------


def test_a_file_is_read_with_optional_columns_in_any_order(tmp_path):
    path = write(
        tmp_path / "accounts.csv",
        "MM1, G , client,2026-01-01T00:00:00Z,, Group Ltd ,D1,C9",
        header="account,owner,role,valid_from,valid_to,legal_entity,desk,linked_to",
    )
    (row,) = read_register(path, Names()).rows
    assert (row.owner, row.legal_entity, row.desk, row.linked_to) == ("G", "Group Ltd", "D1", "C9")
    assert (row.valid_from_ns, row.valid_to_ns) == (1_767_225_600_000_000_000, FOREVER)
    assert row.line == 2


def test_the_version_is_of_the_content_and_of_nothing_else(tmp_path):
    a = write(tmp_path / "a.csv", "A,O,E,client,,", "B,P,E,staff,2026-01-01T00:00:00Z,")
    b = write(
        tmp_path / "b.csv", "", "B, P ,E,staff,2026-01-01T00:00:00.000Z,,", "A,O,E,client,,,",
        header=HEADER + ",desk",
    )  # fmt: skip
    c = write(tmp_path / "c.csv", "A,O,E,client,,", "B,P,E,staff,2026-01-02T00:00:00Z,")
    versions = [read_register(path, Names(["x"])).version for path in (a, b, c)]
    assert versions[0] == versions[1] != versions[2]
    assert len(versions[0]) == 16


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["A,O,E,boss,,"], r"line 2: role of A must be one of client, .*, was 'boss'"),
        (["A,O,E,unknown,,"], r"line 2: role of A must be one of"),
        ([",O,E,client,,"], r"line 2: account must not be empty"),
        (["A,O,E,client,2026-01-01,"], r"line 2: valid_from of A must be a UTC time like"),
        (["A,O,E,client,,2026-13-01T00:00:00Z"], r"line 2: valid_to of A must be a UTC time"),
        (["A,O,E,client,2026-01-01T00:00:00+01:00,"], r"valid_from of A must be a UTC time"),
        (["A,O,E,client,1066-01-01T00:00:00Z,"], r"valid_from of A must be a UTC time"),
        (
            ["A,O,E,client,2026-01-02T00:00:00Z,2026-01-02T00:00:00Z"],
            r"line 2: valid_to of A must be after valid_from '2026-01-02T00:00:00Z'",
        ),
        (["A,O,E,client,"], r"line 2: expected 6 fields"),
        (["A,O,E,client,,,,"], r"line 2: expected 6 fields"),
        ([], r"lists no account"),
        (
            ["A,O,E,client,,", "B,O,E,client,,", "A,P,E,client,2026-01-01T00:00:00Z,"],
            (
                r"rows of account A must not overlap, but line 2 \(account A, ever to open\) and "
                r"line 4 \(account A, 2026-01-01T00:00:00Z to open\) do"
            ),
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(tmp_path, rows, message):
    path = write(tmp_path / "accounts.csv", *rows)
    with pytest.raises(RegistryError, match=r"accounts\.csv") as error:
        read_register(path, Names())
    assert error.match(message)
    assert "\n" not in str(error.value)


def test_a_missing_column_or_file_is_named(tmp_path):
    path = write(tmp_path / "accounts.csv", header="account,owner,role")
    with pytest.raises(RegistryError, match="missing: legal_entity, valid_from, valid_to"):
        read_register(path, Names())
    with pytest.raises(RegistryError, match=r"register none\.csv cannot be read"):
        read_register(tmp_path / "none.csv", Names())
    (tmp_path / "bad.csv").write_bytes(b"account\xff\xfe")
    with pytest.raises(RegistryError, match=r"bad\.csv cannot be read"):
        read_register(tmp_path / "bad.csv", Names())


def test_rows_that_touch_do_not_overlap(tmp_path):
    day = "2026-01-01T00:00:00Z"
    path = write(tmp_path / "accounts.csv", f"A,O,E,client,,{day}", f"A,O,E,staff,{day},")
    assert len(read_register(path, Names()).rows) == 2


def test_a_full_table_of_names_is_an_error_not_a_silent_unknown():
    with pytest.raises(RegistryError, match="no room for more names"):
        Register([person("A", owner="O")], Names(limit=1))


@given(st.integers(-(2**62), 2**62))
def test_times_survive_being_written_and_read(at_ns):
    assert parse_time(format_time(at_ns), 0, "") == at_ns


# ---- reload ----------------------------------------------------------------------------------


def test_a_reload_takes_a_good_file_and_keeps_the_old_version_over_a_bad_one(tmp_path):
    path = write(tmp_path / "accounts.csv", "A,O,E,client,,")
    file = RegisterFile(path, Names())
    first = file.current
    assert file.reload_if_changed() is None
    write(path, "A,O,E,client,,", "A,O,E,staff,,")
    with pytest.raises(RegistryError, match="must not overlap"):
        file.reload_if_changed()
    assert file.current is first
    assert file.reload_if_changed() is None, "said once for each state of the file"
    path.unlink()
    with pytest.raises(RegistryError, match="cannot be read"):
        file.reload_if_changed()
    write(path, "A,O,E,staff,,")
    second = file.reload_if_changed()
    assert second is file.current
    assert second.version != first.version


def test_a_file_rewritten_with_the_same_content_is_no_new_version(tmp_path):
    path = write(tmp_path / "accounts.csv", "A,O,E,client,,")
    file = RegisterFile(path, Names())
    os.utime(path, ns=(1, 1))
    write(path, "A, O,E,client,,")
    assert file.reload_if_changed() is None


# ---- changes ---------------------------------------------------------------------------------


def difference(old, new, names=None):
    names = names or Names()
    return [
        (c.account, c.kind, c.from_ns, c.to_ns)
        for c in changes(Register(old, names), Register(new, names))
    ]


def test_rows_added_removed_and_altered_are_told_with_the_time_they_affect():
    old = [person("A", start=10, end=20), person("B"), person("C", owner="O1"), person("D")]
    new = [person("A", start=10, end=20), person("C", owner="O2"), person("D"), person("E", end=5)]
    assert difference(old, new) == [
        ("B", ChangeKind.REMOVED, ALWAYS, FOREVER),
        ("C", ChangeKind.ALTERED, ALWAYS, FOREVER),
        ("E", ChangeKind.ADDED, ALWAYS, 5),
    ]
    assert difference(old, old) == []


def test_a_row_that_now_begins_earlier_is_back_dated_over_what_it_gained():
    old = [person("A", Role.STAFF, start=100)]
    assert difference(old, [person("A", Role.STAFF, start=40)]) == [
        ("A", ChangeKind.BACK_DATED, 40, 100)
    ]
    assert difference(old, [person("A", Role.STAFF, start=130)]) == [
        ("A", ChangeKind.REMOVED, 100, 130)
    ]
    assert difference(old, [person("A", Role.STAFF, start=100, end=500)]) == [
        ("A", ChangeKind.REMOVED, 500, FOREVER)
    ]


def test_back_dating_over_another_row_is_an_alteration_of_that_time():
    old = [person("A", Role.CLIENT, end=100), person("A", Role.STAFF, start=100)]
    new = [person("A", Role.CLIENT, end=40), person("A", Role.STAFF, start=40)]
    assert difference(old, new) == [("A", ChangeKind.ALTERED, 40, 100)]


def test_splitting_a_row_that_says_the_same_is_no_change():
    assert difference([person("A")], [person("A", end=5), person("A", start=5)]) == []


def test_joining_the_complex_by_anothers_row_is_a_change_too():
    old = [person("A", owner="G"), person("MM", Role.STAFF, "H", 10, 20)]
    new = [person("A", owner="G"), person("MM", Role.STAFF, "G", 10, 20)]
    assert difference(old, new) == [
        ("A", ChangeKind.COMPLEX, 10, 20),
        ("MM", ChangeKind.ALTERED, 10, 20),
    ]


def test_changes_go_to_the_detectors_as_a_table():
    names = Names()
    old = Register([person("A", Role.CLIENT, "O", 10, 20)], names)
    new = Register([person("A", Role.STAFF, "P", 10, 20)], names)
    table = change_table(changes(old, new), names)
    assert {n: str(a.dtype) for n, a in table.items()} == {
        n: c.dtype for n, c in REGISTRY_CHANGES.items()
    }
    assert {name: column[0] for name, column in table.items()} == {
        "account": names.find("A"), "kind": ChangeKind.ALTERED, "from_ns": 10, "to_ns": 20,
        "role_before": Role.CLIENT, "role_after": Role.STAFF, "owner_before": names.find("O"),
        "owner_after": names.find("P"), "complex_before": 0, "complex_after": 1,
    }  # fmt: skip


def test_tagging_many_rows_agrees_with_looking_each_up():
    rng = np.random.default_rng(2)
    names = Names()
    rows = [
        person(f"A{i}", Role(int(rng.integers(2, 8))), f"O{i % 40}", int(10 * k), int(10 * k + 7))
        for i in range(60)
        for k in range(i % 5)
    ]
    register = Register(rows, names)
    columns = empty(WIRE, 2_000)
    columns["account"][:] = rng.integers(-1, len(names) + 3, 2_000)
    columns["engine_ns"][:] = rng.integers(-5, 60, 2_000)
    tagged = register.tag(Batch(columns, Instruments([])))
    for account, at, role, owner in zip(
        columns["account"].tolist(), columns["engine_ns"].tolist(), tagged["role"].tolist(),
        tagged["owner"].tolist(), strict=True,
    ):  # fmt: skip
        row = register.row_at(account, at) if account < len(names) else None
        if row is None:
            assert (role, owner) == (Role.NONE if account < 0 else Role.UNKNOWN, -1)
        else:
            assert (role, names.name(owner)) == (row.role, row.owner)
