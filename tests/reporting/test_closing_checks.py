"""What billing and mediation look at before a month is closed, and that the door hands it over."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

import app
from ledger import service
from ledger.closing import Finding, PeriodCheck, Scope
from ledger.db import transaction
from ledger.errors import Conflict
from ledger.service import access
from ledger.service.checks import CHECKS
from ledger.vault import vault
from ledger.web import now
from mediation import service as mediation
from mediation.cli import mediation_cli
from mediation.formats import orders_csv
from mediation.service import FileOutcome
from mediation.service.reversing import Withdrawn
from mediation.service.suspense import Suspended, record_releases, suspend
from rating import service as rating
from reporting.service.closing import (
    FILES,
    ORDER_ROWS,
    ORDERS,
    PAYMENTS,
    REFUSED,
    SUSPENDED,
    UNBILLED,
    UNBOOKED,
)
from reporting.service.recount import Shelf, count_files, count_outcomes
from tests.ledger.conftest import Drafts
from tests.mediation.bank_files import PAYMENT, lines_of, octets_of, transmission, written
from tests.mediation.octets import container, integer, pgw, tgpp_file
from tests.rating.tariffs import SMALL
from tests.reporting.desk_books import open_books
from tests.reporting.test_desk import enter, make_app, text_of

MARCH = Scope.of("NO01", "2026-03")


def look(check: PeriodCheck) -> Finding:
    """Run one check over the books as they are."""
    with transaction() as session:
        return check.find(session, MARCH)


def test_charges_not_billed_are_account_1530(db: str) -> None:
    """An invoice of charges that nobody accrued blocks the close, with both figures."""
    open_books()
    fine = look(UNBILLED)
    assert (fine.state, fine.figures["charges"]) == ("ok", fine.figures["account"])
    drafts = Drafts()
    with transaction() as session:
        service.post_batch(session, drafts.batch("stray", drafts.invoice("stray")))
    torn = look(UNBILLED)
    assert torn.state == "blocked"
    assert torn.figures["account"] == "-100.00"
    assert torn.figures["charges"] == "0.00"
    assert "account 1530 says -100.00" in torn.detail


def test_usage_in_suspense_is_somebodys_decision(db: str) -> None:
    """How many records wait, and for which reasons."""
    assert look(SUSPENDED).state == "ok"
    open_books()
    waiting = look(SUSPENDED)
    assert waiting.state == "open"
    assert waiting.figures["records"] == sum(row["records"] for row in waiting.figures["rows"])


def test_usage_of_other_months_does_not_hold_up_this_one(db: str) -> None:
    """What has a day counts in its month; what has none counts in each, and the check says so."""
    open_books()
    with transaction() as session:
        days = (date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 31), date(2026, 4, 1))
        suspend(
            session,
            [Suspended(2, 900 + n, "NO_RATE", "No price.", seconds=7, used_on=day)
             for n, day in enumerate(days)],
        )  # fmt: skip
    march = look(SUSPENDED)
    assert (march.figures["records"], march.figures["undated"]) == (4, 2)
    assert march.detail == (
        "4 records of usage are suspended, for 2 reasons. When 2 of them were used cannot be read; "
        "they count in every month."
    )
    assert {row["reason"]: (row["records"], row["undated"], row["seconds"])
            for row in march.figures["rows"]} == {
        "NO_RATE": (3, 1, 64), "UNKNOWN_SUBSCRIBER": (1, 1, 50),
    }  # fmt: skip
    with transaction() as session:
        february, may = (
            SUSPENDED.find(session, Scope.of("NO01", f"2026-0{month}")) for month in (2, 5)
        )
    assert (february.figures["records"], may.figures["records"]) == (3, 2)


def test_no_undated_usage_is_not_spoken_of(db: str) -> None:
    """One record of March: the sentence is about it alone, and April is in order."""
    open_books()
    with transaction() as session:
        file_id = session.scalar(text("SELECT file_id FROM suspense LIMIT 1"))
        waiting = session.scalars(text("SELECT suspense_id FROM suspense")).all()
        record_releases(
            session, [{"suspense_id": one, "bucket": "accepted"} for one in waiting], "a test", "x"
        )
        found = Suspended(int(file_id or 0), 900, "NO_RATE", "-", used_on=date(2026, 3, 9))
        suspend(session, [found])
    assert look(SUSPENDED).detail == "1 record of usage is suspended, for 1 reason."
    with transaction() as session:
        assert SUSPENDED.find(session, Scope.of("NO01", "2026-04")).state == "ok"


DECLARED = slice(18, 22)  # where a file says how many records it has
GATEWAY = "OSLPGW1_-_{}.20260329_-_1200+0200"


def _take(folder: Path, number: int, declared: int, cut: int = 0) -> FileOutcome:
    """Take in a gateway's file of one session of 29 March, of which the end may be missing."""
    raw = bytearray(tgpp_file([pgw({}, container(100, integer(40), integer(60)))]))
    raw[DECLARED] = declared.to_bytes(4, "big")
    raw[22:26] = number.to_bytes(4, "big")
    path = folder / GATEWAY.format(number)
    path.write_bytes(bytes(raw[: len(raw) - cut]))
    with transaction() as session:
        return mediation.ingest_file(session, vault(), path)


def _waiting(period: str) -> list[tuple[str, str, str]]:
    """What a month is held up by: file, reason, and the first day that it may be of."""
    with transaction() as session:
        held = FILES.find(session, Scope.of("NO01", period))
    assert held.state == ("open" if held.figures["rows"] else "ok")
    return [(row["name"], row["reason"], row["used_from"]) for row in held.figures["rows"]]


def test_a_file_that_waits_as_a_whole_holds_up_its_months(db: str, tmp_path: Path) -> None:
    """Until its whole copy is there or somebody gives it up; where nobody can tell, every month."""
    assert _take(tmp_path, 7, declared=2).reason == "COUNT_MISMATCH"
    broken = _take(tmp_path, 8, declared=1, cut=3)
    given_up = _take(tmp_path, 9, declared=3)
    miscounted = [(GATEWAY.format(n), "COUNT_MISMATCH", "2026-03-29") for n in (7, 9)]
    anywhere = (broken.name, "BROKEN_FILE", "any day")
    assert _waiting("2026-03") == [miscounted[0], anywhere, miscounted[1]]
    assert _waiting("2026-04") == [anywhere]
    with transaction() as session:
        said = FILES.find(session, MARCH).detail
    assert said == (
        "3 usage files wait as a whole, with 2 records. Take in the whole copy, or give it up with "
        "hovedbok mediation reverse. The month of 1 cannot be read: counted in every month."
    )
    assert _take(tmp_path, 7, declared=1).state == "accepted"
    with transaction() as session:
        for file in (broken, given_up):
            done = mediation.reverse_file(session, vault(), file.name, "Kari", "Sent by mistake")
            assert (done.events, done.suspended) == (0, file.records)
    assert _waiting("2026-03") == _waiting("2026-04") == []
    with transaction() as session:
        totals = mediation.control_totals(session, given_up.file_id)
        shelf = Shelf(vault())
        counted = count_outcomes(session, shelf, count_files(session, shelf))
    assert {(one.suspended, one.filtered) for one in totals if one.measure == "records"} == {(0, 1)}
    assert (counted["records", "filtered"], counted["octets", "filtered"]) == (1, 100)
    assert all(one.ties for one in totals)


@pytest.mark.parametrize(
    "damaged",
    [
        b"HDX,FKM,1,2026-04-02\n",
        b"HDR,fkm,1,2026-04-02\n",
        b"HDR,FKM,1,2026-04-02",
        b"\0" * 20 + b"\n",
        b"",
    ],
)
def test_an_order_file_without_its_first_line_holds_up_every_month(
    db: str, tmp_path: Path, damaged: bytes
) -> None:
    """Its columns tell what it is; no file of the same name ends its waiting, only a person."""
    with transaction() as session:
        rating.load_tariff(session, SMALL.encode())
    whole = _orders(1, 1, counted=1)
    first, rest = whole.split(b"\n", 1)
    broken = _send(tmp_path, "orders.csv", damaged + rest)
    assert (broken.state, broken.format, broken.reason) == ("suspended", "order_csv", "BROKEN_FILE")
    assert "Nothing of the file is used" in str(broken.detail)
    assert _held(ORDERS) == {month: ["orders.csv"] for month in MONTHS}
    assert look(ORDERS).detail == (
        "1 order file waits as a whole. Take in the whole copy, or give it up with hovedbok "
        "mediation reverse. The first line of 1 cannot be read: give it up once its whole copy is "
        "in. The month of 1 cannot be read: counted in every month."
    )
    assert _send(tmp_path, "orders.csv", first + b"\n" + rest).state == "accepted"
    assert _held(ORDERS) == {month: ["orders.csv"] for month in MONTHS}
    assert _give_up(str(broken.file_id)).waited
    assert _held(ORDERS) == {month: [] for month in MONTHS}


MONTHS = ("2026-03", "2026-04", "2026-05")
HEADER = ",".join(orders_csv.COLUMNS)
ORDER = "O-{},cease,2026-03-02T00:00:00+01:00,,,,,,,,,,,,S-{},,,,"


def _send(folder: Path, name: str, content: bytes) -> FileOutcome:
    """Take in a file of some content."""
    path = folder / name
    path.write_bytes(content)
    with transaction() as session:
        return mediation.ingest_file(session, vault(), path)


def _orders(sequence: int, *numbers: int, counted: int) -> bytes:
    """An order file; its rows cease subscriptions that nobody has."""
    rows = [ORDER.format(n, n) for n in numbers]
    return "\n".join([f"HDR,FKM,{sequence},2026-04-02", HEADER, *rows, f"TRL,{counted}"]).encode()


def _held(check: PeriodCheck) -> dict[str, list[str]]:
    """What each month is held up by, by name."""
    with transaction() as session:
        found = {month: check.find(session, Scope.of("NO01", month)) for month in MONTHS}
    assert all((one.state == "open") == bool(one.figures["rows"]) for one in found.values())
    return {month: [row["name"] for row in one.figures["rows"]] for month, one in found.items()}


def _give_up(name_or_id: str) -> Withdrawn:
    with transaction() as session:
        return mediation.reverse_file(session, vault(), name_or_id, "Kari", "Came by another way")


def test_order_files_hold_up_every_month(db: str, tmp_path: Path) -> None:
    """Nobody knows of which days the lost rows are; the next night's file ends nobody's waiting."""
    with transaction() as session:
        rating.load_tariff(session, SMALL.encode())
    assert _held(ORDERS) == {month: [] for month in MONTHS}
    for sequence, name in ((1, "orders.csv"), (2, "orders.csv"), (9, "third.csv")):
        broken = _send(tmp_path, name, _orders(sequence, sequence, counted=2))
        assert (broken.state, broken.reason) == ("suspended", "BROKEN_FILE")
    # Its place is known, so what is missing before it is told, and is told once.
    assert broken.alarms == (("SEQUENCE_GAP", "FKM: 3 to 8 missing before 9."),)
    listed = _send(tmp_path, "list.csv", b"agreement,parent,billing_account,valid_from\n\xff\n")
    assert listed.state == "suspended", listed
    waiting = ["orders.csv", "orders.csv", "third.csv", "list.csv"]
    assert _held(ORDERS) == dict.fromkeys(MONTHS, waiting)
    assert look(ORDERS).detail == (
        "4 order files wait as a whole. Take in the whole copy, or give it up with hovedbok "
        "mediation reverse. The month of 4 cannot be read: counted in every month."
    )
    assert _held(FILES) == _held(PAYMENTS) == {month: [] for month in MONTHS}
    assert look(ORDER_ROWS).state == "ok"
    # The whole copy has the place of the first, under whatever name; its rows are of no one known.
    assert _send(tmp_path, "again.csv", _orders(1, 1, 7, counted=2)).state == "accepted"
    assert look(ORDER_ROWS).detail == (
        "2 rows of orders or lists are suspended and count in every month. See them: hovedbok "
        "mediation suspense. Run them again: hovedbok mediation rerun. Correct one, or give it up: "
        "hovedbok mediation correct."
    )
    assert sum(row["rows"] for row in look(ORDER_ROWS).figures["rows"]) == 2
    assert look(SUSPENDED).state == "ok"
    assert _send(tmp_path, "third.csv", _orders(10, 4, counted=1)).state == "accepted"
    assert _held(ORDERS)["2026-05"] == ["orders.csv", "third.csv", "list.csv"]
    with pytest.raises(
        Conflict, match=r"2 files are called orders\.csv: \d+ \(suspended\)"
    ) as many:
        _give_up("orders.csv")
    second = str(many.value.facts["file_ids"][1])  # type: ignore[index]
    given_up = _give_up(second)
    assert (given_up.waited, given_up.suspended, given_up.events) == (True, 0, 0)
    with pytest.raises(Conflict, match="taken back already"):
        _give_up(second)
    # A list has no place but its name.
    whole = b"agreement,parent,billing_account,valid_from\n"
    assert _send(tmp_path, "list.csv", whole).state == "accepted"
    assert _held(ORDERS) == {month: ["third.csv"] for month in MONTHS}
    ninth = _send(tmp_path, "ninth.csv", _orders(9, 9, counted=1))
    assert (ninth.state, ninth.alarms) == ("accepted", ())
    assert _held(ORDERS) == {month: [] for month in MONTHS}


def test_payment_files_hold_up_the_months_they_name(db: str, tmp_path: Path) -> None:
    """By settlement where all records can be read; a copy is known by its transmission alone."""
    sums_differ = lines_of(transmission([PAYMENT], number=1))
    sums_differ[-1] = sums_differ[-1].replace("12500", "12501")
    cut = lines_of(transmission([PAYMENT], number=2))[:-1]
    for name, lines in (("OCR.txt", sums_differ), ("cut.txt", cut)):
        assert _send(tmp_path, name, octets_of(lines)).state == "suspended"
    assert _held(PAYMENTS) == {
        "2026-03": ["cut.txt"], "2026-04": ["OCR.txt", "cut.txt"], "2026-05": ["cut.txt"],
    }  # fmt: skip
    with transaction() as session:
        found = PAYMENTS.find(session, Scope.of("NO01", "2026-04"))
    days = [(row["used_from"], row["used_to"]) for row in found.figures["rows"]]
    assert days == [("2026-04-20", "2026-04-20"), ("any day", "any day")]
    with transaction() as session:
        service.seed_book(session, "NO01")
        service.open_periods(session, "NO01", 2026)
    other = replace(PAYMENT, tx_no=9, serial=7, amount_minor=1_00)
    assert _send(tmp_path, "OCR.txt", written([other], number=3)).state == "accepted"
    assert _held(PAYMENTS)["2026-04"] == ["OCR.txt", "cut.txt"]
    assert _send(tmp_path, "OCR-again.txt", written([PAYMENT], number=1)).state == "accepted"
    assert _held(PAYMENTS) == {month: ["cut.txt"] for month in MONTHS}
    assert _give_up("cut.txt").waited
    assert _held(PAYMENTS) == {month: [] for month in MONTHS}


def test_a_payment_that_is_not_booked_holds_up_its_month(db: str, tmp_path: Path) -> None:
    """The bank's key came with another amount; one that came twice is booked, and holds up none."""
    with transaction() as session:
        service.seed_book(session, "NO01")
        service.open_periods(session, "NO01", 2026)
    assert _send(tmp_path, "a.txt", written([PAYMENT], number=1)).state == "accepted"
    assert _send(tmp_path, "b.txt", written([PAYMENT], number=2)).state == "accepted"
    assert all(not names for names in _booked().values())
    other = replace(PAYMENT, amount_minor=126_00)
    assert _send(tmp_path, "c.txt", written([other], number=3)).state == "accepted"
    assert _booked() == {"2026-03": [], "2026-04": ["126.00"], "2026-05": []}


def _booked() -> dict[str, list[str]]:
    """The amounts that each month lacks."""
    with transaction() as session:
        found = {month: UNBOOKED.find(session, Scope.of("NO01", month)) for month in MONTHS}
    return {month: [row["amount"] for row in one.figures["rows"]] for month, one in found.items()}


def test_the_door_hands_over_every_check_once(db: str) -> None:
    """Those that app.py names can be loaded, and no code is used twice."""
    given = [app._load(target) for target in app.CLOSE_CHECKS]
    assert given == [
        UNBILLED, SUSPENDED, FILES, ORDERS, ORDER_ROWS, PAYMENTS, UNBOOKED, REFUSED,
    ]  # fmt: skip
    codes = [check.code for check in (*CHECKS, *given)]
    assert len(set(codes)) == len(codes)


def test_a_file_refused_by_a_close_holds_up_the_next_ones(db: str, tmp_path: Path) -> None:
    """Until it is taken in, or somebody says that it is not needed; sent again, it waits again."""
    with transaction() as session:
        service.seed_book(session, "NO01")
        service.open_periods(session, "NO01", 2026)
    assert _held(REFUSED) == {month: [] for month in MONTHS}

    def lock(level: str) -> None:
        with transaction() as session:
            service.lock_period(session, "NO01", "2026-04", module="GL", level=level, actor="t",
                                reason="t")  # fmt: skip

    lock("soft")
    raw = written([PAYMENT])
    assert _send(tmp_path, "bank.txt", raw).state == "refused"
    assert _held(REFUSED) == {month: ["bank.txt"] for month in MONTHS}
    said = look(REFUSED).detail
    assert said.startswith("1 file was refused for what lies with us, and nothing of it is booked.")
    told = _run("files").output
    assert told.startswith("     1 refused   bank.txt  PERIOD_CLOSED\n       bank.txt: ")
    assert "2026-04" in told
    assert [json.loads(line)["state"] for line in _run("files", "--json").output.splitlines()] == [
        "refused"
    ]
    desk = make_app().test_client()
    enter(desk, "operations")
    page = text_of(desk, "/feeds")
    assert re.search(r"bank\.txt NO01 [0-9. :]+ PERIOD_CLOSED bank\.txt: ", page)
    assert "1 refused and not taken in since" in text_of(desk, "/")
    listed = desk.get("/api/v1/files").json["refused"]
    assert [(one["name"], one["reason"]) for one in listed] == [("bank.txt", "PERIOD_CLOSED")]
    signed = ("--author", "Kari", "--because", "posted by hand")
    assert _run("give-up", "other.txt", *signed).exit_code == 1
    assert _run("give-up", "bank.txt", "--author", " ", "--because", "x").exit_code == 1
    assert "is given up" in _run("give-up", "bank.txt", *signed).output
    assert _held(REFUSED) == {month: [] for month in MONTHS}
    assert _send(tmp_path, "bank.txt", raw).state == "refused"
    assert _send(tmp_path, "copy.txt", raw).state == "refused"
    assert _held(REFUSED) == {month: ["copy.txt"] for month in MONTHS}
    with transaction() as session:
        token = access.add_client(session, "feeds", ["mediation:run"], actor="t", now=now())
        (waits,) = mediation.refused_files(session)
    program = make_app().test_client()
    program.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    path = f"/api/v1/refused-files/{waits.refused_file_id}/end"
    for key, status in (("k", 200), ("k", 200), ("other", 404)):
        done = program.post(path, json={"reason": "a test"}, headers={"Idempotency-Key": key})
        assert done.status_code == status, done.text
    with transaction() as session:
        ends = session.execute(text("SELECT actor, reason FROM refused_file_end")).all()
    assert [tuple(row) for row in ends] == [("Kari", "posted by hand"), ("client:feeds", "a test")]
    assert _send(tmp_path, "copy.txt", raw).state == "refused"
    lock("open")
    assert _send(tmp_path, "bank.txt", raw).state == "accepted"
    assert _held(REFUSED) == {month: [] for month in MONTHS}


def _run(*words: str) -> Result:
    """Run `hovedbok mediation`; a problem ends with 1 at the door."""
    return CliRunner().invoke(mediation_cli, list(words))
