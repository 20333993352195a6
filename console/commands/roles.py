"""``run.py db role``: roles of the database that send decisions, read, or serve, without owning the tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from actors.settings import Settings
from console.cli import print_error, wrong_usage
from console.database import connected, ensure_schema, require_database
from console.display.format import answer, print_exactly, terminal
from console.display.table import full_table
from console.options import AsJson, with_settings
from domain.errors import SettingsError
from domain.files.owners import user_name
from domain.program import command_name
from persistence.embedded.server import EmbeddedServer
from persistence.embedded.shared_socket import stored_socket, wanted_socket
from persistence.roles.accounts import require_name
from persistence.roles.administration import RoleAdministration, RoleState
from persistence.roles.rights import Role
from persistence.roles.urls import role_url
from persistence.sessions.address import with_schema

app = typer.Typer(rich_markup_mode=None)
Name = Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and underscores.")]
KNOWN_ONCE = "The URL has the password of the role, which is stored nowhere; keep it as a secret."
NOT_KNOWN = "The URL has the word PASSWORD where the password belongs, which only its owner knows."


@dataclass(frozen=True, slots=True)
class _Database:
    """The database of a command.

    Attributes:
        url: for the owner of its tables.
        server: the embedded one; None where a URL is configured.
    """

    url: str
    server: EmbeddedServer | None

    @property
    def administration(self) -> RoleAdministration:
        """What makes and removes its roles."""
        return RoleAdministration(self.url, self.server.admin_url if self.server is not None else None)


@app.command()
@with_settings
def create(
    settings: Settings,
    name: Name,
    sender: Annotated[bool, typer.Option("--sender", help="It sends decisions, and sees its own ones.")] = False,
    reader: Annotated[bool, typer.Option("--reader", help="It reads all tables and views.")] = False,
    service: Annotated[bool, typer.Option("--service", help="It runs the service without owning the tables.")] = False,
    existing: Annotated[
        bool, typer.Option("--existing", help="The server has this role already; give it the rights alone.")
    ] = False,
    connections: Annotated[
        int, typer.Option("--connections", min=1, max=1000, help="How many sessions it may have at a time.")
    ] = 20,
    socket_folder: Annotated[
        str | None,
        typer.Option(
            "--socket-folder",
            metavar="FOLDER",
            help="The folder of the embedded database's second socket, outside of home.",
        ),
    ] = None,
    socket_mode: Annotated[
        str | None,
        typer.Option("--socket-mode", metavar="MODE", help="Who may enter that folder [755, with a group 750]."),
    ] = None,
    socket_group: Annotated[
        str | None, typer.Option("--socket-group", metavar="GROUP", help="The group of that folder.")
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Restart the embedded database at once where that opens the socket.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    r"""Make a role with exactly the rights that it needs, and print its URL, which holds its password.

    \b
      run.py db role create agent --sender
      run.py db role create agent --sender --reader
      run.py db role create dashboard --reader
      run.py db role create agent --sender --socket-group traders --restart

    A sender inserts decisions, cancels its own ones by a CANCEL, and sees their outcomes; it changes no row and sees
    nothing of others. The embedded database gets a second socket in a folder that other users may enter, where roles
    connect with their password. A running server opens it at its next start, or with --restart, over which the service
    reconnects by itself. A process of the service's own user can always become the owner: roles protect against other
    users, other machines, and agents that hold nothing but the URL.
    """
    require_name(name)
    role = Role(name, sends=sender, reads=reader, serves=service)
    if not role.kinds:
        raise wrong_usage("db role create needs --sender, --reader or both, or --service", "db role create")
    if role.serves and (role.sends or role.reads):
        raise wrong_usage("--service stands alone: the service sends and reads", "db role create")
    options = {"folder": socket_folder, "mode": socket_mode, "group": socket_group}
    if settings.url is not None and (restart or any(options.values())):
        raise SettingsError("the second socket is one of the embedded database, but database_url is set")
    if settings.url is None and role.serves:
        raise SettingsError("the embedded database is served by its owner; --service is for a database_url")
    with _database(settings) as database:
        ensure_schema(database.url)
        folder, is_open = None, True
        if database.server is not None:
            socket = wanted_socket(settings.home.expanduser().resolve(), **options)
            is_open = database.server.open_to_roles(socket, restart=restart)
            folder = Path(socket.folder)
        secret = None
        if existing:
            database.administration.adopt(role)
        else:
            secret = database.administration.create(role, connections=connections)
        url = role_url(database.url, name, secret, folder=folder)
    document = {
        "role": name,
        "kinds": list(role.kinds),
        "url": url,
        "socket_folder": str(folder) if folder is not None else None,
        "socket_open": is_open,
    }
    answer(as_json, document, lambda: print_exactly(f"{url}\n"))
    if not as_json:
        for line in _remarks(settings, role, folder, is_open=is_open, is_new=secret is not None):
            print_error(line)


@app.command("list")
@with_settings
def list_roles(settings: Settings, as_json: AsJson = False) -> None:
    """List the roles that were made for this database, what each may do, and its sessions.

    A role that is missing was removed from the server, or came with a backup of another one.
    """
    require_database(settings)
    with _database(settings) as database:
        ensure_schema(database.url)
        states = database.administration.roles()
    document = {"roles": [_to_dict(state) for state in states]}
    answer(as_json, document, lambda: _print_roles(states))


@app.command()
@with_settings
def password(settings: Settings, name: Name, as_json: AsJson = False) -> None:
    r"""Give a role another password, and print its URL; the old one is refused from then on.

    \b
      run.py db role password agent

    Sessions that are open stay open; `run.py db role remove` ends them.
    """
    require_database(settings)
    with _database(settings) as database:
        ensure_schema(database.url)
        secret = database.administration.set_password(name)
        socket = stored_socket(settings.home.expanduser().resolve()) if database.server is not None else None
        folder = Path(socket.folder) if socket is not None else None
        url = role_url(database.url, name, secret, folder=folder)
    answer(as_json, {"role": name, "url": url}, lambda: print_exactly(f"{url}\n"))
    if not as_json:
        print_error(KNOWN_ONCE)


@app.command()
@with_settings
def remove(settings: Settings, name: Name, as_json: AsJson = False) -> None:
    r"""Take away the rights of a role, end its sessions, and remove it; its decisions and orders stay.

    \b
      run.py db role remove agent
    """
    require_database(settings)
    with _database(settings) as database:
        ensure_schema(database.url)
        gone = database.administration.remove(name)
    text = f"role {name} is removed; decisions that it sent stay, and open orders rest"
    if not gone:
        text = (
            f"role {name} has no rights here any more; it stays on the server, because it has some elsewhere or"
            f" this user may not remove it: as a superuser DROP OWNED BY {name}, then DROP ROLE {name}"
        )
    answer(as_json, {"role": name, "removed": gone}, text)


@contextmanager
def _database(settings: Settings) -> Iterator[_Database]:
    if settings.url is not None:
        with connected(settings) as url:
            yield _Database(url, None)
        return
    server = EmbeddedServer.attach(settings.home, settings.postgres_bin)
    try:
        yield _Database(with_schema(server.url, settings.database_schema), server)
    finally:
        server.release(spare_sessions=True)


def _remarks(settings: Settings, role: Role, folder: Path | None, *, is_open: bool, is_new: bool) -> Iterator[str]:
    """Yield what a person should know beside the URL."""
    yield KNOWN_ONCE if is_new else NOT_KNOWN
    if folder is None:
        if not role.serves:
            yield "Keep the owner's URL from what sends decisions: with it, results can be written."
        return
    owner = user_name(settings.home.expanduser().stat().st_uid)
    users = "root" if owner == "root" else f"{owner} or root"
    yield (
        f"A process of {users} can always become the owner of the database: give the URL to another user of this"
        " machine, or to an agent that holds nothing else."
    )
    if not is_open:
        yield f"The socket in {folder} opens at the next start of the service; --restart opens it at once."


def _to_dict(state: RoleState) -> dict[str, Any]:
    return {
        "role": state.role.name,
        "kinds": list(state.role.kinds),
        "exists": state.exists,
        "connection_limit": state.connection_limit,
        "sessions": state.sessions,
    }


def _limit(state: RoleState) -> str:
    if not state.exists:
        return "–"
    return "any number" if state.connection_limit is None else str(state.connection_limit)


def _print_roles(states: list[RoleState]) -> None:
    out = terminal()
    if not states:
        out.print(f"No role was made yet; `{command_name()} db role create NAME --sender` makes one.")
        return
    rows = [
        (
            state.role.name,
            " and ".join(state.role.kinds),
            str(state.sessions) if state.exists else "–",
            _limit(state),
            "" if state.exists else "missing on the server",
        )
        for state in states
    ]
    out.print(full_table(out, ["role", "kind", "sessions", "limit", "state"], rows, right=["sessions", "limit"]))
