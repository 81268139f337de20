from __future__ import annotations

import pytest

from ingest.errors import ConfigurationError
from monitor.config import default_config, load_config, store_url


def load(tmp_path, text):
    path = tmp_path / "ringfence.toml"
    path.write_text(text)
    return load_config(path)


def test_an_empty_file_is_every_default(tmp_path):
    config = load(tmp_path, "")
    assert config == default_config(tmp_path.resolve())
    assert config.kafka is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[kafak]\n", "unknown key kafak; the nearest is kafka"),
        ("[kafka]\nbootsrap = 'x'", "unknown key kafka.bootsrap; the nearest is kafka.bootstrap"),
        ("[detectors.wash_tradin]", "the nearest is detectors.wash_trading"),
        ("[service]\nport = 'x'", "service.port: expected int, got str"),
        ("[service]\nport = 70000", "service.port: expected int <= 65535"),
        ("[sequence]\ngap_timeout_s = 0", "sequence.gap_timeout_s: expected float > 0"),
        ("service = 3", "service must be a table, was 3"),
        ("[service", "not valid TOML"),
        ("[kafka]\nsasl_password = 'x'", "must not stand in a file: set RINGFENCE_KAFKA_"),
    ],
)
def test_a_bad_key_or_value_is_one_line_that_names_it(tmp_path, text, said):
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml cannot be read"):
        load_config(tmp_path / "nowhere.toml")


def test_relative_paths_start_at_the_configuration_file(tmp_path):
    config = load(tmp_path, '[registry]\naccounts = "x/accounts.csv"')
    assert config.path(config.registry.accounts) == tmp_path.resolve() / "x/accounts.csv"
    assert store_url(config) == f"sqlite:///{tmp_path.resolve()}/var/ringfence.sqlite"
