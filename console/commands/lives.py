"""``run.py portfolio close``, ``reset`` and ``clone``: the end of a portfolio, its new beginning, and its twin."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Any

import typer

from actors.runtime.timer import SystemClock
from actors.settings import Settings
from console.commands.account import decimal_option, wait_for_end
from console.commands.flatten import require_confirmation
from console.commands.halts import current_user
from console.database import opened
from console.display.format import answer, money, sentence
from console.errors import Refused
from console.options import AsJson, with_settings
from console.outcomes import Sender
from console.sending import own_limit
from console.validation_guard import confirm_end, end_runs
from domain.errors import InvalidRequest, LeaseHeld, NotRunning, SettingsError, WriteRefused
from domain.program import command_name
from domain.trading.account.requests import AccountKind
from domain.types import Action, OutcomeStatus
from domain.wording import counted, joined, one_line
from persistence.queries.open_orders import open_orders
from persistence.queries.row_lists import LedgerReader, not_running_message
from persistence.stores import halts, portfolios
from persistence.stores.books.account import insert_request, read_request
from persistence.stores.books.unserved import carry_out
from persistence.stores.portfolios import violated_constraint

Name = Annotated[str, typer.Argument(metavar="NAME", help="The portfolio's name.")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason; it is stored with the event.")]
Flatten = Annotated[
    bool, typer.Option("--flatten", help="First cancel its open orders and close its positions at market.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Confirm, in a script.")]
Capital = Annotated[
    str | None, typer.Option("--capital", metavar="N", help="Initial cash [that of the portfolio before].")
]


@with_settings
def close(
    settings: Settings, name: Name, flatten: Flatten = False, reason: Why = "closed", yes: Yes = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    r"""Close a portfolio: its decisions are rejected from then on, and its report stays.

    \b
      run.py portfolio close trial
      run.py portfolio close trial --flatten --reason "the model is retired"

    It must hold nothing and have no open orders; --flatten sees to that, and needs the running service. It ends a
    validation run of the portfolio, after a question. `run.py portfolio reset` begins it anew.
    """
    _end(settings, name.strip(), as_json, flatten=flatten, yes=yes, kind=AccountKind.CLOSE, reason=reason)


@with_settings
def reset(
    settings: Settings, name: Name, capital: Capital = None, flatten: Flatten = False, reason: Why = "reset",
    yes: Yes = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    r"""Begin a portfolio anew under the same name, with the same rules and without history.

    \b
      run.py portfolio reset trial
      run.py portfolio reset trial --capital 50000 --flatten --reason "new model"

    The history stays: it is shown as trial@1, and `run.py report --portfolio trial@1` reports it. A portfolio that was
    closed can be begun anew, too; another one is closed by it, so the conditions are those of `run.py portfolio close`.
    Decisions that were made before are rejected.
    """
    values = {} if capital is None else {"amount": decimal_option("--capital", capital)}
    _end(settings, name.strip(), as_json, flatten=flatten, yes=yes, kind=AccountKind.RESET, reason=reason, **values)


@with_settings
def clone(
    settings: Settings,
    name: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="The name of the new portfolio.")],
    capital: Capital = None,
    as_json: AsJson = False,
) -> None:
    r"""Create a portfolio with the currency and the rules of another one, without its history.

    \b
      run.py portfolio clone default candidate
      run.py portfolio clone default candidate --capital 50000
    """
    new, value = new.strip(), None if capital is None else decimal_option("--capital", capital)
    with opened(settings) as url, closing(LedgerReader(url)) as reader:
        try:
            portfolios.clone(url, name.strip(), new, value)
        except WriteRefused as error:
            raise _refused(new, error) from error
        row = reader.portfolio(new)
    cash = f"{money(row['cash'], row['currency'])} {row['currency']}"
    answer(as_json, {"portfolio": row}, f"portfolio {new} created with the rules of {name.strip()}: {cash}")


def _refused(name: str, error: WriteRefused) -> SettingsError:
    constraint = violated_constraint(error)
    if constraint in {"paper_trading_config_pkey", "one row for each life of a portfolio"}:
        return SettingsError(f"portfolio {name!r} exists already; choose another name")
    return SettingsError(f"portfolio {name!r}: {constraint or error}")


def _end(
    settings: Settings, name: str, as_json: bool, *, flatten: bool, yes: bool, kind: AccountKind, **values: Any
) -> None:
    """End the present life of a portfolio by a request; print what has become of it."""
    with opened(settings) as url, closing(LedgerReader(url)) as reader:
        reader.require_portfolio(name)
        held, orders = reader.positions(name), open_orders(reader, name)
        if held or orders:
            _require_flatten(reader, name, held, orders, kind, flatten=flatten)
            if held:
                require_confirmation(held, f"portfolio {kind} --flatten", yes=yes)
        runs = confirm_end(reader, [name], yes=yes)
        end_runs(url, runs, f"portfolio {kind}")
        if held or orders:
            _flatten(url, reader, settings, name, kind)
        row = {"portfolio": name, "author": current_user(), "kind": kind.value, **values}
        try:
            id_ = insert_request(url, row)
        except WriteRefused as error:
            raise InvalidRequest(violated_constraint(error) or str(error)) from error
        ended = _carried_out(url, reader, id_)
        portfolio = reader.portfolio(name)
    if ended["status"] != "done":
        raise Refused(f"request {id_} is {ended['status']}: {one_line(ended['outcome'])}")
    text = f"portfolio {name} {sentence(str(ended['outcome'])).removeprefix('done: ')}"
    answer(as_json, {"request": ended, "portfolio": portfolio}, text)


def _carried_out(url: str, reader: LedgerReader, id_: int) -> dict[str, Any]:
    """Return a request when it has ended; while no service runs, this command carries it out."""
    if not reader.served()["running"]:
        try:
            carry_out(url, id_, SystemClock())
        except LeaseHeld:
            return wait_for_end(url, reader, id_)  # a service has just started
        row = read_request(url, id_)
        assert row is not None  # a request is never deleted
        return row
    return wait_for_end(url, reader, id_)


def _require_flatten(
    reader: LedgerReader, name: str, held: list[dict[str, Any]], orders: list[dict[str, Any]], kind: AccountKind,
    *, flatten: bool,
) -> None:  # fmt: skip
    left = [f"holds {joined(sorted(row['symbol'] for row in held))}"] if held else []
    left += [f"has {counted(len(orders), 'open order')}"] if orders else []
    if not flatten:
        command = f"{command_name()} portfolio {kind} {name} --flatten"
        raise Refused(f"portfolio {name} {joined(left)}; `{command}` closes positions and cancels orders first")
    if not (served := reader.served())["running"]:
        raise NotRunning(f"{not_running_message(served)}; portfolio {name} {joined(left)}, and only it can close that")


def _flatten(url: str, reader: LedgerReader, settings: Settings, name: str, kind: AccountKind) -> None:
    """Cancel all open orders and close all positions. Entries are halted meanwhile, and go on if that fails."""
    was_halted = name in {row["portfolio"] for row in reader.halted()}
    if not was_halted:
        halts.insert(url, name, f"portfolio {kind}: its positions are closed", current_user(), halted=True)
    sender = Sender(url, reader, own_limit(settings))
    if open_orders(reader, name):
        sender.cancel(name, "all", None)
    sent = [result for row in reader.positions(name) for result in sender.close(name, row["symbol"])]
    failed = [one for one in sent if one["outcome"] != OutcomeStatus.EXECUTED and one["decision"] is not Action.CANCEL]
    if failed and not was_halted:
        halts.insert(url, name, f"portfolio {kind} failed", current_user(), halted=False)
    if failed:
        reasons = joined(f"{one['decision']} {one['symbol']} is {one['outcome']} ({one['reason']})" for one in failed)
        raise Refused(f"portfolio {name} is not flat, so it goes on: {one_line(reasons)}")
