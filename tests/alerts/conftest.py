"""Fixtures of the tests of alerts: a venue, and both databases for real."""

from __future__ import annotations

import pytest

from alerts.store import AlertStore
from tests.support.alerts import Venue
from tests.support.postgres import fresh_database, postgres_server


@pytest.fixture
def venue(tmp_path):
    return Venue(tmp_path / "archive")


@pytest.fixture(scope="session")
def postgres():
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store_url(request, tmp_path):
    """URL of an empty database of each kind; a password is in PostgreSQL's."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'store' / 'alerts.sqlite'}"
        return
    with fresh_database(request.getfixturevalue("postgres")) as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture
def store(store_url):
    store = AlertStore(store_url)
    store.migrate()
    yield store
    store.close()
