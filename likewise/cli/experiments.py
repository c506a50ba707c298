"""`experiments`: start, list, show, stop, verify and remove experiments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from likewise.cli.context import command_line
from likewise.cli.options import Json
from likewise.cli.output import note, print_json, stdout
from likewise.cli.publishing_documents import published
from likewise.cli.verify_experiment import verify
from likewise.service.clock import now_ms

if TYPE_CHECKING:
    from likewise.cli.context import CommandLine
    from likewise.messages.experiments import Experiment

app = typer.Typer(
    no_args_is_help=True,
    help="Compare models, rankers and options on parts of the users.",
)

app.command()(verify)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The experiment's name.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until the consumers have applied it.")]


@app.command()
def start(
    context: typer.Context,
    name: Name,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,…",
            help="A variant: its name, and any of `share=2`, `model=VERSION` (or `current`, `previous`), "
            "`ranker=NAME` and options of requests. The first is the control.",
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="JSON", help="A file with the definition; options replace its fields."
        ),
    ] = None,
    kind: Annotated[
        Literal["split", "interleaved"] | None,
        typer.Option(
            help="Each user gets one variant, or two variants share each list.",
            show_default="split",
        ),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(help="The share of the users who take part.", show_default="1.0"),
    ] = None,
    scenario: Annotated[
        str | None, typer.Option(help="Only requests for this scenario take part.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="USER", help="A user who does not take part.")
    ] = None,
    exclude_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Users who do not take part, one a line."),
    ] = None,
    window: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="For how long after a list a like of its items counts.",
            show_default="experiments.window_s",
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(help="How much worse than the control passes as not worse: 0.02 is 2%."),
    ] = None,
    seed: Annotated[
        str | None, typer.Option(help="Decides who gets which variant.", show_default="random")
    ] = None,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Start an experiment. Servers follow it within a second.

    With a single variant, the control is called `control` and changes nothing.

    ```
    likewise experiments start ridge --variant ridge,ranker=ridge
    likewise experiments start fresh --share 0.2 --variant 'fresh,novelty=0.4'
    likewise experiments start duel --kind interleaved --variant b,ranker=ridge
    ```
    """
    from likewise.cli.experiment_options import definition, users_in
    from likewise.cli.experiment_tables import parts_of
    from likewise.operations.experiments import start as start_experiment

    given = {
        "kind": kind,
        "share": share,
        "scenario": scenario,
        "window_s": window,
        "margin": margin,
        "seed": seed,
    }
    body = definition(file, variant or [], given, [*(exclude or []), *users_in(exclude_file)])
    cli = command_line(context)
    with cli.store() as store:
        experiment, notes = start_experiment(store, cli.settings, name, body, now_ms=now_ms())
    for sentence in notes:
        note(sentence)
    _publish(cli, experiment, f"started: {parts_of(experiment)}", wait=wait, as_json=as_json)


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List the experiments: those that run first, in the order in which they take requests.

    ```
    likewise experiments list
    ```
    """
    from likewise.cli.experiment_tables import print_list
    from likewise.operations.experiment_reports import report_on, summary_of
    from likewise.operations.experiments import list_experiments

    with command_line(context).store() as store:
        found = [(one, report_on(store, one)) for one in list_experiments(store)]
    if as_json:
        print_json([summary_of(experiment, report) for experiment, report in found])
    elif found:
        print_list(found)
    else:
        stdout().print("no experiments; `likewise experiments start` starts one")


@app.command()
def show(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """Show an experiment: its definition, what was counted, and the verdict so far.

    ```
    likewise experiments show ridge
    likewise experiments show ridge --json | jq .verdict
    ```
    """
    from likewise.cli.experiment_tables import print_report
    from likewise.operations.experiment_reports import report_on
    from likewise.operations.experiments import find_experiment

    with command_line(context).store() as store:
        experiment = find_experiment(store, name)
        report = report_on(store, experiment)
    if as_json:
        print_json(report)
    else:
        print_report(experiment, report)


@app.command()
def stop(
    context: typer.Context,
    name: Name,
    reason: Annotated[str, typer.Option(help="Why, for those who look later.")] = "",
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Stop an experiment. All requests get the usual answers; likes of lists shown before still count.

    Its definition, its counts and the verdict of this moment stay.

    ```
    likewise experiments stop ridge --reason "ridge is better"
    ```
    """
    from likewise.operations.experiments import stop as stop_experiment

    cli = command_line(context)
    with cli.store() as store:
        stopped = stop_experiment(store, name, now_ms=now_ms(), reason=reason)
    verdict = None if stopped.outcome is None else stopped.outcome.verdict
    sentence = f"stopped: {verdict['sentence']}" if verdict else "stopped"
    _publish(cli, stopped, sentence, wait=wait, as_json=as_json)


@app.command()
def remove(context: typer.Context, name: Name, wait: Wait = False, as_json: Json = False) -> None:
    """Remove a stopped experiment.

    ```
    likewise experiments remove ridge
    ```
    """
    from likewise.cli.publishing_documents import publish_documents
    from likewise.operations.experiments import remove as check_removal

    cli = command_line(context)
    with cli.store() as store:
        check_removal(store, name)
    publish_documents(cli, cli.topics.experiments, [(name, None)], wait=wait, as_json=as_json)


def _publish(
    cli: CommandLine, experiment: Experiment, sentence: str, *, wait: bool, as_json: bool
) -> None:
    """Publish the experiment, and print its position with a sentence about it."""
    from likewise.messages.experiments import encode_experiment, experiment_json

    documents = [(experiment.name, encode_experiment(experiment))]
    [position] = published(cli, cli.topics.experiments, documents, wait=wait)
    if as_json:
        print_json({"experiment": experiment_json(experiment), "position": str(position)})
    else:
        stdout().print(f"{position}  {experiment.name} {sentence}", markup=False)
