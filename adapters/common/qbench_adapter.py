"""The adapter's side of the line protocol, for adapters in Python. docs/EXTERNAL_ADAPTERS.md is its reference.

An adapter is an object with a method per request; `serve` reads requests, calls the methods, and writes their answers.
Nothing but the standard library is used.
"""

import asyncio
import base64
import inspect
import json
import os
import sys
import traceback

PROTOCOL = 1


class Refusal(Exception):
    """A request that did not happen, or of which it is not known: `kind` is one of the protocol's."""

    def __init__(self, kind, message, code=None):
        super().__init__(message)
        self.kind = kind
        self.code = code


class Payloads:
    """Payloads that the harness has given numbers."""

    def __init__(self):
        self.by_number = {}
        self.numbers = {}

    def register(self, number, encoded):
        payload = base64.b64decode(encoded)
        self.by_number[number] = payload
        self.numbers[payload] = number

    def of(self, payload, count):
        """The payloads of an enqueue of `count` jobs, as bytes."""
        if isinstance(payload, int):
            return [self.by_number[payload]] * count
        return [base64.b64decode(encoded) for encoded in payload]

    def wire(self, payload):
        """`payload` as it goes to the harness: the number of the very same bytes, or the bytes themselves."""
        number = self.numbers.get(payload)
        return base64.b64encode(payload).decode() if number is None else number


class Link:
    """Lines to the harness. Those of one turn of the event loop are written together."""

    def __init__(self, output):
        self.output = output
        self.lines = []
        self.started_jobs = {}

    def send(self, message):
        self.schedule()
        self.lines.append(message)

    def started(self, channel, delivery):
        """Reports a job that the library has started on `channel`: `[delivery, job, attempt, payload]`."""
        self.schedule()
        self.started_jobs.setdefault(channel, []).append(delivery)

    def schedule(self):
        if not self.lines and not self.started_jobs:
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self):
        events = [{"event": "started", "channel": c, "jobs": jobs} for c, jobs in self.started_jobs.items()]
        lines = [json.dumps(line, separators=(",", ":")) for line in events + self.lines]
        self.lines = []
        self.started_jobs = {}
        self.output.write(("\n".join(lines) + "\n").encode())
        self.output.flush()


class Server:
    """Passes requests on to the adapter's methods. What answers at once needs no task."""

    def __init__(self, adapter, link):
        self.adapter = adapter
        self.link = link
        self.tasks = set()

    def handle(self, request):
        id = request.pop("id", None)
        try:
            given = getattr(self.adapter, request.pop("op"))(**request)
        except Refusal as refusal:
            given = refused(refusal)
        if inspect.isawaitable(given):
            task = asyncio.ensure_future(self.finish(id, given))
            self.tasks.add(task)
            task.add_done_callback(self.ended)
        else:
            self.reply(id, given)

    async def finish(self, id, given):
        try:
            self.reply(id, await given)
        except Refusal as refusal:
            self.reply(id, refused(refusal))

    def reply(self, id, given):
        if id is not None:
            self.link.send({"id": id, **(given or {})})

    def ended(self, task):
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # A mistake of the adapter: it ends, and the harness shows what stands on standard error.
            traceback.print_exception(task.exception())
            sys.stderr.flush()
            os._exit(1)


def refused(refusal):
    return {"error": {"kind": refusal.kind, "message": str(refusal), "code": refusal.code}}


async def work(adapter, link):
    server = Server(adapter, link)
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(0, "rb"))
    rest = b""
    while chunk := await reader.read(1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            server.handle(json.loads(line))


def serve(make, run=asyncio.run):
    """Serves the adapter that `make(link)` gives, in an event loop of `run`, until the harness closes the input."""
    output = os.fdopen(os.dup(1), "wb")
    # Whatever a library prints goes to standard error: standard output is the protocol's.
    os.dup2(2, 1)

    async def main():
        link = Link(output)
        await work(make(link), link)
        # Without waiting for workers of the library: whoever closed the input has no more questions.
        sys.stderr.flush()
        os._exit(0)

    run(main())
