"""Proofs: made from the stored rows, checked with the public key alone, worthless once changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

import app
from ledger import db, service
from ledger.db import transaction
from ledger.db.server import PrivateServer
from ledger.journal import Voucher
from ledger.proof import ProofInvalid, check_proof, render_proof
from ledger.service.proofs import NotSealedYet, voucher_faults, voucher_proof
from ledger.service.signing import Signer, open_signer, public_pem
from tests.ledger.conftest import seal_all
from tests.ledger.test_api import client, code_of

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.ledger.conftest import Drafts

__all__ = ["client"]  # The fixture of the API's tests.

SALE = Voucher("SAL", 2026, 2)


@pytest.fixture
def key(home: Path, monkeypatch: pytest.MonkeyPatch) -> Signer:
    """The sealing key of this process, in this test."""
    monkeypatch.setattr(app, "settings", lambda: None)
    return open_signer(home / "seal-key")


@pytest.fixture
def sold(books: str, drafts: Drafts, key: Signer) -> str:
    """Two batches of invoices, not sealed yet."""
    with transaction() as session:
        service.post_batch(session, drafts.batch("b-1", drafts.invoice("i-1")))
        more = [drafts.invoice(f"i-{n}", 100_00 + 5 * n, party=n) for n in range(2, 9)]
        service.post_batch(session, drafts.batch("b-2", *more))
    return books


@pytest.fixture
def proof(sold: str, key: Signer) -> bytes:
    """The proof of a sale as a file."""
    seal_all(key)
    with transaction() as session:
        return render_proof(voucher_proof(session, "NO01", SALE))


def run(*words: str) -> Result:
    """Run a command of the ledger."""
    return CliRunner().invoke(app.cli, ["ledger", *words])


def test_a_proof_is_small_and_holds(proof: bytes, key: Signer) -> None:
    """A few kilobytes carry the entry and what ties it to the signature."""
    checked = check_proof(proof, key.public_key)
    assert (checked.voucher, checked.position) == (SALE, 2)
    assert checked.entry.lines[0].amount_minor == 100_10
    assert checked.batch["source_ref"] == "b-2"
    columns = json.loads(proof)["block"]["sealed_columns"]
    # The block names every column it covers, table by table; all the rest is what a proof is.
    assert len(proof) - len(json.dumps(columns, indent=3)) < 4_000


def test_every_changed_byte_makes_a_proof_fail_by_name(proof: bytes, key: Signer) -> None:
    """Whichever byte is changed, the proof no longer holds, and a sentence says which step."""
    said = set()
    for place in range(len(proof)):
        changed = bytearray(proof)
        changed[place] ^= 1
        try:
            check_proof(bytes(changed), key.public_key)
        except ProofInvalid as fault:
            said.add(str(fault).split(" does not hold", maxsplit=1)[0])
        else:
            pytest.fail(f"{proof[place - 40 : place + 40]!r} was changed at its middle")
    assert said == {"The form", "The key", "The signature", "The batch", "The entry"}


def _leaves(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(document, dict):
        return [p for k, v in document.items() for p in _leaves(v, (*path, k))]
    if isinstance(document, list):
        return [p for k, v in enumerate(document) for p in _leaves(v, (*path, k))]
    return [path]


def test_every_changed_value_makes_a_well_formed_proof_fail(proof: bytes, key: Signer) -> None:
    """A forger who writes the file anew, in good form, fails at every single value."""
    document = json.loads(proof)
    for path in _leaves(document):
        forged = json.loads(proof)
        at = forged
        for step in path[:-1]:
            at = at[step]
        value = at[path[-1]]
        at[path[-1]] = value + 1 if isinstance(value, int) else f"{value or ''}1"
        with pytest.raises(ProofInvalid):
            check_proof(json.dumps(forged).encode(), key.public_key)


def test_the_key_is_the_readers_own(proof: bytes, tmp_path: Path) -> None:
    """A proof under somebody else's key proves nothing to whoever trusts another."""
    other = open_signer(tmp_path / "other-key")
    with pytest.raises(ProofInvalid, match="The key does not hold"):
        check_proof(proof, other.public_key)


def test_what_is_not_sealed_cannot_be_proved(sold: str, key: Signer) -> None:
    """A voucher without a seal says so."""
    with transaction() as session, pytest.raises(NotSealedYet, match="hovedbok ledger seal"):
        voucher_proof(session, "NO01", SALE)


@pytest.mark.parametrize("change", [
    "UPDATE journal_line SET amount_minor = amount_minor + 1",
    "UPDATE posting_batch SET approved_by = 'x'",
    "UPDATE seal_block SET line_count = line_count + 1",
])  # fmt: skip
def test_one_voucher_is_verified_from_its_rows_up(
    pg: PrivateServer, sold: str, proof: bytes, change: str
) -> None:
    """A change of line, batch or block is found by verifying a single voucher."""
    engine = create_engine(pg.url("postgres", sold))
    with Session(engine) as session:
        assert list(voucher_faults(session, "NO01", SALE)) == []
        session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(text(change))
        ((where, detail),) = voucher_faults(session, "NO01", SALE)
        assert where == "voucher SAL/2026/2"
        assert "does not hold" in detail
        session.rollback()
    engine.dispose()


def test_the_commands_seal_anchor_prove_and_check(
    sold: str, tmp_path: Path, key: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From an unsealed book to a proof that an auditor checks without a database."""
    seal_all(key)
    assert "Nothing new" in run("seal").output
    with transaction() as session:
        service.lock_period(
            session, "NO01", "2026-01", module="GL", level="soft", actor="x", reason="x"
        )
    sealed = json.loads(run("seal", "--json").output)
    assert sealed["block"]["master_rows"] == 2, "the lock, and its line in the audit log"
    assert sealed["blockers"] == []
    folder, file, pem = tmp_path / "anchors", tmp_path / "proof.json", tmp_path / "public.pem"
    assert "is anchored as" in run("anchor", "--to", str(folder)).output
    assert len(list(folder.iterdir())) == 1
    assert run("seal-key", "--out", str(pem)).exit_code == 0
    assert pem.read_text() == public_pem(key.public_key)
    assert "at position 2" in run("proof", "SAL/2026/2", "--out", str(file)).output
    assert run("verify", "--voucher", "SAL/2026/2").exit_code == 0
    assert "checks found nothing" in run("verify", "--anchors", str(folder)).output
    assert run("verify", "--since-anchor").exit_code == 0

    monkeypatch.setattr(db, "engine", _no_database)
    done = run("check-proof", str(file), "--key", str(pem))
    assert "The proof holds: SAL/2026/2 of book NO01" in done.output, done.output
    assert "1500   NOK           100.10" in done.output


def test_the_commands_say_what_they_lack(sold: str, tmp_path: Path) -> None:
    """No place, no voucher, no key: each a sentence."""
    assert "set HOVEDBOK_ANCHORS" in str(run("anchor").exception)
    assert "There is no sealed block" in str(run("anchor", "--to", str(tmp_path)).exception)
    assert "write series, year and number" in str(run("proof", "17").exception)
    pem = tmp_path / "public.pem"
    pem.write_text("no key")
    done = run("check-proof", str(pem), "--key", str(pem))
    assert "holds no public Ed25519 key" in str(done.exception)


def test_seals_and_proofs_over_rest(client: FlaskClient, sold: str, key: Signer) -> None:
    """The chain by pages, a block as its anchor, the key, and a proof that check-proof takes."""
    unsealed = client.get("/api/v1/entries/SAL/2026/2/proof")
    assert code_of(unsealed) == (409, "not-sealed-yet")
    seal_all(key)
    page = client.get("/api/v1/seals?limit=1").get_json()
    assert page["unsealed_batches"] == 0
    assert page["blocks"][0]["block_no"] == 1
    assert client.get(page["next"]).status_code == 200
    block = client.get("/api/v1/seals/1").get_json()
    assert block["block_hash"] == page["blocks"][0]["block_hash"]
    assert code_of(client.get("/api/v1/seals/99")) == (404, "unknown-block")
    (held,) = client.get("/api/v1/seals/key").get_json()["keys"]
    assert held["pem"] == public_pem(key.public_key)
    proof = client.get("/api/v1/entries/SAL/2026/2/proof").data
    assert check_proof(proof, key.public_key).voucher == SALE
    assert code_of(client.get("/api/v1/entries/SAL/2026/99/proof")) == (404, "unknown-entry")


def _no_database(role: str) -> None:
    raise AssertionError(f"the database was asked as {role}")
