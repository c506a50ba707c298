"""What every command starts from: the global options and the settings they lead to."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from likewise.log.topics import Topics
from likewise.settings_loader import load_settings, setting_origins
from likewise.store.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    import typer

    from likewise.log.kafka import KafkaBroker
    from likewise.settings import Settings
    from likewise.store.redis import RedisStore


_PATIENCE_MS = 10_000


@dataclass
class CommandLine:
    """The global options of one run; everything else is made when a command asks for it."""

    file: Path | None = None
    options: dict[str, object] = field(default_factory=dict)
    """Settings given as options, by their dotted names; None where one was not given."""
    debug: bool = False
    strict: bool = False
    """Whether a variable that is no setting is an error."""

    @cached_property
    def settings(self) -> Settings:
        """The settings from all sources, read once.

        Raises:
            SettingsError: see `load_settings`.
        """
        from likewise.cli.private_directory import with_local_password

        settings = load_settings(file=self.file, options=self.options, strict=self.strict)
        return with_local_password(settings)

    @cached_property
    def origins(self) -> dict[str, str]:
        """Where each setting that is not a default was given, by its dotted name."""
        return setting_origins(file=self.file, options=self.options)

    @property
    def topics(self) -> Topics:
        """The topics that the settings name."""
        return Topics(self.settings.kafka.topic_prefix)

    @property
    def keys(self) -> Keys:
        """The Redis keys that the settings name."""
        return Keys(self.settings.redis.key_prefix)

    @contextmanager
    def broker(self) -> Iterator[KafkaBroker]:
        """Give the Kafka cluster of the settings for the length of a `with` block.

        Somebody waits at the terminal: a cluster out of reach is given up after 10 s at most.
        """
        from likewise.log.kafka import KafkaBroker

        patience_ms = min(self.settings.kafka.request_timeout_ms, _PATIENCE_MS)
        settings = msgspec.structs.replace(self.settings.kafka, request_timeout_ms=patience_ms)
        with closing(KafkaBroker(settings, client_id="likewise-cli")) as broker:
            yield broker

    @contextmanager
    def store(self) -> Iterator[RedisStore]:
        """Give the Redis of the settings for the length of a `with` block."""
        from likewise.store.redis import RedisStore

        with closing(RedisStore(self.settings.redis)) as store:
            yield store


def command_line(context: typer.Context) -> CommandLine:
    """Return the global options that this command was called with."""
    return context.ensure_object(CommandLine)
