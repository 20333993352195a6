"""Numbers for machines: right, named as docs/metrics.md names them, and never waited for long."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from prometheus_client.core import Metric

from actors.introspection.counters import BUCKETS, Counters, Durations
from actors.introspection.status import ActorStatus, SystemStatus
from actors.system import Facts
from console.metrics import families
from console.metrics.collector import Asked
from domain.errors import DatabaseUnavailable
from domain.failures import FailureKind
from domain.trading.decision import Outcome
from domain.types import Generation, OutcomeStatus, PortfolioName
from persistence.database_timing import DatabaseTimings
from persistence.queries.metrics import Reading, Standing
from tests.support.system.scrapes import Scrape, scrape
from tests.support.values.builders import NOON

DOCUMENT = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
DEFAULT, SECOND = PortfolioName("default"), PortfolioName("second")
FACTS = Facts("localhost:5432/paper", "PostgreSQL 17.5, TimescaleDB 2.19.3", "kraken", real_prices=True, epoch=7)


class Stopwatch:
    """A clock that goes forward when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def a_tally(watch: Stopwatch) -> Counters:
    """Three decisions ended, each in another way, and one under way; an audit, and two failures."""
    counters = Counters(watch, Generation(3))
    for id_ in (1, 2, 3, 4):
        counters.count_received(id_, DEFAULT if id_ < 3 else SECOND)
    counters.mark_waiting(3)
    watch.now += 0.003
    counters.count_fills([1])
    watch.now += 1.0  # until the DecisionWatcher hears of it
    counters.count_outcome(Outcome(1, OutcomeStatus.EXECUTED, "bought 1 BTC/USDT at 100"))
    counters.count_outcome(Outcome(2, OutcomeStatus.REJECTED, "no room: 0 left"))
    watch.now += 29.5
    counters.count_outcome(Outcome(3, OutcomeStatus.REJECTED, "no price in time: none of DEAD/USDT"))
    counters.count_audit(2)
    counters.count_failure(FailureKind.CRASH)
    counters.count_failure(FailureKind.THREAD_ENDED)
    watch.now += 12.0
    return counters


def an_actor(name: str, **changes: object) -> ActorStatus:
    usual = {"state": "idle", "doing": None, "busy_for": None, "waiting_since": None}
    return ActorStatus(name, **{**usual, "restarts": 0, "handled": 120, "mailbox": 0, "most": 3, **changes})


def a_status(**changes: object) -> SystemStatus:
    prices = {"source": "kraken", "real": True, "ended": False, "instruments": 900, "silent": [], "set_aside": 4}
    seen = {"BTC/USDT": NOON - timedelta(seconds=1.5), "ETH/USDT": NOON}
    usual = {
        "actors": (an_actor("Sizer", mailbox=5, most=40, restarts=2), an_actor("PositionKeeper", busy_for=2.5)),
        "intake_paused_since": None, "lease_held": True, "lease_renewed_ago": 4.5, "failures": (), "quarantined": 1,
        "prices": {**prices, "last_seen": seen}, "dead_letters": 6, "prices_dropped": 8,
    }  # fmt: skip
    return SystemStatus(**{**usual, **changes})


def a_reading() -> Reading:
    def standing(name: str, worth: str, fall: str | None, halted: str | None = None) -> Standing:
        row = {"portfolio": name, "currency": "USDT", "initial_capital": Decimal(10_000), "cash": Decimal("8292.72")}
        row |= {"worth": Decimal(worth), "held": 2, "halted": halted}
        known = None if fall is None else Decimal(fall)
        return Standing(row, known, known)

    served = {"running": True, "renewed_ago": timedelta(seconds=90)}
    portfolios = [standing("default", "9990.5", "0.25"), standing("second", "11000", None, "too many losses")]
    return Reading(portfolios, 12, served, audited_ago=timedelta(minutes=5))


def everything(status: SystemStatus, counters: Counters, reading: Reading | None) -> Iterator[Metric]:
    """What a running process tells, but for what it says of itself as any Python program does."""
    trips = DatabaseTimings()
    trips.add(0.25)
    trips.add(0.5)
    counts = counters.counts()
    yield families.up(running=True)
    yield families.build_info("1.2.3", FACTS)
    yield families.of_round_trips({"PositionKeeper": trips})
    yield from families.of_process(status, counts, FACTS)
    yield from families.of_prices(status, NOON)
    yield from families.of_lease(status, reading)
    yield families.of_last_audit(counts, reading)
    yield from families.of_database(reading, counts.fills)


@pytest.fixture(scope="module")
def told() -> Scrape:
    return scrape(everything(a_status(), a_tally(Stopwatch()), a_reading()))


def test_decisions_are_counted_by_outcome_and_reason(told: Scrape) -> None:
    counted = {("executed", "executed"): 1, ("rejected", "no_price"): 1, ("rejected", "no_room"): 1}
    assert counted == told.above_zero("paper_decisions_total")
    assert 17 == len(told.by("paper_decisions_total"))
    assert {("false",): 1} == told.above_zero("paper_decisions_under_way")
    assert 12 == told.value("paper_decisions_waiting")
    assert {("default",): 1, ("second",): 0} == {
        (name,): told.value("paper_fills_total", portfolio=name) for name in ("default", "second")
    }


def test_it_takes_from_the_taking_in_to_the_commit_not_to_the_news_of_it(told: Scrape) -> None:
    name = "paper_decision_duration_seconds"
    executed = {"outcome": "executed", "waited_for_price": "false"}
    assert 1 == told.value(f"{name}_count", **executed)
    assert told.value(f"{name}_sum", **executed) == pytest.approx(0.003)
    assert [0, 0, 1, 1] == [
        told.value(f"{name}_bucket", le=le, **executed) for le in ("0.001", "0.0025", "0.005", "60.0")
    ]
    waited = {"outcome": "rejected", "waited_for_price": "true"}
    assert told.value(f"{name}_sum", **waited) == pytest.approx(30.503)
    assert [0, 1] == [told.value(f"{name}_bucket", le=le, **waited) for le in ("30.0", "60.0")]
    assert 3 == sum(told.by(f"{name}_count").values())


def test_the_rest_is_as_it_was_given(told: Scrape) -> None:
    samples = {
        "paper_up": 1, "paper_epoch": 7, "paper_generation": 3, "paper_intake_paused": 0, "paper_lease_held": 1,
        "paper_lease_renewal_age_seconds": 4.5, "paper_database_up": 1, "paper_quarantined_total": 1,
        "paper_dead_letters_total": 6, "paper_prices_dropped_total": 8, "paper_prices_set_aside_total": 4,
        "paper_audits_total": 1, "paper_audit_differences_total": 2, "paper_audit_age_seconds": 12,
        "paper_symbols_silent": 0, "paper_price_source_healthy": 1,
    }  # fmt: skip
    assert samples == {name: told.value(name) for name in samples}
    actors = {
        "paper_mailbox_messages": 5, "paper_mailbox_messages_max": 40, "paper_actor_restarts_total": 2,
        "paper_messages_handled_total": 120, "paper_actor_busy_seconds": 0,
    }  # fmt: skip
    assert actors == {name: told.value(name, actor="Sizer") for name in actors}
    assert 2.5 == told.value("paper_actor_busy_seconds", actor="PositionKeeper")
    assert {("crash",): 1, ("thread_ended",): 1} == told.above_zero("paper_failures_total")
    assert 1.5 == told.value("paper_price_age_seconds", symbol="BTC/USDT")
    assert (2, 0.75) == tuple(told.value(f"paper_database_round_trip_seconds_{what}") for what in ("count", "sum"))
    assert "TimescaleDB 2.19.3" in told.text
    assert "localhost" not in told.text


def test_money_is_told_by_portfolio_and_a_drawdown_that_is_not_known_yet_is_missing(told: Scrape) -> None:
    def of(name: str, portfolio: str) -> float | None:
        return told.value(f"paper_portfolio_{name}", portfolio=portfolio)

    assert (9990.5, 8292.72, 10_000, 2, 0) == tuple(
        of(name, "default") for name in ("equity", "cash", "initial_capital", "positions", "halted")
    )
    assert (0.25, None) == tuple(of("drawdown_ratio", name) for name in ("default", "second"))
    assert (0, 1) == tuple(of("halted", name) for name in ("default", "second"))


def test_without_the_database_no_amount_is_told_and_all_else_is() -> None:
    told = scrape(everything(a_status(lease_held=False), a_tally(Stopwatch()), None))
    assert (0, 0) == (told.value("paper_database_up"), told.value("paper_lease_held"))
    assert {} == told.by("paper_portfolio_equity") | told.by("paper_decisions_waiting")
    assert 3 == sum(told.by("paper_decisions_total").values())
    assert 1 == told.value("paper_fills_total", portfolio="default")


@pytest.mark.parametrize("ill", [{"ended": True}, {"instruments": None}, {"silent": ["BTC/USDT"]}])
def test_a_price_source_is_ill_where_it_says_nothing_or_a_symbol_is_silent(ill: dict[str, object]) -> None:
    prices = a_status().prices
    assert prices is not None
    told = scrape(families.of_prices(a_status(prices={**prices, **ill}), NOON))
    assert 0 == told.value("paper_price_source_healthy")


def test_of_a_price_tracker_that_is_busy_nothing_is_made_up() -> None:
    told = scrape(families.of_prices(a_status(prices=None), NOON))
    assert {"paper_prices_dropped_total": 8} == {
        name: value for family in told.families.values() for name, _, value, *_ in family.samples
    }


def test_where_nothing_runs_the_database_says_who_holds_the_lease() -> None:
    told = scrape(families.of_lease(None, a_reading()))
    assert (1, 90) == (told.value("paper_lease_held"), told.value("paper_lease_renewal_age_seconds"))


def test_a_process_that_has_not_audited_yet_has_the_last_audit_from_the_database() -> None:
    fresh = Counters(Stopwatch()).counts()
    ages = [
        scrape([families.of_last_audit(counts, reading)]).value("paper_audit_age_seconds")
        for counts, reading in ((fresh, a_reading()), (None, a_reading()), (fresh, None))
    ]
    assert [300, 300, None] == ages


def test_the_age_of_at_most_200_symbols_is_told_the_first_ones_first() -> None:
    prices = a_status().prices
    assert prices is not None
    seen = {f"S{number}/USDT": NOON for number in range(250)}
    told = scrape(families.of_prices(a_status(prices={**prices, "last_seen": seen}), NOON))
    assert 200 == len(told.by("paper_price_age_seconds"))
    assert 0 == told.value("paper_price_age_seconds", symbol="S0/USDT")


def test_a_bucket_takes_what_does_not_exceed_its_bound() -> None:
    durations = Durations()
    for seconds in (0.0, BUCKETS[0], BUCKETS[0] + 1e-9, BUCKETS[-1], BUCKETS[-1] + 1e-9):
        durations.add(seconds)
    assert [2, 1, 1, 1] == [durations.counts[place] for place in (0, 1, -2, -1)]
    assert len(BUCKETS) + 1 == len(durations.counts)


def test_a_decision_taken_in_again_counts_from_the_first_time_and_once() -> None:
    watch = Stopwatch()
    counters = Counters(watch)
    counters.count_received(1, DEFAULT)
    watch.now += 2.0
    counters.count_received(1, DEFAULT)
    outcome = Outcome(1, OutcomeStatus.EXECUTED, "bought")
    counters.count_outcome(outcome)
    counters.count_outcome(outcome)
    counts = counters.counts()
    assert (1, 1, 2.0) == (
        counts.outcomes[OutcomeStatus.EXECUTED, "executed"],
        counts.fills[DEFAULT],
        counts.durations[OutcomeStatus.EXECUTED, False][1],
    )


def test_one_that_was_deleted_is_under_way_no_more() -> None:
    counters = Counters(Stopwatch())
    counters.count_received(1, DEFAULT)
    counters.discard(1)
    assert ((0, 0), 0) == (counters.counts().under_way, sum(counters.counts().outcomes.values()))


# --- the document


def rows() -> dict[str, tuple[str, set[str]]]:
    """Each metric of the table with its type and labels."""
    found = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", DOCUMENT, re.MULTILINE)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in found}


def test_the_document_has_every_metric_with_type_and_labels_and_no_other(told: Scrape) -> None:
    scraped = {}
    for family in told.families.values():
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        scraped[f"{family.name}_total" if family.type == "counter" else family.name] = (family.type, labels)
    assert rows() == scraped


def test_names_keep_the_conventions_and_each_help_is_a_sentence_of_its_own(told: Scrape) -> None:
    assert [] == [name for name in told.families if not re.fullmatch(r"paper(_[a-z]+)+", name)]
    helps = [family.documentation for family in told.families.values()]
    assert len(helps) == len(set(helps))
    assert [] == [text for text in helps if not text or text.endswith(".")]
    # Of OpenMetrics, which older collectors do not take, there is nothing.
    assert [] == re.findall(r"# EOF|# UNIT|_created", told.text)


def test_every_expression_of_the_document_is_about_metrics_and_labels_that_there_are(told: Scrape) -> None:
    rules = next(block for block in re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL) if "groups:" in block)
    alerts = [rule["expr"] for group in yaml.safe_load(rules)["groups"] for rule in group["rules"]]
    assert 3 == len(alerts)
    questions = re.search(r"```promql\n(.*?)```", DOCUMENT, re.DOTALL)
    assert questions is not None
    known = {sample.name for family in told.families.values() for sample in family.samples}
    for expression in [*alerts, *questions[1].splitlines()]:
        named = re.findall(r"(paper_\w+)(?:\{([^}]*)\})?", expression)
        assert named, expression
        assert [] == [name for name, _ in named if name not in known]
        for name, matchers in named:
            labels = dict(re.findall(r'(\w+)="([^"]*)"', matchers))
            assert not labels or any(labels.items() <= dict(each).items() for each in told.by(name)), expression


def test_the_scrape_configuration_asks_where_the_endpoint_is() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
    config = next(yaml.safe_load(block) for block in blocks if "scrape_configs" in block)
    port = re.search(r"metrics_port = (\d+)", DOCUMENT)
    assert port is not None
    assert [f"127.0.0.1:{port[1]}"] == config["scrape_configs"][0]["static_configs"][0]["targets"]


# --- a question to the database


def test_who_asks_while_a_question_hangs_shares_it_and_waits_no_longer_than_said() -> None:
    begun, go_on = threading.Event(), threading.Event()
    asked = []

    def question() -> str:
        asked.append(threading.current_thread())
        begun.set()
        go_on.wait(10)
        return "answer"

    database = Asked(question)
    before = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        assert [None] * 4 == list(pool.map(lambda _: database.answer(0.05), range(4)))
    assert time.monotonic() - before < 2
    assert [True] == [thread.daemon for thread in asked]
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(database.answer, 10)
        assert begun.wait(10)
        go_on.set()
        assert "answer" == late.result(10)
    database.close()
    assert "answer" == database.answer(10)
    assert 2 == len(asked)


@pytest.mark.parametrize("error", [DatabaseUnavailable("it is away"), ZeroDivisionError("a defect")])
def test_a_question_that_fails_has_no_answer_and_is_asked_again(error: Exception) -> None:
    answers = iter([error, "answer"])

    def question() -> str:
        match next(answers):
            case Exception() as raised:
                raise raised
            case answer:
                return str(answer)

    database = Asked(question)
    assert [None, "answer"] == [database.answer(10), database.answer(10)]
