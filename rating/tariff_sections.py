"""The sections of a tariff file that are no prices of usage: exchange, carried prices, shares.

Every table is dated: it holds from its `valid_from` until the next one of the same name. What the
keys mean is in docs/pricing.md.
"""

from collections.abc import Iterable, Iterator
from datetime import date

from rating.carried import Carried
from rating.dated import Exchange
from rating.reading import Reader
from rating.revenue_shares import OWN, Share, Sharing
from rating.rounding import MICRO
from rating.tariff_terms import MAX_PRICE_MICRO, Tariff

MAX_RATE_MICRO = 10**6 * MICRO
MAX_PERCENT_MICRO = 10**4 * MICRO
HUNDRED_PERCENT = 100 * MICRO


def exchange(table: Reader) -> Exchange:
    """Read [[exchange]]."""
    found = Exchange(
        currency=_currency(table),
        valid_from=table.day("valid_from"),
        rate_micro=table.price("rate", MAX_RATE_MICRO),
    )
    if found.rate_micro == 0 and not table.faults:
        table.fault("rate", "must be above zero")
    table.refuse_unknown()
    return found


def carried(table: Reader) -> Carried:
    """Read [[carried]]."""
    found = Carried(
        service=table.name("service"),
        component=table.name("component"),
        valid_from=table.day("valid_from"),
        percent_micro=table.price("percent", MAX_PERCENT_MICRO, 0),
        fixed_micro=table.price("fixed", MAX_PRICE_MICRO, 0),
        minimum_micro=table.price("minimum", MAX_PRICE_MICRO, 0),
        maximum_micro=table.price("maximum", MAX_PRICE_MICRO, None),
        sharing=_sharing(table),
    )
    if found.maximum_micro is not None and found.maximum_micro < found.minimum_micro:
        table.fault("maximum", "is below the minimum")
    table.refuse_unknown()
    return found


def _sharing(table: Reader) -> Sharing | None:
    provider = table.text("provider", None)
    found = Sharing(
        provider=provider or "",
        country=table.text("country", "NO"),
        shares=tuple(_share(part) for part in table.tables("share")),
        fee_vat=table.text("fee_vat", None) or "",
        charity=table.flag("charity", False),
    )
    if provider is None:
        if found != Sharing("", "NO"):
            table.fault("provider", "is missing: whose price is shared?")
        return None
    if found.charity and found.shares:
        table.fault("share", "a charity gets all: nobody takes a share of a gift")
    if sum(share.percent_micro for share in found.shares) > HUNDRED_PERCENT:
        table.fault("share", "the shares come to more than 100 per cent")
    holders = [share.holder for share in found.shares]
    if len(set(holders)) < len(holders):
        table.fault("share", "a holder has two shares; add them up")
    if OWN in holders and not found.fee_vat:
        table.fault("fee_vat", "is missing: the own fee needs a VAT code, such as 3, 52 or 6")
    return found


def _share(table: Reader) -> Share:
    found = Share(
        holder=table.name("holder"),
        percent_micro=table.price("percent", HUNDRED_PERCENT, 0),
        fixed_micro=table.price("fixed", MAX_PRICE_MICRO, 0),
    )
    table.refuse_unknown()
    return found


def _currency(table: Reader) -> str:
    code: str = table.text("currency")
    if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
        table.fault("currency", f"needs a currency such as EUR; got {code!r}")
    return code


def wrong_sections(tariff: Tariff) -> list[str]:
    """Find sections that point nowhere, or say two things from one day on."""
    components = {component.id for component in tariff.components}
    return [
        *(
            f"carried[{number}].component: there is no component {each.component!r}"
            for number, each in enumerate(tariff.carried, 1)
            if each.component not in components
        ),
        *_same_day("exchange", ((each.currency, each.valid_from) for each in tariff.exchange)),
        *_same_day("carried", ((each.service, each.valid_from) for each in tariff.carried)),
        *(
            f"exchange[{number}].currency: {each.currency} is the tariff's own"
            for number, each in enumerate(tariff.exchange, 1)
            if each.currency == tariff.currency
        ),
    ]


def _same_day(section: str, named: Iterable[tuple[str, date]]) -> Iterator[str]:
    seen: set[tuple[str, date]] = set()
    for number, (name, day) in enumerate(named, 1):
        if (name, day) in seen:
            yield f"{section}[{number}]: {name} from {day} is given twice"
        seen.add((name, day))
