"""The echo adapter with a fault, for tests: `broken.py FAULT`."""

import asyncio
import os
import signal
import subprocess
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
adapters = os.path.join(here, "..", "..", "..", "..", "adapters")
sys.path.insert(0, os.path.join(adapters, "common"))
sys.path.insert(0, os.path.join(adapters, "echo"))
import qbench_adapter

fault = sys.argv[1]
# A child of its own that heeds nothing, to be looked for afterwards; its process id is left where the test says.
ignored = signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
signal.signal(signal.SIGTERM, ignored)
with open(os.path.join(os.environ["TMPDIR"], "pids"), "w") as pids:
    pids.write(f"{os.getpid()} {child.pid}\n")

# When the work is under way.
AMID = 200

serve = qbench_adapter.serve
qbench_adapter.serve = lambda make: None
from adapter import Echo


class Broken(Echo):
    def hello(self, **given):
        answer = super().hello(**given)
        if fault == "version_2":
            answer["result"]["protocol"] = 2
        return answer

    def enqueue(self, channel, jobs, payload):
        super().enqueue(channel, jobs, payload)
        if self.enqueued >= AMID:
            if fault == "dies":
                print(f"out of cheese in {fault}", file=sys.stderr, flush=True)
                os._exit(7)
            if fault == "hangs":
                time.sleep(600)
            if fault == "rubbish":
                self.link.output.write(b"Welcome to CheeseQueue 3.1!\n")
                self.link.output.flush()
        if fault == "loses_jobs" and self.ready:
            self.ready.pop()

    async def close(self, channel, held):
        if fault == "closes_slowly":
            # Other channels, and this one, get jobs meanwhile.
            await asyncio.sleep(2)
        super().close(channel, held)


serve(Broken)
