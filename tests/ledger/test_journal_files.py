"""Journal files: every format drafts the same entries, and a fault says where and why."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from ledger import service
from ledger.cli.ledger import ledger_cli
from ledger.db import transaction
from ledger.exchange import parse_rate
from ledger.intake import Defaults, Drafted, Fault, JournalFileUnreadable, format_of, read_entries
from ledger.intake.records import NothingToPost
from ledger.refusals import TotalsDiffer
from ledger.service import rates
from ledger.service.rates import Rate
from ledger.unstorable import NotUtf8

DEFAULTS = Defaults("file", "NOK")


def rent(amount: str = "1000.00", **changes: Any) -> dict[str, Any]:
    """An entry of two lines."""
    lines = [{"account": "4300", "amount": amount}, {"account": "1920", "amount": f"-{amount}"}]
    return {"effective_date": "2026-03-31", "text": "Rent", "lines": lines, **changes}


def ndjson(*entries: object) -> bytes:
    """Write entries one a line; bytes are taken as they are."""
    return b"".join(
        (e if isinstance(e, bytes) else json.dumps(e).encode()) + b"\n" for e in entries
    )


def read(source: bytes, file_format: str = "ndjson") -> list[Drafted | Fault]:
    """Read a whole file."""
    return list(read_entries(io.BytesIO(source), file_format, "f", DEFAULTS))


def fault(source: bytes, file_format: str = "ndjson") -> Fault:
    """Read a file of which the one record is at fault."""
    (found,) = read(source, file_format)
    assert isinstance(found, Fault)
    return found


def rows(**changes: Any) -> list[dict[str, Any]]:
    """The rows of one entry."""
    both = {"entry": "a", "effective_date": "2026-03-31", "entry_text": "Rent", **changes}
    return [{**both, "account": "4300", "amount": "5.00", "dim.product": "mobile"},
            {**both, "account": "1920", "amount": "-5.00", "dim.product": ""}]  # fmt: skip


def as_csv(table: list[dict[str, Any]]) -> bytes:
    """Write rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]))
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue().encode()


def as_parquet(table: list[dict[str, Any]]) -> bytes:
    """Write rows as Parquet."""
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(table), sink)
    return sink.getvalue()


def test_three_formats_draft_one_entry() -> None:
    """A table and a line of JSON that say the same are the same entry."""
    record = rent("5.00", source_ref="file:a")
    record["lines"][0]["dimensions"] = {"product": "mobile"}
    sources = {"ndjson": ndjson(record), "csv": as_csv(rows()), "parquet": as_parquet(rows())}
    drafts = [read(source, kind)[0] for kind, source in sources.items()]
    entries = [d.entry for d in drafts if isinstance(d, Drafted)]
    assert len(entries) == 3
    assert entries[0] == entries[1] == entries[2]


def test_a_parquet_decimal_is_an_amount_and_a_float_is_not() -> None:
    """A decimal column keeps its øre; a double has lost them already."""
    exact = [{**row, "amount": Decimal(row["amount"])} for row in rows()]
    (drafted,) = read(as_parquet(exact), "parquet")
    assert isinstance(drafted, Drafted)
    assert [line.amount_minor for line in drafted.entry.lines] == [500, -500]
    found = fault(
        as_parquet([{**row, "amount": float(row["amount"])} for row in rows()]), "parquet"
    )
    assert (found.code, found.pointer) == ("amount-not-a-string", "amount")


def test_what_other_tools_make_of_days_gaps_and_amounts_is_read() -> None:
    """A day as midnight, a party in a column of floats with gaps, øre with zeros behind them."""
    midnight = datetime(2026, 3, 31)  # noqa: DTZ001 - Parquet's timestamp of no zone
    table = [
        {**row, "effective_date": midnight, "party_id": party, "amount": Decimal(amount)}
        for row, party, amount in zip(rows(), (7.0, None), ("5.0000", "-5.0000"), strict=True)
    ]
    (drafted,) = read(as_parquet(table), "parquet")
    assert isinstance(drafted, Drafted)
    assert drafted.entry.effective_date == date(2026, 3, 31)
    assert [(x.amount_minor, x.party_id) for x in drafted.entry.lines] == [(500, 7), (-500, None)]
    for change in (
        {"effective_date": midnight.replace(hour=1)},
        {"effective_date": midnight.replace(tzinfo=UTC)},
        {"party_id": 7.5},
        {"party_id": float(2**53)},
        {"amount": Decimal("5.0010")},
    ):
        found = fault(as_parquet([{**row, **change} for row in table]), "parquet")
        assert (found.code, found.pointer) == ("record-malformed", next(iter(change)))


@pytest.mark.parametrize(
    ("record", "code", "pointer"),
    [
        (rent(lines=[{"account": "1", "amount": 5}]), "amount-not-a-string", "/lines/0/amount"),
        (rent(lines=[{"account": "1", "amount": 5.0}]), "amount-not-a-string", "/lines/0/amount"),
        (rent("1.005"), "record-malformed", "/lines/0/amount"),
        (rent("1" + "0" * 40), "number-too-large", "/lines/0/amount"),
        (rent("0.00"), "malformed-entry", "/lines/0"),
        (rent(lines=[]), "malformed-entry", ""),
        (rent(lines=[{"account": "1", "amount": "1.00"}]), "entry-not-balanced", ""),
        (rent(text="a\0b"), "text-holds-nul", "/text"),
        (rent(effective_date="31.03.2026"), "record-malformed", "/effective_date"),
        (rent(voucher_no=17), "record-malformed", ""),
        ({"text": "Rent"}, "record-malformed", ""),
        (b"nonsense", "record-malformed", ""),
        (b'{"text": "\xff"}', "not-utf8", ""),
        (json.dumps(rent()).encode("utf-16"), "not-utf8", ""),
        (b"[" * 100_000, "record-malformed", ""),
        (json.dumps(rent()).replace('"4300"', '"4300", "party_id": 1' + "0" * 30).encode(),
         "number-too-large", "/lines/0"),
    ],
)  # fmt: skip
def test_a_bad_record_is_a_fault_with_its_place(record: object, code: str, pointer: str) -> None:
    """Each kind of nonsense has its code and its JSON pointer, and the file goes on."""
    good_before, found, good_after = read(ndjson(rent(), record, rent()))
    assert isinstance(good_before, Drafted)
    assert isinstance(good_after, Drafted)
    assert isinstance(found, Fault)
    assert (found.record, found.code, found.pointer) == (2, code, pointer)


@pytest.mark.parametrize("bad", [
    {"lines": [{"account": "4300", "amount": "5.00"}]},
    {"lines": []},
    {"text": "NUL\0"},
    {"text": "\ud800"},
    {"lines": [{"account": "4300", "amount": "0.00"}] * 2},
    {"entry_type": "reversal"},
], ids=lambda bad: str(bad)[:40])  # fmt: skip
def test_in_a_long_file_a_bad_entry_is_named_as_in_a_short_one(bad: dict[str, Any]) -> None:
    """Sound entries are checked all at once; the one that is not is still told from the others."""
    alone = fault(ndjson(rent(**bad)))
    long = read(ndjson(*[rent()] * 70, rent(**bad), *[rent()] * 30))
    assert long[70] == Fault(71, alone.pointer, alone.code, alone.sentence.replace(":1'", ":71'"))
    assert all(isinstance(one, Drafted) for place, one in enumerate(long) if place != 70)
    assert [one.record for one in long] == list(range(1, 102))


def test_a_table_with_a_strange_column_is_refused_by_its_name() -> None:
    """A misspelled column would else be lost silently."""
    with pytest.raises(JournalFileUnreadable, match="acount"):
        read(as_csv([{"acount" if k == "account" else k: v for k, v in r.items()} for r in rows()]),
             "csv")  # fmt: skip


def test_rows_of_one_entry_must_agree_and_lie_together() -> None:
    """An entry with two dates, or in two places, is a fault."""
    first, second = rows()
    assert fault(as_csv([first, {**second, "effective_date": "2026-04-01"}]), "csv").record == 3
    apart = read(as_csv([*rows(), *rows(entry="b"), *rows()]), "csv")
    assert [type(one) for one in apart] == [Drafted, Drafted, Fault]


def test_broken_files_are_refused_as_a_whole() -> None:
    """What is no table at all has no records."""
    for source, kind in ((b"PAR1 nonsense", "parquet"), (as_csv(rows()) + b'a,"2026\n', "csv")):
        with pytest.raises(JournalFileUnreadable):
            read(source, kind)
    with pytest.raises(NotUtf8, match="line 1 is not UTF-8"):
        read(b"entry,\xff\n", "csv")
    with pytest.raises(JournalFileUnreadable, match=r"--format"):
        format_of(Path("journal.txt"))


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(source: bytes) -> None:
    """Whatever comes, each record is an entry or a fault; a file may be refused as a whole."""
    for file_format in ("ndjson", "csv"):
        try:
            found = read(source, file_format)
        except (JournalFileUnreadable, NotUtf8):
            continue
        assert all(isinstance(one, Drafted | Fault) for one in found)


@pytest.fixture
def books(db: str) -> None:
    """Book NO01 with the periods of 2026."""
    with transaction() as session:
        service.seed_book(session, "NO01")
        service.open_periods(session, "NO01", 2026)


def post(path: Path, *words: str, status: int = 0) -> dict[str, Any]:
    """Run the command and read what it says."""
    result: Result = CliRunner().invoke(ledger_cli, ["post", str(path), "--json", *words])
    assert result.exit_code == status, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def balances() -> dict[str, int]:
    """The trial balance."""
    with transaction() as session:
        return {b.account: b.balance_minor for b in service.trial_balance(session, "NO01")}


@pytest.mark.usefixtures("books")
def test_a_file_posts_once(tmp_path: Path) -> None:
    """The second posting of a file finds every entry where it is."""
    path = tmp_path / "rent.ndjson"
    path.write_bytes(ndjson(rent(), rent("7.00")))
    assert post(path, "--dry-run")["posted"] == 2
    assert balances() == {}
    first, second = post(path), post(path)
    assert (first["posted"], second["posted"], second["replayed"]) == (2, 0, 2)
    assert [e["voucher"] for e in first["entries"]] == [e["voucher"] for e in second["entries"]]
    assert balances() == {"1920": -100_700, "4300": 100_700}


@pytest.mark.usefixtures("books")
def test_two_books_may_post_the_same_file(tmp_path: Path) -> None:
    """The rent of both companies is one file; in each book it posts once."""
    with transaction() as session:
        service.seed_book(session, "NO02", "Nordlys Fast AS")
        service.open_periods(session, "NO02", 2026)
    path = tmp_path / "rent.ndjson"
    path.write_bytes(ndjson(rent()))
    told = [post(path, "--book", book) for book in ("NO01", "NO02", "NO02")]
    assert [(t["posted"], t["replayed"]) for t in told] == [(1, 0), (1, 0), (0, 1)]


@pytest.mark.usefixtures("books")
def test_one_bad_entry_stops_a_file_or_only_itself(tmp_path: Path) -> None:
    """Atomic posts nothing; per entry posts the rest, and again after the cause was put right."""
    path = tmp_path / "mixed.ndjson"
    unknown = rent("3.00", lines=[{"account": "9999", "amount": "3.00"},
                                  {"account": "1920", "amount": "-3.00"}])  # fmt: skip
    early = rent("9.00", effective_date="2031-01-01")
    path.write_bytes(ndjson(rent(), unknown, rent("7.00"), early, rent(lines=[]), rent("11.00")))
    assert post(path, status=1)["posted"] == 0
    assert balances() == {}
    read_well = tmp_path / "well.ndjson"
    read_well.write_bytes(ndjson(rent(), unknown, rent("7.00"), early))
    for words in ([], ["--dry-run"]):
        whole = post(read_well, *words, status=1)
        assert (whole["read"], whole["posted"], whole["lines"]) == (4, 0, 0)
        assert [(f["record"], f["pointer"], f["code"]) for f in whole["faults"]] == [
            (2, "/lines/0", "unknown-account"),
            (4, "/effective_date", "unknown-period"),
        ]
    told = whole["faults"][0]["detail"]
    assert told.startswith("Line 1: the chart has no account 9999. See the chart: hovedbok ledger ")
    all_early = tmp_path / "early.ndjson"
    all_early.write_bytes(ndjson(*[early] * 25))
    assert [f["record"] for f in post(all_early, status=1)["faults"]] == list(range(1, 11))
    assert balances() == {}
    told = post(path, "--per-entry", status=1)
    assert (told["posted"], told["refused"]) == (3, 3)
    assert {f["record"]: f["code"] for f in told["faults"]} == {
        2: "unknown-account", 4: "unknown-period", 5: "malformed-entry"}  # fmt: skip
    with transaction() as session:
        service.open_periods(session, "NO01", 2031)
    again = post(path, "--per-entry", status=1)
    assert (again["posted"], again["replayed"], again["refused"]) == (1, 3, 2)
    with transaction() as session:
        assert service.verify(session) == []


def test_the_help_shows_an_entry_as_it_is_written() -> None:
    """The example keeps its lines, so that it can be copied, and shows no mark of the formatter."""
    told = CliRunner().invoke(ledger_cli, ["post", "--help"]).stdout
    assert '\n  {"effective_date": "2026-03-31", "text": "Rent", "lines": [\n' in told
    assert "\\b" not in told


@pytest.mark.usefixtures("books")
def test_a_file_from_elsewhere_is_read_or_told_what_it_is(tmp_path: Path) -> None:
    """A byte order mark is no fault; what is packed, separated or encoded otherwise is named."""
    path = tmp_path / "a.ndjson"
    path.write_bytes(codecs.BOM_UTF8 + ndjson(rent()))
    assert post(path)["posted"] == 1
    head = "entry,effective_date,entry_text,account,amount\n"
    rows = head + "a,2026-03-31,S\N{LATIN SMALL LETTER O WITH STROKE}k,4300,1.00\n"
    for name, content, said in (
        ("a.ndjson", gzip.compress(ndjson(rent())), "gzip -dc FILE | hovedbok ledger post -"),
        ("a.csv", rows.replace(",", ";").encode(), "one cell with semicolons in it"),
        ("a.csv", rows.encode("latin-1"), "line 2 is not UTF-8"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        told = CliRunner().invoke(ledger_cli, ["post", str(path)])
        assert isinstance(told.exception, JournalFileUnreadable | NotUtf8)
        assert said in str(told.exception)
    path = tmp_path / "b.ndjson"
    path.write_bytes(ndjson(rent("99999999999999999999.00")))
    (fault,) = post(path, status=1)["faults"]
    assert "99999999999999999999.00 is too large" in fault["detail"]


@pytest.mark.usefixtures("books")
def test_a_reference_with_other_content_is_refused(tmp_path: Path) -> None:
    """The reference of an entry means that entry for ever, whatever file it comes in."""
    path = tmp_path / "a.ndjson"
    path.write_bytes(ndjson(rent(source_ref="x")))
    post(path)
    path.write_bytes(ndjson(rent("2.00", source_ref="x"), rent(source_ref="y")))
    told = post(path, "--per-entry", status=1)
    assert [f["code"] for f in told["faults"]] == ["entry-ref-reused"]
    assert told["posted"] == 1


@pytest.mark.usefixtures("books")
def test_declared_totals_must_hold(tmp_path: Path) -> None:
    """A file that lost a line on its way is not posted."""
    path = tmp_path / "a.ndjson"
    path.write_bytes(ndjson(rent()))
    refused = CliRunner().invoke(ledger_cli, ["post", str(path), "--declare", "entries=2"])
    assert refused.exit_code != 0
    assert "declares 2 entries" in str(refused.exception)
    assert "but holds 1 entries" in str(refused.exception)
    for wrong in ("entry=1", "entries=one", "debit=1,0"):
        words = ["post", str(path), "--declare", wrong]
        assert CliRunner().invoke(ledger_cli, words).exit_code == 2
    assert post(path, "--declare", "entries=1,lines=2,debit=1000.00")["posted"] == 1


@pytest.mark.usefixtures("books")
def test_a_file_of_nothing_is_refused_unless_it_was_announced(tmp_path: Path) -> None:
    """Of any format, also with its header or blank lines alone; nothing declared is in order."""
    empty = io.BytesIO()
    parquet.write_table(pa.table({name: pa.array([], pa.string()) for name in rows()[0]}), empty)
    header = as_csv(rows()).partition(b"\n")[0]
    for name, content in (
        ("a.ndjson", b""), ("a.ndjson", codecs.BOM_UTF8 + b"\n \n"), ("a.csv", b""),
        ("a.csv", b"\n\n"), ("a.csv", codecs.BOM_UTF8), ("a.csv", header),
        ("a.parquet", b""), ("a.parquet", empty.getvalue()),
    ):  # fmt: skip
        path = tmp_path / name
        path.write_bytes(content)
        for words in ([], ["--per-entry"], ["--dry-run"]):
            told = CliRunner().invoke(ledger_cli, ["post", str(path), *words])
            assert isinstance(told.exception, NothingToPost), (name, content, told.output)
            assert str(told.exception).startswith(f"{name} holds no entries; nothing was posted.")
        announced = post(path, "--declare", "entries=0")
        assert (announced["read"], announced["posted"]) == (0, 0)
    silent = CliRunner().invoke(ledger_cli, ["post", "-"], input=b"")
    assert str(silent.exception).startswith("standard input holds no entries")


@pytest.mark.usefixtures("books")
def test_debits_are_declared_by_currency(tmp_path: Path) -> None:
    """Kroner and euro are never added; the book's own currency may be called debit."""
    path = tmp_path / "a.ndjson"
    there = {"account": "1920", "amount": "5.00", "currency": "EUR", "base_amount": "57.50"}
    back = {"account": "2400", "amount": "-5.00", "currency": "EUR", "base_amount": "-57.50"}
    lines = [there, back]
    path.write_bytes(ndjson(rent(), rent(lines=lines)))
    for wrong in ("debit=1005.00", "debit=1000.00", "debit=1000.00,EUR=6.00"):
        refused = CliRunner().invoke(ledger_cli, ["post", str(path), "--declare", wrong])
        assert isinstance(refused.exception, TotalsDiffer), wrong
    assert post(path, "--declare", "entries=2,debit=1000.00,EUR=5.00")["posted"] == 2


@pytest.mark.usefixtures("books")
def test_a_file_in_another_currency_posts_once_whatever_rates_come_later(tmp_path: Path) -> None:
    """The rate of its day was looked up once; a retry after a newer one is the same entry."""
    path = tmp_path / "a.ndjson"
    lines = [{"account": "1920", "amount": "5.00", "currency": "EUR"},
             {"account": "2400", "amount": "-5.00", "currency": "EUR"}]  # fmt: skip
    path.write_bytes(ndjson(rent(lines=lines), rent()))
    for day, rate in ((date(2026, 3, 1), "11.5"), (date(2026, 3, 31), "12")):
        with transaction() as session:
            made = Rate("EUR", day, parse_rate(rate), "bank")
            rates.set_rate(session, "NOK", made, actor="test")
        told = post(path)
        assert (told["posted"], told["replayed"]) in {(2, 0), (0, 2)}, told
    assert told["replayed"] == 2
    lines[0]["base_amount"], lines[1]["base_amount"] = "60.00", "-60.00"
    path.write_bytes(ndjson(rent(lines=lines, source_ref="x")))
    post(path)
    lines[0]["base_amount"], lines[1]["base_amount"] = "61.00", "-61.00"
    path.write_bytes(ndjson(rent(lines=lines, source_ref="x")))
    assert post(path, "--per-entry", status=1)["faults"][0]["code"] == "entry-ref-reused"


@pytest.mark.usefixtures("books")
def test_a_file_of_which_nothing_can_be_posted_is_listed_to_the_end(tmp_path: Path) -> None:
    """Hundreds of refusals of the database are as many faults, and the good one is posted."""
    path = tmp_path / "a.ndjson"
    unknown = [{"account": "9999", "amount": "1.00"}, {"account": "1920", "amount": "-1.00"}]
    path.write_bytes(ndjson(*[rent(lines=unknown) for _ in range(300)], rent()))
    told = post(path, "--per-entry", status=1)
    assert (told["read"], told["posted"], told["refused"]) == (301, 1, 300)
    assert {f["code"] for f in told["faults"]} == {"unknown-account"}
