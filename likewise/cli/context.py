"""What every command starts with: the global options, and the settings and servers they lead to."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from likewise.cli.output import note
from likewise.log.topics import Topics
from likewise.settings.loader import load_settings, setting_origins
from likewise.store.cluster_keys import keys_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import typer

    from likewise.cli.running import RunningUp
    from likewise.log.kafka import KafkaBroker
    from likewise.settings import Settings
    from likewise.store.keys import Keys
    from likewise.store.redis import RedisStore


_PATIENCE_MS = 10_000


@dataclass
class CommandLine:
    """The global options of one run; everything else is created when a command asks for it."""

    file: Path | None = None
    options: dict[str, object] = field(default_factory=dict)
    """Settings given as options, by dotted name; None if the option was not given."""
    debug: bool = False
    strict: bool = False
    """Whether an unknown `LIKEWISE_…` variable is an error."""
    logs: bool = False
    """Whether the command is a service, whose standard error is its log."""

    @cached_property
    def given(self) -> Settings:
        """The settings from file, environment and options, read once.

        Raises:
            SettingsError: see `load_settings`.
        """
        return load_settings(file=self.file, options=self.options, strict=self.strict)

    @cached_property
    def settings(self) -> Settings:
        """The given settings, completed with those of a running `likewise up`.

        Says on standard error that it does so, except for services, which log it.

        Raises:
            SettingsError: a given setting is not usable, or several runs are active and the given
                settings do not choose one.
        """
        if not self.adopted:
            return self.given
        if not self.logs:
            note(f"using {self.running}")
        return load_settings(file=self.file, options={**self.options, **self.adopted})

    @cached_property
    def running(self) -> RunningUp | None:
        """The running `likewise up` that the command means; None if it means none.

        Raises:
            SettingsError: see `settings`.
        """
        from likewise.cli.running import deployment_meant

        return deployment_meant(self.given, self.origins)

    @cached_property
    def adopted(self) -> dict[str, str]:
        """The settings that come from a running `likewise up`, by dotted name."""
        from likewise.cli.running import adopted_settings

        return adopted_settings(self.running, self.given, self.origins) if self.running else {}

    @cached_property
    def origins(self) -> dict[str, str]:
        """Where each given setting that is not a default was set, by dotted name."""
        return setting_origins(file=self.file, options=self.options)

    @property
    def topics(self) -> Topics:
        """The topics that the settings name."""
        return Topics(self.settings.kafka.topic_prefix)

    @property
    def keys(self) -> Keys:
        """The Redis keys that the settings name."""
        return keys_of(self.settings.redis)

    @contextmanager
    def broker(self) -> Iterator[KafkaBroker]:
        """Provide the Kafka cluster of the settings for the length of a `with` block.

        Gives up a cluster that cannot be reached after at most 10 s: somebody waits at the terminal.
        """
        from likewise.log.kafka import KafkaBroker

        patience_ms = min(self.settings.kafka.request_timeout_ms, _PATIENCE_MS)
        settings = msgspec.structs.replace(self.settings.kafka, request_timeout_ms=patience_ms)
        with closing(KafkaBroker(settings, client_id="likewise-cli")) as broker:
            yield broker

    @contextmanager
    def store(self) -> Iterator[RedisStore]:
        """Provide the Redis of the settings for the length of a `with` block."""
        from likewise.store.redis import RedisStore

        with closing(RedisStore(self.settings.redis)) as store:
            yield store


def command_line(context: typer.Context) -> CommandLine:
    """Return the global options of this command."""
    return context.ensure_object(CommandLine)
