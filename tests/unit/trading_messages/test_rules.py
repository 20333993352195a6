"""Which messages are sent about which portfolio, from the settings."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from typing import Any

import pytest

from actors.settings import Settings
from domain.alarms import AlarmKind
from domain.errors import SettingsError
from domain.trading_messages.rules import PortfolioMessages

FILL, CLOSED, SUMMARY = AlarmKind.FILL, AlarmKind.POSITION_CLOSED, AlarmKind.DAILY_SUMMARY


def test_a_table_names_portfolios_and_the_others() -> None:
    settings = Settings.isolated(
        alert_trading={
            "*": ["position_closed", "daily_summary 18:00", "drawdown 0.1"],
            "scalper": ["daily_summary 8:30"],
            "silent": [],
        },
        alert_timezone="Europe/Berlin",
        alert_quiet_hours="22:00 - 07:00",
    )
    rules = settings.message_rules()
    others = PortfolioMessages(frozenset({CLOSED, SUMMARY, AlarmKind.DRAWDOWN}), time(18), Decimal("0.1"))
    assert others == rules.of("default")
    assert PortfolioMessages(frozenset({SUMMARY}), time(8, 30)) == rules.of("scalper")
    assert [True, False, False] == [rules.wants(name, CLOSED) for name in ("default", "scalper", "silent")]
    assert {time(18), time(8, 30)} == rules.summary_times
    assert ("Europe/Berlin", "22:00-07:00") == (rules.zone.key, str(rules.quiet))
    text = "*: position_closed, daily_summary 18:00, drawdown 0.1; scalper: daily_summary 8:30; silent: nothing"
    assert text == settings.redacted()["alert_trading"]


def test_a_list_or_a_text_is_for_all_portfolios() -> None:
    for value in (["fill", "validation"], "fill, validation", '{"*": ["fill", "validation"]}', ("fill", "validation")):
        rules = Settings.isolated(alert_trading=value).message_rules()
        assert frozenset({FILL, AlarmKind.VALIDATION}) == rules.of("any").kinds
        assert rules
    nothing = Settings.isolated()
    assert (False, None) == (bool(nothing.message_rules()), nothing.message_rules().quiet)
    assert nothing.redacted()["alert_trading"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"alert_trading": ["fills"]},
            "setting alert_trading = ['fills']: must consist of fill, position_closed, daily_",
        ),
        ({"alert_trading": ["daily_summary"]}, "setting alert_trading = ['daily_summary']: must consist of"),
        ({"alert_trading": ["daily_summary 24:00"]}, "must have a time of day such as 18:00, not '24:00'"),
        ({"alert_trading": ["drawdown 10"]}, "must have a drawdown above 0 and below 1, such as drawdown 0.1 for 10 %"),
        ({"alert_trading": ["drawdown much"]}, "must have a drawdown above 0 and below 1"),
        ({"alert_trading": 5}, "must be a list of messages, or a table of portfolios with such lists"),
        ({"alert_trading": {"a": 5}}, "must be a list of messages, or a table of portfolios with such lists"),
        ({"alert_trading": "{"}, "must be a list of messages, or a table of portfolios with such lists"),
        (
            {"alert_timezone": "Europe/Bern"},
            "setting alert_timezone = 'Europe/Bern': must be a time zone such as Europe/",
        ),
        ({"alert_timezone": "../etc"}, "must be a time zone such as Europe/Berlin"),
        ({"alert_quiet_hours": "22-7"}, "must have a time of day such as 18:00, not '22'"),
        (
            {"alert_quiet_hours": "22:00"},
            "setting alert_quiet_hours = '22:00': must be two times of day such as 22:00-07:00",
        ),
        ({"alert_quiet_hours": "7:00-7:00"}, "must be two times of day such as 22:00-07:00"),
        (
            {"alert_quiet_hours": "22:00-07:00", "alert_trading": ["daily_summary 23:30"]},
            "settings contradict each other: daily_summary 23:30 in alert_trading is due in alert_quiet_hours = 22:00-",
        ),
    ],
)
def test_a_wrong_setting_is_one_sentence(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.isolated(**options)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
