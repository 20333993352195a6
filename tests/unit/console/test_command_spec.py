"""How a line of the debug console is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.settings import Settings
from console.commands.console import local_commands
from console.debug.command_spec import COMMAND_SPECS, parse
from console.service.actions import ServiceActions
from console.service.queries import ServiceQueries
from domain.errors import InvalidRequest


@pytest.mark.parametrize(
    ("line", "name", "arguments"),
    [
        ("ps", "ps", {}),
        ("  STATE sizer  ", "state", {"actor": "sizer"}),
        ("state Sizer projections.default.cash", "state", {"actor": "Sizer", "path": "projections.default.cash"}),
        ("inbox Sizer 5", "inbox", {"actor": "Sizer", "n": "5"}),
        ("trace Execute --max 5 --rate=10", "trace", {"of": "Execute", "max": "5", "rate": "10"}),
        ("chain 42", "chain", {"id": "42"}),
        ("quar", "quarantine", {}),
        (
            "decide BUY BTC/USDT --confidence 0.8 --risk-score .2",
            "decide",
            {"decision": "BUY", "symbol": "BTC/USDT", "confidence": "0.8", "risk_score": ".2"},
        ),
        ("halt --portfolio default too many losses", "halt", {"portfolio": "default", "reason": "too many losses"}),
        ("halt 'too many losses'", "halt", {"reason": "too many losses"}),
        (
            'send PriceTracker Subscribe {"symbol": "BTC/USDT"}',
            "send",
            {"actor": "PriceTracker", "type": "Subscribe", "json": '{"symbol": "BTC/USDT"}'},
        ),
    ],
)
def test_a_line_is_split_as_a_shell_splits_it(line: str, name: str, arguments: dict[str, str]) -> None:
    request = parse(line)
    assert (name, arguments) == (request.spec.name, request.arguments)
    assert (False, False) == (request.as_json, request.yes)


@pytest.mark.parametrize("option", ["--limit", "--limit-price", "--LIMIT"])
def test_a_price_is_an_option_as_on_the_command_line(option: str) -> None:
    assert {"target": "17", "limit_price": "5"} == parse(f"amend 17 {option} 5").arguments
    assert "amend TARGET [--quantity ANY] [--limit ANY] [--stop ANY]" in COMMAND_SPECS["amend"].usage
    assert "amend 17 --limit 5" == parse(f"amend 17 {option} 5").command_line


@pytest.mark.parametrize(
    ("line", "question"),
    [
        ("cancel 6", "cancel the order of decision 6"),
        ("cancel my-key", "cancel the order 'my-key'"),
        ("cancel all --portfolio second", "cancel all open orders of portfolio second, stops and targets too"),
        (
            "cancel --symbol BTC/USDT",
            "cancel all open orders of BTC/USDT in portfolio default, stops and targets too",
        ),
        ("crash Sizer", "crash Sizer: make an actor crash at its next message"),
    ],
)
def test_a_person_confirms_what_the_line_will_do(line: str, question: str) -> None:
    assert question == parse(line).question


def test_json_and_yes_may_stand_anywhere() -> None:
    assert parse("ps --json").as_json
    request = parse("crash --yes Sizer --json")
    assert (True, True, {"actor": "Sizer"}) == (request.as_json, request.yes, request.arguments)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "help lists the commands"),
        ("pss", "there is no command 'pss'; did you mean ps"),
        ("zzzzz", "there is no command 'zzzzz'; there are ps, top, tree"),
        ("re", "there is no command 're'; "),
        ("state", "state needs actor; usage: state ACTOR [PATH] [--json]"),
        ("ps now", "ps does not take 'now'; usage: ps [--json]"),
        ("trace --ratte 5", "there is no option of trace 'ratte'; did you mean rate"),
        ("trace --max", "--max needs a value; usage: trace [OF]"),
        ("ps --max 5", "ps has no option --max; usage: ps [--json]"),
        ("chain 'half", "cannot parse this line: no closing quotation"),
        ("decide BUY BTC/USDT", "decide needs confidence; usage: decide DECISION SYMBOL --confidence ANY"),
        ("halt", "halt needs reason; usage: halt"),
        ("amend", "amend needs target; usage: amend TARGET [--quantity ANY] [--limit ANY] [--stop ANY]"),
    ],
)
def test_an_error_in_a_line_is_one_helpful_sentence(line: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse(line)
    assert str(raised.value).startswith(sentence)
    assert "\n" not in str(raised.value)


@given(st.text(max_size=60))
def test_any_line_is_parsed_or_refused_in_one_sentence(line: str) -> None:
    try:
        parse(line)
    except InvalidRequest as error:
        assert str(error)


def test_the_service_or_the_client_answers_every_command() -> None:
    own = {"top", "help", "exit", *local_commands(Settings.isolated())}
    # Properties of classes that need a system; their names stand in the source.
    answered = {
        name
        for kind in (ServiceQueries, ServiceActions)
        for name in (kind.commands.fget.__code__.co_consts or ())  # type: ignore[attr-defined]
        for name in (name if isinstance(name, tuple) else (name,))
        if isinstance(name, str)
    }
    assert set(COMMAND_SPECS) - own <= answered
