"""The options of a request as keyword arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from likewise.client.ids import checked_item_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from likewise.client.ids import Id
    from likewise.messages.request_options import RankedBy


class Options(TypedDict, total=False):
    """What `recommend` and `similar` take, and what a scenario can set; all optional.

    Those with structure have the JSON form of docs/protocol.md.
    """

    count: int
    """The maximum number of items, by default 10."""
    exclude: Iterable[Id]
    """Items to leave out."""
    explain: bool
    """Whether to name the likes that contribute to each item."""
    diversity: float
    """From 0 to 1: rank items lower that resemble the ones before them."""
    novelty: float
    """From 0 to 1: rank popular items lower."""
    include_liked: bool
    """Whether items that the user likes may be recommended."""
    fill: bool
    """Whether popular items fill up the answer if the model has evidence for too few; by default true."""
    deadline_ms: int
    """Servers drop the request after this time; by default, the timeout."""
    where: Mapping[str, Any]
    """Only items that pass this filter: `{"categories": "drama", "price": {"$lte": 20}}`."""
    only: Iterable[Id]
    """Only these items."""
    boost: Sequence[Mapping[str, Any]]
    """Factors for scores: `[{"where": {"lang": "en"}, "factor": 1.5}]`."""
    pin: Sequence[Mapping[str, Any]]
    """Items at fixed places: `[{"item_id": "i7", "place": 1}]`."""
    max_per: Mapping[str, Any]
    """At most so many items with the same value: `{"field": "artist", "count": 2}`."""
    fields: Sequence[str]
    """The catalogue fields to return with each item."""
    without: Iterable[Id]
    """The user's likes to ignore for this request."""
    rotation: float
    """From 0 to 1: move items down that the user was shown lately."""
    explore: float
    """From 0 to 1: the share of items without likes."""
    source: RankedBy
    """Rank only by this: `model`, `popular`, `trending` or `new`."""


def fields_of(options: Options) -> dict[str, Any]:
    """Return the options as the fields of a JSON object.

    Raises:
        TypeError: there is no option of this name.
        InvalidInputError: an id is invalid.
    """
    fields: dict[str, Any] = dict(options)
    unknown = fields.keys() - Options.__annotations__.keys()
    if unknown:
        raise TypeError(f"there is no option {min(unknown)!r}")
    for name in ("exclude", "only", "without"):
        if fields.get(name) is not None:
            fields[name] = checked_item_ids(name, fields[name])
    return fields
