"""Case files: complete, reproducible, readable, and any change is noticed."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess

import bagit
import msgspec
import pytest

from alerts.casefile.export import CaseSettings, export_case
from alerts.casefile.layout import (
    PAYLOAD,
    TAG_FILES,
    TAG_MANIFEST,
    CaseFileError,
    write_tag_manifest,
)
from alerts.casefile.legal import applies, asset_class_of, legal_basis
from alerts.casefile.verify import verify_case
from alerts.identity import params_hash
from alerts.record import decode
from alerts.store import AlertStore
from detectors.base import Feature, Params, Spec
from detectors.catalogue import DETECTORS
from ingest.instruments import Instrument, Instruments
from tests.support.alerts import HASHES, Venue, record
from tests.support.stored import save

SPEC = Spec(
    id="rules",
    version=1,
    title="Wash trading",
    scope="instrument",
    evidence_class="rule",
    scenarios=("rules_scenario",),
    looks_for="Trades whose two sides are one person.",
    legal_basis=(
        "SFO s.274(5)/295(5), securities and futures only: presumed false trading [S]",
        "VATP Guidelines 14.5: guard against falsification [V]",
    ),
    look_alikes=("self-trade-prevention skips", "an omnibus account with two originators"),
    blind_spots=("sides that swap accounts off the platform",),
    runbook=(),
    needs=("buy_account",),
)
SETTINGS = CaseSettings(
    platform="Harbour Exchange",
    legal_entity="Harbour Exchange (HK) Ltd",
    conflicts_officer="Chan Tai Man, Responsible Officer",
)


class RuleParams(Params, frozen=True, kw_only=True):
    episode_gap_s: float = 1_800.0
    materiality_ratio: float = 0.05


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A venue, its store, and one alert in it."""
    monkeypatch.setitem(HASHES, "rules", params_hash(RuleParams()))
    venue = Venue(tmp_path / "archive", owner="<script>alert(1)</script> & Co")
    store = AlertStore(f"sqlite:///{tmp_path / 'alerts.sqlite'}")
    store.migrate()
    store.save_params("rules", 1, RuleParams())
    book = venue.book()
    finding = venue.finding(
        client_harm=1_234.5,
        counterfactual="the client served first at the same price",
        features={
            "matched_volume": Feature(0.01, "BTC", 0.002),
            "trades": Feature(3, "count", 0),
            "share_of_volume": Feature(0.0625, "ratio", 0.05),
        },
        seqs=(1, 2, 3, 5, 6),
        facets=("tag_error",),
        significant=True,
    )
    alerts = book.apply([finding], venue.register)
    save(store, alerts, book.evidence(alerts))
    yield venue, store, alerts[0]
    store.close()


def export(kept, out, **settings):
    venue, store, alert = kept
    return export_case(
        store,
        alert.alert_id,
        out,
        specs={"rules": SPEC},
        instruments=settings.pop("instruments", venue.instruments),
        settings=settings.pop("settings", SETTINGS),
    )


def rebag(folder):
    """Write both manifests anew, as one who wants to hide a change would."""
    bagit.Bag(str(folder)).save(manifests=True)
    write_tag_manifest(folder)


def test_a_case_file_is_whole_and_holds_what_happened(kept, tmp_path):
    venue, _, alert = kept
    folder = export(kept, tmp_path / "out")
    assert folder.name == f"case-{alert.alert_id}-r1"
    assert verify_case(folder) == []
    assert bagit.Bag(str(folder)).is_valid()
    assert sorted(path.name for path in (folder / "data").iterdir()) == sorted(PAYLOAD)
    assert decode((folder / "data" / "alert.json").read_bytes()) == alert
    lines = (folder / "data" / "events.ndjson").read_bytes().splitlines()
    assert [json.loads(line)["raw"].encode() for line in lines] == [
        record(seq) for seq in (1, 2, 3, 5, 6)
    ]
    registry = (folder / "data" / "registry.csv").read_text()
    assert f"{venue.register.version},C1,Ann,Ann Ltd,client,,," in registry
    parameters = json.loads((folder / "data" / "parameters.json").read_bytes())
    assert parameters["params"] == {"episode_gap_s": 1800.0, "materiality_ratio": 0.05}
    versions = json.loads((folder / "data" / "versions.json").read_bytes())
    assert versions["packages"]["polars"]


def test_standard_tools_check_it_too(kept, tmp_path):
    folder = export(kept, tmp_path / "out")
    for manifest in ("manifest-sha256.txt", TAG_MANIFEST):
        done = subprocess.run(
            ["sha256sum", "--strict", "-c", manifest], cwd=folder, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_the_same_alert_gives_the_same_bytes(kept, tmp_path):
    one, other = export(kept, tmp_path / "a"), export(kept, tmp_path / "b")
    names = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(other) for p in other.rglob("*") if p.is_file())
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert "Bagging-Date: 2023-11-14" in (one / "bag-info.txt").read_text()


def test_any_changed_byte_is_noticed(kept, tmp_path):
    folder = export(kept, tmp_path / "out")
    tags = [*TAG_FILES, TAG_MANIFEST]
    for name in [*tags, *(f"data/{file}" for file in PAYLOAD)]:
        path = folder / name
        content = path.read_bytes()
        stride = 7 if name in tags else max(1, len(content) // 40)
        for place in [*range(0, len(content), stride), len(content) - 1]:
            for flip in (0x01, 0x20):
                changed = bytearray(content)
                changed[place] ^= flip
                path.write_bytes(changed)
                assert verify_case(folder), (name, place, flip)
        for changed in (content[:-1], content + b"\n", b""):
            path.write_bytes(changed)
            assert verify_case(folder), name
        path.write_bytes(content)
    assert verify_case(folder) == []


def test_missing_added_and_linked_files_are_named(kept, tmp_path):
    folder = export(kept, tmp_path / "out")
    for name in ("data/events.ndjson", "bagit.txt", TAG_MANIFEST):
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy)
        (copy / name).unlink()
        assert verify_case(copy) == [f"{name}: missing"]
        (copy / name).symlink_to(folder / name)
        assert f"{name}: is a link" in verify_case(copy)
        shutil.rmtree(copy)
    (folder / "data" / "more.txt").write_text("x")
    assert verify_case(folder) == ["data/more.txt: does not belong to a case file"]
    assert verify_case(tmp_path / "nowhere") == ["nowhere: no such folder"]


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        (
            "events.ndjson",
            lambda text: "".join(
                line for line in text.splitlines(True) if '\\"trade_id\\":\\"T3\\"' not in line
            ),
            "trade T3 of the alert is not there",
        ),
        ("events.ndjson", lambda text: text + text.splitlines()[0] + "\n", "not in order"),
        (
            "events.ndjson",
            lambda text: text.replace('"offset":2', '"offset":77'),
            "@2 of the alert",
        ),
        ("alert.json", lambda text: text.replace('"O2"', '"O9999"'), "order O9999"),
        ("alert.json", lambda text: text.replace('"revision":1', '"revision":2'), "another alert"),
        ("alert.json", lambda text: text.replace('"score":0.5', '"score":"no"'), "cannot be read"),
        ("parameters.json", lambda text: text.replace("0.05", "0.5"), "do not have the hash"),
        ("registry.csv", lambda text: text.splitlines()[0] + "\n", "has no row"),
    ],
)
def test_a_change_hidden_behind_new_manifests_is_still_seen_where_it_contradicts(
    kept, tmp_path, file, change, said
):
    folder = export(kept, tmp_path / "out")
    path = folder / "data" / file
    changed = change(path.read_text())
    assert changed != path.read_text()
    path.write_text(changed)
    rebag(folder)
    assert bagit.Bag(str(folder)).is_valid()
    problems = verify_case(folder)
    assert any(said in problem for problem in problems), problems


def test_a_record_that_is_no_text_is_kept_byte_for_byte(kept, tmp_path):
    store = kept[1]
    raw = b'{"trade_id":"T3","note":"\xff\x00"}'
    with store._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE evidence SET raw = ? WHERE seq = 3", (raw,))
    folder = export(kept, tmp_path / "out")
    line = (folder / "data" / "events.ndjson").read_bytes().splitlines()[2]
    assert base64.b64decode(json.loads(line)["raw_base64"]) == raw
    # Its ids cannot be read, and the check says so instead of trusting it.
    assert any("trade T3" in problem for problem in verify_case(folder))


def test_the_report_says_consistent_with_and_escapes_what_came_from_outside(kept, tmp_path):
    report = (export(kept, tmp_path / "out") / "data" / "report.html").read_text()
    assert "consistent with" in report
    assert "Chan Tai Man" in report
    assert "<script" not in report
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; Co" in report
    assert "2023-11-14 22:13:23.000000000 UTC" in report
    assert "2023-11-15 06:13:23 HKT (UTC+8)" in report
    assert "1,234.5 USD" in report
    assert "self-trade-prevention skips" in report
    for outside in ("http://", "https://", "src=", "@import", "url("):
        assert outside not in report


def test_no_securities_law_stands_on_a_bitcoin_case(kept, tmp_path):
    listed = msgspec.structs.replace(SETTINGS, securities=("BTC", "BTC-USD"))
    folder = export(kept, tmp_path / "out", settings=listed)
    for name in PAYLOAD:
        text = (folder / "data" / name).read_text()
        assert "SFO" not in text
        assert "s.274" not in text
    assert "AMLO s.53ZRF" in (folder / "data" / "report.html").read_text()


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_every_detectors_words_are_fit_for_a_bitcoin_case(name):
    spec = DETECTORS[name].spec
    basis = legal_basis(spec.legal_basis, "virtual_asset")
    assert any("53ZRF" in text for text in basis)
    for text in (*basis, spec.title, spec.looks_for, *spec.look_alikes, *spec.blind_spots):
        assert applies(text, "virtual_asset"), text
        assert "SFO" not in text


def test_a_listed_security_is_judged_by_securities_law(kept, tmp_path):
    venue = kept[0]
    rows = [
        Instrument(**{**msgspec.structs.asdict(row), "base": "SEC", "underlying": ""})
        for row in venue.instruments.rows
    ]
    listed = msgspec.structs.replace(SETTINGS, securities=("SEC",))
    folder = export(kept, tmp_path / "out", settings=listed, instruments=Instruments(rows))
    report = (folder / "data" / "report.html").read_text()
    assert "SFO s.274(5)" in report
    assert "53ZRF" not in report
    assert asset_class_of(rows[0]) == "virtual_asset"
    assert legal_basis(SPEC.legal_basis, "security") == SPEC.legal_basis


def test_what_cannot_be_exported_is_refused_in_one_line(kept, tmp_path):
    venue, store, alert = kept
    with pytest.raises(CaseFileError, match="no alert 'none'"):
        export_case(store, "none", tmp_path, specs={}, instruments=venue.instruments)
    with pytest.raises(CaseFileError, match="detector 'rules', not known here"):
        export_case(store, alert.alert_id, tmp_path, specs={}, instruments=venue.instruments)
    export(kept, tmp_path / "out")
    with pytest.raises(CaseFileError, match="written once"):
        export(kept, tmp_path / "out")
    book = venue.book(store=store)
    assert book.apply([venue.finding()], venue.register) == []  # read back, and known
    changed = book.apply([venue.finding("breaches", seqs=(2, 3))], venue.register)
    save(store, changed, book.evidence(changed))
    with pytest.raises(CaseFileError, match="was merged into"):
        export(kept, tmp_path / "other")


def test_a_case_without_named_officer_or_kept_parameters_says_so(kept, tmp_path):
    store = kept[1]
    with store._engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM params")
    folder = export(kept, tmp_path / "out", settings=CaseSettings())
    report = (folder / "data" / "report.html").read_text()
    assert "No responsible person is named" in report
    assert "not kept in the store" in report
    assert verify_case(folder) == []
    assert hashlib.sha256((folder / "data" / "alert.json").read_bytes()).hexdigest() in report
