"""Circles in bursts in plain Python, slow and literal: lists of (seller, buyer, lots, bought)."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise, product


def excess(met, by_chance):
    return 0.0 if met <= by_chance else met - by_chance - met * math.log(met / by_chance)


def rests(meeting):
    seller, buyer, _, bought = meeting
    return seller if bought else buyer


def takes(meeting):
    seller, buyer, _, bought = meeting
    return buyer if bought else seller


def handed_on(meetings):
    """For each meeting the next one in which its buyer sells exactly as much, or -1."""
    return [
        next((u for u in range(t + 1, len(meetings))
              if meetings[u][0] == buyer and meetings[u][2] == lots), -1)
        for t, (_, buyer, lots, _) in enumerate(meetings)
    ]  # fmt: skip


def did(meetings, handed, node, first, end):
    """How often a node rested, took, bought and handed on in meetings first to end - 1."""
    span = range(first, end)
    return (
        sum(rests(meetings[t]) == node for t in span),
        sum(takes(meetings[t]) == node for t in span),
        sum(meetings[t][1] == node for t in span),
        sum(meetings[t][1] == node and handed[t] for t in span),
    )


def chance(meetings, handed, who, first, end):
    """By chance, worst surprise of a member, surprise of what is handed on; counted one by one."""
    by_chance, surprises, into, expected_in = 0.0, [], 0, 0.0
    for me in who:
        others = [m for m in meetings[first:end] if me not in m[:2]]
        mine = [t for t in range(first, end) if me in meetings[t][:2]]
        within = [t for t in mine if set(meetings[t][:2]) <= set(who)]
        took = sum(takes(meetings[t]) == me for t in mine)
        rested = len(mine) - took
        other_rests = sum(rests(m) in who and takes(m) not in who for m in others)
        other_takes = sum(takes(m) in who and rests(m) not in who for m in others)
        crossing = sum(len(set(m[:2]) & set(who)) < 2 for m in others)
        expected = (took * (other_rests + 1) + rested * (other_takes + 1)) / (crossing + 2)
        surprises.append(excess(len(within), expected))
        by_chance += expected / 2
        bought_in = [t for t in within if meetings[t][1] == me]
        bought_out = [t for t in mine if t not in within and meetings[t][1] == me]
        into += sum(handed[t] for t in bought_in)
        share = (sum(handed[t] for t in bought_out) + 1) / (len(bought_out) + 2)
        expected_in += len(bought_in) * share
    return by_chance, max(surprises), excess(into, expected_in)


def habit(meetings, me, who, first, end):
    """How often an account turns round with others than members, at least one half."""
    own = [m[:2] for m in meetings[first:end] if me in m[:2] and not set(m[:2]) <= set(who)]
    steps = [(a, b) for a, b in pairwise(own) if set(a) != set(b)]
    return max(0.5, (sum((a[0] == me) != (b[0] == me) for a, b in steps) + 1) / (len(steps) + 2))


def take_turns(meetings, who, first, end):
    """Meetings that tell who is to sell, in how many it does, and in how many by chance."""
    inside = [m[:2] for m in meetings[first:end] if set(m[:2]) <= set(who)]
    told, sold, by_chance = 0, 0, 0.0
    for place, (seller, buyer) in enumerate(inside):
        before = {
            me: next((m for m in reversed(inside[:place]) if me in m), None)
            for me in (seller, buyer)
        }
        says = {before[seller] and before[seller][1] == seller,
                before[buyer] and before[buyer][0] == buyer} - {None}  # fmt: skip
        again = len(who) > 2 and set(before[seller] or ()) == set(before[buyer] or ()) != set()
        if len(says) != 1 or again:
            continue
        against = for_it = 1.0
        for me, meeting in before.items():
            if meeting:
                often = habit(meetings, me, who, first, end)
                for_it, against = for_it * often, against * (1 - often)
        told, sold = told + 1, sold + (says == {True})
        by_chance += for_it / (for_it + against)
    return told, sold, by_chance


def bursts(meetings, log_p, least, most, ratio):
    """Pairs' bursts: nodes, first and last meeting, surprise."""
    pairs = {}
    for t, (seller, buyer, _, _) in enumerate(meetings):
        pairs.setdefault(frozenset((seller, buyer)), []).append(t)
    found = []
    for pair, times in pairs.items():
        size = least
        while size <= min(len(times), most):
            k = 0
            while k + size <= len(times):
                i, j = times[k], times[k + size - 1]
                span, met = meetings[i + 1 : j + 1], size - 1
                one, other = pair
                own = [m for m in span if set(m[:2]) == pair]
                x = sum(rests(m) == one for m in own)
                y = met - x
                count = {(f, n): sum(f(m) == n for m in span) for f in (rests, takes) for n in pair}
                by_chance = (
                    (count[rests, one] - x + 1) * (count[takes, other] - x + 1)
                    + (count[takes, one] - y + 1) * (count[rests, other] - y + 1)
                ) / (j - i - met + 2)
                surprise = excess(met, by_chance) + math.log(len(times) / least)
                if met >= ratio * by_chance and surprise <= log_p:
                    found.append((pair, i, j, surprise))
                    k += met // 2
                k += 1
            size += max(1, size // 2)
    return found


def returns(meetings, members, tolerance, longest):
    """Meetings in laps, and the laps: tried from each end back, shortest first."""
    inside, since, laps = set(), 0, 0
    for j in range(1, len(meetings)):
        for i in range(j - 1, max(since, j - longest + 1) - 1, -1):
            run = list(range(i, j + 1))
            bound = tolerance * sum(meetings[t][2] for t in run) / len(run)
            left = [run] + ([[t for t in run if t != k] for k in reversed(run[1:-1])]
                            if members > 2 else [])  # fmt: skip
            for kept in left:
                net = dict.fromkeys(range(members), 0)
                for t in kept:
                    net[meetings[t][0]] -= meetings[t][2]
                    net[meetings[t][1]] += meetings[t][2]
                if all(abs(n) <= bound for n in net.values()):
                    inside |= set(kept)
                    since, laps = j + 1, laps + 1
                    break
            else:
                continue
            break
    return inside, laps


def runs_of(meetings, pieces):
    """Runs of a pair's meetings one way, with nothing of the pair the other way between them."""
    runs = []
    for t, (seller, buyer, _, _) in enumerate(meetings):
        run = [t]
        for u in range(t + 1, len(meetings) + 1):
            if runs[-1:] != [tuple(run)]:
                runs.append(tuple(run))
            if u == len(meetings) or len(run) == pieces or meetings[u][:2] == (buyer, seller):
                break
            if meetings[u][:2] == (seller, buyer):
                run.append(u)
    return runs


def handed_round(meetings, members, pieces):
    """Meetings that hand a parcel on among three members or more, and the laps they make."""
    runs = runs_of(meetings, pieces)
    lots = {run: sum(meetings[t][2] for t in run) for run in runs}
    bought_on, sold_on, handed = set(), set(), Counter()
    sizes = product(range(1, pieces + 1), repeat=2)
    for here, there in sorted(sizes, key=lambda size: (sum(size), size)):
        for bought in [run for run in runs if len(run) == here]:
            one, by = meetings[bought[0]][:2]
            fits = [
                sold
                for sold in runs
                if len(sold) == there
                and meetings[sold[0]][0] == by
                and meetings[sold[0]][1] != one
                and lots[sold] == lots[bought]
                and -members <= sold[0] - bought[0] <= 2 * members
                and not sold_on & set(sold)
            ]
            if not fits or bought_on & set(bought):
                continue
            nearest = min(fits, key=lambda s: (abs(s[0] - bought[0]), s[0] < bought[0]))
            bought_on |= set(bought)
            sold_on |= set(nearest)
            handed[by] += 1
    laps = min((handed.total() + 3) // members, min(handed[m] for m in range(members)) + 1)
    return bought_on | sold_on, laps


def passed(meetings, members, pieces):
    """Meetings that pass a parcel round among members, and the laps."""
    runs = runs_of(meetings, pieces)
    lots = {run: sum(meetings[t][2] for t in run) for run in runs}
    inside, laps = set(), 0
    for start in runs:
        path, run = [], start
        while run and not inside & set(run) and len(path) < members:
            path.append(run)
            to = meetings[run[0]][1]
            if to in {meetings[r[0]][0] for r in path}:
                break
            run = next((r for r in runs if r[0] > path[-1][-1] and meetings[r[0]][0] == to
                        and lots[r] == lots[start]), None)  # fmt: skip
        if path and meetings[path[-1][0]][1] == meetings[start[0]][0]:
            inside |= {t for r in path for t in r}
            laps += 1
    return inside, laps
