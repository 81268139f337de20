"""A local stand-in for PagerDuty's Events v2 address, and for a webhook: it keeps what it is sent.

It answers as PagerDuty documents: 202 with status, message and dedup_key when the event has the
documented shape, 400 with the errors otherwise.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jsonschema

EVENT_SCHEMA = {
    "type": "object",
    "required": ["routing_key", "event_action"],
    "properties": {
        "routing_key": {"type": "string", "minLength": 32, "maxLength": 32},
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "dedup_key": {"type": "string", "maxLength": 255},
        "client": {"type": "string"},
        "client_url": {"type": "string"},
        "images": {"type": "array"},
        "links": {"type": "array"},
        "payload": {
            "type": "object",
            "required": ["summary", "source", "severity"],
            "properties": {
                "summary": {"type": "string", "minLength": 1, "maxLength": 1024},
                "source": {"type": "string", "minLength": 1},
                "severity": {"enum": ["critical", "error", "warning", "info"]},
                "timestamp": {"type": "string"},
                "component": {"type": "string"},
                "group": {"type": "string"},
                "class": {"type": "string"},
                "custom_details": {"type": "object"},
            },
        },
    },
    "if": {"properties": {"event_action": {"const": "trigger"}}},
    "then": {"required": ["payload"]},
    "else": {"required": ["dedup_key"]},
}
"""An event as https://developer.pagerduty.com documents it, with its length limits."""

Body = dict[str, Any]


class PagerDuty:
    """Listens on a free port of loopback; `events` at /v2/enqueue, `posts` at every other path."""

    def __init__(self) -> None:
        self.events: list[Body] = []
        self.posts: list[Body] = []
        self.refused: list[str] = []
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = stand_in._take(self.path, body)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                """Keep the tests' output to what they say."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        """Where events go: what `global.pagerduty_url` is set to."""
        return f"http://127.0.0.1:{self.port}/v2/enqueue"

    @property
    def webhook_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/webhook?a=1&b=2"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait_for_event(
        self, wanted: Callable[[Body], bool] = lambda _: True, timeout_s: float = 30.0
    ) -> Body:
        """Return the first event that is wanted; raise when none came in time."""
        return self._wait(self.events, wanted, timeout_s)

    def wait_for_post(
        self, wanted: Callable[[Body], bool] = lambda _: True, timeout_s: float = 30.0
    ) -> Body:
        """Return the first webhook body that is wanted; raise when none came in time."""
        return self._wait(self.posts, wanted, timeout_s)

    def _wait(self, kept: Sequence[Body], wanted: Callable[[Body], bool], timeout_s: float) -> Body:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for body in list(kept):
                if wanted(body):
                    return body
            time.sleep(0.05)
        raise AssertionError(f"none came in {timeout_s} s; came: {kept}, refused: {self.refused}")

    def _take(self, path: str, body: Body) -> tuple[int, Body]:
        if path != "/v2/enqueue":
            self.posts.append(body)
            return 200, {}
        errors = [
            e.message for e in jsonschema.Draft202012Validator(EVENT_SCHEMA).iter_errors(body)
        ]
        if errors:
            self.refused += errors
            return 400, {"status": "invalid event", "errors": errors}
        self.events.append(body)
        key = body.get("dedup_key", "made-up")
        return 202, {"status": "success", "message": "Event processed", "dedup_key": key}
