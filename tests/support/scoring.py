"""Alerts and truths for the tests of the scoreboard: plain ones, an honest oracle, and cheats."""

from __future__ import annotations

import random
from collections import defaultdict
from functools import cache

import msgspec

from alerts.record import Alert
from market.truth import SCENARIOS, Truth

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
START = 1_767_571_200 * SECOND


def alert(id_="a", **given) -> Alert:
    """An alert of medium: one minute from START on, MM1 in SIMA-USD, order o1."""
    base = {
        "alert_id": id_,
        "revision": 1,
        "detector": "some_detector",
        "detector_version": 1,
        "scenario": "spoofing",
        "facets": (),
        "evidence_class": "indicator",
        "evidence": "supported",
        "severity": "medium",
        "score": 0.5,
        "instrument": "SIMA-USD",
        "accounts": ("MM1",),
        "owners": ("",),
        "roles": ("affiliated_mm",),
        "window_start_ns": START,
        "window_end_ns": START + 60 * SECOND,
        "detected_ns": START + 60 * SECOND,
        "client_harm": None,
        "currency": "USD",
        "counterfactual": "",
        "notify_clock": "none",
        "order_ids": ("o1",),
        "trade_ids": (),
        "features": {},
        "params_hash": "",
        "registry_version": "",
        "coverage": "complete",
        "status": "provisional",
        "source": (),
    }
    return Alert(**(base | given))


def truth(**given) -> Truth:
    """A case of the same minute, account, instrument and order."""
    base = {
        "scenario": "spoofing",
        "instrument": "SIMA-USD",
        "accounts": ("MM1",),
        "start_ns": START,
        "end_ns": START + 60 * SECOND,
        "severity": 0.5,
        "order_ids": ("o1",),
    }
    return Truth(**(base | given))


def oracle(truths) -> list[Alert]:
    """An alert a case, which says what the case says."""
    return [
        alert(
            f"oracle-{place:04}",
            scenario=case.scenario,
            instrument=case.instrument or "SIMA-USD",
            accounts=case.accounts,
            window_start_ns=case.start_ns,
            window_end_ns=case.end_ns,
            detected_ns=case.end_ns,
            order_ids=case.order_ids,
            trade_ids=case.trade_ids,
        )
        for place, case in enumerate(truths)
    ]


def shuffled(truths, seed=1) -> list[Truth]:
    """The same cases, with accounts, ids, instruments and times dealt out anew."""
    rng = random.Random(seed)
    parts = [
        ("accounts",),
        ("order_ids", "trade_ids"),
        ("instrument", "instruments"),
        ("start_ns", "end_ns"),
    ]
    dealt = [{} for _ in truths]
    for names in parts:
        order = list(range(len(truths)))
        rng.shuffle(order)
        for place, source in enumerate(order):
            dealt[place] |= {name: getattr(truths[source], name) for name in names}
    return [msgspec.structs.replace(t, **new) for t, new in zip(truths, dealt, strict=True)]


class World:
    """What a cheat can know: accounts, instruments, everybody's ids, the tape's span."""

    def __init__(self, truths, ids, instruments, span) -> None:
        self.truths = truths
        self.ids = ids
        """(account, instrument) to (order ids, trade ids)."""
        self.instruments = instruments
        self.accounts = sorted({account for account, _ in ids})
        self.start_ns, self.end_ns = span

    @property
    def length_ns(self) -> int:
        return self.end_ns - self.start_ns

    def all_day(self, accounts=None, *, scenarios=None, facets=(), ids=False, grouped=0):
        """All-day alerts: one an account, instrument and scenario (or group of so many)."""
        names = list(scenarios or SCENARIOS)
        groups = [names[i : i + grouped] for i in range(0, len(names), grouped or 1)]
        groups = groups if grouped else [[name] for name in names]
        return [
            alert(
                f"{account}-{instrument}-{group[0]}",
                scenario=group[0],
                facets=tuple(group[1:]) or tuple(facets),
                instrument=instrument,
                accounts=(account,),
                window_start_ns=self.start_ns,
                window_end_ns=self.end_ns,
                detected_ns=self.end_ns,
                order_ids=self.ids[account, instrument][0] if ids else (),
                trade_ids=self.ids[account, instrument][1] if ids else (),
            )
            for account in accounts or self.accounts
            for instrument in self.instruments
            for group in groups
        ]

    def cheats(self, afmm):
        """Name to alerts: what a cheat would try."""
        everybody = tuple(self.accounts)
        return {
            "one alert an account, first scenario only": self.all_day(scenarios=["front_running"]),
            "every scenario": self.all_day(),
            "every scenario, every id": self.all_day(ids=True),
            "every scenario as facet": self.all_day(scenarios=SCENARIOS[:1], facets=SCENARIOS[1:]),
            "every scenario as facet, every id": self.all_day(
                scenarios=SCENARIOS[:1], facets=SCENARIOS[1:], ids=True
            ),
            "five scenarios an alert, every id": self.all_day(ids=True, grouped=5),
            "three scenarios an alert, every id": self.all_day(ids=True, grouped=3),
            "the AFMM, every scenario": self.all_day([afmm]),
            "the AFMM, every scenario, every id": self.all_day([afmm], ids=True),
            "the AFMM, five scenarios an alert, every id": self.all_day(
                [afmm], ids=True, grouped=5
            ),
            "everybody in one alert": [
                msgspec.structs.replace(each, accounts=everybody) for each in self.all_day([afmm])
            ],
        }


@cache
def simulated_day(seed=1, hours=24.0) -> World:
    """A made-up day: 3 instruments, 90 accounts, 17 kinds of case, as dense as the simulator's."""
    rng = random.Random(seed)
    instruments = ("SIMA-USD", "SIMA-PERP", "SIMB-USD")
    accounts = ["MM1", "AFF1", *(f"C{i:02}" for i in range(88))]
    end = START + int(hours * HOUR)
    ids = {}
    for rank, account in enumerate(accounts):
        for instrument in instruments:
            count = int(hours * (3000 if account == "MM1" else 600 / (1 + rank)) + 2)
            ids[account, instrument] = (
                tuple(f"{account}-{n}" for n in range(count)),
                tuple(f"T{account}-{n}" for n in range(count // 4 + 1)),
            )
    absent = {"unequal_access", "unfair_fills", "quoting_obligation"}
    truths = []
    for scenario in SCENARIOS:
        if scenario == "hidden_affiliate":
            case = truth(scenario=scenario, instrument="", accounts=("C30",), order_ids=())
            truths.append(msgspec.structs.replace(case, start_ns=START, end_ns=end))
            continue
        for instrument in instruments:
            for _ in range(max(1, int(hours * (0.2 if scenario in absent else 4)))):
                who = "MM1" if scenario in absent or rng.random() < 0.6 else rng.choice(accounts)
                length = rng.uniform(600, 3000) if scenario in absent else rng.uniform(0.01, 120)
                at = rng.randrange(START, end - 3000 * SECOND)
                orders, trades = ids[who, instrument]
                begin = rng.randrange(len(orders))
                named = () if scenario in absent else orders[begin : begin + 5]
                traded = () if scenario in absent else trades[begin // 4 : begin // 4 + 2]
                truths.append(
                    truth(
                        scenario=scenario,
                        instrument=instrument,
                        accounts=(who,),
                        start_ns=at,
                        end_ns=at + int(length * SECOND),
                        order_ids=named,
                        trade_ids=traded,
                    )
                )
    return World(truths, ids, instruments, (START, end))


def tape_world(truths, records, instruments, span) -> World:
    """What a cheat can know of a real tape; records are decoded order and trade records."""
    orders, trades = defaultdict(dict), defaultdict(dict)
    accounts = set()
    for record in records:
        if "trade_id" in record:
            for side in ("buy", "sell"):
                who = record[f"{side}_account"]
                trades[who, record["instrument"]][record["trade_id"]] = None
                accounts.add(who)
        elif record.get("account"):
            orders[record["account"], record["instrument"]][record["order_id"]] = None
            accounts.add(record["account"])
    ids = {
        (account, instrument): (
            tuple(orders[account, instrument]),
            tuple(trades[account, instrument]),
        )
        for account in accounts
        for instrument in instruments
    }
    return World(truths, ids, instruments, span)
