"""What a whole answer costs with filters and rules, next to a plain one."""

from __future__ import annotations

import json
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import msgspec
import typer

from benchmarks.catalogue_items import shop_items
from benchmarks.http_load import Contender, HttpLoad
from benchmarks.measure import AsJson, Quick, alternate, report
from benchmarks.results import Figure, Result, ratio
from benchmarks.rig import deployment, fill, process, publish_model
from benchmarks.synthetic import synthetic_likes
from likewise.embedded import free_port
from likewise.messages.items import encode_item
from likewise.messages.scenarios import Scenario, encode_scenario, parse_defaults
from likewise.settings.gateway import GatewaySettings
from likewise.store.port import Changes
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likewise.store.port import LikeStore

QUESTION = """\
CPU time of one gateway for an answer to `GET /v1/users/{id}/recommendations` of random users, over 256
connections: plain, and with a filter or rule. Every item of the model is in the catalogue. The requests share
a filter that half, a tenth or a thousandth of the items pass, or each has another one that a tenth passes.
The other rules come from a scenario: `boost` multiplies a tenth of the items, `max_per` allows two items
of each of 2,000 brands. What is compared was measured in turn."""

_PLAIN = "plain"
# The years of the items are even from 1950 to 2025, a tenth of the prices are below 8.
_QUERIES: Mapping[str, str] = {
    _PLAIN: "",
    "filter, 0.5": quote(json.dumps({"year": {"$gte": 1988}})),
    "filter, 0.1": quote(json.dumps({"year": {"$gte": 2018}})),
    "filter, 0.001": quote(json.dumps({"year": 2025, "brand": {"$lt": "brand 11"}})),
    "filter of each, 0.1": quote('{"price":{"$lt":7.{number}}}', safe="{}"),
    "boost": "boosted",
    "max_per": "limited",
}
_SCENARIOS: Mapping[str, dict[str, object]] = {
    "boosted": {"boost": [{"where": {"year": {"$gte": 2018}}, "factor": 1.5}]},
    "limited": {"max_per": {"field": "brand", "count": 2}},
}
_ITEMS_A_WRITE = 5_000


class Workload(NamedTuple):
    """How much is measured."""

    users: int
    items: int
    seconds: float
    repetitions: int


QUICK = Workload(users=300, items=200, seconds=1.0, repetitions=1)
NORMAL = Workload(users=100_000, items=20_000, seconds=4.0, repetitions=5)


def measure(workload: Workload, *, quick: bool = False) -> Result:
    """Return the CPU time of an answer with each rule."""
    user_items = synthetic_likes(workload.users, workload.items)
    with deployment() as plain:
        settings = msgspec.structs.replace(plain, gateway=GatewaySettings(port=free_port()))
        with closing(RedisStore(settings.redis)) as store:
            fill(store, user_items)
            _fill_catalogue(store, workload.items)
        publish_model(settings, user_items)
        with process(settings, "gateway") as served:
            contenders = {
                name: Contender(
                    HttpLoad(settings.gateway.port, workload.users, _parameters(query)), served.pid
                )
                for name, query in _QUERIES.items()
            }
            for contender in contenders.values():
                contender.load.wait_for_an_answer()
            samples = alternate(
                {
                    name: partial(contender.cpu_of_an_answer_us, workload.seconds)
                    for name, contender in contenders.items()
                },
                repetitions=workload.repetitions,
            )
    floor = Figure(_PLAIN, "µs", samples.pop(_PLAIN), "floor")
    figures = [Figure(name, "µs", taken) for name, taken in samples.items()]
    return Result(
        name="filtered_answers",
        title="Filtered answers",
        question=QUESTION,
        parameters=workload._asdict(),
        figures=[floor, *figures],
        comparisons=[
            ratio(f"{figure.name} / plain", figure, floor, at_most=1.2) for figure in figures
        ],
        quick=quick,
    )


def _parameters(query: str) -> str:
    if not query:
        return "?count=10"  # the default; so every request has parameters
    return f"?scenario={query}" if query in _SCENARIOS else f"?where={query}"


def _fill_catalogue(store: LikeStore, items: int) -> None:
    encoded = {item.item_id: encode_item(item) for item in shop_items(items)}
    ids = [*encoded]
    for start in range(0, items, _ITEMS_A_WRITE):
        part = {one: encoded[one] for one in ids[start : start + _ITEMS_A_WRITE]}
        store.apply(Changes(items=dict(part)), {})
    scenarios = {
        name: encode_scenario(Scenario(name, parse_defaults(defaults)))
        for name, defaults in _SCENARIOS.items()
    }
    store.apply(Changes(scenarios=dict(scenarios)), {})


def main(quick: Quick = False, as_json: AsJson = False) -> None:
    """Measure answers with filters and rules."""
    report(measure(QUICK if quick else NORMAL, quick=quick), as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
