'use strict';

// `external:bullmq`: BullMQ's own Queue and Worker behind the line protocol of docs/EXTERNAL_ADAPTERS.md.
//
// A producer is a Queue on a connection of its own; a worker is a Worker, whose processor reports the job and returns when
// the harness says that the work is done. The ack is confirmed when the library has moved the job to completed.

const path = require('node:path');

// What was installed is beside this file's `installed` mark, outside the checkout.
const modules = path.join(path.dirname(process.env.QBENCH_ADAPTER_INSTALLED ?? ''), 'node_modules');
const { Queue, Worker, WaitingError } = require(path.join(modules, 'bullmq'));
const { Redis, ReplyError } = require(path.join(modules, 'ioredis'));
const library = `bullmq ${require(path.join(modules, 'bullmq/package.json')).version}`;

const PROTOCOL = 1;
const QUEUE = 'jobs';
// The library's own defaults.
const STALLED_INTERVAL_MS = 30_000;
// How long a closed channel's jobs may take to be given back. The harness waits longer than that.
const GRACE_MS = 45_000;
const DONE = 'done';
const BACK = 'back';

class Refusal extends Error {
  constructor(kind, message, code) {
    super(message);
    this.kind = kind;
    this.code = code;
  }
}

// Lines to the harness. Those of one turn of the event loop are written together.
const link = {
  lines: [],
  started: new Map(),
  send(message) {
    this.schedule();
    this.lines.push(message);
  },
  report(channel, delivery) {
    this.schedule();
    if (!this.started.has(channel)) this.started.set(channel, []);
    this.started.get(channel).push(delivery);
  },
  schedule() {
    if (this.lines.length === 0 && this.started.size === 0) setImmediate(() => this.flush());
  },
  flush() {
    const events = [...this.started].map(([channel, jobs]) => ({ event: 'started', channel, jobs }));
    const text = [...events, ...this.lines].map((line) => JSON.stringify(line) + '\n').join('');
    this.lines = [];
    this.started.clear();
    process.stdout.write(text);
  },
};

let settings;
let control;
let lastDelivery = 0;
// By number: jobs that the library has started and that are not settled.
const deliveries = new Map();
const producers = new Map();
const workers = new Map();
// Workers whose channels were closed, while they end.
const leaving = new Set();
// Payloads travel as base64 all the way: a job's data is JSON.
const payloadOf = new Map();
const numberOf = new Map();

const owner = () => `${settings.namespace}:owner`;
const MADE = 'qbench: adapter bullmq';

async function connected(options) {
  const connectionName = `qbench:external:${settings.namespace}`;
  const made = new Redis(settings.url, { connectionName, lazyConnect: true, retryStrategy: null, ...options });
  // Whoever waits for a command gets its error; without a listener ioredis would print this one.
  made.on('error', () => {});
  try {
    await made.connect();
  } catch (error) {
    const where = new URL(settings.url);
    throw new Refusal('connect', `cannot connect to ${where.hostname}:${where.port || 6379}: ${error.message}`);
  }
  made.options.retryStrategy = (times) => Math.min(50 * times, 1000);
  return made;
}

const queueOptions = (client) => ({ connection: client, prefix: settings.namespace });

async function keys() {
  const found = [];
  let cursor = '0';
  do {
    const [next, some] = await control.scan(cursor, 'MATCH', `${settings.namespace}:${QUEUE}:*`, 'COUNT', 1000);
    found.push(...some);
    cursor = next;
  } while (cursor !== '0');
  return found;
}

// Until nothing comes after it: commands of a worker that was cut off may still be on their way.
async function removeKeys() {
  for (let quiet = 0, turn = 0; quiet < 2 && turn < 200; turn++) {
    const all = await keys();
    for (let from = 0; from < all.length; from += 1000) await control.unlink(...all.slice(from, from + 1000));
    quiet = all.length === 0 ? quiet + 1 : 0;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function removeOurs() {
  const mark = await control.get(owner());
  if (mark !== null && mark !== MADE) throw new Refusal('foreign', `${owner()} was made by somebody else; nothing was touched`);
  if (mark === null && (await keys()).length > 0) {
    throw new Refusal('foreign', `keys ${settings.namespace}:${QUEUE}:* hold what this adapter did not make; nothing was touched`);
  }
  await stopWorkers();
  await removeKeys();
  await control.del(owner());
}

async function requireSetup() {
  if ((await control.get(owner())) !== MADE) throw new Refusal('server', 'the queue does not exist: call setup first');
}

async function withQueue(use) {
  const queue = new Queue(QUEUE, queueOptions(control));
  queue.on('error', () => {});
  return use(queue);
}

// A consumer's channel: one Worker, from the first demand on.
class Consumer {
  constructor(channel) {
    this.channel = channel;
    this.demanded = 0;
    this.closing = false;
  }

  async open() {
    this.client = await connected({ maxRetriesPerRequest: null });
    this.worker = new Worker(QUEUE, (job, token) => this.process(job, token), {
      ...queueOptions(this.client),
      autorun: false,
      concurrency: Math.max(this.demanded, 1),
      lockDuration: settings.lease_ms,
      stalledInterval: Math.min(STALLED_INTERVAL_MS, settings.lease_ms),
    });
    this.worker.on('error', (error) => console.error(`worker ${this.channel}: ${error.message}`));
    await this.worker.waitUntilReady();
  }

  demand(jobs) {
    this.demanded = jobs;
    if (jobs === 0) {
      this.worker.pause(true);
      return;
    }
    this.worker.concurrency = jobs;
    if (!this.worker.isRunning() && !this.worker.isPaused()) {
      this.worker.run().catch((error) => console.error(`worker ${this.channel}: ${error.message}`));
    } else {
      // A running worker looks at its concurrency again when it is resumed.
      Promise.resolve(this.worker.pause(true)).then(() => this.worker.resume());
    }
  }

  async process(job, token) {
    const delivery = { channel: this.channel, job, token };
    delivery.verdict = new Promise((resolve) => (delivery.settle = resolve));
    delivery.confirmed = new Promise((resolve, reject) => Object.assign(delivery, { resolve, reject }));
    // It may be that nobody waits for it.
    delivery.confirmed.catch(() => {});
    delivery.number = ++lastDelivery;
    deliveries.set(delivery.number, delivery);
    const payload = numberOf.get(job.data.p) ?? job.data.p;
    link.report(this.channel, [delivery.number, job.data.n, job.attemptsStarted, payload]);
    // What the library had fetched when the channel was closed: nobody will take it.
    if (this.closing) delivery.settle(BACK);
    const verdict = await delivery.verdict;
    if (verdict === BACK) {
      await confirm(delivery, () => job.moveToWait(token));
      throw new WaitingError();
    }
    // The library completes the job after this function has returned: the only place where the outcome is told.
    const moveToCompleted = job.moveToCompleted.bind(job);
    job.moveToCompleted = (...given) => confirm(delivery, () => moveToCompleted(...given));
  }

  // Gives back what nobody has seen: all but `held`.
  async giveBack(held) {
    this.closing = true;
    await this.worker.pause(true);
    const own = [...deliveries.values()].filter((delivery) => delivery.channel === this.channel);
    const unseen = own.filter((delivery) => !held.has(delivery.number));
    unseen.forEach((delivery) => delivery.settle(BACK));
    await Promise.race([
      Promise.allSettled(unseen.map((delivery) => delivery.confirmed)),
      new Promise((resolve) => setTimeout(resolve, GRACE_MS).unref()),
    ]);
  }

  // As a worker whose process was killed: its locks are renewed no more.
  async abandon() {
    await this.worker.close(true);
    this.client.disconnect();
    for (const delivery of deliveries.values()) {
      if (delivery.channel === this.channel) {
        deliveries.delete(delivery.number);
        delivery.resolve(false);
        delivery.settle(DONE);
      }
    }
  }
}

// Does what settles a delivery, and tells whoever waits for it how that went: true, false for a lost lock, or an error.
async function confirm(delivery, action) {
  try {
    const given = await action();
    deliveries.delete(delivery.number);
    delivery.resolve(true);
    return given;
  } catch (error) {
    deliveries.delete(delivery.number);
    if (/^(Missing (lock|key)|Lock mismatch|Job .* is not in the active state)/.test(error.message)) delivery.resolve(false);
    else delivery.reject(new Refusal('unknown', error.message));
    throw error;
  }
}

async function stopWorkers() {
  await Promise.all([...leaving, ...[...workers.values()].map((consumer) => consumer.abandon())]);
}

async function settleAll(numbers, verdict) {
  const held = numbers.map((number) => deliveries.get(number));
  const outcomes = await Promise.all(
    held.map((delivery) => {
      // Said before, or the job has passed on.
      if (delivery === undefined || delivery.said) return false;
      delivery.said = true;
      delivery.settle(verdict);
      return delivery.confirmed;
    }),
  );
  return outcomes.flatMap((held, place) => (held ? [] : [place]));
}

async function counts() {
  const of = await withQueue((queue) => queue.getJobCounts('waiting', 'prioritized', 'delayed', 'active', 'completed', 'failed'));
  const ready = of.waiting + of.prioritized + of.delayed;
  // The library may have fetched jobs that it has not begun to process: nobody has these. As of the answer, because what
  // is started until then is reported before it.
  const started = Math.min(ready + of.active, deliveries.size);
  return { of, ready: ready + of.active - started, in_flight: started };
}

const requests = {
  async hello(request) {
    settings = request;
    control = await connected({ maxRetriesPerRequest: null });
    return { result: { protocol: PROTOCOL, library } };
  },

  async describe() {
    const info = Object.fromEntries(
      (await control.info('server')).split('\r\n').map((line) => [line.split(':')[0], line.split(':').slice(1).join(':')]),
    );
    const shown = {};
    const notes = [];
    try {
      for (const name of ['appendonly', 'appendfsync', 'save', 'io-threads', 'maxmemory', 'maxmemory-policy']) {
        shown[name] = (await control.config('GET', name))[1] ?? '';
      }
    } catch (error) {
      if (!(error instanceof ReplyError)) throw error;
      notes.push('durability unknown, because the server does not let us read its settings (CONFIG GET): the weakest is assumed');
    }
    // As the harness says it of its own Valkey backends: what only the operating system syncs is lost without a bound.
    const classes = { always: 'd2', everysec: 'd1' };
    const durability = (shown.appendonly === 'yes' && classes[shown.appendfsync]) || 'd0';
    const result = {
      engine: info.server_name ?? 'redis',
      version: info.valkey_version ?? info.redis_version,
      durability,
      settings: shown,
      objects: ['id', 'meta', 'wait', 'active', 'completed'].map((key) => `${settings.namespace}:${QUEUE}:${key}`),
      notes: [
        ...notes,
        'BullMQ stores a job as JSON, so that its payload is in base64, a third larger than on other backends',
        'BullMQ keeps completed jobs, which is its default: the server grows with every job',
      ],
    };
    return { result };
  },

  async setup() {
    await removeOurs();
    await control.set(owner(), MADE);
    await restartWorkers();
  },

  async reset() {
    await requireSetup();
    await stopWorkers();
    await removeKeys();
    await restartWorkers();
  },

  async settle() {},

  async teardown() {
    await removeOurs();
  },

  async depth() {
    const { ready, in_flight } = await counts();
    return { result: { ready, in_flight } };
  },

  async census() {
    const enqueued = Number((await control.get(`${settings.namespace}:${QUEUE}:id`)) ?? 0);
    // Last, because it is true as of the answer.
    const { of, ready, in_flight } = await counts();
    return { result: { enqueued, ready, in_flight, done: of.completed, dead: of.failed } };
  },

  payload({ number, base64 }) {
    payloadOf.set(number, base64);
    numberOf.set(base64, number);
  },

  async open({ channel, role }) {
    await requireSetup();
    if (role === 'producer') {
      const client = await connected({ maxRetriesPerRequest: 1 });
      const queue = new Queue(QUEUE, queueOptions(client));
      queue.on('error', () => {});
      await queue.waitUntilReady();
      producers.set(channel, { client, queue });
    } else {
      const consumer = new Consumer(channel);
      await consumer.open();
      workers.set(channel, consumer);
    }
  },

  async close({ channel, held }) {
    const producer = producers.get(channel);
    producers.delete(channel);
    producer?.client.disconnect();
    const consumer = workers.get(channel);
    workers.delete(channel);
    const left = (async () => {
      await consumer?.giveBack(new Set(held)).catch((error) => console.error(`worker ${channel}: ${error.message}`));
      await consumer?.abandon();
    })();
    leaving.add(left);
    await left.finally(() => leaving.delete(left));
  },

  demand({ channel, jobs }) {
    workers.get(channel)?.demand(jobs);
  },

  async enqueue({ channel, jobs, payload }) {
    const of = (place) => (typeof payload === 'number' ? payloadOf.get(payload) : payload[place]);
    try {
      await producers.get(channel).queue.addBulk(jobs.map((n, place) => ({ name: 'job', data: { n, p: of(place) } })));
    } catch (error) {
      throw new Refusal('unknown', error.message);
    }
  },

  async ack({ deliveries }) {
    const stale = await settleAll(deliveries, DONE);
    return stale.length > 0 ? { stale } : {};
  },

  async nack({ deliveries }) {
    await settleAll(deliveries, BACK);
  },
};

async function restartWorkers() {
  for (const consumer of workers.values()) {
    await consumer.open();
    if (consumer.demanded > 0) consumer.demand(consumer.demanded);
  }
}

async function answer({ id, op, ...request }) {
  let given;
  try {
    given = await requests[op](request);
  } catch (error) {
    const kind = error instanceof Refusal ? error.kind : 'server';
    given = { error: { kind, message: error.message, code: error.code ? String(error.code) : null } };
  }
  if (id !== undefined) link.send({ id, ...given });
}

let rest = '';
process.stdin.setEncoding('utf8');
process.stdin.on('data', (chunk) => {
  const lines = (rest + chunk).split('\n');
  rest = lines.pop();
  for (const line of lines) answer(JSON.parse(line));
});
// Without waiting for workers of the library: whoever closed the input has no more questions.
process.stdin.on('end', () => process.exit(0));
// Standard output is the protocol's.
console.log = console.error;
