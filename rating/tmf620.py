"""Tariff versions in the shapes of TMF620, product catalogue management v4, for reading.

A version is a catalogue; its offerings are product offerings, each with the specification of what
it includes; monthly prices, prices of orders and rates of usage are product offering prices.
Amounts are texts, as everywhere here: a JSON number is a float wherever it is read.

Source: TM Forum TMF620 v4.1 (Catalog, ProductOffering, ProductOfferingPrice, ProductSpecification).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from rating.all_terms import (
    component_of,
    contracts_of,
    name_of,
    said,
    sections_of,
    terms_of,
)
from rating.explain import kroner
from rating.measures import units_of
from rating.rounding import Mode
from rating.tariff_terms import Offering, Rate, Tariff

BASE = "/tmf-api/productCatalogManagement/v4"
Resource = dict[str, Any]

# A kind that is not here is refused by the test that walks them all.
_PRICE_TYPES = {
    "fair_use": "usage", "bindings": "oneTime", "pools": "usage",
    "exchange": "exchangeRate", "carried": "usage", "roaming_caps": "cap",
    "spend_limits": "limit", "binding_limits": "limit", "discounts": "discount",
    "frames": "discount",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listed:
    """A version of a tariff, and where it stands."""

    tariff: Tariff
    state: str  # proposed | approved | rejected
    valid_to: date | None
    changed_at: datetime


def catalogs(versions: Sequence[Listed], today: date) -> list[Resource]:
    """Give one catalogue for each version."""
    return [
        _resource("catalog", "Catalog", _catalog_id(one), one.tariff.name, one, today)
        for one in versions
    ]


def product_offerings(versions: Sequence[Listed], today: date) -> list[Resource]:
    """Give every offering of every version, with references to its prices."""
    return [
        {
            **_resource("productOffering", "ProductOffering", identity, offering.name, one, today),
            "isBundle": False,
            "isSellable": _status(one, today) == "Launched",
            "productSpecification": _reference("productSpecification", identity, offering.name),
            "productOfferingPrice": [
                {key: price[key] for key in ("id", "href", "name")}
                for price in _prices(one, offering, today)
            ],
        }
        for one, offering, identity in _offerings(versions)
    ]


def product_offering_prices(versions: Sequence[Listed], today: date) -> list[Resource]:
    """Give every price of every offering, and every term that holds for all of them.

    Exchange rates, carried prices and their shares, caps, limits, discounts and frames are prices
    of the version: they alter those of its offerings, and none has them by itself.
    """
    return [
        price
        for one, offering, _ in _offerings(versions)
        for price in _prices(one, offering, today)
    ] + [term for one in versions for term in _terms_for_all(one, today)]


def product_specifications(versions: Sequence[Listed], today: date) -> list[Resource]:
    """Give what each offering includes in a month, as characteristics."""
    return [
        {
            **_resource(
                "productSpecification", "ProductSpecification", identity, offering.name, one, today
            ),
            "productNumber": offering.id,
            "productSpecCharacteristic": [
                _characteristic(
                    allowance.id,
                    kroner(allowance.quantity, "en") if allowance.money else allowance.quantity,
                    one.tariff.currency
                    if allowance.money
                    else " or ".join(units_of(one.tariff, allowance)),
                )
                for allowance in offering.allowances
            ]
            + _characteristics(one, offering),
        }
        for one, offering, identity in _offerings(versions)
    ]


def _offerings(versions: Sequence[Listed]) -> Iterator[tuple[Listed, Offering, str]]:
    for one in versions:
        for offering in one.tariff.offerings:
            yield one, offering, f"{_catalog_id(one)}:{offering.id}"


def _prices(one: Listed, offering: Offering, today: date) -> Iterator[Resource]:
    identity = f"{_catalog_id(one)}:{offering.id}"
    for number, month in enumerate(offering.recurring, 1):
        yield {
            **_price(one, offering, today, f"{identity}:recurring:{number}", month.component),
            "priceType": "recurring",
            "prodSpecCharValueUse": [_value_use("proration", month.proration)],
            "recurringChargePeriodType": "month",
            "recurringChargePeriodLength": 1,
            "price": _money(one, month.price_micro),
        }
    for number, once in enumerate(offering.one_off, 1):
        yield {
            **_price(one, offering, today, f"{identity}:one_off:{number}", once.component),
            "priceType": "oneTime",
            "price": _money(one, once.price_micro),
            "prodSpecCharValueUse": [_value_use("on", once.on)],
        }
    for kind, number, part in contracts_of(offering):
        component = component_of(part)
        if component is not None:
            yield {
                **_price(one, offering, today, f"{identity}:{kind}:{number}", component),
                "priceType": _PRICE_TYPES[kind],
                "prodSpecCharValueUse": [_value_use(*term) for term in terms_of(part)],
            }
    for number, rate in enumerate(offering.rates, 1):
        yield {
            **_price(one, offering, today, f"{identity}:rate:{number}", rate.component),
            "priceType": "usage",
            "price": _money(one, rate.price_micro),
            "unitOfMeasure": {"amount": rate.per, "units": _unit(one, rate.component)},
            "prodSpecCharValueUse": list(_terms(rate)),
        }


def _terms_for_all(one: Listed, today: date) -> Iterator[Resource]:
    """Give what holds for all offerings of a version, every term of it."""
    for kind, number, part in sections_of(one.tariff):
        identity = f"{_catalog_id(one)}:{kind}:{number}"
        name = f"{kind} {name_of(part)}".strip()
        yield {
            **_resource("productOfferingPrice", "ProductOfferingPrice", identity, name, one, today),
            "isBundle": False,
            "priceType": _PRICE_TYPES[kind],
            "prodSpecCharValueUse": [_value_use(*term) for term in terms_of(part)],
        }


def _characteristics(one: Listed, offering: Offering) -> list[Resource]:
    """Say the terms of what is included and bought beside, the frame, and who asks the prices."""
    found = [
        _value_use(f"{allowance.id} terms", said(allowance)) for allowance in offering.allowances
    ]
    found += [
        _value_use(f"{kind} {name_of(part)}", said(part))
        for kind, _, part in contracts_of(offering)
        if component_of(part) is None
    ]
    if offering.frame is not None:
        found.append(_value_use("frame", offering.frame))
    if one.tariff.sells != "retail":
        found.append(_value_use("sells", one.tariff.sells))
    return found


def _terms(rate: Rate) -> Iterator[Resource]:
    """Say what a rate holds for, and its terms beside the price."""
    yield _value_use("usage", rate.usage)
    yield _value_use("zone", rate.zone)
    if rate.band:
        yield _value_use("band", rate.band)
    if rate.setup_micro:
        yield _value_use("setup_fee", kroner(rate.setup_micro, "en"))
    if rate.increment != 1:
        yield _value_use("increment", rate.increment)
    if rate.minimum_micro:
        yield _value_use("minimum", kroner(rate.minimum_micro, "en"))
    if rate.max_charge_micro is not None:
        yield _value_use("max_charge", kroner(rate.max_charge_micro, "en"))
    if rate.whole_step:
        yield _value_use("step_mode", "whole")
    if rate.until:
        yield _value_use("until", rate.until)
    if rate.rounding != Mode.HALF_UP or rate.round_to_micro != 1:
        yield _value_use("rounding", f"{rate.rounding} to {kroner(rate.round_to_micro, 'en')}")
    for step in rate.steps:
        yield _value_use("step", said(step))


def _price(one: Listed, offering: Offering, today: date, identity: str, component: str) -> Resource:
    terms = next(part for part in one.tariff.components if part.id == component)
    return {
        **_resource(
            "productOfferingPrice", "ProductOfferingPrice", identity, terms.text, one, today
        ),
        "isBundle": False,
        "tax": [{"taxCategory": terms.vat}],
        "priceBasis": offering.price_basis,
    }


def _resource(
    kind: str, type_name: str, identity: str, name: str, one: Listed, today: date
) -> Resource:
    return {
        **_reference(kind, identity, name),
        "version": str(one.tariff.version),
        "lifecycleStatus": _status(one, today),
        "lastUpdate": one.changed_at.astimezone(UTC).isoformat(),
        "validFor": _period(one),
        "@type": type_name,
        "@baseType": type_name,
    }


def _reference(kind: str, identity: str, name: str) -> Resource:
    return {"id": identity, "href": f"{BASE}/{kind}/{quote(identity, safe=':')}", "name": name}


def _catalog_id(one: Listed) -> str:
    return f"{one.tariff.name}:{one.tariff.version}"


def _status(one: Listed, today: date) -> str:
    """Say where the version stands, in the words of TMF620's life cycle."""
    if one.state != "approved":
        return {"proposed": "In design", "rejected": "Rejected"}[one.state]
    if today < one.tariff.valid_from:
        return "Active"
    return "Launched" if one.valid_to is None or today < one.valid_to else "Retired"


def _period(one: Listed) -> dict[str, str]:
    zone = ZoneInfo(one.tariff.time_zone)
    began = {"startDateTime": _midnight(one.tariff.valid_from, zone)}
    return began if one.valid_to is None else began | {"endDateTime": _midnight(one.valid_to, zone)}


def _midnight(day: date, zone: ZoneInfo) -> str:
    return datetime.combine(day, time(), zone).isoformat()


def _money(one: Listed, micro: int) -> dict[str, str]:
    return {"unit": one.tariff.currency, "value": kroner(micro, "en")}


def _unit(one: Listed, component: str) -> str:
    return next(part.unit for part in one.tariff.components if part.id == component)


def _characteristic(name: str, value: object, unit: str) -> Resource:
    values = [{"value": value, "unitOfMeasure": unit}]
    return {"name": name, "configurable": False, "productSpecCharacteristicValue": values}


def _value_use(name: str, value: object) -> Resource:
    return {"name": name, "productSpecCharacteristicValue": [{"value": value}]}
