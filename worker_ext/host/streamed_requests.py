"""HTTP requests of functions that stream: the host relays them to the worker's own web server, and its answers back.

That is how the Functions host does it (its capability ``HttpUri``): an app that uses
``azurefunctions-extensions-http-fastapi`` brings the web server, the invocation travels as ever, and whichever comes
first waits in the worker for the other. A client that leaves ends both: the function is cancelled, and so is what makes
the rest of its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, Callable
from typing import TYPE_CHECKING

from ..errors import InvocationError, ProtocolError
from ..runtimes.azure.http_payload import ID_HEADER
from ..transports.http1 import Exchange, ResponseStream
from .call import Call, CallOutcome
from .cors import Headers

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"expect",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        ID_HEADER.encode(),
    )
)
"""What is between a client and the host, or the host and the worker, alone (RFC 9110 section 7.6.1)."""


class Relay:
    """Relays requests to the web servers of workers.

    :param fail: answers the request of a call that has failed.
    :param dress: adds to the header fields of an answer what the host adds to all.
    """

    def __init__(
        self, fail: Callable[[Exchange, InvocationError], None], dress: Callable[[Exchange, Headers], Headers]
    ) -> None:
        self.fail = fail
        self.dress = dress
        self._session: ClientSession | None = None

    @property
    def session(self) -> ClientSession:
        """The connections to the workers."""
        if self._session is None:
            import aiohttp  # few apps stream

            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
                skip_auto_headers=("accept", "accept-encoding", "content-type", "user-agent"),
                auto_decompress=False,
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


class StreamedRequest:
    """One request on its way to a worker, and the answer on its way back.

    :param relay: has the connections.
    :param exchange: the request.
    """

    def __init__(self, relay: Relay, exchange: Exchange) -> None:
        self._relay = relay
        self._exchange = exchange
        self._outcome: asyncio.Future[CallOutcome] = asyncio.get_running_loop().create_future()
        self._cancel: Callable[[], None] | None = None
        self._relaying: asyncio.Task[None] | None = None
        self._has_left = False
        exchange.on_disconnect = self._left

    def begun(self, call: Call, address: str, cancel: Callable[[], None]) -> None:
        """A worker has got the invocation: now it can have the request.

        :param call: the invocation.
        :param address: where it takes that.
        :param cancel: cancels the invocation.
        """
        self._cancel = cancel
        if self._has_left:
            cancel()
        else:
            self._relaying = asyncio.create_task(self._run(call.invocation_id, address))

    def replied(self, _call: Call, outcome: CallOutcome) -> None:
        """The invocation has ended; the rest of its answer may still be on its way."""
        if not self._outcome.done():
            self._outcome.set_result(outcome)
        if isinstance(outcome, InvocationError):
            self._relay.fail(self._exchange, outcome)  # does nothing if an answer has begun

    def _left(self) -> None:
        """The client has left."""
        self._has_left = True
        if self._relaying is not None:
            self._relaying.cancel()
        if self._cancel is not None:
            self._cancel()

    async def _run(self, invocation_id: str, address: str) -> None:
        from aiohttp import ClientError

        stream: ResponseStream | None = None
        try:
            async with self._request(invocation_id, address) as response:
                if response.status >= 500 and isinstance(await self._outcome, InvocationError):
                    return  # what the web server makes of a failure, which the client has been told better
                headers = self._relay.dress(self._exchange, _end_to_end(response.raw_headers))
                stream = self._exchange.begin(response.status, headers)
                if stream is not None:
                    await _copy(response, stream)
        except (ClientError, OSError, ProtocolError, ValueError) as error:
            if stream is not None:
                stream.abort()
                return
            with contextlib.suppress(TimeoutError):
                outcome = await asyncio.wait_for(asyncio.shield(self._outcome), 1)  # a failure tells more
                if isinstance(outcome, InvocationError):
                    return
            self._relay.fail(self._exchange, InvocationError(f"the answer of the worker cannot be relayed: {error!r}"))
        finally:
            if stream is not None and stream.open:
                stream.abort()

    def _request(self, invocation_id: str, address: str) -> contextlib.AbstractAsyncContextManager[ClientResponse]:
        from yarl import URL

        exchange = self._exchange
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in _end_to_end(exchange.headers)]
        body: bytes | AsyncIterable[bytes] = exchange.body if exchange.incoming is None else exchange.incoming
        return self._relay.session.request(
            exchange.method,
            URL(address + exchange.target.decode("ascii"), encoded=True),
            headers=[*headers, (ID_HEADER, invocation_id)],
            data=body or None,
            allow_redirects=False,
        )


async def _copy(response: ClientResponse, stream: ResponseStream) -> None:
    async for piece in response.content.iter_any():
        if not stream.write(piece) or not await stream.drain():
            return
    stream.end()


def _end_to_end(headers: Headers | tuple[tuple[bytes, bytes], ...]) -> Headers:
    return [(name.lower(), value) for name, value in headers if name.lower() not in _HOP_BY_HOP]
