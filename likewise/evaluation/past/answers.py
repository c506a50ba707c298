"""The main path: what a user would have been recommended at a moment of the past."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from msgspec import structs

from likewise.errors import ReplyError
from likewise.evaluation.past.documents import replay_documents
from likewise.evaluation.past.moments import Moment, read_until
from likewise.evaluation.past.users import Past, UserReplay
from likewise.evaluation.past.versions import model_then
from likewise.log.topic_listing import TopicListing
from likewise.messages.dead_letters import DeadLetter
from likewise.messages.replies import ErrorReply, Recommendations
from likewise.messages.reply_routes import ReplyRoute
from likewise.models.holder import load_model
from likewise.models.place import models_place
from likewise.records import Unsent
from serving.answering import answer
from serving.catalogue_reading import CatalogueReader
from serving.incoming import OpenRequest
from serving.item_fields import with_fields
from serving.outgoing import Reply
from serving.querying import QuerySettings
from serving.recommendation_ids import RecommendationIds
from serving.rules import asks_for_catalogue
from serving.scenarios import resolved
from serving.store_view import StoreView
from serving.taste import kinds_that_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexer.progress import Progress
    from likewise.evaluation.past.versions import ModelThen
    from likewise.log.port import Broker
    from likewise.log.topics import Topics
    from likewise.messages.ids import ItemId, SignalKind
    from likewise.messages.requests import Request
    from likewise.models.holder import ServedModel
    from likewise.settings import Settings
    from likewise.store.port import LikeStore

NEEDS_NOW = ("source", "rotation", "explore", "next_of", "after")
"""Options whose state of the past is not kept. `source` may be `model` or `popular`."""


@dataclass(frozen=True, slots=True)
class AnswerThen:
    """An answer of the past, and what it was made of."""

    answer: Recommendations
    moment: Moment
    model: ModelThen
    likes: list[ItemId]
    """What the user liked then, in order of id."""
    signals: dict[SignalKind, list[ItemId]]
    partitions: Sequence[int]
    """The partitions of the likes topic that were read."""
    events: int
    """The user's events up to then."""
    missing: list[str]
    """What could not be known, as sentences; empty if the answer is complete."""


def answer_then(
    broker: Broker,
    store: LikeStore,
    topics: Topics,
    settings: Settings,
    request: Request,
    moment: Moment,
    progress: Progress,
) -> AnswerThen:
    """Return what servers would have answered to the request at the moment.

    Ranks with the code that serves: by the likes, signals and retired items of then, the catalogue and
    scenario where the request needs them, and the model of then. Items that the model did not have yet
    are left out. Writes nothing.

    Raises:
        ModelFileError: no model on disk is old enough.
        ReplyError: the answer is an error, such as `unknown_scenario`.
        TransientError: a server cannot be reached.
    """
    replayed = UserReplay(broker, store, topics.likes, settings, request.user_id)
    past = replayed.until(moment, progress)
    model = _model_then(broker, topics, settings, moment, progress)
    if model.pruned is not None:
        past.missing.append(model.reason)
    asked = OpenRequest(Unsent(b""), request, ReplyRoute(""), moment.time_ms)
    if request.scenario is not None:
        replay_documents(broker, topics, topics.scenarios, moment, past, progress)
        asked = _with_scenario(asked, past)
    if asks_for_catalogue(asked.request) or asked.request.fields:
        replay_documents(broker, topics, topics.items, moment, past, progress)
    progress.step("loading the model")
    served = load_model(models_place(settings), model.version)
    kinds = kinds_that_count(settings.signals.weights)
    view = StoreView(past.store, TopicListing(broker.topic_sizes), topics.likes, kinds)
    body = _ranked(view, settings, asked, served, past)
    users = () if request.user_id is None else (request.user_id,)
    likes, signals = past.store.likes(users), past.store.signals(users, past.store.kinds())
    return AnswerThen(
        body,
        moment,
        model,
        sorted(item for liked in likes for item in liked),
        {kind: sorted(items) for theirs in signals for kind, items in theirs.items()},
        replayed.partitions,
        past.events,
        past.missing,
    )


def _model_then(
    broker: Broker, topics: Topics, settings: Settings, moment: Moment, progress: Progress
) -> ModelThen:
    progress.step("finding the model")
    chunks = read_until(broker, broker.partitions(topics.models), Moment(moment.time_ms), progress)
    announcements = [record for records in chunks for record in records]
    return model_then(models_place(settings), announcements, moment)


def _with_scenario(asked: OpenRequest, past: Past) -> OpenRequest:
    """Return the request with the scenario's defaults, but for those whose state is not kept."""
    scenarios = CatalogueReader(past.store, threading.Event()).scenarios()
    found = resolved(asked, scenarios.get)
    if isinstance(found, Reply):
        raise _error(found)
    request = found.request
    kept = structs.replace(request, rotation=0.0, explore=0.0)
    if request.source not in {None, "model", "popular"}:
        kept = structs.replace(kept, source=None)
    if kept != request:
        past.missing.append(
            f"scenario {request.scenario} sets rotation, explore or source, whose state of then is not "
            "kept: they are ignored"
        )
    return replace(found, request=kept)


def _ranked(
    view: StoreView, settings: Settings, asked: OpenRequest, served: ServedModel, past: Past
) -> Recommendations:
    weights, user_id = settings.signals.weights, asked.request.user_id
    catalogue = None
    if asks_for_catalogue(asked.request):
        reader = CatalogueReader(past.store, threading.Event())
        catalogue = reader.whole(past.store.catalogue_size().items).aligned(served.model)
    replies = answer(
        served,
        [asked],
        view.look_up(() if user_id is None else (user_id,)),
        ids=RecommendationIds(),
        settings=QuerySettings(settings.serving.explain_limit, settings.impressions, weights),
        now_ms=asked.received_at_ms,
        view=catalogue,
    )
    [reply] = with_fields([*replies], view.items)
    if isinstance(reply, DeadLetter) or isinstance(reply.body, ErrorReply):
        raise _error(reply)
    # Its id names no list that anybody was shown.
    return structs.replace(reply.body, recommendation_id="")


def _error(reply: Reply | DeadLetter) -> ReplyError:
    if isinstance(reply, Reply) and isinstance(reply.body, ErrorReply):
        return ReplyError(reply.body.error.code, reply.body.error.message)
    return ReplyError("internal", "the request was not answered")
