"""An evaluation as one HTML page that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from likewise.evaluation.report.svg import Bar, bar_chart

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_CHARTS = (
    ("recall", "Recall@{k}: the share of the likes held out that the lists hold"),
    ("ndcg", "nDCG@{k}: the same, higher places counting more"),
    ("hit_rate", "Hit rate@{k}: users with at least one hit"),
    ("mrr", "MRR@{k}: one over the place of the first hit"),
    ("novelty", "Novelty@{k}: bits of surprise of an item, −log2 of the share who like it"),
    ("popular_share", "Popular items: share of the lists from the most liked tenth"),
    ("coverage", "Coverage: share of the catalogue in at least one list"),
)
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --quiet: #68707d; --bar: #9fb4cf; --first: #2f6db5; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7ec; --quiet: #98a1ae; --bar: #4a5d78; --first: #6ea8ea; }
  body { background: #14181f; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p, figcaption { color: var(--quiet); } figcaption { margin-bottom: .3rem; }
figure { margin: 1.2rem 0; } svg { max-width: 100%; height: auto; }
svg text { font: 13px system-ui, sans-serif; fill: var(--ink); dominant-baseline: central; }
svg .name { text-anchor: end; } svg .value { fill: var(--quiet); }
.bar { fill: var(--bar); } .highlighted { fill: var(--first); }
.whisker line { stroke: var(--ink); stroke-width: 1.5; }
table { border-collapse: collapse; } .wide { overflow-x: auto; }
th, td { text-align: right; padding: .25rem .7rem; border-bottom: 1px solid var(--bar);
  font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; }
"""


def as_html(account: dict[str, Any]) -> str:
    """Return the page; `account` is what `account.as_json` gives. It loads nothing."""
    k = account["settings"]["k"]
    charts = "".join(
        _chart(account, f"{metric}@{k}", title.format(k=k)) for metric, title in _CHARTS
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>likewise: ranking quality</title><style>{_STYLE}</style></head><body>"
        f"<h1>Ranking quality</h1>{_introduction(account)}"
        f"<h2>Every ranker</h2>{charts}"
        f"{_kinds(account, k)}"
        f"<h2>By activity</h2>{_groups(account, k)}"
        f"<h2>What the approximate search costs</h2>{_approximation(account)}"
        f"<h2>Diversity and novelty, asked for</h2>{_options(account, k)}"
        f"<h2>Recipes</h2>{_recipes(account)}"
        "</body></html>\n"
    )


def _introduction(account: dict[str, Any]) -> str:
    data, settings = account["data"], account["settings"]
    until = "" if data["until"] is None else f", train ends before {data['until']}"
    return _paragraph(
        f"{data['source']}: {data['likes']:,} likes of {data['users']:,} users and "
        f"{data['items']:,} items. Split: {data['split']}{until}; {data['train']:,} train, "
        f"{data['valid']:,} valid, {data['test']:,} test of {data['test_users']:,} users. "
        f"Fitted on {settings['fitted_on']}, seed {settings['seed']}. Every item that a user does "
        f"not like yet is a candidate. Lines across the bars are {settings['confidence']:.0%} "
        f"bootstrap intervals over users. {account['default']} is the served recipe."
    )


def _chart(account: dict[str, Any], metric: str, title: str) -> str:
    bars = [
        Bar(
            f"{name} ★" if name == account["default"] else name,
            figures[metric],
            tuple(figures["intervals"][metric]) if metric in figures["intervals"] else None,
            highlighted=name == account["default"],
        )
        for name, figures in account["rankers"].items()
    ]
    return bar_chart(title, bars)


def _kinds(account: dict[str, Any], k: int) -> str:
    """Return a table of what each other kind of signal adds; nothing if there are none."""
    if not account["kinds"]:
        return ""
    metrics = (f"recall@{k}", f"ndcg@{k}")
    head = [f"{metric} {side}" for metric in metrics for side in ("without", "with")]
    rows = "".join(
        "<tr>"
        + _cells(
            "td",
            [
                kind,
                found["signals"],
                found["weight"],
                *(found[side][metric] for metric in metrics for side in ("without", "with")),
                found["difference"][metrics[1]],
                found["verdict"],
            ],
        )
        + "</tr>"
        for kind, found in account["kinds"].items()
    )
    heading = _cells("th", ["kind", "signals", "weight", *head, f"difference in {metrics[1]}", ""])
    return (
        f"<h2>Does each kind of signal, alone, help to predict {escape(account['target'])}?</h2>"
        f'<div class="wide"><table><tr>{heading}</tr>{rows}</table></div>'
    )


def _groups(account: dict[str, Any], k: int) -> str:
    """Return a chart for each range of how many likes users have."""
    ranges = [
        (tuple(group["likes"]), group["users"])
        for group in account["rankers"][account["default"]]["groups"]
    ]
    metric = f"ndcg@{k}"
    charts = []
    for (low, high), users in ranges:
        bars = [
            Bar(
                name,
                group[metric],
                tuple(group["intervals"][metric]),
                highlighted=name == account["default"],
            )
            for name, figures in account["rankers"].items()
            for group in figures["groups"]
            if tuple(group["likes"]) == (low, high)
        ]
        charts.append(bar_chart(f"nDCG@{k}, {users:,} users with {low} to {high} likes", bars))
    return "".join(charts)


def _approximation(account: dict[str, Any]) -> str:
    cost = account["approximation"]
    return _paragraph(
        f"Of the lists that looking at everything gives, the approximate search finds "
        f"{cost['recall']:.1%}, in {cost['approximate_ms_per_query']:.2f} ms a query against "
        f"{cost['exact_ms_per_query']:.2f} ms ({cost['users']:,} users, in batches). With this "
        f"catalogue the {cost['serves']} one serves."
    )


def _options(account: dict[str, Any], k: int) -> str:
    """Return the figures of the served recipe when requests ask for diversity or novelty."""
    options = account["options"]
    users = options[0]["users"]
    said = _paragraph(
        f"The served recipe, for {users:,} users. Diversity in lists: one minus how much the same "
        "users like both items, over all pairs of a list. Coverage is that of these users' lists."
    )
    names = [name for name in options[0] if name != "users"]
    metrics = [name.removesuffix(f"@{k}").replace("_", " ") for name in names[2:]]
    head = _cells("th", ["diversity asked", "novelty asked", *metrics])
    rows = "".join(
        f"<tr>{_cells('td', [option[name] for name in names])}</tr>" for option in options
    )
    return f'{said}<div class="wide"><table><tr>{head}</tr>{rows}</table></div>'


def _recipes(account: dict[str, Any]) -> str:
    recipes = {
        name: figures["recipe"]
        for name, figures in account["rankers"].items()
        if figures["recipe"] is not None
    }
    columns = list(next(iter(recipes.values())))
    head = _cells("th", ["", *columns, "build, s", "ms/query"])
    rows = "".join(
        "<tr>"
        + _cells(
            "td",
            [
                name,
                *recipe.values(),
                account["rankers"][name]["build_s"],
                account["rankers"][name]["ms_per_query"],
            ],
        )
        + "</tr>"
        for name, recipe in recipes.items()
    )
    return f'<div class="wide"><table><tr>{head}</tr>{rows}</table></div>'


def _cells(tag: str, values: Iterable[object]) -> str:
    return "".join(f"<{tag}>{escape(str(value))}</{tag}>" for value in values)


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"
