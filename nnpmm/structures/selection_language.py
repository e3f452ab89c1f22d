"""mdtraj's language of atom selections, parsed into a tree.

mdtraj's own parser reads ``36H`` as 36 and H, ``017`` as an invalid number,
``resname A && mass < 5`` as ``(resname A && mass) < 5`` and ``not mass < 5`` as ``(not mass) < 5``.
Here a word after the keyword of a name is a name, comparisons bind more tightly than ``not``,
``and`` and ``or``, and errors state their position.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from nnpmm.core.errors import SelectionError

__all__ = [
    "RESIDUE_NUMBERS",
    "TEXTS",
    "AllOf",
    "AnyOf",
    "Comparison",
    "Flag",
    "Node",
    "Not",
    "OneOf",
    "Range",
    "Value",
    "is_reserved",
    "parse_selection",
    "quoted",
]

#: Keywords and their aliases, by what follows them.
_FLAGS = frozenset(
    "all everything none nothing backbone is_backbone sidechain is_sidechain protein is_protein "
    "nucleic is_nucleic water waters is_water".split()
)
TEXTS = frozenset(
    "name resname resn code rescode resc segment_id segname type element symbol".split()
)
RESIDUE_NUMBERS = frozenset(("residue", "resSeq"))
_INTEGERS = frozenset("index n_bonds resid resi chainid".split())
_KEYWORDS = _FLAGS | TEXTS | RESIDUE_NUMBERS | _INTEGERS | {"mass"}
_OPERATORS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_COMPARISONS = {*_OPERATORS.values(), "=~"}
_LOGIC = {"&&": "and", "||": "or", "!": "not"}
_EXAMPLE = 'use mdtraj\'s language, for example "resname MOL and not element H"'
_DEEPEST = 50

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"[^"]*"|'[^']*')
          |(?P<symbol>&&|\|\||==|!=|<=|>=|=~|[<>!()])
          |(?P<word>[^\s()<>=!&|"'][^\s()<>=!&|]*))""",
    re.VERBOSE,
)

Value = str | int | float | tuple[int, str]
"""A name, a number, or the number and insertion code of a residue."""


@dataclass(frozen=True)
class Flag:
    """A keyword without a value, such as ``water``."""

    keyword: str


@dataclass(frozen=True)
class OneOf:
    """A keyword and the values that it may take."""

    keyword: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Range:
    """A keyword between two values, both included."""

    keyword: str
    first: Value
    last: Value


@dataclass(frozen=True)
class Comparison:
    """A keyword, an operator and a value (for ``=~`` a regular expression)."""

    keyword: str
    operator: str
    value: Value


@dataclass(frozen=True)
class Not:
    """Atoms that do not match."""

    node: Node


@dataclass(frozen=True)
class AllOf:
    """Atoms that match every node."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class AnyOf:
    """Atoms that match one node or more."""

    nodes: tuple[Node, ...]


Node = Flag | OneOf | Range | Comparison | Not | AllOf | AnyOf


class _Token(NamedTuple):
    text: str  # quotes removed
    kind: str  # "quoted", "symbol", "logic" or "word"
    start: int


def parse_selection(selection: str) -> Node:
    """Parse a selection.

    Raises:
        SelectionError: the text is not of this language; the message says what is wrong and where.
    """
    if not isinstance(selection, str):
        raise SelectionError(f"found the selection {selection!r}, expected a text; {_EXAMPLE}")
    parser = _Parser(selection)
    node = parser.any_of(0)
    if parser.token is not None:
        if parser.token.text == ")" and parser.token.kind == "symbol":
            parser.fail("the parenthesis ')' closes nothing")
        parser.fail(f"found {parser.token.text!r} where 'and', 'or' or the end is expected")
    return node


def is_reserved(word: str) -> bool:
    """Return whether a word is a keyword, or a logical operator in upper or lower case."""
    return word in _KEYWORDS or word.lower() in ("and", "or", "not", "to")


def quoted(selection: str) -> str:
    """Return a selection for use in a message, in quotes and shortened."""
    return repr(selection if len(selection) <= 120 else selection[:117] + "...")


class _Parser:
    """Recursive descent over the tokens of one selection."""

    def __init__(self, selection: str) -> None:
        self.selection = selection
        self.tokens = self._tokenize()
        self.at = 0

    def _tokenize(self) -> list[_Token]:
        tokens, end = [], 0
        text = self.selection.rstrip()
        while end < len(text):
            match = _TOKEN.match(text, end)
            if match is None:
                start = end + len(text[end:]) - len(text[end:].lstrip())
                wrong = text[start]
                hints = {"=": "; write ==", "&": "; write and", "|": "; write or"}
                hint = hints.get(wrong, "; the quote is not closed" if wrong in "\"'" else "")
                self.fail(f"cannot read {wrong!r}{hint}", start)
            kind = str(match.lastgroup)
            word, start, end = match.group(kind), match.start(kind), match.end()
            if kind == "quoted":
                word = word[1:-1]
            elif word in _LOGIC or word in ("and", "or", "not"):
                word, kind = _LOGIC.get(word, word), "logic"
            elif word in _OPERATORS:
                word, kind = _OPERATORS[word], "symbol"
            tokens.append(_Token(word, kind, start))
        return tokens

    @property
    def token(self) -> _Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def fail(self, what: str, start: int | None = None) -> NoReturn:
        if start is None:
            start = self.token.start if self.token is not None else len(self.selection)
        where = f" at character {start + 1}" if start < len(self.selection) else " at the end"
        before, after = self.selection[max(0, start - 20) : start], self.selection[start:][:20]
        near = f" (near {before + after!r})" if len(self.selection) > 60 else ""
        raise SelectionError(
            f"cannot read the selection {quoted(self.selection)}: {what[:200]}{where}{near}; "
            f"{_EXAMPLE}"
        )

    def is_next(self, kind: str, *texts: str) -> bool:
        token = self.token
        return token is not None and token.kind == kind and (not texts or token.text in texts)

    def take(self) -> _Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def any_of(self, depth: int) -> Node:
        return self._chain("or", lambda: self._all_of(depth), AnyOf)

    def _all_of(self, depth: int) -> Node:
        return self._chain("and", lambda: self._negation(depth), AllOf)

    def _chain(self, word: str, part: Callable[[], Node], join: type[AllOf] | type[AnyOf]) -> Node:
        nodes = [part()]
        while self.is_next("logic", word):
            self.take()
            nodes.append(part())
        return nodes[0] if len(nodes) == 1 else join(tuple(nodes))

    def _negation(self, depth: int) -> Node:
        if depth > _DEEPEST:
            self.fail(f"found more than {_DEEPEST} nested parentheses or negations")
        if self.is_next("logic", "not"):
            self.take()
            return Not(self._negation(depth + 1))
        if not self.is_next("symbol", "("):
            return self._condition()
        opened = self.take()
        node = self.any_of(depth + 1)
        if self.token is None:
            self.fail("the parenthesis '(' is not closed", opened.start)
        if not self.is_next("symbol", ")"):
            self.fail(f"found {self.token.text!r} where 'and', 'or' or ')' is expected")
        self.take()
        return node

    def _condition(self) -> Node:
        token = self.token
        if token is None or token.kind in ("symbol", "logic"):
            found = "the selection ends" if token is None else f"found {token.text!r}"
            self.fail(f"{found} where a condition is expected")
        if token.kind == "word" and token.text in _FLAGS:
            return Flag(self.take().text)
        if token.kind == "word" and token.text in _KEYWORDS:
            return self._values(self.take().text)
        after = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else None
        if after is not None and after.kind == "symbol" and after.text in _COMPARISONS - {"=~"}:
            return self._reversed_comparison()
        close = difflib.get_close_matches(token.text, sorted(_KEYWORDS), n=1)
        hint = f", did you mean {close[0]!r}?" if close else ""
        self.fail(f"found {token.text!r} where a keyword such as resname is expected{hint}")

    def _reversed_comparison(self) -> Node:
        literal, operator = self.take(), self.take().text
        if not self.is_next("word", *_KEYWORDS - _FLAGS):
            self.fail("a keyword such as resname is expected")
        keyword = self.take().text
        mirrored = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(operator, operator)
        return Comparison(keyword, mirrored, self._value(keyword, literal))

    def _values(self, keyword: str) -> Node:
        if self.is_next("symbol", *_COMPARISONS):
            operator = self.take().text
            if not (self.is_next("word") or self.is_next("quoted")):
                self.fail(f"a value for {keyword!r} is expected")
            literal = self.take()
            if operator == "=~":
                return Comparison(keyword, operator, self._pattern(keyword, literal))
            return Comparison(keyword, operator, self._value(keyword, literal))
        literals = []
        while self.is_next("word") or self.is_next("quoted"):
            literals.append(self.take())
        if not literals:
            self.fail(f"a value for {keyword!r} is expected")
        if len(literals) == 3 and literals[1].text == "to" and literals[1].kind == "word":
            first, last = self._value(keyword, literals[0]), self._value(keyword, literals[2])
            return Range(keyword, first, last)
        return OneOf(keyword, tuple(self._value(keyword, literal) for literal in literals))

    def _pattern(self, keyword: str, literal: _Token) -> str:
        if keyword not in TEXTS:
            self.fail(f"'=~' compares names, {keyword!r} is a number", literal.start)
        try:
            re.compile(literal.text)
        except re.error as error:
            self.fail(f"not a regular expression ({error})", literal.start)
        return literal.text

    def _value(self, keyword: str, literal: _Token) -> Value:
        text = literal.text
        if keyword in TEXTS:
            return text
        if keyword in RESIDUE_NUMBERS:
            if match := re.fullmatch(r"(-?\d+)([A-Za-z]?)", text):
                return int(match.group(1)), match.group(2)
            expected = "a number such as 60 or, with an insertion code, 60A"
        elif keyword == "mass":
            if re.fullmatch(r"\d+\.?\d*|\.\d+", text):
                return float(text)
            expected = "a number"
        else:
            if re.fullmatch(r"\d+", text):
                return int(text)
            expected = "a whole number (a range is written '1 to 5')"
        self.fail(f"found {text!r} after {keyword!r}, expected {expected}", literal.start)
