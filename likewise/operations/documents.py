"""Items, scenarios and experiments in the log and in the store, in one form: a name and its document."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

from likewise.messages.experiments import Experiment, decode_experiment, experiment_document
from likewise.messages.ids import ItemId
from likewise.messages.items import CatalogueItem, decode_item, decode_stored_item, item_document
from likewise.messages.scenarios import Scenario, decode_scenario, scenario_document
from likewise.records import Unsent
from likewise.store.port import Changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from likewise.records import Record
    from likewise.store.port import LikeStore


def item_of_json(raw: bytes) -> CatalogueItem:
    """Return the item in a JSON body, exactly as the consumers would decode it.

    Raises:
        InvalidInputError: it breaks the wire contract.
    """
    item = decode_item(Unsent(raw))
    if not isinstance(item, CatalogueItem):
        raise TypeError("only a record without a body removes an item")
    return item


def scenario_of_json(name: str, raw: bytes) -> Scenario:
    """Return the scenario in a JSON body, exactly as the consumers would decode it.

    Raises:
        InvalidInputError: it breaks the wire contract.
    """
    scenario = decode_scenario(Unsent(raw, name.encode()))
    if not isinstance(scenario, Scenario):
        raise TypeError("only a record without a body removes a scenario")
    return scenario


def experiment_of_json(name: str, raw: bytes) -> Experiment:
    """Return the experiment in a JSON body, exactly as the consumers would decode it.

    Raises:
        InvalidInputError: it breaks the wire contract.
    """
    experiment = decode_experiment(Unsent(raw, name.encode()))
    if not isinstance(experiment, Experiment):
        raise TypeError("only a record without a body removes an experiment")
    return experiment


class Documents(Protocol):
    """The documents of one topic."""

    topic: str

    def decode(self, record: Record) -> tuple[str, bytes | None]:
        """Return the name and what the store should hold; None if the record removes it.

        Raises:
            InvalidInputError: the record breaks the wire contract.
        """

    def all_stored(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and document of everything in the store."""

    def stored(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the stored documents of these names; others are left out."""

    def changes(self, documents: Mapping[str, bytes | None]) -> Changes:
        """Return the changes that write these documents."""


class Items:
    """The documents of the topic `items`; the name is the item id."""

    def __init__(self, topic: str, store: LikeStore) -> None:
        self.topic = topic
        self._store = store

    def decode(self, record: Record) -> tuple[str, bytes | None]:
        """See `Documents.decode`."""
        return item_document(record)

    def all_stored(self) -> Iterator[tuple[str, bytes]]:
        """See `Documents.all_stored`."""
        for chunk in self._store.catalogue_items():
            for stored in chunk:
                yield decode_stored_item(stored).item_id, stored

    def stored(self, names: Iterable[str]) -> dict[str, bytes]:
        """See `Documents.stored`."""
        items = [ItemId(name) for name in names]
        found = zip(items, self._store.catalogue_get(items), strict=True)
        return {item_id: stored for item_id, stored in found if stored is not None}

    def changes(self, documents: Mapping[str, bytes | None]) -> Changes:
        """See `Documents.changes`."""
        return Changes(items={ItemId(name): document for name, document in documents.items()})


class _ByName(ABC):
    """Documents of which the store returns all at once."""

    def __init__(self, topic: str, store: LikeStore) -> None:
        self.topic = topic
        self._store = store

    @abstractmethod
    def _all(self) -> dict[str, bytes]: ...

    def all_stored(self) -> Iterator[tuple[str, bytes]]:
        """See `Documents.all_stored`."""
        yield from self._all().items()

    def stored(self, names: Iterable[str]) -> dict[str, bytes]:
        """See `Documents.stored`."""
        found = self._all()
        return {name: found[name] for name in names if name in found}


class Scenarios(_ByName):
    """The documents of the topic `scenarios`."""

    def _all(self) -> dict[str, bytes]:
        return self._store.scenarios()

    def decode(self, record: Record) -> tuple[str, bytes | None]:
        """See `Documents.decode`."""
        return scenario_document(record)

    def changes(self, documents: Mapping[str, bytes | None]) -> Changes:
        """See `Documents.changes`."""
        return Changes(scenarios=dict(documents))


class Experiments(_ByName):
    """The documents of the topic `experiments`."""

    def _all(self) -> dict[str, bytes]:
        return self._store.experiments()

    def decode(self, record: Record) -> tuple[str, bytes | None]:
        """See `Documents.decode`."""
        return experiment_document(record)

    def changes(self, documents: Mapping[str, bytes | None]) -> Changes:
        """See `Documents.changes`."""
        return Changes(experiments=dict(documents))
