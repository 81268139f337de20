"""Scenes of hidden_affiliates: a crowd at random, a group that is hit, a suspect beside them."""

from __future__ import annotations

import random

from detectors.examples import batch_of, example_instruments, trade
from detectors.hidden_affiliates import HiddenAffiliates, HiddenAffiliatesParams
from ingest.events import NO_CODE, Phase, Role, Side

SECOND = 10**9
START = 1_763_942_400 * SECOND
"""Midnight."""
MM, SISTER, X1, X2, SUSPECT = 1, 2, 3, 4, 7
ROLES = {MM: Role.AFFILIATED_MM, SISTER: Role.AFFILIATED, X1: Role.EXTERNAL_MM,
         X2: Role.EXTERNAL_MM}  # fmt: skip
GROUP = {MM, SISTER}
TABLE = example_instruments(("BTC-USD", "ETH-USD"))
CROWD = range(100, 130)
EVERY_S = 9


class Scene:
    """Every 9 s a client hits the group, or one of two makers; clients take at random beside it."""

    def __init__(self, turns=200, seed=3, start_ns=START, of=(MM, MM, X1, X2)):
        self.rng = random.Random(seed)
        self.rows = []
        self.hits = []
        """Times and sides at which the group was hit, or all makers."""
        for turn in range(turns):
            at_ns = start_ns + (EVERY_S * turn + 1) * SECOND
            side, against = self.side(), self.rng.choice(of)
            self.take(at_ns, self.someone(), side, against)
            if against == MM:
                self.hits.append((at_ns, side))
            for _ in range(4):
                later_ns = at_ns + self.rng.randrange(EVERY_S * SECOND)
                self.take(later_ns, self.someone(), self.side(), 90 + self.rng.randrange(5))
        self.end_ns = start_ns + EVERY_S * turns * SECOND

    def side(self):
        return self.rng.choice((Side.BUY, Side.SELL))

    def someone(self):
        return self.rng.choice(CROWD)

    def take(self, at_ns, account, side, against=90, *, lots=10, code=0, **columns):
        """Add an execution by one instruction of an account."""
        mine, other = ("buy", "sell") if side > 0 else ("sell", "buy")
        pair = (account, against) if side > 0 else (against, account)
        row = trade(*pair) | {
            "engine_ns": at_ns, "clock_ns": at_ns, "quantity": lots, "side": side,
            "phase": Phase.CONTINUOUS, "instrument": code,
        }  # fmt: skip
        for name, who in ((mine, account), (other, against)):
            row[f"{name}_role"] = ROLES.get(who, Role.CLIENT)
            row[f"{name}_complex"] = int(who in GROUP)
        self.rows.append(row | columns)

    def follow(self, *who, lag_s=2.0, way=1, share=1.0, **columns):
        """Let accounts take by turns after the group was hit: `way` 1 relieves it, -1 joins it."""
        for turn, (at_ns, side) in enumerate(self.hits):
            if turn < share * len(self.hits):
                later_ns = at_ns + int(lag_s * SECOND)
                self.take(later_ns, who[turn % len(who)], Side(way * side), **columns)

    def batch(self, until_ns=None):
        rows = sorted(self.rows, key=lambda row: (row["instrument"], row["clock_ns"]))
        for code in range(len(TABLE)):
            mine = (row for row in rows if row["instrument"] == code)
            for seq, row in enumerate(mine, 1):
                row |= {"seq": seq, "incoming_seq": seq}
        batch = batch_of(rows, TABLE)
        batch.watermark_ns = until_ns or self.end_ns + 700 * SECOND
        return batch

    def found(self, params=None, until_ns=None):
        detector = HiddenAffiliates(params or HiddenAffiliatesParams(), TABLE)
        return detector.step(self.batch(until_ns))


def told_of(findings, account=SUSPECT):
    """Return the last finding about an account, or None."""
    mine = [f for f in findings if f.accounts == (account,)]
    return mine[-1] if mine else None


def proposed(findings):
    """Return the findings that propose an account, at any look."""
    return [f for f in findings if f.evidence == "supported"]


def logged_in(scene, *, of=lambda account: account, kinds=("session", "user")):
    """Give each side of each trade its account's login, or another's: `of` says whose."""
    for row in scene.rows:
        for side in ("buy", "sell"):
            who = row[f"{side}_account"]
            row.setdefault(f"{side}_owner", 3_000 + who)
            for kind, base in (("session", 1_000), ("user", 2_000)):
                row.setdefault(f"{side}_{kind}", base + of(who) if kind in kinds else NO_CODE)
    return scene


def with_suspect(turns=60):
    """Return a scene in which the suspect trades at random as well."""
    scene = Scene(turns=200)
    for n in range(turns):
        scene.take(START + (EVERY_S * n + 5) * SECOND, SUSPECT, scene.side())
    return scene


def by_group(account):
    """Return whose login an account comes by: the suspect by the group's."""
    return MM if account == SUSPECT else account
