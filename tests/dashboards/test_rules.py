"""The Prometheus rules: valid, tested both ways by promtool, and fit to be read on a pager."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from monitor.metrics import Metrics
from tests.support.prometheus import RULES, program

pytestmark = pytest.mark.prometheus

CASES = RULES.with_name("ringfence.rules.test.yml")
GROUPS = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
ALERTS = {r["alert"]: r for g in GROUPS for r in g["rules"] if "alert" in r}
RECORDED = {r["record"] for g in GROUPS for r in g["rules"] if "record" in r}


def promtool(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [program("promtool"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_promtool_accepts_rules_and_configuration() -> None:
    assert promtool("check", "rules", RULES.name, folder=RULES.parent).returncode == 0
    done = promtool("check", "config", "prometheus.yml", folder=RULES.parent)
    assert done.returncode == 0, done.stderr


def test_promtool_finds_every_case_as_it_should_be() -> None:
    done = promtool("test", "rules", CASES.name, folder=RULES.parent)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS)
@pytest.mark.parametrize(("how", "expr"), [("never", "vector(1) == 0"), ("always", None)])
def test_the_cases_notice_a_rule_that_fires_never_or_always(
    alert: str, how: str, expr: str | None, tmp_path: Path
) -> None:
    cases = yaml.safe_load(CASES.read_text(encoding="utf-8"))
    cases["tests"] = [case for case in cases["tests"] if f'"{alert}"' in str(case)]
    (tmp_path / CASES.name).write_text(yaml.safe_dump(cases), encoding="utf-8")
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    for rule in (r for group in rules["groups"] for r in group["rules"]):
        if rule.get("alert") == alert:
            rule["expr"] = expr or "vector(1)"
            rule.pop("for", None)
    (tmp_path / RULES.name).write_text(yaml.safe_dump(rules), encoding="utf-8")
    done = promtool("test", "rules", CASES.name, folder=tmp_path)
    assert done.returncode != 0, how
    assert alert in done.stdout + done.stderr


def test_every_rule_has_a_case_that_fires_and_one_that_does_not() -> None:
    cases = yaml.safe_load(CASES.read_text(encoding="utf-8"))["tests"]
    tests = [test for case in cases for test in case["promql_expr_test"]]
    for alert in ALERTS:
        of_alert = [t for t in tests if f'alertname="{alert}"' in t["expr"]]
        assert any(t["exp_samples"] for t in of_alert), alert
        assert any(not t["exp_samples"] for t in of_alert), alert


@pytest.mark.parametrize("alert", ALERTS)
def test_a_rule_asks_only_for_metrics_that_exist(alert: str) -> None:
    expression = ALERTS[alert]["expr"]
    promql_parser.parse(expression)
    shown = Metrics(detectors=["a"]).registry.collect()
    known = {sample.name for family in shown for sample in family.samples}
    assert set(re.findall(r"\bringfence_\w+", expression)) <= known
    assert set(re.findall(r"\bringfence:\S+?:\w+", expression)) <= RECORDED


@pytest.mark.parametrize("alert", ALERTS)
def test_a_rule_says_how_urgent_it_is_and_what_to_do(alert: str) -> None:
    rule: dict[str, Any] = ALERTS[alert]
    assert rule["labels"] == {"severity": rule["labels"]["severity"]}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert 20 < len(rule["annotations"]["summary"]) < 120
    assert len(rule["annotations"]["runbook"]) > 50


@pytest.mark.parametrize("alert", ALERTS)
def test_texts_use_no_label_that_could_name_a_person(alert: str) -> None:
    text = " ".join(ALERTS[alert]["annotations"].values())
    used = set(re.findall(r"\$labels\.(\w+)", text))
    assert used <= {"instance", "detector", "topic"}
    kept = re.search(r"by \(([^)]*)\)", ALERTS[alert]["expr"])
    assert kept is None or set(kept.group(1).split(", ")) <= {
        *("job", "instance", "detector", "topic", "le"),
    }
