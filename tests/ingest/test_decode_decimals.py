from __future__ import annotations

import re
from decimal import Context, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.decimals import NOT_DECIMAL, OFF_GRID, OK, OUT_OF_RANGE, Scale, Scales, scale_of, scaled
from ingest.events import NULL

STEPS = ["0.01", "0.5", "1", "25", "1E-8", "1E-18", "1E+3", "0.00125", "3", "123456789012345678901"]
FEE = Scale(1, -9, rounded=True)
GRAMMAR = r"[+-]?([0-9]{1,25}(\.[0-9]{0,22})?|\.[0-9]{1,22})([eE][+-]?[0-9]{1,4})?"

texts = st.one_of(
    st.from_regex(GRAMMAR, fullmatch=True),
    st.from_regex(r"-?[0-9]{1,6}\.[0-9]{1,4}0{0,20}", fullmatch=True),
    st.from_regex(r"0{0,30}\.?0{0,30}[1-9]{0,19}0{0,20}(e-?[0-9]{1,2})?", fullmatch=True),
    st.text(alphabet="0123456789.eE+-_ x", max_size=90),
    st.sampled_from(
        ["nan", "inf", "Infinity", "1_0", "٣", "0x1", "1e", "1e+", "e5", ".", "-", "+."]
    ),
)


def kernel(values: list[str], scale: Scale) -> list[tuple[int, int]]:
    data = [value.encode() for value in values]
    lengths = np.array([len(d) for d in data], dtype=np.int32)
    starts = (np.cumsum(lengths) - lengths).astype(np.int64)
    buffer = np.frombuffer(b"".join(data) + b"\n", dtype=np.uint8)
    counts, status = Scales([scale]).read(buffer, starts, lengths, np.zeros(len(data), np.int32))
    return list(zip(counts.tolist(), status.tolist(), strict=True))


def exact(text: str, step: str) -> tuple[int, int]:
    """Return what a decimal is by fractions alone."""
    if len(text) > 80:
        return NULL, OUT_OF_RANGE
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        return NULL, NOT_DECIMAL
    quotient = Fraction(Decimal(text)) / Fraction(Decimal(step))
    if abs(quotient) >= 2**63 and (quotient.denominator == 1 or abs(quotient) > 10**25):
        return NULL, OUT_OF_RANGE
    if quotient.denominator != 1:
        return NULL, OFF_GRID
    return int(quotient), OK


@settings(deadline=None, max_examples=300)
@given(st.lists(texts.filter(bool), min_size=1, max_size=20), st.sampled_from(STEPS))
def test_kernel_and_python_scale_alike_and_as_fractions_do(values: list[str], step: str) -> None:
    scale = scale_of(Decimal(step))
    found = kernel(values, scale)
    assert found == [scaled(value, scale) for value in values]
    for value, got in zip(values, found, strict=True):
        want = exact(value, step)
        # Far too large and off the grid at once: either word refuses it.
        assert got == want or {got[1], want[1]} == {OFF_GRID, OUT_OF_RANGE}


@settings(deadline=None, max_examples=200)
@given(st.lists(texts.filter(bool), min_size=1, max_size=20))
@example(["0.0000000005", "-0.0000000005", "0.00000000049999999999999999999", "1e-19"])
def test_kernel_and_python_round_alike(values: list[str]) -> None:
    assert kernel(values, FEE) == [scaled(value, FEE) for value in values]


@given(st.integers(-(10**22), 10**22))
def test_rounding_is_half_away_from_zero(number: int) -> None:
    value = Decimal(number).scaleb(-14, Context(prec=40))
    count, status = scaled(str(value), FEE)
    half_up = (abs(number) * 10**9 * 2 + 10**14) // (2 * 10**14)
    assert (count, status) == (half_up if number > 0 else -half_up, OK)


@pytest.mark.parametrize(
    ("text", "step", "want"),
    [
        ("100.50", "0.5", (201, OK)),
        ("1.", "0.5", (2, OK)),
        (".5", "0.5", (1, OK)),
        ("+5e-1", "0.5", (1, OK)),
        ("0001.5000", "0.5", (3, OK)),
        ("-0.0", "0.5", (0, OK)),
        ("0e999999999", "0.5", (0, OK)),
        ("9223372036854775807", "1", (2**63 - 1, OK)),
        ("9223372036854775808", "1", (NULL, OUT_OF_RANGE)),
        ("-9223372036854775808", "1", (NULL, OUT_OF_RANGE)),
        ("92233720368547758.07", "0.01", (2**63 - 1, OK)),
        ("230584300921369395175", "25", (9223372036854775807, OK)),
        ("0.30000000000000004", "0.1", (NULL, OFF_GRID)),
        ("1e-400", "0.1", (NULL, OFF_GRID)),
        ("1e400", "0.1", (NULL, OUT_OF_RANGE)),
        ("1e99999999999999999999", "0.1", (NULL, OUT_OF_RANGE)),
        ("1e-99999999999999999999", "0.1", (NULL, OFF_GRID)),
        ("1." + "0" * 78, "1", (1, OK)),
        ("1." + "0" * 79, "1", (NULL, OUT_OF_RANGE)),
        ("1e5x", "1", (NULL, NOT_DECIMAL)),
        ("1 ", "1", (NULL, NOT_DECIMAL)),
        ("--1", "1", (NULL, NOT_DECIMAL)),
        ("1.2.3", "1", (NULL, NOT_DECIMAL)),
    ],
)
def test_a_decimal_becomes_a_count_or_is_refused(
    text: str, step: str, want: tuple[int, int]
) -> None:
    assert kernel([text], scale_of(Decimal(step))) == [want]
    assert scaled(text, scale_of(Decimal(step))) == want


def test_an_absent_decimal_or_instrument_gives_no_count() -> None:
    scales = Scales([scale_of(Decimal("1"))])
    buffer = np.frombuffer(b"57", dtype=np.uint8)
    counts, status = scales.read(
        buffer,
        np.array([0, 0, 1], dtype=np.int64),
        np.array([1, 0, 1], dtype=np.int32),
        np.array([0, 0, -1], dtype=np.int32),
    )
    assert counts.tolist() == [5, NULL, NULL]
    assert status.tolist() == [OK, OK, OK]
