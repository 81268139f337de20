"""The pages made of declarations are committed as they are made, and nothing is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from detectors.catalogue import DETECTORS
from monitor.config import SECTIONS, load_config
from monitor.metrics import Metrics
from monitor.pages import pages
from monitor.settings import SECRETS

ROOT = Path(__file__).resolve().parents[1]
PAGES = pages()


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_a_generated_page_is_committed_as_it_is_made(path):
    assert (ROOT / path).read_text(encoding="utf-8") == PAGES[path], "run `make docs`"


def test_no_page_has_a_figure_that_is_still_to_be_filled_in():
    left = [path.name for path in ROOT.glob("docs/**/*.md") if "@@" in path.read_text("utf-8")]
    assert left == []


def test_every_setting_and_secret_is_documented():
    text = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    kinds = {**SECTIONS, **{f"detectors.{n}": d.Params for n, d in DETECTORS.items()}}
    for section, kind in kinds.items():
        part = text.split(f"### [{section}]")[1].split("###")[0]
        documented = set(re.findall(r"^\| `(\w+)` \|", part, flags=re.M))
        secrets = {"sasl_password", "ssl_key_password"}
        assert documented == set(kind.__struct_fields__) - secrets
    assert all(f"`{name}`" in text for name in SECRETS)


def test_every_metric_that_is_served_is_documented():
    text = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    served = {family.name for family in Metrics(detectors=tuple(DETECTORS)).registry.collect()}
    documented = set(re.findall(r"^\| `(ringfence_\w+)` \|", text, flags=re.M))
    assert {name.removesuffix("_total") for name in documented} == served


def test_the_example_configuration_is_valid_and_says_what_the_defaults_are():
    config = load_config(ROOT / "ringfence.example.toml")
    for name, kind in SECTIONS.items():
        assert getattr(config, name) == kind(), name
    text = (ROOT / "ringfence.example.toml").read_text(encoding="utf-8")
    assert "Secret(" not in text
    assert config.detectors == {name: kind.Params() for name, kind in DETECTORS.items()}


def test_every_detector_of_the_readme_exists_and_the_other_way_round():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"docs/detectors/(\w+)\.md", text)) == set(DETECTORS)
