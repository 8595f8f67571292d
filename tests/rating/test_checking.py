"""Checking a tariff before it is loaded: faults stop it, gaps are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from ledger.service import seed_book
from rating import service
from rating.tariff_terms import TariffInvalid
from tests.rating.tariffs import SMALL
from tests.rating.test_cli import run

STRANGE = SMALL.replace('vat = "3"', 'vat = "33x"', 1).replace('"voice"\nvat', '"voise"\nvat', 1)


def test_what_the_books_do_not_know_is_told_with_what_they_know(session: Session) -> None:
    """A VAT code and a kind of revenue that are strange to every book; both at once."""
    seed_book(session, "NO01")
    vat, revenue = service.check_tariff(session, STRANGE.encode()).faults
    assert str(vat).startswith("line 35: component[1].vat: no book has VAT code '33x'")
    assert str(vat).endswith("did you mean 33?)")
    assert str(revenue).startswith("line 46: component[3].revenue: no book has a posting rule")
    assert str(revenue).endswith("did you mean voice?)")
    with pytest.raises(TariffInvalid) as refused:
        service.load_tariff(session, STRANGE.encode())
    assert refused.value.facts["faults"] == [vat.facts(), revenue.facts()]
    assert not service.tariff_books(session)


def test_a_taken_place_among_the_versions_is_told(session: Session) -> None:
    """The same version with another price, and another version from the same day."""
    service.load_tariff(session, SMALL.encode())
    assert not service.check_tariff(session, SMALL.encode()).faults
    dearer = SMALL.replace('"0.90"', '"0.91"')
    version, day = service.check_tariff(session, dearer.encode()).faults
    assert (version.line, version.key, day.line, day.key) == (4, "version", 5, "valid_from")
    later = dearer.replace("version = 1", "version = 2")
    (day,) = service.check_tariff(session, later.encode()).faults
    assert "SMALL/1 is valid from the same day" in day.sentence
    assert not service.check_tariff(
        session, later.replace("2026-01-01", "2026-02-01").encode()
    ).faults


def test_times_without_a_price_are_gaps() -> None:
    """The small tariff sells no night at weekends where only the working day's band is priced."""
    night = SMALL.index('  [[offering.rate]]\n  usage = "voice"\n  zone = "HOME"\n  band = "n')
    end = SMALL.index('  [[offering.rate]]\n  usage = "voice"\n  zone = "DEAR"')
    only_day = SMALL[:night] + SMALL[end:]
    gaps = [str(gap) for gap in service.check_file(only_day.encode()).gaps]
    assert any("weekday 1, 2, 3, 4, 5 before 08:00" in gap for gap in gaps)
    assert any("weekday 6, 7, 8 before 24:00" in gap for gap in gaps)
    assert any(gap.endswith("no price names band night") for gap in gaps)
    assert not service.check_file(SMALL.encode()).gaps


def test_an_allowance_that_nothing_draws_on_is_a_gap() -> None:
    """Megabytes included in a product without a price for data."""
    source = SMALL[: SMALL.index('  [[offering.rate]]\n  usage = "data"')]
    idle, *unused = service.check_file(source.encode()).gaps
    assert "ONE has no rate for surf" in idle.sentence
    assert [gap.key for gap in unused] == ["zone[3].id", "component[5].id"]


def test_the_command_tells_every_fault_and_fails(tmp_path: Path, db: str) -> None:
    """With line and key; nothing is kept; a sound file ends well."""
    path = tmp_path / "odd.toml"
    path.write_text(SMALL.replace('price = "0.90"', "price = 0.9").replace("per = 100", "pr = 1"))
    done = run("check", str(path))
    assert done.exit_code == 1
    assert f"{path}: line 83: offering[1].rate[1].price: needs a text" in done.output
    assert done.output.endswith("2 faults. Correct the file and check it again.\n")
    told = json.loads(run("check", str(path), "--json").output)
    assert [fault["key"] for fault in told["faults"]] == [
        "offering[1].rate[1].price", "offering[1].rate[5].pr",
    ]  # fmt: skip
    path.write_text(SMALL)
    done = run("check", str(path), "--books")
    assert (done.exit_code, done.output[:17]) == (0, "SMALL/1 is sound,")
    assert run("list").output.startswith("No tariff book is loaded.")
