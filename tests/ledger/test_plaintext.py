"""Plain-text journals: other programs read them, and no text of ours can make them misread."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
from collections import defaultdict
from datetime import date
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import DoesNotTie
from ledger.money import format_amount
from ledger.plaintext import (
    CSV_HEADINGS,
    ExportAccount,
    ExportLine,
    Tally,
    beancount_account,
    beancount_journal,
    csv_journal,
    hledger_account,
    hledger_journal,
    plain_text,
)
from tests.ledger.nasty import NASTY, STEERING, TEXTS

DAY = date(2026, 3, 31)
ACCOUNTS = [
    ExportAccount("1500", "Customers - consumer", "A"),
    ExportAccount("2700", "Output VAT 25 %", "L"),
    ExportAccount("2050", "Equity", "Q"),
    ExportAccount("3000", "Revenue: all;  kinds", "I"),
    ExportAccount("7830", "Tap på fordringer", "E"),
]


def line(entry: int, number: int, account: str, minor: int, **more: object) -> ExportLine:
    """A line of an entry; what is not said is plain."""
    plain: dict[str, object] = {
        "entry_id": entry, "voucher": f"JNL/2026/{entry}", "effective_date": DAY,
        "document_date": DAY, "entry_type": "manual", "source_system": "test",
        "source_ref": f"r-{entry}", "document_ref": None, "text": "Bilag", "line_no": number,
        "account": account, "currency": "NOK", "amount_minor": minor, "base_minor": minor,
        "party_id": None, "vat_code": None, "tax_base_minor": None, "dimensions": None,
        "line_text": None,
    }  # fmt: skip
    return ExportLine(**{**plain, **more})  # type: ignore[arg-type]


def entry_of(number: int, text: str, minor: int, **more: object) -> list[ExportLine]:
    """An entry of two lines whose every text is the same."""
    said = {"text": text, "line_text": text, "source_ref": text, "document_ref": text, **more}
    return [
        line(number, 1, "1500", minor, **said), line(number, 2, "3000", -minor, **said),
    ]  # fmt: skip


def hledger(journal: str, *arguments: str) -> str:
    """Run hledger on a journal; absent it skips, in CI it fails."""
    if shutil.which("hledger") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("hledger is missing; .ci/run installs it")
        pytest.skip("hledger is not installed (Debian: apt-get install hledger)")
    run = subprocess.run(
        ["hledger", "-f", "-", *arguments], input=journal, capture_output=True, text=True,
        check=False, env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout


def hledger_balances(journal: str) -> dict[tuple[str, str], str]:
    """The balances that hledger computes, by account number and currency; zeros are left out."""
    rows = csv.reader(hledger(journal, "bal", "-O", "csv", "--no-total", "--layout=bare")
                      .splitlines())  # fmt: skip
    next(rows)
    return {(name.split(":")[1].split(" ")[0], currency): amount
            for name, currency, amount in rows}  # fmt: skip


def test_a_journal_reads_as_it_is_written() -> None:
    """The whole shape of a hledger journal, once."""
    lines = [
        line(1, 1, "1500", 125_00, party_id=7, text="Faktura"),
        line(1, 2, "3000", -100_00, vat_code="3"),
        line(1, 3, "2700", -25_00),
    ]
    assert "".join(hledger_journal(["Book NO01"], ACCOUNTS[:2] + ACCOUNTS[3:4], lines)) == (
        "; Book NO01\n"
        "account Assets:1500 Customers - consumer\n"
        "account Liabilities:2700 Output VAT 25 %\n"
        "account Income:3000 Revenue all kinds\n"
        "\ncommodity NOK 1000.00\n"
        "\n2026-03-31 (JNL/2026/1) Faktura\n"
        "    Assets:1500 Customers - consumer  NOK 125.00  ; party:7\n"
        "    Income:3000 Revenue all kinds  NOK -100.00  ; vat:3\n"
        "    Liabilities:2700 Output VAT 25 %  NOK -25.00\n"
    )


@settings(max_examples=15, deadline=None)
@given(
    texts=st.lists(TEXTS, min_size=1, max_size=30),
    names=st.lists(TEXTS, min_size=5, max_size=5),
    vat=TEXTS,
    minors=st.lists(st.integers(-(10**15), 10**15), min_size=30, max_size=30),
)
def test_no_text_makes_hledger_misread(
    texts: list[str], names: list[str], vat: str, minors: list[int]
) -> None:
    """With any texts in any place, hledger accepts the journal strictly and finds our balances."""
    accounts = [
        ExportAccount(account.number, name, account.account_class)
        for account, name in zip(ACCOUNTS, names, strict=True)
    ]
    lines: list[ExportLine] = []
    for number, text in enumerate(texts, 1):
        lines += entry_of(number, text, minors[number - 1], vat_code=vat, voucher=f"{text}/1")
    journal = "".join(hledger_journal([vat, *texts], accounts, lines))
    total = sum(minors[: len(texts)])
    expected = {("1500", "NOK"): format_amount(total), ("3000", "NOK"): format_amount(-total)}
    assert hledger_balances(journal) == (expected if total else {})
    hledger(journal, "check", "--strict")
    assert hledger(journal, "stats").count(f"{len(texts)} (") >= 1


def test_every_nasty_text_alone(tmp_path: Path) -> None:
    """Each text known to be trouble, once, so that none depends on what is drawn."""
    texts = NASTY + STEERING
    lines = [x for number, text in enumerate(texts, 1) for x in entry_of(number, text, number)]
    journal = "".join(hledger_journal(texts, ACCOUNTS, lines))
    total = format_amount(sum(range(1, len(texts) + 1)))
    assert hledger_balances(journal)["1500", "NOK"] == total
    printed = hledger(journal, "print")
    assert printed.count("(JNL/2026/") == len(texts)


@given(st.lists(st.tuples(TEXTS, TEXTS, st.integers(-500, 500)), max_size=12))
def test_csv_gives_every_line_back_and_starts_no_formula(
    drawn: list[tuple[str, str, int]],
) -> None:
    """A reader of CSV gets each text, marked where a spreadsheet would run it."""
    lines = [
        x for number, (text, dimensions, minor) in enumerate(drawn, 1)
        for x in entry_of(number, text, minor, dimensions=dimensions)
    ]  # fmt: skip
    rows = list(csv.reader(StringIO("".join(csv_journal(lines)), newline="")))
    assert tuple(rows[0]) == CSV_HEADINGS
    assert len(rows) == len(lines) + 1
    amounts = {CSV_HEADINGS.index(name) for name in ("amount", "base_amount", "tax_base")}
    for read, written in zip(rows[1:], lines, strict=True):
        assert read[CSV_HEADINGS.index("text")].removeprefix("'") == written.text.removeprefix("'")
        assert read[CSV_HEADINGS.index("amount")] == format_amount(written.amount_minor)
        for column, cell in enumerate(read):
            assert column in amounts or not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


@given(TEXTS)
def test_a_plain_text_is_one_printable_line(text: str) -> None:
    """Nothing that ends a line, nothing invisible, no two spaces."""
    plain = plain_text(text)
    assert len(plain.splitlines()) <= 1
    assert "  " not in plain
    assert plain == plain_text(plain)


@given(TEXTS)
def test_account_names_keep_their_shape(name: str) -> None:
    """hledger: one colon and no double space. beancount: letters, digits, dashes."""
    account = ExportAccount("1500", name, "A")
    for_hledger = hledger_account(account)
    assert re.fullmatch(r"Assets:1500( [^:;]+)?", for_hledger)
    assert "  " not in for_hledger
    assert re.fullmatch(r"Assets:1500(-\w+)*", beancount_account(account))


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_beancount_lines_have_one_of_seven_shapes(texts: list[str]) -> None:
    """Whatever the texts, each line is a directive, a posting or a piece of metadata."""
    lines = [
        x for number, text in enumerate(texts, 1)
        for x in entry_of(number, text, 5, party_id=7, vat_code=text)
    ]  # fmt: skip
    string = r'"(?:[^"\\]|\\["\\])*"'
    shapes = re.compile(
        r";.*|2000-01-01 (open [A-Z][a-z]+:[\w-]+|commodity [A-Z]{3})"
        rf"|2026-03-31 \* {string}|  voucher: {string}|    vat: {string}|    party: \"7\""
        r"|  [A-Z][a-z]+:[\w-]+  -?\d+\.\d\d NOK|"
    )
    journal = "".join(beancount_journal(texts, ACCOUNTS, lines))
    assert [x for x in journal.split("\n") if not shapes.fullmatch(x)] == []


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(-9, 9).filter(bool)), max_size=20))
def test_a_tally_is_a_dictionary(moves: list[tuple[str, int]]) -> None:
    """It accepts the balances that the lines sum to, zeros among them, and nothing else."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for account, minor in moves:
        sums[account, "NOK"] += minor
    tally = Tally()
    lines = [line(number, 1, account, minor) for number, (account, minor) in enumerate(moves)]
    assert list(tally.through(lines)) == lines
    assert (tally.entries, tally.lines) == (len(moves), len(moves))
    tally.check(sums)
    with pytest.raises(DoesNotTie, match=r"the|its"):
        tally.check({**sums, ("A", "NOK"): sums.get(("A", "NOK"), 0) + 1})
    with pytest.raises(DoesNotTie):
        tally.check({**sums, ("Z", "NOK"): 0})
