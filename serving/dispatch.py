"""Sends the replies and dead letters of one batch until the broker has confirmed every one."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError, SettingsError, TransientError, UndeliverableError
from likewise.messages.dead_letters import DeadLetter, send_dead_letters
from likewise.messages.replies import ErrorBody, encode_reply
from likewise.messages.reply_routes import reply_headers
from likewise.service import tracing
from serving.exposing import ExposureBatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from likewise.log.port import Delivery, Sink
    from serving.exposing import ExposureTopic
    from serving.outgoing import Reply
    from serving.reply_topics import ReplyTopics

CONFIRMATION_TIMEOUT_S = 30.0


class Dispatch:
    """The replies of one batch. A reply that cannot be sent does not delay the others.

    A reply that the broker refuses is replaced by a short error, and so is one to a partition that
    the reply topic does not have. If that is refused as well, or the reply topic cannot be used,
    the request is dead-lettered. Exposures are sent together with their replies.
    """

    def __init__(
        self,
        outgoing: Iterable[Reply | DeadLetter],
        sink: Sink,
        reply_topics: ReplyTopics,
        dead_letters_topic: str,
        exposures: ExposureTopic,
    ) -> None:
        self.confirmed: list[Reply] = []
        self.dead_letters: list[DeadLetter] = []
        self._sink = sink
        self._reply_topics = reply_topics
        self._dead_letters_topic = dead_letters_topic
        self._replies: list[Reply] = []
        self._exposures = ExposureBatch(exposures)
        self._failure: TransientError | None = None
        for one in outgoing:
            if isinstance(one, DeadLetter):
                self.dead_letters.append(one)
            else:
                self._replies.append(one)

    def attempt(self) -> None:
        """Return once the broker has everything.

        Raises:
            TransientError: some of it is not confirmed. Call again, and only that is sent again.
            SettingsError: the broker does not let us write dead letters.
        """
        while self._replies or self._exposures:
            self._send_replies()
        if self.dead_letters:
            send_dead_letters(self._sink, self._dead_letters_topic, self.dead_letters)

    def _send_replies(self) -> None:
        replies, self._replies = self._replies, []
        self._failure = None
        pending: list[tuple[Reply, Delivery]] = []
        for reply in replies:
            if self._failure is not None:  # the next one would block as long
                self._replies.append(reply)
                continue
            with self._failing_alone(reply):
                pending.append((reply, self._start(reply)))
                if reply.exposure is not None:
                    self._exposures.add(reply.exposure)
        if self._exposures and self._failure is None:
            with self._failing_later():
                self._exposures.start()
        deadline_s = time.monotonic() + CONFIRMATION_TIMEOUT_S
        for reply, delivery in pending:
            with self._failing_alone(reply):
                delivery.result(max(deadline_s - time.monotonic(), 0.0))
                self.confirmed.append(reply)
        if self._exposures:
            with self._failing_later():
                self._exposures.confirm(deadline_s)
        if self._failure is not None:
            raise self._failure

    def _start(self, reply: Reply) -> Delivery:
        self._reply_topics.check(reply.route)
        return self._sink.send(
            reply.route.topic,
            encode_reply(reply.body),
            key=reply.key,
            headers=[*reply_headers(reply.route), *tracing.replying(reply.record)],
            partition=reply.route.partition,
        )

    @contextmanager
    def _failing_alone(self, reply: Reply) -> Iterator[None]:
        try:
            yield
        except TransientError as error:
            self._failure = error
            # The topic may have been deleted; the next attempt has to know.
            self._reply_topics.invalidate(reply.route)
            self._replies.append(reply)
        except InvalidInputError as reason:
            self._refuse(reply, reason)
        except (UndeliverableError, SettingsError) as error:
            # A SettingsError may concern this topic alone, if its owner does not let us write to it.
            self._reply_topics.invalidate(reply.route)
            self._replace(reply, error)

    @contextmanager
    def _failing_later(self) -> Iterator[None]:
        """Keep a failure, which concerns no reply, until every reply had its attempt."""
        try:
            yield
        except TransientError as error:
            self._failure = error

    def _refuse(self, reply: Reply, reason: InvalidInputError) -> None:
        if reason.code == "invalid_reply_partition" and reply.route.partition is not None:
            self._replies.append(reply.without_partition(ErrorBody(reason.code, reason.message)))
        else:
            self.dead_letters.append(DeadLetter.of(reply.record, reason))

    def _replace(self, reply: Reply, error: Exception) -> None:
        if reply.is_substitute:
            reason = InvalidInputError("reply_undeliverable", str(error))
            self.dead_letters.append(DeadLetter.of(reply.record, reason))
            return
        too_large = ErrorBody(
            "reply_too_large", "the reply topic does not accept a reply of this size; lower `count`"
        )
        self._replies.append(reply.substitute(too_large))
