"""A worker of PgQueuer within the adapter, and what the harness is told of its errors."""

import asyncio
import struct
import sys
from datetime import timedelta

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.errors import RetryRequested
from pgqueuer.queries import Queries

from qbench_adapter import Refusal

ENTRYPOINT = "fetch"
# What the harness calls a job, in front of its payload.
NUMBER = struct.Struct(">Q")
# The library's own defaults.
DEQUEUE_TIMEOUT = timedelta(seconds=30)
# What the server refused without anything having happened: deadlock, serialisation, lock timeout.
REJECTED = ("40P01", "40001", "55P03")

DONE, BACK = "done", "back"

# How long a closed channel's jobs may take to be given back. The harness waits longer than that.
GRACE_S = 45


def refusal(error):
    """What the harness is told of an error of the server or the connection."""
    code = getattr(error, "sqlstate", None)
    if code in REJECTED:
        return Refusal("rejected", str(error), code)
    lost = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError, asyncio.TimeoutError)
    if isinstance(error, lost) or (code or "").startswith("57P"):
        return Refusal("unknown", f"{type(error).__name__}: {error}", code)
    return Refusal("server", f"{type(error).__name__}: {error}", code)


class Delivery:
    """A job that the library has started: `verdict` is what the harness says, `confirmed` that it is written."""

    __slots__ = ("number", "job_id", "worker", "verdict", "confirmed")

    def __init__(self, number, job_id, worker, loop):
        self.number = number
        self.job_id = job_id
        self.worker = worker
        self.verdict = loop.create_future()
        self.confirmed = loop.create_future()


class ConfirmingQueries(Queries):
    """The library's statements, which tell when a completion or a retry has been written.

    The library re-queues each job by a statement and a commit of its own. A worker that stops gives back whatever it has
    dequeued, which may be thousands of jobs: those that wait for the connection at the same time go in one statement.
    """

    ONE, MANY = "id = $1::bigint", "id = ANY($1::bigint[])"

    def listen(self, written):
        self.written = written
        self.given_back = []
        self.giving_back = None

    async def log_jobs(self, job_status):
        await super().log_jobs(job_status)
        self.written([job.id for job, _, _ in job_status])

    async def retry_job(self, job, delay, traceback_record):
        statement = self.qbq.build_retry_job_query()
        if delay or self.ONE not in statement:
            await super().retry_job(job, delay, traceback_record)
        else:
            self.given_back.append((job.id, traceback_record.model_dump_json()))
            if self.giving_back is None or self.giving_back.done():
                self.giving_back = asyncio.ensure_future(self.give_back(statement.replace(self.ONE, self.MANY)))
            await asyncio.shield(self.giving_back)
        self.written([job.id])

    async def give_back(self, statement):
        try:
            while self.given_back:
                ids, records = zip(*self.given_back)
                self.given_back = []
                # All for the same reason.
                await self.driver.execute(statement, list(ids), timedelta(0), records[0])
        finally:
            # After an error: whoever waits is told of it.
            self.given_back = []


class Worker:
    """A consumer's channel: one PgQueuer on one connection, from the first demand on."""

    def __init__(self, adapter, channel, connection):
        self.adapter = adapter
        self.channel = channel
        self.connection = connection
        self.batch_size = None
        # By the library's id. A job is in one worker's hands at most once.
        self.deliveries = {}
        self.pgq = None
        self.running = None
        self.stopping = True

    def demand(self, jobs):
        if jobs == 0:
            self.stopping = True
            if self.pgq is not None:
                self.pgq.shutdown.set()
        else:
            # What the harness claims at most at once is known from its first claim.
            self.batch_size = self.batch_size or jobs
            self.start()

    def start(self):
        self.stopping = False
        if self.running is None or self.running.done():
            self.running = asyncio.ensure_future(self.work(self.running))

    async def work(self, before):
        if before is not None:
            await asyncio.gather(before, return_exceptions=True)
        while not self.stopping:
            try:
                if self.connection.is_closed():
                    self.connection = await self.adapter.connect()
                await self.run_once()
            except Exception as error:
                # As a supervisor would: with the library's word on standard error, and once more.
                print(f"worker {self.channel}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                await asyncio.sleep(0.1)
            self.lose_the_rest()

    async def run_once(self):
        driver = AsyncpgDriver(self.connection)
        queries = ConfirmingQueries(driver)
        queries.listen(self.written)
        self.pgq = pgq = PgQueuer(driver, queries=queries)
        self.connection.add_termination_listener(lambda _: pgq.shutdown.set())

        @pgq.entrypoint(ENTRYPOINT)
        async def fetch(job):
            await self.started(job)

        lease = self.adapter.lease
        await pgq.run(
            batch_size=self.batch_size,
            max_concurrent_tasks=self.adapter.max_concurrent_tasks or None,
            heartbeat_timeout=lease,
            dequeue_timeout=min(DEQUEUE_TIMEOUT, lease),
        )

    async def started(self, job):
        if self.stopping:
            raise RetryRequested(reason="the worker is stopping")
        adapter = self.adapter
        delivery = adapter.new_delivery(job.id, self)
        self.deliveries[job.id] = delivery
        number = str(NUMBER.unpack_from(job.payload)[0])
        payload = adapter.payloads.wire(job.payload[NUMBER.size :])
        adapter.link.started(self.channel, [delivery.number, number, 1, payload])
        if await delivery.verdict is BACK:
            raise RetryRequested(reason="given back")

    def written(self, job_ids):
        for job_id in job_ids:
            delivery = self.deliveries.pop(job_id, None)
            if delivery is not None:
                self.adapter.deliveries.pop(delivery.number, None)
                if not delivery.confirmed.done():
                    delivery.confirmed.set_result(None)

    def lose_the_rest(self):
        """Whatever the library has not written when it ends is not known to be written."""
        for delivery in list(self.deliveries.values()):
            self.adapter.deliveries.pop(delivery.number, None)
            if delivery.verdict.done() and not delivery.confirmed.done():
                delivery.confirmed.set_exception(Refusal("unknown", "the worker's connection was lost"))
                # It may be that nobody waits for it.
                delivery.confirmed.exception()
        self.deliveries.clear()

    async def stop(self):
        """Ends the library's worker in order; the jobs that it holds are let go of as done."""
        self.stopping = True
        if self.pgq is not None:
            self.pgq.shutdown.set()
        for delivery in self.deliveries.values():
            if not delivery.verdict.done():
                delivery.verdict.set_result(DONE)
        if self.running is not None:
            await asyncio.gather(self.running, return_exceptions=True)

    async def vanish(self, held):
        """As a worker whose process was killed, but for the jobs that nobody has seen: those are given back."""
        self.stopping = True
        if self.pgq is not None:
            self.pgq.shutdown.set()
        lost, rest = [], []
        for delivery in self.deliveries.values():
            settled = delivery.verdict.done()
            (lost if delivery.number in held and not settled else rest).append(delivery)
        for delivery in rest:
            self.adapter.settle_delivery(delivery.number, BACK)
        # The library's worker ends when the fate of everything that it dequeued is written; never, where some are lost.
        ends = [delivery.confirmed for delivery in rest] if lost else [self.running] if self.running is not None else []
        if ends:
            await asyncio.wait(ends, timeout=GRACE_S)
        self.connection.terminate()
        await self.stop()
