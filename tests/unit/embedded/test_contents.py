"""What of a backup's list of contents is this program's."""

from __future__ import annotations

import pytest

from persistence.embedded.backups.contents import is_on_extension, others, read_entries, without

OWN = """\
;
; Archive created at 2026-11-30 10:00:00 UTC
;     dbname: paper
;
; Selected TOC Entries:
;
5; 2615 2200 SCHEMA - alpha paper
215; 1259 16388 TABLE public trading_decisions paper
214; 1259 16387 SEQUENCE public trading_decisions_id_seq paper
3500; 0 0 SEQUENCE OWNED BY public trading_decisions_id_seq paper
3501; 0 0 SEQUENCE SET public trading_decisions_id_seq paper
300; 1259 17000 VIEW public v_paper_of_an_earlier_version paper
301; 1259 17001 VIEW public v_paper_ledger_check paper
302; 2618 17002 RULE public v_paper_ledger_check _RETURN paper
260; 1255 16500 FUNCTION public paper_now() paper
261; 1255 16501 FUNCTION alpha paper_stop_price(text, numeric) paper
3600; 0 16388 TABLE DATA public trading_decisions paper
3601; 0 16388 TABLE DATA public my signals paper
3310; 2606 16400 CONSTRAINT public trading_decisions trading_decisions_pkey paper
3311; 2606 16401 CHECK CONSTRAINT public trading_decisions confidence must be a number from 0 to 1 paper
3312; 2606 16402 FK CONSTRAINT public paper_fills paper_fills_order_id_fkey paper
3313; 1259 16403 INDEX public trading_decisions_pending paper
3400; 2620 16600 TRIGGER public trading_decisions paper_decisions_wake paper
3500; 0 16388 ROW SECURITY public trading_decisions paper
3700; 0 0 COMMENT public TABLE trading_decisions paper
3701; 0 0 COMMENT - EXTENSION timescaledb 
3800; 0 0 ACL public TABLE trading_decisions paper
3801; 826 16700 DEFAULT ACL public DEFAULT PRIVILEGES FOR TABLES paper
3900; 0 0 ENCODING - ENCODING 
"""  # noqa: W291 - an entry without an owner ends with a blank


def test_tables_and_what_has_the_names_of_this_program_are_its_own() -> None:
    entries = read_entries(OWN)
    assert 23 == len(entries)
    assert [] == others(entries)
    assert OWN.splitlines(keepends=True)[-len(entries) :] == [entry.line for entry in entries]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("1; 1255 2 FUNCTION public count(anyelement) paper", "function public.count(anyelement)"),
        ("1; 1255 2 PROCEDURE public p() paper", "procedure public.p()"),
        ("1; 1255 2 AGGREGATE public sum(integer) paper", "aggregate public.sum(integer)"),
        ("1; 2617 2 OPERATOR public = paper", "operator public.="),
        ("1; 2616 2 OPERATOR CLASS public c paper", "operator class public.c"),
        ("1; 2605 2 CAST - CAST (public.a AS text) ", "cast CAST (public.a AS text)"),
        ("1; 1247 2 TYPE public t paper", "type public.t"),
        ("1; 1247 2 DOMAIN public d paper", "domain public.d"),
        ("1; 2620 2 TRIGGER public trading_decisions mine paper", "trigger public.trading_decisions mine"),
        ("1; 2618 2 RULE public trading_decisions r paper", "rule public.trading_decisions r"),
        ("1; 2618 2 RULE public mine _RETURN paper", "rule public.mine _RETURN"),
        ("1; 3256 2 POLICY public trading_decisions p paper", "policy public.trading_decisions p"),
        ("1; 0 2 ROW SECURITY public signals paper", "row security public.signals"),
        ("1; 3466 2 EVENT TRIGGER - e postgres", "event trigger e"),
        ("1; 3079 2 EXTENSION - dblink ", "extension dblink"),
        ("1; 1417 2 SERVER - s paper", "server s"),
        ("1; 1259 2 FOREIGN TABLE public f paper", "foreign table public.f"),
        ("1; 1259 2 MATERIALIZED VIEW public m paper", "materialized view public.m"),
        ("1; 1259 2 VIEW public paper_fills_of_mine paper", "view public.paper_fills_of_mine"),
        ("1; 6104 2 PUBLICATION - p paper", "publication p"),
        ("1; 0 2 STATISTICS DATA public trading_decisions paper", "statistics data public.trading_decisions"),
        ("1; 0 0 BLOBS - 16400..16401 paper", "blobs 16400..16401"),
        ("1; 0 0 NEW KIND - x paper", "new kind x"),
    ],
)
def test_everything_with_code_of_another_is_listed(line: str, text: str) -> None:
    assert [text] == [str(entry) for entry in others(read_entries(f"{OWN}{line}\n"))]


def test_what_is_left_out_takes_its_comments_with_it() -> None:
    foreign = """\
1; 1255 2 FUNCTION public f(integer) paper
2; 1259 3 VIEW public mine paper
3; 0 0 COMMENT public FUNCTION f(integer) paper
4; 0 0 COMMENT public VIEW mine paper
5; 0 0 COMMENT public COLUMN mine.a paper
6; 0 0 COMMENT public COLUMN trading_decisions.id paper
"""
    own = [entry for entry in read_entries(OWN) if not is_on_extension(entry)]
    entries = [*own, *read_entries(foreign)]
    assert [*own, entries[-1]] == without(entries, others(entries))
