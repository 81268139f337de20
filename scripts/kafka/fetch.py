"""Fetch Apache Kafka's jars for the tests into a cache outside the tree; print their folder.

The cache is `$RINGFENCE_CACHE`, else `~/.cache/ringfence`; a folder there is whole or absent. Exit
code 3, with one line that names what is missing, when there is no way to fetch.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

POM = Path(__file__).with_name("pom.xml")
UNAVAILABLE = 3
TIMEOUT_S = 600
"""About 46 MB of jars over a slow line."""


def version() -> str:
    """Return the version of Apache Kafka that the pom names."""
    found = ElementTree.parse(POM).findtext(".//{*}kafka.version")
    if not found:
        raise SystemExit(f"{POM.name}: the property kafka.version is missing")
    return found


def cache() -> Path:
    """Return the folder in which the jars are, or will be."""
    root = os.environ.get("RINGFENCE_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "ringfence") / f"kafka-{version()}"


def fetch() -> Path:
    """Return the folder with the jars, fetched first when they are not there yet."""
    folder = cache()
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise LookupError("Maven (`mvn`) is not installed: it fetches Apache Kafka for the tests")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.part-") as part:
        jars = Path(part) / "jars"
        command = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"]
        options = ["-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        done = subprocess.run(
            [*command, *options], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        if done.returncode != 0 or not any(jars.glob("kafka_*.jar")):
            why = next((line for line in done.stdout.splitlines() if "ERROR" in line), "no jars")
            raise LookupError(f"Maven could not fetch Apache Kafka {version()}: {why[:300]}")
        try:
            jars.rename(folder)
        except OSError:
            # Another process was first; its folder is whole, because it came by a rename too.
            if not folder.is_dir():
                raise
    return folder


if __name__ == "__main__":
    try:
        print(fetch())
    except (LookupError, OSError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        sys.exit(UNAVAILABLE)
