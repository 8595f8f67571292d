"""The entries of a rating run: what charges gained is debited unbilled and credited revenue."""

from collections.abc import Mapping, Sequence
from datetime import date

from ledger.journal import EntryDraft, Line
from mediation.charging import SERIES, SERVICE_PERIOD, Difference
from rating.charges import ChargeKey

RevenueKey = tuple[str, str, tuple[tuple[str, str], ...]]  # account, VAT code, dimensions


def accrual_entries(
    booked: Sequence[Difference],
    unbilled_account: str,
    last_day: Mapping[str, date],
    source: str,
    corrects: str = "",
) -> tuple[EntryDraft, ...]:
    """Draft the accrual: debit unbilled, credit revenue, one line per revenue key and month.

    Parameters
    ----------
    booked : what the run adds to charges; nets that cancel leave no line.
    last_day : the effective date by accounting month: the last day used in this run.
    source : the batch's reference; each month's entry adds its own name to it.
    corrects : the vouchers that the month was accrued by before, where it is rated again.
    """
    nets: dict[str, dict[RevenueKey, int]] = {}
    for one in booked:
        of_month = nets.setdefault(one.key.accounting_month, {})
        revenue = revenue_key(one.key)
        of_month[revenue] = of_month.get(revenue, 0) + one.minor_net
    entries = []
    for month, sums in sorted(nets.items()):
        lines = [
            Line(account, -net, vat_code=vat_code, dimensions=dict(dimensions) or None)
            for (account, vat_code, dimensions), net in sorted(sums.items())
            if net
        ]
        total = -sum(line.amount_minor for line in lines)
        if not lines:
            continue
        if total:
            lines.insert(0, Line(account=unbilled_account, amount_minor=total))
        entries.append(
            EntryDraft(
                series=SERIES,
                effective_date=last_day[month],
                document_date=last_day[month],
                entry_type="usage_rated",
                source_ref=f"{source}/{month}",
                text=_entry_text(month, lines, corrects),
                lines=tuple(lines),
                document_ref=corrects or None,
            )
        )
    return tuple(entries)


def revenue_key(key: ChargeKey) -> RevenueKey:
    """Name the line of an accrual that a charge is part of."""
    return key.revenue_account, key.vat_code, tuple(sorted(key.dimensions.items()))


def _entry_text(month: str, lines: Sequence[Line], corrects: str) -> str:
    """Say what an accrual is of; one that corrects or comes late says so, and for which months."""
    late = sorted({(line.dimensions or {}).get(SERVICE_PERIOD, "") for line in lines} - {""})
    if corrects:
        return f"Rated again: difference for {', '.join(late) or month}, not yet billed, in {month}"
    if late:
        return f"Late usage and services of {', '.join(late)}, not yet billed, in {month}"
    return f"Usage and services rated, not yet billed, {month}"
