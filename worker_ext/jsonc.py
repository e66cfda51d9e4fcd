r"""JSON with comments, read as the Functions host and Core Tools read it, with every mistake located.

Both use Newtonsoft.Json, which takes more than RFC 8259: ``//`` and ``/* */`` comments, a trailing comma, line breaks
inside strings, ``\'`` in strings, ``NaN`` and ``Infinity``. Nesting ends at 64 levels. All that is so here.
Newtonsoft also takes single quotes, keys without quotes, and hexadecimal numbers. Those are refused here: no other
reader of these files takes them, and they are nearly always a slip (a Python dict pasted in).

Settings files hold secrets, so an error shows a key, a single character or a misspelt literal, never a value.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .errors import ConfigurationError

MAX_BYTES = 1_000_000
MAX_DEPTH = 64

_NEWLINE = re.compile(r"\r\n?|\n")
_GAP = re.compile(r"(?:\s++|//[^\r\n]*+|/\*.*?\*/)*+", re.DOTALL)
_PLAIN = re.compile(r'[^"\\]*+')
_ESCAPE = re.compile(r"""\\(?:u([0-9a-fA-F]{4})|(["'\\/bfnrt]))""")
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(\.[0-9]++)?([eE][+-]?[0-9]++)?(?![\w.+-])")
_MAX_DIGITS = 380  # Newtonsoft's limit; Python's own would be a ValueError from int()
_LITERAL = re.compile(r"(?:true|false|null|NaN|-?Infinity)(?![\w$])")
_LITERALS = {
    "true": True,
    "false": False,
    "null": None,
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}
_WORD = re.compile(r"[\w$][\w$.-]*+")
_MEANT = {"true": "true", "false": "false", "null": "null", "none": "null", "undefined": "null", "nil": "null"}
_QUOTED_KEY = re.compile(r'("[^"\\\r\n]{1,60}")\s*+:')
_BARE_KEY = re.compile(r"([\w$][\w$.-]{0,59})\s*+:")
_KINDS = {"}": "object", "]": "list"}
_SINGLE_QUOTE = "JSON writes strings in double quotes, found a single quote"


class _Mark(NamedTuple):
    """Where a value is: ``place`` is the key or element as a reader sees it, the rest the value's own text."""

    place: int
    start: int
    end: int
    inner: dict[str, _Mark] | list[_Mark] | None


class Document:
    """A JSON document and where its parts are.

    :ivar value: the document as plain Python values.
    :ivar file: the file it was read from, if it was read from one.
    :ivar warnings: what is allowed but probably not meant, each with file and line.
    """

    def __init__(self, value: Any, file: str | None, warnings: tuple[str, ...], text: str, mark: _Mark) -> None:
        self.value = value
        self.file = file
        self.warnings = warnings
        self._text = text
        self._lines = _line_starts(text)
        self._mark = mark

    def line(self, path: tuple[str | int, ...] = ()) -> int:
        """The line, counted from 1, of the key or list element at ``path``.

        What does not exist has the line of the innermost value around it that does.
        """
        return bisect_right(self._lines, self._find(path).place)

    def source(self, path: tuple[str | int, ...] = ()) -> str:
        """The value at ``path`` as it is written in the file, such as ``1.50`` for a number that reads as 1.5."""
        mark = self._find(path)
        return self._text[mark.start : mark.end]

    @property
    def text(self) -> str:
        """The whole document as it is written."""
        return self._text

    def span(self, path: tuple[str | int, ...] = ()) -> tuple[int, int, int]:
        """Where the value at ``path`` is in :attr:`text`: the start of its key (or of the value, if it has none), the
        start of the value, and the end. What does not exist has the span of the innermost value around it.
        """
        mark = self._find(path)
        return mark.place, mark.start, mark.end

    def _find(self, path: tuple[str | int, ...]) -> _Mark:
        mark = self._mark
        for step in path:
            try:
                mark = mark.inner[step]  # type: ignore[index]
            except (LookupError, TypeError):
                break
        return mark


def load(path: Path) -> Document:
    """Read a JSON file: UTF-8 with or without a byte order mark, or UTF-16 with one.

    :raises FileNotFoundError: there is no such file.
    :raises ConfigurationError: it cannot be read, is larger than :data:`MAX_BYTES`, or is not JSON.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigurationError(f"the file cannot be read: {error.strerror}", file=path) from None
    if len(data) > MAX_BYTES:
        raise ConfigurationError(f"the file is larger than {MAX_BYTES:,} bytes", file=path)
    # Windows PowerShell 5 writes UTF-16, and .NET's file functions recognise it.
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = len(_line_starts(data[: error.start].decode(encoding, "replace")))
        raise ConfigurationError("the file is not UTF-8", file=path, line=line, hint="Save it as UTF-8.") from None
    return parse(text, file=str(path))


def parse(text: str, file: str | None = None) -> Document:
    """Read a JSON text.

    :param file: the name that errors and warnings give it.
    :raises ConfigurationError: it is not JSON, or is nested more than :data:`MAX_DEPTH` levels deep.
    """
    return _Parser(text, file).document()


def skip_gap(text: str, at: int) -> int:
    """The position after the white space and the comments that begin at ``at``."""
    gap = _GAP.match(text, at)
    return gap.end() if gap else at


def _line_starts(text: str) -> list[int]:
    return [0, *(newline.end() for newline in _NEWLINE.finditer(text))]


class _Parser:
    """Recursive descent: ``at`` is always the next character to read."""

    def __init__(self, text: str, file: str | None) -> None:
        self.text = text
        self.file = file
        self.lines = _line_starts(text)
        self.warnings: list[str] = []
        self.depth = 0
        self.at = 0
        self.token_end = 0  # where the token before the gap at `at` ended
        self.string = (0, 0)  # start and end of the string read last

    def document(self) -> Document:
        self.gap()
        if not self.next:
            raise self.error("the file is empty, a JSON object was expected")
        value, mark = self.value(self.at)
        self.gap()
        if self.next:
            raise self.error(f"the document is complete before this, found {self.shown}")
        return Document(value, self.file, tuple(self.warnings), self.text, mark)

    def value(self, place: int) -> tuple[Any, _Mark]:
        start = self.at
        value: Any
        inner: dict[str, _Mark] | list[_Mark] | None = None
        if self.next == "{":
            value, inner = self.members()
        elif self.next == "[":
            value, inner = self.elements()
        elif self.next == '"':
            value = self.quoted()
        elif literal := _LITERAL.match(self.text, start):
            value, self.at = _LITERALS[literal[0]], literal.end()
        elif number := _NUMBER.match(self.text, start):
            value, self.at = self.number(number), number.end()
        else:
            raise self.no_value()
        return value, _Mark(place, start, self.at, inner)

    def members(self) -> tuple[dict[str, Any], dict[str, _Mark]]:
        values: dict[str, Any] = {}
        marks: dict[str, _Mark] = {}
        for place in self.items("}"):
            if self.next != '"':
                raise self.no_key()
            key = self.quoted()
            self.gap()
            if self.next != ":":
                raise self.unclosed_string() or self.error(f"a colon is missing after the key, found {self.shown}")
            self.at += 1
            self.gap()
            if key in values:
                first = self.line(marks[key].place)
                message = f'the key "{key[:60]}" stands here again (first on line {first}); the last one counts'
                self.warnings.append(str(ConfigurationError(message, file=self.file, line=self.line(place))))
            values[key], marks[key] = self.value(place)
        return values, marks

    def elements(self) -> tuple[list[Any], list[_Mark]]:
        pairs = [self.value(place) for place in self.items("]")]
        return [value for value, _ in pairs], [mark for _, mark in pairs]

    def items(self, close: str) -> Iterator[int]:
        """Read the brackets and commas of an object or list; the caller reads an item at each place yielded."""
        start = self.at
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"objects and lists are nested more than {MAX_DEPTH} levels deep")
        self.at += 1
        while True:
            self.gap()
            if self.closed(close, start):
                break
            yield self.at
            self.gap()
            if self.closed(close, start):
                break
            if self.next != ",":
                raise self.no_comma(close)
            self.at += 1
        self.depth -= 1

    def closed(self, close: str, start: int) -> bool:
        """Take the closing bracket if it is next; refuse the end of the file and the other closing bracket."""
        opened = f"the {_KINDS[close]} that starts on line {self.line(start)}"
        if not self.next:
            raise self.error(f'the file ends inside {opened}, "{close}" is missing')
        if self.next in _KINDS and self.next != close:
            raise self.error(f'{opened} must be closed with "{close}", found {self.shown}')
        if self.next != close:
            return False
        self.at += 1
        return True

    def quoted(self) -> str:
        start = self.at
        parts: list[str] = []
        self.at += 1
        while self.next != '"':
            if plain := _PLAIN.match(self.text, self.at):
                parts.append(plain[0])
                self.at = plain.end()
            if not self.next:
                raise self.error("the file ends inside the string that starts here", at=start)
            if self.next == "\\":
                parts.append(self.escape())
        self.at += 1
        self.string = (start, self.at)
        # Two \u escapes may be the halves of one character. Half a character cannot be encoded, so it is replaced.
        return "".join(parts).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def escape(self) -> str:
        escape = _ESCAPE.match(self.text, self.at)
        if escape is None:
            after = self.text[self.at + 1 : self.at + 2]
            if after == "u":
                raise self.error("\\u must be followed by four hexadecimal digits")
            raise self.error(
                f"a backslash followed by {_shown(after)} means nothing in JSON",
                hint='A backslash itself is written twice: "C:\\\\temp".',
            )
        self.at = escape.end()
        return chr(int(escape[1], 16)) if escape[1] else _ESCAPED.get(escape[2], escape[2])

    def number(self, number: re.Match[str]) -> int | float:
        if number[1] or number[2]:
            return float(number[0])
        if len(number[0]) > _MAX_DIGITS:
            raise self.error(f"this number has more than {_MAX_DIGITS} digits")
        return int(number[0])

    def gap(self) -> None:
        """Skip white space and comments."""
        self.token_end = self.at
        self.at = skip_gap(self.text, self.at)
        if self.text.startswith("/*", self.at):
            raise self.error("the comment that starts here is never closed with */")
        if self.next in ("/", "#"):
            raise self.error(f"a comment is written // or /* */, found {self.shown}")

    @property
    def next(self) -> str:
        """The next character, or the empty string at the end."""
        return self.text[self.at : self.at + 1]

    @property
    def shown(self) -> str:
        return _shown(self.next)

    def line(self, at: int) -> int:
        return bisect_right(self.lines, at)

    def error(self, message: str, *, at: int | None = None, hint: str | None = None) -> ConfigurationError:
        at = self.at if at is None else at
        line = self.line(at)
        column = at - self.lines[line - 1] + 1
        return ConfigurationError(f"column {column}: {message}", file=self.file, line=line, hint=hint)

    def no_key(self) -> ConfigurationError:
        if self.next == "'":
            return self.error(_SINGLE_QUOTE)
        if self.next == ",":
            return self.error("a key and its value are missing before this comma")
        if key := self.leading(_BARE_KEY):
            return self.error(f'the key {key} must be in double quotes: "{key}"')
        if _WORD.match(self.text, self.at):
            return self.error("a key must be in double quotes")
        return self.error(f'a key in double quotes or "}}" was expected, found {self.shown}')

    def no_comma(self, close: str) -> ConfigurationError:
        if unclosed := self.unclosed_string():
            return unclosed
        if key := self.leading(_QUOTED_KEY) or self.leading(_BARE_KEY):
            return self.error(f"a comma is missing before {key}")
        if self.next in '"{[' or self.next.isalnum():
            return self.error("a comma is missing before this")
        return self.error(f'a comma or "{close}" was expected, found {self.shown}')

    def no_value(self) -> ConfigurationError:
        if not self.next:
            return self.error("the file ends where a value was expected")
        if self.next == "'":
            return self.error(_SINGLE_QUOTE)
        if self.next in ",}]":
            return self.error(f"a value is missing before {self.shown}")
        word = _WORD.match(self.text, self.at)
        if word and word[0].lower() in _MEANT:
            return self.error(f"JSON writes {_MEANT[word[0].lower()]} where this says {word[0]}")
        if self.next in "+-." or self.next.isdigit():
            return self.error("this is not a number in JSON", hint="Write it like 42, -0.5 or 1e6; put text in quotes.")
        if word:
            return self.error("text must be in double quotes")
        return self.error(f"a value was expected, found {self.shown}")

    def leading(self, key: re.Pattern[str]) -> str | None:
        """The key that comes next, if it is the first thing on its line or in its object.

        Elsewhere, what looks like a key may be the rest of a value with a quote too many.
        """
        before = self.text[: self.at].rstrip(" \t")
        match = key.match(self.text, self.at) if before.endswith(("{", "\r", "\n")) else None
        return match[1] if match else None

    def unclosed_string(self) -> ConfigurationError | None:
        """Name the real cause when the text goes wrong right after a string that runs over a line break."""
        start, end = self.string
        if end != self.token_end or self.line(start) == self.line(end - 1):
            return None
        return self.error("the closing quote of the string that starts here is missing", at=start)


def _shown(character: str) -> str:
    if not character:
        return "the end of the file"
    return f'"{character}"' if character.isprintable() else f"the character U+{ord(character):04X}"
