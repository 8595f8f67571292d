"""Files whose signature is damaged: orders, money or usage are missed, and hold up closes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger import service
from ledger.db import transaction
from ledger.vault import vault
from mediation import service as mediation
from mediation.formats import agreements_csv, orders_csv, subscriptions_csv
from mediation.service import FileOutcome
from reporting.service.closing import FILES, ORDERS, PAYMENTS
from tests.mediation.bank_files import PAYMENT, written
from tests.mediation.octets import call
from tests.reporting.test_closing_checks import look

AGREEMENTS = ",".join(agreements_csv.COLUMNS).encode() + b"\nFRAME,,BA1,2026-03-01\n"
SUBSCRIPTIONS = (
    ",".join(subscriptions_csv.COLUMNS).encode()
    + b"\nSUB1,242010000000001,4790000001,,MOBIL,BA1,,,2026-01-01T00:00:00+01:00,\n"
)


def _send(folder: Path, name: str, content: bytes) -> FileOutcome:
    path = folder / name
    path.write_bytes(content)
    with transaction() as session:
        return mediation.ingest_file(session, vault(), path)


@pytest.mark.parametrize(
    ("whole", "damaged", "form", "said"),
    [
        (AGREEMENTS, AGREEMENTS.replace(b"parent", b"pare\x00t"), "agreement_csv", "offset 14"),
        (AGREEMENTS, AGREEMENTS.replace(b"valid_from", b"valid"), "agreement_csv", "line 1 does"),
        (AGREEMENTS, AGREEMENTS.decode().encode("utf-16"), "agreement_csv", "offset 3"),
        (AGREEMENTS, AGREEMENTS.replace(b"\n", b"\r"), "agreement_csv", "line 1 does"),
        (SUBSCRIPTIONS, b"\n" + SUBSCRIPTIONS, "subscription_csv", "line 1 does"),
        (SUBSCRIPTIONS, SUBSCRIPTIONS.replace(b",", b";"), "subscription_csv", "line 1 does"),
        (SUBSCRIPTIONS, SUBSCRIPTIONS.replace(b"imsi,", b"imsi"), "subscription_csv", "line 1"),
        (SUBSCRIPTIONS, SUBSCRIPTIONS[25:], "subscription_csv", "line 1 does"),
    ],
)
def test_a_list_with_a_damaged_heading_holds_up_every_month(
    db: str, tmp_path: Path, whole: bytes, damaged: bytes, form: str, said: str
) -> None:
    """It is told what is wrong with it, and its whole copy under its name ends its waiting."""
    broken = _send(tmp_path, "list.csv", damaged)
    assert (broken.state, broken.format, broken.reason) == ("suspended", form, "BROKEN_FILE")
    assert said in str(broken.detail)
    assert "Nothing of the file is used" in str(broken.detail)
    assert look(ORDERS).state == "open"
    assert _send(tmp_path, "list.csv", whole).state == "accepted"
    assert look(ORDERS).state == "ok"


@pytest.mark.parametrize("damage", ["semicolons", "utf-16"])
def test_orders_saved_by_another_program_hold_up_every_month(
    db: str, tmp_path: Path, damage: str
) -> None:
    """A spreadsheet writes semicolons, or two octets a letter: it was orders all the same."""
    text = "HDR,FKM,1,2026-04-02\n" + ",".join(orders_csv.COLUMNS) + "\nTRL,0\n"
    raw = text.replace(",", ";").encode() if damage == "semicolons" else text.encode("utf-16")
    broken = _send(tmp_path, "orders.csv", raw)
    assert (broken.state, broken.format, broken.reason) == ("suspended", "order_csv", "BROKEN_FILE")
    assert look(ORDERS).state == "open"


@pytest.mark.parametrize(
    "hurt",
    [
        lambda raw: b"NX" + raw[2:],
        lambda raw: raw.partition(b"\n")[2],
        lambda raw: b"\n" + raw,
        lambda raw: raw.decode("ascii").encode("utf-16"),
    ],
    ids=["a letter", "no first line", "an empty line", "utf-16"],
)
def test_a_bank_file_without_its_first_record_holds_up_every_month(
    db: str, tmp_path: Path, hurt: Callable[[bytes], bytes]
) -> None:
    """Money is missed; nobody can tell its transmission, so it waits until somebody gives it up."""
    with transaction() as session:
        service.seed_book(session, "NO01")
        service.open_periods(session, "NO01", 2026)
    whole = written([PAYMENT], number=1)
    broken = _send(tmp_path, "OCR.txt", hurt(whole))
    assert (broken.state, broken.format, broken.reason) == ("suspended", "ocr_giro", "BROKEN_FILE")
    assert "OCR.txt, line 1:" in str(broken.detail)
    assert "The first line of 1 cannot be read: give it up once" in look(PAYMENTS).detail
    assert _send(tmp_path, "OCR.txt", whole).state == "accepted"
    assert look(PAYMENTS).state == "open"
    with transaction() as session:
        mediation.reverse_file(session, vault(), str(broken.file_id), "Kari", "Came again")
    assert look(PAYMENTS).state == "ok"


def test_a_file_of_zeros_from_a_known_switch_holds_up_every_month(db: str, tmp_path: Path) -> None:
    """A disk that filled up leaves zeros under the right name; strangers' files hold up nothing."""
    assert _send(tmp_path, "OSLMSC1_00001_20260301.ber", call()).state == "accepted"
    zeros = _send(tmp_path, "OSLMSC1_00002_20260302.ber", bytes(500))
    assert (zeros.state, zeros.format, zeros.reason) == ("suspended", "msc", "BROKEN_FILE")
    assert zeros.detail == (
        "OSLMSC1_00002_20260302.ber, offset 0: it has no known signature, and begins with 00 00 00 "
        "00 00 00 00 00. As files of its name are of format msc, it is damaged. Nothing of the "
        "file is used. Fetch it again from its source."
    )
    assert look(FILES).state == "open"
    other = call({0x83: b"\x91\x74\x09\x00\x00\x00"})
    assert _send(tmp_path, "OSLMSC1_00002_20260302.ber", other).state == "accepted"
    assert look(FILES).state == "ok"
    strange = _send(tmp_path, "BERMSC7_00002_20260302.ber", bytes(501))
    assert (strange.state, strange.reason) == ("parked", "unknown_format")
    assert look(FILES).state == "ok"


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("usage.csv", b"caller;called;start;duration;octets\n", "plain_usage"),
        ("more.csv", b"type,served,other,start,duraton,octets\n", "epp_events"),
        ("any.ber", b"\x41" + call()[1:] + call(), "msc"),
        ("any", (600).to_bytes(4, "big") + bytes(596), "tgpp"),
    ],
)
def test_usage_without_its_signature_is_usage(
    db: str, tmp_path: Path, name: str, content: bytes, form: str
) -> None:
    """Most of a heading, the record behind the first, or the length in front tell what it was."""
    broken = _send(tmp_path, name, content)
    assert (broken.state, broken.format, broken.reason) == ("suspended", form, "BROKEN_FILE")
    assert "what is left of it is of format" in str(broken.detail)
    assert look(FILES).state == "open"
