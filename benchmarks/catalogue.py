"""How long a server takes to load a catalogue and to filter by it, and how much memory that takes."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import typer

from benchmarks.catalogue_items import shop_items
from benchmarks.catalogue_loading import Loaded
from benchmarks.measure import AsJson, Quick, alternate, report, timed
from benchmarks.results import Figure, Result, against, ratio
from benchmarks.rig import PATIENCE_S, deployment, environment_of
from likewise.catalogue.catalogue import Catalogue
from likewise.messages.ids import ItemId, ItemRow
from likewise.messages.items import encode_item
from likewise.messages.where import parse_where
from likewise.store.port import Changes
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from likewise.settings import Settings

QUESTION = """\
Loading: a fresh process reads all items from Redis as a starting server does; floor: it reads the same
replies and does nothing with them. Memory: what that process grows by, less the strings of the ids, per
item. Masks: the time until a filter that was never asked before has a mask over a model of the same
items in another order, one thread; a mask that is cached takes the same few microseconds at any size. Change: one
item's price changes, and a mask by price is asked for again. Items have a title of 40 bytes, three of 200 categories, five
labels (price, one of 2,000 brands, language, in stock, year) and a time."""

_ITEMS_A_WRITE = 5_000
_FILTERS: Mapping[str, Callable[[int], object]] = {
    "a number": lambda k: {"price": {"$lte": 20 + k}},
    "a word": lambda k: {"brand": f"brand {k}"},
    "a list": lambda k: {"categories": {"$in": [f"category {k}", f"category {k + 1}"]}},
    "a title": lambda k: {"title": f"amber anchor autumn basin blue {k}"},
    "five conditions": lambda k: {
        "categories": f"category {k}",
        "price": {"$gte": 5, "$lt": 50},
        "in_stock": True,
        "$not": {"lang": "de"},
    },
}
"""A filter of each kind, another one for each number."""


class Workload(NamedTuple):
    """How much is measured."""

    items: int
    sizes: tuple[int, ...]
    repetitions: int


QUICK = Workload(500, (100, 500), 1)
NORMAL = Workload(1_000_000, (20_000, 200_000, 1_000_000), 3)


class Items:
    """The items of a model."""

    def __init__(self, item_ids: list[ItemId]) -> None:
        """Take the ids in the order of the model."""
        self.item_ids = item_ids
        self.item_rows = {one: ItemRow(row) for row, one in enumerate(item_ids)}


def measure(workload: Workload, *, quick: bool = False) -> Result:
    """Return what loading takes, and masks at each size."""
    read, load, cpu, memory = _loading(workload)
    masks = [figure for size in workload.sizes for figure in _masks(size, workload.repetitions)]
    return Result(
        name="catalogue",
        title="Catalogue",
        question=QUESTION,
        parameters={"items": workload.items},
        figures=[load, cpu, read, memory, *masks],
        comparisons=[
            against(load, at_most=10),
            against(memory, at_most=200),
            ratio("load / read", load, read),
        ],
        quick=quick,
    )


def _loading(workload: Workload) -> tuple[Figure, Figure, Figure, Figure]:
    with deployment() as settings:
        with closing(RedisStore(settings.redis)) as store:
            items = shop_items(workload.items)
            while batch := [*islice(items, _ITEMS_A_WRITE)]:
                documents: dict[ItemId, bytes | None] = {
                    item.item_id: encode_item(item) for item in batch
                }
                store.apply(Changes(items=documents), {})
        loaded = [_load(settings) for _ in range(workload.repetitions)]
    ids = sys.getsizeof(next(shop_items(1)).item_id)
    return (
        Figure("read from Redis", "s", [one.read_s for one in loaded], "floor"),
        Figure("load", "s", [one.load_s for one in loaded]),
        Figure("load, on the core", "s", [one.cpu_s for one in loaded]),
        Figure(
            "memory, per item",
            "bytes",
            [one.memory_bytes / workload.items - ids for one in loaded],
        ),
    )


def _load(settings: Settings) -> Loaded:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.catalogue_loading"],
        env={**os.environ, **environment_of(settings)},
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        timeout=PATIENCE_S,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Loaded)


def _masks(size: int, repetitions: int) -> list[Figure]:
    items = [*shop_items(size)]
    catalogue = Catalogue()
    catalogue.apply((item.item_id, item) for item in items)
    order = np.random.default_rng(0).permutation(size).tolist()
    model = Items([items[row].item_id for row in order])
    catalogue.aligned(model)
    numbers = count()

    def first_ms(kind: str) -> float:
        where = parse_where(_FILTERS[kind](next(numbers)))
        return _ms(lambda: catalogue.aligned(model).mask(where))

    def changed_ms() -> float:
        price = _FILTERS["a number"](0)
        labels = {**items[0].labels, "price": next(numbers)}
        change = msgspec.structs.replace(items[0], labels=labels)
        catalogue.aligned(model).mask(parse_where(price))

        def apply_and_ask() -> None:
            catalogue.apply([(change.item_id, change)])
            catalogue.aligned(model).mask(parse_where(price))

        return _ms(apply_and_ask)

    contenders = {f"mask of {kind}": partial(first_ms, kind) for kind in _FILTERS}
    samples = alternate({**contenders, "change": changed_ms}, repetitions=repetitions)
    return [Figure(f"{name}, {size:,} items", "ms", values) for name, values in samples.items()]


def _ms(run: Callable[[], object]) -> float:
    return 1_000 * timed(run)()


def main(quick: Quick = False, as_json: AsJson = False) -> None:
    """Measure the catalogue."""
    report(measure(QUICK if quick else NORMAL, quick=quick), as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
