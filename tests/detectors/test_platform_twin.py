"""Platform scope through summaries and stage gives what a direct step gives, to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from detectors.wash_rings import WashRingsParams
from market.assembly import Settings
from market.simulate import simulate
from tests.support.conformance import conformance_tape
from tests.support.platform_twin import Direct, Staged

ROOT = Path(__file__).resolve().parents[2]
SHORT_WINDOWS = {"wash_rings": WashRingsParams(windows_s=(600, 1_800))}
"""So that many windows end on a tape of an hour; their borders are whole minutes."""


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "rings"
    simulate(
        folder,
        Settings(
            seed=5,
            hours=0.6,
            instruments=3,
            rate=0.5,
            matching="price_time",
            scenarios=("wash_ring",),
            severity=0.8,
            evasion="none",
            harm=False,
        ),
    )
    return folder


@pytest.fixture(scope="module")
def conformance(tmp_path_factory):
    return conformance_tape().write(tmp_path_factory.mktemp("conformance") / "tape")


@pytest.fixture(scope="module", params=["terraforms", "conformance", "simulated"])
def tape(request):
    """A tape's folder, and parameters with which rings are found on it."""
    if request.param == "terraforms":
        return ROOT / "samples" / "terraforms", {}
    return request.getfixturevalue(request.param), SHORT_WINDOWS


@pytest.fixture(scope="module")
def direct(tape, tmp_path_factory):
    folder, params = tape
    rooms = Direct(folder, tmp_path_factory.mktemp("direct"), params=params).run()
    assert len(rooms.platform_lines()) >= 1
    return rooms


@pytest.mark.parametrize("batch_rows", [501, 65_536])
def test_one_shard_gives_the_alerts_of_a_direct_step_to_the_byte(
    tape, direct, tmp_path, batch_rows
):
    folder, params = tape
    staged = Staged(folder, tmp_path, batch_rows=batch_rows, params=params).run()
    assert staged.lines() == direct.lines()
    assert staged.stage.late == staged.stage.repeated == 0


@pytest.mark.parametrize("shards", [2, 3])
def test_instruments_dealt_out_over_shards_give_the_same_platform_alerts(
    tape, direct, tmp_path, shards
):
    folder, params = tape
    staged = Staged(folder, tmp_path, batch_rows=3_001, params=params).run(shards)
    assert staged.platform_lines() == direct.platform_lines()
    assert len({summary.shard for summary in staged.summaries if len(summary.rows)}) == shards
    assert staged.stage.late == 0


def test_restarts_of_every_stage_between_batches_change_no_byte(tape, direct, tmp_path):
    folder, params = tape
    staged = Staged(folder, tmp_path, batch_rows=2_500, params=params).run(restart=True)
    assert staged.lines() == direct.lines()
