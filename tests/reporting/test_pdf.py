"""The invoice as a file: what the law wants to read, archivable, the same bytes every time."""

from __future__ import annotations

import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from io import BytesIO
from itertools import pairwise
from typing import Any

import pikepdf
import pytest

from reporting.formats.pdf import render_invoice
from reporting.invoicing import BillingAccount, Charge, build
from reporting.norwegian import NBSP
from reporting.printing import page_of, snapshot_of
from reporting.seller import DEMO_SELLER
from tests.reporting.bills import BUSINESS, CONSUMER, MARCH, charge

NUMBER = "2026-000042"


def page(account: BillingAccount = CONSUMER, charges: list[Charge] | None = None) -> dict[str, Any]:
    """The page of a small invoice."""
    basis = "net" if account is BUSINESS else "gross"
    small = [
        charge(1, 29900, basis, component="subscription", unit="month", quantity=1),
        charge(2, 129, basis, unit="s", quantity=125),
        charge(3, 5000, basis, vat=("6", 0), component="ferry", quantity=1),
    ]
    invoice = build(charges or small, account, MARCH, 1)
    assert invoice is not None
    return page_of(snapshot_of(invoice, DEMO_SELLER), NUMBER)


def text_of(content: bytes) -> str:
    """Read the words of a PDF, page after page."""
    return "".join(pages_of(content))


def pages_of(content: bytes) -> list[str]:
    """Read the words of each page: the hex codes of its text through each font's own code map."""
    pages = []
    with pikepdf.open(BytesIO(content)) as pdf:
        for sheet in pdf.pages:
            words = []
            maps = {
                str(name): _code_map(font.ToUnicode.read_bytes())
                for name, font in sheet.Resources.Font.items()
            }
            current: dict[int, str] = {}
            for operands, operator in pikepdf.parse_content_stream(sheet):
                if str(operator) == "Tf":
                    current = maps[str(operands[0])]
                elif str(operator) in {"Tj", "TJ"}:
                    words.append(_shown(operands[0], current))
                elif str(operator) == "ET":
                    words.append("\n")
            pages.append("".join(words).replace(NBSP, " "))
    return pages


def _shown(operand: Any, code_map: dict[int, str]) -> str:
    parts = [operand] if isinstance(operand, pikepdf.String) else list(operand)
    shown = ""
    for part in parts:
        if isinstance(part, pikepdf.String):
            codes = bytes(part)
            shown += "".join(
                code_map.get(int.from_bytes(codes[i : i + 2], "big"), "?")
                for i in range(0, len(codes), 2)
            )
    return shown


def _code_map(stream: bytes) -> dict[int, str]:
    """Read the bfchar and bfrange sections of a ToUnicode map."""
    found: dict[int, str] = {}
    for section in re.findall(rb"beginbfchar(.*?)endbfchar", stream, re.DOTALL):
        for code, char in re.findall(rb"<(\w+)>\s*<(\w+)>", section):
            found[int(code, 16)] = bytes.fromhex(char.decode()).decode("utf-16-be")
    for section in re.findall(rb"beginbfrange(.*?)endbfrange", stream, re.DOTALL):
        for first, last, char in re.findall(rb"<(\w+)>\s*<(\w+)>\s*<(\w+)>", section):
            start = int(char, 16)
            for code in range(int(first, 16), int(last, 16) + 1):
                found[code] = chr(start + code - int(first, 16))
    return found


def test_the_invoice_says_what_the_law_asks_for() -> None:
    """Seller with MVA and Foretaksregisteret, buyer, number, dates, period, KID, account, VAT."""
    text = text_of(render_invoice(page(), date(2026, 3, 31)))
    for words in (
        "Nordlys Mobil AS", "Org.nr. 310 000 205 MVA", "Foretaksregisteret",
        "Testkunde En", "Prøveveien 1", "0001 OSLO",
        "Fakturanummer", NUMBER, "Fakturadato", "31.03.2026", "Forfallsdato", "14.04.2026",
        "Leveringsperiode", "01.03.2026–31.03.2026",
        "KID", "100000010000015", "1234 56 78903",
        "900 00 001", "2 min 05 s", "Beløp inkl. mva", "299,00",
        "25 %", "240,23", "60,06", "Unntatt", "50,00", "350,29",
    ):  # fmt: skip
        assert words in text, f"{words!r} is not on the page:\n{text}"


def test_a_business_sees_nets_and_its_organisation_number() -> None:
    """Lines without VAT, VAT on their sum, and the buyer's number."""
    text = text_of(render_invoice(page(BUSINESS), date(2026, 3, 31)))
    for words in ("Beløp eks. mva", "Org.nr. 310 000 302", "75,07", "425,36"):
        assert words in text


def test_the_file_is_pdf_a_3b_with_its_fonts() -> None:
    """It declares PDF/A-3B, has an output intent, and every font's program lies inside."""
    with pikepdf.open(BytesIO(render_invoice(page(), date(2026, 3, 31)))) as pdf:
        meta = pdf.open_metadata()
        assert (meta["pdfaid:part"], meta["pdfaid:conformance"]) == ("3", "B")
        assert str(pdf.Root.OutputIntents[0].S) == "/GTS_PDFA1"
        fonts = [font for sheet in pdf.pages for font in sheet.Resources.Font.values()]
        assert fonts
        for font in fonts:
            descriptor = font.DescendantFonts[0].FontDescriptor
            assert "/FontFile3" in descriptor or "/FontFile2" in descriptor
        assert str(pdf.docinfo["/Title"]) == f"Faktura {NUMBER}"
        assert str(pdf.docinfo["/CreationDate"]).startswith("D:20260331")
        assert str(pdf.Root.Lang).startswith("nb")


def test_the_same_facts_give_the_same_bytes() -> None:
    """Rendering is reproducible; another number gives another file."""
    dated = date(2026, 3, 31)
    first = render_invoice(page(), dated)
    assert render_invoice(page(BUSINESS), dated) != first
    assert render_invoice(page(), dated) == first


def test_threads_render_side_by_side() -> None:
    """A worker and the web render at the same time; each gets the bytes it would get alone."""
    dated = date(2026, 3, 31)
    pages = [page(replace(CONSUMER, name=f"Testkunde {number}")) for number in range(24)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda each: render_invoice(each, dated), pages))
    assert together == [render_invoice(each, dated) for each in pages]


@pytest.mark.parametrize(
    "name",
    ['#read("/etc/passwd")', "*bold* _under_ $x^2$ `raw`", "\\u{41} <a> @b", "]#panic()[", '"}{'],
)
def test_a_name_is_never_markup(name: str) -> None:
    """Whatever a customer is called stands on the page as it was written."""
    account = BillingAccount(1, "10000001", 7, "consumer", name, None, "Vei 1", "0001", "OSLO")
    text = text_of(render_invoice(page(account), date(2026, 3, 31)))
    assert name.replace(" ", "") in text.replace(" ", "").replace("\n", "")


def test_long_invoices_break_over_pages() -> None:
    """The heading of the list repeats, pages are counted, the totals come once."""
    charges = [
        charge(number, 100 + number, subscription=f"47900{number:05d}", quantity=1)
        for number in range(1, 90)
    ]
    content = render_invoice(page(charges=charges), date(2026, 3, 31))
    text = text_of(content)
    with pikepdf.open(BytesIO(content)) as pdf:
        pages = len(pdf.pages)
    assert pages > 2
    assert text.count("Beskrivelse") == pages
    assert f"Side {pages} av {pages}" in text.replace("\n", "")
    assert text.count("Spesifikasjon av merverdiavgift") == 1


@pytest.mark.parametrize("rows", [1, 3, 40])
@pytest.mark.parametrize("first", [1, 2, 4, 5])
def test_no_number_stands_alone_at_the_foot_of_a_page(rows: int, first: int) -> None:
    """It goes with its first row; where its rows go on, it is named again without its sum."""
    sizes = [first] + [rows] * (120 // rows)
    charges = [
        charge(100 * number + row, 100 + row, subscription=f"47900{number:05d}",
               component=f"row{row:02d}", quantity=1)
        for number, size in enumerate(sizes, 1) for row in range(size)
    ]  # fmt: skip
    kinds, sums = [], 0
    for text in pages_of(render_invoice(page(charges=charges), date(2026, 3, 31))):
        told = re.findall(r"Text of|900 00 \d{3}\n*(?:, fortsatt)?", text)
        words = {"T": "row", "t": "again"}
        kinds.append([words.get(one[0]) or words.get(one[-1], "number") for one in told])
        sums += len(re.findall(r"900 00 \d{3}\n\d+,\d\d\n", text))
        assert not re.search(r"fortsatt\n\d+,", text), "a sum is printed twice"
    assert len(kinds) > 2
    for page_kinds in kinds:
        assert page_kinds[:1] != ["row"], "rows whose number is on the page before"
        pairs = pairwise([*page_kinds, "foot"])
        assert all(after == "row" for one, after in pairs if one != "row"), page_kinds
        assert "again" not in page_kinds[1:]
    assert sums == len(sizes)


def test_what_the_reader_has_to_do_stands_below_the_totals() -> None:
    """However long the list is: the note never is a page of its own."""
    for rows in range(22, 34):
        charges = [
            charge(row, 100 + row, component=f"row{row:02d}", quantity=1) for row in range(rows)
        ]
        last = pages_of(render_invoice(page(charges=charges), date(2026, 3, 31)))[-1]
        assert last.count("Å betale, NOK") == last.count("Oppgi KID ved betaling") == 1


def test_no_compression_hides_a_clock() -> None:
    """Two renderings a second apart would differ if any time of day were inside; none is."""
    content = render_invoice(page(), date(2026, 3, 31))
    inside = b"".join(_inflated(content))
    assert b"2026-03-31T00:00:00" in content + inside
    assert not re.search(rb"D:(?!20260331)\d{8}", content + inside)


def _inflated(content: bytes) -> list[bytes]:
    streams = re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL)
    made = []
    for stream in streams:
        try:
            made.append(zlib.decompressobj().decompress(stream))
        except zlib.error:
            continue
    return made
