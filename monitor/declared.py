"""How a metric is declared: registered, described for the documentation, its series there at 0."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from monitor.histogram import BatchHistogram

M = TypeVar("M", Counter, Gauge)


class Description(msgspec.Struct, frozen=True):
    """One metric as the documentation lists it."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str


class Declared:
    """Metrics as they are declared, all with the prefix `ringfence_`.

    Parameters
    ----------
    registry : CollectorRegistry
        Where they are registered.

    Examples
    --------
    >>> declared = Declared(CollectorRegistry(auto_describe=True))
    >>> late = declared.counter("late", "Records that came late.", topic=["orders"])
    >>> declared.value("ringfence_late_total", {"topic": "orders"}), declared.described[0].labels
    (0.0, ('topic',))
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.described: list[Description] = []

    def counter(self, name: str, text: str, **values: Iterable[str]) -> Counter:
        """Return a new counter; `values` are those of each label."""
        return self._made(Counter, f"ringfence_{name}_total", "counter", text, values)

    def gauge(self, name: str, text: str, **values: Iterable[str]) -> Gauge:
        """Return a new gauge; `values` are those of each label."""
        return self._made(Gauge, f"ringfence_{name}", "gauge", text, values)

    def histogram(self, name: str, text: str, edges: Sequence[float]) -> BatchHistogram:
        """Return a new histogram with these upper bounds of its buckets."""
        histogram = BatchHistogram(f"ringfence_{name}", text, edges)
        self.registry.register(histogram)
        self.described.append(Description(f"ringfence_{name}", "histogram", (), text))
        return histogram

    def process(self) -> None:
        """Declare what the client library tells of the process."""
        process: Collector = ProcessCollector(namespace="ringfence", registry=self.registry)
        for family in process.collect():
            name = family.name + ("_total" if family.type == "counter" else "")
            self.described.append(Description(name, family.type, (), family.documentation))

    def value(self, sample: str, labels: Mapping[str, str]) -> float:
        """Return one sample as a scrape would; raises KeyError when there is none of that name."""
        found = self.registry.get_sample_value(sample, dict(labels))
        if found is None:
            raise KeyError(f"no sample {sample} with labels {labels}")
        return found

    def _made(
        self, kind: type[M], name: str, word: str, text: str, values: Mapping[str, Iterable[str]]
    ) -> M:
        # Series exist at 0 from the start: `rate` and `increase` never see the first increment of
        # a series that is born with it.
        metric = kind(name, text, tuple(values), registry=self.registry)
        if values:
            for labels in itertools.product(*values.values()):
                metric.labels(*labels)
        self.described.append(Description(name, word, tuple(values), text))
        return metric
