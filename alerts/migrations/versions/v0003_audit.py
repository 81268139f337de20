"""The audit log: one table that the database itself lets nobody change, only continue."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

SQLITE = (
    """CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only: UPDATE is refused'); END""",
    """CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only: DELETE is refused'); END""",
    # Also against INSERT OR REPLACE, which deletes without asking the trigger above.
    """CREATE TRIGGER audit_continues BEFORE INSERT ON audit
    WHEN NEW.sequence <> (SELECT coalesce(max(sequence), 0) + 1 FROM audit)
      OR NEW.previous <> coalesce(
        (SELECT hash FROM audit ORDER BY sequence DESC LIMIT 1), NEW.previous)
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only: entries follow the last'); END""",
)
POSTGRESQL = (
    """CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION USING MESSAGE =
            'the audit log is append-only: ' || TG_OP || ' is refused';
    END $$""",
    """CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
    """CREATE FUNCTION audit_continue() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        last_sequence bigint;
        last_hash text;
    BEGIN
        SELECT sequence, hash INTO last_sequence, last_hash
            FROM audit ORDER BY sequence DESC LIMIT 1;
        IF NEW.sequence <> coalesce(last_sequence, 0) + 1
            OR NEW.previous <> coalesce(last_hash, NEW.previous) THEN
            RAISE EXCEPTION 'the audit log is append-only: entries follow the last';
        END IF;
        RETURN NEW;
    END $$""",
    """CREATE TRIGGER audit_continues BEFORE INSERT ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_continue()""",
)


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    connection = op.get_bind()
    for statement in POSTGRESQL if connection.dialect.name == "postgresql" else SQLITE:
        connection.exec_driver_sql(statement)
