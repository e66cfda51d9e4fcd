"""Cross-origin requests: who may send them, and what they are told.

Source: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Headers = list[tuple[bytes, bytes]]

_ALLOW_ORIGIN = b"access-control-allow-origin"
_ALLOW_CREDENTIALS = b"access-control-allow-credentials"


class Cors:
    """The origins that browsers may call the app from.

    :param origins: the allowed origins; ``*`` for all of them; none turns CORS off.
    :param credentials: whether browsers may send cookies along. With ``*`` they may not: any site could use them.
    """

    def __init__(self, origins: Sequence[str], *, credentials: bool = False) -> None:
        self._origins = {origin.strip().rstrip("/").lower() for origin in origins if origin.strip()}
        self._all = "*" in self._origins
        self._credentials = credentials and not self._all

    def __bool__(self) -> bool:
        return bool(self._origins)

    def preflight(self, method: str, headers: Mapping[bytes, bytes]) -> Headers | None:
        """The headers of the answer to a preflight request, ``None`` if the request is none.

        An origin that is not allowed is told nothing, which the browser takes for a no.
        """
        if method != "OPTIONS" or b"origin" not in headers or b"access-control-request-method" not in headers:
            return None
        answer = self.allow(headers, [])
        if any(name == _ALLOW_ORIGIN for name, _ in answer):
            answer.append((b"access-control-allow-methods", headers[b"access-control-request-method"]))
            if b"access-control-request-headers" in headers:
                answer.append((b"access-control-allow-headers", headers[b"access-control-request-headers"]))
        return answer

    def allow(self, headers: Mapping[bytes, bytes], answer: Headers) -> Headers:
        """The headers of an answer with those that let the asking origin read it.

        :param headers: the request's.
        :param answer: the answer's own. What a function itself says about origins gives way: two opinions in one
            answer make browsers refuse it.
        """
        answer = [header for header in answer if header[0] not in (_ALLOW_ORIGIN, _ALLOW_CREDENTIALS)]
        origin = headers.get(b"origin", b"")
        if origin and (self._all or origin.decode("latin-1").lower() in self._origins):
            answer.append((_ALLOW_ORIGIN, b"*" if self._all else origin))
            if self._credentials:
                answer.append((_ALLOW_CREDENTIALS, b"true"))
        if not self._all:
            answer.append((b"vary", b"Origin"))  # also of an answer without: a cache must not give it to an origin
        return answer
