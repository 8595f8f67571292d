"""The page that asks for a price: what it says is what the functions that bill say."""

from __future__ import annotations

import doctest
from datetime import datetime
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient

from ledger.db import transaction
from rating import service as rating
from rating.quoted_asking import Asked
from rating.quoted_events import Event
from reporting.web import quotes
from tests.reporting.test_desk import PAGE, enter, text_of
from tests.reporting.test_desk import client as _client

client = _client
CALL = {"offering": "ONE", "usage": "voice", "called": "+47 900 00 001", "at": "02.03.2026 16:59",
        "quantity": "1:30"}  # fmt: skip


def asking(**asked: str) -> str:
    """The address of a question."""
    return f"/tariffs/quote?{urlencode(asked)}"


def test_a_call_is_priced_and_explained(client: FlaskClient) -> None:
    """With the sentences of the explanation, and the charge with its VAT; nothing is kept."""
    enter(client, "operations")
    assert 'href="/tariffs/quote"' in client.get("/tariffs", headers=PAGE).text
    assert "On the bill" not in text_of(client, "/tariffs/quote")
    told = text_of(client, asking(**CALL))
    began = datetime.fromisoformat("2026-03-02T16:59")
    asked = Asked("ONE", "2026-03", (Event("voice", began, 90, "4790000001"),))
    with transaction() as session:
        said = rating.quote(session, asked)
    assert said.priced
    for sentence in said.events[0].explanation.sentences:
        assert sentence in told
    assert "On the bill by SMALL/1" in told
    (charge,) = said.charges
    assert f"{charge.text} {charge.component} , with VAT" in told
    assert told.count(" To pay ") == 1
    page = client.get(asking(**CALL), headers=PAGE).text
    assert 'value="+47 900 00 001"' in page, "what was typed stays"
    month = text_of(client, asking(offering="ONE", period="2026-03", whole="yes", tariff="SMALL/1"))
    assert "Without VAT" in month


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"offering": "TWO"}, 404, "TWO"),
        ({"offering": ""}, 422, "of which product or of which subscription"),
        ({"at": ""}, 422, "Say when the usage begins"),
        ({"at": "2.3.2026"}, 422, "is not a time; write it as 02.03.2026 16:59."),
        ({"quantity": "1,5 GB"}, 422, "is no quantity"),
        ({"quantity": "-3"}, 422, "is no quantity"),
        ({"called": "Berit"}, 422, "is no number"),
        ({"usage": ""}, 422, "Say which usage, or ask for the whole month."),
        ({"period": "2026-13"}, 422, "is not a period"),
        ({"period": "2026-04"}, 422, "outside 2026-04"),
        ({"usage": "fax"}, 400, "It may say voice, sms, data, or nothing."),
        ({"tariff": "SMALL/9"}, 404, "SMALL/9"),
    ],
)
def test_what_cannot_be_asked_is_told(
    client: FlaskClient, change: dict[str, str], status: int, said: str
) -> None:
    """Above the form, with what was typed."""
    enter(client, "operations")
    answer = client.get(asking(**CALL | change), headers=PAGE)
    assert answer.status_code == status
    assert said in answer.text.replace("&#39;", "'")


def test_who_may_not_see_customers_asks_of_products_alone(client: FlaskClient) -> None:
    """A subscription is somebody's: it takes the scope of customers."""
    enter(client, "product")
    assert "or subscription" not in client.get("/tariffs/quote", headers=PAGE).text
    assert "On the bill" in text_of(client, asking(**CALL))
    refused = client.get(asking(**CALL | {"subscription": "4799999999"}), headers=PAGE)
    assert refused.status_code == 403
    assert "needs the scope party:read" in refused.text


def test_the_examples_of_quantities_hold() -> None:
    """Minutes, messages, and parts of a gigabyte."""
    told = doctest.testmod(quotes)
    assert (told.attempted, told.failed) == (1, 0)
