"""`models compare`: would another model have answered recent requests better?"""

from __future__ import annotations

from typing import Annotated

import typer

from likewise.cli.build_progress import build_progress
from likewise.cli.context import command_line
from likewise.cli.options import Json
from likewise.cli.output import print_json
from likewise.errors import LikewiseError


def compare(
    context: typer.Context,
    a: Annotated[str, typer.Argument(metavar="A", help="A version, or `current` or `previous`.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The version to compare it with.")],
    requests: Annotated[
        int,
        typer.Option("--requests", min=1, metavar="N", help="Number of requests to answer again."),
    ] = 1_000,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the confidence intervals.")] = 0,
    as_json: Json = False,
) -> None:
    """Answer recent requests with two model versions: which one predicts later likes better?

    Both models answer the last N requests of the request topic, with the same code that serves requests
    and the likes that each user had at the time. No replies are sent. The result shows how similar the
    answers are, and how many of the items that users have liked since are in them. Only likes after
    the snapshots of both models count, since a model already knows the others.

    ```
    likewise models compare previous current
    likewise models compare current 20260131T120000.000Z --requests 5000 --json
    ```
    """
    from likewise.cli.comparison_tables import account_of, print_comparison
    from likewise.evaluation.shadow.comparison import compare as compare_answers
    from likewise.evaluation.shadow.replay import replay
    from likewise.models.holder import load_model
    from likewise.models.place import models_place
    from likewise.operations.models import find_version

    cli = command_line(context)
    place = models_place(cli.settings)
    with cli.broker() as broker, cli.store() as store, build_progress() as progress:
        one, other = (find_version(name, place, store) for name in (a, b))
        if one == other:
            raise typer.BadParameter(f"A and B are both {one}; give two different versions")
        progress.step("loading models")
        models = (load_model(place, one), load_model(place, other))
        played = replay(broker, store, cli.topics, models, limit=requests, progress=progress)
        if not played.shadowed:
            raise LikewiseError("none of the last requests can be answered by either model")
        progress.step("confidence intervals")
        comparison = compare_answers(played.shadowed, seed=seed)
    account = account_of(comparison, models, played, seed=seed)
    if as_json:
        print_json(account)
    else:
        print_comparison(account)
