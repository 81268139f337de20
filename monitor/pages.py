"""Pages made of declarations: docs/reference.md, docs/detectors/*.md and ringfence.example.toml.

Run `python -m monitor.pages` (or `make docs`) after a change; a test fails while they differ.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from detectors.catalogue import DETECTORS
from detectors.pages import detector_page
from ingest.kafka_settings import Secret
from ingest.parameter import Parameter
from monitor.config import SECTIONS
from monitor.metrics import Metrics
from monitor.settings import SECRETS, parameter_of

ROOT: Final = Path(__file__).resolve().parents[1]
HEAD: Final = "<!-- made by `make docs` from the declarations in the code; edit those -->\n"


class Setting(msgspec.Struct, frozen=True):
    """One key of the configuration file as the documentation shows it."""

    key: str
    default: str
    """As TOML; empty when the key has no default."""
    about: Parameter


def settings_of(kind: type[msgspec.Struct]) -> Iterator[Setting]:
    """Yield the settings of a section or of a detector's parameters, in order of declaration.

    Raises
    ------
    LookupError
        A field carries no `Parameter`: it would be undocumented.
    """
    hints = typing.get_type_hints(kind, include_extras=True)
    plain = typing.get_type_hints(kind)
    for field in msgspec.structs.fields(kind):
        if plain[field.name] is Secret:  # stands in no file: `SECRETS` lists its variable
            continue
        about = parameter_of(hints[field.name])
        if about is None:
            raise LookupError(f"{kind.__name__}.{field.name} has no Parameter")
        yield Setting(field.name, _toml(_default(field)), about)


def example() -> str:
    """Return the example configuration: every setting, commented with meaning, unit and reason."""
    lines = [
        "# Ringfence: every setting with its unit, default and reason.",
        "# A key behind a `#` has no default. Paths are relative to this file.",
        "# Secrets come from the environment: " + ", ".join(SECRETS) + ".",
    ]
    for name, kind in SECTIONS.items():
        lines += ["", f"[{name}]", *_example_lines(kind)]
    for name, detector in DETECTORS.items():
        lines += ["", f"[detectors.{name}]", *_example_lines(detector.Params)]
    return "\n".join(lines) + "\n"


def reference() -> str:
    """Return the page that lists every setting and every metric."""
    lines = [
        HEAD,
        "# Settings and metrics",
        "",
        "## Settings",
        "",
        "One TOML file, given by `-c`; an unknown key is refused, with the nearest known. All of",
        "them, with their defaults, are in `ringfence.example.toml`.",
        "",
    ]
    tables: dict[str, type[msgspec.Struct]] = dict(SECTIONS)
    tables |= {f"detectors.{name}": detector.Params for name, detector in DETECTORS.items()}
    for name, kind in tables.items():
        lines += [
            f"### [{name}]",
            "",
            "| key | default | unit | meaning | why |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| `{s.key}` | `{s.default or 'none'}` | {s.about.unit} | {s.about.meaning} "
            f"| {s.about.reason} |"
            for s in settings_of(kind)
        ]
        lines.append("")
    lines += ["### Environment", "", "| variable | carries |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in SECRETS.items()]
    lines += [
        "",
        "## Metrics",
        "",
        "Served on `/metrics`. No account, client, order or case is ever in a label.",
        "",
        "| metric | type | labels | meaning |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{m.name}` | {m.type} | {', '.join(m.labels) or '–'} | {m.help} |"
        for m in Metrics(detectors=tuple(DETECTORS)).describe()
    ]
    return "\n".join(lines) + "\n"


def pages() -> Mapping[Path, str]:
    """Return every generated page by its path from the repository's root."""
    made = {Path("ringfence.example.toml"): example(), Path("docs/reference.md"): reference()}
    for name, detector in DETECTORS.items():
        made[Path(f"docs/detectors/{name}.md")] = detector_page(detector)
    return made


def _example_lines(kind: type[msgspec.Struct]) -> Iterator[str]:
    for setting in settings_of(kind):
        yield f"# {setting.about.meaning} ({setting.about.unit})"
        yield f"#   {setting.about.reason}"
        yield f"{setting.key} = {setting.default}" if setting.default else f"# {setting.key} ="


def _default(field: Any) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return None


def _toml(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case dict():
            return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
        case tuple() | list():
            return "[" + ", ".join(_toml(v) for v in value) + "]"
        case _:
            return repr(value)


def main() -> None:
    """Write every page that differs and name it."""
    for path, text in pages().items():
        target = ROOT / path
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
