"""The desk's pages of tariffs: what an approver reads, and the button for the right person."""

from __future__ import annotations

import re

from flask.testing import FlaskClient

from ledger.db import transaction
from rating import service as rating
from tests.rating.tariffs import SMALL
from tests.reporting.test_desk import PAGE, client, enter, text_of  # noqa: F401 - a fixture

SECOND = SMALL.replace("version = 1", "version = 2").replace("2026-01-01", "2026-03-15").replace(
    '"0.90"', '"0.79"'
)  # fmt: skip


def propose(actor: str) -> None:
    """Propose the second version in somebody's name."""
    with transaction() as session:
        rating.propose_tariff(session, SECOND.encode(), actor=actor)


def judge(
    client: FlaskClient,  # noqa: F811
    verdict: str,
    comment: str = "",
    read: str = "",
) -> tuple[int, str]:
    """Send the form of the page as it stands, or with the hash of what was read before."""
    page = client.get("/tariffs/SMALL/2", headers=PAGE).text
    form = dict(re.findall(r'name="(csrf_token)" value="([^"]*)"', page))
    form["content_hash"] = read or re.findall(r'Content <span class="hash">(\w{64})<', page)[0]
    sent = client.post(
        "/tariffs/SMALL/2/verdict", data={**form, "verdict": verdict, "comment": comment},
        headers=PAGE,
    )  # fmt: skip
    return sent.status_code, sent.text


def test_an_approver_reads_what_changes_and_approves(client: FlaskClient) -> None:  # noqa: F811
    """The list marks what waits; the page says from what to what, and has the price lists."""
    propose("staff:maja")
    enter(client, "approver")
    assert "1 waiting for approval" in text_of(client, "/tariffs")
    told = text_of(client, "/tariffs/SMALL/2")
    assert "offering ONE, voice to HOME in band day price 0,90 0,79" in told
    assert "Each month 299,00" in told
    assert "voice to HOME, day 0,79 per 60 s set-up fee 0,69, in whole 60" in told
    assert judge(client, "approved")[0] == 303
    told = text_of(client, "/tariffs/SMALL/2")
    assert "approved" in told
    assert "Approve</button>" not in client.get("/tariffs/SMALL/2", headers=PAGE).text
    assert "Nothing waits for approval" in text_of(client, "/tariffs")
    assert "In force from 01.01.2026 until 15.03.2026" in text_of(client, "/tariffs/SMALL/1")


DISCOUNT = """[[discount]]
id = "PAIR"
text = "Parrabatt"
reduces = "month"
percent = "12.5"
subscriptions = 2
[[offering]]"""


def test_terms_for_all_products_are_on_the_page(client: FlaskClient) -> None:  # noqa: F811
    """A discount is no price of one product: it stands in a table of its own."""
    with transaction() as session:
        source = SECOND.replace("[[offering]]", DISCOUNT, 1)
        rating.propose_tariff(session, source.encode(), actor="staff:maja")
    enter(client, "approver")
    told = text_of(client, "/tariffs/SMALL/2")
    assert "For all products" in told
    assert (
        "Discounts: PAIR id PAIR, text Parrabatt, reduces month, percent 12,50, at_least 2" in told
    )
    assert "For all products" not in text_of(client, "/tariffs/SMALL/1")


INCLUDED = """  [[offering.allowance]]
  id = "talk"
  component = "voice"
  quantity = 18000
  [[offering.allowance]]
  id = "both"
  component = ["voice", "sms"]
  quantity = 100
  [[offering.allowance]]
  id = "kroner"
  component = "sms"
  amount = "100.00"
"""


def test_what_is_included_has_its_unit(client: FlaskClient) -> None:  # noqa: F811
    """Minutes and gigabytes, exactly; what has no unit in common has none, and money is money."""
    text = SECOND.replace("quantity = 1000", f"quantity = {2**30}").replace(
        "  [[offering.rate]]", f"{INCLUDED}  [[offering.rate]]", 1
    )
    with transaction() as session:
        rating.propose_tariff(session, text.encode(), actor="staff:maja")
    enter(client, "approver")
    told = text_of(client, "/tariffs/SMALL/2")
    assert "Included: one-gb 1 GB " in told
    assert "Included: talk 300 minutes " in told
    assert "Included: both 100 " in told
    assert "Included: kroner 100,00 " in told
    assert "Included: one-gb 1 000 octets " in text_of(client, "/tariffs/SMALL/1")


def test_whoever_loaded_it_and_whoever_only_reads_have_no_button(
    client: FlaskClient,  # noqa: F811
) -> None:
    """The author is told that another person must; a reader sees the same without the form."""
    propose("staff:approver")
    enter(client, "approver")
    told = text_of(client, "/tariffs/SMALL/2")
    assert "You loaded this version, so another person must approve it." in told
    status, page = judge(client, "approved")
    assert (status, "Another person has to judge it" in page) == (403, True)
    enter(client, "accountant")
    assert "Approve</button>" not in client.get("/tariffs/SMALL/2", headers=PAGE).text


def test_a_rejection_needs_its_reason(client: FlaskClient) -> None:  # noqa: F811
    """Without one the page comes back and says so; with one the author reads it there."""
    propose("staff:maja")
    enter(client, "approver")
    status, page = judge(client, "rejected")
    assert (status, "Say why SMALL/2 is rejected" in page) == (422, True)
    status, page = judge(client, "rejected", "Far too cheap", read="0" * 64)
    assert (status, ">Far too cheap</textarea>" in page) == (409, True)
    assert judge(client, "rejected", "Too cheap")[0] == 303
    assert "rejected it: Too cheap" in text_of(client, "/tariffs/SMALL/2")


def test_the_file_is_downloaded_as_it_was_loaded(client: FlaskClient) -> None:  # noqa: F811
    """Named by version."""
    enter(client, "product")
    given = client.get("/tariffs/SMALL/1/file")
    assert given.text == SMALL
    assert "filename=SMALL-1.toml" in given.headers["Content-Disposition"]
