"""The sections of a tariff file that are no prices of usage: exchange, carried prices, shares.

Every table is dated: it holds from its `valid_from` until the next one of the same name. What the
keys mean is in docs/pricing.md.
"""

from rating.carried import Carried
from rating.dated import Exchange
from rating.frames import NONE, Frame, FrameTerm
from rating.iot import PoolTerms
from rating.reading import Reader
from rating.revenue_shares import OWN, Share, Sharing
from rating.rounding import MICRO
from rating.tariff_terms import (
    ACCOUNT,
    MAX_ALLOWANCE,
    MAX_PER,
    MAX_PRICE_MICRO,
    SCOPES,
    Binding,
    BindingLimit,
    ConditionalDiscount,
    FairUse,
    Pool,
    RoamingCap,
    SpendLimit,
    TopUp,
)

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


def roaming_cap(table: Reader) -> RoamingCap:
    """Read [[roaming_cap]]."""
    found = RoamingCap(
        valid_from=table.day("valid_from"),
        currency=_currency(table),
        gigabyte_micro=table.price("gigabyte", MAX_RATE_MICRO),
    )
    if found.gigabyte_micro == 0:
        table.fault("gigabyte", "must be above zero: the volume is divided by it")
    table.refuse_unknown()
    return found


def fair_use(table: Reader) -> FairUse:
    """Read [[offering.fair_use]]."""
    found = FairUse(
        components=table.one_or_more("component"),
        surcharge=table.name("surcharge"),
        price_micro=table.price("price", MAX_PRICE_MICRO, None),
        gigabyte=table.integer("octets", 1, 2**40, 2**30),
    )
    table.refuse_unknown()
    return found


def spend_limit(table: Reader) -> SpendLimit:
    """Read [[spend_limit]]."""
    found = SpendLimit(
        id=table.name("id"),
        components=table.one_or_more("component"),
        valid_from=table.day("valid_from"),
        currency=_currency(table),
        amount_micro=table.price("amount", MAX_PRICE_MICRO),
        notify=table.integers("notify", 1, 100, ()),
        stop=table.flag("stop", False),
    )
    table.refuse_unknown()
    return found


def binding(table: Reader) -> Binding:
    """Read [[offering.binding]]."""
    found = Binding(
        component=table.name("component"),
        months=table.integer("months", 1, 120),
        charge_micro=table.price("charge", MAX_PRICE_MICRO),
    )
    table.refuse_unknown()
    return found


def binding_limit(table: Reader) -> BindingLimit:
    """Read [[binding_limit]]."""
    found = BindingLimit(valid_from=table.day("valid_from"), months=table.integer("months", 0, 120))
    table.refuse_unknown()
    return found


def pool(table: Reader) -> Pool:
    """Read [[offering.pool]]."""
    found = Pool(
        components=table.one_or_more("component"),
        overage=table.name("overage"),
        terms=PoolTerms(
            included=table.integer("included", 0, MAX_ALLOWANCE),
            price_micro=table.price("price", MAX_PRICE_MICRO),
            per=table.integer("per", 1, MAX_PER, 1),
            step=table.integer("step", 1, MAX_PER, 1),
            increment=table.integer("increment", 1, MAX_PER, 1),
            minimum=table.integer("minimum", 0, MAX_PER, 0),
        ),
        id=table.name("id", None),
        scope=table.choice("scope", SCOPES, ACCOUNT),
    )
    table.refuse_unknown()
    return found


def top_up(table: Reader) -> TopUp:
    """Read [[offering.top_up]]."""
    found = TopUp(
        allowance=table.name("allowance"),
        quantity=table.integer("quantity", 1, MAX_ALLOWANCE),
    )
    table.refuse_unknown()
    return found


def discount(table: Reader) -> ConditionalDiscount:
    """Read [[discount]]."""
    found = ConditionalDiscount(
        id=table.name("id"),
        text=table.text("text"),
        reduces=table.one_or_more("reduces"),
        offerings=table.texts("offerings", r".{1,64}", "offerings", ()),
        percent_micro=table.price("percent", HUNDRED_PERCENT, 0),
        amount_micro=table.price("amount", MAX_PRICE_MICRO, 0),
        at_least=table.integer("subscriptions", 1, 10**9, 0),
        with_offerings=table.texts("with", r".{1,64}", "offerings", ()),
        valid_from=table.optional_day("valid_from"),
        valid_to=table.optional_day("valid_to"),
    )
    if (found.percent_micro == 0) == (found.amount_micro == 0):
        table.fault("percent", "needs a percentage, or in its place an amount; not both")
    if not found.at_least and not found.with_offerings:
        table.fault("subscriptions", "needs a condition: subscriptions, or with")
    table.refuse_unknown()
    return found


def frame(table: Reader) -> Frame:
    """Read [[frame]]."""
    found = Frame(
        id=table.name("id"),
        parent=table.name("parent", None),
        terms=tuple(_term(part) for part in table.tables("term")),
    )
    table.refuse_unknown()
    return found


def _term(table: Reader) -> FrameTerm:
    none = table.flag("none", False)
    percent = table.price("percent", HUNDRED_PERCENT, None)
    if none == (percent is not None):
        table.fault("percent", "needs a percentage off, or none = true for the list price")
    found = FrameTerm(table.name("component"), percent or NONE, table.day("valid_from"))
    table.refuse_unknown()
    return found


def _currency(table: Reader) -> str:
    code: str = table.text("currency")
    if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
        table.fault("currency", f"needs a currency such as EUR; got {code!r}")
    return code
