"""A real Apache Kafka broker (KRaft, one process) for the tests, on loopback and random ports."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts" / "kafka"
USER = "ringfence"
PASSWORD = "a-password-of-the-tests"
MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")
LISTENERS = ("PLAINTEXT", "SASL_PLAINTEXT", "SSL", "SASL_SSL")
START_S = 90.0
"""A JVM on two cores that other tests share."""


class NoBrokerError(Exception):
    """No broker can be started here; the message names what is missing."""


class KafkaBroker:
    """One broker with four listeners: PLAINTEXT, SASL_PLAINTEXT, SSL (client certificate needed)
    and SASL_SSL; the user is `USER` with `PASSWORD` in both SCRAM mechanisms.

    `folder` takes data, log and certificates. With `address`, a broker that runs elsewhere is
    used as it is: it has the plain listener only and cannot be restarted.
    """

    def __init__(self, folder: Path, *, address: str = "") -> None:
        self.folder = folder
        self.address = address
        self.log = folder / "broker.log"
        self._ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._jars = Path()

    @property
    def bootstrap(self) -> str:
        return self.listener("PLAINTEXT")

    @property
    def external(self) -> bool:
        return bool(self.address)

    def listener(self, protocol: str) -> str:
        """Return the host:port of the listener of a security protocol."""
        if self.external:
            if protocol != "PLAINTEXT":
                raise NoBrokerError(f"the broker at {self.address} is used without {protocol}")
            return self.address
        return f"127.0.0.1:{self._ports[protocol]}"

    @property
    def certificates(self) -> Path:
        """Folder with ca.pem, client.pem, client.key, and other-ca.pem, which signed nothing."""
        return self.folder / "tls"

    def start(self) -> None:
        """Start the broker and wait until it serves; the first time, fetch and format."""
        if self.external or self._process is not None:
            return
        if not self._ports:
            self._prepare()
        with self.log.open("ab") as log:
            begin = log.tell()
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(self.folder / "server.properties")),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        deadline = time.monotonic() + START_S
        while b"Kafka Server started" not in self._logged(begin):
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = self._logged(begin)[-2000:].decode(errors="replace")
                self.stop()
                raise RuntimeError(f"the broker did not start:\n{tail}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the broker's process: ask, wait, then insist."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End the broker's process at once, as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def restart(self) -> None:
        """Stop and start again on the same ports with the same data."""
        self.stop()
        self.start()

    def _logged(self, begin: int) -> bytes:
        with self.log.open("rb") as log:
            log.seek(begin)
            return log.read()

    def _java(self, *arguments: str) -> list[str]:
        java = shutil.which("java")
        if java is None:
            raise NoBrokerError(
                "Java (`java`, 17 or later) is not installed: Apache Kafka needs it"
            )
        log4j = f"-Dlog4j.configuration={(SCRIPTS / 'log4j.properties').as_uri()}"
        # One test broker has little to do: the quick compiler halves its start.
        jvm = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", log4j]
        return [java, *jvm, "-cp", f"{self._jars}/*", *arguments]

    def _prepare(self) -> None:
        self._java()
        self._jars = jars()
        self.folder.mkdir(parents=True, exist_ok=True)
        make_certificates(self.certificates)
        self._ports = dict(zip((*LISTENERS, "CONTROLLER"), free_ports(5), strict=True))
        properties = self.folder / "server.properties"
        properties.write_text("\n".join(self._properties()) + "\n", encoding="utf-8")
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        users = [f"{name}=[name={USER},password={PASSWORD}]" for name in MECHANISMS]
        scram = [part for user in users for part in ("--add-scram", user)]
        tool = ("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}")
        done = subprocess.run(
            self._java(*tool, "-c", str(properties), *scram), capture_output=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"formatting the broker's storage failed: {done.stderr!r}")

    def _properties(self) -> Iterable[str]:
        at = {name: f"{name}://127.0.0.1:{port}" for name, port in self._ports.items()}
        yield "process.roles=broker,controller"
        yield "node.id=1"
        yield f"controller.quorum.voters=1@127.0.0.1:{self._ports['CONTROLLER']}"
        yield "controller.listener.names=CONTROLLER"
        yield "listeners=" + ",".join(at.values())
        yield "advertised.listeners=" + ",".join(at[name] for name in LISTENERS)
        protocols = [f"{name}:{name}" for name in LISTENERS]
        yield "listener.security.protocol.map=" + ",".join([*protocols, "CONTROLLER:PLAINTEXT"])
        yield "inter.broker.listener.name=PLAINTEXT"
        yield f"log.dirs={self.folder / 'data'}"
        yield "auto.create.topics.enable=false"
        # After a crash a broker may register again only when its old session has ended.
        yield "broker.session.timeout.ms=3000"
        yield "broker.heartbeat.interval.ms=500"
        yield "offsets.topic.replication.factor=1"
        yield "offsets.topic.num.partitions=5"
        yield "transaction.state.log.replication.factor=1"
        yield "transaction.state.log.min.isr=1"
        yield "group.initial.rebalance.delay.ms=0"
        yield "group.min.session.timeout.ms=1000"
        yield "sasl.enabled.mechanisms=" + ",".join(MECHANISMS)
        module = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        for name in ("sasl_plaintext", "sasl_ssl"):
            for mechanism in MECHANISMS:
                yield f"listener.name.{name}.{mechanism.lower()}.sasl.jaas.config={module}"
        for name in ("ssl", "sasl_ssl"):
            yield f"listener.name.{name}.ssl.keystore.type=PEM"
            yield f"listener.name.{name}.ssl.keystore.location={self.certificates / 'broker.pem'}"
            yield f"listener.name.{name}.ssl.truststore.type=PEM"
            yield f"listener.name.{name}.ssl.truststore.location={self.certificates / 'ca.pem'}"
        yield "listener.name.ssl.ssl.client.auth=required"


def jars() -> Path:
    """Return the folder of Apache Kafka's jars; raises NoBrokerError when they cannot be had."""
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "fetch.py")], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise NoBrokerError(done.stderr.strip() or "fetching Apache Kafka failed")
    return Path(done.stdout.strip())


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nothing listens on at this moment."""
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


def make_certificates(folder: Path) -> None:
    """Make an authority, a broker's and a client's certificate, and an unrelated authority."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise NoBrokerError(
            "the `openssl` program is not installed: it makes the test certificates"
        )
    folder.mkdir(parents=True, exist_ok=True)

    def run(*arguments: str) -> None:
        done = subprocess.run([openssl, *arguments], cwd=folder, capture_output=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {arguments[0]} failed: {done.stderr!r}")

    key = ("-newkey", "rsa:2048", "-nodes")
    for name in ("ca", "other-ca"):
        named = ("-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")
        run("req", "-x509", *key, *named, "-days", "2")
    for name in ("broker", "client"):
        request = ("-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        run("req", *key, *request)
        (folder / f"{name}.ext").write_text("subjectAltName=IP:127.0.0.1\n", encoding="ascii")
        signer = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
        files = ("-in", f"{name}.csr", "-out", f"{name}.pem", "-extfile", f"{name}.ext")
        run("x509", "-req", *files, *signer)
    both = (folder / "broker.key").read_bytes() + (folder / "broker.pem").read_bytes()
    (folder / "broker.pem").write_bytes(both)
    os.chmod(folder / "client.key", 0o600)


def open_broker(folder: Path) -> KafkaBroker:
    """Return a started broker, or the one at `RINGFENCE_TEST_KAFKA`; without either, skip.

    With `RINGFENCE_REQUIRE_BROKER=1` what would skip fails instead.
    """
    broker = KafkaBroker(folder, address=os.environ.get("RINGFENCE_TEST_KAFKA", ""))
    try:
        broker.start()
    except NoBrokerError as error:
        if os.environ.get("RINGFENCE_REQUIRE_BROKER") == "1":
            pytest.fail(f"a real broker is required: {error}", pytrace=False)
        pytest.skip(f"no real broker: {error}")
    return broker
