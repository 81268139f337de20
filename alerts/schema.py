"""Tables of the alert store; `alerts/migrations` brings a database to this state."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

METADATA: Final = MetaData()

ALERTS: Final = Table(
    "alerts",
    METADATA,
    Column("alert_id", String(32), primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("detected_ns", BigInteger, nullable=False),
    Column("detector", String(64), nullable=False),
    Column("scenario", String(64), nullable=False),
    Column("evidence_class", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("coverage", String(16), nullable=False),
    Column("instrument", Text, nullable=False),
    Column("merged_into", String(32)),
    Column("record", Text, nullable=False),
    Column("status_human", String(32), nullable=False, server_default="new"),
    Column("assignee", Text),
    Column("decision", Text),
    Column("decided_by", Text),
    Column("decided_ns", BigInteger),
    Column("reviewed_by", Text),
    Column("reviewed_ns", BigInteger),
    Column("note", Text),
    Index("alerts_by_time", "detected_ns", "alert_id"),
    Index("alerts_by_severity", "severity", "detected_ns"),
    Index("alerts_by_instrument", "instrument", "detected_ns"),
)
"""One row an alert: its record as JSON, columns to search by, and what people decided."""

HUMAN: Final = (
    "status_human",
    "assignee",
    "decision",
    "decided_by",
    "decided_ns",
    "reviewed_by",
    "reviewed_ns",
    "note",
)
"""Columns of `alerts` that belong to people; no new revision touches them."""

PARTS: Final = Table(
    "parts",
    METADATA,
    Column("part_id", String(32), primary_key=True),
    Column("alert_id", String(32), nullable=False),
    Column("ordinal", BigInteger, nullable=False),
    Column("state", LargeBinary, nullable=False),
    Index("parts_by_alert", "alert_id"),
)
"""The detectors' episodes behind an alert; a facet's part points at the alert it joined."""

EVIDENCE: Final = Table(
    "evidence",
    METADATA,
    Column("part_id", String(32), primary_key=True),
    Column("instrument", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("cited_ns", BigInteger, nullable=False),
    Column("engine_ns", BigInteger, nullable=False),
    Column("topic", SmallInteger, nullable=False),
    Column("topic_partition", Integer, nullable=False),
    Column("topic_offset", BigInteger, nullable=False),
    Column("raw", LargeBinary, nullable=False),
)
"""Source events, as they came, by the part that cites them."""

REGISTRY_ROWS: Final = Table(
    "registry_rows",
    METADATA,
    Column("part_id", String(32), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("account", Text, primary_key=True),
    Column("valid_from_ns", BigInteger, primary_key=True),
    Column("record", Text, nullable=False),
)
"""All registry rows of the accounts in a part, as JSON, of the version then in force."""

PARAMS: Final = Table(
    "params",
    METADATA,
    Column("params_hash", String(32), primary_key=True),
    Column("detector", String(64), primary_key=True),
    Column("detector_version", Integer, primary_key=True),
    Column("record", Text, nullable=False),
)
"""Parameters that alerts were found with, as JSON."""

COVERAGE: Final = Table(
    "coverage",
    METADATA,
    Column("instrument", Text, primary_key=True),
    Column("first_missing_seq", BigInteger, primary_key=True),
    Column("next_seq", BigInteger, nullable=False),
    Column("opened_ns", BigInteger, nullable=False),
    Column("closed_ns", BigInteger),
    Column("reason", Text, nullable=False),
)
"""Gaps: where records are missing, from when to when the book was in doubt."""

INSTRUMENTS: Final = Table(
    "instruments",
    METADATA,
    Column("instrument", Text, primary_key=True),
    Column("record", Text, nullable=False),
)
"""The instruments that alerts speak of, as JSON: what a case file needs of instruments.csv."""

NAMES: Final = Table(
    "names",
    METADATA,
    Column("code", Integer, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("name", LargeBinary, nullable=False),
    Index("names_by_digest", "digest", unique=True),
)
"""The code of every account, owner, session and user, the same for all workers: UTF-8, found by its
SHA-256, for a venue's names may be of any length and hold any character."""

SHARDS: Final = Table(
    "shards",
    METADATA,
    Column("shard", String(32), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("owner", Text, nullable=False),
    Column("frontier", Text, nullable=False, server_default="[]"),
    Column("entry", BigInteger, nullable=False, server_default="0"),
    Column("handoff_id", BigInteger, nullable=False, server_default="0"),
    Column("snapshot_epoch", BigInteger, nullable=False, server_default="0"),
    Column("snapshot_number", BigInteger, nullable=False, server_default="0"),
)
"""Who owns a shard: fencing epoch, the positions of its last commit, the number of its last journal
entry, the last hand-off taken, and the newest snapshot that an owner kept in a folder."""

FEED: Final = Table(
    "feed",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("partitions", Integer, nullable=False),
)
"""One row: for how many partitions of each topic the shards' state is."""

JOURNAL: Final = Table(
    "journal",
    METADATA,
    Column("shard", String(32), primary_key=True),
    Column("entry", BigInteger, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("lasting", SmallInteger, nullable=False),
    Column("record", Text, nullable=False),
)
"""What passes decided that the records alone do not; `lasting` entries are never trimmed."""

REGISTRY_VERSIONS: Final = Table(
    "registry_versions",
    METADATA,
    Column("version", String(64), primary_key=True),
    Column("record", LargeBinary, nullable=False),
)
"""Every version of the register that was in force, all its rows."""

BINDINGS: Final = Table(
    "bindings",
    METADATA,
    Column("instrument", Text, primary_key=True),
    Column("shard", String(32), nullable=False),
)
"""The one shard that reads an instrument."""

OUTBOX: Final = Table(
    "outbox",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("shard", String(32), nullable=False),
    Column("alert_id", String(32), nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Index("outbox_by_shard", "shard", "id"),
    sqlite_autoincrement=True,
)
"""What has to leave, in order; written in the transaction of the alert that it tells of."""

OUTBOX_READ: Final = Table(
    "outbox_read",
    METADATA,
    Column("consumer", String(32), primary_key=True),
    Column("shard", String(32), primary_key=True),
    Column("last_id", BigInteger, nullable=False),
)
"""How far each consumer of the outbox is; rows behind all of them are dropped."""

HANDOFFS: Final = Table(
    "handoffs",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("shard", String(32), nullable=False),
    Column("record", LargeBinary, nullable=False),
    Index("handoffs_by_shard", "shard", "id"),
    sqlite_autoincrement=True,
)
"""Findings of platform scope, for the shard that owns their instrument."""

SNAPSHOTS: Final = Table(
    "snapshots",
    METADATA,
    Column("shard", String(32), primary_key=True),
    Column("epoch", BigInteger, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)
"""Snapshots of shards, where they are not kept in a shared folder."""

HOLDS: Final = Table(
    "holds",
    METADATA,
    Column("hold_id", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("subject", Text, nullable=False),
    Column("instrument", Text, nullable=False),
    Column("from_ns", BigInteger, nullable=False),
    Column("to_ns", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("placed_by", Text, nullable=False),
    Column("placed_ns", BigInteger, nullable=False),
    Column("released_ns", BigInteger),
    Index("holds_by_subject", "subject"),
)
"""Archived events that may not be dropped: an alert's window, or what a person has put on hold."""

AUDIT: Final = Table(
    "audit",
    METADATA,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
"""What people did and read, each entry with the hash of the one before it; triggers keep it so."""
