"""The service's address: what it answers while all is well, and while it is not."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ingest.errors import RingfenceError
from monitor.http import Health, Server, serve
from monitor.metrics import Metrics

WELL = Health(heartbeat_age_s=0.1, assigned=True, caught_up=True, store_reachable=True)


class Worker:
    """A worker whose health the test decides."""

    def __init__(self) -> None:
        self.health = WELL
        self.error: Exception | None = None
        self.metrics = Metrics()

    def __call__(self) -> Health:
        if self.error is not None:
            raise self.error
        return self.health


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def server(worker: Worker) -> Iterator[Server]:
    server = serve(worker.metrics, "127.0.0.1", 0, worker)
    yield server
    server.close()


def get(server: Server, path: str, method: str = "GET") -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def get_json(server: Server, path: str) -> tuple[int, dict[str, Any]]:
    status, body = get(server, path)
    return status, json.loads(body)


def test_a_worker_that_is_well_is_alive_and_ready(server: Server) -> None:
    assert get_json(server, "/healthz") == (200, {"alive": True, **msgspec.structs.asdict(WELL)})
    assert get_json(server, "/readyz") == (200, {"ready": True, **msgspec.structs.asdict(WELL)})


@pytest.mark.parametrize("missing", ["assigned", "caught_up", "store_reachable"])
def test_a_worker_that_lacks_something_is_alive_but_not_ready(
    server: Server, worker: Worker, missing: str
) -> None:
    worker.health = msgspec.structs.replace(WELL, **{missing: False})
    assert get(server, "/healthz")[0] == 200
    status, body = get_json(server, "/readyz")
    assert (status, body["ready"], body[missing]) == (503, False, False)


def test_a_loop_that_hangs_is_neither_alive_nor_ready(server: Server, worker: Worker) -> None:
    worker.health = msgspec.structs.replace(WELL, heartbeat_age_s=60.5)
    assert get(server, "/healthz")[0] == 503
    assert get(server, "/readyz")[0] == 503
    worker.health = msgspec.structs.replace(WELL, heartbeat_age_s=59.5)
    assert get(server, "/healthz")[0] == 200


def test_a_worker_that_cannot_say_how_it_is_answers_503_and_no_detail(
    server: Server, worker: Worker
) -> None:
    worker.error = OSError("store at secret-host refused C7")
    assert get_json(server, "/healthz") == (503, {"alive": False, "error": "OSError"})
    assert "secret-host" not in get(server, "/readyz")[1].decode()


def test_a_scrape_tells_readiness_as_it_is_at_that_moment(server: Server, worker: Worker) -> None:
    def ready() -> float:
        text = get(server, "/metrics")[1].decode()
        families = {f.name: f for f in text_string_to_metric_families(text)}
        return families["ringfence_ready"].samples[0].value

    assert ready() == 1
    worker.health = msgspec.structs.replace(WELL, heartbeat_age_s=1000.0)
    assert ready() == 0
    worker.error = OSError()
    assert ready() == 0


def test_other_paths_and_methods_are_refused(server: Server) -> None:
    assert get(server, "/")[0] == 404
    assert get(server, "/metrics", method="POST")[0] == 405


def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RingfenceError, match=f"must be a free address, were 127.0.0.1:{port}"):
            serve(Metrics(), "127.0.0.1", port, lambda: WELL)


def test_after_close_nothing_listens_there() -> None:
    server = serve(Metrics(), "127.0.0.1", 0, lambda: WELL)
    port = server.port
    server.close()
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(("127.0.0.1", port))


def test_a_client_that_says_nothing_does_not_hold_up_another(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)):
        assert get(server, "/healthz")[0] == 200
