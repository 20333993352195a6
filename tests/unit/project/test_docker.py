"""deploy/docker-compose.yml, its Dockerfile and Grafana's files hold together, as far as can be seen without Docker."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tomllib
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

import paper_trading_actors
from actors.configuration.settings_reference import VARIABLE_PREFIX
from actors.settings import Settings
from console.cli import _command_line
from deploy.dashboard.__main__ import FILE, text
from deploy.dashboard.parts import GRAFANA, UID, WIDTH
from tests.support.command_list import command_of, options_of
from tests.support.system.dashboard import board, panels, queries

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
COMPOSE = (DEPLOY / "docker-compose.yml").read_text(encoding="utf-8")
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
INTERPOLATED = re.compile(r"(?<!\$)\$\{(\w+)(?::([-?])([^}]*))?\}")
SECRET = re.compile(r"PASSWORD")
PROMISED_STOP = 5
"""Seconds: docs/operations.md promises that a stop takes no longer."""


def seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


def environment(service: str) -> dict[str, str]:
    return {name: str(value) for name, value in SERVICES[service]["environment"].items()}


def test_each_service_lasts_says_how_it_fares_and_opens_no_port_to_others() -> None:
    assert {"database", "upgrade", "paper", "grafana"} == SERVICES.keys()
    for name, service in SERVICES.items():
        if name != "upgrade":
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] == "CMD", name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
        # What comes from elsewhere has a version; the program is built here.
        assert ("build" in service) == (name in {"paper", "upgrade"})
        if "build" not in service:
            assert re.search(r":(\d+\.\d+\.\d+|latest-pg\d+)(@sha256:[0-9a-f]{64})?$", service["image"]), name
    assert f"grafana/grafana:{GRAFANA}" == SERVICES["grafana"]["image"].partition("@")[0]
    assert "ports" not in SERVICES["paper"]
    for name in ("upgrade", "paper", "grafana"):
        assert {"condition": "service_healthy"} == SERVICES[name]["depends_on"]["database"]


def test_each_container_is_hardened() -> None:
    for name, service in SERVICES.items():
        assert (["ALL"], ["no-new-privileges:true"]) == (service["cap_drop"], service["security_opt"]), name
        assert "privileged" not in service, name
    # What the image of PostgreSQL needs to give the volume to its own user, and to become that user.
    assert {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"} == set(SERVICES["database"]["cap_add"])
    assert {"database"} == {name for name, service in SERVICES.items() if "cap_add" in service}
    assert ["/tmp", "/run/postgresql"] == SERVICES["database"]["tmpfs"]
    for name in ("database", "upgrade", "paper"):
        assert SERVICES[name]["read_only"] is True, name


def test_each_role_has_one_task_and_one_password() -> None:
    database = environment("database")
    assert "postgres" == database["POSTGRES_USER"]
    assert "postgresql://paper@database:5432/paper" == environment("upgrade")["PAPER_DATABASE_URL"]
    assert "postgresql://paper_service@database:5432/paper" == environment("paper")["PAPER_DATABASE_URL"]
    passwords = {
        "postgres": database["POSTGRES_PASSWORD"],
        "paper": environment("upgrade")["PGPASSWORD"],
        "paper_service": environment("paper")["PGPASSWORD"],
        "paper_sender": database["SENDER_PASSWORD"],
        "reader": environment("grafana")["READER_PASSWORD"],
    }
    assert 5 == len(set(passwords.values()))
    assert passwords["paper"] == database["OWNER_PASSWORD"]
    assert passwords["paper_service"] == database["SERVICE_PASSWORD"]
    assert passwords["reader"] == database["READER_PASSWORD"]
    script = (DEPLOY / "timescaledb" / "roles.sh").read_text(encoding="utf-8")
    made = set(re.findall(r"if make (\w+) ([A-Z]+_PASSWORD)", script))
    assert {
        ("paper", "OWNER_PASSWORD"),
        ("paper_service", "SERVICE_PASSWORD"),
        ("paper_sender", "SENDER_PASSWORD"),
        ("reader", "READER_PASSWORD"),
    } == made
    assert {variable for _, variable in made} < database.keys()
    # The superuser password reaches nothing but the database itself.
    others = [value for name in ("upgrade", "paper", "grafana") for value in environment(name).values()]
    assert passwords["postgres"] not in others
    assert {"condition": "service_completed_successfully"} == SERVICES["paper"]["depends_on"]["upgrade"]


def test_the_upgrade_gives_the_rights_by_commands_that_exist() -> None:
    (script,) = SERVICES["upgrade"]["command"]
    assert ["/bin/sh", "-euc"] == SERVICES["upgrade"]["entrypoint"]
    calls = [shlex.split(call) for call in re.findall(r"paper (db [\w -]+)", script)]
    assert [
        ["db", "upgrade"],
        ["db", "role", "create", "paper_service", "--service", "--existing"],
        ["db", "role", "create", "paper_sender", "--sender", "--existing"],
    ] == calls
    for words in calls:
        name = command_of(tuple(words))
        assert name is not None
        assert {option for option in words if option.startswith("--")} <= options_of(name)


@pytest.mark.parametrize(
    ("variables", "called"),
    [
        ({}, None),
        ({"SERVICE_PASSWORD": "s"}, ["db upgrade", "db role create paper_service --service --existing"]),
        (
            {"SERVICE_PASSWORD": "s", "SENDER_PASSWORD": "a b"},
            [
                "db upgrade",
                "db role create paper_service --service --existing",
                "db role create paper_sender --sender --existing",
            ],
        ),
    ],
)
def test_the_upgrade_calls_the_program_and_asks_for_the_password_of_the_service(
    variables: dict[str, str], called: list[str] | None, tmp_path: Path
) -> None:
    program = tmp_path / "paper"
    program.write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    shell, option = SERVICES["upgrade"]["entrypoint"]
    script = SERVICES["upgrade"]["command"][0].replace("$$", "$")  # as compose does
    env = {"PATH": f"{tmp_path}:{os.defpath}", "SENDER_PASSWORD": "", **variables}
    done = subprocess.run([shell, option, script], env=env, capture_output=True, text=True, check=False, timeout=10)
    if called is None:
        assert done.returncode != 0
        assert "set SERVICE_PASSWORD to a password of your choice" in done.stderr
    assert (called or []) == done.stdout.splitlines()


def test_each_named_volume_is_declared_and_each_file_is_there() -> None:
    declared = yaml.safe_load(COMPOSE)["volumes"]
    named = set()
    for service in SERVICES.values():
        for volume in service["volumes"]:
            source, target, *mode = volume.split(":")
            assert target.startswith("/")
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source
                assert mode == ["ro"]
            else:
                named.add(source)
    # The name of the first one is that of earlier versions: their data is in it.
    assert {"data", "home", "grafana"} == named == declared.keys()


def test_no_secret_stands_in_any_file() -> None:
    for service in SERVICES:
        for name, value in environment(service).items():
            if SECRET.search(name):
                assert INTERPOLATED.fullmatch(value), f"{service}: {name}"
    for service in ("upgrade", "paper"):
        user, separator, place = environment(service)["PAPER_DATABASE_URL"].partition("://")[2].partition("@")
        assert ("@", False, False) == (separator, ":" in user, "@" in place)
    assert not SECRET.search(DOCKERFILE)
    for line in (DEPLOY / "example.env").read_text(encoding="utf-8").splitlines():
        assert line.startswith("#") or line.endswith("PASSWORD="), line
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert {"/deploy/.env", "/deploy/paper.env"} <= set(ignored)


def test_a_variable_that_is_missing_is_asked_for() -> None:
    defaults = {name: (sign, rest) for name, sign, rest in INTERPOLATED.findall(COMPOSE)}
    passwords = {f"{name}_PASSWORD" for name in ("POSTGRES", "OWNER", "SERVICE", "SENDER", "READER", "GRAFANA")}
    assert passwords | {"POSTGRES_PORT", "GRAFANA_PORT"} == defaults.keys()
    needed = {"POSTGRES_PASSWORD", "OWNER_PASSWORD"}
    for name in needed:
        assert ("?", f"set {name} to a password of your choice") == defaults[name]
    # Those who want TimescaleDB alone need no other, so compose itself must not ask for these.
    assert dict.fromkeys(passwords - needed, ("-", "")) == {name: defaults[name] for name in passwords - needed}
    required = {
        line.removesuffix("=") for line in (DEPLOY / "example.env").read_text().splitlines() if line.endswith("=")
    }
    assert passwords == required


@pytest.mark.parametrize(
    ("env", "missing"),
    [
        ({}, "GRAFANA_PASSWORD"),
        ({"GF_SECURITY_ADMIN_PASSWORD": "", "READER_PASSWORD": "r"}, "GRAFANA_PASSWORD"),
        ({"GF_SECURITY_ADMIN_PASSWORD": "g", "READER_PASSWORD": ""}, "READER_PASSWORD"),
        ({"GF_SECURITY_ADMIN_PASSWORD": "g", "READER_PASSWORD": "r"}, None),
    ],
)
def test_grafana_does_not_start_without_its_passwords(env: dict[str, str], missing: str | None) -> None:
    shell, option, command = SERVICES["grafana"]["entrypoint"]
    assert ("/bin/sh", "-c") == (shell, option)
    # Compose makes one `$` of two. /run.sh is the image's own.
    script = command.replace("$$", "$").replace("exec /run.sh", "echo started")
    done = subprocess.run([shell, option, script], env=env, capture_output=True, text=True, check=False, timeout=10)
    if missing is None:
        assert (0, "started\n", "") == (done.returncode, done.stdout, done.stderr)
    else:
        assert done.returncode != 0
        assert f"set {missing} to a password of your choice" in done.stderr
        assert done.stdout == ""


def test_what_the_program_gets_are_settings_of_its_own() -> None:
    assert {"PAPER_DATABASE_URL", "PGPASSWORD"} == environment("paper").keys()
    assert "paper" == environment("database")["POSTGRES_DB"]
    names = re.findall(rf"\b{VARIABLE_PREFIX}([A-Z_]+)=", DOCKERFILE)
    assert names == ["HOME"]
    assert {name.lower() for name in names} <= set(Settings.model_fields)
    assert [{"path": "paper.env", "required": False}] == SERVICES["paper"]["env_file"]


def test_it_is_stopped_in_order() -> None:
    paper = SERVICES["paper"]
    assert (True, "SIGTERM") == (paper["init"], paper["stop_signal"])
    assert seconds(paper["stop_grace_period"]) >= 2 * PROMISED_STOP
    assert f"within {PROMISED_STOP} s" in (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    # Without a shell between them, which would keep the signal to itself.
    assert '["python", "/opt/paper-trading/run.py"]' == instructions("ENTRYPOINT")[0]
    assert ["start"] == yaml.safe_load(instructions("CMD")[0])


def test_its_health_is_whether_the_process_is_alive() -> None:
    check = SERVICES["paper"]["healthcheck"]
    _, program, command, option = check["test"]
    assert (program, command, option) == ("paper", "status", "--live")
    assert _command_line(command) is not None
    assert 'exec python /opt/paper-trading/run.py "$@"' in DOCKERFILE.replace("\\n", "\n")
    assert seconds(check["timeout"]) < seconds(check["interval"])


def instructions(name: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.partition(" ")[2].strip() for line in joined.splitlines() if line.startswith(f"{name} ")]


def copied() -> list[str]:
    return [source.rstrip("/") for line in instructions("COPY") for source in shlex.split(line)[:-1]]


def test_the_image_gets_the_whole_program_and_nothing_else() -> None:
    assert all((ROOT / source).exists() for source in copied())
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    modules = {f"{module}.py" for module in tools["py-modules"]}
    packages = {name for name in paper_trading_actors.PACKAGES if (ROOT / name).is_dir()}
    papers = {"deploy/requirements.txt", "LICENSE", "NOTICE", "pyproject.toml"}
    assert papers | modules | packages == set(copied())


def test_what_is_copied_is_not_hidden_and_nothing_else_is_seen() -> None:
    lines = [
        line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] not in {"", "#"}
    ]
    assert "*" == lines[0]
    assert {f"!{source}" for source in copied()} == {line for line in lines if line.startswith("!")}
    assert ["**/__pycache__"] == [line for line in lines[1:] if not line.startswith("!")]


def test_layers_that_change_often_come_last_and_run_as_an_ordinary_user() -> None:
    assert instructions("FROM")[0].startswith("python:3.11-slim")
    order = [
        line.split()[:2] for line in DOCKERFILE.splitlines() if line.startswith(("COPY", "RUN", "USER", "ENTRYPOINT"))
    ]
    assert [["COPY", "deploy/requirements.txt"], ["RUN", "pip"]] == order[:2]
    assert {"--require-hashes", "--only-binary=:all:"} < set(instructions("RUN")[0].split())
    user = instructions("USER")
    assert len(user) == 1
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user[0])
    assert f"--uid {user[0].partition(':')[0]} " in DOCKERFILE


def test_the_boards_file_is_what_its_parts_make() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), "python -m deploy.dashboard writes it anew"


def test_the_board_asks_the_source_that_is_provisioned() -> None:
    provisioned = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/paper-trading.yml").read_text())
    (source,) = provisioned["datasources"]
    assert (UID, "reader", "database:5432") == (source["uid"], source["user"], source["url"])
    assert "paper" == source["jsonData"]["database"]
    # In braces, what looks like a variable within the password would be taken for one.
    assert "$READER_PASSWORD" == source["secureJsonData"]["password"]
    assert "READER_PASSWORD" in environment("grafana")
    wanted = {"type": source["type"], "uid": source["uid"]}

    def sources(part: Any) -> list[Any]:
        if isinstance(part, list):
            return [source for child in part for source in sources(child)]
        if not isinstance(part, dict):
            return []
        own = [part["datasource"]] if "datasource" in part else []
        return own + [source for child in part.values() for source in sources(child)]

    used = sources(board())
    assert len(used) > 2 * len(panels())
    assert all(source == wanted for source in used)
    (provider,) = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/paper-trading.yml").read_text())[
        "providers"
    ]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]
    assert (
        f"{provider['options']['path']}/{FILE.name}"
        == (environment("grafana")["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    )


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    placed = board()["panels"]
    assert len(placed) == len({panel["id"] for panel in placed}) > 25
    assert len(panels()) == len({panel["title"] for panel in placed if panel["type"] != "row"})
    for one, other in combinations([panel["gridPos"] for panel in placed], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or apart, (one, other)
    assert all(0 <= panel["gridPos"]["x"] <= WIDTH - panel["gridPos"]["w"] for panel in placed)


def test_each_panel_says_what_it_shows_and_in_what_unit() -> None:
    for title, panel in panels().items():
        assert panel["description"], title
        kinds = [panel["fieldConfig"]["defaults"], *panel["fieldConfig"]["overrides"]]
        assert kinds, title
        if panel["type"] in {"timeseries", "barchart", "stat", "bargauge"}:
            assert "unit" in str(panel["fieldConfig"]), title
        if panel["type"] == "table":
            assert panel["fieldConfig"]["defaults"]["noValue"], title
    # Money without its currency is no amount.
    for title in (
        "Value",
        "Daily results",
        "Monthly results",
        "Distribution of results",
        "By symbol",
        "Open positions",
    ):
        assert any(panel.startswith(f"{title} ($currency)") for panel in panels())
    assert board()["timezone"] == "utc"


def test_what_is_said_of_no_row_is_not_said_of_a_null() -> None:
    for title, panel in panels().items():
        if panel["type"] in {"table", "stat"}:
            first = panel["fieldConfig"]["overrides"][0]
            assert {"id": "byRegexp", "options": "/.*/"} == first["matcher"], title
            assert [{"id": "noValue", "value": "–"}] == first["properties"], title


def test_variables_are_quoted_as_grafana_fills_them_in() -> None:
    several = {variable["name"]: variable["multi"] for variable in board()["templating"]["list"]}
    single = dict.fromkeys(("portfolio", "portfolio_id", "currency"), False)
    assert {**single, "strategy": True, "symbol": True} == several
    for name, panel in queries():
        sql = panel["targets"][0]["rawSql"]
        # One value stands in quotes, a list in an array, which may be empty. All else is a macro or an interval.
        rest = sql.replace("'$portfolio'", "").replace("'$portfolio_id'", "")
        rest = rest.replace("ARRAY[${symbol}]", "").replace("ARRAY[${strategy}]", "")
        assert set(re.findall(r"\$\{?\w+", rest)) <= {
            "$__timeFilter", "$__timeFrom", "$__timeTo", "$__interval_ms",
        }, name  # fmt: skip


@pytest.mark.parametrize(
    "name", ["GF_AUTH_ANONYMOUS_ENABLED", "GF_ANALYTICS_REPORTING_ENABLED", "GF_USERS_ALLOW_SIGN_UP"]
)
def test_grafana_lets_nobody_in_and_tells_nobody(name: str) -> None:
    assert "false" == environment("grafana")[name]


def test_the_page_beside_them_names_each_file_and_variable() -> None:
    page = (DEPLOY / "README.md").read_text(encoding="utf-8")
    for name in ("docker-compose.yml", "Dockerfile", "example.env", "paper.env", "roles.sh", "grafana/", "dashboard/"):
        assert name in page, name
    assert [name for name, _, _ in INTERPOLATED.findall(COMPOSE) if name not in page] == []
