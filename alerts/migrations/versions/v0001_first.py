"""First tables: alerts, their parts, evidence, registry rows and parameters, and coverage."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("alert_id", sa.String(32), primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("detected_ns", sa.BigInteger, nullable=False),
        sa.Column("detector", sa.String(64), nullable=False),
        sa.Column("scenario", sa.String(64), nullable=False),
        sa.Column("evidence_class", sa.String(16), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("coverage", sa.String(16), nullable=False),
        sa.Column("instrument", sa.Text, nullable=False),
        sa.Column("merged_into", sa.String(32)),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("status_human", sa.String(32), nullable=False, server_default="new"),
        sa.Column("assignee", sa.Text),
        sa.Column("decision", sa.Text),
        sa.Column("decided_by", sa.Text),
        sa.Column("decided_ns", sa.BigInteger),
        sa.Column("reviewed_by", sa.Text),
        sa.Column("reviewed_ns", sa.BigInteger),
        sa.Column("note", sa.Text),
    )
    op.create_index("alerts_by_time", "alerts", ["detected_ns", "alert_id"])
    op.create_index("alerts_by_severity", "alerts", ["severity", "detected_ns"])
    op.create_index("alerts_by_instrument", "alerts", ["instrument", "detected_ns"])
    op.create_table(
        "parts",
        sa.Column("part_id", sa.String(32), primary_key=True),
        sa.Column("alert_id", sa.String(32), nullable=False),
        sa.Column("ordinal", sa.BigInteger, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
    op.create_index("parts_by_alert", "parts", ["alert_id"])
    op.create_table(
        "evidence",
        sa.Column("part_id", sa.String(32), primary_key=True),
        sa.Column("instrument", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("cited_ns", sa.BigInteger, nullable=False),
        sa.Column("engine_ns", sa.BigInteger, nullable=False),
        sa.Column("topic", sa.SmallInteger, nullable=False),
        sa.Column("topic_partition", sa.Integer, nullable=False),
        sa.Column("topic_offset", sa.BigInteger, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "registry_rows",
        sa.Column("part_id", sa.String(32), primary_key=True),
        sa.Column("version", sa.String(64), primary_key=True),
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("valid_from_ns", sa.BigInteger, primary_key=True),
        sa.Column("record", sa.Text, nullable=False),
    )
    op.create_table(
        "params",
        sa.Column("params_hash", sa.String(32), primary_key=True),
        sa.Column("detector", sa.String(64), primary_key=True),
        sa.Column("detector_version", sa.Integer, primary_key=True),
        sa.Column("record", sa.Text, nullable=False),
    )
    op.create_table(
        "coverage",
        sa.Column("instrument", sa.Text, primary_key=True),
        sa.Column("first_missing_seq", sa.BigInteger, primary_key=True),
        sa.Column("next_seq", sa.BigInteger, nullable=False),
        sa.Column("opened_ns", sa.BigInteger, nullable=False),
        sa.Column("closed_ns", sa.BigInteger),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "instruments",
        sa.Column("instrument", sa.Text, primary_key=True),
        sa.Column("record", sa.Text, nullable=False),
    )
