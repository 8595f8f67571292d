"""The demo month: the same bytes twice, formats that independent readers accept, sums that tie."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.no import kontonr, orgnr

from ledger.errors import Invalid
from mediation.demo import ber, pgw, pricing, tariff, wallclock
from mediation.demo.cli import demo
from mediation.demo.destinations import sms_pool, voice_pool
from mediation.demo.month import FolderNotEmpty, is_made, make_month, steps
from mediation.demo.msc import Switch
from mediation.demo.payments import bank_days
from mediation.demo.plan import Plan, make_plan
from mediation.demo.population import Subscription, populate
from mediation.demo.pricing import Event, price_month
from mediation.demo.records import packet_parts, voice_parts
from mediation.demo.traffic import Traffic, make_traffic

OSLO = ZoneInfo("Europe/Oslo")
SAMPLES = Path(__file__).with_name("samples")
PLAN = make_plan("2026-03", 20, 3, 1)
TARIFF = tariff.read_tariff(tariff.tariff_text())
BANDED = TARIFF.offerings["MOBIL-5GB"].rates["voice", "NORWAY"]

Leaf = tuple[tuple[str, ...], bytes]


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days of twenty subscriptions."""
    folder = tmp_path_factory.mktemp("demo") / "month"
    make_month(PLAN, folder, lambda _: None)
    return folder


@pytest.fixture(scope="module")
def expected(month: Path) -> dict[str, dict]:
    return json.loads((month / "expected.json").read_text())


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    subscriptions, numbers = populate(PLAN), ["4791000001", "4791000002"]
    return make_traffic(PLAN, subscriptions, voice_pool(numbers), sms_pool(numbers))


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def leaves(octets: bytes, path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Walk BER of definite lengths, element by element: the slow reader of these tests."""
    at = 0
    while at < len(octets):
        first = at
        at += 1
        if octets[first] & 0x1F == 0x1F:
            while octets[at] & 0x80:
                at += 1
            at += 1
        tag = octets[first:at].hex()
        length, at = octets[at], at + 1
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(octets[at : at + size], "big"), at + size
        content = octets[at : at + length]
        assert len(content) == length, "an element runs past its parent"
        at += length
        if octets[first] & 0x20:
            yield from leaves(content, (*path, tag))
        else:
            yield (*path, tag), content


def elements(octets: bytes) -> list[bytes]:
    """Cut a switch file into its records."""
    found, at = [], 0
    while at < len(octets):
        size = octets[at + 1]
        head = 2 if size < 0x80 else 3
        length = size if head == 2 else octets[at + 2]
        found.append(octets[at : at + head + length])
        at += head + length
    return found


def gateway_records(octets: bytes) -> list[bytes]:
    """Cut a TS 32.297 file into its records."""
    found, at = [], int.from_bytes(octets[4:8], "big")
    while at < len(octets):
        length = int.from_bytes(octets[at : at + 2], "big")
        found.append(octets[at + 5 : at + 5 + length])
        at += 5 + length
    return found


def digits_of(octets: bytes) -> str:
    return "".join(f"{octet & 15:x}{octet >> 4:x}" for octet in octets).rstrip("f")


def instant_of(stamp: bytes) -> int:
    text = f"20{stamp[:6].hex()}{chr(stamp[6])}{stamp[7:].hex()}"
    return int(datetime.strptime(text, "%Y%m%d%H%M%S%z").timestamp())


# --- determinism and the command


def test_the_same_arguments_give_the_same_bytes(month: Path, tmp_path: Path) -> None:
    """Two runs agree in every file; another seed does not."""
    make_month(PLAN, tmp_path / "again", lambda _: None)
    make_month(Plan(PLAN.first_day, 20, 3, 2), tmp_path / "other", lambda _: None)
    assert digests(tmp_path / "again") == digests(month)
    other = digests(tmp_path / "other")
    assert all(other[name] != digest for name, digest in digests(month).items() if "usage" in name)


def test_progress_is_told_as_often_as_promised(tmp_path: Path) -> None:
    """The length of the progress bar is the number of its steps."""
    told: list[str] = []
    make_month(PLAN, tmp_path / "month", told.append)
    assert len(told) == steps(PLAN)
    assert not (tmp_path / "month.partial").exists()


def test_command_leaves_a_finished_month_alone_and_refuses_other_folders(tmp_path: Path) -> None:
    """A second run says so; a folder with anything else in it is not touched."""
    call = ["make", "--out", str(tmp_path / "m"), "--subscribers", "20", "--days", "1"]
    assert CliRunner().invoke(demo, call).exit_code == 0
    before = digests(tmp_path / "m")
    assert "already holds" in CliRunner().invoke(demo, call).output
    assert digests(tmp_path / "m") == before
    with pytest.raises(FolderNotEmpty):
        is_made(PLAN, tmp_path / "m")


@pytest.mark.parametrize(
    ("month", "subscribers", "days", "seed"),
    [("2026-3", 20, 1, 1), ("2025-12", 20, 1, 1), ("2026-03", 3, 1, 1), ("2026-02", 20, 29, 1),
     ("2026-03", 20, 1, -1)],
)  # fmt: skip
def test_wrong_arguments_are_refused(month: str, subscribers: int, days: int, seed: int) -> None:
    """Each argument has its range."""
    with pytest.raises(Invalid):
        make_plan(month, subscribers, days, seed)


@pytest.mark.parametrize("month", ["2026-02", "2026-10", "2028-02"])
def test_other_months_can_be_made(month: str, tmp_path: Path) -> None:
    """Short months and the autumn clock change give whole files too."""
    make_month(make_plan(month, 20, None, 5), tmp_path / "m", lambda _: None)
    totals = json.loads((tmp_path / "m" / "expected.json").read_text())["totals"]
    assert totals["records"] > 20 * 400


# --- encoding


@given(st.lists(st.integers(0, 2**47 - 1), min_size=1), st.booleans())
def test_integers_are_as_short_as_der_wants(values: list[int], wrapped: bool) -> None:
    """The columns of integers equal int.to_bytes, alone and inside a constructed element."""
    fields = [ber.integer(b"\x85", np.array(values, np.int64))] * (30 if wrapped else 1)
    parts = ber.constructed(b"\xbf\x4f", fields)
    flat, lengths = ber.render(parts, len(values))
    slow = []
    for value in values:
        content = value.to_bytes(value.bit_length() // 8 + 1, "big")
        inner = (b"\x85" + bytes([len(content)]) + content) * len(fields)
        size = len(inner)
        head = bytes([size]) if size < 128 else bytes([0x81, size])
        slow.append(b"\xbf\x4f" + (head if size < 256 else b"\x82" + size.to_bytes(2)) + inner)
    assert flat == b"".join(slow)
    assert lengths.tolist() == [len(record) for record in slow]


@given(st.integers(1_577_836_800, 4_070_908_800))
def test_offsets_and_stamps_follow_the_zone_database(instant: int) -> None:
    """The rule of the two Sundays gives what tzdata gives, for any second until 2099."""
    local = datetime.fromtimestamp(instant, UTC).astimezone(OSLO)
    stamp = wallclock.timestamps(np.array([instant], np.int64))[0].tobytes()
    assert instant_of(stamp) == instant
    assert stamp[:6].hex() == f"{local:%y%m%d%H%M%S}"
    assert wallclock.iso(instant) == local.isoformat()
    wall = np.array([instant + local.utcoffset().seconds], np.int64)
    assert wallclock.from_wall(wall)[0] in (instant, instant - 3600)


def test_switch_records_decode_to_what_was_meant(traffic: Traffic) -> None:
    """An independent ASN.1 reader sees the IMSI, numbers, time, length and chain of every call."""
    pytest.importorskip("pycrate_asn1dir", reason="pycrate is not installed")
    from pycrate_asn1dir import CDR  # noqa: F401  (fills the table of modules)
    from pycrate_asn1rt.glob import GLOBAL

    reader = GLOBAL.MOD["CSChargingDataTypes"]["CSRecord"]
    voice = traffic.voice
    parts = voice_parts(PLAN, PLAN.dice(3), traffic.identities, voice)
    for row, record in enumerate(Switch(traffic).calls(parts)):
        reader.from_ber(record)
        kind, fields = reader.get_val()
        assert reader.to_ber() == record
        session = parts.session[row]
        other = traffic.voice_pool.members[voice.other[session]]
        incoming = bool(voice.incoming[session])
        assert kind == ("mtCallRecord" if incoming else "moCallRecord")
        assert digits_of(fields["servedIMSI"]) == traffic.identities.imsi[voice.identity[session]]
        assert fields["callingNumber" if incoming else "calledNumber"] == other.octets
        assert instant_of(fields["answerTime"]) == parts.start[row]
        assert fields["callDuration"] == parts.duration[row]
        assert fields.get("sequenceNumber", 0) == parts.sequence[row]
        assert int.from_bytes(fields["callReference"], "big") == session + 1


def test_gateway_records_decode_to_what_was_meant(traffic: Traffic) -> None:
    """An independent ASN.1 reader sees chain, time and volumes of every data session."""
    pytest.importorskip("pycrate_asn1dir", reason="pycrate is not installed")
    from pycrate_asn1dir import CDR  # noqa: F401  (fills the table of modules)
    from pycrate_asn1rt.glob import GLOBAL

    reader = GLOBAL.MOD["GPRSChargingDataTypes"]["GPRSRecord"]
    parts = packet_parts(PLAN, PLAN.dice(5), traffic.identities, traffic.packets)
    moved = pgw.volumes(traffic.packets, parts)
    file = pgw.Gateway(traffic.identities, traffic.packets).file(
        parts, 1, PLAN.start, PLAN.usage_end
    )
    for row, record in enumerate(gateway_records(file)):
        reader.from_ber(record)
        _, fields = reader.get_val()
        assert reader.to_ber() == record
        volumes = {
            service["ratingGroup"]: (
                service["datavolumeFBCUplink"],
                service["datavolumeFBCDownlink"],
            )
            for service in fields["listOfServiceData"]
        }
        assert volumes.get(100, (0, 0)) == (moved.up[row], moved.down[row])
        assert volumes.get(900, (0, 0)) == (moved.free_up[row], moved.free_down[row])
        assert instant_of(fields["recordOpeningTime"]) == parts.start[row]
        assert fields["duration"] == parts.duration[row]
        assert fields.get("recordSequenceNumber", 0) == parts.sequence[row]
        assert fields["chargingID"] == pgw.FIRST_CHARGING_ID + parts.session[row]


def _shape(record: bytes) -> tuple[tuple[str, ...], ...]:
    """Name the tags of a record in order, each once; chain numbers are left out."""
    optional = {("bf4f", "91"), ("a0", "9f21")}
    return tuple(dict.fromkeys(path for path, _ in leaves(record) if path not in optional))


def test_records_have_the_shape_of_the_samples(month: Path) -> None:
    """Every record has the tags of the reference records, in the same order."""
    sample = SAMPLES / "OSLPGW1_-_101.20260329_-_1315+0200"
    gateway = {_shape(record) for record in gateway_records(sample.read_bytes())}
    switch = {_shape(r) for r in elements((SAMPLES / "OSLMSC1_cs_plain.ber").read_bytes())}
    for path in (month / "usage").iterdir():
        if path.suffix == ".ber":
            assert {_shape(record) for record in elements(path.read_bytes())} == switch
        else:
            assert {_shape(record) for record in gateway_records(path.read_bytes())} <= gateway


# --- files against expected.json


def test_gateway_headers_declare_what_the_files_hold(month: Path) -> None:
    """Length, record count and an unbroken sequence; times of opening and closing in order."""
    paths = sorted((month / "usage").glob("OSLPGW1*"))
    for place, path in enumerate(paths):
        octets = path.read_bytes()
        header = octets[:54]
        assert int.from_bytes(header[0:4], "big") == len(octets)
        assert int.from_bytes(header[4:8], "big") == 54
        assert int.from_bytes(header[18:22], "big") == len(gateway_records(octets))
        assert int.from_bytes(header[22:26], "big") == pgw.FIRST_FILE + place
        assert path.name.startswith(f"OSLPGW1_-_{pgw.FIRST_FILE + place}.202603")
        assert header[47:] == bytes(5) + b"\x07\x07"
        assert header[10:14] < header[14:18]
    assert len(paths) == 4 * PLAN.days


def test_clock_change_shows_in_names_headers_and_stamps(tmp_path: Path) -> None:
    """On 29 March the first file is opened at +0100 and closed at +0200."""
    make_month(make_plan("2026-03", 20, 30, 1), tmp_path / "m", lambda _: None)
    path = next((tmp_path / "m" / "usage").glob("OSLPGW1*.20260329_-_0559+0200"))
    opened, closed = path.read_bytes()[10:14], path.read_bytes()[14:18]
    offsets = [int.from_bytes(stamp, "big") >> 6 & 31 for stamp in (opened, closed)]
    assert offsets == [1, 2]
    for path in (tmp_path / "m" / "usage").glob("OSLMSC1*"):
        for record in elements(path.read_bytes()):
            for where, content in leaves(record):
                if where[-1] in ("97", "94", "89") and len(content) == 9:
                    summer = content[:4].hex() >= "26032903"
                    assert content[6:].hex() == ("2b0200" if summer else "2b0100")


def _measures(path: Path) -> dict[str, int]:
    """Count records, seconds and octets of a file with the slow reader."""
    octets = path.read_bytes()
    records = elements(octets) if path.suffix == ".ber" else gateway_records(octets)
    seconds = {("a0", "99"), ("a1", "96"), ("bf4f", "8e")}
    volumes = {("bf4f", "bf22", "30", "8c"), ("bf4f", "bf22", "30", "8d")}
    total = Counter(records=len(records), seconds=0, octets=0)
    for record in records:
        for where, content in leaves(record):
            total["seconds"] += int.from_bytes(content, "big") if where in seconds else 0
            total["octets"] += int.from_bytes(content, "big") if where in volumes else 0
    return dict(total)


def test_outcomes_sum_to_what_each_file_holds(month: Path, expected: dict[str, dict]) -> None:
    """Records, seconds and octets of all outcomes are those in the bytes, file by file."""
    assert set(expected["files"]) == {path.name for path in (month / "usage").iterdir()}
    for name, file in expected["files"].items():
        told: Counter[str] = Counter(records=0, seconds=0, octets=0)
        for measures in file["outcomes"].values():
            told.update(measures)
        assert dict(told) == _measures(month / "usage" / name), name
        assert file["octets"] == (month / "usage" / name).stat().st_size


def test_every_outcome_occurs_even_in_a_small_month(expected: dict[str, dict]) -> None:
    """Twenty subscriptions and three days show all that mediation must tell apart."""
    assert set(expected["outcomes"]) == {
        "accepted", "merged PARTIAL", "filtered TERMINATING", "filtered ZERO_USAGE",
        "filtered WHOLESALE", "duplicate EXACT", "suspended UNKNOWN_SUBSCRIBER", "held PARTIAL",
    }  # fmt: skip
    assert expected["unpriced"]["voice"]["events"] > 0


def test_exact_duplicates_are_exactly_duplicates(month: Path, expected: dict[str, dict]) -> None:
    """As many records occur twice, octet by octet, as the month says."""
    seen: Counter[bytes] = Counter()
    for path in (month / "usage").iterdir():
        octets = path.read_bytes()
        seen.update(elements(octets) if path.suffix == ".ber" else gateway_records(octets))
    twice = sum(times - 1 for times in seen.values())
    assert twice == expected["outcomes"]["duplicate EXACT"]["records"]


def test_chains_are_whole_or_held(month: Path, expected: dict[str, dict]) -> None:
    """Chains without a hole are as many as the merged parts say, some of them over two files."""
    chains: dict[bytes, dict[int, str]] = defaultdict(dict)
    for path in sorted((month / "usage").iterdir()):
        octets = path.read_bytes()
        for record in elements(octets) if path.suffix == ".ber" else gateway_records(octets):
            found = dict(leaves(record))
            place = found.get(("a0", "9f21"), found.get(("bf4f", "91")))
            if place is not None:
                key = found.get(("a0", "9f20"), found.get(("bf4f", "85"))) + path.name[:7].encode()
                chains[key][place[0]] = path.name
    whole = [parts for parts in chains.values() if sorted(parts) in ([1, 2], [1, 2, 3])]
    merged = sum(len(parts) - 1 for parts in whole)
    held = sum(len(parts) for parts in chains.values()) - merged - len(whole)
    assert merged == expected["outcomes"]["merged PARTIAL"]["records"]
    assert held == expected["outcomes"]["held PARTIAL"]["records"]
    assert any(len(set(parts.values())) > 1 for parts in whole)


def test_volumes_above_two_gibibytes_occur(month: Path) -> None:
    """Some volumes need a leading zero octet or more than 31 bits."""
    volumes = [
        int.from_bytes(content, "big")
        for path in (month / "usage").glob("OSLPGW1*")
        for record in gateway_records(path.read_bytes())
        for where, content in leaves(record)
        if where[-1] == "8d"
    ]
    assert max(volumes) >= 2**31


# --- orders


def _orders(path: Path) -> tuple[list[str], list[dict[str, str]], list[str]]:
    with path.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.reader(lines))
    return rows[0], [dict(zip(rows[1], row, strict=True)) for row in rows[2:-1]], rows[-1]


def test_order_files_declare_their_rows(month: Path, expected: dict[str, dict]) -> None:
    """Header and trailer fit the name and the rows; identifiers are synthetic and valid."""
    actions: Counter[str] = Counter()
    for path in (month / "orders").iterdir():
        header, rows, trailer = _orders(path)
        system, day, sequence = path.stem.split("_")
        stamp = f"{date.fromisoformat(header[3]):%Y%m%d}"
        assert header == ["HDR", system, str(int(sequence)), header[3]]
        assert (stamp, trailer) == (day, ["TRL", str(len(rows))])
        assert expected["orders"]["rows"][path.name] == len(rows)
        actions.update(row["action"] for row in rows)
        for row in rows:
            assert datetime.fromisoformat(row["effective_at"]).utcoffset() is not None
            organisation = row["customer_kind"] == "organisation"
            assert organisation == bool(row["org_no"]) == (system == "FKM")
            assert not organisation or (orgnr.is_valid(row["org_no"]) and row["org_no"][0] == "3")
    assert {"add", "change", "addon", "cease"} == set(actions)


def test_usage_lies_within_the_life_of_its_subscription(month: Path) -> None:
    """Each record of a known IMSI starts while the orders say that its number is active."""
    alive: dict[str, list[datetime]] = {}
    for path in sorted((month / "orders").iterdir()):
        for row in _orders(path)[1]:
            at = datetime.fromisoformat(row["effective_at"])
            if row["action"] == "add" and row["offering"] in TARIFF.offerings:
                alive[row["imsi"]] = [at, datetime.max.replace(tzinfo=UTC)]
            elif row["action"] == "cease":
                alive[row["imsi"]][1] = at
    strangers = 0
    for path in (month / "usage").iterdir():
        octets = path.read_bytes()
        for record in elements(octets) if path.suffix == ".ber" else gateway_records(octets):
            found = {where[-1]: content for where, content in reversed(list(leaves(record)))}
            head = record[0]
            imsi = digits_of(found["83" if head == 0xBF else "81"])
            stamp = {0xA0: "97", 0xA1: "94", 0xA6: "89", 0xBF: "8d"}[head]
            started = datetime.fromtimestamp(instant_of(found[stamp]), UTC)
            part = found.get("91" if head == 0xBF else "9f21", b"\1")[0]
            if imsi not in alive:
                strangers += 1
            elif part == 1:
                assert alive[imsi][0] <= started < alive[imsi][1]
    assert strangers > 0


# --- prices


def _slow_amount(wall: int, seconds: int) -> Fraction:
    """Price a call second by second: an increment is bought whenever the last one is used up."""
    amount, paid = Fraction(0), 0
    for second in range(seconds):
        at = datetime.fromtimestamp(wall + second, UTC)
        day = at.isoweekday() < 6 and 8 <= at.hour < 17
        rate = BANDED["day" if day else "night"]
        amount += rate.setup_micro if second == 0 else 0
        if second >= paid:
            amount += Fraction(rate.price_micro * rate.increment, rate.per)
            paid += rate.increment
    return amount


@given(st.integers(1_772_319_600, 1_772_319_600 + 8 * 86_400), st.integers(1, 4_000))
def test_calls_over_band_changes_cost_what_second_by_second_costs(wall: int, length: int) -> None:
    """Portions that carry paid increments over give the same sum as counting seconds."""
    exact = _slow_amount(wall, length)
    assert pricing._amount(TARIFF, BANDED, wall, length) == int(exact + Fraction(1, 2))


def _one(offering: str) -> list[Subscription]:
    subscription = populate(PLAN)[0]
    first = subscription.intervals[0]
    subscription.intervals = [type(first)(0, None, offering)]
    return [subscription]


def _events(*rows: tuple[str, str, int]) -> list[Event]:
    return [(0, 1_772_000_000 + i, 3_600, *row) for i, row in enumerate(rows)]


def test_an_allowance_covers_whole_units_in_order() -> None:
    """Five gigabytes are free; the event that passes them pays for what is left of it."""
    gigabyte = 2**30
    events = _events(*[("data", "DATA", 2 * gigabyte)] * 3, ("data", "ZERO-RATED", gigabyte))
    priced = price_month(TARIFF, _one("MOBIL-5GB"), events)
    assert priced.charges == {(0, "data.national"): 59_000_000, (0, "data.zero-rated"): 0}


def test_no_price_is_counted_and_not_charged() -> None:
    """A number without a zone and a zone without a rate are suspended, never zero."""
    events = _events(("voice", None, 60), ("sms", "PREMIUM", 1))  # type: ignore[arg-type]
    priced = price_month(TARIFF, _one("MOBIL-5GB"), events)
    assert not priced.charges
    assert dict(priced.unpriced) == {"voice": [1, 60], "sms": [1, 1]}


def test_set_up_fee_minimum_and_free_calls() -> None:
    """A short premium call pays the minimum, an emergency call nothing, a text its price."""
    events = _events(("voice", "PREMIUM", 2), ("voice", "EMERGENCY", 90), ("sms", "NORDIC", 1))
    priced = price_month(TARIFF, _one("MOBIL-5GB"), events * 1)
    assert dict(priced.charges) == {
        (0, "voice.premium"): 5_000_000,
        (0, "voice.emergency"): 0,
        (0, "sms.international"): 1_290_000,
    }


def test_zones_follow_the_longest_prefix() -> None:
    """A premium number is Norwegian too; a short code is never a country."""
    numbers = {"4782900001": "PREMIUM", "4722000000": "NORWAY", "0112": "EMERGENCY",
               "002000": "SHORT", "12025550100": None, "35312345": "EUROPE"}  # fmt: skip
    assert {number: TARIFF.zone_of(number) for number in numbers} == numbers


# --- invoices and payments


def test_invoices_sum_to_their_lines(expected: dict[str, dict]) -> None:
    """Consumers' lines sum to the gross exactly, businesses' to the net with VAT on the sum."""
    for account in expected["accounts"].values():
        lines = sum(account["lines_minor"].values())
        gross = account["net_minor"] + account["vat_minor"]
        assert account["gross_minor"] == gross
        assert lines == account[f"{account['basis']}_minor"]
        if account["basis"] == "net":
            assert account["vat_minor"] == int(Fraction(lines, 4) + Fraction(1, 2))
        assert account["outstanding_minor"] + account["allocated_minor"] == gross
        assert luhn.is_valid(account["kid"])
    charged = sum(row["minor"] for basis in expected["charges"].values() for row in basis.values())
    lines = [sum(a["lines_minor"].values()) for a in expected["accounts"].values()]
    assert charged == sum(lines)


def test_bank_file_has_valid_control_totals(month: Path, expected: dict[str, dict]) -> None:
    """Counts and sums of each assignment and of the transmission are those of its items."""
    lines = (month / "payments" / "OCR_20260420_0001.txt").read_text("iso-8859-1").splitlines()
    assert {len(line) for line in lines} == {80}
    payments: list[tuple[str, int]] = []
    count = total = 0
    first = 0
    for place, line in enumerate(lines):
        if line[6:8] == "20":
            first, count, total = place, 0, 0
            assert kontonr.is_valid(line[24:35])
        elif line[6:8] == "30":
            payments.append((line[49:74].strip(), int(line[32:49])))
            count, total = count + 1, total + payments[-1][1]
            settled = datetime.strptime(line[15:21], "%d%m%y").date()  # noqa: DTZ007
            assert bank_days(settled, settled) == [settled]
        elif line[6:8] == "88":
            assert (int(line[8:16]), int(line[16:24])) == (count, place - first + 1)
            assert int(line[24:41]) == total
    end = lines[-1]
    assert (end[:8], int(end[8:16]), int(end[16:24])) == ("NY000089", len(payments), len(lines))
    assert int(end[24:41]) == sum(amount for _, amount in payments)
    assert expected["totals"]["paid_minor"] == sum(amount for _, amount in payments)
    known = {account["kid"] for account in expected["accounts"].values()}
    strange = [kid for kid, _ in payments if kid not in known]
    assert sorted(strange) == sorted(row["kid"] for row in expected["unmatched"])
    assert sorted(luhn.is_valid(kid) for kid in strange) == [False, True]


def test_every_habit_of_payment_occurs(expected: dict[str, dict]) -> None:
    """Some pay in full, some in part, some too much, some not at all."""
    accounts = expected["accounts"].values()
    assert any(a["paid_minor"] == a["gross_minor"] for a in accounts)
    assert any(0 < a["paid_minor"] < a["gross_minor"] for a in accounts)
    assert any(a["paid_minor"] > a["gross_minor"] for a in accounts)
    assert any(a["paid_minor"] == 0 for a in accounts)
    totals = expected["totals"]
    assert totals["gross_minor"] - totals["allocated_minor"] == totals["outstanding_minor"]
    assert totals["paid_minor"] - totals["allocated_minor"] == totals["unallocated_minor"]
