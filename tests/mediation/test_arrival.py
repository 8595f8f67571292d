"""What lies in a folder of files and is none, or not whole yet: refused by name, and no hang."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy.orm import Session

from ledger.vault import vault
from mediation.cli import files_under, mediation_cli
from mediation.service import ingest_file
from mediation.service.ingest import FileOutcome

HEADING = b"caller,called,start,duration,octets\n"
CALL = b"4790000001,4790000002,2026-03-01T12:00:00+01:00,60,\n"


def _refused(session: Session, path: Path) -> str:
    taken = ingest_file(session, vault(), path)
    assert (taken.state, taken.reason, taken.file_id) == ("refused", "UNREADABLE", 0)
    return str(taken.detail)


def test_what_is_no_file_is_refused_and_does_not_hang(session: Session, tmp_path: Path) -> None:
    """A pipe that nobody writes to, a device without an end, a folder, a link to nowhere."""
    os.mkfifo(tmp_path / "pipe")
    assert "pipe cannot be read: It is a pipe or a device" in _refused(session, tmp_path / "pipe")
    assert "It is a pipe or a device" in _refused(session, Path("/dev/zero"))
    assert "It is a folder" in _refused(session, tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    assert "link cannot be read: No such file" in _refused(session, tmp_path / "link")


def test_a_file_that_grows_is_taken_in_when_it_is_done(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read is a part of it: nothing is recorded, and the whole has its name free."""
    path = tmp_path / "usage.csv"
    path.write_bytes(HEADING + CALL)
    read = Path.read_bytes

    def grow(self: Path) -> bytes:
        raw = read(self)
        with self.open("ab") as more:
            more.write(CALL.replace(b",60,", b",61,"))
        return raw

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", grow)
        assert "It was written to while it was read" in _refused(session, path)
    taken = ingest_file(session, vault(), path)
    assert (taken.state, taken.records) == ("accepted", 2)


def test_nothing_in_a_folder_is_passed_over_in_silence(tmp_path: Path) -> None:
    """A link to nowhere and one to a folder elsewhere are named; one within leads nowhere new."""
    feed, elsewhere = tmp_path / "feed", tmp_path / "elsewhere"
    for folder in (feed / "usage", elsewhere):
        folder.mkdir(parents=True)
        (folder / "a.csv").write_bytes(HEADING)
    (feed / "gone").symlink_to(tmp_path / "nowhere")
    (feed / "mount").symlink_to(elsewhere)
    (feed / "usage" / "up").symlink_to(feed)
    os.mkfifo(feed / "pipe")
    found = [path.relative_to(feed).as_posix() for path in files_under([feed])]
    assert found == ["gone", "mount", "pipe", "usage/a.csv"]


def test_a_folder_that_may_not_be_looked_into_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files may be a night of usage."""
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert files_under([tmp_path]) == [tmp_path / "closed"]


def test_an_empty_folder_is_said_to_be_empty(db: str, tmp_path: Path) -> None:
    """A feed that is not mounted looks like a quiet night."""
    told = CliRunner().invoke(mediation_cli, ["ingest", str(tmp_path)])
    assert told.exit_code == 0
    assert f"There is no file in {tmp_path}." in told.output


@pytest.mark.parametrize(
    "content",
    [
        HEADING + CALL + CALL.replace(b",60,\n", b",60,1000")[:-2],
        b"agreement,parent,billing_account,valid_from\nFRAME,,BA1,2026-03-01",
    ],
)
def test_a_last_line_without_an_end_is_told(
    session: Session, tmp_path: Path, content: bytes
) -> None:
    """Nothing counts these lines: a number that is cut off is a smaller number."""

    def take(name: str, raw: bytes) -> FileOutcome:
        (tmp_path / name).write_bytes(raw)
        return ingest_file(session, vault(), tmp_path / name)

    cut = take("cut.csv", content)
    assert cut.state == "accepted"
    assert [kind for kind, _ in cut.alarms] == ["NO_LINE_END"]
    assert take("whole.csv", content + b"\n").alarms == ()


def test_a_compressed_file_is_told_to_be_unpacked(session: Session, tmp_path: Path) -> None:
    """No decoder can be added for it, and nothing of it is unpacked here."""
    path = tmp_path / "usage.csv.gz"
    path.write_bytes(gzip.compress(HEADING + CALL))
    taken = ingest_file(session, vault(), path)
    assert (taken.state, taken.reason) == ("parked", "unknown_format")
    assert str(taken.detail).endswith(
        "It is compressed (gzip): unpack it, and take in what is in it."
    )
