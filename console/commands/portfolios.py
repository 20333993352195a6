"""``run.py portfolio``: creates portfolios, lists them, and changes their rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from decimal import Decimal
from typing import Annotated, Any

import typer

from actors.settings import Settings
from console.commands import account, lives
from console.database import ledger_reader, opened
from console.display.format import (
    answer,
    money,
    number,
    percent,
    sentence,
    signed_money,
    sources_line,
    terminal,
)
from console.display.table import full_table
from console.display.times import moment
from console.options import AsJson, grouped, with_settings
from console.validation_guard import confirm_end, end_changed_runs
from domain.errors import SettingsError, WriteRefused
from domain.program import command_name
from domain.trading.arithmetic import exact_number
from domain.types import FeeRule, PriceRule
from domain.wording import alternatives
from persistence.queries.row_lists import LedgerReader
from persistence.stores import portfolios

app = typer.Typer(rich_markup_mode=None)
RULES = {
    "commission_pct": ("commission", "Commission of a fill as a fraction: 0.001 is 0.1 %."),
    "fees": ("fees", "own: its commission; venue: the venue's maker and taker rates, where it states them."),
    "min_commission": ("min commission", "Minimum commission of an order, an amount."),
    "slippage_pct": ("slippage", "Base rate of slippage: 0.0005 costs a market order about 0.1 %."),
    "price_rule": ("price rule", "quote: a BUY meets the ask, a SELL the bid; last: the last trade."),
    "max_touch_share": ("touch share", "Share of the size at bid or ask without a size surcharge, 0 to 1."),
    "fill_on_touch": ("on touch", "yes: a resting order is filled where the market reaches its limit; no: beyond it."),
    "max_bar_share": ("bar share", "Share of a bar's volume that resting orders get at most, above 0, up to 1."),
    "max_position_size": ("max position", "Position limit of a symbol, a fraction of equity."),
    "decision_confidence_threshold": ("threshold", "Decisions with a lower confidence are ignored, 0 to 1."),
    "min_notional": ("min notional", "Minimum value of an order."),
    "default_risk_score": ("risk score", "Risk score of decisions without one, 0 to 1."),
    "default_stop_loss": ("stop loss", "Stop of a BUY without exits, a fraction below its entry price, or none."),
    "default_take_profit": ("take profit", "Target of a BUY without exits, a fraction above its entry price, or none."),
}
"""Heading and help text of each rule."""
MAY_BE_NONE = {"default_stop_loss", "default_take_profit"}
Name = Annotated[str, typer.Argument(metavar="NAME", help="The portfolio's name.")]


def _numbers(**options: str | None) -> dict[str, Decimal]:
    """Return the exact numbers of the options that are not None.

    Raises:
        SettingsError: a value is not a number.
    """
    values = {}
    for name, text in options.items():
        if text is not None:
            try:
                value = exact_number(text)
            except ValueError as error:
                raise SettingsError(f"{name} = {text!r}: {error}") from None
            assert isinstance(value, Decimal)
            values[name] = value
    return values


WORDS: Mapping[str, Mapping[str, object]] = {
    "price_rule": {rule.value: rule.value for rule in PriceRule},
    "fill_on_touch": {"yes": True, "no": False},
    "fees": {rule.value: rule.value for rule in FeeRule},
}
"""The words that a rule may have, if it is no number, each with its value."""


def _rules(**options: str | None) -> dict[str, object]:
    """Return the values of the options that are given; a rule that may be none is None then.

    Raises:
        SettingsError: a value is not a number, or not one of the rule's words.
    """
    values: dict[str, object] = {}
    for name, text in options.items():
        words = WORDS.get(name)
        if name in MAY_BE_NONE and text == "none":
            values[name] = None
        elif words is None or text is None:
            values |= _numbers(**{name: text})
        elif text not in words:
            raise SettingsError(f"{name} = {text!r}: must be {alternatives(words)}")
        else:
            values[name] = words[text]
    return values


_OPTIONS = {
    name: Annotated[
        str | None,
        typer.Option(f"--{name.replace('_', '-')}", metavar="|".join(WORDS.get(name, ["N"])), help=help_text),
    ]
    for name, (_, help_text) in RULES.items()
}
with_rules = grouped("rules", _OPTIONS, _rules)
"""Gives a command the ``rules`` that its options name."""


@app.command()
@with_settings
@with_rules
def create(
    settings: Settings,
    rules: dict[str, object],
    name: Name,
    capital: Annotated[str, typer.Option("--capital", metavar="N", help="Initial cash.")],
    currency: Annotated[str | None, typer.Option("--currency", metavar="CODE", help="Such as USDT or EUR.")] = None,
    as_json: AsJson = False,
) -> None:
    r"""Create a portfolio; a running service uses it at once. Capital and currency never change.

    \b
      run.py portfolio create aggressive --capital 50000 --max-position-size 0.5
      run.py portfolio create europe --capital 10000 --currency EUR

    Rules without an option have the values of the settings; in another currency, min commission and min notional have
    its own defaults. A smallest commission above 0.1 % of the capital must be given.
    """
    values: dict[str, object] = {**rules, **_numbers(initial_capital=capital)}
    if currency is not None:
        values["currency"] = currency.strip().upper()
    new = settings.new_portfolio(values)
    row = _written(settings, name.strip(), lambda url: portfolios.create(url, name.strip(), new))
    answer(
        as_json,
        {"portfolio": row},
        f"portfolio {row['portfolio']} created: {money(row['cash'], row['currency'])} {row['currency']}",
    )


@app.command("list")
@with_settings
def show(settings: Settings, as_json: AsJson = False) -> None:
    """List the portfolios: cash, value at the last market prices, result, and rules."""
    with ledger_reader(settings) as reader:
        rows, sources = reader.portfolios(), reader.price_sources()
    answer(as_json, {"portfolios": rows, **sources}, lambda: _print_portfolios(rows, sources["price_sources_not_real"]))


@app.command("set")
@with_settings
@with_rules
def change(settings: Settings, rules: dict[str, object], name: Name, as_json: AsJson = False) -> None:
    r"""Change rules of a portfolio; they apply from the next decision that is sized.

    \b
      run.py portfolio set default --max-position-size 0.1 --slippage-pct 0.001

    It ends a validation run of the portfolio, after a question.
    """
    if not rules:
        hint = f"see {command_name()} portfolio set --help"
        raise SettingsError(f"portfolio set needs at least one rule, such as --max-position-size 0.1; {hint}")
    row = _written(settings, name.strip(), lambda url: _change(url, name.strip(), rules))
    changed = ", ".join(f"{rule} {_shown(row[rule])}" for rule in RULES if rule in rules)
    answer(
        as_json,
        {"portfolio": row},
        f"portfolio {row['portfolio']}: {changed} (revision {row['revision']})",
    )


app.command("close")(lives.close)
app.command("reset")(lives.reset)
app.command("clone")(lives.clone)
app.command("deposit")(account.deposit)
app.command("withdraw")(account.withdraw)
app.command("adjust")(account.adjust)
app.command("cancel-request")(account.cancel_request)
app.command("events")(account.events)


def _change(url: str, name: str, rules: dict[str, object]) -> None:
    """Change rules; a validation run ends by that, after a question."""
    with closing(LedgerReader(url)) as reader:
        runs = confirm_end(reader, [name])
    portfolios.change(url, name, rules)
    end_changed_runs(url, runs)


def _written(settings: Settings, name: str, write: Callable[[str], object]) -> dict[str, Any]:
    """Write values of a portfolio into the database of a URL; return the portfolio's row.

    Raises:
        SettingsError: the database refuses them; the name of a constraint is its message.
    """
    with opened(settings) as url:
        try:
            write(url)
        except WriteRefused as error:
            constraint = portfolios.violated_constraint(error)
            message = f"portfolio {name!r}: {constraint or error}"
            if constraint == "paper_trading_config_pkey":
                message = f"portfolio {name!r} exists already; `{command_name()} portfolio set` changes its rules"
            raise SettingsError(message) from error
        with closing(LedgerReader(url)) as reader:
            return reader.portfolio(name)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    return value if isinstance(value, str) else number(value)


def _print_portfolios(rows: list[dict[str, Any]], sources: list[str]) -> None:
    out = terminal()
    if not rows:
        out.print("No portfolios yet; the first start of the service creates the portfolio default.")
        return
    columns = ["portfolio", "currency", "capital", "cash", "positions", "value", "result", "result %", "prices"]
    values = [
        (
            row["portfolio"], currency, money(row["initial_capital"], currency), money(row["cash"], currency),
            str(row["num_positions"]), money(row["total_value"], currency), signed_money(row["total_pnl"], currency),
            percent(row["total_pnl_pct"]), row["price_source"] or "",
        )
        for row in rows
        for currency in [row["currency"]]
    ]  # fmt: skip
    gives_way = ["capital", "cash", "positions", "result %"]
    out.print(full_table(out, columns, values, right=columns[2:-1], gives_way=gives_way))
    for row in rows:
        if row["closed_at"] is not None:
            out.print(f"portfolio {row['portfolio']} is closed since {moment(row['closed_at'])}", style="dim")
        if row["halted"] is not None:
            out.print(f"portfolio {row['portfolio']} is halted: {sentence(row['halted'])}", style="bold red")
    out.print()
    trading = [row for row in rows if row["closed_at"] is None]
    rules = [[row["portfolio"], *(_shown(row[name]) for name in RULES)] for row in trading]
    headings = [heading for heading, _ in RULES.values()]
    out.print(full_table(out, ["portfolio", *headings], rules, right=headings))
    if (line := sources_line(sources)) is not None:
        out.print(f"\n{line}", style="dim")
