"""The endpoints of the HTTP API: one table, in a module for each subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.endpoints import documents, events, health, likes, recommendations, session

if TYPE_CHECKING:
    from gateway.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *documents.ENDPOINTS,
    *health.ENDPOINTS,
    *likes.ENDPOINTS,
    *events.ENDPOINTS,
    *recommendations.ENDPOINTS,
    *session.ENDPOINTS,
)
