"""The real Prometheus and Alertmanager on loopback and random ports, with the committed files.

What is started runs copies made from the committed rules and routes in which only waiting times and
addresses differ, so that a test takes seconds: `quick_rules` and `quick_routes` say which.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.broker import free_ports

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "dashboards" / "prometheus" / "ringfence.rules.yml"
ALERTMANAGER = ROOT / "dashboards" / "alertmanager"
START_S = 30.0
ROUTING_KEY = "0123456789abcdef0123456789abcdef"


def program(*names: str) -> str:
    """Return the path of the first program of those names that is installed; without one, skip.

    With `RINGFENCE_REQUIRE_SERVERS=1` what would skip fails instead.
    """
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    missing = f"`{names[0]}` is not installed (Debian: prometheus prometheus-alertmanager)"
    if os.environ.get("RINGFENCE_REQUIRE_SERVERS") == "1":
        pytest.fail(f"a real server is required: {missing}", pytrace=False)
    pytest.skip(missing)


def quick_rules(folder: Path, *, shown_after: str = "0s") -> Path:
    """Write the committed rules with every `for` shortened, and nothing else; return the file."""
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = shown_after
    path = folder / RULES.name
    path.write_text(yaml.safe_dump(rules), encoding="utf-8")
    return path


def quick_routes(folder: Path, *, pagerduty_url: str, webhook_url: str) -> Path:
    """Write the committed routes with waits shortened and addresses replaced; return the file."""
    config = yaml.safe_load((ALERTMANAGER / "alertmanager.yml").read_text(encoding="utf-8"))
    key = folder / "routing_key"
    key.write_text(ROUTING_KEY, encoding="ascii")
    config["global"]["pagerduty_url"] = pagerduty_url
    config["global"]["resolve_timeout"] = "5s"
    config["templates"] = [str(ALERTMANAGER / name) for name in config["templates"]]
    for receiver in config["receivers"]:
        for pager in receiver.get("pagerduty_configs", ()):
            pager["routing_key_file"] = str(key)
        for hook in receiver.get("webhook_configs", ()):
            hook["url"] = webhook_url
    _hasten(config["route"])
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def _hasten(route: dict[str, Any]) -> None:
    for name, wait in (("group_wait", "0s"), ("group_interval", "1s")):
        if name in route:
            route[name] = wait
    for child in route.get("routes", ()):
        _hasten(child)


class _Server:
    """A server's process, its address, and its log in `folder`."""

    def __init__(self, folder: Path, name: str, command: list[str], port: int) -> None:
        self.port = port
        self._name = name
        self._log = folder / f"{name}.log"
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def _start(self, environment: Mapping[str, str] | None = None) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})},
            )
        deadline = time.monotonic() + START_S
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = self._log.read_text(errors="replace")[-2000:]
                self.close()
                raise RuntimeError(f"{self._name} did not start:\n{tail}")
            time.sleep(0.05)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2):
                return True
        except OSError:
            return False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **parameters: str) -> Any:
        """Return the JSON at a path of its interface."""
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        with urllib.request.urlopen(f"{self.url}{path}{query}", timeout=10) as answer:
            return json.load(answer)

    def close(self) -> None:
        """End the process that was started, by its id."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class AlertmanagerServer(_Server):
    """Alertmanager with the committed routes, made quick; pages go to `pagerduty_url`."""

    def __init__(self, folder: Path, *, pagerduty_url: str, webhook_url: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config = quick_routes(folder, pagerduty_url=pagerduty_url, webhook_url=webhook_url)
        [port] = free_ports(1)
        command = [
            program("prometheus-alertmanager", "alertmanager"),
            f"--config.file={config}",
            f"--storage.path={folder / 'alertmanager-data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ]
        super().__init__(folder, "alertmanager", command, port)
        self._start()


class PrometheusServer(_Server):
    """Prometheus that scrapes one port of loopback as job `ringfence`, instance `worker-1`.

    Parameters
    ----------
    folder : Path
        Takes configuration, data and log.
    scrape_port : int
        Where the service's /metrics is.
    rules : Path, optional
        Rule file; none by default. `quick_rules` makes one that fires in seconds.
    alertmanager_port : int, optional
        Where alerts are sent; nowhere by default.
    interval : str
        Between scrapes, and between evaluations.
    """

    def __init__(
        self,
        folder: Path,
        scrape_port: int,
        *,
        rules: Path | None = None,
        alertmanager_port: int | None = None,
        interval: str = "250ms",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        targets = {"targets": [f"127.0.0.1:{scrape_port}"], "labels": {"instance": "worker-1"}}
        config: dict[str, Any] = {
            "global": {
                "scrape_interval": interval,
                "scrape_timeout": interval,
                "evaluation_interval": interval,
            },
            "scrape_configs": [{"job_name": "ringfence", "static_configs": [targets]}],
        }
        if rules is not None:
            config["rule_files"] = [str(rules)]
        if alertmanager_port is not None:
            to = [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager_port}"]}]}]
            config["alerting"] = {"alertmanagers": to}
        path = folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        [port] = free_ports(1)
        command = [
            program("prometheus"),
            f"--config.file={path}",
            f"--storage.tsdb.path={folder / 'prometheus-data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        super().__init__(folder, "prometheus", command, port)
        self._start()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result vector of an instant query; raise when it is no valid query."""
        try:
            answer = self.get("/api/v1/query", query=expression)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from error
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def over(
        self, expression: str, start: float, end: float, step_s: float = 1.0
    ) -> list[dict[str, Any]]:
        """Return the series of a query over a time range, seconds since 1970."""
        span = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step_s:g}"}
        answer = self.get("/api/v1/query_range", query=expression, **span)
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def numbers(self, expression: str) -> list[float]:
        """Return the values of an instant query that are numbers: no NaN, nothing infinite."""
        values = [float(series["value"][1]) for series in self.query(expression)]
        return [value for value in values if value - value == 0]

    def wait_for(
        self, expression: str, wanted: Callable[[list[float]], bool] = bool, timeout_s: float = 20.0
    ) -> list[float]:
        """Return the numbers of a query as soon as they are wanted; raise when they never were."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = self.numbers(expression)
            if wanted(found):
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{expression} was {self.query(expression)} to the end")
            time.sleep(0.1)

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire now."""
        alerts = self.get("/api/v1/alerts")["data"]["alerts"]
        return {a["labels"]["alertname"] for a in alerts if a["state"] == "firing"}
