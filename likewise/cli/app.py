"""The Typer application: global options, and the name of every command."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from likewise import __version__
from likewise.cli import (
    ask,
    auditing,
    bisecting,
    configuration,
    dead_letters,
    evaluating,
    events,
    experiments,
    exporting,
    health,
    importing,
    items,
    keys,
    models,
    planning,
    scenarios,
    services,
    signals,
    status,
    store,
    topics,
    up,
    verify,
)
from likewise.cli.context import CommandLine
from likewise.cli.demo.command import demo
from likewise.cli.exit_codes import exit_code_of
from likewise.cli.output import complain
from likewise.errors import LikewiseError
from likewise.extras import missing_extra
from likewise.settings.environment import wants_strictness
from likewise.settings.loader import unknown_variables


class _Group(TyperGroup):
    """Turns every `LikewiseError` into one sentence and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except LikewiseError as error:
            raise _exit(ctx, error) from error
        except ModuleNotFoundError as error:
            missing = missing_extra(error)
            if missing is None:
                raise
            raise _exit(ctx, missing) from error


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _exit(ctx: Any, error: LikewiseError) -> typer.Exit:
    """Report the error, and return the exit that its code asks for."""
    if ctx.ensure_object(CommandLine).debug:
        traceback.print_exc()
    if not _logged(error):
        complain(str(error))
    return typer.Exit(exit_code_of(error))


def _logged(error: LikewiseError) -> bool:
    """Log the error that ends a service with JSON logs. Other commands do not load the log module."""
    logs = sys.modules.get("likewise.service.logs")
    return logs is not None and bool(logs.log_fatal(error))


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"likewise {__version__}")
        raise typer.Exit


_Option = typer.Option
_LOGGING = frozenset({"consume", "gateway", "index", "serve"})
"""Services. They log what other commands print on standard error, which may have to be JSON."""
_SETTINGS = "Settings (also in likewise.toml and as LIKEWISE_… variables)"


@app.callback()
def main(
    context: typer.Context,
    config: Annotated[
        Path | None,
        _Option(
            metavar="FILE",
            help="Settings file. Default: likewise.toml in this directory, if it exists.",
        ),
    ] = None,
    bootstrap_servers: Annotated[
        str | None,
        _Option(
            metavar="HOST:PORT", help="Address of the Kafka brokers.", rich_help_panel=_SETTINGS
        ),
    ] = None,
    redis_url: Annotated[
        str | None, _Option(metavar="URL", help="Address of Redis.", rich_help_panel=_SETTINGS)
    ] = None,
    topic_prefix: Annotated[
        str | None,
        _Option(help="Prefix of every topic and group name.", rich_help_panel=_SETTINGS),
    ] = None,
    key_prefix: Annotated[
        str | None, _Option(help="Prefix of every Redis key.", rich_help_panel=_SETTINGS)
    ] = None,
    models: Annotated[
        Path | None,
        _Option(metavar="DIR", help="Directory of the model versions.", rich_help_panel=_SETTINGS),
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None,
        _Option(help="The least severe level that services log.", rich_help_panel=_SETTINGS),
    ] = None,
    strict_settings: Annotated[
        bool,
        _Option(
            "--strict-settings",
            help="Refuse unknown LIKEWISE_… variables. Default: a warning.",
        ),
    ] = False,
    debug: Annotated[bool, _Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        _Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """An event-driven recommender: apps publish likes to Kafka, services get recommendations.

    Start with `likewise demo`. Or run `likewise up`, and in another terminal:

    ```
    likewise like u1 i1
    likewise recommend u1
    ```
    """
    context.obj = CommandLine(
        file=config,
        options={
            "kafka.bootstrap_servers": bootstrap_servers,
            "kafka.topic_prefix": topic_prefix,
            "redis.url": redis_url,
            "redis.key_prefix": key_prefix,
            "model.directory": models,
            "logging.level": log_level,
        },
        debug=debug,
        strict=strict_settings,
        logs=context.invoked_subcommand in _LOGGING,
    )
    if not (strict_settings or wants_strictness() or context.obj.logs):
        for unknown in unknown_variables():
            complain(str(unknown))


# The help shows panels and commands in this order.
_APPS = "Likes and recommendations"
_SERVICES = "Services"
_OPERATORS = "Operations"

app.command(rich_help_panel=_APPS)(demo)
app.command(rich_help_panel=_APPS)(events.like)
app.command(rich_help_panel=_APPS)(events.unlike)
app.command(rich_help_panel=_APPS)(events.forget)
app.command(rich_help_panel=_APPS)(signals.dislike)
app.command(rich_help_panel=_APPS)(signals.undislike)
app.command(rich_help_panel=_APPS)(signals.hide)
app.command(rich_help_panel=_APPS)(signals.unhide)
app.command(rich_help_panel=_APPS)(signals.signal)
app.command(rich_help_panel=_APPS)(signals.unsignal)
app.command("merge-users", rich_help_panel=_APPS)(signals.merge_users)
app.command(rich_help_panel=_APPS)(events.retire)
app.command(rich_help_panel=_APPS)(events.restore)
app.command(rich_help_panel=_APPS)(ask.recommend)
app.command(rich_help_panel=_APPS)(ask.similar)
app.command(rich_help_panel=_APPS)(ask.users)
app.command("import", rich_help_panel=_APPS)(importing.import_likes)
app.command(rich_help_panel=_APPS)(exporting.export)
app.add_typer(items.app, name="items", rich_help_panel=_APPS)
app.add_typer(scenarios.app, name="scenarios", rich_help_panel=_APPS)

app.command(rich_help_panel=_SERVICES)(up.up)
app.command(rich_help_panel=_SERVICES)(services.consume)
app.command(rich_help_panel=_SERVICES)(services.index)
app.command(rich_help_panel=_SERVICES)(services.serve)
app.command(rich_help_panel=_SERVICES)(services.gateway)

app.command(rich_help_panel=_OPERATORS)(status.status)
app.command(rich_help_panel=_OPERATORS)(planning.plan)
app.add_typer(topics.app, name="topics", rich_help_panel=_OPERATORS)
app.add_typer(store.app, name="store", rich_help_panel=_OPERATORS)
app.add_typer(models.app, name="models", rich_help_panel=_OPERATORS)
app.add_typer(experiments.app, name="experiments", rich_help_panel=_OPERATORS)
app.command(rich_help_panel=_OPERATORS)(evaluating.evaluate)
app.command(rich_help_panel=_OPERATORS)(bisecting.bisect)
app.add_typer(auditing.app, name="audit", rich_help_panel=_OPERATORS)
app.command(rich_help_panel=_OPERATORS)(verify.verify)
app.add_typer(dead_letters.app, name="dead-letters", rich_help_panel=_OPERATORS)
app.add_typer(keys.app, name="keys", rich_help_panel=_OPERATORS)
app.command(rich_help_panel=_OPERATORS)(health.health)
app.command(rich_help_panel=_OPERATORS)(configuration.config)
