"""One record read with care, in plain Python: what it says, or why it is refused.

This is what the fast readers are measured against: it reads whatever they hand over, and words
every rejection. Nothing here depends on how many messages arrived together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

import msgspec

from ingest.decimals import NOT_DECIMAL, OFF_GRID, OK, OUT_OF_RANGE, Scale, scale_of, scaled
from ingest.events import Topic
from ingest.instruments import Instruments
from ingest.records import (
    ENUMS,
    FEE_DIGITS,
    FIRST_NS,
    KNOWN_KEYS,
    LAST_NS,
    MAX_DECIMAL_CHARACTERS,
    STATES_ORDER,
    VERSION,
    WIRE_FIELDS,
)

FEE_SCALE: Final = Scale(1, -FEE_DIGITS, rounded=True)
_LARGEST: Final = 2**63 - 1
_SHOWN: Final = 40


class Refusal(msgspec.Struct, frozen=True):
    """Why a record is no valid one: reason as counted, and expected and found in words."""

    reason: str
    detail: str


class Record(msgspec.Struct, frozen=True):
    """Fields that the contract names, with types as it says; null and absent ones left out."""

    fields: Mapping[str, str | int]
    unknown: int
    """How many other fields there were."""


class _Pairs(msgspec.Struct):
    pairs: Sequence[tuple[str, Any]]


class _NotJsonError(ValueError):
    pass


def _constant(word: str) -> NoReturn:
    raise _NotJsonError(f"{word} is no JSON number")


_JSON: Final = json.JSONDecoder(object_pairs_hook=_Pairs, parse_constant=_constant)


def read(topic: Topic, raw: bytes) -> Record | Refusal:  # noqa: PLR0911
    """Return the record in a message, its types checked and its values not.

    >>> read(Topic.TRADES, b'{"v": 1, "seq": 7, "colour": "red"}')
    Record(fields={'v': 1, 'seq': 7}, unknown=1)
    >>> read(Topic.TRADES, b'{"v": 1, "seq": "7"}')
    Refusal(reason='wrong_type', detail='seq must be an integer or null, was a string')
    """
    try:
        value = _JSON.decode(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        return Refusal("not_json", f"record must be UTF-8, was not at byte {error.start}")
    except json.JSONDecodeError as error:
        found = "an empty message" if not raw.strip() else f"{error.msg} at character {error.pos}"
        return Refusal("not_json", f"record must be one JSON object, was not: {found}")
    except RecursionError:
        return Refusal("not_json", "record must be one flat JSON object, was nested too deeply")
    except ValueError:  # a constant that is no number, or more digits than Python converts
        return Refusal("not_json", "record must be one JSON object, was not: a number is none")
    if not isinstance(value, _Pairs):
        return Refusal("not_json", f"record must be one JSON object, was {_type_name(value)}")
    known = [(name, item) for name, item in value.pairs if name in KNOWN_KEYS[topic]]
    fields = dict(known)
    if len(fields) < len(known):
        names = [name for name, _ in known]
        twice = next(name for name in names if names.count(name) > 1)
        return Refusal("not_json", f"{twice} must be given once, was given {names.count(twice)}×")
    for name in WIRE_FIELDS[topic]:
        refusal = _type_refusal(topic, name, fields.get(name))
        if refusal is not None:
            return refusal
    unknown = len({name for name, _ in value.pairs} - KNOWN_KEYS[topic])
    return Record({n: item for n, item in fields.items() if item is not None}, unknown)


def _type_refusal(topic: Topic, name: str, value: Any) -> Refusal | None:  # noqa: PLR0911
    """Return what is wrong with the type of one field, if anything."""
    if value is None:
        return None
    if WIRE_FIELDS[topic][name].form == "integer":
        if type(value) is not int:
            return Refusal(
                "wrong_type", f"{name} must be an integer or null, was {_type_name(value)}"
            )
        if name == "v" and value != VERSION:
            return _version(value)
        if not 0 <= value <= _LARGEST:
            return Refusal("out_of_range", f"{name} must be in 0 to 2**63 - 1, was {_shown(value)}")
        return None
    if type(value) is not str:
        return Refusal("wrong_type", f"{name} must be a string or null, was {_type_name(value)}")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        return Refusal("not_json", f"{name} must be Unicode text, was half a surrogate pair")
    return None


def judge(topic: Topic, record: Record, instruments: Instruments) -> Refusal | None:
    """Return why a record's values are refused; None when they are valid."""
    fields = record.fields
    if fields.get("v", VERSION) != VERSION:
        return _version(fields["v"])
    for check in (_missing, _unknown_word):
        refusal = check(topic, fields)
        if refusal is not None:
            return refusal
    code = instruments.code(str(fields["instrument"]))
    if code is None:
        return Refusal(
            "unknown_instrument",
            f"instrument must be one of the {len(instruments)} listed, "
            f"was {_shown(fields['instrument'])}",
        )
    refusal = _integers(topic, fields)
    if refusal is not None:
        return refusal
    row = instruments[code]
    for name, field in WIRE_FIELDS[topic].items():
        text = str(fields.get(name, ""))
        if field.form == "decimal" and text:
            step = "lot_size" if name in LOTS else "tick_size"
            size = row.lot_size if name in LOTS else row.tick_size
            scale = FEE_SCALE if name in FEES else scale_of(size)
            refusal = _number(topic, fields, name, text, scale, f"{step} {size}")
            if refusal is not None:
                return refusal
    return None


LOTS: Final = frozenset({"quantity", "leaves", "display"})
"""Decimals counted in lots."""
FEES: Final = frozenset({"buy_fee", "sell_fee"})
"""Decimals counted in 1e-9 of the quote currency; they may be negative: a rebate."""


def least(name: str, action: str) -> int | None:
    """Return the least count that a decimal may have in a record; None when any will do.

    >>> least("price", "cancel"), least("quantity", "new"), least("quantity", "cancel")
    (1, 1, 0)
    """
    if name in FEES or action == "reject":
        return None
    if name in LOTS:
        return int(name == "quantity" and action in (*STATES_ORDER, "trade"))
    return 1


def _missing(topic: Topic, fields: Mapping[str, str | int]) -> Refusal | None:
    if topic is Topic.ORDERS and "action" not in fields:
        return Refusal("missing_field", "action is required, was absent or null")
    action = str(fields["action"]) if topic is Topic.ORDERS else "trade"
    for name, field in WIRE_FIELDS[topic].items():
        if fields.get(name, "") != "" or (field.form == "enum" and name in fields):
            continue
        if action not in field.required_for and not _always(field.required_for):
            continue
        if field.order_types and fields.get("type") not in field.order_types:
            continue
        if field.waived_by_bust and fields.get("busts"):
            continue
        kind = f"{fields['type']} {action}" if field.order_types else action
        return Refusal("missing_field", f"{name} is required of a {kind}, was absent or null")
    return None


def _always(required_for: Sequence[str]) -> bool:
    return "book_end" in required_for  # required even where the action is not known


def _unknown_word(topic: Topic, fields: Mapping[str, str | int]) -> Refusal | None:
    for name, words in ENUMS[topic].items():
        if name == "reason" and fields.get("action") == "status":
            continue
        if name in fields and fields[name] not in words:
            return Refusal(
                "unknown_enum",
                f"{name} must be one of {', '.join(words)}, was {_shown(fields[name])}",
            )
    return None


def _integers(topic: Topic, fields: Mapping[str, str | int]) -> Refusal | None:
    if int(fields["seq"]) < 1:
        return Refusal("out_of_range", "seq must be at least 1, was 0")
    for name in WIRE_FIELDS[topic]:
        if name.endswith("_ns") and name in fields and not FIRST_NS <= int(fields[name]) < LAST_NS:
            return Refusal(
                "out_of_range",
                f"{name} must be nanoseconds of the years 2000 to 2199, was {fields[name]}",
            )
    return None


def _number(  # noqa: PLR0917
    topic: Topic,
    fields: Mapping[str, str | int],
    name: str,
    text: str,
    scale: Scale,
    step: str,
) -> Refusal | None:
    count, status = scaled(text, scale)
    if status == NOT_DECIMAL:
        return Refusal("wrong_type", f"{name} must be a decimal string, was {_shown(text)}")
    action = str(fields.get("action", "trade")) if topic is Topic.ORDERS else "trade"
    if action == "reject":  # a venue refuses what is off its grid; the number then means nothing
        return None
    if status == OFF_GRID:
        reason = "off_lot" if name in LOTS else "off_tick"
        return Refusal(reason, f"{name} must be a multiple of {step}, was {text}")
    if status == OUT_OF_RANGE:
        unit = f"1e-{FEE_DIGITS}" if name in FEES else step
        return Refusal(
            "out_of_range",
            f"{name} must have at most {MAX_DECIMAL_CHARACTERS} characters and 2**63 - 1 steps "
            f"of {unit}, was {_shown(text)}",
        )
    lowest = least(name, action)
    if status == OK and lowest is not None and count < lowest:
        wanted = "positive" if lowest else "zero or positive"
        return Refusal("out_of_range", f"{name} must be {wanted}, was {text}")
    return None


def _version(found: object) -> Refusal:
    return Refusal("wrong_version", f"v must be {VERSION}, was {_shown(found)}")


def _shown(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an integer of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def _type_name(value: object) -> str:
    names = {
        bool: "true or false",
        int: "an integer",
        float: "a number with a fraction",
        str: "a string",
        list: "an array",
        _Pairs: "an object",
    }
    return names.get(type(value), "null")
