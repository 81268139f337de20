from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from ingest.decode import Decoder
from ingest.errors import TapeError
from ingest.events import NO_CODE, NULL, REJECT_REASONS, AfmmFlag, Kind, Phase, Reason, Side, Topic
from ingest.names import Names
from ingest.records import ENUMS, KNOWN_KEYS, WIRE_FIELDS, OrderRecord, TradeRecord
from ingest.source import Arrivals
from tests.ingest.wire_records import AT, Outcome, instruments, order, raw, rows, tape, trade

NEEDED = {
    "new": "v instrument seq order_id account side type price quantity engine_ns",
    "replace": "v instrument seq order_id account side type price quantity engine_ns",
    "book": "v instrument seq order_id account side type price quantity engine_ns",
    "cancel": "v instrument seq order_id engine_ns",
    "reject": "v instrument seq order_id engine_ns",
    "expire": "v instrument seq order_id engine_ns",
    "trigger": "v instrument seq order_id engine_ns",
    "status": "v instrument seq engine_ns phase",
    "book_end": "v instrument seq engine_ns",
}


def decode(topic: Topic, *records: dict[str, Any], names: Names | None = None) -> Arrivals:
    decoder = Decoder(instruments(), names if names is not None else Names())
    values = [raw(record) for record in records]
    return decoder.decode(topic, values, 2, np.arange(1841, 1841 + len(values)))


def refusal(topic: Topic, record: dict[str, Any]) -> tuple[str, str]:
    arrivals = decode(topic, record)
    assert len(arrivals.batch) == 0
    (reject,) = arrivals.rejects
    assert reject.raw == raw(record)
    assert (reject.topic, reject.partition, reject.offset) == (topic, 2, 1841)
    assert reject.reason in REJECT_REASONS
    return reject.reason, reject.detail


@pytest.mark.parametrize("action", NEEDED)
def test_an_order_record_needs_what_its_action_needs_and_no_more(action: str) -> None:
    full = order(action=action, phase="halt")
    needed = [*NEEDED[action].split(), "action"]
    least = {name: value for name, value in full.items() if name in needed}
    assert len(decode(Topic.ORDERS, least).batch) == 1
    for name in needed:
        for record in (
            {n: v for n, v in least.items() if n != name},
            least | {name: None},
        ):
            reason, detail = refusal(Topic.ORDERS, record)
            assert reason == "missing_field"
            assert detail.startswith(f"{name} is required")
            assert detail.endswith("(orders/2@1841)")


def test_every_action_of_the_contract_has_its_needs_stated_here() -> None:
    assert set(NEEDED) == set(ENUMS[Topic.ORDERS]["action"])


@pytest.mark.parametrize(
    ("kind", "price", "stop", "ok"),
    [
        ("limit", "1", None, True),
        ("limit", None, None, False),
        ("market", None, None, True),
        ("stop", None, "1", True),
        ("stop", None, None, False),
        ("stop_limit", "1", "1", True),
        ("stop_limit", "1", None, False),
        ("stop_limit", None, "1", False),
    ],
)
def test_prices_are_needed_by_order_type(
    kind: str, price: str | None, stop: str | None, ok: bool
) -> None:
    record = order(type=kind, price=price, stop_price=stop)
    assert len(decode(Topic.ORDERS, record).batch) == ok


def test_a_cancel_may_omit_its_price_even_where_it_says_limit() -> None:
    assert len(decode(Topic.ORDERS, order(action="cancel", price=None)).batch) == 1


@pytest.mark.parametrize(
    "name", ["trade_id", "price", "quantity", "buy_account", "sell_account", "engine_ns", "seq"]
)
def test_a_trade_needs_its_terms_and_parties(name: str) -> None:
    assert refusal(Topic.TRADES, trade(**{name: None}))[0] == "missing_field"


def test_a_trade_only_feed_has_no_order_ids_and_no_aggressor() -> None:
    batch = decode(Topic.TRADES, trade(buy_order_id=None, sell_order_id=None, aggressor=None)).batch
    assert batch["side"][0] == Side.NONE
    assert (batch["buy_hi"][0], batch["buy_lo"][0]) == (0, 0)
    assert (batch["price"][0], batch["quantity"][0]) == (201, 125)


def test_a_bust_needs_only_its_id_and_the_trade_it_cancels() -> None:
    bare = {"price": None, "quantity": None, "buy_account": None, "sell_account": None}
    batch = decode(Topic.TRADES, trade(trade_id="T-9", busts="T-1", **bare)).batch
    trade_batch = decode(Topic.TRADES, trade()).batch
    assert batch["busts_hi"][0] == trade_batch["trade_hi"][0]
    assert batch["price"][0] == NULL
    assert refusal(Topic.TRADES, trade(busts="", **bare))[0] == "missing_field"


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"v": 2}, "wrong_version", "v must be 1, was 2"),
        ({"v": "1"}, "wrong_type", "v must be an integer or null, was a string"),
        ({"price": 100.5}, "wrong_type", "price must be a string or null, was a number"),
        ({"price": "ten"}, "wrong_type", "price must be a decimal string, was 'ten'"),
        ({"price": "100.3"}, "off_tick", "price must be a multiple of tick_size 0.5, was 100.3"),
        (
            {"quantity": "0.0005"},
            "off_lot",
            "quantity must be a multiple of lot_size 0.001, was 0.0005",
        ),
        ({"leaves": "0.2505"}, "off_lot", "leaves must be a multiple of lot_size 0.001"),
        ({"display": "0.0001"}, "off_lot", "display must be a multiple of lot_size 0.001"),
        ({"stop_price": "0.3"}, "off_tick", "stop_price must be a multiple of tick_size 0.5"),
        ({"price": "0"}, "out_of_range", "price must be positive, was 0"),
        ({"price": "-1"}, "out_of_range", "price must be positive, was -1"),
        ({"price": "1e20"}, "out_of_range", "price must have at most"),
        ({"quantity": "0"}, "out_of_range", "quantity must be positive, was 0"),
        ({"leaves": "-1"}, "out_of_range", "leaves must be zero or positive, was -1"),
        ({"seq": 0}, "out_of_range", "seq must be at least 1, was 0"),
        ({"seq": -1}, "out_of_range", "seq must be in 0 to 2**63 - 1, was -1"),
        ({"engine_ns": AT // 1000}, "out_of_range", "engine_ns must be nanoseconds of the years"),
        ({"received_ns": 2**62 * 2 - 1}, "out_of_range", "received_ns must be nanoseconds"),
        ({"priority_ns": 0}, "out_of_range", "priority_ns must be nanoseconds"),
        ({"instrument": "DOGE"}, "unknown_instrument", "instrument must be one of the 4 listed"),
        ({"side": "Buy"}, "unknown_enum", "side must be one of sell, buy, was 'Buy'"),
        ({"tif": ""}, "unknown_enum", "tif must be one of GTC, IOC"),
        ({"reason": "weather"}, "unknown_enum", "reason must be one of user, mmp"),
        ({"action": "amend"}, "unknown_enum", "action must be one of new, replace"),
    ],
)
def test_a_bad_value_is_refused_with_what_was_expected_and_found(
    changes: dict[str, Any], reason: str, detail: str
) -> None:
    found, words = refusal(Topic.ORDERS, order(**changes))
    assert found == reason
    assert words.startswith(detail)
    assert words.endswith(" (orders/2@1841)")


def test_a_detail_never_holds_an_account() -> None:
    secret = "ACCOUNT-OF-A-PERSON"
    for changes in ({"price": "1.3"}, {"v": 7}, {"account": 5}, {"side": None}, {"seq": "x"}):
        record = order(**({"account": secret} | changes))
        assert secret not in refusal(Topic.ORDERS, record)[1]
    twice = raw(order(account=secret)).replace(b"}", b', "account": "' + secret.encode() + b'"}')
    decoder = Decoder(instruments(), Names())
    for value in (twice, twice[:-1], twice + b"x"):
        (reject,) = decoder.decode(Topic.ORDERS, [value], 0, np.arange(1)).rejects
        assert secret not in reject.detail
        assert reject.reason == "not_json"


def test_a_cancel_may_say_that_nothing_was_filled() -> None:
    record = order(action="cancel", quantity="0", leaves="0")
    assert decode(Topic.ORDERS, record).batch["leaves"].tolist() == [0]


def test_a_status_says_why_in_the_venues_own_words() -> None:
    record = order(action="status", phase="halt", reason="price band breached")
    batch = decode(Topic.ORDERS, record).batch
    assert batch["kind"][0] == Kind.STATUS
    assert batch["phase_to"][0] == Phase.HALT
    assert batch["reason"][0] == Reason.OTHER


def test_an_absent_phase_or_flag_is_not_the_first_of_its_kind() -> None:
    assert decode(Topic.ORDERS, order()).batch["phase_to"][0] == -1
    assert decode(Topic.TRADES, trade()).batch["afmm_flag"][0] == AfmmFlag.ABSENT
    assert decode(Topic.TRADES, trade(afmm_flag="none")).batch["afmm_flag"][0] == AfmmFlag.NONE


def test_fees_may_be_rebates_and_are_rounded_half_away_from_zero_at_1e_9() -> None:
    fees = ["0.25", "-0.0000000015", "0.00000000049", "-0.0000000005", "1e-30", "9e9"]
    records = [trade(buy_fee=fee, seq=place + 1) for place, fee in enumerate(fees)]
    found = decode(Topic.TRADES, *records).batch["buy_fee"].tolist()
    assert found == [250_000_000, -2, 0, -1, 0, 9 * 10**18]
    assert refusal(Topic.TRADES, trade(buy_fee="1e10"))[0] == "out_of_range"


def test_names_of_refused_records_take_no_code() -> None:
    names = Names()
    decode(
        Topic.ORDERS,
        order(account="bad", price="1.3"),
        order(account="good", user=""),
        names=names,
    )
    assert list(names.known) == ["good"]


def test_name_codes_do_not_depend_on_the_order_within_a_batch() -> None:
    first, second = Names(), Names()
    records = [order(account=name) for name in ("b", "a", "c")]
    decode(Topic.ORDERS, *records, names=first)
    decode(Topic.ORDERS, *reversed(records), names=second)
    assert list(first.known) == list(second.known) == ["a", "b", "c"]


def test_each_message_may_come_from_its_own_partition() -> None:
    decoder = Decoder(instruments(), Names())
    values = [raw(order()), raw(order(price="1.3")), raw(order())]
    arrivals = decoder.decode(Topic.ORDERS, values, np.array([4, 5, 6]), np.array([7, 8, 9]))
    assert arrivals.batch["partition"].tolist() == [4, 6]
    assert arrivals.batch["offset"].tolist() == [7, 9]
    assert arrivals.rejects[0].detail.endswith("(orders/5@8)")


def test_no_messages_make_an_empty_batch_with_every_column() -> None:
    arrivals = Decoder(instruments(), Names()).decode(Topic.TRADES, [], 0, np.zeros(0, np.int64))
    assert len(arrivals.batch) == 0
    assert arrivals.batch["price"].dtype == np.int64


def test_structs_and_field_table_name_the_same_contract() -> None:
    assert OrderRecord.__struct_fields__ == tuple(WIRE_FIELDS[Topic.ORDERS])
    assert TradeRecord.__struct_fields__ == tuple(WIRE_FIELDS[Topic.TRADES])
    assert KNOWN_KEYS[Topic.TRADES] == set(TradeRecord.__struct_fields__)


@pytest.mark.parametrize("topic", list(Topic))
def test_a_parquet_tape_decodes_as_its_ndjson_does(topic: Topic) -> None:
    values = tape(topic, 200)
    frame = pl.read_ndjson(b"\n".join(values), infer_schema_length=None)
    names = Names()
    decoder = Decoder(instruments(), names)
    arrivals = decoder.decode_frame(topic, frame, 3, np.arange(200))
    assert not arrivals.rejects
    assert rows(arrivals.batch, names) == Outcome(topic, values, 200, 1).rows


def test_a_parquet_row_is_kept_as_json_and_its_decimals_stay_exact() -> None:
    record = {n: v for n, v in trade().items() if n not in ("price", "quantity")}
    frame = pl.DataFrame(
        [record | {"note": "x"}, record | {"note": None}],
    ).with_columns(
        price=pl.Series([Decimal("100.50"), Decimal("100.30")]), quantity=pl.lit("0.125")
    )
    arrivals = Decoder(instruments(), Names()).decode_frame(Topic.TRADES, frame, 0, np.arange(2))
    assert arrivals.batch["price"].tolist() == [201]
    assert [reject.reason for reject in arrivals.rejects] == ["off_tick"]
    assert arrivals.unknown_fields == 2
    assert arrivals.rejects[0].raw.startswith(b'{"v":1,"instrument":"BTC-USD","seq":2,"trade_id"')


def test_a_parquet_price_in_floating_point_is_refused_row_by_row() -> None:
    frame = pl.DataFrame([trade()]).with_columns(price=pl.lit(100.5))
    arrivals = Decoder(instruments(), Names()).decode_frame(Topic.TRADES, frame, 0, np.arange(1))
    assert arrivals.rejects[0].reason == "wrong_type"


def test_a_parquet_column_that_json_cannot_hold_is_named() -> None:
    frame = pl.DataFrame([trade()]).with_columns(buy_account=pl.lit(b"\xff\xfe"))
    with pytest.raises(TapeError, match=r"trades columns must be .* buy_account Binary"):
        Decoder(instruments(), Names()).decode_frame(Topic.TRADES, frame, 0, np.arange(1))


def test_the_absent_account_of_a_status_has_no_code() -> None:
    record = {"v": 1, "instrument": "BTC-USD", "seq": 1, "action": "book_end", "engine_ns": AT}
    batch = decode(Topic.ORDERS, record).batch
    assert batch["account"][0] == NO_CODE
    assert batch["received_ns"][0] == NULL


def test_leaves_may_be_absent_because_they_follow_from_the_quantity():
    found = decode(Topic.ORDERS, order(leaves=...))
    assert found.rejects == ()
    assert found.batch["leaves"].tolist() == [NULL]


@pytest.mark.parametrize(
    "change", [{"price": "100.3"}, {"price": "0"}, {"quantity": "0.0001"}, {"price": "9" * 90}]
)
def test_what_a_venue_refused_may_be_off_its_grid(change):
    found = decode(Topic.ORDERS, order(action="reject", **change))
    assert found.rejects == ()
    name = next(iter(change))
    assert found.batch[name].tolist() in ([NULL], [0])


def test_a_refused_record_is_still_refused_when_its_price_is_no_number():
    found = decode(Topic.ORDERS, order(action="reject", price="cheap"))
    assert [reject.reason for reject in found.rejects] == ["wrong_type"]
