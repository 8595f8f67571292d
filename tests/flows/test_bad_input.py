"""Bad files: a clear error with file and place, nothing half-posted, the others go on.

And once the file or our books are put right, it works.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from ledger import service as ledger
from ledger.db import transaction
from ledger.vault import vault
from mediation import formats
from mediation.cli import files_under, ingest_paths, mediation_cli
from mediation.formats.ber import read_header
from mediation.service import control_totals, ingest_file, refused_files, suspense
from mediation.service.ingest import FileOutcome
from mediation.service.payments import unmatched
from rating import service as rating
from rating.tariff_terms import TariffInvalid
from tests.mediation.bank_files import KID, PAYMENT, lines_of, octets_of, transmission, written

# What registering a file writes, whatever becomes of it.
REGISTRATION = {"source_file", "file_alarm"}
# What a file that was read record by record leaves besides, even when nothing of it is used.
SORTED = REGISTRATION | {"control_move", "suspense"}

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(60)
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\n"


@pytest.fixture
def month(books: str, month_files: Path) -> Path:
    """Files of a month, for books that have its tariff and its base of subscriptions."""
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rating.load_tariff(session, (month_files / "tariff.toml").read_bytes())
    ingest_paths(files_under([month_files / "orders"])[:2])
    return month_files


def _gateway(month: Path) -> Path:
    return next((month / "usage").glob("OSLPGW1_-_1002*"))


def _switch(month: Path) -> Path:
    return next((month / "usage").glob("OSLMSC1_00001*"))


def _take(folder: Path, name: str, raw: bytes) -> FileOutcome:
    """Lay a file into a folder of its own and take it in."""
    folder = folder / f"sent-{len(list(folder.iterdir()))}"
    folder.mkdir()
    path = folder / name
    path.write_bytes(raw)
    with transaction() as session:
        return ingest_file(session, vault(), path)


def refused_names() -> list[str]:
    """The refused files that wait to be taken in again."""
    with transaction("auditor") as session:
        return [one.name for one in refused_files(session)]


def _facts() -> dict[str, int]:
    """Count the rows of every table that can only be added to."""
    with transaction("auditor") as session:
        tables = session.execute(
            text(
                "SELECT DISTINCT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
                " JOIN pg_proc p ON p.oid = t.tgfoid"
                " WHERE p.proname = 'ledger_refuse_change' AND NOT c.relispartition"
            )
        ).scalars().all()  # fmt: skip
        return {
            name: session.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one()
            for name in tables
        }


def _grown(before: dict[str, int]) -> set[str]:
    """Name the tables that got rows since."""
    return {name for name, count in _facts().items() if count != before[name]}


# Usage files -----------------------------------------------------------------------------------


def _cut(raw: bytes) -> bytes:
    return raw[:-10]


def _flip_length(raw: bytes) -> bytes:
    """Flip a bit in the octets where a TS 32.297 header says how long it is."""
    return raw[:6] + bytes([raw[6] ^ 0x10]) + raw[7:]


def _add_tail(raw: bytes) -> bytes:
    return raw + b"\x00\x01\x02"


BROKEN: dict[str, tuple[Callable[[Path], Path], Callable[[bytes], bytes], str, str]] = {
    "gateway file, cut off": (_gateway, _cut, "BROKEN_FILE", r"offset \d+|\(offset 0\)"),
    "switch file, cut off": (_switch, _cut, "BROKEN_FILE", r"offset \d+"),
    "gateway file, one bit of its header": (_gateway, _flip_length, "", r"begins with|offset 4"),
    "gateway file, with a tail": (_gateway, _add_tail, "BROKEN_FILE", r"offset \d+"),
    "empty": (_switch, lambda _: b"", "EMPTY_FILE", "is empty. Fetch it again"),
    "a picture": (_switch, lambda _: PNG, "unknown_format", "begins with 89 50 4e 47"),
    "a document": (_gateway, lambda _: PDF, "unknown_format", "begins with 25 50 44 46"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_usage_file_is_kept_and_not_used(what: str, month: Path, tmp_path: Path) -> None:
    """The sentence names the file and the place; the next file, and the whole one, are taken in."""
    find, change, reason, words = BROKEN[what]
    path = find(month)
    before = _facts()
    bad = _take(tmp_path, path.name, change(path.read_bytes()))
    assert bad.state in {"suspended", "parked"}
    assert bad.reason == (reason or bad.reason)
    assert bad.detail is not None
    assert path.name in bad.detail
    assert re.search(words, bad.detail), bad.detail
    assert _grown(before) == {"source_file"}
    other = (_gateway if find is _switch else _switch)(month)
    assert _take(tmp_path, other.name, other.read_bytes()).state == "accepted"
    whole = _take(tmp_path, path.name, path.read_bytes())
    assert (whole.state, whole.detail) == ("accepted", None)


def _offset_of_record(raw: bytes, record_no: int) -> int:
    rows = formats.decode(raw, formats.recognise("any", raw[: formats.HEAD_OCTETS], len(raw)))
    place = int((rows.columns["record_no"] == record_no).argmax())
    return int(rows.columns["offset"][place])


@pytest.mark.parametrize("find", [_gateway, _switch], ids=["gateway", "switch"])
def test_a_bit_flipped_in_a_record_costs_that_record(
    find: Callable[[Path], Path], month: Path, tmp_path: Path
) -> None:
    """One record waits with its offset; all others are used, and the file's sums tie."""
    path = find(month)
    raw = path.read_bytes()
    at = _offset_of_record(raw, 3)
    # The length of the record's first element: now it reaches beyond the record.
    _, content, _ = read_header(raw, at, len(raw))
    hurt = raw[: content + 1] + bytes([raw[content + 1] ^ 0x80]) + raw[content + 2 :]
    taken = _take(tmp_path, path.name, hurt)
    assert taken.state == "accepted"
    with transaction("auditor") as session:
        waiting = [one for one in suspense(session, taken.file_id) if one.reason == "UNDECODABLE"]
        totals = {one.measure: one for one in control_totals(session, taken.file_id)}
    assert [(one.record_no, one.byte_offset) for one in waiting] == [(3, at)]
    assert "offset" in waiting[0].detail
    assert totals["records"].received == taken.records == totals["records"].ends
    assert totals["records"].accepted > 0


def test_a_file_sent_twice_counts_once(month: Path, tmp_path: Path) -> None:
    """Under its own name or another, the same bytes change nothing and say which file they are."""
    path = _switch(month)
    first = _take(tmp_path, path.name, path.read_bytes())
    before = _facts()
    for name in (path.name, "copy.ber"):
        again = _take(tmp_path, name, path.read_bytes())
        assert (again.state, again.reason) == ("duplicate", "DUPLICATE_FILE")
        assert again.file_id == first.file_id
        assert again.detail is not None
        assert f"{name} holds the same bytes as file {first.file_id}, {path.name}" in again.detail
    assert _grown(before) == set()


@pytest.mark.parametrize(
    ("rename", "reason"),
    [(str, "NAME_CONFLICT"), (lambda name: f"new-{name}", "SEQUENCE_CONFLICT")],
    ids=["same name", "same sequence"],
)
def test_other_bytes_in_the_same_place_wait_for_a_person(
    rename: Callable[[str], str], reason: str, month: Path, tmp_path: Path
) -> None:
    """A name or sequence number that is taken: every record waits, and both files are named."""
    path = _gateway(month)
    raw = path.read_bytes()
    first = _take(tmp_path, path.name, raw)
    before = _facts()
    at = _offset_of_record(raw, 1)
    taken = _take(tmp_path, rename(path.name), raw[: at + 20] + b"\x01" + raw[at + 21 :])
    assert (taken.state, taken.reason) == ("suspended", reason)
    assert taken.detail is not None
    assert f"claims the place of file {first.file_id}, {path.name}" in taken.detail
    assert _grown(before) == {"source_file", "control_move"}
    with transaction("auditor") as session:
        totals = control_totals(session, taken.file_id)
    assert all(total.suspended == total.received for total in totals)


def test_the_command_goes_on_after_a_bad_file(month: Path, tmp_path: Path) -> None:
    """In one call: a bad file is told and makes the status 1, the good one after it is taken in."""
    bad, good = tmp_path / "a-bad.ber", tmp_path / _switch(month).name
    bad.write_bytes(_cut(_switch(month).read_bytes()))
    good.write_bytes(_switch(month).read_bytes())
    told = CliRunner().invoke(mediation_cli, ["ingest", str(bad), str(good)])
    assert told.exit_code == 1
    first, second = told.stdout.splitlines()[:2]
    assert first.startswith("a-bad.ber: suspended, 0 records. BROKEN_FILE: a-bad.ber, offset ")
    assert second.startswith(f"{good.name}: accepted, ")


# Payments --------------------------------------------------------------------------------------


def test_a_kid_that_fails_its_check_digit_keeps_the_money(month: Path, tmp_path: Path) -> None:
    """The money is booked as unallocated and listed with its line; no claim is guessed."""
    wrong = KID[:-1] + str((int(KID[-1]) + 1) % 10)
    raw = octets_of([line.replace(KID, wrong) for line in lines_of(transmission([PAYMENT]))])
    taken = _take(tmp_path, "OCR_1.txt", raw)
    assert taken.state == "accepted"
    with transaction("auditor") as session:
        (listed,) = unmatched(session, "NO01")
    assert (listed.reason, listed.kid, listed.line_no) == ("kid_check_digit", wrong, 3)
    assert listed.outstanding_minor == PAYMENT.amount_minor


def _wrong_sum(lines: list[str]) -> list[str]:
    """Let the transmission end declare one øre more."""
    end = lines[-1]
    return [*lines[:-1], end[:40] + str(int(end[40]) ^ 1) + end[41:]]


def _unknown_record(lines: list[str]) -> list[str]:
    return [*lines[:3], "NY091077" + "0" * 72, *lines[3:]]


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        (_wrong_sum, "CONTROL_TOTALS_DIFFER", r"OCR_1\.txt.*line 6"),
        (_unknown_record, "BROKEN_FILE", r"OCR_1\.txt.*line 4"),
        (lambda lines: lines[:-1], "BROKEN_FILE", r"OCR_1\.txt.*line 6"),
    ],
    ids=["wrong totals", "unknown record", "no end"],
)
def test_a_bad_bank_file_is_refused_whole(
    change: Callable[[list[str]], list[str]], reason: str, words: str, month: Path, tmp_path: Path
) -> None:
    """Nothing of it is booked, not even its good payments; the corrected file is booked."""
    lines = lines_of(transmission([PAYMENT]))
    before = _facts()
    taken = _take(tmp_path, "OCR_1.txt", octets_of(change(lines)))
    assert (taken.state, taken.reason) == ("suspended", reason)
    assert taken.detail is not None
    assert re.search(words, taken.detail), taken.detail
    assert _grown(before) == {"source_file"}
    good = _take(tmp_path, "OCR_1.txt", octets_of(lines))
    assert (good.state, good.records) == ("accepted", 1)


def test_a_closed_period_refuses_the_file_until_it_is_open(month: Path, tmp_path: Path) -> None:
    """What stands against the file lies with us: it is not registered, and works later."""
    raw = written([PAYMENT])
    before = _facts()

    def lock(level: str) -> None:
        with transaction() as session:
            ledger.lock_period(
                session, "NO01", "2026-04", module="GL", level=level, actor="t", reason="t"
            )

    lock("soft")
    refused = _take(tmp_path, "OCR_1.txt", raw)
    assert (refused.state, refused.reason, refused.file_id) == ("refused", "PERIOD_CLOSED", 0)
    assert refused.detail is not None
    assert refused.detail.startswith("OCR_1.txt: ")
    assert "2026-04" in refused.detail
    assert _grown(before) == ({"access_event", "period_lock_event", "refused_file"} & before.keys())
    assert refused_names() == ["OCR_1.txt"]
    kept = _facts()
    assert _take(tmp_path, "OCR_1.txt", raw).state == "refused"
    assert _grown(kept) == set(), "the same refusal, as of every night, is kept once"
    lock("open")
    assert _take(tmp_path, "OCR_1.txt", raw).state == "accepted"
    assert refused_names() == []


def test_payments_are_booked_in_the_book_that_is_named(month: Path, tmp_path: Path) -> None:
    """A second company's bank file is none of the first one's; a book that is not there is told."""
    assert month
    with transaction() as session:
        ledger.seed_book(session, "NO02", "Sydlys AS", "NOK")
        ledger.open_periods(session, "NO02", 2026)
    path = tmp_path / "OCR_1.txt"
    path.write_bytes(written([PAYMENT]))
    words = ["ingest", str(path), "--json", "--book"]
    lost = CliRunner().invoke(mediation_cli, [*words, "NO03"])
    assert lost.exit_code == 1
    assert json.loads(lost.stdout)["reason"] == "UNKNOWN_BOOK"
    taken = CliRunner().invoke(mediation_cli, [*words, "NO02"])
    assert (taken.exit_code, json.loads(taken.stdout)["state"]) == (0, "accepted")
    with transaction("auditor") as session:
        assert ledger.trial_balance(session, "NO01") == []
        assert sum(one.debit_minor for one in ledger.trial_balance(session, "NO02")) > 0


# Orders ----------------------------------------------------------------------------------------


def _orders(*rows: str, count: int | None = None, sequence: int = 7) -> bytes:
    columns = (
        "order_id,action,effective_at,customer_no,customer_kind,name,org_no,street,postcode,city,"
        "country,email,billing_account,segment,subscription_id,offering,msisdn,imsi,agreed_price"
    )
    trailer = f"TRL,{len(rows) if count is None else count}"
    return "\n".join([f"HDR,MOOX,{sequence},2026-03-31", columns, *rows, trailer, ""]).encode()


def _row(number: int, offering: str = "MOBIL-5GB", price: str = "") -> str:
    return (
        f"T{number},add,2026-03-10T10:00:00+01:00,7{number},person,Kunde 7{number},,Veien 1,0150,"
        f"Oslo,NO,,7000000{number},consumer,SUBT{number},{offering},479900000{number},"
        f"24201190000000{number},{price}"
    )


def test_an_order_for_an_unknown_offering_waits_alone(month: Path, tmp_path: Path) -> None:
    """Its line is named, the orders around it are applied, and the corrected order is too."""
    taken = _take(tmp_path, "MOOX_7.csv", _orders(_row(1), _row(2, "MOBIL-99GB"), _row(3)))
    assert (taken.state, taken.records) == ("accepted", 3)
    with transaction("auditor") as session:
        (waiting,) = suspense(session, taken.file_id)
        (totals,) = control_totals(session, taken.file_id)
    assert (waiting.line_no, waiting.reason) == (4, "UNKNOWN_OFFERING")
    assert "Nobody sells 'MOBIL-99GB'" in waiting.detail
    assert (totals.received, totals.accepted, totals.suspended) == (3, 2, 1)
    corrected = _take(tmp_path, "MOOX_8.csv", _orders(_row(2), sequence=8))
    with transaction("auditor") as session:
        (totals,) = control_totals(session, corrected.file_id)
    assert (totals.received, totals.accepted) == (1, 1)


def test_an_order_file_with_a_wrong_trailer_is_refused_whole(month: Path, tmp_path: Path) -> None:
    """The trailer's line and both counts are told, no order is applied; the whole file is."""
    before = _facts()
    taken = _take(tmp_path, "MOOX_7.csv", _orders(_row(1), _row(2), count=3))
    assert (taken.state, taken.reason) == ("suspended", "BROKEN_FILE")
    assert taken.detail is not None
    assert "MOOX_7.csv: line 5 counts 3 orders, but the file has 2" in taken.detail
    assert _grown(before) == REGISTRATION  # With the gap that its sequence shows.
    good = _take(tmp_path, "MOOX_7.csv", _orders(_row(1), _row(2)))
    assert (good.state, good.records) == ("accepted", 2)


def test_an_order_that_says_something_else_the_second_time_waits(
    month: Path, tmp_path: Path
) -> None:
    """The same order again is ignored; other content under its number is a conflict by line."""
    _take(tmp_path, "MOOX_7.csv", _orders(_row(1)))
    before = _facts()
    again = _take(tmp_path, "MOOX_8.csv", _orders(_row(1), _row(1, price="199.00"), sequence=8))
    with transaction("auditor") as session:
        (waiting,) = suspense(session, again.file_id)
        (totals,) = control_totals(session, again.file_id)
    assert (waiting.line_no, waiting.reason) == (4, "ORDER_CONFLICT")
    assert "MOOX/T1 was applied before with other content" in waiting.detail
    assert (totals.duplicate, totals.suspended, totals.accepted) == (1, 1, 0)
    assert _grown(before) <= SORTED


def test_orders_before_the_tariff_work_once_it_is_loaded(
    books: str, month_files: Path, tmp_path: Path
) -> None:
    """Without a tariff nobody sells anything: the file is refused, not used up."""
    refused = _take(tmp_path, "MOOX_7.csv", _orders(_row(1)))
    assert (refused.state, refused.reason) == ("refused", "TARIFF_NOT_FOUND")
    with transaction() as session:
        rating.load_tariff(session, (month_files / "tariff.toml").read_bytes())
    assert _take(tmp_path, "MOOX_7.csv", _orders(_row(1))).state == "accepted"


# The tariff ------------------------------------------------------------------------------------


def test_a_broken_tariff_tells_all_its_faults_at_once(books: str, month_files: Path) -> None:
    """Every fault with the path of its key in one message; nothing is loaded, then all of it."""
    good = (month_files / "tariff.toml").read_text()
    bad = (
        good.replace("version = 1", "version = 0", 1)
        .replace('time_zone = "Europe/Oslo"', 'time_zone = "Europe/Nowhere"', 1)
        .replace('currency = "NOK"', 'currency = "NKR"', 1)
        .replace('price_basis = "gross"', 'price_basis = "brutto"', 1)
    )
    before = _facts()
    with transaction() as session, pytest.raises(TariffInvalid) as told:
        rating.load_tariff(session, bad.encode())
    for path in ("version", "time_zone", "currency", "offering[1].price_basis"):
        assert path in str(told.value)
    assert len(told.value.facts["faults"]) == 4  # type: ignore[arg-type]
    assert _grown(before) == set()
    with transaction() as session:
        assert rating.load_tariff(session, good.encode())


def test_a_payment_that_comes_again_is_a_duplicate(month: Path, tmp_path: Path) -> None:
    """The bank sends a file once more with other line ends: it waits for nobody, and is told so."""
    assert month
    lines = lines_of(transmission([PAYMENT]))
    assert _take(tmp_path, "OCR.txt", octets_of(lines)).state == "accepted"
    again = _take(tmp_path, "OCR.txt", octets_of(lines, end="\r\n"))
    assert again.state == "accepted"
    with transaction("auditor") as session:
        found = {
            total.measure: (total.received, total.accepted, total.duplicate, total.suspended)
            for total in control_totals(session)
            if total.file_id == again.file_id
        }
    paid = PAYMENT.amount_minor
    assert found == {"records": (1, 0, 1, 0), "ore": (paid, 0, paid, 0)}
