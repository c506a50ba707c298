"""An evaluation as tables on a terminal."""

from __future__ import annotations

from typing import Any

from likewise.cli.output import duration, stdout, table


def print_evaluation(account: dict[str, Any]) -> None:
    """Print the JSON account of an evaluation for people; a star marks the served model."""
    out = stdout()
    _print_data(account)
    out.print(_rankers(account))
    out.print()
    out.print(_groups(account))
    out.print()
    if account["exclusion"] is not None:
        _print_exclusion(account)
    if account["kinds"]:
        _print_kinds(account)
    _print_approximation(account)
    out.print(
        f"\n{account['default']} with the request options diversity and novelty:", markup=False
    )
    out.print(_options(account))
    if account["tuning"] is not None:
        _print_tuning(account)


def _print_data(account: dict[str, Any]) -> None:
    data, settings = account["data"], account["settings"]
    out = stdout()
    out.print(
        f"{data['source']}: {data['likes']:,} likes of {data['users']:,} users and "
        f"{data['items']:,} items; {data['train']:,} train, {data['valid']:,} valid, "
        f"{data['test']:,} test (split: {data['split']}"
        f"{'' if data['until'] is None else ', train ends before ' + data['until']})",
        markup=False,
    )
    out.print(
        f"Fitted on {settings['fitted_on']}; lists of {settings['k']} items; {settings['confidence']:.0%} "
        f"confidence intervals over users in brackets.\n",
        markup=False,
    )


def _rankers(account: dict[str, Any]) -> Any:
    k = account["settings"]["k"]
    shown = table(
        "", "ranker", f"#recall@{k}", "", f"#nDCG@{k}", "", "#hit rate", "#MRR", "#coverage",
        "#novelty", "#popular", "#users", "#build", "#ms/query",
    )  # fmt: skip
    for name, figures in account["rankers"].items():
        shown.add_row(
            "*" if name == account["default"] else "",
            name,
            f"{figures[f'recall@{k}']:.4f}",
            _interval(figures, f"recall@{k}"),
            f"{figures[f'ndcg@{k}']:.4f}",
            _interval(figures, f"ndcg@{k}"),
            f"{figures[f'hit_rate@{k}']:.3f}",
            f"{figures[f'mrr@{k}']:.3f}",
            f"{figures[f'coverage@{k}']:.1%}",
            f"{figures[f'novelty@{k}']:.2f}",
            f"{figures[f'popular_share@{k}']:.1%}",
            f"{figures['users']:,}",
            duration(figures["build_s"]),
            f"{figures['ms_per_query']:.2f}",
        )
    return shown


def _interval(figures: dict[str, Any], metric: str) -> str:
    low, high = figures["intervals"][metric]
    return f"[dim]\\[{low:.4f}, {high:.4f}][/]"


def _groups(account: dict[str, Any]) -> Any:
    k = account["settings"]["k"]
    groups = account["rankers"][account["default"]]["groups"]
    ranges = [tuple(group["likes"]) for group in groups]
    headings = (f"#{low}–{high} likes" for low, high in ranges)
    shown = table("nDCG by activity", *headings)
    shown.add_row("users", *(f"{group['users']:,}" for group in groups))
    for name, figures in account["rankers"].items():
        by_range = {tuple(group["likes"]): group for group in figures["groups"]}
        cells = (by_range.get(each, {}).get(f"ndcg@{k}") for each in ranges)
        shown.add_row(name, *("" if cell is None else f"{cell:.4f}" for cell in cells))
    return shown


def _print_kinds(account: dict[str, Any]) -> None:
    k, target = account["settings"]["k"], account["target"]
    shown = table(
        "kind", "#signals", "#weight", f"#recall@{k} without", "#with", f"#nDCG@{k} without", "#with",
        "difference", "",
    )  # fmt: skip
    for kind, found in account["kinds"].items():
        low, high = found["difference"][f"ndcg@{k}"]
        means = (found[side][f"{name}@{k}"] for name in ("recall", "ndcg") for side in _SIDES)
        shown.add_row(
            kind,
            f"{found['signals']:,}",
            f"{found['weight']:g}",
            *(f"{mean:.4f}" for mean in means),
            f"[dim]\\[{low:+.4f}, {high:+.4f}][/]",
            found["verdict"],
        )
    out = stdout()
    out.print(f"Does each kind of signal, alone, help to predict {target!r}?", markup=False)
    out.print(shown)
    out.print()


_SIDES = ("without", "with")


def _print_exclusion(account: dict[str, Any]) -> None:
    found = account["exclusion"]
    shown = table(
        f"{account['default']}, {found['users']:,} users",
        "#with the excluded",
        "#without",
        "#difference",
    )
    for name, including in found["including"].items():
        low, high = found["difference"].get(name, (None, None))
        interval = "" if low is None else f"[dim]\\[{low:+.4f}, {high:+.4f}][/]"
        shown.add_row(name, f"{including:.4f}", f"{found['without'][name]:.4f}", interval)
    out = stdout()
    out.print(
        f"Does it help the others to leave {found['found']:,} of {found['listed']:,} listed users with "
        f"{found['likes']:,} likes out? {found['verdict'].capitalize()}.",
        markup=False,
    )
    out.print(shown)
    out.print()


def _options(account: dict[str, Any]) -> Any:
    k = account["settings"]["k"]
    metrics = {
        f"recall@{k}": ".4f",
        f"ndcg@{k}": ".4f",
        f"novelty@{k}": ".2f",
        f"popular_share@{k}": ".1%",
        f"coverage@{k}": ".1%",
        f"intra_list_diversity@{k}": ".3f",
        "ms_per_query": ".2f",
    }
    shown = table(
        "diversity", "novelty", f"#recall@{k}", f"#nDCG@{k}", "#bits of surprise", "#popular",
        "#coverage", "#diversity in lists", "#ms/query",
    )  # fmt: skip
    for option in account["options"]:
        asked = (f"{option['diversity']:g}", f"{option['novelty']:g}")
        shown.add_row(*asked, *(f"{option[name]:{form}}" for name, form in metrics.items()))
    return shown


def _print_approximation(account: dict[str, Any]) -> None:
    cost = account["approximation"]
    searched, exact = cost["approximate_ms_per_query"], cost["exact_ms_per_query"]
    stdout().print(
        f"The approximate search finds {cost['recall']:.1%} of the items of the exact search, in "
        f"{searched:.2f} ms per query instead of {exact:.2f} ms. Serving uses the {cost['serves']} "
        f"search for {account['default']} here.",
        markup=False,
    )


def _print_tuning(account: dict[str, Any]) -> None:
    tuning, k = account["tuning"], account["settings"]["k"]
    tuned, untuned = tuning["tuned"], tuning["untuned"]
    out = stdout()
    out.print(
        f"\nTuned in {tuning['trials']} trials and {duration(tuning['spent_s'])} of CPU time on {tuning['on']}, "
        f"{tuning['users']:,} users: recall@{k} {tuned[f'recall@{k}']:.4f} (untuned "
        f"{untuned[f'recall@{k}']:.4f}), nDCG@{k} {tuned[f'ndcg@{k}']:.4f} "
        f"({untuned[f'ndcg@{k}']:.4f}).",
        markup=False,
    )
    if tuning["not_reached"]:
        out.print(f"Not reached: {'; '.join(tuning['not_reached'])}.", markup=False)
    if tuning["weights"] is not None:
        found = ", ".join(
            f"{kind} {weight:g}" for kind, weight in tuning["weights"]["weights"].items()
        )
        out.print(
            f"Weights found, in {len(tuning['weights']['trials'])} trials: {found}.", markup=False
        )
    numbers = ", ".join(f"{name} {value}" for name, value in tuned["recipe"].items())
    out.print(f"Settings found: {numbers}.", markup=False)
