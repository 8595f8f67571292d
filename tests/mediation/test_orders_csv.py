"""Order files: the frame first, then each row alone."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediation.formats import orders_csv
from mediation.formats.problems import BrokenFile, EmptyFile
from party.orders import Customer

_ROW = {
    "order_id": "M1", "action": "add", "effective_at": "2026-03-01T00:00:00+01:00",
    "customer_no": "20000001", "customer_kind": "organisation", "name": "Bedrift, og Sønn AS",
    "org_no": "301000006", "street": "Prøveveien 1", "postcode": "0150", "city": "Oslo",
    "country": "NO", "email": "", "billing_account": "30000001", "segment": "business",
    "subscription_id": "SUB1", "offering": "SMALL", "msisdn": "4791000001",
    "imsi": "242011000000001", "agreed_price": "199.50",
}  # fmt: skip


def _row(**changed: str) -> str:
    cells = (_ROW | changed).values()
    return ",".join(f'"{cell}"' if "," in cell else cell for cell in cells)


def _file(*rows: str, header: str = "HDR,MOOX,2,2026-03-31", count: int | None = None) -> str:
    trailer = f"TRL,{len(rows) if count is None else count}"
    return "\n".join([header, ",".join(orders_csv.COLUMNS), *rows, trailer, ""])


def test_a_row_becomes_an_order() -> None:
    """Instants are UTC seconds, prices millionths, empty cells nothing."""
    file = orders_csv.read(_file(_row()).encode(), "o.csv")
    assert (file.system, file.sequence, file.business_date) == ("MOOX", 2, date(2026, 3, 31))
    (order,) = file.rows
    assert (order.line_no, order.action, order.effective_at) == (3, "add", 1772319600)
    assert order.customer == Customer(
        "20000001", "organisation", "Bedrift, og Sønn AS", "301000006", "Prøveveien 1", "0150",
        "Oslo", "NO", None,
    )  # fmt: skip
    assert order.numbers == {"msisdn": 4791000001, "imsi": 242011000000001}
    assert order.agreed_price_micro == 199_500_000
    assert file.faults == ()


def test_windows_line_ends_and_a_byte_order_mark_change_nothing() -> None:
    """The same file as a spreadsheet program writes it."""
    plain = _file(_row(), _row(order_id="M2"))
    windows = b"\xef\xbb\xbf" + plain.replace("\n", "\r\n").encode()
    assert orders_csv.read(windows, "o.csv") == orders_csv.read(plain.encode(), "o.csv")
    assert orders_csv.recognises(windows[:64])


def test_an_address_may_go_over_two_lines() -> None:
    """RFC 4180 allows it in quotation marks; lines are counted as an editor counts them."""
    two = _row(street="Prøveveien 1\nc/o, Bedrift")
    file = orders_csv.read(_file(two, _row(order_id="M2")).encode(), "o.csv")
    assert [order.line_no for order in file.rows] == [3, 5]
    assert file.rows[0].customer is not None
    assert file.rows[0].customer.street == "Prøveveien 1\nc/o, Bedrift"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (_file(_row(), count=2), r"line 4 counts 2 orders, but the file has 1"),
        (_file(_row()).replace("TRL,1\n", ""), r"line 3 is no trailer .* after 1 rows"),
        (_file(header="HDR,MOOX,two,2026-03-31"), r"line 1 is no header"),
        (_file(header="HDR,MOOX,2,2026-02-30"), r"line 1 is no header"),
        (_file().replace("imsi", "card"), r"line 2 does not name the columns"),
        ("HDR,MOOX,2,2026-03-31\n", r"line 1 is not followed by the column names"),
    ],
)
def test_a_frame_that_does_not_hold_refuses_the_file(text: str, said: str) -> None:
    """Nothing of it is used; the message names the line and both figures."""
    with pytest.raises(BrokenFile, match=said) as refused:
        orders_csv.read(text.encode(), "o.csv")
    assert refused.value.facts["line"] == int(said.split()[1])


@pytest.mark.parametrize(("octet", "said"), [(b"\0", "NUL"), (b"\xe6", "UTF-8")])
def test_what_is_no_text_is_refused_with_its_offset(octet: bytes, said: str) -> None:
    """A NUL, and a letter of an old Norwegian code page."""
    raw = _file(_row()).encode()
    with pytest.raises(BrokenFile, match=said) as refused:
        orders_csv.read(raw[:50] + octet + b"a" + raw[50:], "o.csv")
    assert refused.value.facts["offset"] == 50


def test_nothing_is_an_empty_file() -> None:
    """Also when it has blank lines."""
    with pytest.raises(EmptyFile):
        orders_csv.read(b"\r\n\n", "o.csv")


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        ({"order_id": ""}, "order_id"),
        ({"action": "remove"}, "action"),
        ({"effective_at": "2026-03-01T00:00:00"}, "effective_at"),
        ({"effective_at": "2026-03-01T00:00:00.5Z"}, "effective_at"),
        ({"effective_at": "1926-03-01T00:00:00Z"}, "effective_at"),
        ({"effective_at": "yesterday"}, "effective_at"),
        ({"customer_no": ""}, "customer_no"),
        ({"customer_kind": "dog"}, "customer_kind"),
        ({"name": ""}, "name"),
        ({"org_no": "301000007"}, "org_no"),
        ({"country": "Norge"}, "country"),
        ({"billing_account": ""}, "billing_account"),
        ({"segment": "wholesale"}, "segment"),
        ({"subscription_id": " "}, "subscription_id"),
        ({"offering": ""}, "offering"),
        ({"msisdn": "+4791000001"}, "msisdn"),
        ({"imsi": "24201"}, "imsi"),
        ({"agreed_price": "199,50"}, "agreed_price"),
        ({"agreed_price": "-1.00"}, "agreed_price"),
        ({"agreed_price": "1000000000.00"}, "agreed_price"),
        ({"order_id": "M" * 256}, "order_id"),
        ({"name": "Bedrift\x01 AS"}, "name"),
        ({"city": 'Oslo,"x'}, ""),
    ],
)
def test_a_bad_row_is_a_fault_and_the_others_go_on(changed: dict[str, str], column: str) -> None:
    """The fault names line and column; the rows before and after are orders."""
    file = orders_csv.read(_file(_row(), _row(**changed), _row(order_id="M3")).encode(), "o.csv")
    assert [order.line_no for order in file.rows] == [3, 5]
    (fault,) = file.faults
    assert (fault.line_no, fault.column, fault.reason) == (4, column, "BAD_ROW")
    assert fault.detail.startswith("Line 4")


def test_a_row_with_a_column_too_few_is_a_fault() -> None:
    """It is not known which one is missing."""
    file = orders_csv.read(_file(_row(), "M2,add").encode(), "o.csv")
    assert [fault.detail for fault in file.faults] == ["Line 4: It has 2 columns, the heading 19."]


def test_a_cease_needs_little() -> None:
    """It says which subscription ends, and when."""
    bare = dict.fromkeys(_ROW, "") | {
        "order_id": "M2", "action": "cease", "effective_at": "2026-03-09T00:00:00Z",
        "subscription_id": "SUB1",
    }  # fmt: skip
    (order,) = orders_csv.read(_file(_row(**bare)).encode(), "o.csv").rows
    assert (order.customer, order.numbers, order.agreed_price_micro) == (None, {}, None)


@given(st.binary(max_size=60), st.integers(0, 500), st.booleans())
def test_no_octets_make_the_reader_fail(noise: bytes, at: int, replace: bool) -> None:
    """Whatever is put into a file, it is read or refused, and every row is an order or a fault."""
    raw = _file(_row(), _row(order_id="M2")).encode()
    at = min(at, len(raw))
    changed = raw[:at] + noise + raw[at + (len(noise) if replace else 0) :]
    try:
        file = orders_csv.read(changed, "o.csv")
    except (BrokenFile, EmptyFile):
        return
    assert len(file.rows) + len(file.faults) >= 1


@pytest.mark.parametrize("head", [b"", b"HDR,moox,1", b"order_id,action", b"HDR", b"\x30\x80"])
def test_other_files_are_not_taken_for_orders(head: bytes) -> None:
    """Only a header line of an order system is one."""
    assert not orders_csv.recognises(head)
