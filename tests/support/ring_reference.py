"""The whole definition of wash rings in plain Python, slow and literal; shares no code with it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sale:
    """One trade between two accounts."""

    time_ns: int
    instrument: str
    seq: int
    seller: int
    buyer: int
    lots: int


@dataclass(frozen=True)
class Rules:
    """The numbers of the definition."""

    sizes_ns: tuple[int, ...]
    max_members: int = 8
    tolerance: float = 0.01
    layers_unique: int = 1
    layers: int = 3
    turns: int = 3
    probability: float = 1e-6


@dataclass
class Reference:
    """Facts of a tape: (window end, instrument, members, seqs not cited before)."""

    rules: Rules
    collections: dict[str, str]
    """Collection of each unique instrument; the others are fungible."""
    cited: dict[tuple[str, int], frozenset[int]] = field(default_factory=dict)

    def run(self, sales, until_ns):
        sales = [s for s in sales if s.seller != s.buyer and s.lots > 0]
        groups = {}
        for sale in sales:
            collection = self.collections.get(sale.instrument)
            name = (collection, "collection") if collection else (sale.instrument, "")
            groups.setdefault(name, []).append(sale)
        windows = set()
        for name, members in groups.items():
            for sale in members:
                for size in self.rules.sizes_ns:
                    for shift in (0, size // 2):
                        end = (sale.time_ns - shift) // size * size + shift + size
                        if end <= until_ns:
                            windows.add((end, name, size))
        facts = []
        for end, name, size in sorted(windows):
            inside = [s for s in groups[name] if end - size <= s.time_ns < end]
            inside.sort(key=lambda s: (s.time_ns, s.instrument, s.seq))
            facts += [(end, *fact) for fact in self.window(inside, name[1] == "collection")]
        return facts

    def window(self, sales, unique):
        rules, facts = self.rules, []
        weights = Counter((s.seller, s.buyer) for s in sales)
        seen = layered_sets(weights, rules.max_members)
        sets = []
        for members, layers in seen.items():
            rows = [i for i, s in enumerate(sales) if {s.seller, s.buyer} <= members]
            if layers < (rules.layers_unique if unique else rules.layers):
                continue
            if not unique:
                hour = min(rules.sizes_ns)
                if not beyond_chance(sales, members, rules.probability):
                    continue
                if not beyond_chance(sales, members, rules.probability, hour):
                    continue
            sets.append((len(members), rows[0], members, rows))
        for size, _, members, rows in sorted(sets, key=lambda each: each[:2]):
            free = [i for i in rows if self.cited.get(key(sales[i]), members) == members]
            items = [""]
            if unique:
                items = list(dict.fromkeys(sales[i].instrument for i in free))
            for item in items:
                of_item = [i for i in free if not unique or sales[i].instrument == item]
                together = {}
                for stretch in covered_runs([sales[i] for i in of_item], rules.tolerance):
                    here = [of_item[k] for k in stretch]
                    who = frozenset(a for i in here for a in (sales[i].seller, sales[i].buyer))
                    together.setdefault(who, []).extend(here)
                for who, here in together.items():
                    if not unique and (len(who) < size or len(here) < rules.turns * size):
                        continue
                    new = [i for i in here if key(sales[i]) not in self.cited]
                    for i in new:
                        self.cited[key(sales[i])] = who
                    if new:
                        seqs = tuple(sales[i].seq for i in new)
                        facts.append((sales[new[0]].instrument, who, seqs))
        return facts


def key(sale):
    return sale.instrument, sale.seq


def layered_sets(weights, max_members):
    """{set: layers in which it was a component}, peeling one from every weight at a time."""
    seen = Counter()
    weights = dict(weights)
    while weights:
        for component in components(weights):
            if 1 < len(component) <= max_members:
                seen[component] += 1
        weights = {edge: w - 1 for edge, w in weights.items() if w > 1}
    return seen


def components(edges):
    """Strongly-connected components by reachability."""
    nodes = sorted({n for edge in edges for n in edge})
    reach = {n: {n} for n in nodes}
    changed = True
    while changed:
        changed = False
        for a, b in edges:
            if not reach[b] <= reach[a]:
                reach[a] |= reach[b]
                changed = True
    return {frozenset(m for m in nodes if m in reach[n] and n in reach[m]) for n in nodes}


def covered_runs(sales, tolerance):
    """Positions of each union of overlapping balanced runs, trying every run there is."""
    covered = [set() for _ in sales]  # which runs cover a trade
    runs = []
    for i in range(len(sales)):
        for j in range(i + 1, len(sales) + 1):
            net, total = Counter(), 0
            for s in sales[i:j]:
                net[s.seller] -= s.lots
                net[s.buyer] += s.lots
                total += s.lots
            if all(abs(n) * (j - i) <= tolerance * total for n in net.values()):
                for k in range(i, j):
                    covered[k].add(len(runs))
                runs.append((i, j))
    stretches, current = [], []
    for k, by in enumerate(covered):
        if current and by and by & covered[k - 1] and current[-1] == k - 1:
            current.append(k)
        else:
            if current:
                stretches.append(current)
            current = [k] if by else []
    return [*stretches, current] if current else stretches


def beyond_chance(sales, members, probability, hour_ns=None):
    """Whether for each member meeting the others so often is less likely than the limit."""

    def parts(hour):
        here = [s for s in sales if hour is None or s.time_ns // hour_ns == hour]
        inside = [s for s in here if {s.seller, s.buyer} <= members]
        crossing = [s for s in here if len({s.seller, s.buyer} & members) == 1]
        return inside, crossing, len(here) - len(inside) - len(crossing)

    hours = [None] if hour_ns is None else sorted({s.time_ns // hour_ns for s in sales})
    for member in members:
        n = met = expected = 0
        for inside, crossing, outside in map(parts, hours):
            with_others = sum(member in (s.seller, s.buyer) for s in inside)
            with_outsiders = sum(member in (s.seller, s.buyer) for s in crossing)
            hits = len(crossing) - with_outsiders
            n += with_others + with_outsiders
            met += with_others
            expected += (with_others + with_outsiders) * (hits + 1) / (hits + outside + 2)
        x, q = met / n, expected / n
        if x <= q:
            return False
        divergence = x * math.log(x / q)
        if x < 1:
            divergence += (1 - x) * math.log((1 - x) / (1 - q))
        if -n * divergence > math.log(probability):
            return False
    return True
