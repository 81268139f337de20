"""Alembic's entry: runs the versions on the connection that the store hands over."""

from alembic import context

from alerts.schema import METADATA


def run() -> None:
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=METADATA)
    with context.begin_transaction():
        context.run_migrations()


if getattr(context, "config", None) is not None:  # absent when a tool merely imports this file
    run()
