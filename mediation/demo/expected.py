"""The content of `expected.json`: every figure the month must come to, by this package's own count.

Amounts are whole øre (`_minor`) or millionths of a krone (`_micro`).
"""

from mediation.demo.bills import Bill, Billed
from mediation.demo.payments import Payment
from mediation.demo.pricing import Priced
from mediation.demo.usagefiles import Written, sum_outcomes

NOTES = (
    "outcomes: the state of each record once the whole month has been read",
    "merged: of a complete chain of partial records the first is accepted, the others merged in it",
    "seconds: duration of calls and of data sessions; octets: both directions, all rating groups",
    "charges: consumers' amounts include VAT (gross), businesses' do not (net)",
    "unpriced: accepted events of a destination without a rate, suspended by rating",
)


def expect(
    files: list[Written], priced: Priced, billed: Billed, payments: list[Payment]
) -> dict[str, object]:
    """Put all figures together."""
    return {
        "notes": list(NOTES),
        "totals": _totals(files, priced, billed, payments),
        "outcomes": sum_outcomes(files),
        "quantities": _nested(priced.quantities),
        "unpriced": {
            usage: {"events": events, "quantity": quantity}
            for usage, (events, quantity) in sorted(priced.unpriced.items())
        },
        "charges": {
            basis: {
                component: {"micro": amount, "minor": billed.minor[basis, component]}
                for (owner, component), amount in sorted(billed.micro.items())
                if owner == basis
            }
            for basis in ("gross", "net")
        },
        "accounts": _accounts(billed.bills, payments),
        "unmatched": [
            {"kid": p.kid, "settled": p.settled.isoformat(), "amount_minor": p.amount_minor}
            for p in payments
            if p.account is None
        ],
        "files": {file.name: {"octets": file.octets, "outcomes": file.outcomes} for file in files},
    }


def _totals(
    files: list[Written], priced: Priced, billed: Billed, payments: list[Payment]
) -> dict[str, int]:
    paid = sum(payment.amount_minor for payment in payments)
    allocated = sum(_allocations(billed.bills, payments).values())
    counted = [m for file in files for m in file.outcomes.values()]
    return {
        "files": len(files),
        "records": sum(measures["records"] for measures in counted),
        "seconds": sum(measures["seconds"] for measures in counted),
        "octets": sum(measures["octets"] for measures in counted),
        "priced_events": priced.events,
        "unpriced_events": sum(events for events, _ in priced.unpriced.values()),
        "usage_micro": sum(priced.charges.values()),
        "invoices": len(billed.bills),
        "net_minor": sum(bill.net_minor for bill in billed.bills),
        "vat_minor": sum(bill.vat_minor for bill in billed.bills),
        "gross_minor": sum(bill.gross_minor for bill in billed.bills),
        "payments": len(payments),
        "paid_minor": paid,
        "allocated_minor": allocated,
        "unallocated_minor": paid - allocated,
        "outstanding_minor": sum(bill.gross_minor for bill in billed.bills) - allocated,
    }


def _allocations(bills: list[Bill], payments: list[Payment]) -> dict[str, int]:
    """Settle each invoice with what was paid on it, at most in full. [øre per account]"""
    paid = {p.account: p.amount_minor for p in payments if p.account is not None}
    return {bill.account: min(paid.get(bill.account, 0), bill.gross_minor) for bill in bills}


def _accounts(bills: list[Bill], payments: list[Payment]) -> dict[str, dict[str, object]]:
    """Give each billing account its invoice and what became of it; lines in their price basis."""
    paid = {p.account: p.amount_minor for p in payments if p.account is not None}
    allocated = _allocations(bills, payments)
    found: dict[str, dict[str, object]] = {}
    for bill in bills:
        money, used = paid.get(bill.account, 0), allocated[bill.account]
        found[bill.account] = {
            "basis": "net" if bill.business else "gross",
            "kid": bill.kid,
            "net_minor": bill.net_minor,
            "vat_minor": bill.vat_minor,
            "gross_minor": bill.gross_minor,
            "paid_minor": money,
            "allocated_minor": used,
            "unallocated_minor": money - used,
            "outstanding_minor": bill.gross_minor - used,
            "lines_minor": dict(sorted(bill.lines.items())),
        }
    return found


def _nested(sums: dict[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (outer, inner), amount in sorted(sums.items()):
        nested.setdefault(outer, {})[inner] = amount
    return nested
