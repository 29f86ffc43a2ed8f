"""A simulation of embedding on several machines, block by block of pictures.

Discrete events: a block goes through its steps in order; each step needs a server of a pool (a
core, a connection, the one driver) for a time that was measured. A machine takes a new block when
it has fewer than so many under way, which is the back-pressure of the real pipeline. Machines may
die: what they had under way and not yet stored is computed again, elsewhere or by them.

`tests/test_scale.py` holds it against closed forms and against a measured run.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np


@dataclass(frozen=True)
class Step:
    """A part of the work on a block.

    Attributes
    ----------
    name, pool : str
        What it is, and whose servers do it.
    seconds : float
        How long it holds a server, on average.
    spread : float
        Standard deviation of that time divided by its mean; 1 is that of an exponential.
    stores : bool
        Whether the block is safe afterwards, whatever dies.
    """

    name: str
    pool: str
    seconds: float
    spread: float = 0.0
    stores: bool = False


@dataclass(frozen=True)
class Pool:
    """Servers of one kind: so many on each machine, or so many for all of them together."""

    servers: int
    shared: bool = False


@dataclass(frozen=True)
class Pipeline:
    """What is simulated.

    Attributes
    ----------
    steps : sequence of Step
        In the order in which a block goes through them.
    pools : mapping of str to Pool
        By name.
    machines : int
        How many.
    under_way : int
        Blocks that a machine works on at once, at most.
    failures : float
        Deaths of a machine in an hour of its life.
    restart : float
        Seconds until a dead machine, or another in its place, works again.
    """

    steps: Sequence[Step]
    pools: Mapping[str, Pool]
    machines: int = 1
    under_way: int = 4
    failures: float = 0.0
    restart: float = 120.0


@dataclass(frozen=True)
class Simulated:
    """What came of a simulation.

    Attributes
    ----------
    seconds : float
        Until the last block was done.
    blocks : int
        How many were done.
    steps : dict of str to int
        How often each step was carried out to its end; more often than `blocks` where machines
        died.
    busy : dict of str to float
        The share of its time that a server of each pool worked.
    pace : float
        Seconds for a block in the middle half of the run, when all are at work.
    """

    seconds: float
    blocks: int
    steps: dict[str, int]
    busy: dict[str, float]
    pace: float

    @property
    def rate(self) -> float:
        """Blocks per second."""
        return self.blocks / self.seconds

    @property
    def bottleneck(self) -> str:
        """The pool that works most of its time."""
        return max(self.busy, key=self.busy.__getitem__)


def simulate(pipeline: Pipeline, blocks: int, seed: int = 0) -> Simulated:
    """Simulate a run over so many blocks."""
    return _Run(pipeline, blocks, np.random.default_rng(seed)).result()


@dataclass(eq=False)
class _Machine:
    own: dict[str, _Servers]
    life: int = 0  # counts its deaths: what was begun in an earlier life is void
    works: bool = False
    under_way: set[int] = field(default_factory=set)  # its blocks


@dataclass(frozen=True)
class _Job:
    """A step of a block on a machine, in one life of it."""

    machine: _Machine
    block: int
    number: int  # of the step
    life: int

    @property
    def is_void(self) -> bool:
        return self.life != self.machine.life


@dataclass(eq=False)
class _Servers:
    free: int
    waiting: list[tuple[int, int, _Job]] = field(default_factory=list)


class _Run:
    """One simulation. Events are calls in the future, in the order of their times."""

    def __init__(self, pipeline: Pipeline, blocks: int, random: np.random.Generator) -> None:
        self._pipeline = pipeline
        self._random = random
        self._blocks = blocks
        self._todo = deque(range(blocks))
        self._stored: set[int] = set()
        self._times: list[float] = []  # when each was done
        self._now = 0.0
        self._number = itertools.count()  # of events and jobs, which settles ties
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._shared = self._servers(shared=True)
        self._machines = [_Machine(self._servers(shared=False)) for _ in range(pipeline.machines)]
        self._finished: Counter[str] = Counter()
        self._worked: Counter[str] = Counter()

    def _servers(self, shared: bool) -> dict[str, _Servers]:
        pools = self._pipeline.pools.items()
        return {name: _Servers(pool.servers) for name, pool in pools if pool.shared == shared}

    def result(self) -> Simulated:
        """Run to the end."""
        for machine in self._machines:
            self._begin(machine)
        while len(self._times) < self._blocks:
            self._now, _, happen = heapq.heappop(self._events)
            happen()
        busy = {}
        for name, pool in self._pipeline.pools.items():
            servers = pool.servers * (1 if pool.shared else len(self._machines))
            busy[name] = self._worked[name] / (servers * self._now)
        first, last = (self._times[int(share * (self._blocks - 1))] for share in (0.25, 0.75))
        pace = (last - first) / max(1, self._blocks // 2)
        return Simulated(self._now, self._blocks, dict(self._finished), busy, pace)

    def _after(self, seconds: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self._now + seconds, next(self._number), happen))

    def _begin(self, machine: _Machine) -> None:
        """Let a machine work from now on, until it dies."""
        machine.works = True
        if self._pipeline.failures:
            seconds = self._random.exponential(3600 / self._pipeline.failures)
            self._after(float(seconds), partial(self._die, machine))
        self._take(machine)

    def _take(self, machine: _Machine) -> None:
        """Give a machine blocks as long as it has room."""
        while machine.works and self._todo and len(machine.under_way) < self._pipeline.under_way:
            block = self._todo.popleft()
            machine.under_way.add(block)
            self._enter(_Job(machine, block, self._first_step(block), machine.life))

    def _first_step(self, block: int) -> int:
        """Return where a block begins: one that is stored already is not computed again."""
        if block not in self._stored:
            return 0
        return 1 + next(n for n, step in enumerate(self._pipeline.steps) if step.stores)

    def _enter(self, job: _Job) -> None:
        """Let a block wait for its next step, or be done."""
        if job.number == len(self._pipeline.steps):
            job.machine.under_way.remove(job.block)
            self._times.append(self._now)
            self._take(job.machine)
            return
        servers = self._servers_of(job)
        # What is further on goes first, so that blocks are finished before others are begun.
        heapq.heappush(servers.waiting, (-job.number, next(self._number), job))
        self._serve(servers)

    def _servers_of(self, job: _Job) -> _Servers:
        pool = self._pipeline.steps[job.number].pool
        return self._shared.get(pool) or job.machine.own[pool]

    def _serve(self, servers: _Servers) -> None:
        while servers.free and servers.waiting:
            _, _, job = heapq.heappop(servers.waiting)
            if job.is_void:
                continue
            servers.free -= 1
            seconds = self._time_of(self._pipeline.steps[job.number])
            self._after(seconds, partial(self._end, job, servers, seconds))

    def _time_of(self, step: Step) -> float:
        if not step.spread:
            return step.seconds
        shape = 1 / step.spread**2
        return float(self._random.gamma(shape, step.seconds / shape))

    def _end(self, job: _Job, servers: _Servers, seconds: float) -> None:
        """End a step of a block; that of a dead machine only gives its server back."""
        servers.free += 1
        if not job.is_void:
            step = self._pipeline.steps[job.number]
            self._finished[step.name] += 1
            self._worked[step.pool] += seconds
            if step.stores:
                self._stored.add(job.block)
            self._enter(replace(job, number=job.number + 1))
        self._serve(servers)

    def _die(self, machine: _Machine) -> None:
        """Give back what a machine had under way, and let it start again later."""
        machine.works = False
        machine.life += 1
        machine.own = self._servers(shared=False)
        self._todo.extendleft(sorted(machine.under_way, reverse=True))
        machine.under_way.clear()
        self._after(self._pipeline.restart, partial(self._begin, machine))
        for other in self._machines:
            self._take(other)
