"""What a clerk of the simulator does: each deed is drawn, done over the line, and held to account.

A deed says what it will become as a batch of the model's, or why it will be refused, before it is
done. `DEEDS` is what a history draws from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from sqlalchemy.orm import Session

from ledger import refusals, service
from ledger.closing import YearResultLeft
from ledger.drafts import Draft
from ledger.errors import Problem
from ledger.journal import AllocationDraft, BatchDraft, EntryDraft, ItemDraft, Line, Posted
from ledger.service import assertions, drafting, revaluation
from ledger.service.reading import fold_balances
from ledger.undoing import AllocationUndone, ItemInUse, NotSoftClosed, UndoRefused
from tests.ledger.model import OWN, Fact, Use
from tests.ledger.simulator import ACTORS, World

PERIODS = ("2025-12", "2026-01", "2026-02")
MODULES = ("GL", "AR", "BILLING")


def post(world: World) -> None:
    """Put batches into the mailbox, and deliver from it: late, in any order, perhaps again."""
    chance = world.chance
    world.mailbox += [world.draw_batch() for _ in range(chance.randint(1, 3))]
    chance.shuffle(world.mailbox)
    for _ in range(chance.randint(1, 4)):
        draft = chance.choice(world.mailbox[:2])
        if chance.random() < 0.1:
            first, *rest = draft.entries
            draft = replace(draft, entries=(replace(first, text="Noe annet"), *rest))
        world.deliver(draft)
    del world.mailbox[: chance.randint(0, 1)]


def allocate(world: World) -> None:
    """Use an item against another: often fitting, sometimes not, sometimes twice."""
    draft = world.draw_allocation()
    for _ in range(world.chance.randint(1, 2)):
        if draft is not None:
            world.deliver(draft)


def write_off(world: World) -> None:
    """Establish the loss of what is left of a claim, which settles it."""
    model, chance = world.model, world.chance
    claims = [name for name, left in model.outstanding(None, None).items() if left > 0]
    if not claims:
        return
    name, ref = chance.choice(claims), world.ref()
    item, left = model.items[name], model.outstanding(None, None)[name]
    on = max(item.opened_on, world.day())
    lost = ItemDraft("loss", ref, None, on, on)
    lines = (
        Line("7830", left, item.currency),
        Line(item.account, -left, item.currency, party_id=item.party, item=lost),
    )
    entry = EntryDraft("JNL", on, on, "loss", ref, "Tap", lines)
    use = AllocationDraft((0, 2), name, left, on, "loss")
    world.deliver(world.batch(entry, uses=(use,)))


def undo(world: World, use: Use | None = None) -> None:
    """Take an allocation back, perhaps too early, twice, or an undoing itself."""
    model, chance = world.model, world.chance
    if not model.uses:
        return
    use = use or chance.choice(model.uses)
    ref, on = world.ref(), world.day()
    if chance.random() < 0.7:
        on = max(on, use.on)
    draft = BatchDraft(world.book, "undo", ref, chance.choice(ACTORS), ())
    early = None
    if not model.is_open("AR", on, draft.actor):
        early = refusals.PeriodClosed
    elif any(other.undoes == use.name for other in model.uses):
        early = AllocationUndone
    elif use.amount < 0 or on < use.on:
        early = UndoRefused

    def deed(session: Session) -> Posted:
        return service.undo_allocation(
            session, use.name, effective_date=on, reason="test", actor=draft.actor, source_ref=ref
        )

    posted = world.deliver(draft, deed, early)
    if posted is not None:
        model.undo(use, on, posted.batch_id)


def reverse(world: World, fact: Fact | None = None) -> None:
    """Take an entry back by the verb that settles its items too."""
    if not world.model.facts:
        return
    chance = world.chance
    fact = fact or chance.choice(world.model.facts)
    ref, on = world.ref(), world.day()
    if chance.random() < 0.7:
        on = max(on, fact.entry.effective_date)
    mirror, uses, early = _mirror(world, fact, ref, on)
    draft = BatchDraft(world.book, "reversal", ref, chance.choice(ACTORS), (mirror,), uses)

    def deed(session: Session) -> Posted:
        return service.reverse_entry(
            session, fact.entry_id, effective_date=on, reason="test", actor=draft.actor,
            source_ref=ref,
        )  # fmt: skip

    world.deliver(draft, deed, early)


def _mirror(
    world: World, fact: Fact, ref: str, on: date
) -> tuple[EntryDraft, tuple[AllocationDraft, ...], type[Problem] | None]:
    """Draft the reversal of an entry, what it settles, and why it may not be."""
    model = world.model
    left = model.outstanding(None, None)
    posted = next(p for _, p in model.batches.values() if p.batch_id == fact.batch)
    uses, early = [], None
    undone = [use.on for use in model.uses if use.amount < 0 and {use.credit, use.debit} & {
        name for (place, _), name in posted.open_item_ids.items()
        if posted.entry_ids[place] == fact.entry_id
    }]  # fmt: skip
    settled_on = max([on, *undone])
    for (place, line_no), name in sorted(posted.open_item_ids.items()):
        if posted.entry_ids[place] != fact.entry_id:
            continue
        item, rest = model.items[name], left.get(name, 0)
        if item.amount < 0 and rest != item.amount:
            early = ItemInUse
        pair = ((0, line_no), name) if item.amount > 0 else (name, (0, line_no))
        if rest:
            uses.append(AllocationDraft(*pair, abs(rest), settled_on, "reversal"))
    if any(other.entry.reverses_entry_id == fact.entry_id for other in model.facts):
        early = refusals.AlreadyReversed
    if fact.entry.reverses_entry_id is not None:
        early = None  # The model knows that a reversal is final.
    lines = tuple(
        replace(line, amount_minor=-line.amount_minor, base_minor=-line.base)
        for line in fact.entry.lines
    )
    mirror = replace(
        fact.entry, effective_date=on, source_ref=ref, lines=lines, entry_type="reversal",
        reverses_entry_id=fact.entry_id,
    )  # fmt: skip
    return mirror, tuple(uses), early


def lock(world: World, level: str = "", period: str = "", module: str = "") -> None:
    """Close a period for a module, or open it again; seldom for good."""
    chance, model = world.chance, world.model
    period, module = period or chance.choice(PERIODS), module or chance.choice(MODULES)
    level = level or chance.choice(["soft", "soft", "open", "open", "open", "hard"])
    passes = model.lock(period, module, level)

    def deed(session: Session) -> int:
        return service.lock_period(
            session, world.book, period, module=module, level=level, actor="x", reason="test"
        )

    try:
        world.send(deed, stubborn=True)
    except refusals.PeriodLockedForGood:
        # A retry after a lost answer meets the hard lock that the first try has set.
        assert not passes or level == "hard"
    except YearResultLeft:
        assert not passes
    else:
        assert passes


def leave(world: World) -> None:
    """Let one actor into a soft-closed module."""
    chance, model = world.chance, world.model
    period, module, actor = chance.choice(PERIODS), chance.choice(MODULES), chance.choice(ACTORS)
    soft = model.locks.get((period, module)) == "soft" and model.locks.get((period, "GL")) != "hard"

    def deed(session: Session) -> int:
        return service.grant_exception(
            session, world.book, period, module=module, actor=actor, reason="test",
            granted_by="cora", expires_at=datetime.now(UTC) + timedelta(days=1),
        )  # fmt: skip

    try:
        world.send(deed, stubborn=True)
    except NotSoftClosed:
        assert not soft
    else:
        assert soft
        model.leaves.add((period, module, actor))


def approve(world: World) -> None:
    """A person's draft becomes a fact when another approves it; asking twice is one draft."""
    made = replace(world.entry("journal"), entry_type="manual")
    written = BatchDraft(world.book, "manual", "draft", "staff:anna", (made,))
    expected, key = world.model.refusal(written), world.ref()

    def write(session: Session) -> tuple[int, bytes]:
        view, _ = drafting.create_draft(
            session, Draft(world.book, made), actor="staff:anna", key=key, ready=True
        )
        return view.draft_id, view.latest.content_hash

    refusal, opened = None, None
    try:
        opened = world.send(write)
    except Problem as problem:
        refusal = type(problem)
    if opened is None:
        assert refusal in {expected, None}
        return
    assert expected is None
    draft_id, content = opened

    def judge(session: Session) -> Posted:
        return drafting.approve(session, draft_id, content, approver="staff:berit")

    world.deliver(replace(written, source_ref=f"draft/{draft_id}"), judge)


def realise(world: World, on: date | None = None) -> None:
    """Post what settled items in euro have gained; a second run finds nothing."""
    on, model = on or world.day(), world.model
    ref = _turn(world, f"realised/{world.book}/{on}/")
    entries = []
    for number, ((account, party, currency), gain) in enumerate(model.realised(on).items()):
        item = ItemDraft("exchange_difference", f"{currency}/{on}", None, on, on)
        lines = (
            Line(account, 0, currency, party_id=party, item=item, base_minor=gain),
            Line("8060" if gain > 0 else "8160", 0, currency, base_minor=-gain),
        )
        entries.append(EntryDraft("JNL", on, on, "exchange", f"{ref}/{number}", "Agio", lines))
    _revalue(world, ref, tuple(entries), lambda session: revaluation.post_realised(
        session, world.book, on, actor="anna"))  # fmt: skip


def adjust(world: World, on: date | None = None) -> None:
    """Value holdings in euro at the rate of a day, and take that back on the next."""
    on, own = on or world.day(), OWN
    ref = _turn(world, f"unrealised/{world.book}/{on}/")
    there: list[Line] = []
    for (account, currency), gain in world.model.unrealised(on).items():
        said = f"{account}, {currency}"
        result = "8060" if gain > 0 else "8160"
        there += [Line("1588", gain, own, text=said), Line(result, -gain, own, text=said)]
    back = tuple(replace(line, amount_minor=-line.amount_minor) for line in there)
    next_day = on + timedelta(days=1)
    entries = (
        EntryDraft("JNL", on, on, "exchange", f"{ref}/there", "Agio", tuple(there)),
        EntryDraft("JNL", next_day, next_day, "exchange", f"{ref}/back", "Agio", back),
    )
    _revalue(world, ref, entries if there else (), lambda session: revaluation.post_unrealised(
        session, world.book, on, actor="anna"))  # fmt: skip


def _turn(world: World, prefix: str) -> str:
    done = sum(ref.startswith(prefix) for ref in world.model.batches)
    return f"{prefix}{done + 1}"


def _revalue(
    world: World, ref: str, entries: tuple[EntryDraft, ...],
    deed: Callable[[Session], Posted | None],
) -> None:  # fmt: skip
    if entries:
        world.deliver(BatchDraft(world.book, revaluation.SYSTEM, ref, "anna", entries), deed)
    else:
        assert world.send(deed) is None


def say(world: World) -> None:
    """Record what somebody says a balance is, twice, and refuse another figure of theirs."""
    on, source = world.day(), world.ref()
    claim = assertions.Assertion("1920", OWN, on, world.chance.randint(-900, 900), source)
    for figure in (claim, claim, replace(claim, expected_minor=claim.expected_minor + 1)):
        try:
            world.send(
                lambda session, it=figure: assertions.assert_balance(  # type: ignore[misc]
                    session, world.book, it, actor="anna"
                ),
                stubborn=True,
            )
        except assertions.AssertionDiffers:
            assert figure is not claim
        else:
            assert figure is claim
    world.asserted.append(claim)


def seal(world: World) -> None:
    """Seal what is certain; whoever is cut off seals again."""
    world.send(lambda session: service.seal(session, world.key))


def fold(world: World) -> None:
    """Sum by month what was sealed since the last fold; no balance changes by it."""
    world.send(lambda session: fold_balances(session, world.book, 1))


DEEDS: tuple[tuple[Callable[[World], None], int], ...] = (
    (post, 6), (allocate, 4), (undo, 2), (reverse, 2), (write_off, 1), (lock, 2), (leave, 1),
    (approve, 1), (realise, 1), (adjust, 1), (say, 1), (seal, 2), (fold, 1),
)  # fmt: skip
STEPS = 14


def live(world: World, steps: int = STEPS) -> None:
    """Draw and do the deeds of a history, then check the whole book."""
    deeds, weights = zip(*DEEDS, strict=True)
    post(world)
    for deed in world.chance.choices(deeds, weights, k=steps):
        deed(world)
    world.check()
