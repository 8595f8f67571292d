"""Tariffs, quotes and the catalogue over REST, as programs meet them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from ledger.db import transaction
from ledger.service import seed_book
from ledger.service.access import add_client
from ledger.web.gate import route_scopes
from tests.rating.tariffs import SMALL
from tests.reporting.test_desk import make_app

SECOND = SMALL.replace("version = 1", "version = 2").replace("2026-01-01", "2026-03-15").replace(
    '"0.90"', '"0.79"'
)  # fmt: skip
KINDS = ("catalog", "productOffering", "productOfferingPrice", "productSpecification")
TMF = "/tmf-api/productCatalogManagement/v4"


class Caller:
    """A program with some scopes."""

    def __init__(self, client: FlaskClient, name: str, *scopes: str) -> None:
        self.client = client
        with transaction() as session:
            token = add_client(session, name, set(scopes), actor="test", now=datetime.now(UTC))
        self.headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str, **headers: str) -> Any:
        """Ask."""
        return self.client.get(path, headers=self.headers | headers)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send, with a key."""
        return self.client.post(
            path, json=body, headers={**self.headers, "Idempotency-Key": "once"}
        )


@pytest.fixture
def client(db: str) -> FlaskClient:
    """The application over books without anything in them."""
    with transaction() as session:
        seed_book(session, "NO01")
    return make_app().test_client()


@pytest.fixture
def maker(client: FlaskClient) -> Caller:
    """Proposes versions."""
    return Caller(client, "maker", "tariffs:read", "tariffs:write", "tariffs:approve")


@pytest.fixture
def judge(client: FlaskClient) -> Caller:
    """Approves them."""
    return Caller(client, "judge", "tariffs:read", "tariffs:approve")


def test_the_routes_name_these_scopes(client: FlaskClient) -> None:
    """The table is pinned: opening a route to others is a decision, not a slip."""
    scopes = {
        (method, rule.removeprefix("/api/v1").replace(TMF, "tmf")): scope
        for (method, rule), scope in route_scopes(client.application).items()
        if rule.startswith(("/api/v1/tariffs", "/api/v1/quotes", TMF))
    }
    lists = {f"tmf/{kind}" for kind in KINDS} | {f"tmf/{kind}/<path:identity>" for kind in KINDS}
    one = "/tariffs/<name>/<int:version>"
    assert scopes == {
        ("GET", "/tariffs"): "tariffs:read",
        ("POST", "/tariffs"): "tariffs:write",
        ("POST", "/tariffs/check"): "tariffs:read",
        ("GET", one): "tariffs:read",
        ("GET", f"{one}/file"): "tariffs:read",
        ("GET", f"{one}/changes"): "tariffs:read",
        ("POST", f"{one}/approval"): "tariffs:approve",
        ("POST", "/quotes"): "tariffs:read",
        **{("GET", rule): "tariffs:read" for rule in lists},
    }


def approve(judge: Caller, proposed: Any, **said: str) -> Any:
    """Judge what was answered to a proposal."""
    body = {"verdict": "approved", "content_hash": proposed.json["content_hash"], **said}
    one = proposed.json
    return judge.post(f"/api/v1/tariffs/{one['name']}/{one['version']}/approval", body)


def test_a_version_is_proposed_read_and_approved_by_another(maker: Caller, judge: Caller) -> None:
    """Twice the same file is one version; its ETag changes when it is approved."""
    sent = maker.post("/api/v1/tariffs", {"source": SMALL})
    assert (sent.status_code, sent.json["state"]) == (201, "proposed")
    again = maker.post("/api/v1/tariffs", {"source": f"# again\n{SMALL}"})
    assert (again.status_code, again.headers["Idempotency-Hit"]) == (200, "true")
    shown = judge.get("/api/v1/tariffs/SMALL/1")
    assert shown.json["offerings"] == ["ONE"]
    tag = shown.headers["ETag"]
    assert judge.get("/api/v1/tariffs/SMALL/1", **{"If-None-Match": tag}).status_code == 304
    assert approve(maker, sent).json["type"] == "/problems/own-tariff"
    assert approve(judge, sent, content_hash="0" * 64).status_code == 409
    done = approve(judge, sent)
    assert (done.status_code, done.json["state"], done.json["judge"]) == (
        200, "approved", "client:judge",
    )  # fmt: skip
    assert judge.get("/api/v1/tariffs/SMALL/1", **{"If-None-Match": tag}).status_code == 200
    assert approve(judge, sent, verdict="rejected", comment="No").status_code == 409
    listed = judge.get("/api/v1/tariffs?state=approved").json["tariffs"]
    assert [one["label"] for one in listed] == ["SMALL/1"]


def test_a_file_comes_back_and_says_what_it_changes(maker: Caller) -> None:
    """The text as it was loaded, or anew; what changed since another version."""
    maker.post("/api/v1/tariffs", {"source": f"# Ours\n{SMALL}"})
    maker.post("/api/v1/tariffs", {"source": SECOND})
    given = maker.get("/api/v1/tariffs/SMALL/1/file")
    assert (given.text, given.mimetype) == (f"# Ours\n{SMALL}", "application/toml")
    anew = maker.get("/api/v1/tariffs/SMALL/1/file?rewrite=true")
    assert "# Ours" not in anew.text
    hit = maker.post("/api/v1/tariffs", {"source": anew.text})
    assert hit.headers["Idempotency-Hit"] == "true"
    (change,) = maker.get("/api/v1/tariffs/SMALL/2/changes?since=SMALL/1").json["changes"]
    assert change["sentence"] == "offering ONE, voice to HOME in band day: price from 0.90 to 0.79"
    assert maker.get("/api/v1/tariffs/SMALL/2/changes?since=SMALL/9").status_code == 404


def test_a_check_tells_all_faults_and_keeps_nothing(maker: Caller) -> None:
    """With line and key; what is refused when it is proposed is told alike."""
    broken = SMALL.replace('"0.90"', "0.9").replace('vat = "3"', 'vat = "34"', 1)
    told = maker.post("/api/v1/tariffs/check", {"source": broken}).json
    assert (told["sound"], told["label"]) == (False, None)
    assert told["faults"][0]["key"] == "offering[1].rate[1].price"
    strange = SMALL.replace('vat = "3"', 'vat = "34"', 1)
    (fault,) = maker.post("/api/v1/tariffs/check", {"source": strange}).json["faults"]
    assert (fault["line"], fault["key"]) == (35, "component[1].vat")
    refused = maker.post("/api/v1/tariffs", {"source": strange})
    assert (refused.status_code, refused.json["faults"]) == (422, [fault])
    assert maker.post("/api/v1/tariffs/check", {"source": SMALL}).json["sound"] is True
    assert maker.get("/api/v1/tariffs").json == {"tariffs": []}


def test_a_quote_has_amounts_sentences_and_vat(maker: Caller, judge: Caller) -> None:
    """By the approved version, or a proposal by its label; nothing asked for is refused."""
    proposed = maker.post("/api/v1/tariffs", {"source": SMALL})
    event = {"usage": "voice", "start": "2026-03-04T16:59:30", "quantity": 90,
             "called": "4790000001"}  # fmt: skip
    asked = {"offering": "ONE", "period": "2026-03", "events": [event], "language": "en"}
    assert maker.post("/api/v1/quotes", asked).json["type"] == "/problems/tariff-not-found"
    ahead = maker.post("/api/v1/quotes", {**asked, "tariff": "SMALL/1"}).json
    approve(judge, proposed)
    told = maker.post("/api/v1/quotes", {**asked, "active_from": "2026-03-01"}).json
    assert told["events"] == ahead["events"]
    assert told["events"][0]["amount"] == "1.89"
    assert "Priced by SMALL/1, in force from 2026-01-01." in told["events"][0]["sentences"]
    assert [charge["amount"] for charge in told["charges"]] == ["1.89", "299.00"]
    assert (told["net"], told["vat"], told["gross"]) == ("240.71", "60.18", "300.89")
    assert maker.post("/api/v1/quotes", {**asked, "events": []}).status_code == 422
    surf = {"usage": "data", "start": "2026-03-04T12:00", "quantity": 1200, "rating_group": 100}
    left = [{"allowance": "one-gb", "quantity": 100}]
    told = maker.post("/api/v1/quotes", {**asked, "events": [surf], "remaining": left}).json
    assert "100 B is included in one-gb; the rest is paid for." in told["events"][0]["sentences"]
    left[0]["months_ago"] = 1
    refused = maker.post("/api/v1/quotes", {**asked, "events": [surf], "remaining": left})
    assert (refused.status_code, "from 1 months ago" in refused.json["detail"]) == (422, True)


def test_the_catalogue_is_listed_by_the_rules_of_tmf630(maker: Caller, judge: Caller) -> None:
    """Filters, fields, parts with their counts, one resource by its href, ETags."""
    approve(judge, maker.post("/api/v1/tariffs", {"source": SMALL}))
    maker.post("/api/v1/tariffs", {"source": SECOND})
    offers = judge.get(f"{TMF}/productOffering")
    assert [one["id"] for one in offers.json] == ["SMALL:1:ONE", "SMALL:2:ONE"]
    today = datetime.now(UTC).date()
    assert offers.json[0]["lifecycleStatus"] == (
        "Launched" if today >= date(2026, 1, 1) else "Active"
    )
    assert offers.json[1]["lifecycleStatus"] == "In design"
    usage = judge.get(f"{TMF}/productOfferingPrice?priceType=usage&version=1&limit=2&fields=price")
    assert usage.status_code == 206
    assert (usage.headers["X-Total-Count"], usage.headers["X-Result-Count"]) == ("5", "2")
    assert usage.json[0]["price"] == {"unit": "NOK", "value": "0.90"}
    assert set(usage.json[0]) == {"id", "href", "price"}
    one = judge.get(usage.json[0]["href"])
    assert one.json["unitOfMeasure"] == {"amount": 60, "units": "s"}
    kept = judge.get(usage.json[0]["href"], **{"If-None-Match": one.headers["ETag"]})
    assert kept.status_code == 304
    (spec,) = judge.get(f"{TMF}/productSpecification?version=1").json
    assert spec["productSpecCharacteristic"][0]["name"] == "one-gb"
    assert [one["id"] for one in judge.get(f"{TMF}/catalog?sort=-version").json] == [
        "SMALL:2", "SMALL:1",
    ]  # fmt: skip
    assert judge.get(f"{TMF}/catalog?colour=red").status_code == 422
    assert judge.get(f"{TMF}/catalog/SMALL:9").status_code == 404
