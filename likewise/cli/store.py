"""`store`: moves a deployment between one Redis and a Redis Cluster."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer

from likewise.cli.context import CommandLine, command_line
from likewise.cli.options import Json
from likewise.cli.output import print_json, progress, stdout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.log.port import Broker
    from likewise.messages.ids import UserId
    from likewise.settings import RedisSettings
    from likewise.store.redis.migration import Migrated

app = typer.Typer(no_args_is_help=True, help="Move between one Redis and a Redis Cluster.")


@app.command()
def migrate(
    context: typer.Context,
    to: Annotated[
        Literal["cluster", "server"],
        typer.Option(help="What the target is: a Redis Cluster, or one server (or Sentinel)."),
    ],
    to_url: Annotated[str, typer.Option(metavar="URL", help="Address of the target.")],
    buckets: Annotated[
        int | None, typer.Option(min=1, max=4096, help="On a cluster. Default: redis.buckets.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Copy nothing; show what would be copied.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Copy everything in Redis to a Redis Cluster, or back. Stop all services first.

    The source is the Redis of the settings; it stays as it is. Then set `redis.url` and `redis.cluster`, run
    `likewise verify`, and start the services. A migration that was interrupted is run again.

    ```
    likewise store migrate --to cluster --to-url redis://cluster:6379 --dry-run
    likewise store migrate --to cluster --to-url redis://cluster:6379
    ```
    """
    from likewise.operations.groups import check_idle
    from likewise.store.redis.migration import Migration

    cli = command_line(context)
    target = _target(cli.settings.redis, to, to_url, buckets)
    with cli.broker() as broker, closing(Migration(cli.settings.redis, target)) as migration:
        check_idle(broker, cli.settings.consumer.group, cli.topics.likes)
        with progress() as bar:
            task = bar.add_task("copying keys", total=None)
            migrated = migration.run(
                lambda: _users_in(cli, broker),
                lambda copied, total: bar.update(task, completed=copied, total=total),
                dry_run=dry_run,
            )
    if as_json:
        print_json(migrated)
    else:
        _print(migrated, dry_run=dry_run)


def _target(source: RedisSettings, to: str, to_url: str, buckets: int | None) -> RedisSettings:
    """Return the settings of the target: the source's, with another address."""
    password = None if "@" in to_url else source.password
    return msgspec.structs.replace(
        source,
        url=to_url,
        password=password,
        cluster=to == "cluster",
        buckets=buckets or source.buckets,
    )


def _users_in(cli: CommandLine, broker: Broker) -> Iterator[UserId]:
    """Yield the users of the log, each any number of times."""
    from likewise.operations.groups import users_of_log

    return users_of_log(broker, cli.topics.likes)


def _print(migrated: Migrated, *, dry_run: bool) -> None:
    verb = "would copy" if dry_run else "copied"
    stdout().print(
        f"{verb} {migrated.keys:,} keys: {migrated.users_with_likes:,} users with likes, "
        f"{migrated.scattered_users:,} on several partitions; {migrated.positions:,} positions"
    )
    if not dry_run:
        stdout().print("now set redis.url and redis.cluster, and run `likewise verify`")
