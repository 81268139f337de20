"""A real PostgreSQL server for tests: on loopback, a random port, ended by its process id."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

ADDRESS = "RINGFENCE_TEST_POSTGRES"
"""Environment variable: URL of a server to use instead, with a role that may create databases."""
START_S = 30.0


def find_binaries() -> Path | None:
    """Folder of `initdb` and `postgres`, newest version first; None when not installed."""
    on_path = shutil.which("initdb")
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name), reverse=True
    )
    for folder in [*debian, *([Path(on_path).resolve().parent] if on_path else [])]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


@contextmanager
def postgres_server() -> Iterator[URL]:
    """Yield the URL of a server; skips when there is none (fails where CI wants it)."""
    given = os.environ.get(ADDRESS)
    if given:
        yield make_url(given)
        return
    binaries = find_binaries()
    if binaries is None:
        missing = (
            f"PostgreSQL: neither {ADDRESS} is set nor are initdb and postgres installed "
            "(Debian: postgresql)"
        )
        if os.environ.get("RINGFENCE_REQUIRE_SERVERS") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    with tempfile.TemporaryDirectory(prefix="ringfence-postgres-") as scratch:
        folder = Path(scratch)
        # The server refuses to run as root: it is then run as the user of its package.
        owner = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            owner = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        password = secrets.token_hex(16)
        secret = folder / "password"
        secret.write_text(password)
        if owner:
            os.chown(secret, owner["user"], owner["group"])
        data = folder / "data"
        subprocess.run(
            [
                binaries / "initdb",
                f"--pgdata={data}",
                "--username=ringfence",
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            cwd=folder,
            **owner,
        )
        port = _free_port()
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [
                    binaries / "postgres",
                    "-D",
                    data,
                    "-c",
                    "listen_addresses=127.0.0.1",
                    "-c",
                    f"port={port}",
                    "-c",
                    "unix_socket_directories=",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                **owner,
            )
        url = URL.create(
            "postgresql+pg8000",
            username="ringfence",
            password=password,
            host="127.0.0.1",
            port=port,
            database="postgres",
        )
        try:
            _wait(url, server, folder / "log")
            yield url
        finally:
            server.send_signal(signal.SIGINT)  # "fast": open sessions are ended
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


@contextmanager
def fresh_database(server: URL) -> Iterator[URL]:
    """Yield the URL of a new, empty database; it is dropped afterwards."""
    name = f"ringfence_{secrets.token_hex(6)}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield server.set(database=name)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(url: URL, server: subprocess.Popen, log: Path) -> None:
    engine = create_engine(url)
    deadline = time.monotonic() + START_S
    while True:
        try:
            with engine.connect():
                break
        except SQLAlchemyError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"PostgreSQL did not start: {log.read_text()[-2_000:]}"
                ) from None
            time.sleep(0.1)
    engine.dispose()
