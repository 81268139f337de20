"""The service's own address: /metrics, /healthz and /readyz, on loopback unless told otherwise."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import msgspec
import structlog
from prometheus_client import make_wsgi_app

from ingest.errors import RingfenceError
from monitor.metrics import Metrics

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_log = structlog.get_logger()

REQUEST_TIMEOUT_S: Final = 10.0
"""A client that sends nothing for so long is let go: a scrape takes milliseconds."""
STUCK_AFTER_S: Final = 60.0
"""A loop without a heartbeat for so long is stuck: the longest pass takes a few seconds."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker's loop says of itself."""

    heartbeat_age_s: float
    """Wall time since the loop last came round."""
    assigned: bool
    """Whether the worker has partitions, or a tape."""
    caught_up: bool
    """Whether it has once reached the end of what was there when it was assigned."""
    store_reachable: bool
    stuck_after_s: float = STUCK_AFTER_S

    @property
    def alive(self) -> bool:
        """Whether the loop comes round; when not, a restart is the cure."""
        return self.heartbeat_age_s <= self.stuck_after_s

    @property
    def ready(self) -> bool:
        """Whether alerts are raised as events come."""
        return self.alive and self.assigned and self.caught_up and self.store_reachable


class Server:
    """A running HTTP server; `close` ends it."""

    def __init__(self, server: WSGIServer) -> None:
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="http", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.server_port

    def close(self) -> None:
        """Stop listening and wait for the server's thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve(metrics: Metrics, host: str, port: int, health: Callable[[], Health]) -> Server:
    """Return a server of the metrics and the health of a worker, already listening.

    Parameters
    ----------
    port : int
        0 takes any free one.
    health : callable
        Asked at each request, from a thread of its own. /healthz answers 200 while the loop comes
        round, /readyz while alerts are raised as events come, and 503 otherwise; the body is JSON.

    Raises
    ------
    RingfenceError
        The address cannot be listened on.
    """
    scrape = make_wsgi_app(metrics.registry)

    def application(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "GET":
            return _answer(start, "405 Method Not Allowed", {"error": "only GET is answered"})
        match environ["PATH_INFO"]:
            case "/metrics":
                # Told by the health itself, so that a loop that hangs cannot go on saying "ready".
                found = _asked(health)
                metrics.set_ready(isinstance(found, Health) and found.ready)
                page: Iterable[bytes] = scrape(environ, start)
                return page
            case "/healthz":
                return _health(start, health, "alive")
            case "/readyz":
                return _health(start, health, "ready")
            case _:
                known = "/metrics, /healthz, /readyz"
                return _answer(start, "404 Not Found", {"error": f"there is {known}"})

    try:
        server = make_server(host, port, application, _Server, _Handler)
    except (OSError, OverflowError) as error:
        raise RingfenceError(
            f"service.host and service.port must be a free address, were {host}:{port}: {error}"
        ) from error
    return Server(server)


def _asked(health: Callable[[], Health]) -> Health | Exception:
    try:
        return health()
    except Exception as error:  # noqa: BLE001 (the probe must hear it, whatever it is)
        _log.exception("health could not be told")
        return error


def _health(start: StartResponse, health: Callable[[], Health], question: str) -> Iterable[bytes]:
    found = _asked(health)
    if isinstance(found, Exception):
        return _answer(start, UNAVAILABLE, {question: False, "error": type(found).__name__})
    answer = bool(getattr(found, question))
    body = {question: answer, **msgspec.structs.asdict(found)}
    return _answer(start, "200 OK" if answer else UNAVAILABLE, body)


UNAVAILABLE: Final = "503 Service Unavailable"


def _answer(start: StartResponse, status: str, body: dict[str, Any]) -> Iterable[bytes]:
    content = msgspec.json.encode(body) + b"\n"
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
    start(status, [*headers, ("Cache-Control", "no-store")])
    return [content]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        _log.debug("request broken off", exc_info=True)


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_TIMEOUT_S

    def address_string(self) -> str:
        return str(self.client_address[0])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        """Log nothing: a scrape every few seconds is no state change."""
