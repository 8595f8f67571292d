"""Make the whole demo month in a folder: tariff, orders, usage, payments, and what they come to."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from ledger.errors import Conflict
from mediation.demo.bills import bill_month
from mediation.demo.destinations import sms_pool, voice_pool
from mediation.demo.events import billable_events
from mediation.demo.expected import expect
from mediation.demo.ocr import write_ocr
from mediation.demo.orders import NOT_ROWS, write_orders
from mediation.demo.payments import make_payments
from mediation.demo.plan import Plan
from mediation.demo.population import populate
from mediation.demo.pricing import price_month
from mediation.demo.records import FILES_PER_DAY
from mediation.demo.tariff import read_tariff, tariff_text
from mediation.demo.traffic import make_traffic
from mediation.demo.usagefiles import Written, write_usage

EXPECTED = "expected.json"
ON_NET_NUMBERS = 2_000  # numbers of our own that others call; more would not show more


class FolderNotEmpty(Conflict):
    """Raise as: f"{folder} holds other files. Choose an empty or a new folder."."""

    title = "Folder is not empty"


def parameters(plan: Plan) -> dict[str, object]:
    """Name the arguments that fix every byte."""
    return {
        "month": f"{plan.first_day:%Y-%m}",
        "subscribers": plan.subscribers,
        "days": plan.days,
        "seed": plan.seed,
    }


def is_made(plan: Plan, folder: Path) -> bool:
    """Tell whether the folder already holds this very month.

    Raises `FolderNotEmpty` when it holds anything else: nothing of the caller's is overwritten.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return False
    if _made_with(folder / EXPECTED) == parameters(plan):
        return True
    raise FolderNotEmpty(
        f"{folder} holds other files. Choose an empty or a new folder.", folder=str(folder)
    )


def _made_with(expected: Path) -> object:
    """Read the arguments a month was made with; None where the file is not one of ours."""
    try:
        content = json.loads(expected.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return content.get("parameters") if isinstance(content, dict) else None


def steps(plan: Plan) -> int:
    """Count the calls of `progress` that `make_month` will make."""
    return plan.days * (1 + FILES_PER_DAY) + 2


def make_month(plan: Plan, folder: Path, progress: Callable[[str], None]) -> dict[str, object]:
    """Write the month and return the content of `expected.json`.

    The files are written beside the folder and moved there at the end, so that a folder by this
    name is always whole. `progress` is called with the name of each step that is done.
    """
    draft = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    for name in ("orders", "usage", "payments"):
        (draft / name).mkdir(parents=True)
    content = _fill(plan, draft, progress)
    (draft / EXPECTED).write_text(f"{json.dumps(content, indent=1)}\n", "utf-8")
    draft.replace(folder)
    return content


def _fill(plan: Plan, draft: Path, progress: Callable[[str], None]) -> dict[str, object]:
    text = tariff_text()
    tariff = read_tariff(text)
    (draft / "tariff.toml").write_text(text, "utf-8")
    subscriptions = populate(plan)
    orders = write_orders(plan, subscriptions)
    for name, content in orders.items():
        (draft / "orders" / name).write_bytes(content)
    on_net = [subscription.msisdn for subscription in subscriptions[:ON_NET_NUMBERS]]
    traffic = make_traffic(plan, subscriptions, voice_pool(on_net), sms_pool(on_net))
    progress("sessions")
    written: list[Written] = []
    for file in write_usage(plan, traffic, draft / "usage"):
        written.append(file)
        progress(file.name)
    priced = price_month(tariff, subscriptions, billable_events(tariff, traffic))
    billed = bill_month(plan, tariff, subscriptions, priced)
    payments = make_payments(plan, billed.bills)
    bank_file = f"OCR_{plan.next_month:%Y%m}20_0001.txt"
    (draft / "payments" / bank_file).write_bytes(write_ocr(payments))
    progress("expected totals")
    rows = {name: content.count(b"\n") - NOT_ROWS for name, content in orders.items()}
    return {
        "format": "hovedbok-demo/1",
        "parameters": parameters(plan),
        "subscriptions": len(subscriptions),
        "orders": {"rows": rows, "suspended": 1},
        **expect(written, priced, billed, payments),
    }
