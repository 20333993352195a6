"""Settings: their sources, which source wins, the message about a wrong one, and what is recorded and masked."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.settings import Settings
from domain.errors import SettingsError


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working folder, and no variable of the caller's."""
    import os  # noqa: PLC0415

    for name in [name for name in os.environ if name.upper().startswith("PAPER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def error_message(**options: object) -> str:
    """Return the message about settings that are refused."""
    with pytest.raises(SettingsError) as error:
        Settings(**options)
    assert "\n" not in str(error.value)
    assert "pydantic" not in str(error.value)
    return str(error.value)


def test_the_documented_defaults() -> None:
    settings = Settings()
    assert settings.portfolio_values() == {
        "initial_capital": Decimal(10_000),
        "currency": "USDT",
        "commission_pct": Decimal("0.001"),
        "fees": "own",
        "min_commission": Decimal(1),
        "slippage_pct": Decimal("0.0005"),
        "price_rule": "quote",
        "max_touch_share": Decimal(1),
        "max_position_size": Decimal("0.20"),
        "decision_confidence_threshold": Decimal("0.6"),
        "min_notional": Decimal(10),
        "default_risk_score": Decimal("0.3"),
    }
    assert (settings.check_interval, settings.snapshot_interval) == (60, 60)
    assert (settings.price_grace, settings.max_price_age) == (1, 30)
    assert settings.prices == "ccxt"
    assert settings.url is None
    assert settings.home == Path("~/.paper-trading").expanduser()


def test_options_beat_variables_beat_the_file_beat_defaults(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "paper.toml").write_text('seed = 2\nprice_interval = 2\nmin_commission = "2"\nsymbols = ["A/B", "C/D"]')
    monkeypatch.setenv("PAPER_SEED", "3")
    monkeypatch.setenv("PAPER_PRICE_INTERVAL", "3")
    monkeypatch.setenv("PAPER_PRICES", "")  # empty is not set
    settings = Settings(seed=4)
    assert (settings.seed, settings.price_interval, settings.min_commission) == (4, 3, Decimal(2))
    assert settings.symbols == ("A/B", "C/D")
    assert settings.prices == "ccxt"


def test_symbols_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPER_SYMBOLS", "BTC/USDT, ETH/USDT,")
    assert Settings().symbols == ("BTC/USDT", "ETH/USDT")


def test_amounts_are_exact() -> None:
    settings = Settings(commission_pct=0.1, initial_capital="10000.000000000001")
    assert settings.commission_pct == Decimal("0.1")
    assert settings.initial_capital == Decimal("10000.000000000001")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("commission_pct", Decimal("0.2"), "setting commission_pct = 0.2: must be at most 0.1"),
        ("commission_pct", "-0.1", "setting commission_pct = '-0.1': must be at least 0"),
        ("initial_capital", "0", "setting initial_capital = '0': must be above 0"),
        ("initial_capital", "NaN", "setting initial_capital = 'NaN': must be a finite number"),
        ("initial_capital", "Infinity", "setting initial_capital = 'Infinity': must be a finite number"),
        ("initial_capital", "much", "setting initial_capital = 'much': must be a decimal number such as 0.75"),
        ("initial_capital", "1e20", "setting initial_capital = '1e20': must be below 100000000000000000000"),
        ("max_position_size", "0", "setting max_position_size = '0': must be above 0"),
        ("max_position_size", "20", "setting max_position_size = '20': must be at most 1"),
        ("currency", "usd", "setting currency = 'usd': must be 2 to 20 letters and digits in upper case"),
        ("check_interval", "often", "setting check_interval = 'often': must be a number"),
        ("check_interval", 0, "setting check_interval = 0: must be above 0"),
        ("max_price_age", 1e9, "setting max_price_age = 1000000000.0: must be at most 86400"),
        ("check_interval", "nan", "setting check_interval = 'nan': must be a finite number"),
        ("check_interval", True, "setting check_interval = True: must not be true or false"),
        ("snapshot_interval", "1.5", "setting snapshot_interval = '1.5': must be a whole number"),
        ("price_grace", "inf", "setting price_grace = 'inf': must be"),
        ("price_speed", "inf", "setting price_speed = 'inf': must be a number above 0, at most 1000000, or max"),
        (
            "price_from",
            "soon",
            "setting price_from = 'soon': must be a date or a time such as 2025-01-31 or 2025-01-31T12:0",
        ),
        ("price_spread", "1.1", "setting price_spread = '1.1': must be at most 1"),
        ("price_spread", "-0.1", "setting price_spread = '-0.1': must be at least 0"),
        ("seed", "x", "setting seed = 'x': must be a whole number"),
        ("symbols", 5, "setting symbols = 5: must be a list of words"),
        ("home", 5, "setting home = 5: must be a path"),
        ("metrics_port", 0, "setting metrics_port = 0: must be at least 1"),
        ("metrics_port", "65536", "setting metrics_port = '65536': must be at most 65535"),
        ("max_decision_age", -1, "setting max_decision_age = -1: must be at least 0"),
        ("max_decision_age", "nan", "setting max_decision_age = 'nan': must be"),
        ("log_level", "loud", "setting log_level = 'loud': must be TRACE, DEBUG, INFO, WARNING or ERROR"),
        ("prices", 5, "setting prices = 5: must be text"),
        ("prices", " ", "setting prices = ' ': must not be empty"),
        ("home", "", "setting home = '': must not be empty"),
        ("home", "~no-such-user/x", "setting home = '~no-such-user/x': must be a folder, and there is no such user"),
        ("home", "x" * 300, f"setting home = '{'x' * 58}…: must be a folder, and File name too long"),
        ("database_schema", "A", "setting database_schema = 'A': must be a schema's name in lower case, such as"),
        ("database_schema", "pg_catalog", "setting database_schema = 'pg_catalog': must not be a schema of PostgreSQL"),
        ("exchange_options", "x", 'setting exchange_options = ********: must be a table, as a variable in JSON: {"ti'),
    ],
)
def test_the_message_names_the_setting_its_value_and_what_is_allowed(name: str, value: object, message: str) -> None:
    assert error_message(**{name: value}).startswith(message)


def test_the_message_names_the_source_of_a_wrong_value(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "paper.toml").write_text("seed = 'x'\nprice_speed = 0")
    assert error_message() == "setting seed = 'x' (from paper.toml): must be a whole number"
    monkeypatch.setenv("PAPER_SEED", "y")
    assert error_message() == "setting seed = 'y' (from PAPER_SEED): must be a whole number"


def test_an_unknown_setting_is_refused_with_a_similar_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert error_message(sead=1) == "'sead' is not a setting; did you mean seed?"
    monkeypatch.setenv("PAPER_COMISSION_PCT", "0.1")
    message = "the environment variable PAPER_COMISSION_PCT is not a setting; did you mean PAPER_COMMISSION_PCT?"
    assert error_message() == message
    monkeypatch.delenv("PAPER_COMISSION_PCT")
    (folder / "paper.toml").write_text("[portfolio]\ninitial_capital = 5")
    assert error_message() == "'portfolio' in paper.toml is not a setting"


@pytest.mark.parametrize(
    "text", ["prices = ", "prices = 'a'\nprices = 'b'", "\x00", f"seed = {'9' * 5000}", f"seed = {'[' * 5000}"]
)
def test_a_file_that_is_not_toml(folder: Path, text: str) -> None:
    (folder / "paper.toml").write_text(text)
    assert error_message().startswith("paper.toml cannot be read as TOML: ")


def test_the_message_about_another_encoding_names_line_and_column(folder: Path) -> None:
    (folder / "paper.toml").write_bytes("seed = 1\nexchange = 'kräken'".encode("latin-1"))
    assert error_message() == "paper.toml cannot be read as TOML: it is not UTF-8 (at line 2, column 15)"
    (folder / "paper.toml").write_bytes("seed = 1".encode("utf-16"))
    assert error_message() == "paper.toml cannot be read as TOML: it is not UTF-8 (at line 1, column 1)"


def test_a_file_with_a_byte_order_mark_and_windows_line_ends_is_read(folder: Path) -> None:
    (folder / "paper.toml").write_bytes(b"\xef\xbb\xbfseed = 2\r\nprice_interval = 3\r\n")
    assert (Settings().seed, Settings().price_interval) == (2, 3)


def test_a_file_that_cannot_be_read_is_an_error(folder: Path) -> None:
    (folder / "paper.toml").mkdir()
    assert error_message() == "paper.toml cannot be read: Is a directory"
    (folder / "paper.toml").rmdir()
    (folder / "paper.toml").symlink_to("paper.toml")
    assert error_message() == "paper.toml cannot be read: Too many levels of symbolic links"


def test_exchange_options_of_a_variable_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPER_EXCHANGE_OPTIONS", '{"timeout": 5000}')
    assert Settings().exchange_options == {"timeout": 5000}
    for wrong in ('{"apiKey": "s3cret"', "[1]", "s3cret", "[" * 100_000):
        monkeypatch.setenv("PAPER_EXCHANGE_OPTIONS", wrong)
        message = error_message()
        assert message.startswith("setting exchange_options = ******** (from PAPER_EXCHANGE_OPTIONS): must be a table")
        assert "s3cret" not in message


@pytest.mark.parametrize("url", ["postgresql://u:s3cret@s3cret@h/d", 5, "postgresql://u:s3cret@@h/d"])
def test_no_message_contains_the_database_url(url: object) -> None:
    message = error_message(database_url=url)
    assert message.startswith("setting database_url = ********: ")
    assert "s3cret" not in message


def test_secrets_are_masked_wherever_settings_are_printed() -> None:
    settings = Settings(database_url="postgresql://u:s3cret@h/d?application_name=a@b")
    assert settings.url == "postgresql://u:s3cret@h/d?application_name=a@b"
    assert settings.redacted()["database_url"] == "********"
    assert "s3cret" not in repr(settings) + str(settings) + str(settings.model_dump())


def test_isolated_settings_use_neither_file_nor_variables(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "paper.toml").write_text("seed = 2")
    monkeypatch.setenv("PAPER_SEED", "3")
    monkeypatch.setenv("PAPER_NONSENSE", "3")
    settings = Settings.isolated(home=folder)
    assert (settings.seed, settings.home) == (1, folder)
    with pytest.raises(SettingsError, match="'sead' is not a setting"):
        Settings.isolated(sead=1)


def test_home_must_be_a_folder_or_not_exist(folder: Path) -> None:
    (folder / "file").write_text("")
    assert error_message(home="file") == "setting home = 'file': must be a folder, and is a file"
    (folder / "loop").symlink_to(folder / "loop")
    for home in ("loop", "loop/below"):
        assert error_message(home=home) == f"setting home = {home!r}: must be a folder, and its links lead in a circle"
    (folder / "link").symlink_to(folder)
    assert Settings(home=folder / "link").home == folder / "link"


def test_settings_that_contradict_each_other_are_refused() -> None:
    expected = (
        "settings contradict each other: an order must be worth min_notional = 10, and a position may cost"
        " initial_capital × max_position_size = 9.999, so nothing could be bought"
    )
    assert expected == error_message(initial_capital="99.99", max_position_size="0.1")
    assert Settings(initial_capital=100, max_position_size="0.1").min_notional == 10


@pytest.mark.parametrize(
    ("currency", "min_commission", "min_notional"),
    [
        ("USDT", "1", "10"), ("EUR", "1", "10"), ("JPY", "100", "1000"), ("KRW", "1000", "10000"),
        ("BTC", "0.00001", "0.0001"), ("XBT", "0.00001", "0.0001"), ("ETH", "0.0005", "0.005"), ("WHATEVER", "0", "0"),
    ],
)  # fmt: skip
def test_the_smallest_amounts_are_by_default_those_of_the_currency(
    currency: str, min_commission: str, min_notional: str
) -> None:
    expected = Decimal(min_commission), Decimal(min_notional)
    for settings in (Settings(currency=currency), Settings.isolated(currency=currency)):
        new = settings.new_portfolio({"initial_capital": Decimal(10**6)})
        assert expected == (settings.min_commission, settings.min_notional)
        assert expected == (new["min_commission"], new["min_notional"])
        other = Settings().new_portfolio({"currency": currency, "initial_capital": Decimal(10**6)})
        assert expected == (other["min_commission"], other["min_notional"])


def test_amounts_that_are_set_count_in_their_own_currency_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "paper.toml").write_text("min_commission = 2\n")
    monkeypatch.setenv("PAPER_MIN_NOTIONAL", "20")
    settings = Settings()
    million = {"initial_capital": Decimal(10**6)}
    own = settings.new_portfolio(million)
    assert (Decimal(2), Decimal(20)) == (own["min_commission"], own["min_notional"])
    bitcoin = settings.new_portfolio({"currency": "BTC", **million})
    assert (Decimal("0.00001"), Decimal("0.0001")) == (bitcoin["min_commission"], bitcoin["min_notional"])
    by_option = settings.new_portfolio({"currency": "BTC", "min_commission": Decimal(3), **million})
    assert Decimal(3) == by_option["min_commission"]


def test_a_default_commission_above_a_thousandth_of_the_capital_is_refused_unless_it_was_set() -> None:
    message = (
        "the smallest commission of an order would be 1 USDT, more than 0.1 % of the capital, 999.99; set"
        " min_commission to what your broker takes, or to 0"
    )
    for isolated in (True, False):
        make = Settings.isolated if isolated else Settings
        with pytest.raises(SettingsError) as error:
            make(initial_capital="999.99").new_portfolio()
        assert message == str(error.value)
        assert Decimal(1) == make(initial_capital="1000").new_portfolio()["min_commission"]
        assert Decimal(1) == make(initial_capital="999.99", min_commission=1).new_portfolio()["min_commission"]
        by_option = make().new_portfolio({"initial_capital": Decimal(999), "min_commission": Decimal(1)})
        assert Decimal(1) == by_option["min_commission"]
        # 1 of the settings is USDT; the default of yen is 100, and 50 000 yen are too little for it
        with pytest.raises(SettingsError, match=r"would be 100 JPY, more than 0.1 % of the capital, 50000"):
            make(min_commission=1).new_portfolio({"currency": "JPY", "initial_capital": Decimal(50_000)})


def test_only_exchange_options_that_are_harmless_are_printed() -> None:
    options = {
        "timeout": 5000, "enableRateLimit": True, "options": {"defaultType": "spot", "fetchMarkets": ["spot", "swap"]},
        "rateLimit": 12.5, "nothing": None,
        "httpsProxy": "http://me:s3cret@proxy:1", "headers": {"x": ["socks5://u:w0rd@h"], "Cookie": "a=b"},
        "cookies": {"theme": 1, "sid": True}, "pin": 1234, "number": 4711471147114711, "anything": "w0rd",
        "version": "a text that is no word", "options2": {"type": ["spot", "Bearer w0rd"], "nonce": {"deep": ["w0rd"]}},
        "http://me:s3cret@host/": 1,
    }  # fmt: skip
    settings = Settings(exchange_options=options)
    printed = {
        "timeout": 5000, "enableRateLimit": True, "options": {"defaultType": "spot", "fetchMarkets": ["spot", "swap"]},
        "rateLimit": 12.5, "nothing": None,
        "httpsProxy": "********", "headers": "********", "cookies": "********", "pin": "********",
        "number": "********", "anything": "********", "version": "********",
        "options2": {"type": ["spot", "********"], "nonce": {"deep": ["********"]}},
        "********": 1,
    }  # fmt: skip
    assert str(printed) == settings.redacted()["exchange_options"]
    for secret in ("s3cret", "w0rd", "a=b", "4711"):
        assert secret not in repr(settings) + str(settings)


def test_secret_texts_are_the_texts_of_exchange_options_that_may_be_secret() -> None:
    options = {
        "timeout": 5000, "httpsProxy": "http://me:s3cret@proxy:1", "headers": {"x": ["abcd"], "flag": True, "n": 12},
        "foo": {"bar": "a longer text", "baz": "short"}, "type": "spot", "blob": b"0123456789", "id": 4711471147114711,
        "password": "abc", "a=b": 1,
    }  # fmt: skip
    secrets = ["http://me:s3cret@proxy:1", "abcd", "a longer text", "0123456789", "4711471147114711", "a=b"]
    assert secrets == list(Settings(exchange_options=options).secret_texts())


def test_of_the_alert_command_only_a_plain_program_name_is_printed() -> None:
    for command, text in (("curl -H x", "curl ********"), ("sh", "sh"), ("TOKEN=s3cret curl", "******** ********")):
        assert text == Settings(alert_command=command).redacted()["alert_command"]


NOT_RECORDED = {
    "home", "database_url", "database_schema", "postgres_bin", "price_retention_days", "price_thinning_days",
    "alert_command", "alert_url",
    "alert_services", "alert_trading", "alert_timezone", "alert_quiet_hours", "alert_no_decision_after", "log_level",
    "metrics_port", "metrics_socket", "min_free_disk",
    *(name for name in Settings.model_fields if name.startswith("validation_")),  # a run keeps those of its beginning
}  # fmt: skip
CHANGES = {
    "prices": "simulated", "exchange": "binance", "exchange_options": {"timeout": 1}, "symbols": "BTC/USDT", "seed": 2,
    "exchange_trusted_hosts": "mirror.example.com",
    "price_interval": 2, "price_speed": 2, "price_from": "2025-01-01", "price_to": "2026-01-01",
    "price_spread": "0.1", "same_currency": "USD", "check_interval": 1,
    "calendars": {"AAPL": "XNYS"}, "quote_currency": "USD", "split_hold": 1,
    "snapshot_interval": 1, "price_grace": 2, "max_price_age": 1, "max_quote_lag": 1, "max_decision_age": 1,
    "hang_timeout": 1, "recovery_timeout": 1, "audit_interval": 1, "max_restarts": 1, "restart_window": 1,
}  # fmt: skip


def test_each_setting_is_recorded_or_of_a_portfolio_or_in_a_list_of_exceptions() -> None:
    settings = Settings.isolated()
    recorded = settings.recorded_values().keys()
    assert Settings.model_fields.keys() == recorded | settings.portfolio_values().keys() | NOT_RECORDED
    assert CHANGES.keys() == recorded


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_a_recorded_setting_changes_its_recorded_value(name: str) -> None:
    before, after = Settings.isolated().recorded_values(), Settings.isolated(**{name: CHANGES[name]}).recorded_values()
    assert {name} == {key for key in before if before[key] != after[key]}
    assert after == json.loads(json.dumps(after, allow_nan=False))


SECRETS = {
    "httpsProxy": "http://me:s3cret@proxy:1", "password": 12345, "headers": {"x": ["Bearer w0rd"], "Cookie": {"a": 7}},
    "blob": b"k3y", "until": datetime(2031, 5, 4, tzinfo=UTC),
}  # fmt: skip


def test_recorded_values_contain_no_secret() -> None:
    recorded = json.dumps(Settings.isolated(exchange_options=SECRETS).recorded_values()["exchange_options"])
    for secret in ("s3cret", "me:", "proxy:1", "12345", "w0rd", "Bearer", "7", "k3y", "2031"):
        assert secret not in re.sub(r"#[0-9a-f]{4}", "#", recorded)
    assert SECRETS.keys() == json.loads(recorded).keys()


@pytest.mark.parametrize(
    "change",
    [
        {"httpsProxy": "http://me:another@proxy:1"},
        {"password": 12346},
        {"headers": {"x": ["Bearer w1rd"], "Cookie": {"a": 7}}},
        {"headers": {"x": ["Bearer w0rd"], "Cookie": {"a": 8}}},
        {"blob": b"key"},
        {"until": datetime(2031, 5, 5, tzinfo=UTC)},
        {"timeout": 1},
    ],
)
def test_a_change_within_exchange_options_changes_the_recorded_value(change: dict[str, Any]) -> None:
    before = Settings.isolated(exchange_options=SECRETS)
    assert before.recorded_values() == Settings.isolated(exchange_options=dict(SECRETS)).recorded_values()
    assert before.recorded_values() != Settings.isolated(exchange_options={**SECRETS, **change}).recorded_values()


def test_a_name_that_contains_a_secret_is_not_recorded() -> None:
    settings = Settings.isolated(exchange_options={"a": {"http://u:s3cret@h": 1, "sid=w0rd": 2}})
    stored = json.dumps(settings.recorded_values())
    assert (False, False, True) == ("s3cret" in stored, "w0rd" in stored, '"a"' in stored)


def test_values_that_json_or_postgresql_cannot_hold_are_recorded_as_text() -> None:
    options = {"a\0": math.nan, "b": object(), "c": {"d": True, "e": None, "f": 0.5, "g": 10**30}}
    recorded = Settings.isolated(exchange_options=options).recorded_values()["exchange_options"]
    assert isinstance(recorded, dict)
    assert {"a\\0": "nan", "b": recorded["b"], "c": options["c"]} == recorded
    assert (
        recorded == Settings.isolated(exchange_options={**options, "b": object()}).recorded_values()["exchange_options"]
    )
