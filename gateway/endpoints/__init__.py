"""The endpoints of the HTTP API: one table, in a module for each subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.endpoints import (
    comparison,
    dead_letters,
    documents,
    events,
    experiments,
    health,
    items,
    likes,
    live,
    messages,
    models,
    rankers,
    recommendations,
    scenarios,
    session,
    status,
    users,
)

if TYPE_CHECKING:
    from gateway.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *dead_letters.ENDPOINTS,
    *documents.ENDPOINTS,
    *events.ENDPOINTS,
    *experiments.ENDPOINTS,
    *health.ENDPOINTS,
    *items.ENDPOINTS,
    *likes.ENDPOINTS,
    *live.ENDPOINTS,
    *messages.ENDPOINTS,
    *models.ENDPOINTS,
    *comparison.ENDPOINTS,
    *rankers.ENDPOINTS,
    *recommendations.ENDPOINTS,
    *scenarios.ENDPOINTS,
    *session.ENDPOINTS,
    *status.ENDPOINTS,
    *users.ENDPOINTS,
)
