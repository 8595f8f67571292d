"""Commands of the demo month: `hovedbok demo make`."""

import sys
from pathlib import Path

import click

from mediation.demo.month import is_made, make_month, steps
from mediation.demo.plan import make_plan


@click.group("demo")
def demo() -> None:
    """Make the files of a month of an operator that does not exist."""


@demo.command("make")
@click.option("--month", default="2026-03", show_default=True, help="Calendar month, YYYY-MM.")
@click.option(
    "--out",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to be made; it must be new or empty.",
)
@click.option("--subscribers", default=2_000, show_default=True, help="Number of subscriptions.")
@click.option("--days", default=None, type=int, help="Days with usage; default the whole month.")
@click.option("--seed", default=1, show_default=True, help="Another seed gives another month.")
def make(month: str, folder: Path, subscribers: int, days: int | None, seed: int) -> None:
    """Write tariff, orders, usage, payments and the totals they must come to.

    The same arguments give the same bytes. A folder that already holds this month is left alone.
    """
    plan = make_plan(month, subscribers, days, seed)
    if is_made(plan, folder):
        click.echo(f"{folder} already holds this month.")
        return
    click.echo(f"Making {month} with {subscribers} subscriptions in {folder}")
    with click.progressbar(length=steps(plan), label="Writing files", file=sys.stderr) as bar:
        content = make_month(plan, folder, lambda _: bar.update(1))
    totals = content["totals"]
    assert isinstance(totals, dict)
    click.echo(
        f"{totals['records']} records in {totals['files']} usage files, "
        f"{totals['invoices']} invoices and {totals['payments']} payments to be expected."
    )
