"""The model of hidden_affiliates: four features into a probability, and what each adds."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Final

import msgspec
import numpy as np
from scipy.special import gammaincc, log_ndtr

from detectors.hidden_measure import FEATURES, Leaning, surprise
from detectors.hidden_params import HiddenAffiliatesParams
from detectors.hidden_state import ACCOUNT, BEGAN_NS, ENDED_NS, FIRST_SEQ
from ingest.events import Array

MICRO: Final = 1_000_000


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """An account as a look finds it; all integers, as an episode's sums keep them."""

    account: int
    rank: int
    """Among the accounts judged, from 1, the likeliest; 0 = the model says nothing of it."""
    crowd: int
    """Accounts judged."""
    micro_base: int
    """Log-odds before anything is seen of the account."""
    micro_probability: int
    micro_deviations: tuple[int, ...]
    """By feature, in the order of `FEATURES`."""
    micro_by_chance: int
    """Chance that any of those judged would show as much by chance."""
    micro_parts: tuple[int, ...]
    """What each adds to the log-odds."""
    scales: tuple[int, int]
    """Half-lives, by place, at which `against` and `alike` are largest."""
    runs: int
    fair_turns: int
    began_ns: int
    ended_ns: int
    controlled: int


def weights(params: HiddenAffiliatesParams) -> Array:
    """Return the coefficients in the order of `FEATURES`."""
    return np.array(
        [params.against_weight, params.alike_weight, params.quick_weight, params.absent_weight]
    )


def contributions(strongest: Array, params: HiddenAffiliatesParams) -> Array:
    """Return what each feature adds to the log-odds of accounts judged together: 0 or more.

    >>> float(contributions(np.array([[0.5, -1.0, 0.0, 99.0]]), HiddenAffiliatesParams()).min())
    0.0
    """
    most = np.minimum(style(strongest, params), params.most_surprise)
    added: Array = np.minimum(surprise(strongest), most) * weights(params)
    return added


def by_chance(strongest: Array, params: HiddenAffiliatesParams) -> Array:
    """Return the chance that any of the accounts judged together would show as much as each does.

    Of all features together, whichever they are (Fisher 1932), times the accounts: 0 to 1. The
    model was fitted to what some markets' accounts show; this asks no market.

    >>> shown = np.array([[3.8, 0.0, 0.0, 0.0], [5.0, 0.0, 0.0, 0.0], [3.8, 2.0, 0.0, 0.7]])
    >>> by_chance(np.tile(shown, (30, 1)), HiddenAffiliatesParams(style_others=90))[:3].round(2)
    array([0.28, 0.  , 0.01])
    """
    nats = np.minimum(-log_ndtr(-strongest), style(strongest, params))
    any_of: Array = len(strongest) * gammaincc(len(FEATURES), nats.sum(1))
    return np.minimum(any_of, 1.0)


def style(features: Array, params: HiddenAffiliatesParams) -> Array:
    """Return of each feature the most nats that it can say of each account, among all judged.

    What several show nearly as much of is a style of trading, and no more surprising than that so
    many of them have it.

    Parameters
    ----------
    features : (accounts, FEATURES) float64
        In deviations.

    >>> shown = np.array([[6.0], [5.0], [5.0], [4.5], [0.0], [0.0], [0.0], [0.0]])
    >>> style(shown, HiddenAffiliatesParams()).ravel().round(2).tolist()[:4]
    [0.98, 0.98, 0.98, 0.98]
    >>> style(shown[1:], HiddenAffiliatesParams()).ravel().tolist()[:2]
    [inf, inf]
    """
    ranked = np.sort(features, axis=0)
    most = np.full(features.shape, np.inf)
    for place in range(features.shape[1]):
        near = params.style_ratio * features[:, place]
        others = len(features) - np.searchsorted(ranked[:, place], near) - 1
        shared = (features[:, place] > 0) & (others >= params.style_others)
        most[shared, place] = np.log(len(features) / others[shared])
    return most


def base(crowd: int, params: HiddenAffiliatesParams) -> float:
    """Return the log-odds of an account that shows nothing, by how many accounts are judged.

    >>> params = HiddenAffiliatesParams()
    >>> round(base(params.one_in, params) - base(10 * params.one_in, params), 3)
    2.303
    """
    return params.intercept - max(0.0, math.log(max(crowd, 1) / params.one_in))


def _micro(values: Array) -> list[list[int]]:
    found: list[list[int]] = np.rint(MICRO * values).astype(np.int64).tolist()
    return found


def unjudged(about: Array, accounts: Collection[int]) -> Sequence[Judged]:
    """Return accounts of clients of which the model says nothing; who began first comes first.

    Parameters
    ----------
    about : (instruments, ACCOUNTS, ACCOUNT_FIELDS) int64
    accounts : collection of int
        Those without a row there, as external makers, are left out.
    """
    spans = []
    for account in accounts:
        mine = about[about[..., ACCOUNT] == account + 1]
        if len(mine):
            seq = int(mine[:, FIRST_SEQ].min())
            spans.append((int(mine[:, BEGAN_NS].min()), seq, int(mine[:, ENDED_NS].max()), account))
    nothing = (0,) * len(FEATURES)
    return [
        Judged(
            account=account,
            rank=0,
            crowd=0,
            micro_base=0,
            micro_probability=0,
            micro_deviations=nothing,
            micro_by_chance=MICRO,
            micro_parts=nothing,
            scales=(0, 0),
            runs=0,
            fair_turns=0,
            began_ns=began_ns,
            ended_ns=ended_ns,
            controlled=1,
        )
        for began_ns, _, ended_ns, account in sorted(spans)
    ]


def judged(lean: Leaning, params: HiddenAffiliatesParams) -> Sequence[Judged]:
    """Return the accounts that can be judged, the likeliest first; of equals, who began first."""
    who = np.flatnonzero(lean.runs >= params.least_runs)
    features = lean.strongest[who]
    parts = contributions(features, params)
    before = base(len(who), params)
    odds = before + parts.sum(1)
    times = [(began, ended) for began, ended in lean.times[who].tolist()]
    order = sorted(range(len(who)), key=lambda n: (-round(MICRO * odds[n]), times[n]))
    told, deviations = _micro(parts), _micro(features)
    any_of = np.rint(MICRO * by_chance(features, params)).astype(np.int64).tolist()
    chances = np.rint(MICRO / (1.0 + np.exp(-odds))).astype(np.int64).tolist()
    scales, runs = lean.scales[who].tolist(), lean.runs[who].tolist()
    return [
        Judged(
            account=int(lean.accounts[who[n]]),
            rank=rank,
            crowd=len(who),
            micro_base=round(MICRO * before),
            micro_probability=chances[n],
            micro_deviations=tuple(deviations[n]),
            micro_by_chance=any_of[n],
            micro_parts=tuple(told[n]),
            scales=(scales[n][0], scales[n][1]),
            runs=runs[n],
            fair_turns=int(lean.fair_turns[who[n]]),
            began_ns=times[n][0],
            ended_ns=times[n][1],
            controlled=int(lean.controlled[who[n]]),
        )
        for rank, n in enumerate(order, 1)
    ]
