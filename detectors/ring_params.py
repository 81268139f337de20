"""Parameters of wash_rings, with the reason for each default."""

from __future__ import annotations

from typing import Annotated

import msgspec

from detectors.base import Parameter, Params


class WashRingsParams(Params, frozen=True):
    """Thresholds of wash_rings."""

    windows_s: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=2)], ...],
        Parameter(
            "lengths of the windows; each also half-shifted",
            "s",
            "hour, day and week of Victor & Weintraud 2021; a shift catches what a border cuts",
        ),
        msgspec.Meta(min_length=1),
    ] = (3_600, 86_400, 604_800)
    burst_s: Annotated[
        int,
        Parameter(
            "length of the windows, also half-shifted, in which only circles are looked for",
            "s",
            "a circle that meets in a burst is told minutes after, not when its hour is over",
        ),
        msgspec.Meta(ge=2),
    ] = 600
    max_members: Annotated[
        int,
        Parameter(
            "members of the largest ring",
            "count",
            "larger circles are ordinary markets; Victor & Weintraud's largest had 8",
        ),
        msgspec.Meta(ge=2, le=64),
    ] = 8
    tolerance_ratio: Annotated[
        float,
        Parameter(
            "largest net position of a member over a run, as a share of the mean size",
            "ratio",
            "Victor & Weintraud 2021: 1 %",
        ),
        msgspec.Meta(ge=0, lt=1),
    ] = 0.01
    min_layers_unique: Annotated[
        int,
        Parameter(
            "layers in which a set must be a component, unique items",
            "count",
            "an item that comes back to its seller is already worth a look, as weak evidence",
        ),
        msgspec.Meta(ge=1),
    ] = 1
    min_layers: Annotated[
        int,
        Parameter(
            "layers in which a set must be a component, fungible instruments",
            "count",
            "each link of the circle three times; once or twice is a busy day",
        ),
        msgspec.Meta(ge=1),
    ] = 3
    min_turns: Annotated[
        int,
        Parameter(
            "meetings a member that a run must hold, fungible instruments",
            "count",
            "two trades of one round lot balance by themselves; three turns rarely do",
        ),
        msgspec.Meta(ge=1),
    ] = 3
    min_laps: Annotated[
        int,
        Parameter(
            "laps after which everyone stood where they stood before, of a circle in a burst",
            "count",
            "of many strangers some come back once, and twice; in three laps it is a habit",
        ),
        msgspec.Meta(ge=1),
    ] = 3
    min_excess_ratio: Annotated[
        float,
        Parameter(
            "meetings of a set, or in laps of a circle in a burst, over those that members' "
            "activity would give",
            "ratio",
            "activity that changes within a circle's time gives a half more, and makers who quote "
            "at unequal speed cross each other a quarter more often; twice, neither does",
        ),
        msgspec.Meta(gt=1),
    ] = 2.0
    max_hand: Annotated[
        int,
        Parameter(
            "meetings a member of the longest lap, of a circle in a burst",
            "count",
            "an order that takes more than eight others' sizes is rare among a few accounts",
        ),
        msgspec.Meta(ge=1),
    ] = 8
    max_pieces: Annotated[
        int,
        Parameter(
            "meetings in which a pair may pass on one parcel",
            "count",
            "more would let chance make any sum; a parcel in more pieces is still seen as a lap",
        ),
        msgspec.Meta(ge=1, le=8),
    ] = 4
    max_long: Annotated[
        int,
        Parameter(
            "meetings of a set in a window past which it is looked at only around its burst",
            "count",
            "bounds the work for makers, who meet all day; a ring of eight has 300 in forty laps",
        ),
        msgspec.Meta(ge=2),
    ] = 300
    min_burst: Annotated[
        int,
        Parameter(
            "meetings of a pair that may be a burst",
            "count",
            "two meetings are one interval, and no rate",
        ),
        msgspec.Meta(ge=2),
    ] = 3
    burst_probabilities: Annotated[
        tuple[Annotated[float, msgspec.Meta(gt=0, lt=1)], ...],
        Parameter(
            "probabilities at most that a pair meets so often by chance, where bursts are joined "
            "to sets, falling",
            "probability",
            "where to look, not a finding: strangers have a burst in a hundred, and what these "
            "join is parted again at the rarer ones",
        ),
        msgspec.Meta(min_length=1),
    ] = (1e-2, 1e-3, 1e-4, 1e-6, 1e-8)
    join_probability: Annotated[
        float,
        Parameter(
            "probability at most that an account taken into a set meets it so often by chance",
            "probability",
            "where to look, not a finding: whether it belongs is told by laps",
        ),
        msgspec.Meta(gt=0, lt=1),
    ] = 0.01
    member_probability: Annotated[
        float,
        Parameter(
            "probability at most that a member of a circle meets the others so often by chance",
            "probability",
            "the usual 5 %: of every one, while max_probability is asked of all together",
        ),
        msgspec.Meta(gt=0, lt=1),
    ] = 0.05
    max_probability: Annotated[
        float,
        Parameter(
            "largest probability that members meet so often by chance, fungible instruments",
            "probability",
            "10,000 sets in 100 windows a day give 1 such day",
        ),
        msgspec.Meta(gt=0, le=1),
    ] = 1e-6
    quoted_ratio: Annotated[
        float,
        Parameter(
            "share of meetings of an external maker's standing order with who took it from which a "
            "ring is weak evidence",
            "ratio",
            "nineteen in twenty: who takes meets whoever quotes best, and who is quick takes most "
            "from who is slow; members who also trade otherwise choose each other",
        ),
        msgspec.Meta(gt=0, le=1),
    ] = 0.95
    supported_turns: Annotated[
        int,
        Parameter(
            "turns from which evidence is supported and all legs are seen",
            "count",
            "once there and back may undo a mistake; twice is a pattern",
        ),
        msgspec.Meta(ge=1),
    ] = 2
    significant_turns: Annotated[
        int,
        Parameter(
            "turns from which a material share is significant",
            "count",
            "in a thin instrument two turns are already most of the volume",
        ),
        msgspec.Meta(ge=1),
    ] = 10
    material_share_ratio: Annotated[
        float,
        Parameter(
            "share of the instrument's volume that is material",
            "ratio",
            "the 5 % mark of FINRA 5210.02 [S]",
        ),
        msgspec.Meta(gt=0, le=1),
    ] = 0.05
    episode_gap_s: Annotated[
        int,
        Parameter(
            "silence of a ring's windows after which its episode is closed",
            "s",
            "the longest window: trades less far apart can lie in one run",
        ),
        msgspec.Meta(gt=0),
    ] = 604_800
    max_trades: Annotated[
        int,
        Parameter(
            "trades of an instrument or collection that one window looks at, the last ones",
            "count",
            "100 MB of state; past it the week's windows are cut short and say so",
        ),
        msgspec.Meta(ge=2, le=2**24),
    ] = 1_000_000
    max_edges: Annotated[
        int,
        Parameter(
            "distinct seller and buyer pairs of a window; the lightest layers are skipped",
            "count",
            "bounds a window's work; rings are found in heavier layers",
        ),
        msgspec.Meta(ge=2),
    ] = 200_000
    max_set_trades: Annotated[
        int,
        Parameter(
            "trades of one set and window that runs are looked for in, the last ones",
            "count",
            "finding runs may take the square of it",
        ),
        msgspec.Meta(ge=2),
    ] = 20_000
    max_sets: Annotated[
        int,
        Parameter(
            "sets of a window that are tried for being a circle, the first ones",
            "count",
            "bounds a window's work; a busy hour of 100,000 trades has some hundreds",
        ),
        msgspec.Meta(ge=1),
    ] = 20_000
