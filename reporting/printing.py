"""What stands on an invoice page, as text: the facts of a posted invoice written for a reader.

Pure. The facts are the snapshot that was stored with the posting (`snapshot_of`); `page_of` words
them in Norwegian and `reporting.formats.pdf` sets them. Legal content: bokføringsforskriften
(FOR-2004-12-01-1558) sections 5-1-1 and 5-1-2.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, timedelta
from itertools import groupby
from typing import Any

from reporting import norwegian as no
from reporting.invoicing import Invoice
from reporting.seller import Seller

_NO_RATE = {"5": "Fritatt", "52": "Fritatt, utførsel", "6": "Unntatt", "7": "Utenfor mva-loven"}


def snapshot_of(invoice: Invoice, seller: Seller) -> dict[str, Any]:
    """Freeze what the document says, as JSON values: amounts in øre, dates as ISO text.

    Personal data (the buyer's name and address as printed) live here and never in the journal.
    """
    corrects = {"corrects": list(invoice.corrects)} if invoice.is_credit else {}
    set_off = [
        {"number": used.number, "amount_minor": used.amount_minor} for used in invoice.set_off
    ]
    return {
        "format": "hovedbok-invoice/1",
        **corrects,
        **({"set_off": set_off} if set_off else {}),
        "seller": asdict(seller),
        "buyer": {
            "account_no": invoice.account.number,
            "segment": invoice.account.segment,
            "name": invoice.account.name,
            "org_no": invoice.account.org_no,
            "street": invoice.account.street,
            "postcode": invoice.account.postcode,
            "city": invoice.account.city,
            "country": invoice.account.country,
        },
        "kid": invoice.kid,
        "currency": "NOK",
        "basis": invoice.basis,
        "invoice_date": invoice.terms.invoice_date.isoformat(),
        "due_date": invoice.due_date.isoformat(),
        "period_start": invoice.terms.period_start.isoformat(),
        "period_end": invoice.terms.period_end.isoformat(),
        "lines": [
            {
                "subscription": line.subscription,
                "text": line.text,
                "unit": line.unit,
                "quantity": line.quantity,
                "vat_code": line.vat_code,
                "vat_rate_bp": line.vat_rate_bp,
                "amount_minor": line.amount_minor,
            }
            for line in invoice.lines
        ],
        "vat": [asdict(line) for line in invoice.vat],
        "net_minor": invoice.net_minor,
        "vat_minor": invoice.vat_minor,
        "gross_minor": invoice.gross_minor,
    }


def page_of(snapshot: dict[str, Any], invoice_no: str) -> dict[str, Any]:
    """Word a snapshot and its number as the texts of the page; the template only places them."""
    invoice_date, due_date, start, end = (
        date.fromisoformat(snapshot[key])
        for key in ("invoice_date", "due_date", "period_start", "period_end")
    )
    last_day = end - timedelta(days=1)
    with_vat = snapshot["basis"] == "gross"
    given, due_minor = snapshot["gross_minor"] < 0, _due(snapshot)
    to_pay = due_minor > 0
    heading = "Kreditnota" if given else "Faktura"
    return {
        "title": f"{heading} {invoice_no}",
        "heading": heading,
        "seller": {"name": snapshot["seller"]["name"], "imprint": _imprint(snapshot["seller"])},
        "buyer": _buyer(snapshot["buyer"]),
        "facts": [
            [f"{heading}nummer", invoice_no],
            [f"{heading}dato", no.long_date(invoice_date)],
            *([["Forfallsdato", no.long_date(due_date)]] if to_pay else []),
            ["Kundekonto", snapshot["buyer"]["account_no"]],
            ["Leveringsperiode", f"{no.long_date(start)}–{no.long_date(last_day)}"],
        ],
        "payment": _credit(snapshot)
        if given
        else _payment(snapshot, due_date)
        if to_pay
        else _settled(snapshot),
        "columns": ["Beskrivelse", "Mengde", "Mva", f"Beløp {'inkl.' if with_vat else 'eks.'} mva"],
        "sections": _sections(snapshot["lines"]),
        "vat": _vat(snapshot["vat"]),
        "totals": [
            ["Sum eks. mva", no.kroner(snapshot["net_minor"])],
            ["Merverdiavgift", no.kroner(snapshot["vat_minor"])],
            *_set_off(snapshot),
            ["Til gode, NOK", no.kroner(-snapshot["gross_minor"])]
            if given
            else ["Å betale, NOK", no.kroner(due_minor)],
        ],
        "note": _note(heading, snapshot["seller"]["web"], given=given, to_pay=to_pay),
        "words": {"page": "Side", "of": "av", "continued": "fortsatt"},
    }


def _payment(snapshot: dict[str, Any], due_date: date) -> list[list[str]]:
    """Say where to, by when and how much to pay; the amount is last."""
    return [
        ["Til konto", no.bank_account(snapshot["seller"]["bank_account"])],
        ["KID", snapshot["kid"]],
        ["Betales innen", no.long_date(due_date)],
        ["Å betale", f"{no.kroner(_due(snapshot))}{no.NBSP}kr"],
    ]


def _due(snapshot: dict[str, Any]) -> int:
    """Give what is left to pay after the customer's earlier credits. [øre]"""
    used = sum(used["amount_minor"] for used in snapshot.get("set_off", ()))
    due: int = snapshot["gross_minor"] - used
    return due


def _set_off(snapshot: dict[str, Any]) -> list[list[str]]:
    """Say what earlier credit notes pay of the invoice; nothing where none does."""
    used = snapshot.get("set_off", ())
    if not used:
        return []
    return [
        ["Fakturabeløp", no.kroner(snapshot["gross_minor"])],
        *(
            [f"Til gode fra tidligere, {each['number']}", no.kroner(-each["amount_minor"])]
            for each in used
        ),
    ]


def _settled(snapshot: dict[str, Any]) -> list[list[str]]:
    """Say that nothing is to be paid, and what VAT there is in it."""
    return [
        ["Kundekonto", snapshot["buyer"]["account_no"]],
        ["Sum eks. mva", no.kroner(snapshot["net_minor"])],
        ["Merverdiavgift", no.kroner(snapshot["vat_minor"])],
        ["Å betale", f"{no.kroner(0)}{no.NBSP}kr"],
    ]


def _note(heading: str, web: str, *, given: bool, to_pay: bool) -> str:
    """Say what the reader has to do, and whom to ask."""
    asked = f"Spørsmål om {heading.lower()}en: {web}."
    if given:
        return f"Beløpet står til gode på kundekontoen og skal ikke betales. {asked}"
    if not to_pay:
        return f"Det er ingenting å betale. {asked}"
    return (
        "Oppgi KID ved betaling. Betales fakturaen etter forfall, løper forsinkelsesrente etter "
        f"forsinkelsesrenteloven. {asked}"
    )


def _credit(snapshot: dict[str, Any]) -> list[list[str]]:
    """Say which invoices are corrected, and how much the customer has to his credit."""
    corrected = ", ".join(snapshot["corrects"]) or "ingen tidligere faktura"
    return [
        ["Gjelder faktura", corrected],
        ["Kundekonto", snapshot["buyer"]["account_no"]],
        ["Til gode fra", no.long_date(date.fromisoformat(snapshot["invoice_date"]))],
        ["Til gode", f"{no.kroner(-snapshot['gross_minor'])}{no.NBSP}kr"],
    ]


def _imprint(seller: dict[str, Any]) -> str:
    number = f"Org.nr. {no.organisation_number(seller['org_no'])}"
    if seller["vat_registered"]:
        number += f"{no.NBSP}MVA"
    parts = [seller["name"], number]
    if seller["in_business_register"]:
        parts.append("Foretaksregisteret")
    parts.append(f"{seller['street']}, {seller['postcode']} {seller['city']}")
    return " · ".join(parts)


def _buyer(buyer: dict[str, Any]) -> dict[str, Any]:
    place = f"{buyer['postcode']} {buyer['city']}".strip()
    country = "" if buyer["country"] in {"NO", ""} else buyer["country"]
    lines = [buyer["name"], buyer["street"], place, country]
    note = f"Org.nr. {no.organisation_number(buyer['org_no'])}" if buyer["org_no"] else ""
    return {"lines": [line for line in lines if line], "note": note}


def _sections(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    sections = []
    for subscription, group in groupby(lines, key=lambda line: line["subscription"]):
        rows = list(group)
        sections.append(
            {
                "name": no.phone_number(subscription) if subscription else "Kundekonto",
                "amount": no.kroner(sum(row["amount_minor"] for row in rows)),
                "rows": [_row(row) for row in rows],
            }
        )
    return sections


def _row(line: dict[str, Any]) -> list[str]:
    counted = line["quantity"] is not None
    return [
        line["text"],
        no.quantity(line["quantity"], line["unit"]) if counted else "",
        no.rate(line["vat_rate_bp"]),
        no.kroner(line["amount_minor"]),
    ]


def _vat(vat: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "heading": "Spesifikasjon av merverdiavgift",
        "columns": ["Sats", "Grunnlag", "Mva", "Sum"],
        "rows": [
            [
                _NO_RATE.get(line["vat_code"], no.rate(line["rate_bp"])),
                no.kroner(line["base_minor"]),
                no.kroner(line["vat_minor"]),
                no.kroner(line["base_minor"] + line["vat_minor"]),
            ]
            for line in vat
        ],
    }
