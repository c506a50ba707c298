"""Runs tasks on shards: each on the worker that has the shard, again elsewhere if that worker is lost.

A task is pinned to one worker, so that neither Dask's work stealing nor its recomputation moves it to a worker
without the shard. In return, this module watches the workers itself: if one is gone, its shards get other
workers, where they are recovered, and the step that was interrupted is repeated. Steps are pure, so that a
repeated one gives the same.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from indexer.cluster.connection import close
from indexer.cluster.errors import ClusterError, ShardLostError
from likewise.errors import TransientError
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from distributed import Client, Future

    T = TypeVar("T")
    Submit = Callable[[int], Future]
    """Submits the task of one shard."""

# How often the workers are looked at while tasks run.
_LOOK_S = 1.0
# A sum of shards adds so many of them at a time.
_FAN_IN = 4
# Interruptions of one step before the build is given up.
_MOST_LOSSES = 5
_TIDY_S = 10.0
# Results that are in flight from workers, for each thread of the cluster.
_IN_FLIGHT = 2


class Crew:
    """The workers of a cluster, and which of them has which shard. For one thread."""

    def __init__(self, client: Client, shards: int, *, timeout_s: float) -> None:
        """Assign the shards to the workers that are there. `timeout_s` bounds the wait for a first one."""
        self.numbers = range(shards)
        self._client = client
        self._timeout_s = timeout_s
        self._owners: list[str | None] = [None] * shards
        self._layers: dict[str, Submit] = {}
        self._constants: dict[int, tuple[object, Future]] = {}
        self._to_recover: set[int] = set()
        self._log = get_logger()
        self.spread()

    def close(self) -> None:
        """Leave the cluster."""
        self._constants.clear()
        close(self._client)

    @property
    def workers(self) -> int:
        """The number of workers that have shards."""
        return len(set(self._owners))

    def spread(self) -> None:
        """Assign the shards evenly to all workers, before shards are read.

        Raises:
            ClusterError: there is no worker, or no scheduler.
        """
        workers = sorted(self._workers())
        self._owners = [workers[number % len(workers)] for number in self.numbers]
        self.begin()
        if len(workers) > len(self.numbers):
            self._log.warning(
                "some workers have no shard: raise indexer.dask_shards",
                shards=len(self.numbers),
                workers=len(workers),
            )

    def begin(self) -> None:
        """Begin with a new snapshot: forget how the matrices of the one before were made."""
        self._layers.clear()
        self._to_recover.clear()

    def submit(self, number: int, function: Callable[..., object], *arguments: object) -> Future:
        """Submit a task on a shard to the shard's worker."""
        return self._client.submit(
            function,
            *arguments,
            workers=[self._owners[number]],
            allow_other_workers=False,
            pure=False,
        )

    def combine(self, function: Callable[..., object], *arguments: object) -> Future:
        """Submit a task on results of others to any worker."""
        return self._client.submit(function, *arguments, pure=False)

    def constant(self, value: object) -> Future:
        """Return the value on the cluster: sent once, and fetched by the workers that use it.

        It stays there until `forget_constants`, or until a worker is lost.
        """
        known = self._constants.get(id(value))
        if known is None:
            # To one worker, from which others fetch it; a broadcast can hang if one dies meanwhile.
            owner = self._owners[0]
            future = self._client.scatter(value, workers=[owner], hash=False)
            known = self._constants[id(value)] = (value, future)
        return known[1]

    def forget_constants(self) -> None:
        """Release what `constant` has sent."""
        self._constants.clear()

    def keep(self, name: str, submit: Submit) -> list[Any]:
        """Make a matrix of every shard by tasks that store it, and return their results.

        After a loss the tasks are run again, in the order of the matrices.
        """
        results = self.each(submit)
        self._layers[name] = submit
        return results

    def drop(self, name: str) -> None:
        """Forget how a matrix was made."""
        self._layers.pop(name, None)

    def each(self, submit: Submit, on_done: Callable[[int], None] = lambda _: None) -> list[Any]:
        """Return the results of one task for each shard, in the order of shards."""
        return self.stream(len(self.numbers), submit, on_done)

    def total(self, submit: Submit) -> Any:
        """Return the sum of the results for all shards: added in a tree that depends on their number alone."""
        return self.run(lambda: self._collect([self._tree(list(map(submit, self.numbers)))]))[0]

    def stream(
        self, count: int, submit: Submit, on_done: Callable[[int], None] = lambda _: None
    ) -> list[Any]:
        """Return the results of tasks 0 to count - 1, in order, of which a bounded number is in flight."""
        done: dict[int, Any] = {}

        def rest() -> None:
            missing = (number for number in range(count) if number not in done)
            room = max(_IN_FLIGHT * len(self._workers()), len(self.numbers))
            flying: dict[Future, int] = {}
            while True:
                for number in islice(missing, room - len(flying)):
                    flying[submit(number)] = number
                if not flying:
                    return
                for future in self._finished(flying):
                    number = flying.pop(future)
                    done[number] = future.result()
                    on_done(number)

        self.run(rest)
        return [done[number] for number in range(count)]

    def on_workers(self, submit: Submit) -> None:
        """Run the task of one shard on each worker, as far as that is possible within a few seconds."""
        from distributed import wait

        numbers = {owner: number for number, owner in enumerate(self._owners)}.values()
        with suppress(Exception), self._client.as_current():  # it only tidies up
            wait([submit(number) for number in numbers], timeout=_TIDY_S)

    def run(self, step: Callable[[], T]) -> T:
        """Return what the step returns; if a worker is lost, recover its shards and repeat the step.

        Raises:
            ClusterError: the scheduler was lost, all workers are, or a task failed for good.
        """
        from distributed import CancelledError, KilledWorker
        from distributed.client import ClosedClientError
        from distributed.comm import CommClosedError

        interrupted = (
            ShardLostError,
            CancelledError,
            ClosedClientError,
            CommClosedError,
            OSError,
            TimeoutError,
        )
        for _ in range(_MOST_LOSSES):
            try:
                self._recover()
                return step()
            except interrupted as error:
                self._constants.clear()
                self._note_losses(error)
            except KilledWorker as error:
                raise ClusterError(
                    f"a task killed its Dask workers: {error}; they may need more memory, or more and so "
                    "smaller shards (indexer.dask_shards)"
                ) from error
            except (ClusterError, TransientError):
                raise
            except (RuntimeError, ValueError, MemoryError) as error:
                raise ClusterError(f"a task failed on a Dask worker: {error!r}") from error
        raise ClusterError(
            f"the Dask cluster has lost workers {_MOST_LOSSES} times in one step; the logs of the workers "
            "have the reason, which is often too little memory"
        )

    def _collect(self, futures: Sequence[Future]) -> list[Any]:
        waiting = set(futures)
        while waiting:
            waiting.difference_update(self._finished(waiting))
        return [future.result() for future in futures]

    def _finished(self, futures: Iterable[Future]) -> list[Future]:
        """Return the futures that have finished, at least one, as long as no worker with a shard is lost."""
        from distributed import wait

        pending = list(futures)
        while True:
            with suppress(TimeoutError), self._client.as_current():
                done, _ = wait(pending, timeout=_LOOK_S, return_when="FIRST_COMPLETED")
                return list(done)
            if lost := set(self._owners) - self._workers():
                raise ShardLostError(f"lost {len(lost)} workers")

    def _tree(self, parts: list[Future]) -> Future:
        from indexer.cluster import tasks

        while len(parts) > 1:
            groups = (parts[first : first + _FAN_IN] for first in range(0, len(parts), _FAN_IN))
            parts = [self.combine(tasks.add, *group) for group in groups]
        return parts[0]

    def _workers(self) -> set[str]:
        """Return the addresses of the workers, at least one."""
        try:
            self._client.wait_for_workers(1, timeout=self._timeout_s)
            return set(self._client.nthreads())
        except TimeoutError as error:
            raise ClusterError(
                "the Dask cluster has no workers left; start some with `dask worker`"
            ) from error
        except Exception as error:  # a client without a scheduler fails in many ways
            raise ClusterError(
                "the Dask scheduler was lost during the build (indexer.dask_scheduler); the next build "
                "connects to it again"
            ) from error

    def _note_losses(self, error: Exception) -> None:
        """Give the shards of lost workers to others."""
        workers = sorted(self._workers())
        lost = [number for number in self.numbers if self._owners[number] not in workers]
        for place, number in enumerate(lost):
            self._owners[number] = workers[place % len(workers)]
        # Without a lost worker, one was restarted at its address, without its files.
        self._to_recover.update(lost or self.numbers)
        self._log.warning(
            "a Dask worker was lost; its shards are recovered on others",
            shards=lost,
            workers=len(workers),
            reason=repr(error),
        )

    def _recover(self) -> None:
        """Make all matrices of the shards that were lost, in the order in which they were made."""
        numbers = sorted(self._to_recover)
        for submit in self._layers.values() if numbers else ():
            self._collect([submit(number) for number in numbers])
        self._to_recover.clear()
