"""Settings: read once from the environment, every fault reported together."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import Settings, SettingsInvalid

_VARIABLES = (
    "DATABASE_URL", "HOVEDBOK_OWNER_DATABASE_URL", "HOVEDBOK_AUDITOR_DATABASE_URL",
    "HOVEDBOK_VAULT", "HOVEDBOK_HOST", "HOVEDBOK_PORT", "HOVEDBOK_SECRET_KEY",
    "HOVEDBOK_LOG_LEVEL", "HOVEDBOK_SECURE_COOKIES", "HOVEDBOK_HOME", "HOVEDBOK_PROXIES",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Start from an empty environment in an empty folder."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def _faults(monkeypatch: pytest.MonkeyPatch, **set_to: str) -> SettingsInvalid:
    for name, value in set_to.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsInvalid) as refusal:
        Settings.from_env()
    return refusal.value


def test_nothing_needs_to_be_set(tmp_path: Path) -> None:
    """The defaults are those of docs/operations.md."""
    found = Settings.from_env()
    assert (found.home, found.host, found.port) == (tmp_path / "var", "127.0.0.1", 8000)
    assert found.vault_url == str(tmp_path / "var" / "vault")
    assert (found.database_url, found.log_level, found.secure_cookies) == (None, "info", False)


def test_every_fault_is_reported_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody corrects one variable only to be told of the next."""
    (tmp_path / "file").touch()
    wrong = {
        "DATABASE_URL": "mysql://host/books",
        "HOVEDBOK_OWNER_DATABASE_URL": "postgresql://owner:secret@[::1/books",
        "HOVEDBOK_AUDITOR_DATABASE_URL": "postgresql://h/books?no_such_option=1",
        "HOVEDBOK_HOME": str(tmp_path / "file"),
        "HOVEDBOK_LOG_LEVEL": "loud",
        "HOVEDBOK_PORT": "70000",
        "HOVEDBOK_PROXIES": "-1",
        "HOVEDBOK_SECURE_COOKIES": "perhaps",
        "HOVEDBOK_VAULT": "nowhere://bucket",
    }
    refusal = _faults(monkeypatch, **wrong)
    assert sorted(refusal.facts) == sorted(wrong)
    assert all(f"{name}: " in str(refusal) for name in wrong)


def test_a_fault_does_not_tell_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence may end in a log."""
    refusal = _faults(monkeypatch, DATABASE_URL="postgresql://owner:s3cret@[::1/books")
    assert "s3cret" not in f"{refusal} {refusal.facts}"


@pytest.mark.parametrize(
    "address",
    ["postgresql://h/books", "postgres://u:p@h:5432/books", "postgresql:///b?host=/run/socket",
     "postgresql+psycopg://u:%2F%40@h/b"],
)  # fmt: skip
def test_the_usual_addresses_are_taken(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """With either scheme, through a socket, with escapes."""
    monkeypatch.setenv("DATABASE_URL", address)
    assert Settings.from_env().database_url == address
