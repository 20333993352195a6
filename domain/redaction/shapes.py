"""Secrets that are recognised by what stands around them: in URLs, connection strings, headers, JSON and keys.

Each expression takes time in proportion to the length of the text: what others sent may be in it.
"""

from __future__ import annotations

import re

MASK = "********"
HINTS = (
    "://", "passw", "pwd", "passphrase", "secret", "token", "key", "signature", "credential", "session", "jwt", "auth",
    "cookie", "bearer",
)  # fmt: skip
"""A text with none of these, in lower case, holds no secret by its shape; most texts have none."""
NAME = (
    r"(?:passw(?:ord|d|ort)|pwd|passphrase|secret|secret[-_]?key|token|(?:api|access|private)[-_]?key|signature"
    r"|credentials?|session[-_]?id|jwt|auth)"
)
"""Ends of names of values that are secret: also ``sslpassword``, ``PGPASSWORD``, ``client_secret``."""
QUOTED = r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*\""""
QUOTE_WITHIN = r"""["'](?![\s,)\]}:;]|$)"""
"""A quote that ends nothing."""
QUERY = re.compile(rf"""([?&][\w.-]{{0,40}}{NAME}=)((?:[^\s&#"'<>]|{QUOTE_WITHIN})+)""", re.IGNORECASE)
"""As in ``?sslpassword=a&password=b``."""
ASSIGNED = re.compile(rf"""({NAME}\s*=\s*)(?!\*{{8}})({QUOTED}|(?:\\.|[^\s"'\\]|{QUOTE_WITHIN})+)""", re.IGNORECASE)
"""As in ``password='a b'``, ``password=a\\ b`` and ``PGPASSWORD=a``, as libpq reads them."""
MEMBER = re.compile(
    rf"""({NAME}(?:\\?["'])\s*:\s*)(b?(?:{QUOTED})|\\"(?:[^"\\]|\\[^"])*\\"|\d[\w.+-]*)""", re.IGNORECASE
)
"""As in JSON and in a dictionary of Python; also within the text of another one."""
HEADER = re.compile(
    r"((?:authorization|cookie|x-[\w-]{0,30}(?:key|token|secret))"
    rf"""(?:["']?\s*:\s*(?=["'])|\s*:\s*))({QUOTED}|[^\r\n'"]+)""",
    re.IGNORECASE,
)
BEARER = re.compile(r"(\bbearer\s+)([\w.~+/=-]{8,})", re.IGNORECASE)
PRIVATE_KEY = re.compile(
    r"(-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----)(.*?)(?=-----END [A-Z ]{0,20}PRIVATE KEY-----|\Z)", re.DOTALL
)
WORD = re.compile(r"""[^\s'"<>]+""")
USER = re.compile(r"://.*@", re.DOTALL)
"""User and password of a URL, within one word: up to the last @, since a password may hold one, and also a slash."""
SPACED_USER = re.compile(r"""(://[^\s:/@'"]{0,100}:)(?!\s|\d{1,5}(?:[/?#\s,;:.)\]'"]|$))[^\n@]{1,300}@""")
"""The same with blanks or quotes in the password; what follows the colon is no port."""
PLACEHOLDERS = frozenset({"://user:password@", "://user@"})
"""What an explanation says in place of a user."""


def mask_shapes(text: str) -> str:
    """Return a text with a mask in place of each secret that its surroundings show."""
    lowered = text.lower()
    if not any(hint in lowered for hint in HINTS):
        return text
    text = PRIVATE_KEY.sub(rf"\1{MASK}", text)
    if "://" in text and "@" in text:
        text = SPACED_USER.sub(_without_user, WORD.sub(_word_without_user, text))
    for pattern in (MEMBER, HEADER, QUERY, ASSIGNED, BEARER):
        text = pattern.sub(_masked, text)
    return text


def _word_without_user(match: re.Match[str]) -> str:
    part = match[0]
    return USER.sub(_without_user, part) if "://" in part and "@" in part else part


def _without_user(match: re.Match[str]) -> str:
    return match[0] if match[0] in PLACEHOLDERS else f"://{MASK}@"


def _masked(match: re.Match[str]) -> str:
    """Return a name and a mask; quotes around the value stay, so that a document of JSON remains one."""
    name, value = match[1], match[2]
    if value.startswith('\\"'):
        return f'{name}\\"{MASK}\\"'
    opening = value[1:2] if value[:2] in {"b'", 'b"'} else value[:1]
    if opening in {"'", '"'}:
        return f"{name}{opening}{MASK}{opening}"
    if value[:1].isdigit() and re.search(r"""(?<!\\)["']\s*:\s*$""", name):  # a number becomes a text
        return f'{name}"{MASK}"'
    return f"{name}{MASK}"
