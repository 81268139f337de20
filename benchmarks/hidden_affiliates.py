"""Fit the model of hidden_affiliates anew: `make hidden-affiliates`.

Setting seeds are simulated, with and without a hidden affiliate; on clean tapes other conduct is
planted besides: executions of clients that follow the group's are given to one account. Each
account of each tape is then an example, with the features that the detector makes. A logistic
regression (scikit-learn) with weights of at least 0 is fitted to those of the seeds `FITTED`, and
made a probability by predictions for tapes that were left out (Platt's sigmoid, by tape). Prints
coefficients as they stand in `HiddenAffiliatesParams`, and how the seeds `HELD_OUT`, which had no
part in it, are told.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict

from detectors.book import Books
from detectors.hidden_affiliates import numbers_of
from detectors.hidden_kernel import scan
from detectors.hidden_measure import FEATURES, leaning, surprise
from detectors.hidden_params import HiddenAffiliatesParams
from detectors.hidden_state import (
    P_CLOCK,
    P_CODE,
    P_INCOMING,
    P_SEQ,
    P_SIDE,
    PENDING_FIELDS,
    RESTER,
    SLOTS,
    TAKER,
    W_ACCOUNT,
    W_GROUP,
    W_ROLE,
    fresh,
    pending_of,
)
from ingest.events import Array, Role
from ingest.names import Names
from ingest.register import read_register
from ingest.sequence import Sequencer
from ingest.tape import Tape, TapeSource
from market.assembly import Settings
from market.simulate import simulate
from market.truth import read_truth

FITTED: Final = {"hidden": range(201, 207), "clean": range(230, 232)}
HELD_OUT: Final = {"hidden": range(207, 211), "clean": range(232, 235)}
"""Setting seeds, all of them."""
PRIOR: Final = 1 / HiddenAffiliatesParams().one_in
"""Share of accounts that act for the group, before anything is seen."""
PLANTED: Final = 3
"""Accounts with planted conduct, a clean tape and kind of conduct."""
LAG_S: Final = (0.05, 25.0)
STRENGTH: Final = 0.1
"""scikit-learn's C: weights are kept small, for what is fitted here is one simulator's market."""
CONDUCTS: Final = ("against", "alike", "quick", "absent")


class Taped(msgspec.Struct, frozen=True):
    """The trades of a tape as the detector takes them, and who acts for the group unseen."""

    seed: int
    rows: Array
    instruments: int
    hidden: tuple[int, ...]
    evasion: str


def taped(seed: int, kind: str, cache: Path, *, hours: float, instruments: int) -> Taped:
    """Return a tape's trades: simulated, or from the cache."""
    kept = cache / f"{kind}-{seed}.npz"
    if not kept.is_file():
        scenarios = ("hidden_affiliate",) if kind == "hidden" else ()
        settings = Settings(
            seed=seed, hours=hours, instruments=instruments, scenarios=scenarios, harm=False
        )
        with tempfile.TemporaryDirectory(prefix="ringfence-") as scratch:
            simulate(Path(scratch) / "tape", settings)
            _keep(kept, Path(scratch) / "tape")
    held = np.load(kept)
    hidden = tuple(held["hidden"].tolist())
    return Taped(seed, held["rows"], int(held["instruments"]), hidden, str(held["evasion"]))


def _keep(kept: Path, folder: Path) -> None:
    names = Names()
    source = TapeSource(folder, names, batch_rows=65_536)
    register = read_register(Tape(folder).accounts_path, names)
    sequencer, books = Sequencer(source.instruments), Books(source.instruments)
    found = [np.zeros((0, PENDING_FIELDS), np.int64)]
    while (arrivals := source.poll(0.0)) is not None:
        released = sequencer.push(register.tag(arrivals.batch), arrivals.idle)
        found.append(pending_of(books.apply(released.batch)))
    truths = read_truth(folder)
    np.savez_compressed(
        kept,
        rows=in_order(np.concatenate(found)),
        instruments=len(source.instruments),
        hidden=[names.code(account) for truth in truths for account in truth.accounts],
        evasion="/".join(truth.evasion for truth in truths),
    )


def in_order(rows: Array) -> Array:
    """Return rows in the order of event time."""
    return rows[np.lexsort((rows[:, P_SEQ], rows[:, P_CODE], rows[:, P_CLOCK]))]


# --- conduct that is planted ----------------------------------------------------------------------


def _is_client(rows: Array, who: int) -> Array:
    return (rows[:, who + W_GROUP] == 0) & (rows[:, who + W_ROLE] != Role.EXTERNAL_MM)


def _followed(rows: Array, at: Array, *, resting: bool) -> tuple[Array, Array]:
    """Return how long before rows the group last traded in their instrument, ns, and which way."""
    age, way = np.full(len(rows), 2**62), np.zeros(len(rows), np.int64)
    took, rested = rows[:, TAKER + W_GROUP] != 0, rows[:, RESTER + W_GROUP] != 0
    acts = rested & ~took if resting else rested ^ took
    for code in np.unique(rows[:, P_CODE]):
        here = np.flatnonzero(acts & (rows[:, P_CODE] == code))
        mine = at[rows[at, P_CODE] == code]
        place = np.searchsorted(rows[here, P_CLOCK], rows[mine, P_CLOCK]) - 1
        known = place >= 0
        last = here[place[known]]
        age[mine[known]] = rows[mine[known], P_CLOCK] - rows[last, P_CLOCK]
        way[mine[known]] = np.where(took[last], 1, -1) * rows[last, P_SIDE]
    return age, way


def planted(
    rows: Array, account: int, conduct: str, rng: np.random.Generator, *, share: float
) -> Array:
    """Return rows in which an account has executions of other clients that follow the group's.

    `share` of all that it then does are such: on the side `against` what the group got or `alike`,
    after a lag of 0.05 to 25 s; `quick`; or, resting, while the group is `absent`.
    """
    resting = conduct == "absent"
    who = RESTER if resting else TAKER
    others = _is_client(rows, who) & (rows[:, who + W_ACCOUNT] != account)
    first = np.ones(len(rows), np.bool_)
    if not resting:
        keys = rows[:, [P_CODE, P_INCOMING]]
        _, at = np.unique(keys, axis=0, return_index=True)
        first[:] = False
        first[at] = True
    age, way = _followed(rows, np.flatnonzero(others & first), resting=resting)
    lag_ns = 1e9 * math.exp(rng.uniform(*map(math.log, LAG_S)))
    fits = others & first
    if conduct == "quick":
        fits &= age < 0.5e9
    elif conduct == "absent":
        fits &= age > 1e9 * rng.uniform(4.0, 20.0)
    else:
        wanted = way if conduct == "alike" else -way
        fits &= (age < 2 * lag_ns) & (age > lag_ns / 4) & (rows[:, P_SIDE] == wanted)
    own = np.count_nonzero((rows[:, who + W_ACCOUNT] == account) & first)
    candidates = np.flatnonzero(fits)
    many = min(len(candidates), int(own * share / (1 - share)))
    chosen = rng.choice(candidates, many, replace=False)
    changed = rows.copy()
    if resting:
        changed[chosen, who + W_ACCOUNT] = account
    else:
        one = (rows[:, P_CODE] << 44) | rows[:, P_INCOMING]
        changed[np.isin(one, one[chosen]), who + W_ACCOUNT] = account
    return changed


# --- examples ----------------------------------------------------------------------------------


class Examples(msgspec.Struct, frozen=True):
    """Accounts with their features; `groups` are tapes, `weights` are before the prior."""

    features: Array
    hidden: Array
    groups: Array
    kinds: Sequence[str]


def features_of(rows: Array, instruments: int) -> tuple[Array, Array]:
    """Return accounts that can be judged, and their features, nats."""
    params = HiddenAffiliatesParams()
    kept = fresh(instruments)
    scan(
        rows, numbers_of(params), kept["hidden"], kept["hidden_flow"], kept["hidden_size"],
        kept["hidden_times"], kept["hidden_now"], kept["hidden_accounts"],
        kept["hidden_given"], kept["hidden_sums"], kept["hidden_counts"],
        np.zeros((instruments, SLOTS), np.int32), np.zeros(2, np.int64),
    )  # fmt: skip
    lean = leaning(
        kept, range(instruments), least_crowd=params.least_crowd, usual_runs=params.usual_runs
    )
    who = lean.runs >= params.least_runs
    return lean.accounts[who], np.minimum(surprise(lean.strongest[who]), params.most_surprise)


def examples(tapes: Sequence[Taped]) -> Examples:
    """Return what tapes give: their accounts as they are, and those on which conduct is planted."""
    features, hidden, groups, kinds = [], [], [], []

    def add(found: Array, is_hidden: Array, seed: int, kind: str) -> None:
        features.append(found)
        hidden.append(is_hidden)
        groups.append(np.full(len(found), seed))
        kinds.extend(kind if each else "client" for each in is_hidden)

    for tape in tapes:
        accounts, found = features_of(tape.rows, tape.instruments)
        is_hidden = np.isin(accounts, tape.hidden)
        add(found, is_hidden, tape.seed, f"simulated {tape.evasion}")
        if tape.hidden:
            continue
        rng = np.random.default_rng(tape.seed)
        for conduct in CONDUCTS:
            for account in rng.choice(accounts, PLANTED, replace=False).tolist():
                rows = planted(tape.rows, account, conduct, rng, share=rng.uniform(0.15, 0.5))
                those, anew = features_of(rows, tape.instruments)
                mine = those == account
                add(anew[mine], np.ones(mine.sum(), np.bool_), tape.seed, f"planted {conduct}")
    return Examples(np.concatenate(features), np.concatenate(hidden), np.concatenate(groups), kinds)


# --- the model ---------------------------------------------------------------------------------


def fitted(made: Examples) -> tuple[float, Array]:
    """Return intercept and weights: logistic, none below 0, calibrated by tapes left out."""
    x, y = made.features, made.hidden.astype(int)
    weights = np.where(y == 1, PRIOR / (1 - PRIOR) * (y == 0).sum() / (y == 1).sum(), 1.0)
    used = np.arange(x.shape[1])
    while True:
        model = LogisticRegression(C=STRENGTH / weights.mean(), max_iter=1_000)
        model.fit(x[:, used], y, sample_weight=weights)
        if (model.coef_[0] >= 0).all():
            break
        used = used[model.coef_[0] > 0]
    left_out = cross_val_predict(
        model, x[:, used], y, groups=made.groups, cv=GroupKFold(n_splits=4),
        params={"sample_weight": weights}, method="decision_function",
    )  # fmt: skip
    platt = LogisticRegression(C=1e6).fit(left_out[:, None], y, sample_weight=weights)
    slope = float(platt.coef_[0, 0])
    coefficients = np.zeros(x.shape[1])
    coefficients[used] = slope * model.coef_[0]
    return float(slope * model.intercept_[0] + platt.intercept_[0]), coefficients


def told(made: Examples, intercept: float, weights: Array) -> Iterator[tuple[str, Any]]:
    """Yield how a model tells examples: ranks of the hidden by tape, and rates by kind."""
    params = HiddenAffiliatesParams()
    odds = intercept + made.features @ weights
    chance = 1 / (1 + np.exp(-odds))
    kinds = np.array(made.kinds)
    for kind in sorted(set(made.kinds)):
        mine = kinds == kind
        yield (
            kind,
            {
                "accounts": int(mine.sum()),
                "sure": int((chance[mine] >= params.sure_probability).sum()),
                "told": int((chance[mine] >= params.told_probability).sum()),
                "median_probability": round(float(np.median(chance[mine])), 4),
            },
        )
    ranks = []
    for n in np.flatnonzero(np.char.startswith(kinds, "simulated")):
        beside = (made.groups == made.groups[n]) & (kinds == "client")
        ranks.append(1 + int((odds[beside] > odds[n]).sum()))
    yield "ranks", ranks
    mean = chance.clip(1e-9, 1 - 1e-9)
    clients = kinds == "client"
    yield "brier_clients", round(float((mean[clients] ** 2).mean()), 6)


def main() -> None:
    """Fit the model and print what stands in the parameters and on its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, help="folder that keeps the tapes' trades")
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--instruments", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ringfence-") as scratch:
        cache = options.cache or Path(scratch)
        cache.mkdir(parents=True, exist_ok=True)

        def of(seeds: dict[str, range]) -> Examples:
            return examples(
                [
                    taped(s, kind, cache, hours=options.hours, instruments=options.instruments)
                    for kind, of_kind in seeds.items()
                    for s in of_kind
                ]
            )

        made = of(FITTED)
        intercept, weights = fitted(made)
        intercept, weights = round(intercept, 2), np.round(weights, 2)
        card = {
            "intercept": intercept,
            "weights": dict(zip(FEATURES, weights.tolist(), strict=True)),
            "fitted": dict(told(made, intercept, weights)),
            "held_out": dict(told(of(HELD_OUT), intercept, weights)),
        }
    print(json.dumps(card, indent=2))


if __name__ == "__main__":
    main()
