"""`external:pgqueuer`: PgQueuer's own workers and completion buffer, as its tools/benchmark.py uses them.

A producer is a `Queries` on a connection of its own; a worker is a `PgQueuer` on a connection of its own, which dequeues
batches and starts an entrypoint per job. The entrypoint reports the job and returns when the harness says that the work is
done; the ack is confirmed when the library's buffer has written the completion.
"""

import asyncio
import os
import sys
from datetime import timedelta
from importlib.metadata import version
from urllib.parse import urlsplit

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "common"))
from qbench_adapter import PROTOCOL, Payloads, Refusal, serve

import asyncpg
import uvloop
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries

from worker import BACK, DONE, ENTRYPOINT, NUMBER, Delivery, Worker, refusal

# Comment on the schema that we made; only that is ever dropped.
MADE = "qbench: made by the adapter pgqueuer; dropped and remade by every run"


class Adapter:
    def __init__(self, link):
        self.link = link
        self.payloads = Payloads()
        self.producers = {}
        self.workers = {}
        self.deliveries = {}
        self.last_delivery = 0

    # The control side.

    async def hello(self, protocol, url, namespace, durability, lease_ms, options, **_):
        self.url = url
        self.namespace = namespace
        self.durability = durability
        self.lease = timedelta(milliseconds=lease_ms)
        self.max_concurrent_tasks = int(options["max_concurrent_tasks"])
        self.each = options.get("processes") == "each"
        # Read by the library when its first object is made.
        os.environ["PGQUEUER_SCHEMA"] = namespace
        os.environ["PGQUEUER_CHANNEL"] = f"ch_{namespace}"
        os.environ["PGQUEUER_DURABILITY"] = "volatile" if durability == "d0" else "durable"
        self.control = await self.connect()
        if await self.control.fetchval("SHOW fsync") != "on":
            raise Refusal(
                "config",
                "the server runs with fsync = off, so a crash may lose or damage everything and no durability class holds: "
                "set fsync = on, and use --durability d0 or d1 for cheaper commits",
            )
        # The run and its monitors ask at the same time, and a connection answers one question after the other.
        self.asking = asyncio.Lock()
        return {"result": {"protocol": PROTOCOL, "library": f"pgqueuer {version('pgqueuer')}"}}

    async def connect(self):
        settings = {"application_name": f"qbench:external:{self.namespace}"}
        if self.durability != "d2":
            settings["synchronous_commit"] = "off"
        try:
            return await asyncpg.connect(self.url, server_settings=settings)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncio.TimeoutError) as error:
            where = urlsplit(self.url)
            raise Refusal("connect", f"cannot connect to {where.hostname}:{where.port or 5432}: {error}") from None

    @property
    def queries(self):
        return Queries(AsyncpgDriver(self.control))

    def table(self, name):
        return f'"{self.namespace}".{name}'

    async def ask(self, request, *arguments):
        """A statement of the control side; its connection is opened anew after it was lost."""
        try:
            async with self.asking:
                if self.control.is_closed():
                    self.control = await self.connect()
                return await request(self.control, *arguments)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, asyncio.TimeoutError) as error:
            raise refusal(error) from None

    async def describe(self):
        return {"result": await self.ask(self.description)}

    async def description(self, control):
        shown = ("fsync", "synchronous_commit", "shared_buffers", "max_connections", "wal_level", "autovacuum")
        settings = {name: await control.fetchval("SELECT current_setting($1)", name) for name in shown}
        persistence = await control.fetchval(
            "SELECT relpersistence::text FROM pg_class WHERE oid = to_regclass($1)", self.table("pgqueuer")
        )
        unlogged = self.durability == "d0" if persistence is None else persistence == "u"
        durability = "d0" if unlogged else "d1" if settings["synchronous_commit"] == "off" else "d2"
        return {
            "engine": "postgresql",
            "version": await control.fetchval("SHOW server_version"),
            "durability": durability,
            "settings": settings,
            "objects": [self.table(name) for name in ("pgqueuer", "pgqueuer_log", "pgqueuer_statistics")],
            "notes": [
                "PgQueuer confirms a job when its completion buffer is written: when as many jobs are done as one dequeue "
                "takes, or after about 100 ms",
                f"max_concurrent_tasks of a PgQueuer worker: {self.max_concurrent_tasks or 'no limit'}",
            ],
        }

    async def setup(self):
        await self.teardown()
        await self.ask(self.install)

    async def install(self, control):
        if not await control.fetchval("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", self.namespace):
            await control.execute(f'CREATE SCHEMA "{self.namespace}"')
        await control.execute(f"COMMENT ON SCHEMA \"{self.namespace}\" IS '{MADE}'")
        await self.queries.install(create_schema=False)

    async def teardown(self):
        for worker in self.workers.values():
            await worker.stop()
        await self.ask(self.remove)

    async def remove(self, control):
        row = await control.fetchrow(
            """SELECT coalesce(obj_description(oid, 'pg_namespace'), '') AS comment,
                      EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass
                              AND refobjid = n.oid AND deptype = 'n') AS filled
               FROM pg_namespace n WHERE nspname = $1""",
            self.namespace,
        )
        if row is None:
            return
        if row["comment"] == MADE:
            # Without CASCADE: what somebody else has put into it stays, and the server refuses.
            await self.queries.uninstall()
            await control.execute(f'DROP SCHEMA "{self.namespace}"')
        elif row["filled"]:
            raise Refusal("foreign", f"the schema {self.namespace} holds what this adapter did not make; nothing was touched")

    async def reset(self):
        for worker in self.workers.values():
            await worker.stop()
        await self.ask(self.clear)
        for worker in self.workers.values():
            if worker.batch_size is not None:
                worker.start()

    async def clear(self, _):
        await self.queries.clear_queue()
        await self.queries.clear_queue_log()
        await self.queries.clear_statistics_log()

    async def settle(self):
        await self.ask(self.calm)

    async def calm(self, control):
        # No ANALYZE: the tables are empty or nearly so at this point, and with statistics of an empty table the library's
        # dequeue costs the server several times as much. Without any, the server guesses, as it does for the library's users.
        try:
            await control.execute("CHECKPOINT")
        except asyncpg.InsufficientPrivilegeError:
            pass

    async def depth(self):
        return {"result": await self.ask(self.counts)}

    async def counts(self, control):
        rows = dict(await control.fetch(f"SELECT status::text, count(*) FROM {self.table('pgqueuer')} GROUP BY 1"))
        ready, in_flight = rows.get("queued", 0), rows.get("picked", 0)
        if not self.each:
            # The library may have dequeued jobs whose entrypoints have not begun: nobody has these. As of the answer,
            # because what is started until then is reported before it.
            started = min(ready + in_flight, len(self.deliveries))
            ready, in_flight = ready + in_flight - started, started
        return {"ready": ready, "in_flight": in_flight}

    async def census(self):
        return {"result": await self.ask(self.account)}

    async def account(self, control):
        row = await control.fetchrow(
            f"""SELECT count(DISTINCT job_id) FILTER (WHERE status = 'queued') AS enqueued,
                       count(*) FILTER (WHERE status = 'successful') AS done,
                       count(*) FILTER (WHERE status IN ('exception', 'canceled', 'deleted', 'failed')) AS dead
                FROM {self.table("pgqueuer_log")}"""
        )
        # Last, because it is true as of the answer.
        return {**await self.counts(control), **dict(row)}

    # Channels.

    def payload(self, number, base64):
        self.payloads.register(number, base64)

    async def open(self, channel, role, number):
        connection = await self.connect()
        if role == "producer":
            self.producers[channel] = connection
        else:
            self.workers[channel] = Worker(self, channel, connection)

    async def close(self, channel, held):
        producer = self.producers.pop(channel, None)
        if producer is not None:
            producer.terminate()
        worker = self.workers.pop(channel, None)
        if worker is not None:
            await worker.vanish(set(held))

    def demand(self, channel, jobs):
        self.workers[channel].demand(jobs)

    # Jobs.

    async def enqueue(self, channel, jobs, payload):
        payloads = [
            NUMBER.pack(int(job)) + payload for job, payload in zip(jobs, self.payloads.of(payload, len(jobs)))
        ]
        try:
            if self.producers[channel].is_closed():
                self.producers[channel] = await self.connect()
            queries = Queries(AsyncpgDriver(self.producers[channel]))
            await queries.enqueue([ENTRYPOINT] * len(jobs), payloads, [0] * len(jobs))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, asyncio.TimeoutError) as error:
            raise refusal(error) from None

    def new_delivery(self, job_id, worker):
        self.last_delivery += 1
        delivery = Delivery(self.last_delivery, job_id, worker, asyncio.get_running_loop())
        self.deliveries[delivery.number] = delivery
        return delivery

    def settle_delivery(self, number, verdict):
        """Lets the entrypoint of a delivery return; None when that has been said before, or the job has passed on."""
        delivery = self.deliveries.get(number)
        if delivery is None or delivery.verdict.done():
            return None
        delivery.verdict.set_result(verdict)
        return delivery

    async def settle_all(self, numbers, verdict):
        settled = [self.settle_delivery(number, verdict) for number in numbers]
        for delivery in settled:
            if delivery is not None:
                await delivery.confirmed
        return [place for place, delivery in enumerate(settled) if delivery is None]

    async def ack(self, channel, deliveries):
        stale = await self.settle_all(deliveries, DONE)
        return {"stale": stale} if stale else None

    async def nack(self, channel, deliveries):
        await self.settle_all(deliveries, BACK)


serve(Adapter, run=uvloop.run)
