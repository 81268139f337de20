"""How far each account's trading leans on the group's: deviations that chance explains, or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from scipy.special import log_ndtr

from detectors.hidden_state import (
    ABSENT,
    ACCOUNT,
    AGAINST,
    ALIKE,
    BEGAN_NS,
    BESIDE,
    ENDED_NS,
    EVER,
    GROUP,
    KIND_OF,
    MAKER,
    MEASURES,
    QUICK,
    RUN_G,
    RUN_M,
    RUN_N,
    RUNS,
    SCALES,
    SUM_G,
    SUM_GG,
    SUM_GM,
    SUM_GN,
    SUM_M,
    SUM_MM,
    SUM_MN,
    SUM_N,
    SUM_NN,
    TAKES,
    TRADED,
    UNITS,
)
from detectors.kept import Kept
from ingest.events import Array
from ingest.times import DAY

FEATURES: Final = ("against", "alike", "quick", "absent")
_KINDS: Final = np.array(KIND_OF)
LEAST_MAKERS: Final = 2
"""External makers without which there is no control."""
WAYS: Final = 3
"""What an account shows is measured as it is, and less of what it shows of others, twice."""
_NOTHING: Final = 1e-9
_TRIED: Final = np.array([SCALES, 2 * SCALES, 1, 1])
"""Of how many deviations each feature is the largest."""


def surprise(strongest: Array) -> Array:
    """Return features as surprise: minus the logarithm of the chance of as large a deviation.

    Nats, 0 or more, after Bonferroni over those of which it is the largest: 7 is one in a thousand,
    14 one in a million.

    >>> surprise(np.array([[0.0, 2.0, 4.0, 6.0]])).round(2).tolist()
    [[0.0, 1.99, 10.36, 20.74]]
    """
    nats: Array = np.maximum(-log_ndtr(-strongest) - np.log(_TRIED), 0.0)
    return nats


class Leaning(msgspec.Struct, frozen=True):
    """What the day so far shows of each account, over all instruments."""

    accounts: Array
    runs: Array
    """Runs of taking: executions on one side without a pause."""
    fair_turns: Array
    """How often these would change side if each were independent of the last: 2 p (1 - p)."""
    deviations: Array
    """(accounts, MEASURES): beyond the other clients, and beyond what leans on makers alike."""
    times: Array
    """(accounts, 2): the first and the last event of each, ns."""
    controlled: Array
    """Whether two external makers at least traded that day in an instrument that each does."""

    @property
    def strongest(self) -> Array:
        """(accounts, FEATURES), in deviations: at the half-life at which each is largest."""
        largest = [each.max(1) for each in self._by_half_life]
        quick = self.deviations[:, [QUICK, BESIDE]].min(1)
        return np.stack([*largest, quick, self.deviations[:, ABSENT]], axis=1)

    @property
    def scales(self) -> Array:
        """(accounts, 2): the half-life, by place, at which `against` and `alike` are largest."""
        return np.stack([each.argmax(1) for each in self._by_half_life], axis=1)

    @property
    def _by_half_life(self) -> tuple[Array, Array]:
        """`against` and `alike`, (accounts, SCALES) each, in deviations."""
        against = self.deviations[:, AGAINST : AGAINST + SCALES]
        return against, np.maximum(self.deviations[:, ALIKE : ALIKE + SCALES], -against)


def _apart(counts: Array) -> Array:
    """Return what a run on either side counts: its side less the account's mean side, unsigned.

    Who mostly sells is beside a group that mostly sells without knowing of it: only when he does
    which says something. What has no side, quickness and absence, counts as it is.

    Returns
    -------
    (accounts, SIDES, MEASURES)
    """
    by_side = counts[:, :, TAKES, SUM_N] + counts[:, :, TAKES, RUN_N]
    total = by_side.sum(1, keepdims=True)
    share = np.divide(by_side, total, out=np.zeros_like(by_side), where=total > 0)
    factor = np.ones((*by_side.shape, MEASURES))
    factor[..., :QUICK] = 2.0 * (1.0 - share)[..., None]
    return factor


def _moments(sums: Array, counts: Array) -> tuple[Array, ...]:
    """Return an instrument's sums over all runs, the open ones with them, a row an account."""
    by = _apart(counts)
    n = counts[:, :, _KINDS, RUN_N]
    g, m = sums[..., RUN_G], sums[..., RUN_M]
    each = (
        counts[:, :, _KINDS, SUM_N] + n,
        counts[:, :, _KINDS, SUM_NN] + n * n,
        by * (sums[..., SUM_G] + g),
        by * (sums[..., SUM_M] + m),
        by**2 * (sums[..., SUM_GG] + g * g),
        by**2 * (sums[..., SUM_GM] + g * m),
        by**2 * (sums[..., SUM_MM] + m * m),
        by * (sums[..., SUM_GN] + g * n),
        by * (sums[..., SUM_MN] + m * n),
    )
    return tuple(sides.sum(1) for sides in each)


def _residuals(sums: Array, counts: Array, *, controlled: bool) -> tuple[Array, Array]:
    """Return sums of what an account shows, three ways, and of their squares run by run.

    First as it is. Then beyond others: its events are held against the mean of the other accounts'
    events, and, where there are external makers, what it shows of them is taken off twice over: in
    the part that clients' runs have in common (least squares over all accounts), and whole. The
    second is the sharper; but it leaves some of a lean that is on all makers alike, where single
    runs are noisy. The first keeps a control from making a lean of what is none: of an account
    that merely does not do what others do, or leans from the makers.

    Returns
    -------
    beyond, squares : (WAYS, accounts, MEASURES)
    """
    n, nn, g, m, gg, gm, mm, gn, mn = _moments(sums, counts)
    others = n.sum(0) - n
    others = np.where(others > 0, others, 1.0)
    mean_g, mean_m = (g.sum(0) - g) / others, (m.sum(0) - m) / others
    beyond_g, beyond_m = g - mean_g * n, m - mean_m * n
    square_g = gg - 2 * mean_g * gn + mean_g**2 * nn
    square_m = mm - 2 * mean_m * mn + mean_m**2 * nn
    product = gm - mean_g * mn - mean_m * gn + mean_g * mean_m * nn
    part = np.zeros((WAYS - 1, 1, n.shape[1]))
    if controlled:
        part[0] = np.clip(product.sum(0) / np.maximum(square_m.sum(0), _NOTHING), 0.0, 1.0)
        part[1] = 1.0
    squares = square_g - 2 * part * product + part**2 * square_m
    beyond = np.concatenate([g[None], beyond_g - part * beyond_m])
    return beyond, np.maximum(np.concatenate([gg[None], squares]), 0.0)


def _weight(counts: Array, runs: Array) -> Array:
    """Return what a run weighs in the mean, by measure."""
    total = (counts[..., SUM_N] + counts[..., RUN_N]).sum(0)
    weight: Array = (total / np.maximum(runs.sum(0), 1.0))[_KINDS]
    return np.where(weight > 0, weight, 1.0)


def _flat(ways: Array) -> Array:
    """Return (WAYS, accounts, MEASURES) as (accounts, WAYS * MEASURES)."""
    return np.concatenate(list(ways), axis=1)


def _nearest(ways: Array) -> Array:
    """Return of the ways, the first axis, the one nearest to 0; 0 where they are on its two sides.

    >>> _nearest(np.array([[3.0, -1.0], [2.0, 1.0]])).tolist()
    [2.0, 0.0]
    """
    one_side = (np.sign(ways) == np.sign(ways[0])).all(0)
    nearest: Array = np.where(one_side, np.sign(ways[0]), 0.0) * np.abs(ways).min(0)
    return nearest


def leaning(
    kept: Kept | Mapping[str, Array], codes: Sequence[int], *, least_crowd: int, usual_runs: float
) -> Leaning:
    """Return how far accounts lean on the group, over instruments.

    Parameters
    ----------
    kept : Kept or mapping of str to Array
        `hidden_state.shapes`, a row an instrument.
    codes : sequence of int
        Instruments that count.
    least_crowd : int
        Accounts in an instrument without which nobody can be held against the others.
    usual_runs : float
        Runs of usual spread that each account is credited with: who trades little shows little.
    """
    parts, times = [], []
    for code in codes:
        own, about = kept["hidden"][code], kept["hidden_accounts"][code]
        rows = np.flatnonzero(about[:, ACCOUNT])
        if len(rows) <= least_crowd:
            continue
        day_ns = about[rows, ENDED_NS].max() // DAY * DAY
        seen_ns = kept["hidden_times"][code, GROUP + 1 : UNITS, TRADED]
        # Who made a market on an earlier day keeps his place, and is no control today.
        here = bool(((own[MAKER:] != 0) & (seen_ns >= day_ns)).sum() >= LEAST_MAKERS)
        times.append(about[rows, BEGAN_NS : ENDED_NS + 1])
        counts = kept["hidden_counts"][code, rows]
        beyond, squares = _residuals(kept["hidden_sums"][code, rows], counts, controlled=here)
        by_side = counts[..., RUNS] + (counts[..., RUN_N] > 0)
        counts, runs = counts.sum(1), by_side.sum(1)
        fair = 2.0 * by_side[..., TAKES].prod(1) / np.maximum(runs[:, TAKES], 1.0)
        usual = squares.sum(1, keepdims=True) / np.maximum(runs[:, _KINDS].sum(0), 1.0)
        # Weights are roots of lots: in units of what a run weighs, instruments can be added up.
        weight = _weight(counts, runs)
        beyond, squares, usual = beyond / weight, squares / weight**2, usual / weight**2
        spread = (squares, runs[:, _KINDS] * usual)
        control = np.full((len(rows), 1), float(here))
        shown = (runs, _flat(beyond), *map(_flat, spread), control, fair[:, None])
        parts.append((about[rows, ACCOUNT] - 1, *shown))
    if not parts:
        nothing = np.zeros((0, len(_KINDS)))
        none = np.zeros(0, np.int64)
        return Leaning(none, none, none, nothing, np.zeros((0, 2), np.int64), none > 0)
    accounts, places = np.unique(np.concatenate([p[0] for p in parts]), return_inverse=True)

    def total(at: int) -> Array:
        each = np.concatenate([p[at] for p in parts])
        summed = np.zeros((len(accounts), each.shape[1]))
        np.add.at(summed, places, each)
        return summed

    runs, beyond, squares, usual, control, fair = (total(at) for at in range(1, 7))
    credit = usual_runs * usual / np.maximum(np.tile(runs[:, _KINDS], WAYS), 1.0)
    spread = np.sqrt(squares + credit)
    each_way = np.divide(beyond, spread, out=np.zeros_like(beyond), where=spread > 0)
    deviations = _nearest(np.stack(np.split(each_way, WAYS, axis=1)))
    span = np.zeros((len(accounts), 2), np.int64)
    span[:, 0] = EVER
    each = np.concatenate(times)
    np.minimum.at(span[:, 0], places, each[:, 0])
    np.maximum.at(span[:, 1], places, each[:, 1])
    taking, turns = runs[:, TAKES].astype(np.int64), fair[:, 0].astype(np.int64)
    return Leaning(accounts, taking, turns, deviations, span, control[:, 0] > 0)
