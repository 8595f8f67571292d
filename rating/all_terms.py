"""Every term of a tariff as pairs of key and text, made by walking its values.

Nothing here knows a term: a key that the format learns is said wherever terms are shown. What has
its default is left out.
"""

from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from rating.explain import kroner
from rating.phrases import Language
from rating.tariff_terms import Allowance, Offering, Tariff

# The parts of a tariff and of an offering that are shown as prices, or as what prices are for.
_PRICE_LISTS = {"recurring", "one_off", "rates", "allowances"}
_STRUCTURE = {"zones", "bands", "components", "offerings", "holidays"}
# What a term's component is called, where it is not `component`.
_COMPONENTS = ("component", "surcharge", "overage")
_NAMES = ("id", "service", "currency", "allowance", "components")


def terms_of(value: Any, language: Language = "en") -> list[tuple[str, str]]:
    """Say every term of a value of a tariff: key as in the file, text as people write it.

    Parameters
    ----------
    value : a dataclass of `rating.tariff_terms`, or of the sections beside it.
    """
    found: list[tuple[str, str]] = []
    for field in fields(value):
        item = getattr(value, field.name)
        key = field.name.removesuffix("_micro")
        if field.default is not MISSING and item == field.default:
            continue
        if is_dataclass(item):
            found += [(key if inner == key else inner, text)
                      for inner, text in terms_of(item, language)]  # fmt: skip
        elif isinstance(item, tuple) and item and is_dataclass(item[0]):
            found += [(key, said(one, language)) for one in item]
        elif isinstance(item, bool):
            found.append((key, "yes" if item else "no"))
        elif isinstance(item, tuple):
            found.append((key, ", ".join(map(str, item))))
        else:
            money = field.name.endswith("_micro") or _is_money(value, field.name)
            found.append((key, kroner(item, language) if money else str(item)))
    return found


def said(value: Any, language: Language = "en") -> str:
    """Say every term of a value on one line."""
    return ", ".join(f"{key} {text}" for key, text in terms_of(value, language))


def sections_of(tariff: Tariff) -> Iterator[tuple[str, int, Any]]:
    """Give what holds for all offerings, with the name of its kind and its number there."""
    yield from _parts(tariff, _STRUCTURE)


def contracts_of(offering: Offering) -> Iterator[tuple[str, int, Any]]:
    """Give what an offering states beside its price lists, with kind and number."""
    yield from _parts(offering, _PRICE_LISTS)


def component_of(value: Any) -> str | None:
    """Name the component of what is charged by a term, if anything is."""
    return next((getattr(value, name) for name in _COMPONENTS if hasattr(value, name)), None)


def name_of(value: Any) -> str:
    """Name a term by what tells it from others of its kind; "" where there is nothing."""
    found = next((getattr(value, name) for name in _NAMES if hasattr(value, name)), "")
    return ", ".join(found) if isinstance(found, tuple) else found


def _parts(value: Any, without: set[str]) -> Iterator[tuple[str, int, Any]]:
    for field in fields(value):
        items = getattr(value, field.name)
        if field.name not in without and isinstance(items, tuple):
            for number, one in enumerate(items, 1):
                yield field.name, number, one


def _is_money(value: Any, name: str) -> bool:
    return isinstance(value, Allowance) and value.money and name == "quantity"
