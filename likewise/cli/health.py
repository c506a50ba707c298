"""`health`: whether a service on this machine is healthy, for health checks without curl."""

from __future__ import annotations

from typing import Annotated

import typer

from likewise.cli.context import command_line
from likewise.cli.exit_codes import FAILED
from likewise.cli.output import complain, stdout
from likewise.errors import SettingsError

_TIMEOUT_S = 5.0


def health(
    context: typer.Context,
    port: Annotated[
        int | None, typer.Option(help="Monitoring port of the service. Default: monitoring.port.")
    ] = None,
    ready: Annotated[
        bool, typer.Option("--ready", help="Check readiness: whether the service can work now.")
    ] = False,
) -> None:
    """Check whether a service on this machine is healthy. Exit code 0 or 1.

    The service must have a monitoring port (`LIKEWISE_MONITORING_PORT`).

    ```
    likewise health
    likewise health --port 9100 --ready
    ```
    """
    chosen = port or command_line(context).given.monitoring.port
    if not chosen:
        raise SettingsError(
            "monitoring.port (LIKEWISE_MONITORING_PORT) is 0, so no service listens; "
            "set it for the service and for this command"
        )
    well, sentence = ask(chosen, "/readyz" if ready else "/healthz")
    if not well:
        complain(sentence)
        raise typer.Exit(FAILED)
    stdout().print(sentence)


def ask(port: int, page: str) -> tuple[bool, str]:
    """Return whether the service on this loopback port answers 200, and its text. Waits 5 s at most."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", page)
        reply = connection.getresponse()
        return reply.status == 200, reply.read().decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return False, f"no service answers on port {port}: {error}"
    finally:
        connection.close()
