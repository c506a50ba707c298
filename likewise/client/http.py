"""The clients of the HTTP API: publish likes, ask for recommendations, with threads or with asyncio."""

from __future__ import annotations

import asyncio
import inspect
import time
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from likewise.client.http_asking import AskingSteps
from likewise.client.http_publishing import PublishingSteps
from likewise.client.http_steps import HttpRequest, Outcome, Pause, Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

P = ParamSpec("P")
T = TypeVar("T")

_URL = "http://127.0.0.1:8080"


class _Calls(PublishingSteps, AskingSteps):
    """Every call as steps, and how long it may take."""

    def __init__(self, timeout_s: float, retries: int) -> None:
        self.timeout_s = timeout_s
        self.retries = retries


def _blocking(
    steps: Callable[Concatenate[_Calls, P], Steps[T]],
) -> Callable[Concatenate[LikewiseHttp, P], T]:
    """Return the method that takes the steps, one after another."""

    @wraps(steps)
    def call(client: LikewiseHttp, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return client._run(steps(client._calls, *args, **kwargs))

    return _with_result(call)


def _awaitable(
    steps: Callable[Concatenate[_Calls, P], Steps[T]],
) -> Callable[Concatenate[AsyncLikewiseHttp, P], Coroutine[Any, Any, T]]:
    """Return the coroutine method that takes the steps, one after another."""

    @wraps(steps)
    async def call(client: AsyncLikewiseHttp, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await client._run(steps(client._calls, *args, **kwargs))

    return _with_result(call)


def _with_result(call: Callable[P, T]) -> Callable[P, T]:
    """Return the method with the result of its steps as its annotation."""
    result = call.__annotations__["return"].removeprefix("Steps[").removesuffix("]")
    call.__annotations__ = {**call.__annotations__, "return": result}
    signature = inspect.signature(call)
    call.__signature__ = signature.replace(return_annotation=result)  # type: ignore[attr-defined] # read by `inspect`
    return call


class LikewiseHttp:
    """A connection to likewise over HTTP, shared by all threads of an app; see `Likewise`.

    It has the methods of `Likewise`. Connections are kept open and reused. After a failed connection, or if the gateway is
    busy, a call is tried again within `timeout_s`. Every call can raise:

    - `InvalidInputError`: an id or a number breaks the protocol;
    - `TransientError`: the gateway cannot be reached or is busy; try again later;
    - `UndeliverableError`: a topic does not exist, because no service was ever started;
    - `SettingsError`: the API key is missing, wrong or without the right.

    >>> with LikewiseHttp("http://localhost:8080", api_key="…") as likewise:
    ...     position = likewise.like("u42", "i7")
    ...     for item in likewise.recommend("u42", after=position).items:
    ...         print(item.item_id, item.score)
    """

    def __init__(
        self,
        url: str = _URL,
        *,
        api_key: str | None = None,
        timeout_s: float = 10.0,
        retries: int = 2,
        max_connections: int = 100,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Store how to connect.

        `transport` replaces the connections, for example `httpx.HTTPTransport(verify=…)` with certificates of
        your own. `max_connections` does not apply to it.
        """
        self._calls = _Calls(timeout_s, retries)
        self._client = httpx.Client(
            base_url=url,
            headers=_headers(api_key),
            limits=_limits(max_connections),
            transport=transport,
        )

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, steps: Steps[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            outcome = self._take(step)

    def _take(self, step: HttpRequest | Pause) -> Outcome:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        try:
            return self._client.request(**_arguments(step))
        except httpx.TransportError as error:
            return error

    like = _blocking(_Calls.like)
    unlike = _blocking(_Calls.unlike)
    dislike = _blocking(_Calls.dislike)
    undislike = _blocking(_Calls.undislike)
    hide = _blocking(_Calls.hide)
    unhide = _blocking(_Calls.unhide)
    signal = _blocking(_Calls.signal)
    unsignal = _blocking(_Calls.unsignal)
    merge_users = _blocking(_Calls.merge_users)
    forget = _blocking(_Calls.forget)
    retire_item = _blocking(_Calls.retire_item)
    restore_item = _blocking(_Calls.restore_item)
    like_many = _blocking(_Calls.like_many)
    publish = _blocking(_Calls.publish)
    put_item = _blocking(_Calls.put_item)
    put_items = _blocking(_Calls.put_items)
    remove_item = _blocking(_Calls.remove_item)
    put_scenario = _blocking(_Calls.put_scenario)
    remove_scenario = _blocking(_Calls.remove_scenario)
    recommend = _blocking(_Calls.recommend)
    similar = _blocking(_Calls.similar)
    users_for = _blocking(_Calls.users_for)
    users_like = _blocking(_Calls.users_like)


class AsyncLikewiseHttp:
    """`LikewiseHttp` for asyncio: the same calls as coroutines.

    >>> async with AsyncLikewiseHttp() as likewise:
    ...     position = await likewise.like("u42", "i7")
    ...     answer = await likewise.recommend("u42", after=position)
    """

    def __init__(
        self,
        url: str = _URL,
        *,
        api_key: str | None = None,
        timeout_s: float = 10.0,
        retries: int = 2,
        max_connections: int = 100,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Store how to connect; see `LikewiseHttp`."""
        self._calls = _Calls(timeout_s, retries)
        self._client = httpx.AsyncClient(
            base_url=url,
            headers=_headers(api_key),
            limits=_limits(max_connections),
            transport=transport,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, steps: Steps[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            outcome = await self._take(step)

    async def _take(self, step: HttpRequest | Pause) -> Outcome:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        try:
            return await self._client.request(**_arguments(step))
        except httpx.TransportError as error:
            return error

    like = _awaitable(_Calls.like)
    unlike = _awaitable(_Calls.unlike)
    dislike = _awaitable(_Calls.dislike)
    undislike = _awaitable(_Calls.undislike)
    hide = _awaitable(_Calls.hide)
    unhide = _awaitable(_Calls.unhide)
    signal = _awaitable(_Calls.signal)
    unsignal = _awaitable(_Calls.unsignal)
    merge_users = _awaitable(_Calls.merge_users)
    forget = _awaitable(_Calls.forget)
    retire_item = _awaitable(_Calls.retire_item)
    restore_item = _awaitable(_Calls.restore_item)
    like_many = _awaitable(_Calls.like_many)
    publish = _awaitable(_Calls.publish)
    put_item = _awaitable(_Calls.put_item)
    put_items = _awaitable(_Calls.put_items)
    remove_item = _awaitable(_Calls.remove_item)
    put_scenario = _awaitable(_Calls.put_scenario)
    remove_scenario = _awaitable(_Calls.remove_scenario)
    recommend = _awaitable(_Calls.recommend)
    similar = _awaitable(_Calls.similar)
    users_for = _awaitable(_Calls.users_for)
    users_like = _awaitable(_Calls.users_like)


def _headers(api_key: str | None) -> dict[str, str]:
    return {} if api_key is None else {"authorization": f"Bearer {api_key}"}


def _limits(max_connections: int) -> httpx.Limits:
    return httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)


def _arguments(request: HttpRequest) -> dict[str, Any]:
    """Return the arguments for httpx."""
    return {
        "method": request.method,
        "url": request.path,
        "content": request.body,
        "headers": None if request.body is None else {"content-type": request.media_type},
        "timeout": request.timeout_s,
    }
