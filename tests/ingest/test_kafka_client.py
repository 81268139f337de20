"""What a person is told when no client of Kafka could be made, whatever the tries saw."""

from __future__ import annotations

import pytest

from ingest.kafka_client import unreachable
from ingest.kafka_settings import KafkaSettings, Secret

REFUSED = "[Error 58] SaslAuthenticationFailedError: invalid credentials"
SLOW = "KafkaTimeoutError: SASL Authentication timed out"
CLOSED = "KafkaConnectionError: socket disconnected"
SETTINGS = KafkaSettings(
    bootstrap="127.0.0.1:9092",
    security_protocol="SASL_SSL",
    sasl_username="ringfence",
    sasl_password=Secret("hunter2"),
)


@pytest.mark.parametrize("others", [[], [CLOSED], [SLOW], [SLOW, CLOSED]])
def test_one_refusal_among_the_tries_is_what_is_told(others: list[str]) -> None:
    said = unreachable(SETTINGS, TimeoutError("no broker"), {REFUSED, *others})
    assert "must accept user 'ringfence'" in said
    assert said.endswith(REFUSED)


@pytest.mark.parametrize("causes", [{SLOW}, {SLOW, CLOSED}])
def test_a_login_that_took_too_long_is_not_called_a_refusal(causes: set[str]) -> None:
    said = unreachable(SETTINGS, TimeoutError("no broker"), causes)
    assert "must accept" not in said
    assert SLOW in said
    assert "may close unsaid" in said


def test_without_a_cause_the_error_itself_is_told_in_one_line() -> None:
    said = unreachable(SETTINGS, TimeoutError("no broker\nand more"), set())
    assert "no broker" in said
    assert "\n" not in said
