"""docker-compose.yml and Dockerfile: by the specification, and every file and command in them real.

No container can be started in the tests; what runs in the containers is run here instead: the
Kafka image's own start code, Prometheus, the Alertmanager script, the `ringfence` command.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from ingest.kafka_client import partition_counts
from ingest.kafka_settings import KafkaSettings
from tests.support.broker import NoBrokerError, free_ports, jars
from tests.support.prometheus import ROUTING_KEY, program

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SPEC = ROOT / "tests" / "support" / "compose-spec"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
SECRETS = {
    *("RINGFENCE_POSTGRES_PASSWORD", "RINGFENCE_GRAFANA_PASSWORD"),
    "RINGFENCE_PAGERDUTY_ROUTING_KEY",
}


def mounts(service: str) -> dict[str, str]:
    """Container path of each thing mounted, and what is mounted there."""
    pairs = (volume.split(":") for volume in SERVICES[service].get("volumes", ()))
    return {parts[1]: parts[0] for parts in pairs}


def on_host(service: str, path: str) -> Path:
    """Return the tracked file or folder that a container sees at a path."""
    for inside, outside in mounts(service).items():
        if path == inside or path.startswith(f"{inside}/"):
            return ROOT / outside / path[len(inside) + 1 :]
    raise AssertionError(f"{service} has nothing mounted at {path}")


def test_the_file_follows_the_compose_specification() -> None:
    schema = json.loads((SPEC / "compose-spec.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    assert [error.message for error in validator.iter_errors(COMPOSE)] == []


@pytest.mark.parametrize(
    ("service", "key", "value"),
    [("kafka", "ports", "9092"), ("ringfence", "comand", []), ("grafana", "restart", 3)],
)
def test_the_specification_would_refuse_a_slip(service: str, key: str, value: object) -> None:
    schema = json.loads((SPEC / "compose-spec.json").read_text(encoding="utf-8"))
    slipped = {**COMPOSE, "services": {**SERVICES, service: {**SERVICES[service], key: value}}}
    assert not jsonschema.Draft202012Validator(schema).is_valid(slipped)


def test_the_specification_is_the_one_that_its_note_says() -> None:
    digest = hashlib.sha256((SPEC / "compose-spec.json").read_bytes()).hexdigest()
    assert digest in (SPEC / "README.md").read_text(encoding="utf-8")


def test_images_are_pinned_to_a_full_version_and_built_here_otherwise() -> None:
    for name, service in SERVICES.items():
        if "build" in service:
            assert service["image"] == "ringfence", name
        else:
            assert re.search(r":v?\d+\.\d+(\.\d+)?(-\w+)?$", service["image"]), name
    for image in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE):
        assert re.search(r":\d+\.\d+\.\d+-", image)


def test_ports_are_open_on_loopback_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_service_that_stays_has_a_health_check_and_comes_back() -> None:
    image_checks_itself = "HEALTHCHECK" in DOCKERFILE
    for name, service in SERVICES.items():
        if service["restart"] == "no":
            continue
        assert service["restart"] == "unless-stopped", name
        assert "healthcheck" in service or ("build" in service and image_checks_itself), name


def test_no_secret_has_a_value_or_a_default_in_any_file() -> None:
    for name in SECRETS:
        assert f"${{{name}:?" in TEXT, f"Compose must refuse an empty {name}"
        assert not re.search(rf"\$\{{{name}:?-", TEXT)
    used = {secret["environment"] for secret in COMPOSE["secrets"].values()}
    assert used == SECRETS
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", example, re.MULTILINE))
    assert set(named) == set(re.findall(r"\$\{([A-Z_]+)", TEXT))
    assert set(named.values()) == {""}
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if "PASSWORD" in key:
                assert value.startswith(("/run/secrets/", "${")), key


def test_every_named_volume_is_declared_and_used() -> None:
    used = {source for name in SERVICES for source in mounts(name).values() if "." not in source}
    assert used == set(COMPOSE["volumes"])


def test_every_mounted_file_is_tracked_and_mounted_read_only() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source, _, rest = volume.partition(":")
            if source.startswith("./"):
                path = source.removeprefix("./")
                assert any(t == path or t.startswith(f"{path}/") for t in tracked), volume
                assert rest.endswith(":ro"), f"{name}: {volume}"


def test_services_wait_for_services_that_can_get_healthy() -> None:
    for service in SERVICES.values():
        for name, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy":
                assert "test" in SERVICES[name]["healthcheck"]
            else:
                assert wait["condition"] == "service_completed_successfully"
                assert SERVICES[name]["restart"] == "no"


def test_addresses_between_services_name_services_and_their_ports() -> None:
    config = yaml.safe_load((ROOT / "dashboards/prometheus/prometheus.yml").read_text())
    targets = {
        target
        for part in (*config["scrape_configs"], *config["alerting"]["alertmanagers"])
        for group in part["static_configs"]
        for target in group["targets"]
    }
    source = yaml.safe_load(
        (ROOT / "dashboards/grafana/provisioning/datasources/prometheus.yml").read_text()
    )
    targets.add(source["datasources"][0]["url"].removeprefix("http://"))
    for target in targets - {"127.0.0.1:9090"}:
        host, port = target.split(":")
        assert any(p.endswith(f":{port}") for p in SERVICES[host]["ports"]), target


def test_the_dashboard_is_mounted_where_grafana_is_told_to_look() -> None:
    folder = "/etc/grafana/provisioning/dashboards/ringfence.yml"
    provider = yaml.safe_load(on_host("grafana", folder).read_text(encoding="utf-8"))
    path = provider["providers"][0]["options"]["path"]
    board = json.loads(on_host("grafana", f"{path}/overview.json").read_text(encoding="utf-8"))
    assert board["title"] == "Surveillance and operations"


@pytest.mark.prometheus
def test_prometheus_starts_with_the_command_and_the_files_of_its_container(tmp_path: Path) -> None:
    [port] = free_ports(1)
    options = [
        re.sub(
            r"/etc/prometheus/\S+",
            lambda found: str(on_host("prometheus", found.group())),
            option.replace("=/prometheus", f"={tmp_path}"),
        )
        for option in SERVICES["prometheus"]["command"]
    ]
    process = subprocess.Popen(
        [program("prometheus"), *options, f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    seen = ""
    deadline = time.monotonic() + 30
    assert process.stderr is not None
    while "ready to receive" not in seen and time.monotonic() < deadline and process.poll() is None:
        seen += process.stderr.readline()
    process.terminate()
    process.communicate(timeout=20)
    assert "Server is ready to receive web requests" in seen, seen


def test_alertmanager_runs_the_mounted_script_and_finds_its_key() -> None:
    service = SERVICES["alertmanager"]
    shell, script = service["entrypoint"]
    assert shell == "/bin/sh"
    assert os.access(on_host("alertmanager", script), os.R_OK)
    config = yaml.safe_load((ROOT / "dashboards/alertmanager/alertmanager.yml").read_text())
    key_file = config["receivers"][0]["pagerduty_configs"][0]["routing_key_file"]
    assert key_file in {f"/run/secrets/{name}" for name in service["secrets"]}
    assert set(re.findall(r"RINGFENCE_\w+", on_host("alertmanager", script).read_text())) == set(
        service["environment"]
    )


@pytest.mark.parametrize("service", ["ringfence", "publisher"])
def test_the_command_of_a_container_is_one_that_ringfence_knows(service: str) -> None:
    command = SERVICES[service]["command"]
    done = subprocess.run(
        [sys.executable, "-m", "monitor.cli", command[0], "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
    )
    assert done.returncode == 0, done.stderr
    for option in (word for word in command if word.startswith("-")):
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", done.stdout), option
    assert on_host(service, command[command.index("-c") + 1]).is_file()


def test_the_mounted_configuration_is_valid_and_agrees_with_the_containers() -> None:
    from monitor.config import load_config

    config = load_config(on_host("ringfence", "/etc/ringfence/ringfence.toml"))
    assert config.kafka is not None
    listeners = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"://{config.kafka.bootstrap}" in listeners
    port = config.service.port
    assert f"127.0.0.1:{port}:{port}" in SERVICES["ringfence"]["ports"]
    assert f":{port}/healthz" in DOCKERFILE
    assert config.service.host == "0.0.0.0"
    postgres = SERVICES["postgres"]["environment"]
    name = f"{postgres['POSTGRES_USER']}@postgres/{postgres['POSTGRES_DB']}"
    assert config.alerts.store_url == f"postgresql+pg8000://{name}"
    volume = next(path for path, source in mounts("ringfence").items() if source[0] != ".")
    for path in (config.alerts.archive, config.checkpoint.directory):
        assert path.startswith(f"{volume}/"), "state must be on the named volume"
    assert f"{volume} " in DOCKERFILE, "the image must make the volume's folder, with its owner"


def test_paths_in_the_image_are_copied_there_from_tracked_files() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    copied = dict(
        reversed(line.split()[1:])
        for line in final.splitlines()
        if line.startswith("COPY") and "--from" not in line
    )
    text = (ROOT / "ringfence.compose.toml").read_text(encoding="utf-8")
    wanted = {*re.findall(r'"/app/(samples/[^"]+)"', text)}
    wanted |= {w.removeprefix("/app/") for w in SERVICES["publisher"]["command"] if "/app/" in w}
    assert wanted
    for path in wanted:
        assert any(path == to or path.startswith(f"{to}/") for to in copied), path
        assert (ROOT / path).exists(), path


def test_the_image_copies_what_is_there_and_what_the_builder_is_sent() -> None:
    sent = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in sent, source


def test_every_room_is_in_the_image() -> None:
    for room in ("ingest", "detectors", "alerts", "dashboards", "market", "monitor"):
        assert f"\nCOPY {room} {room}\n" in DOCKERFILE


def test_the_image_installs_by_hash_and_does_not_run_as_root() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER (?!root)", final, re.MULTILINE)
    assert final.index("\nUSER ") < final.index("monitor.warm"), "its cache must be the user's"
    for command in re.findall(r"pip install [^&\n]+", DOCKERFILE):
        assert "--require-hashes" in command or "--no-index" in command, command


def test_the_build_tool_is_taken_with_its_hashes_from_the_development_lock() -> None:
    script = re.search(r"RUN (sed -n .+? requirements-dev\.lock) >", DOCKERFILE)
    assert script is not None
    done = subprocess.run(
        shlex.split(script.group(1)), cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert re.match(r"setuptools==[\d.]+ \\$", lines[0])
    assert len([line for line in lines if "==" in line]) == 1
    assert any("--hash=sha256:" in line for line in lines)


@pytest.mark.kafka
def test_kafka_starts_with_the_environment_of_its_container(tmp_path: Path) -> None:
    try:
        folder = jars()
    except NoBrokerError as error:
        if os.environ.get("RINGFENCE_REQUIRE_BROKER") == "1":
            pytest.fail(f"a real broker is required: {error}", pytrace=False)
        pytest.skip(str(error))
    internal, external, controller = free_ports(3)
    places = {
        "INTERNAL://:9092": f"INTERNAL://127.0.0.1:{internal}",
        "EXTERNAL://:29092": f"EXTERNAL://127.0.0.1:{external}",
        "CONTROLLER://:9093": f"CONTROLLER://127.0.0.1:{controller}",
        "INTERNAL://kafka:9092": f"INTERNAL://127.0.0.1:{internal}",
        "EXTERNAL://127.0.0.1:29092": f"EXTERNAL://127.0.0.1:{external}",
        "1@kafka:9093": f"1@127.0.0.1:{controller}",
        "/var/lib/kafka/data": str(tmp_path / "data"),
    }
    ours = re.compile("|".join(map(re.escape, sorted(places, key=len, reverse=True))))
    environment = {
        name: ours.sub(lambda found: places[found.group()], value)
        for name, value in SERVICES["kafka"]["environment"].items()
    }
    for name in ("default", "mounted", "final"):
        (tmp_path / name).mkdir()
    for name in ("server.properties", "log4j.properties", "tools-log4j.properties"):
        (tmp_path / "default" / name).write_text("", encoding="ascii")
    java = ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", f"{folder}/*"]
    # The image's entry point calls this very class, which is in Kafka's jar.
    setup = subprocess.run(
        [
            *(*java, "kafka.docker.KafkaDockerWrapper", "setup"),
            *("-D", str(tmp_path / "default"), "-M", str(tmp_path / "mounted")),
            *("-F", str(tmp_path / "final")),
        ],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert setup.returncode == 0, setup.stdout + setup.stderr
    log = tmp_path / "broker.log"
    with log.open("wb") as output:
        broker = subprocess.Popen(
            [*java, "kafka.Kafka", str(tmp_path / "final" / "server.properties")],
            stdout=output,
            stderr=output,
        )
    try:
        for port in (internal, external):
            assert _topics(f"127.0.0.1:{port}", log) == {}
    finally:
        broker.terminate()
        try:
            broker.wait(timeout=30)
        except subprocess.TimeoutExpired:
            broker.kill()
            broker.wait()


def _topics(bootstrap: str, log: Path) -> dict[str, int]:
    deadline = time.monotonic() + 90
    while True:
        try:
            return dict(partition_counts(KafkaSettings(bootstrap=bootstrap, connect_timeout_s=2)))
        except Exception as error:
            if time.monotonic() > deadline:
                raise AssertionError(log.read_text(errors="replace")[-2000:]) from error
            time.sleep(0.5)


def test_the_routing_key_of_the_tests_has_the_length_of_a_real_one() -> None:
    assert len(ROUTING_KEY) == 32
