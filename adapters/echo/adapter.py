"""`external:echo`: the reference semantics of qbench's `memory` backend behind the line protocol, without any library."""

import asyncio
import os
import sys
import time
from collections import deque

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "common"))
from qbench_adapter import PROTOCOL, Payloads, Refusal, serve


class Held:
    """A delivery that holds: until it is acked, nacked or reclaimed."""

    __slots__ = ("job", "attempt", "payload", "channel", "expires_at")

    def __init__(self, job, attempt, payload, channel, expires_at):
        self.job = job
        self.attempt = attempt
        self.payload = payload
        self.channel = channel
        self.expires_at = expires_at


class Consumer:
    """A worker's channel: how many jobs it may have unsettled when jobs are pushed, and how many it has."""

    def __init__(self):
        self.demand = 0
        self.unsettled = 0


class Echo:
    def __init__(self, link):
        self.link = link
        self.payloads = Payloads()
        self.consumers = {}
        # Claims that wait, in the order in which they came: (future, channel, limit).
        self.waiting = deque()
        self.last_delivery = 0
        self.exists = False
        self.clear()

    def clear(self):
        # (job, deliveries so far, payload), in the order in which they became ready.
        self.ready = deque()
        # By delivery; leases are equally long and numbers ascend, so the first one is also the first to expire.
        self.held = {}
        self.enqueued = 0
        self.done = 0
        for consumer in self.consumers.values():
            consumer.unsettled = 0

    # The control side.

    def hello(self, protocol, lease_ms, consume, **_):
        self.lease_s = lease_ms / 1000
        self.push = consume == "push"
        return {"result": {"protocol": PROTOCOL, "library": f"python {sys.version.split()[0]}, no library"}}

    def describe(self):
        version = sys.version.split()[0]
        return {"result": {"engine": "external_process", "version": f"python {version}", "durability": "d0"}}

    def setup(self):
        self.exists = True
        self.clear()

    def reset(self):
        self.require_setup()
        self.clear()

    def settle(self):
        pass

    def teardown(self):
        self.exists = False
        self.clear()

    def depth(self):
        self.require_setup()
        return {"result": {"ready": len(self.ready), "in_flight": len(self.held)}}

    def census(self):
        self.require_setup()
        counts = {"ready": len(self.ready), "in_flight": len(self.held)}
        return {"result": {**counts, "enqueued": self.enqueued, "done": self.done, "dead": 0}}

    def require_setup(self):
        if not self.exists:
            raise Refusal("server", "the queue does not exist: call setup first")

    # Channels.

    def payload(self, number, base64):
        self.payloads.register(number, base64)

    def open(self, channel, role, number):
        if role == "consumer":
            self.consumers[channel] = Consumer()

    def close(self, channel, held):
        for future, claimed_by, _ in self.waiting:
            if claimed_by == channel and not future.done():
                future.set_result([])
        self.consumers.pop(channel, None)
        seen = set(held)
        self.give_back([d for d, job in self.held.items() if job.channel == channel and d not in seen])

    def demand(self, channel, jobs):
        self.consumers[channel].demand = jobs
        self.distribute()

    # Jobs.

    def enqueue(self, channel, jobs, payload):
        self.require_setup()
        self.ready.extend((job, 0, bytes) for job, bytes in zip(jobs, self.payloads.of(payload, len(jobs))))
        self.enqueued += len(jobs)
        self.distribute()

    def deliver(self, channel):
        job, deliveries, payload = self.ready.popleft()
        self.last_delivery += 1
        return self.hold(self.last_delivery, job, deliveries + 1, payload, channel)

    def hold(self, delivery, job, attempt, payload, channel):
        self.held[delivery] = Held(job, attempt, payload, channel, time.monotonic() + self.lease_s)
        if channel in self.consumers:
            self.consumers[channel].unsettled += 1
        return [delivery, job, attempt, self.payloads.wire(payload)]

    def distribute(self):
        """Gives ready jobs to waiting claims, or to channels that may have more."""
        while self.ready and self.waiting:
            future, channel, limit = self.waiting.popleft()
            if not future.done():
                future.set_result([self.deliver(channel) for _ in range(min(limit, len(self.ready)))])
        if self.push:
            hungry = [channel for channel, consumer in self.consumers.items() if consumer.unsettled < consumer.demand]
            while self.ready and hungry:
                # Round and round, so that every worker gets its share.
                for channel in hungry:
                    if self.ready:
                        self.link.started(channel, self.deliver(channel))
                hungry = [c for c in hungry if self.consumers[c].unsettled < self.consumers[c].demand]

    async def claim(self, channel, limit, wait_ms):
        self.require_setup()
        if self.ready:
            return {"jobs": [self.deliver(channel) for _ in range(min(limit, len(self.ready)))]}
        if wait_ms == 0:
            return {"jobs": []}
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self.waiting.append((future, channel, limit))
        timer = loop.call_later(wait_ms / 1000, lambda: future.done() or future.set_result([]))
        jobs = await future
        timer.cancel()
        return {"jobs": jobs}

    def reclaim(self, channel, limit):
        self.require_setup()
        now = time.monotonic()
        expired = []
        for delivery, held in self.held.items():
            if len(expired) == limit or held.expires_at > now:
                break
            expired.append(delivery)
        jobs = []
        for delivery in expired:
            held = self.end(delivery)
            self.last_delivery += 1
            jobs.append(self.hold(self.last_delivery, held.job, held.attempt + 1, held.payload, channel))
        return {"jobs": jobs}

    def end(self, delivery):
        """Ends a delivery; None when it does not hold any more."""
        held = self.held.pop(delivery, None)
        if held is not None and held.channel in self.consumers:
            self.consumers[held.channel].unsettled -= 1
        return held

    def ack(self, channel, deliveries):
        stale = [place for place, delivery in enumerate(deliveries) if self.end(delivery) is None]
        self.done += len(deliveries) - len(stale)
        if self.push:
            self.distribute()
        return {"stale": stale} if stale else None

    def nack(self, channel, deliveries):
        self.give_back(deliveries)

    def give_back(self, deliveries):
        ended = [self.end(delivery) for delivery in deliveries]
        # At the end: a job becomes ready anew, so one that always fails does not stand in everybody's way.
        self.ready.extend((held.job, held.attempt, held.payload) for held in ended if held is not None)
        self.distribute()


serve(Echo)
