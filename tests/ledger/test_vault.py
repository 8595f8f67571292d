"""The vault writes once, finds by content, and notices damage."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.errors import NotFound
from ledger.vault import Vault, VaultCorrupt

ROOT = Path(__file__).resolve().parents[2]


def test_what_is_put_is_got(tmp_path: Path) -> None:
    """The name is the sha256 of the bytes."""
    vault = Vault(tmp_path)
    ref = vault.put(b"a call")
    assert ref.sha256 == sha256(b"a call").hexdigest()
    assert ref.size == len(b"a call")
    assert vault.get(ref.sha256) == b"a call"
    assert vault.has(ref.sha256)


def test_the_same_bytes_are_stored_once(tmp_path: Path) -> None:
    """A repeated command writes nothing new and touches nothing old."""
    vault = Vault(tmp_path)
    ref = vault.put(b"twice")
    path = vault.path(ref.sha256)
    assert path is not None
    before = path.stat().st_mtime_ns
    assert vault.put(b"twice") == ref
    assert path.stat().st_mtime_ns == before
    assert len([p for p in tmp_path.rglob("*") if p.is_file()]) == 1


def test_damage_is_noticed(tmp_path: Path) -> None:
    """One changed byte is an error, never an answer."""
    vault = Vault(tmp_path)
    ref = vault.put(b"evidence")
    path = vault.path(ref.sha256)
    assert path is not None
    path.chmod(0o600)
    path.write_bytes(b"evidencf")
    with pytest.raises(VaultCorrupt, match=ref.sha256):
        vault.get(ref.sha256)


def test_what_is_not_there_says_so(tmp_path: Path) -> None:
    """A missing object is named."""
    with pytest.raises(NotFound, match="no object"):
        Vault(tmp_path).get("0" * 64)


def test_a_killed_writer_leaves_no_object(tmp_path: Path) -> None:
    """A draft that was never renamed is not in the vault; the next writer succeeds."""
    code = (
        "import os, sys, pathlib; from ledger.vault import Vault;"
        "pathlib.Path.replace = lambda self, target: os.kill(os.getpid(), 9);"
        "Vault(sys.argv[1]).put(b'half')"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=False)
    assert killed.returncode == -9
    vault = Vault(tmp_path)
    assert not vault.has(sha256(b"half").hexdigest())
    assert vault.get(vault.put(b"half").sha256) == b"half"


def test_a_full_disk_is_not_filled_by_what_was_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever tries again every minute would else leave a draft each time."""

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            Vault(tmp_path).put(b"a call")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
    assert Vault(tmp_path).put(b"a call").size == len(b"a call")
