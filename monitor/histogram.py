"""A Prometheus histogram that takes a whole batch at once.

The client library's own takes one value a call, about a microsecond each: more than all else that
the pipeline does with an event.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

import numpy as np
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from ingest.events import Array


class BatchHistogram(Collector):
    """A histogram without labels; state is one count a bucket and the sum.

    Parameters
    ----------
    name, text : str
        Metric name with its unit, and help.
    edges : sequence of float
        Upper bounds of the buckets, rising; the last bucket, +Inf, is added.

    Examples
    --------
    >>> histogram = BatchHistogram("wait_seconds", "How long.", [1.0, 5.0])
    >>> histogram.observe(np.array([0.5, 1.0, 5.0, 6.0]))
    >>> [(s.name, s.labels.get("le"), s.value) for f in histogram.collect() for s in f.samples]
    [('wait_seconds_bucket', '1.0', 2.0), ('wait_seconds_bucket', '5.0', 3.0),
     ('wait_seconds_bucket', '+Inf', 4.0), ('wait_seconds_count', None, 4.0),
     ('wait_seconds_sum', None, 12.5)]
    """

    def __init__(self, name: str, text: str, edges: Sequence[float]) -> None:
        if list(edges) != sorted(set(edges)):
            raise ValueError(f"edges of {name} must rise, were {list(edges)}")
        self._name, self._text = name, text
        self._edges = np.asarray(edges, dtype=np.float64)
        self._counts = np.zeros(len(edges) + 1, dtype=np.int64)
        self._sum = 0.0
        self._lock = threading.Lock()

    def observe(self, values: Array) -> None:
        """Add values; each counts in the first bucket whose edge is at least as high."""
        places = np.searchsorted(self._edges, values, side="left")
        counts = np.bincount(places, minlength=len(self._counts))
        total = float(np.sum(values))
        with self._lock:
            self._counts += counts
            self._sum += total

    def collect(self) -> Iterable[Metric]:
        """Return the family as a scrape shows it."""
        with self._lock:
            counts, total = np.cumsum(self._counts).tolist(), self._sum
        bounds = [*map(floatToGoString, self._edges.tolist()), "+Inf"]
        family = HistogramMetricFamily(self._name, self._text)
        family.add_metric([], list(zip(bounds, map(float, counts), strict=True)), total)
        return [family]
