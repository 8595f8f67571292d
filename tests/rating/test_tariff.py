"""The tariff file: what it may say, how faults are told, and what the hash covers."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings

from rating.tariff import OfferingUnknown, compile_tariff, in_force, parse_tariff
from rating.tariff_file import read_tariff
from rating.tariff_terms import Tariff, TariffInvalid
from tests.rating.tariffs import SMALL, tariffs

STEP = '\n  [[offering.rate.step]]\n  from = 60\n  price = "0.1"\n'
TWO_STEPS = "per = 100" + STEP + STEP

# What is changed in the small tariff, and what must be said about it.
FAULTS = [
    ("increment = 60", "incremnt = 60", "offering[1].rate[1].incremnt: is not a key here; allowed"),
    ('price = "0.90"', "price = 0.90", 'offering[1].rate[1].price: needs a text such as "0.89"'),
    ('price = "0.90"', 'price = "-0.90"', "offering[1].rate[1].price: needs a text"),
    ('price = "0.90"', 'price = "0.9000001"', "at most six decimals; got '0.9000001'"),
    ('price = "0.90"\n', "", "offering[1].rate[1].price: needs a text"),
    ('from = "08:00"', 'from = "24:00"', 'band[2].from: needs a time such as "08:00"'),
    ("weekdays = [1, 2, 3, 4, 5]", "weekdays = [0]", "band[2].weekdays: needs a list of integers"),
    ("weekdays = [1, 2, 3, 4, 5]", "weekdays = []", "band[2].weekdays: is empty"),
    ("valid_from = 2026-01-01", "valid_from = 2026-01-01T00:00:00", "valid_from: needs a date"),
    ('"Europe/Oslo"', '"Europe/Olso"', "time_zone: 'Europe/Olso' is not a time zone"),
    ('usage = "sms"', 'usage = "mms"', "usage: needs 'voice' or 'sms' or 'data'; got 'mms'"),
    ('"hovedbok-tariff/1"', '"hovedbok-tariff/2"', "format: needs 'hovedbok-tariff/1'"),
    ("per = 100", "per = 0", "offering[1].rate[5].per: needs an integer from 1"),
    ('prefixes = ["47"]', 'prefixes = ["+47"]', "zone[1].prefixes: needs a list of prefixes"),
    ('prefixes = ["47"]', "", "zone[1]: needs prefixes or rating_groups"),
    ('prefixes = ["47"]', 'prefixes = ["47", "47829"]', "prefix 47829 is defined twice"),
    ('zone = "DATA"', 'zone = "DATE"', "offering[1].rate[5].zone: there is no zone 'DATE'"),
    ('band = "night"', 'band = "nigth"', "offering[1].rate[2].band: there is no band 'nigth'"),
    ('band = "night"', 'band = "day"', "rate[2]: voice to HOME in band day is priced twice"),
    ('component = "sms"', 'component = "sns"', "there is no component 'sns'"),
    ('component = "sms"', 'component = "voice"', "sms needs a component of unit 'message'"),
    ('id = "DEAR"', 'id = "HOME"', "zone HOME is defined twice"),
    ('from = "17:00"', 'from = "08:00"', "band start 08:00 on weekday 1 at priority 0 is defined"),
    ('name = "SMALL"', "name = 7", "name: needs a name of 1 to 64 characters; got 7"),
    ("quantity = 1000", "quantity = true", "allowance[1].quantity: needs an integer"),
    ("per = 100", 'per = 100\n  max_charge = "0"\n  minimum = "1"', "max_charge: is below the"),
    ("per = 100", 'per = 100\n  rounding = "nearest"', "needs 'up' or 'down' or 'half_up' or"),
    ("per = 100", "per = 100\n  step_mode = 1", "step_mode: needs 'part' or 'whole'; got 1"),
    ("per = 100", TWO_STEPS, "rate[5].step: steps must be in order of `from`"),
    ("per = 100", "per = 100\n  until = 60" + STEP, "until: the last step starts at 60"),
    ("per = 100", "per = 100" + STEP.replace("from", "form"), "rate[5].step[1].form: is not a key"),
    ("version = 1", "version = 1\nholidays = [17]", "holidays: needs a list of dates such as"),
    ("version = 1", 'version = 1\nband_split = "no"', "band_split: needs 'split_carry' or 'split'"),
    ("version = 1", "version = 1\nrefunds = true", "refunds: needs 'refused' or 'charged'"),
    ('from = "08:00"', 'from = "08:00"\nmonths = [13]', "band[2].months: needs a list of integers"),
    ("weekdays = [1, 2, 3, 4, 5]", "weekdays = [9]", "integers from 1 to 8"),
    ('[[zone]]\nid = "DATA"', '[zone]\nid = "DATA"', "line 15: the file is not TOML"),
    ("increment = 60", "incremnt = 60", "line 85: offering[1].rate[1].incremnt: is not"),
    ("increment = 60", "incremnt = 60", "did you mean increment?"),
    ('price = "0.90"', "price = 0.90", "computers round numbers with a point"),
    ('"Europe/Oslo"', '"Europe/Olso"', "did you mean Europe/Oslo?"),
    ('usage = "sms"', 'usage = "smss"', "got 'smss' (did you mean sms?"),
    ('zone = "DATA"', 'zone = "DATE"', "there is no zone 'DATE' (did you mean DATA?"),
    ('component = "sms"', 'component = "sns"', "did you mean sms?"),
    ('prefixes = ["47"]', 'prefixes = ["47", "47829"]', "line 14: zone[2].prefixes: prefix 47829"),
    ('price = "0.90"\n', "", "line 77: offering[1].rate[1].price: needs a text"),
    ('name = "SMALL"', f'name = "{"n" * 1001}"', "name: has 1001 characters; at most 1000 are"),
    ('prefixes = ["47"]', f'prefixes = ["{"4" * 9999}"]', "zone[1].prefixes: has 9999 characters"),
    ("per = 100", f"{'p' * 5000} = 100", "offering[1].rate[5]: a key has 5000 characters; at most"),
]  # fmt: skip


# What a schema cannot say: it is about how a file is written.
ENDLESS = [
    ("per = 100", f"per = 1{'0' * 5000}", "line 113: the file is not TOML: a number has more"),
    ("per = 100", f"per = 0x{'f' * 5000}", "offering[1].rate[5].per: is a number of more digits"),
    ('"Europe/Oslo"', f'"{"Europe/Oslo/" * 80}"', "Europe/Oslo/' is not a time zone such as"),
]


@pytest.mark.parametrize(("good", "bad", "told"), [*FAULTS, *ENDLESS])
def test_a_fault_is_told_with_its_key_path_and_what_is_allowed(
    good: str, bad: str, told: str
) -> None:
    """One change breaks the file; the message says where and what would be right."""
    assert good in SMALL
    with pytest.raises(TariffInvalid) as refusal:
        parse_tariff(SMALL.replace(good, bad, 1).encode())
    assert told in str(refusal.value)


def test_what_is_missing_is_told_once() -> None:
    """A time zone that is not there is not also one that nobody knows."""
    with pytest.raises(TariffInvalid) as caught:
        parse_tariff(b'format = "hovedbok-tariff/1"\nname = "X"\nversion = 1\n')
    assert str(caught.value).count("time_zone") == 1


def test_all_faults_of_a_file_are_told_together() -> None:
    """Whoever edits the file corrects it once: keys, types, names and doubles, in order of line."""
    broken = SMALL.replace('price = "0.90"', "price = 1").replace("per = 100", "per = -1")
    broken = broken.replace('zone = "DATA"', 'zone = "DATE"').replace('id = "DEAR"', 'id = "HOME"')
    with pytest.raises(TariffInvalid) as refused:
        read_tariff(broken.encode())
    faults = refused.value.facts["faults"]
    assert isinstance(faults, list)
    keys = [(fault["line"], fault["key"]) for fault in faults]
    assert keys == sorted(keys)
    lines = broken.splitlines()
    assert [lines[line - 1].strip() for line, _ in keys] == [
        'id = "HOME"', "price = 1", 'zone = "DEAR"', 'zone = "DATE"', "per = -1",
    ]  # fmt: skip


def test_what_follows_from_a_fault_is_not_told_again() -> None:
    """A zone whose name cannot be read is one fault, not one more for each rate to it."""
    with pytest.raises(TariffInvalid) as refused:
        read_tariff(SMALL.replace('id = "HOME"', "id = 7").encode())
    (only,) = refused.value.facts["faults"]  # type: ignore[misc]
    assert (only["line"], only["key"]) == (10, "zone[1].id")


@pytest.mark.parametrize(
    "source",
    [b"", b"\xff", b"x = [", b"zone = 3", b"[[zone]]\n[[zone]]", b"\n" + b"a." * 20_000 + b"a = 1"],
)
def test_what_is_no_tariff_is_refused(source: bytes) -> None:
    """Empty, garbled and foreign files give the same clear error."""
    with pytest.raises(TariffInvalid):
        parse_tariff(source)


def test_layout_and_comments_do_not_change_the_hash_but_a_price_does() -> None:
    """The hash is of the content: equal hashes price equally."""
    book = parse_tariff(SMALL.encode())
    spaced = SMALL.replace("\n\n", "\n\n# A comment.\n\n").replace('"0.90"', '"0.9"')
    assert parse_tariff(b"\xef\xbb\xbf" + SMALL.encode()).content_hash == book.content_hash
    dearer = SMALL.replace('"0.90"', '"0.91"')
    assert parse_tariff(spaced.encode()).content_hash == book.content_hash
    assert parse_tariff(dearer.encode()).content_hash != book.content_hash
    assert len(book.content_hash) == 64


def test_a_file_that_uses_no_later_key_hashes_as_it_did() -> None:
    """The hash of the small tariff before there were steps, holidays and refunds."""
    book = parse_tariff(SMALL.encode())
    assert book.content_hash.startswith("8708f7190ee9cfb5")
    plain = SMALL.replace("version = 1", 'version = 1\nrefunds = "refused"\nholidays = []')
    assert parse_tariff(plain.encode()).content_hash == book.content_hash
    charged = SMALL.replace("version = 1", 'version = 1\nrefunds = "charged"')
    assert parse_tariff(charged.encode()).content_hash != book.content_hash


def test_the_version_in_force_is_the_last_that_was_valid() -> None:
    """In any order of the list; of two from the same day the later in the list."""
    valid_from = np.array([200, 100, 200])
    assert in_force(valid_from, np.array([99, 100, 199, 200, 900])).tolist() == [-1, 1, 1, 2, 2]


@settings(max_examples=25, deadline=None)
@given(tariffs())
def test_the_same_content_compiles_to_the_same_arrays(tariff: Tariff) -> None:
    """Compiling has no memory and no chance in it."""
    one, two = compile_tariff(tariff), compile_tariff(tariff)
    assert one.content_hash == two.content_hash
    for table in ("rows", "cells"):
        for name in getattr(one, table).__slots__:
            left, right = getattr(getattr(one, table), name), getattr(getattr(two, table), name)
            assert np.array_equal(left, right)


def test_a_book_is_valid_from_local_midnight() -> None:
    """1 January in Oslo begins at 23:00 UTC the day before."""
    book = parse_tariff(SMALL.encode())
    assert book.tariff.valid_from == date(2026, 1, 1)
    assert book.valid_from == np.datetime64("2025-12-31T23:00:00").astype(np.int64)


def test_an_unknown_offering_is_told_with_those_there_are() -> None:
    """The message names what the book has."""
    with pytest.raises(OfferingUnknown, match="SMALL/1; it has ONE"):
        parse_tariff(SMALL.encode()).offering_index("TWO")


def test_prices_per_incompatible_units_are_refused() -> None:
    """One event is divided once: the bands of a cell need a common multiple that fits."""
    source = SMALL.replace("per = 60\n  increment = 60", "per = 1099511627776\n  increment = 60")
    source = source.replace("per = 60\n  increment = 1", "per = 1099511627689\n  increment = 1")
    with pytest.raises(TariffInvalid, match="common multiple"):
        parse_tariff(source.encode())
