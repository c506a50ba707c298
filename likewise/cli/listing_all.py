"""`recommend --all`: the lists of all users, to a file, from Redis and a model on this host."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from likewise.cli.output import note, print_json, progress, stdout

if TYPE_CHECKING:
    from likewise.cli.context import CommandLine
    from likewise.messages.requests import Request
    from likewise.operations.files.lists import ListParts
    from likewise.store.port import LikeStore

_PART_USERS = 4_096
_NEEDS_A_SERVER = ("explain", "fields", "rotation", "explore", "without")


def list_all(cli: CommandLine, file: str, options: dict[str, Any], *, as_json: bool) -> None:
    """Write the lists of all users to the file, or the parts that an interrupted run has left out.

    Raises:
        LikeFileError: the file cannot be written, or its name has no known ending.
        ModelFileError: there is no model, or the one of the interrupted run is gone.
        InvalidInputError: an option has no valid value.
    """
    from likewise.operations.files.lists import format_of

    path = Path(file)
    format_of(path)
    request = _request(options)
    with cli.store() as store:
        version = _version(cli, store, path)
        parts = _parts(store, version, request, path)
    users = len(parts.users)
    try:
        _rank(cli, version, request, parts)
    except KeyboardInterrupt:
        note(
            f"{parts.written_users:,} of {users:,} users are written; "
            "run the same command again to continue"
        )
        raise
    rows = parts.finish()
    if as_json:
        print_json({"file": file, "users": users, "rows": rows, "model": version})
    else:
        stdout().print(f"{rows:,} items for {users:,} users in {file}, by model {version}")


def _request(options: dict[str, Any]) -> Request:
    from likewise.messages.request_decoding import parse_request

    for name in _NEEDS_A_SERVER:
        if options.get(name) is not None:
            raise typer.BadParameter(f"--{name.replace('_', '-')} does not go with --all")
    if options.get("source") not in {None, "model", "popular"}:
        raise typer.BadParameter("with --all, --source is `model` or `popular`")
    return parse_request({"user_id": "all", **options})


def _version(cli: CommandLine, store: LikeStore, path: Path) -> str:
    """Return the version of the model of the interrupted run if it is still there, else the current one."""
    from likewise.errors import ModelFileError
    from likewise.models.holder import find_model, load_model
    from likewise.models.place import models_place
    from likewise.operations.files.lists import unfinished_job

    place = models_place(cli.settings)
    if (job := unfinished_job(path)) is not None:
        try:
            return load_model(place, str(job.get("model"))).version
        except ModelFileError:
            note("the model of the interrupted run is gone; beginning again with the current one")
    served = find_model(place, store.model_announcement())
    if served is None:
        raise ModelFileError(
            f"there is no model in {place}; set model.directory (--models) to the indexer's "
            "directory"
        )
    return served.version


def _parts(store: LikeStore, version: str, request: Request, path: Path) -> ListParts:
    from likewise.messages.requests import encode_request
    from likewise.operations.files.lists import open_parts, unfinished_job

    job = {"model": version, "request": msgspec.json.decode(encode_request(request))}
    before = unfinished_job(path)
    parts = open_parts(
        path,
        job,
        lambda: sorted({user for chunk in store.scan_users(1_000) for user in chunk}),
        part_users=_PART_USERS,
    )
    if before is not None and parts.written_users:
        note(f"continuing: {parts.written_users:,} of {len(parts.users):,} users are written")
    return parts


def _rank(cli: CommandLine, version: str, request: Request, parts: ListParts) -> None:
    from likewise.cli.listing_processes import ListJob, write_parts
    from likewise.messages.requests import encode_request

    job = ListJob(cli.settings, version, encode_request(request), parts.path.absolute())
    with progress() as bars:
        bar = bars.add_task("ranking", total=len(parts.users), completed=parts.written_users)
        write_parts(
            job,
            parts,
            processes=cli.settings.serving.threads,
            on_users=lambda users: bars.advance(bar, users),
        )
