"""Every kind of abuse together: one catalogue, one tape, the same bytes, all of it documented."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ingest.errors import UsageError
from market.abuse.catalogue import INJECTORS
from market.assembly import Market, Settings
from market.check import check_clean
from market.simulate import simulate
from market.truth import SCENARIOS, read_truth
from tests.support.labelled import assert_read_without_fault

PAGE = (Path(__file__).parents[2] / "docs/market.md").read_text()
ALL = {"seed": 108, "hours": 0.25, "instruments": 2, "scenarios": SCENARIOS, "severity": 0.8}


def test_there_is_an_injector_for_every_scenario_and_no_other():
    assert set(INJECTORS) == set(SCENARIOS)
    assert all(injector.scenario == name for name, injector in INJECTORS.items())


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_kind_is_documented_with_every_way_it_hides(name):
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    for way in INJECTORS[name].evasions:
        assert f"`{way}`" in row, way


def test_all_kinds_on_one_tape_give_the_same_bytes_and_are_read_without_a_fault(tmp_path):
    class Folder:
        folder = tmp_path / "a"

    results = [simulate(tmp_path / n, Settings(harm=n == "b", **ALL)) for n in ("a", "b")]
    for name in ("orders.ndjson", "trades.ndjson", "reference.ndjson", "accounts.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    truths, measured = (read_truth(tmp_path / n) for n in ("a", "b"))
    assert [t.order_ids for t in truths] == [t.order_ids for t in measured]
    assert Counter(t.scenario for t in truths) == {k: n for k, n in results[0].cases.items() if n}
    # Kinds that last for hours have no room beside each other on so short a tape.
    assert len({t.scenario for t in truths}) >= 12
    assert any(t.client_harm for t in measured)
    assert {t.client_harm for t in truths} == {None}
    assert_read_without_fault(Folder, tmp_path / "out")
    found = check_clean(tmp_path / "a")
    assert min(found.same_account, found.same_owner, found.within_complex) > 0
    assert found.overtaken + found.out_of_turn > 0


def test_what_is_off_leaves_the_honest_market_as_it_is():
    """Taps and hooks that nobody uses change no byte."""
    clean, idle = [], []
    Market(Settings(seed=109, hours=0.05, instruments=2), clean.append, clean.append, len).run()
    settings = Settings(seed=109, hours=0.02, instruments=2, scenarios=SCENARIOS, harm=False)
    Market(settings, idle.append, idle.append, len).run()
    # Nothing begins in the opening of a tape.
    assert len(idle) > 1_000
    assert clean[: len(idle) // 2] == idle[: len(idle) // 2]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"scenarios": ("insider",)}, "--scenario must be one of"),
        ({"severity": 1.5}, "--severity must be 0 to 1"),
        ({"evasion": "cape"}, "--evasion must be one of"),
        ({"evasion": "split", "scenarios": ("wash_self",)}, "--evasion must be one of across_min"),
    ],
)
def test_arguments_out_of_range_are_named(wrong, said):
    with pytest.raises(UsageError, match=said):
        Settings(seed=1, hours=1, **wrong)
