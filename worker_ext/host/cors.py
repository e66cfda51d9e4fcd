"""Cross-origin requests (https://fetch.spec.whatwg.org/#http-cors-protocol): who may send them, and what they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Headers = list[tuple[bytes, bytes]]


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
        """The headers of the answer to a preflight request, ``None`` if the request is none."""
        if method != "OPTIONS" or b"origin" not in headers or b"access-control-request-method" not in headers:
            return None
        allowed = self.headers(headers)
        if allowed:
            allowed.append((b"access-control-allow-methods", headers[b"access-control-request-method"]))
            wanted = headers.get(b"access-control-request-headers")
            if wanted:
                allowed.append((b"access-control-allow-headers", wanted))
        return allowed

    def headers(self, headers: Mapping[bytes, bytes]) -> Headers:
        """The headers to add to the answer of a request with these headers."""
        origin = headers.get(b"origin", b"")
        if not origin or not (self._all or origin.decode("latin-1").lower() in self._origins):
            return []
        found = [(b"access-control-allow-origin", b"*" if self._all else origin)]
        if not self._all:
            found.append((b"vary", b"Origin"))
        if self._credentials:
            found.append((b"access-control-allow-credentials", b"true"))
        return found
