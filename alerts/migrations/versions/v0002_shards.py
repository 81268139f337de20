"""What workers share: names, shards with their epochs, journal, outbox, snapshots, holds."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "names",
        sa.Column("code", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("name", sa.LargeBinary, nullable=False),
    )
    op.create_index("names_by_digest", "names", ["digest"], unique=True)
    op.create_table(
        "shards",
        sa.Column("shard", sa.String(32), primary_key=True),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("frontier", sa.Text, nullable=False, server_default="[]"),
        sa.Column("entry", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("handoff_id", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("snapshot_epoch", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("snapshot_number", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.create_table(
        "feed",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("partitions", sa.Integer, nullable=False),
    )
    op.create_table(
        "journal",
        sa.Column("shard", sa.String(32), primary_key=True),
        sa.Column("entry", sa.BigInteger, primary_key=True),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("lasting", sa.SmallInteger, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
    )
    op.create_table(
        "registry_versions",
        sa.Column("version", sa.String(64), primary_key=True),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "bindings",
        sa.Column("instrument", sa.Text, primary_key=True),
        sa.Column("shard", sa.String(32), nullable=False),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("shard", sa.String(32), nullable=False),
        sa.Column("alert_id", sa.String(32), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("outbox_by_shard", "outbox", ["shard", "id"])
    op.create_table(
        "outbox_read",
        sa.Column("consumer", sa.String(32), primary_key=True),
        sa.Column("shard", sa.String(32), primary_key=True),
        sa.Column("last_id", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "handoffs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("shard", sa.String(32), nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("handoffs_by_shard", "handoffs", ["shard", "id"])
    op.create_table(
        "snapshots",
        sa.Column("shard", sa.String(32), primary_key=True),
        sa.Column("epoch", sa.BigInteger, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "holds",
        sa.Column("hold_id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("instrument", sa.Text, nullable=False),
        sa.Column("from_ns", sa.BigInteger, nullable=False),
        sa.Column("to_ns", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("placed_by", sa.Text, nullable=False),
        sa.Column("placed_ns", sa.BigInteger, nullable=False),
        sa.Column("released_ns", sa.BigInteger),
    )
    op.create_index("holds_by_subject", "holds", ["subject"])
