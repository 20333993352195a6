"""``run.py portfolio deposit``, ``withdraw``, ``adjust``, ``cancel-request`` and ``events``: no order makes them."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal
from typing import Annotated, Any

import typer

from actors.settings import Settings
from console.cli import wrong_usage
from console.commands.halts import current_user
from console.database import ledger_reader, opened
from console.display.account_events import described
from console.display.format import answer, number, sentence, terminal
from console.display.table import full_table
from console.display.times import moment
from console.errors import Refused
from console.options import AsJson, Limit, with_settings
from console.validation_guard import confirm_end, end_changed_runs
from domain.errors import InvalidRequest, NotRunning, WriteRefused
from domain.program import command_name
from domain.trading.account.requests import AccountKind
from domain.trading.arithmetic import exact_number
from domain.trading.decision import MAX_AMOUNT
from domain.wording import one_line
from persistence.listener import wake_ups
from persistence.queries.row_lists import LedgerReader, not_running_message
from persistence.stores.books.account import cancel_request as cancel
from persistence.stores.books.account import insert_request, read_request
from persistence.stores.portfolios import violated_constraint

CHECK_INTERVAL_S = 1.0
"""Between two looks whether the service still runs."""
Name = Annotated[str, typer.Argument(metavar="NAME", help="The portfolio's name.")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason; it is stored with the event.")]
Cash = Annotated[str, typer.Argument(metavar="AMOUNT", help="In the portfolio's currency, above 0.")]


@with_settings
def deposit(settings: Settings, name: Name, cash: Cash, reason: Why, as_json: AsJson = False) -> None:
    r"""Pay cash into a portfolio.

    \b
      run.py portfolio deposit default 2500 --reason "monthly savings"

    It is no profit: result, returns, Sharpe ratio and drawdown leave it out. It ends a validation run
    of the portfolio, after a question.
    """
    _request(settings, name, as_json, kind=AccountKind.DEPOSIT, amount=decimal_option("AMOUNT", cash), reason=reason)


@with_settings
def withdraw(settings: Settings, name: Name, cash: Cash, reason: Why, as_json: AsJson = False) -> None:
    r"""Take cash out of a portfolio, at most its free cash.

    \b
      run.py portfolio withdraw default 500 --reason "to the bank"

    It ends a validation run of the portfolio, after a question.
    """
    _request(settings, name, as_json, kind=AccountKind.WITHDRAWAL, amount=decimal_option("AMOUNT", cash), reason=reason)


@with_settings
def adjust(
    settings: Settings,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME SYMBOL",
            help="The portfolio, unless for all of them, and the market, as `run.py positions` shows it.",
        ),
    ],
    reason: Why,
    split: Annotated[
        str | None, typer.Option("--split", metavar="NEW:OLD", help="10:1 makes ten of one, at a tenth of the price.")
    ] = None,
    redenominate: Annotated[
        str | None,
        typer.Option("--redenominate", metavar="NEW:OLD", help="The same, but the open orders of the symbol end."),
    ] = None,
    new_symbol: Annotated[
        str | None,
        typer.Option("--new-symbol", metavar="SYMBOL", help="The new symbol; alone, or with --redenominate."),
    ] = None,
    dividend: Annotated[
        str | None, typer.Option("--dividend", metavar="AMOUNT", help="Cash for each unit held; a SHORT pays it.")
    ] = None,
    write_off: Annotated[
        str | None,
        typer.Option(
            "--write-off", metavar="PRICE", help="Close the position of a dead market at this price, which may be 0."
        ),
    ] = None,
    all_portfolios: Annotated[
        bool,
        typer.Option(
            "--all-portfolios", help="For a split or redenomination: all portfolios that hold the symbol, at once."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    r"""Adjust a portfolio to a change of an instrument: exactly one of the options, or two for a new symbol.

    \b
      run.py portfolio adjust NVDA/USD --split 10:1 --all-portfolios \
        --reason "split of 10 June"
      run.py portfolio adjust default NVDA/USD --split 10:1 \
        --reason "no other portfolio holds it"
      run.py portfolio adjust default FB/USD --new-symbol META/USD \
        --reason "renamed"
      run.py portfolio adjust default LUNA/USDT --redenominate 1:1000 \
        --new-symbol LUNA2/USDT --reason "new coin"
      run.py portfolio adjust default AAPL/USD --dividend 0.25 \
        --reason "second quarter"
      run.py portfolio adjust default FTT/USDT --write-off 0 --reason "delisted"

    The cost of the position stays. A split multiplies the open orders of the symbol, every other adjustment ends them.
    Adjust when the market has the new price: decisions wait until the first price after a split.
    """
    options = {
        AccountKind.SPLIT: split, AccountKind.REDENOMINATION: redenominate, AccountKind.DIVIDEND: dividend,
        AccountKind.WRITE_OFF: write_off,
    }  # fmt: skip
    chosen = [kind for kind, value in options.items() if value is not None]
    if not chosen and new_symbol is not None:
        chosen = [AccountKind.SYMBOL_CHANGE]
    if len(chosen) != 1 or (new_symbol is not None and chosen[0] in set(options) - {AccountKind.REDENOMINATION}):
        text = "adjust needs one of --split, --redenominate, --new-symbol, --dividend and --write-off"
        raise wrong_usage(f"{text}; only --redenominate takes --new-symbol, too", "portfolio adjust")
    if all_portfolios and split is None and redenominate is None:
        raise wrong_usage("--all-portfolios goes with --split or --redenominate only", "portfolio adjust")
    if len(names) != (1 if all_portfolios else 2):
        needs = "SYMBOL alone with --all-portfolios" if all_portfolios else "NAME and SYMBOL"
        raise wrong_usage(f"adjust needs {needs}", "portfolio adjust")
    name = None if all_portfolios else names[0]
    values: dict[str, object] = {"kind": chosen[0], "symbol": names[-1].strip(), "reason": reason}
    if new_symbol is not None:
        values["new_symbol"] = new_symbol.strip()
    if (ratio := split or redenominate) is not None:
        values["ratio_new"], values["ratio_old"] = _ratio(ratio)
    if dividend is not None:
        values["amount"] = decimal_option("--dividend", dividend)
    if write_off is not None:
        values["price"] = decimal_option("--write-off", write_off)
    _request(settings, name, as_json, **values)


@with_settings
def cancel_request(
    settings: Settings,
    number: Annotated[int, typer.Argument(metavar="ID", help="Its number, as `run.py portfolio events` shows it.")],
    as_json: AsJson = False,
) -> None:
    r"""Cancel a deposit, withdrawal or adjustment that has not been carried out yet.

    \b
      run.py portfolio cancel-request 7
    """
    with opened(settings) as url:
        cancelled = cancel(url, number, f"cancelled by {current_user()}")
        row = read_request(url, number)
    if row is None:
        raise InvalidRequest(f"there is no request {number}; see `{command_name()} portfolio events`")
    if not cancelled:
        raise Refused(f"request {number} has ended already: {one_line(row['outcome'])}")
    answer(as_json, {"request": row}, f"request {number}: {sentence(str(row['outcome']))}")


@with_settings
def events(
    settings: Settings,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this portfolio.")] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List deposits, withdrawals, adjustments, closes and resets with reasons and authors, the newest first."""
    with ledger_reader(settings) as reader:
        if name is not None:
            reader.require_portfolio(name)
        rows = reader.account_requests(name, limit)
    answer(as_json, {"events": rows}, lambda: _print_events(rows))


def decimal_option(option: str, text: str) -> Decimal:
    """Return the exact number of an option.

    Raises:
        InvalidRequest: it is none.
    """
    try:
        value = exact_number(text)
    except ValueError as error:
        raise InvalidRequest(f"{option} {text!r}: {error}") from None
    assert isinstance(value, Decimal)
    if abs(value) >= MAX_AMOUNT:
        raise InvalidRequest(f"{option} {text!r}: must be below 1e20")
    return value


def _ratio(text: str) -> tuple[Decimal, Decimal]:
    parts = text.split(":")
    if len(parts) != 2:
        raise InvalidRequest(f"ratio {text!r}: must be NEW:OLD, such as 10:1")
    return decimal_option("ratio", parts[0]), decimal_option("ratio", parts[1])


def _request(settings: Settings, name: str | None, as_json: bool, **values: object) -> None:
    """Insert a request, wait for its end, and print that."""
    portfolio = None if name is None else name.strip()
    row = {"portfolio": portfolio, "author": current_user(), **values, "kind": str(values["kind"])}
    with opened(settings) as url, closing(LedgerReader(url)) as reader:
        runs = []
        if portfolio is not None:
            reader.require_portfolio(portfolio)
            if values["kind"] in {AccountKind.DEPOSIT, AccountKind.WITHDRAWAL}:
                runs = confirm_end(reader, [portfolio])
        try:
            id_ = insert_request(url, row)
        except WriteRefused as error:
            raise InvalidRequest(violated_constraint(error) or str(error)) from error
        ended = wait_for_end(url, reader, id_)
        end_changed_runs(url, runs)
    if ended["status"] != "done":
        raise Refused(f"request {id_} is {ended['status']}: {ended['outcome']}")
    answer(as_json, {"request": ended}, f"request {id_}: {sentence(str(ended['outcome']))}")


def wait_for_end(url: str, reader: LedgerReader, id_: int) -> dict[str, Any]:
    """Return a request when it has ended.

    Raises:
        NotRunning: the service that carries it out does not run.
    """
    with wake_ups(url, "portfolio", "paper_account") as wait:
        while True:
            served = reader.served()  # first: a service that stops in between may have ended the request before
            row = read_request(url, id_)
            assert row is not None  # a request is never deleted
            if row["status"] != "pending":
                return row
            if not served["running"]:
                stored = (
                    f"request {id_} is stored, and carried out at the next start of the service, unless you cancel it"
                )
                stored += f" (`{command_name()} portfolio cancel-request {id_}`)"
                raise NotRunning(f"{not_running_message(served)}; {stored}")
            wait(CHECK_INTERVAL_S)


def _print_events(rows: list[dict[str, Any]]) -> None:
    out = terminal()
    if not rows:
        out.print("No deposits, withdrawals, adjustments, closes or resets.")
        return
    columns = ["id", "time", "portfolio", "event", "cash", "outcome", "reason", "author"]
    table = full_table(
        out, columns, [_event(row) for row in rows], right=("id", "cash"), gives_way=("author", "id", "portfolio")
    )
    out.print(table)


def _event(row: dict[str, Any]) -> tuple[str, ...]:
    delta = row["cash_delta"]
    cash = "" if delta is None else f"{'+' if delta > 0 else ''}{number(delta)}"
    time = moment(row["at"] or row["requested_at"])
    outcome = sentence(one_line(row["outcome"] or "waits for the service"))
    return (
        str(row["id"]), time, row["portfolio"] or "all", described(row), cash, outcome, one_line(row["reason"]),
        one_line(row["author"]),
    )  # fmt: skip
