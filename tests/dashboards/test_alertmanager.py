"""The alert routes: who is rung, who is written to, and what a page says."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.support.broker import free_ports
from tests.support.prometheus import ALERTMANAGER, RULES, program

pytestmark = pytest.mark.prometheus

CONFIG = ALERTMANAGER / "alertmanager.yml"
RULE_LABELS = {
    rule["alert"]: rule["labels"]["severity"]
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


def amtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [program("amtool"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def receivers(**labels: str) -> str:
    pairs = [f"{name}={value}" for name, value in labels.items()]
    done = amtool("config", "routes", "test", f"--config.file={CONFIG}", *pairs)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_amtool_accepts_the_configuration_and_its_template() -> None:
    done = amtool("check-config", str(CONFIG))
    assert done.returncode == 0, done.stderr
    assert "1 templates" in done.stdout


@pytest.mark.parametrize("alert", RULE_LABELS)
def test_critical_rings_and_everything_is_written(alert: str) -> None:
    expected = "pagerduty,webhook" if RULE_LABELS[alert] == "critical" else "webhook"
    assert receivers(alertname=alert, severity=RULE_LABELS[alert]) == expected


def test_an_alert_of_another_system_is_written_and_rings_nobody() -> None:
    assert receivers(alertname="DiskFull", severity="warning") == "webhook"


def test_a_breach_is_never_held_back_by_another_alert() -> None:
    for rule in yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["inhibit_rules"]:
        for matcher in rule["target_matchers"]:
            sign, value = re.fullmatch(r'alertname(=~|!~|=|!=)"(.*)"', matcher).groups()  # type: ignore[union-attr]
            hits = bool(re.fullmatch(value, "RingfenceBreachAlert"))
            if hits == (sign in {"=", "=~"}):
                continue
            break
        else:
            raise AssertionError(f"{rule} holds a breach back")


def test_inhibitions_name_rules_that_exist() -> None:
    named = set(re.findall(r"Ringfence[A-Z]\w+", CONFIG.read_text(encoding="utf-8")))
    assert named <= set(RULE_LABELS)


def test_the_page_names_its_labels_one_by_one() -> None:
    text = (ALERTMANAGER / "pager.tmpl").read_text(encoding="utf-8")
    assert set(re.findall(r"Labels\.(\w+)", text)) <= {
        *("instance", "detector", "topic", "severity", "alertname"),
    }
    assert ".SortedPairs" not in text
    details = yaml.safe_load(CONFIG.read_text())["receivers"][0]["pagerduty_configs"][0]["details"]
    # What is not set here, Alertmanager fills with every label there is.
    assert {"firing", "resolved", "num_firing", "num_resolved"} <= details.keys()


def _started(tmp_path: Path, **environment: str) -> tuple[int, str]:
    """Run the container's start script against the real program; return exit code and output."""
    [port] = free_ports(1)
    process = subprocess.Popen(
        ["/bin/sh", str(ALERTMANAGER / "start.sh"), "--cluster.listen-address=",
         f"--web.listen-address=127.0.0.1:{port}", f"--storage.path={tmp_path / 'data'}"],
        env={
            "PATH": os.environ["PATH"],
            "TMPDIR": str(tmp_path),
            "ALERTMANAGER": program("prometheus-alertmanager", "alertmanager"),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 10
    seen = ""
    assert process.stdout is not None
    while time.monotonic() < deadline and "Listening" not in seen and process.poll() is None:
        seen += process.stdout.readline()
    process.terminate()
    seen += process.communicate(timeout=10)[0]
    return process.returncode, seen


def test_the_start_script_puts_this_installations_addresses_in(tmp_path: Path) -> None:
    webhook = "https://chat.example/hook?token=a|b&x=\\1"
    _, output = _started(
        tmp_path,
        RINGFENCE_WEBHOOK_URL=webhook,
        RINGFENCE_PAGERDUTY_URL="https://events.eu.pagerduty.com/v2/enqueue",
    )
    assert "Listening" in output, output
    made = tmp_path / "alertmanager.yml"
    config = yaml.safe_load(made.read_text(encoding="utf-8"))
    assert config["global"]["pagerduty_url"] == "https://events.eu.pagerduty.com/v2/enqueue"
    assert config["receivers"][1]["webhook_configs"][0]["url"] == webhook
    assert config["templates"] == [str(ALERTMANAGER / "pager.tmpl")]
    assert made.stat().st_mode & 0o077 == 0
    committed = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    assert config["route"] == committed["route"]
    assert config["inhibit_rules"] == committed["inhibit_rules"]


def test_without_a_url_of_ones_own_pages_go_to_pagerduty(tmp_path: Path) -> None:
    _, output = _started(
        tmp_path, RINGFENCE_WEBHOOK_URL="https://x.example/", RINGFENCE_PAGERDUTY_URL=""
    )
    assert "Listening" in output, output
    config = yaml.safe_load((tmp_path / "alertmanager.yml").read_text(encoding="utf-8"))
    assert config["global"]["pagerduty_url"] == "https://events.pagerduty.com/v2/enqueue"


def test_without_a_webhook_the_start_is_refused_by_name(tmp_path: Path) -> None:
    code, output = _started(tmp_path)
    assert code != 0
    assert "RINGFENCE_WEBHOOK_URL: is where every alert is posted" in output
