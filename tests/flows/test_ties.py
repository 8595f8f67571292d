"""Whatever source of the month is damaged, its own tie breaks: nothing is tied with itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sqlalchemy import text

from ledger.db import transaction
from ledger.errors import DoesNotTie
from ledger.vault import VaultCorrupt, vault
from mediation import formats
from mediation.service import accepted_usage
from mediation.usage_files import read_parquet, write_table
from reporting import reconciliation
from reporting.cli.month import _scope, _state
from tests.flows.conftest import Copy
from tests.flows.home import MONTH, ROOT, broken_ties

# Facts: what is damaged, how, and the ties that must break; all the others must still hold.
FACTS: dict[str, tuple[str, set[str]]] = {
    "a move from the received records": (
        (
            "UPDATE control_move SET quantity = quantity + 1 WHERE control_move_id = (SELECT"
            " min(control_move_id) FROM control_move"
            " WHERE measure = 'records' AND to_bucket = 'held')"
        ),
        {"records in files", "records held"},
    ),
    "seconds moved to another bucket": (
        (
            "UPDATE control_move SET to_bucket = 'duplicate' WHERE control_move_id = (SELECT"
            " min(control_move_id) FROM control_move WHERE measure = 'seconds'"
            " AND to_bucket = 'filtered' AND quantity > 0)"
        ),
        {"seconds filtered", "seconds duplicate"},
    ),
    "a move of order rows": (
        (
            "UPDATE control_move m SET quantity = quantity + 1 FROM source_file f"
            " WHERE f.file_id = m.file_id AND f.format = 'order_csv' AND to_bucket = 'suspended'"
        ),
        {"order rows in files"},
    ),
    "a move of payments": (
        "UPDATE control_move SET quantity = quantity + 1 WHERE measure = 'ore'",
        {"money received", "money booked"},
    ),
    "an applied order": (
        (
            "DELETE FROM applied_order WHERE applied_order_id = (SELECT min(applied_order_id)"
            " FROM applied_order)"
        ),
        {"orders applied"},
    ),
    "suspense of what has no price": (
        (
            "DELETE FROM suspense WHERE suspense_id = (SELECT min(suspense_id) FROM suspense"
            " WHERE part_no > 0 AND seconds > 0)"
        ),
        {"records accepted", "records suspended", "seconds accepted", "seconds suspended"},
    ),
    "the value of a usage charge": (
        (
            "UPDATE charge_delta SET micro = micro + 1 WHERE charge_delta_id = (SELECT"
            " min(charge_delta_id) FROM charge_delta JOIN charge_key USING (charge_key_id)"
            " WHERE kind = 'usage')"
        ),
        {"rated value (millionths)", "explained value (millionths)"},
    ),
    "the events of a usage charge": (
        (
            "UPDATE charge_delta SET events = events + 1 WHERE charge_delta_id = (SELECT"
            " min(charge_delta_id) FROM charge_delta JOIN charge_key USING (charge_key_id)"
            " WHERE kind = 'usage')"
        ),
        {"events charged"},
    ),
    "the net of a charge": (
        (
            "UPDATE charge_delta SET minor_net = minor_net + 1 WHERE charge_delta_id = (SELECT"
            " min(charge_delta_id) FROM charge_delta)"
        ),
        {"accrued revenue"},
    ),
    "a journal line of revenue": (
        (
            "UPDATE journal_line l SET amount_minor = amount_minor - 1 FROM account a"
            " WHERE a.account_id = l.account_id AND a.number LIKE '3%' AND (entry_id, line_no) ="
            " (SELECT entry_id, line_no FROM journal_line JOIN account USING (account_id)"
            " WHERE number LIKE '3%' ORDER BY 1, 2 LIMIT 1)"
        ),
        {"credits"},
    ),
    "a journal line of accrual": (
        (
            "UPDATE journal_line SET amount_minor = amount_minor + 1 WHERE (entry_id, line_no) ="
            " (SELECT entry_id, line_no FROM journal_line JOIN account USING (account_id)"
            " WHERE number = '1530' AND amount_minor > 0 ORDER BY 1, 2 LIMIT 1)"
        ),
        {"accrued revenue", "unbilled", "debits"},
    ),
    "a journal line of a receivable": (
        (
            "UPDATE journal_line SET amount_minor = amount_minor + 1 WHERE (entry_id, line_no) ="
            " (SELECT entry_id, line_no FROM journal_line JOIN account USING (account_id)"
            " WHERE number = '1500' AND amount_minor > 0 ORDER BY 1, 2 LIMIT 1)"
        ),
        {"invoiced", "open items 1500", "debits"},
    ),
    "a journal line of VAT": (
        (
            "UPDATE journal_line SET amount_minor = amount_minor - 1 WHERE (entry_id, line_no) ="
            " (SELECT entry_id, line_no FROM journal_line JOIN account USING (account_id)"
            " WHERE number = '2700' ORDER BY 1, 2 LIMIT 1)"
        ),
        {"VAT", "credits"},
    ),
    "a journal line of the bank": (
        (
            "UPDATE journal_line SET amount_minor = amount_minor + 1 WHERE (entry_id, line_no) ="
            " (SELECT entry_id, line_no FROM journal_line JOIN account USING (account_id)"
            " WHERE number = '1940' ORDER BY 1, 2 LIMIT 1)"
        ),
        {"paid", "debits"},
    ),
    "a journal line of unallocated money": (
        (
            "UPDATE journal_line SET amount_minor = amount_minor - 1 WHERE (entry_id, line_no) ="
            " (SELECT entry_id, line_no FROM journal_line JOIN account USING (account_id)"
            " WHERE number = '2991' ORDER BY 1, 2 LIMIT 1)"
        ),
        {"payments used", "unallocated", "open items 2991", "credits"},
    ),
    "the net of an invoice": (
        (
            "UPDATE invoice SET net_minor = net_minor + 1, vat_minor = vat_minor - 1"
            " WHERE invoice_id = (SELECT min(invoice_id) FROM invoice WHERE basis = 'gross')"
        ),
        {"invoice net", "VAT"},
    ),
    "the gross of an invoice": (
        (
            "UPDATE invoice SET gross_minor = gross_minor + 1, vat_minor = vat_minor + 1"
            " WHERE invoice_id = (SELECT min(invoice_id) FROM invoice WHERE basis = 'gross')"
        ),
        {"invoice lines", "VAT", "invoiced"},
    ),
    "a line of an invoice": (
        (
            "UPDATE invoice_line SET amount_minor = amount_minor + 1 WHERE line_no = 1"
            " AND invoice_id = (SELECT min(invoice_id) FROM invoice)"
        ),
        {"invoice lines", "lines covered"},
    ),
    "a charge on an invoice": (
        (
            "UPDATE invoice_charge SET net_minor = net_minor + 1 WHERE charge_key_id ="
            " (SELECT min(charge_key_id) FROM invoice_charge)"
        ),
        {"billed net", "invoice net"},
    ),
    "a bank payment": (
        (
            "UPDATE bank_payment SET amount_minor = amount_minor + 1,"
            " unallocated_minor = unallocated_minor + 1 WHERE (file_id, line_no) ="
            " (SELECT file_id, min(line_no) FROM bank_payment WHERE unallocated_minor > 0"
            " GROUP BY 1)"
        ),
        {"money in files", "money booked", "paid", "payments used", "unallocated"},
    ),
    "an allocation": (
        (
            "UPDATE allocation SET amount_minor = amount_minor + 1 WHERE allocation_id ="
            " (SELECT min(allocation_id) FROM allocation)"
        ),
        {"allocated"},
    ),
    "an open item": (
        (
            "UPDATE open_item SET original_minor = original_minor + 1 WHERE open_item_id ="
            " (SELECT min(open_item_id) FROM open_item JOIN account USING (account_id)"
            " WHERE number = '1500')"
        ),
        {"open items 1500"},
    ),
    "every open item of an account": (
        (
            "DELETE FROM open_item USING account a WHERE a.account_id = open_item.account_id"
            " AND a.number = '2991'"
        ),
        {"open items 2991"},
    ),
    "a balance delta": (
        (
            "UPDATE balance_delta SET debit_minor = debit_minor + 1 WHERE (batch_id, account_id) ="
            " (SELECT batch_id, account_id FROM balance_delta JOIN account USING (account_id)"
            " WHERE number = '1530' AND debit_minor > 0 ORDER BY 1 LIMIT 1)"
        ),
        {"debits", "trial balance"},
    ),
    "a document that is missing": (
        "DELETE FROM document WHERE invoice_id = (SELECT min(invoice_id) FROM document)",
        {"documents"},
    ),
}


def test_the_copy_holds(copy: Copy) -> None:
    """Nothing is damaged yet, and nothing is broken."""
    assert broken_ties() == set()


@pytest.mark.parametrize("what", FACTS)
def test_a_damaged_fact_breaks_its_own_ties(what: str, copy: Copy) -> None:
    """One øre, record or event too much is seen exactly where it lies."""
    statement, expected = FACTS[what]
    copy.damage(statement)
    assert broken_ties() == expected


# The vault -------------------------------------------------------------------------------------

# A document's object is no part of this count: it has the tie "documents" to itself.
DAMAGED = "objects in the vault"


def _first(statement: str) -> str:
    with transaction("auditor") as session:
        found: str = session.execute(text(statement)).scalars().first()  # type: ignore[assignment]
        return found


def _switch_file() -> str:
    return _first("SELECT sha256 FROM source_file WHERE format = 'msc' ORDER BY file_id")


def _bank_file() -> str:
    return _first("SELECT sha256 FROM source_file WHERE format = 'ocr_giro'")


def _order_file() -> str:
    return _first("SELECT sha256 FROM source_file WHERE format = 'order_csv' ORDER BY file_id")


def _usage_object() -> str:
    return _first("SELECT sha256 FROM file_usage ORDER BY file_id")


def _outcome_object() -> str:
    return _first("SELECT outcome_sha256 FROM source_file WHERE format = 'msc' ORDER BY file_id")


def _key_object() -> str:
    return _first("SELECT keys_sha256 FROM source_file WHERE format = 'msc' ORDER BY file_id")


def _rated_object() -> str:
    return _first("SELECT rated_refs ->> 0 FROM rating_run ORDER BY run_id DESC")


def _document() -> str:
    return _first("SELECT sha256 FROM document ORDER BY document_id")


def _without_a_call(raw: bytes) -> bytes:
    """Take the longest call out of a switch file; what is left is a file like any other."""
    match = formats.recognise("any", raw[: formats.HEAD_OCTETS], len(raw))
    rows = formats.decode(raw, match).columns
    longest = int(np.argmax(rows["duration_s"]))
    begin = int(rows["offset"][longest])
    return raw[:begin] + raw[begin + int(rows["length"][longest]) :]


def _cut(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def _flipped(raw: bytes) -> bytes:
    return bytes([raw[0] ^ 1]) + raw[1:]


def _more(column: str) -> Callable[[bytes], bytes]:
    """Add one to the first value of a Parquet column."""

    def change(raw: bytes) -> bytes:
        table = read_parquet(BytesIO(raw))
        values = table[column].to_pylist()
        values[0] += 1
        place = table.schema.get_field_index(column)
        changed = table.set_column(place, column, pa.array(values, table[column].type))
        return write_table({name: changed[name] for name in changed.column_names})

    return change


def _without_a_row(raw: bytes) -> bytes:
    """Drop a row that took no time and moved no octets: only counting finds it gone."""
    table = read_parquet(BytesIO(raw))
    idle = pc.and_(pc.equal(table["seconds"], 0), pc.equal(table["octets"], 0))
    first = pc.index(idle, True).as_py()
    assert first >= 0
    kept = pa.concat_tables([table.slice(0, first), table.slice(first + 1)])
    return write_table({name: kept[name] for name in kept.column_names})


def _all_accepted(raw: bytes) -> bytes:
    table = read_parquet(BytesIO(raw))
    bucket = pc.replace_substring(table["bucket"], "filtered", "accepted")
    place = table.schema.get_field_index("bucket")
    changed = table.set_column(place, "bucket", bucket)
    return write_table({name: changed[name] for name in changed.column_names})


OBJECTS: dict[str, tuple[Callable[[], str], Callable[[bytes], bytes], set[str]]] = {
    "a call cut out of a switch file": (
        _switch_file, _without_a_call, {DAMAGED, "records in files", "seconds in files"},
    ),
    "half of a bank file": (
        _bank_file, _cut, {DAMAGED, "payments in files", "money in files", "money received"},
    ),
    "half of an order file": (_order_file, _cut, {DAMAGED, "order rows in files"}),
    "the seconds of accepted usage": (_usage_object, _more("seconds"), {DAMAGED, "seconds used"}),
    "a row of accepted usage": (_usage_object, _without_a_row, {DAMAGED, "usage rated"}),
    "the number called in accepted usage": (_usage_object, _more("called"), {DAMAGED}),
    "the price of a rated event": (
        _rated_object, _more("amount_micro"), {DAMAGED, "rated value (millionths)"},
    ),
    "half of the rated events": (
        _rated_object, _cut,
        {DAMAGED, "usage rated", "events charged", "rated value (millionths)",
         "explained value (millionths)"},
    ),
    "the outcome of records": (
        _outcome_object, _all_accepted,
        {DAMAGED, *(f"{measure} {bucket}" for measure in ("records", "seconds")
                    for bucket in ("accepted", "filtered"))},
    ),
    "the keys of records": (_key_object, _flipped, {DAMAGED}),
    "a document": (_document, _flipped, {"documents"}),
}  # fmt: skip


@pytest.mark.parametrize("what", OBJECTS)
def test_a_damaged_object_breaks_its_own_ties(what: str, copy: Copy) -> None:
    """Bytes are counted again from the vault, so what was changed there shows, and where."""
    find, change, expected = OBJECTS[what]
    name = find()
    _replace(name, change(vault().get(name)))
    assert broken_ties() == expected


def test_a_lost_object_is_counted_as_lost(copy: Copy) -> None:
    """A switch file that is no longer in the vault leaves its records unproved."""
    _path(_switch_file()).unlink()
    assert broken_ties() >= {DAMAGED, "records in files"}


def test_nothing_is_priced_from_damaged_usage(copy: Copy) -> None:
    """Rating refuses an object that is not what was put there: no difference is posted from it."""
    name = _usage_object()
    _replace(name, _more("seconds")(vault().get(name)))
    with transaction("auditor") as session, pytest.raises(VaultCorrupt, match=name):
        accepted_usage(session, vault(), MONTH)


def test_the_sentence_names_both_sides(copy: Copy) -> None:
    """Who reads the error knows which two sources differ, and by how much they do."""
    copy.damage(FACTS["the value of a usage charge"][0])
    with pytest.raises(DoesNotTie, match=r"rated value .millionths.: rated Parquet gives \d+, "
                       r"charges gives \d+"):  # fmt: skip
        reconciliation.check(_state(_scope(MONTH)).ties)


def test_the_command_exits_one_and_names_the_tie(copy: Copy) -> None:
    """`month check` as a process: status 1, the broken tie on the screen and in the error."""
    copy.damage(FACTS["an allocation"][0])
    told = subprocess.run(
        [sys.executable, str(ROOT / "app.py"), "month", "check", "--month", MONTH],
        cwd=ROOT, env={**os.environ, **copy.environment()}, text=True, capture_output=True,
        check=False,
    )  # fmt: skip
    assert told.returncode == 1
    assert "DOES NOT TIE     allocated: bank payments gives" in told.stdout
    assert "1 of 55 sums do not tie. allocated" in told.stderr


def _path(name: str) -> Path:
    found = vault().path(name)
    assert found is not None
    return found


def _replace(name: str, content: bytes) -> None:
    """Put other bytes under an object's name; the original's vault keeps its own."""
    path = _path(name)
    path.unlink()
    path.write_bytes(content)
