"""The client: publish likes, ask for recommendations, from any thread of an app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec

from likewise.client.asking import Asking
from likewise.client.connection import ClientConnection
from likewise.client.publishing import Publishing
from likewise.log.topics import Topics
from likewise.settings import KafkaSettings

if TYPE_CHECKING:
    from likewise.log.port import Broker


class Likewise(Publishing, Asking):
    """A connection to likewise, shared by all threads of an app.

    The first call connects, so it takes longer. Every call can raise:

    - `InvalidInputError`, at once: an id or a number breaks the protocol;
    - `TransientError`: the broker could not be reached within `timeout_s`; try again later;
    - `UndeliverableError`: a topic does not exist, because no service was ever started;
    - `SettingsError`: the broker refuses our credentials, or they do not allow the call.

    >>> with Likewise("localhost:9092") as likewise:
    ...     position = likewise.like("u42", "i7")
    ...     for item in likewise.recommend("u42", after=position).items:
    ...         print(item.item_id, item.score)
    """

    def __init__(
        self,
        bootstrap_servers: str | None = None,
        *,
        topic_prefix: str | None = None,
        reply_topic: str | None = None,
        timeout_s: float = 10.0,
        settings: KafkaSettings | None = None,
        broker: Broker | None = None,
    ) -> None:
        """Store how to connect.

        `bootstrap_servers` (`host:port`, by default `localhost:9092`) and `topic_prefix` override
        those in `settings`, which has the rest: TLS, user, password. Replies come on the topic that
        likewise creates, or on `reply_topic`; servers accept names such as `shop.replies`
        (`serving.reply_topic_pattern`). In tests, pass `likewise.testing.MemoryBroker()` as `broker`.

        Raises:
            SettingsError: a setting, or a file that it names, cannot be used.
        """
        named = {"bootstrap_servers": bootstrap_servers, "topic_prefix": topic_prefix}
        given = {name: value for name, value in named.items() if value is not None}
        kafka = msgspec.structs.replace(settings or KafkaSettings(), **given)
        self._topics = Topics(kafka.topic_prefix)
        self._reply_topic = reply_topic or self._topics.replies
        self._timeout_s = timeout_s
        self._connection = ClientConnection(kafka, self._reply_topic, timeout_s, broker)

    def close(self) -> None:
        """Disconnect within a few seconds; calls that wait for a reply raise `LikewiseError`."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
