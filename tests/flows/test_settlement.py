"""Premium calls for others: accrued as owed, settled by holder, and again after a late file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.db import transaction
from ledger.errors import DoesNotTie, Invalid
from ledger.journal import Line
from ledger.vault import vault
from mediation.charging import Month
from mediation.cli import ingest_paths, mediation_cli
from mediation.service import settle_content, settlement
from mediation.service.month_entries import MonthEntries
from mediation.service.rating_run import rate_period
from mediation.service.rerating import rerate_period
from party import service as party
from rating import service as rating
from reporting.cli.month import _rate as rate_and_settle
from reporting.cli.trace import trace_cli
from reporting.service.invoices import billed_keys
from tests.flows.home import MONTH
from tests.party.rows import order
from tests.rating.test_margins import OSLO, RETAIL

CONTENT = """
[[zone]]
id = "GAMES"
prefixes = ["47829"]
[[zone]]
id = "GIFTS"
prefixes = ["47820"]
[[component]]
id = "games"
text = "Innholdstjenester"
revenue = "{games}"
vat = "7"
unit = "s"
[[component]]
id = "gifts"
text = "Gaver"
revenue = "charity"
vat = "7"
unit = "s"
[[carried]]
service = "829"
component = "games"
valid_from = 2026-01-01
provider = "Spill AS"
fee_vat = "3"
  [[carried.share]]
  holder = "STREX"
  percent = "3.5"
  [[carried.share]]
  holder = "own"
  percent = "15"
[[carried]]
service = "820"
component = "gifts"
valid_from = 2026-01-01
provider = "Redd Barna"
charity = true
"""
RATES = """
  [[offering.rate]]
  usage = "voice"
  zone = "GAMES"
  component = "games"
  price = "9.99"
  per = 60
  increment = 60
  [[offering.rate]]
  usage = "voice"
  zone = "GIFTS"
  component = "gifts"
  price = "200.00"
  per = 60
  increment = 60
"""


def _tariff(games: str = "content_others") -> bytes:
    return (RETAIL.replace("[[offering]]", "{sections}[[offering]]", 1) + RATES).replace(
        "{sections}", CONTENT.format(games=games)
    ).encode()  # fmt: skip


def _take(folder: Path, name: str, *calls: tuple[str, int]) -> None:
    lines = [f"4791000001,{called},2026-03-{day:02}T10:00:00+0100,50," for called, day in calls]
    path = folder / name
    path.write_text("\n".join(["caller,called,start,duration,octets", *lines]) + "\n")
    assert [taken.state for taken in ingest_paths([path])] == ["accepted"]


def _rate() -> None:
    with transaction() as session:
        rate_period(session, vault(), Month("NO01", MONTH), lambda ids: billed_keys(session, ids))


def _settle(*words: str) -> tuple[Any, list[tuple[str, ...]]]:
    told = CliRunner().invoke(mediation_cli, ["settle", "--month", MONTH, "--json", *words])
    assert told.exit_code == 0, (told.output, told.exception)
    found = json.loads(told.output)
    return found["batch_id"], [tuple(line.values()) for line in found["lines"]]


def _told(*words: str) -> Any:
    told = CliRunner().invoke(trace_cli, [*words, "--json"])
    assert told.exit_code == 0, (told.output, told.exception)
    return json.loads(told.output)


def _texts(*sentences: str) -> list[dict[str, str]]:
    return [{"text": sentence} for sentence in sentences]


def _balance(account: str) -> int:
    with transaction("auditor") as session:
        return sum(
            row.balance_minor
            for row in ledger.trial_balance(session, "NO01", date(2026, 3, 31))
            if row.account == account
        )  # fmt: skip


def _begin(tariff: bytes) -> None:
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rating.load_tariff(session, tariff)
        first = int(datetime(2026, 3, 1, tzinfo=OSLO).timestamp())
        done = party.apply_orders(session, [order(1, "add", first, offering="MOBIL")], {"MOBIL"})
        assert [outcome.state for outcome in done] == ["applied"], done


def test_what_is_collected_for_others_is_theirs_to_the_oere(books: str, tmp_path: Path) -> None:
    """99.90 of games and 200 of gifts; a late call of 9.99 is settled as the difference."""
    assert books
    _begin(_tariff())
    _take(tmp_path, "a.csv", *(("4782900001", day) for day in range(1, 11)), ("4782000001", 3))
    _rate()
    assert (_balance("2992"), _balance("2993"), _balance("1530")) == (-9990, -20_000, 29_990)
    tried, lines = _settle("--dry-run")
    assert tried is None
    # 15 % of 99.90 is 14.985, 3.5 % is 3.4965: the øre that is over goes to the larger remainder.
    assert lines == [
        ("games", "2700", "", "-3.00", "-3.00"),
        ("games", "2992", "", "99.90", "99.90"),
        ("games", "2992", "STREX", "-3.50", "-3.50"),
        ("games", "2992", "Spill AS", "-81.42", "-81.42"),
        ("games", "3700", "", "-11.98", "-11.98"),
        ("gifts", "2993", "", "200.00", "200.00"),
        ("gifts", "2993", "Redd Barna", "-200.00", "-200.00"),
    ]
    assert _settle()[1] == lines
    assert (_balance("2992"), _balance("3700"), _balance("2700")) == (-8492, -1198, -300)
    assert _told("voucher", "USG/2026/2", "--language", "en")["explanation"] == _texts(
        "Innholdstjenester: 1 charges of 99.90 together are collected for others, by RETAIL/1.",
        "STREX has 3.5 % of each of 1 charges of 99.90 together: 3.50.",
        "Our part is 15 % of each of 1 charges of 99.90 together: 14.98.",
        "Spill AS has what is left of 99.90: 81.42.",
        "Of our part of 14.98, 3.00 is VAT, 25 %; the rest is income.",
        "VAT of 25 % on our part of 14.98: 3.00.",
    )
    gifts = _told("voucher", "USG/2026/3")
    assert gifts["explanation"][1] == {"text": "Redd Barna har alt, uten fradrag: 200,00."}
    (charge,) = _told("record", "a.csv#1")["charges"]
    assert {"text": "Spill AS har resten av 99,90: 81,42."} in charge["settlement"]
    batch, again = _settle()
    assert batch is None
    with transaction("auditor") as session:
        assert session.scalar(text("SELECT count(*) FROM settlement_run")) == 1
    assert {line[4] for line in again} == {"0.00"}
    _take(tmp_path, "late.csv", ("4782900001", 12))
    _rate()
    late = _settle()[1]
    assert late[1] == ("games", "2992", "", "109.89", "9.99")
    # Of 109.89: 3.846 to STREX, 16.4835 to us with VAT, 89.56 to the provider.
    assert [line[3] for line in late[:5]] == ["-3.30", "109.89", "-3.85", "-89.56", "-13.18"]
    later = _told("voucher", "USG/2026/5")["explanation"]
    assert later[-1] == {"text": "Det som var bokført før, er trukket fra."}
    assert later[3] == {"text": "Spill AS har resten av 109,89: 89,56."}
    assert _balance("2992") == -(385 + 8956)
    assert _balance("2993") == -20_000


def _to_another(made: Callable[..., tuple[Line, ...]]) -> Callable[..., tuple[Line, ...]]:
    """Move an øre from the provider to the collector: the entry balances all the same."""

    def changed(*words: Any, **names: Any) -> tuple[Line, ...]:
        first, collector, provider, *rest = made(*words, **names)
        return (
            first, replace(collector, amount_minor=collector.amount_minor - 1),
            replace(provider, amount_minor=provider.amount_minor + 1), *rest,
        )  # fmt: skip

    return changed


def test_a_settlement_that_does_not_tie_is_refused(
    books: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One øre between holders, in the sums or only in what is posted: nothing is recorded."""
    assert books
    _begin(_tariff())
    _take(tmp_path, "a.csv", ("4782900001", 1))
    _rate()
    with monkeypatch.context() as broken:
        broken.setattr(settlement, "booking", _to_another(settlement.booking))
        with transaction() as session, pytest.raises(DoesNotTie, match="amounts differ in 2 sums"):
            settle_content(session, vault(), Month("NO01", MONTH), dry_run=True)

    def posting(run: MonthEntries, session: Session, actor: str) -> int | None:
        (entry,) = run.entries
        run.entries[:] = [replace(entry, lines=_to_another(lambda: entry.lines)())]
        return post(run, session, actor)

    post = MonthEntries.post
    monkeypatch.setattr(MonthEntries, "post", posting)
    with pytest.raises(DoesNotTie, match="postings differ in 2 sums"), transaction() as session:
        settle_content(session, vault(), Month("NO01", MONTH))
    with transaction("auditor") as session:
        assert session.scalar(text("SELECT count(*) FROM settlement_run")) == 0
    assert _balance("3700") == 0


def test_content_of_others_is_no_revenue_of_ours(books: str, tmp_path: Path) -> None:
    """A component that is shared and yet booked as own revenue is refused, not settled twice."""
    assert books
    _begin(_tariff("content"))
    _take(tmp_path, "a.csv", ("4782900001", 1))
    _rate()
    with transaction() as session, pytest.raises(Invalid, match="revenue = 'content_others'"):
        settle_content(session, vault(), Month("NO01", MONTH))


def test_a_month_run_settles_what_it_rated(books: str, tmp_path: Path) -> None:
    """Whose it is is booked with the month; a settlement by hand finds nothing new."""
    assert books
    _begin(_tariff())
    _take(tmp_path, "a.csv", ("4782900001", 1))
    rate_and_settle(Month("NO01", MONTH))
    assert _balance("3700") == -120  # 15 % of 9.99, less its VAT
    batch, lines = _settle()
    assert batch is None
    assert {line[2] for line in lines} == {"", "STREX", "Spill AS"}


def _corrected(*changes: tuple[str, str], version: int = 2, day: str = "2026-03-10") -> bytes:
    """A later version of the tariff, from a day within the month unless another is given."""
    source = _tariff().decode().replace(
        "version = 1\nvalid_from = 2026-01-01", f"version = {version}\nvalid_from = {day}"
    )  # fmt: skip
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    return source.encode()


def _again(tariff: str) -> None:
    with transaction() as session:
        rerate_period(
            session, vault(), Month("NO01", MONTH), lambda ids: billed_keys(session, ids),
            actor="tester", reason="another agreement", tariff=tariff,
        )  # fmt: skip


LATER_TERMS = """
[[carried]]
service = "829"
component = "games"
valid_from = 2026-03-20
provider = "Spill AS"
fee_vat = "3"
  [[carried.share]]
  holder = "own"
  percent = "30"
"""


def test_shares_go_by_the_day_of_use(books: str, tmp_path: Path) -> None:
    """Another provider from the 10th by a new version, another share from the 20th within it.

    Of 9.99 on the 5th, 9.99 on the 12th and 9.99 on the 25th each has what it was agreed then.
    """
    assert books
    _begin(_tariff())
    other = _corrected(
        ('provider = "Spill AS"', 'provider = "Nye Spill AS"'), ("[[offering]]", LATER_TERMS +
        "[[offering]]"), ('percent = "15"', 'percent = "20"'),
    )  # fmt: skip
    with transaction() as session:
        rating.load_tariff(session, other)
    _take(tmp_path, "a.csv", ("4782900001", 5), ("4782900001", 12), ("4782900001", 25))
    _rate()
    batch, lines = _settle()
    assert batch is not None
    # 15 % is 1.50, 20 % is 2.00, 30 % is 3.00; a fifth of each is VAT: 0.30, 0.40, 0.60.
    assert [line[1:4] for line in lines] == [
        ("2700", "", "-1.30"), ("2992", "", "29.97"), ("2992", "Nye Spill AS", "-7.64"),
        ("2992", "STREX", "-0.70"), ("2992", "Spill AS", "-15.13"), ("3700", "", "-5.20"),
    ]  # fmt: skip
    assert _settle()[0] is None
    voucher = _told("voucher", "USG/2026/2", "--language", "en")
    told = [one["text"] for one in voucher["explanation"]]
    assert [text for text in told if "collected" in text] == [
        f"Innholdstjenester: 1 charges of 9.99 together from 2026-03-{first} to 2026-03-{last} are "
        f"collected for others, by {label}."
        for first, last, label in (
            ("01", "09", "RETAIL/1"), ("10", "19", "RETAIL/2"), ("20", "31", "RETAIL/2")
        )
    ]  # fmt: skip
    assert "Nye Spill AS has what is left of 9.99: 7.64." in told
    assert "Our part is 30 % of each of 1 charges of 9.99 together: 3.00." in told


def test_shares_follow_terms_that_were_put_right(books: str, tmp_path: Path) -> None:
    """Rated again, a month is settled by the new terms: another VAT code, and then nobody's."""
    assert books
    _begin(_tariff())
    _take(tmp_path, "a.csv", ("4782900001", 1))
    _rate()
    _settle()
    swedish = 'provider = "Spill AB"\ncountry = "SE"\nfee_vat = "52"'
    abroad = ('provider = "Spill AS"\nfee_vat = "3"', swedish)
    section, after = (CONTENT.index(f'[[carried]]\nservice = "{one}"') for one in ("829", "820"))
    own = (CONTENT[section:after], "")
    with transaction() as session:
        rating.load_tariff(session, _corrected(abroad, day="2026-02-01"))
        rating.load_tariff(session, _corrected(own, version=3, day="2026-02-02"))
    _again("RETAIL/2")
    lines = _settle()[1]
    assert ("3700", "", "-1.50", "-1.50") in [line[1:] for line in lines]
    assert ("3700", "", "0.00", "1.20") in [line[1:] for line in lines]
    by_code = (
        "SELECT v.code, sum(l.amount_minor)::bigint FROM journal_line l JOIN vat_code v"
        " USING (vat_code_id) JOIN account a USING (account_id) WHERE a.number IN ('3700', '2700')"
        " GROUP BY 1 ORDER BY 1"
    )
    with transaction("auditor") as session:
        assert session.execute(text(by_code)).all() == [("3", 0), ("52", -150)]
    assert _settle()[0] is None
    _again("RETAIL/3")
    assert {line[3] for line in _settle()[1]} == {"0.00"}
    assert (_balance("2992"), _balance("3700"), _balance("2700")) == (-999, 0, 0)
    assert _settle()[0] is None


def test_monthly_prices_of_others_go_by_their_days(books: str, tmp_path: Path) -> None:
    """31.00 a month with half of it off, and a joining fee on the 1st: the provider gets dearer.

    From the 11th on we keep 30 instead of 15 per cent; 10 of 31 days are before it.
    """
    assert books
    prices = (
        '  [[offering.recurring]]\n  component = "games"\n  price = "31.00"\n'
        '  [[offering.one_off]]\n  on = "add"\n  component = "games"\n  price = "20.00"\n'
    )
    monthly = ('price_basis = "gross"\n', f'price_basis = "gross"\n{prices}')
    later = LATER_TERMS.replace("2026-03-20", "2026-03-11")
    half = (
        '[[discount]]\nid = "HALF"\ntext = "Halv pris"\nreduces = "games"\npercent = "50"\n'
        "subscriptions = 1\n"
    )
    changed = _corrected(monthly, ("[[offering]]", later + half + "[[offering]]"), day="2026-01-01")
    _begin(changed)
    _take(tmp_path, "a.csv", ("4782900001", 30))
    _rate()
    # 10.00 - 5.00 + 20.00 by the first terms, each charge by itself; 21.00 - 10.50 + 9.99 after.
    own = 150 - 75 + 300 + 630 - 315 + 300
    of_strex = 35 - 18 + 70  # 3.5 % until the 10th
    lines = {(line[1], line[2]): round(100 * float(line[3])) for line in _settle()[1]}
    assert lines["2992", ""] == 3_100 - 1_550 + 2_000 + 999
    assert lines["3700", ""] + lines["2700", ""] == -own
    assert lines["2992", "STREX"] == -of_strex
    assert _settle()[0] is None


def test_what_is_taken_each_time_is_taken_of_each_sale(books: str, tmp_path: Path) -> None:
    """0.25 of every call, not of the month: three of 9.99, and from the 20th nothing fixed."""
    assert books
    each = ('percent = "3.5"', 'percent = "3.5"\n  fixed = "0.25"')
    _begin(_corrected(each, ("[[offering]]", LATER_TERMS + "[[offering]]"), day="2026-01-01"))
    _take(tmp_path, "a.csv", ("4782900001", 3), ("4782900001", 4), ("4782900001", 5))
    _rate()
    lines = {(line[1], line[2]): line[3] for line in _settle()[1]}
    # 3 x (0.34965 + 0.25) is 1.79895, and with 3 x 1.4985 it is 6.29445.
    assert (lines["2992", "STREX"], lines["2992", "Spill AS"]) == ("-1.80", "-23.68")
    voucher = _told("voucher", "USG/2026/2", "--language", "en")
    told = [one["text"] for one in voucher["explanation"]]
    assert "STREX has 3.5 % and 0.25 of each of 3 sales of 29.97 together: 1.80." in told
    _take(tmp_path, "late.csv", ("4782900001", 25))
    _rate()
    lines = {(line[1], line[2]): line[3] for line in _settle()[1]}
    assert (lines["2992", "STREX"], lines["2992", "Spill AS"]) == ("-1.80", "-30.67")
    assert _settle()[0] is None
