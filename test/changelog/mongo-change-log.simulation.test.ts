import { describe, expect, it } from 'vitest';
import type { LogCache } from '../../src/changelog/log-cache.ts';
import { MongoChangeLog } from '../../src/changelog/mongo-change-log.ts';
import { isHoldfastError } from '../../src/errors.ts';
import { chainHash, type LogEntry } from '../../src/model/change.ts';
import type { KeyedChange } from '../../src/store/outbox.ts';
import { changeOf } from '../contract/change-log.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';
import { type Fate, MemoryLogServer, MemoryLogStorage } from '../support/memory-log-storage.ts';
import { seededRandom } from '../support/random.ts';

const SEEDS = Number(process.env.SIMULATION_SEEDS ?? 40);

/** Longer than anything is on its way, shorter than a suspended process sleeps. */
const KEEP_MS = 30_000;

const FAULTS: readonly Fate[] = ['lost', 'lost after', 'late', 'unsent'];

/** One process: a log, the commands it waits for, and what its followers saw. */
interface Process {
  readonly log: MongoChangeLog;
  readonly waiting: (() => void)[];
  readonly seen: LogEntry[];
  asleepUntilMs: number;
}

interface Outcome {
  readonly change: KeyedChange;
  readonly process: number;
  entry?: LogEntry;
  error?: unknown;
}

/** A cache that all processes share, and that is none: it loses, is cut off, goes back in time and makes things up. */
class BadCache implements LogCache {
  #held: LogEntry[] = [];
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  offer(entries: readonly LogEntry[]): void {
    const draw = this.#random();
    if (draw < 0.05) this.#held = [];
    else if (draw < 0.1) this.#held = this.#held.slice(0, Math.floor(this.#held.length * this.#random()));
    else if (draw < 0.15) this.#held = this.#held.slice(Math.floor(this.#held.length * this.#random()));
    if (draw < 0.95) this.#held.push(...entries);
  }

  async read(after: number): Promise<readonly LogEntry[] | undefined> {
    const draw = this.#random();
    if (draw < 0.05) throw new Error('the connection was cut');
    const start = this.#held.findIndex(({ sequence }) => sequence === after + 1);
    if (start < 0 && draw < 0.6) return undefined;
    const found = this.#held.slice(start < 0 ? 0 : start);
    if (draw < 0.8) return found;
    const place = Math.floor(found.length * this.#random());
    // An image is bound by its hash alone, everything else by the chain.
    const lie = draw < 0.85 ? { image: null } : { at: 0 };
    const made = found.map((entry, at) => (at < place ? entry : { ...entry, ...lie }));
    return draw < 0.9 ? made : [...found.slice(0, place), ...found.slice(place + 1)];
  }

  async close(): Promise<void> {}
}

/** A run of several processes on one server, every order of steps and every fault drawn from `seed`. */
async function simulate(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const clock = new ManualClock();
  const server = new MemoryLogServer();
  const bornMs = new Map<number, number>();
  const faultRate = random() < 0.3 ? 0 : random() * 0.3;
  const cache = random() < 0.5 ? {} : { cache: new BadCache(random) };
  let calm = false;

  const fate = (): Fate =>
    calm || random() >= faultRate ? 'answered' : (FAULTS[Math.floor(random() * FAULTS.length)] as Fate);
  const processes: Process[] = [];
  const start = async (): Promise<void> => {
    const waiting: (() => void)[] = [];
    const turn = () => new Promise<void>((resolve) => void waiting.push(resolve));
    const storage = new MemoryLogStorage(server, turn, fate);
    const opening = MongoChangeLog.over(storage, { clock, random, keepMs: KEEP_MS, ...cache });
    const before = calm;
    calm = true;
    let log: MongoChangeLog | undefined;
    opening.then((opened) => {
      log = opened;
    });
    while (log === undefined) {
      waiting.shift()?.();
      await settle();
    }
    calm = before;
    const seen: LogEntry[] = [];
    log.onEntries(({ entries, own }) => {
      seen.push(...entries);
      const last = entries.at(-1)?.sequence ?? 0;
      if (!own) return;
      cache.cache?.offer(entries);
      // Whoever hears of it asks the cache first.
      for (const process of processes) if (process.log !== log && random() < 0.8) process.log.poke(last);
    });
    processes.push({ log, waiting, seen, asleepUntilMs: 0 });
  };
  for (let count = 1 + Math.floor(random() * 3); count >= 0; count--) await start();

  /** One step of a process that is awake, or time passes. */
  const step = async (): Promise<void> => {
    const awake = processes.filter(({ waiting, asleepUntilMs }) => waiting.length > 0 && clock.now() >= asleepUntilMs);
    const next = awake[Math.floor(random() * awake.length)];
    if (next === undefined || random() < 0.05) await clock.advance(Math.ceil(random() * 50));
    else next.waiting.splice(Math.floor(random() * next.waiting.length), 1)[0]?.();
    await settle();
    for (const { sequence } of server.history.slice(bornMs.size)) bornMs.set(sequence, clock.now());
  };

  const outcomes: Outcome[] = [];
  const append = (process: number, changes: readonly KeyedChange[]): void => {
    const made = changes.map((change): Outcome => ({ change, process }));
    outcomes.push(...made);
    (processes[process] as Process).log.append(changes).then(
      (entries) => {
        for (const [place, outcome] of made.entries()) outcome.entry = entries[place] as LogEntry;
      },
      (error: unknown) => {
        for (const outcome of made) outcome.error = error;
      },
    );
  };
  const name = ({ id, version }: { id: string; version: number }) => `${id} ${version}`;
  /** Sweepers know what is in the log long before it is trimmed. */
  const swept = (change: KeyedChange): boolean => {
    const entry = server.history.find((one) => name(one) === name(change));
    return entry !== undefined && clock.now() - (bornMs.get(entry.sequence) ?? 0) > KEEP_MS / 2;
  };
  const trim = (): void => {
    // However much is asked for: what is young stays.
    const old = server.history[Math.floor(random() * server.history.length)];
    if (old === undefined) return;
    const awake = processes.find(({ asleepUntilMs }) => clock.now() >= asleepUntilMs);
    awake?.log.trim(old.sequence + 1).catch(() => undefined);
  };

  let number = 0;
  for (let moves = 40 + Math.floor(random() * 60); moves > 0; moves--) {
    const draw = random();
    const process = Math.floor(random() * processes.length);
    if (draw < 0.4) {
      append(
        process,
        Array.from({ length: 1 + Math.floor(random() * 3) }, () => {
          number += 1;
          return { ...changeOf(number), key: null, digest: null };
        }),
      );
    } else if (draw < 0.45) {
      (processes[process] as Process).asleepUntilMs = clock.now() + KEEP_MS * 2 * random();
    } else if (draw < 0.5) {
      await clock.advance(random() * KEEP_MS);
    } else if (draw < 0.6) {
      trim();
    } else if (draw < 0.65) {
      // Somebody helps with a change that is not known to be in the log.
      const open = outcomes.find(({ entry, change }) => entry === undefined && !swept(change));
      if (open !== undefined) append(process, [open.change]);
    } else {
      for (let steps = Math.floor(random() * 20); steps > 0; steps--) await step();
    }
  }
  calm = true;
  const done = () =>
    outcomes.every(({ entry, error }) => entry ?? error) && processes.every(({ waiting }) => waiting.length === 0);
  for (let steps = 0; !done(); steps++) {
    if (steps > 20_000) throw new Error('it does not come to an end');
    await step();
  }
  // All wake, and look once more.
  for (const process of processes) process.asleepUntilMs = 0;
  for (let steps = 0; steps < 400; steps++) await step();

  let chain = '0'.repeat(32);
  for (const [place, entry] of server.history.entries()) {
    chain = chainHash(chain, 1, place + 1, entry);
    expect(entry, 'dense and chained').toMatchObject({ sequence: place + 1, chain });
  }
  const names = server.history.map(name);
  expect(new Set(names).size, 'every change once').toBe(names.length);
  const sent = new Map<number, number>();
  for (const { change, process, entry, error } of outcomes) {
    if (entry !== undefined) {
      expect(server.history[entry.sequence - 1], 'answered as it is').toEqual(entry);
      if (outcomes.filter((other) => other.change === change).length > 1) continue;
      expect(entry.sequence, 'own order').toBeGreaterThan(sent.get(process) ?? 0);
      sent.set(process, entry.sequence);
    } else if (isHoldfastError(error, 'DATABASE_UNAVAILABLE')) {
      const others = outcomes.some((other) => other.change === change && other.error !== error);
      if (!others) expect(names, 'not appended').not.toContain(name(change));
    } else expect(error).toMatchObject({ code: 'WRITE_OUTCOME_UNKNOWN' });
  }
  for (const { seen, log } of processes) {
    expect(log.head(), 'up to date').toMatchObject({ sequence: names.length });
    let before = 0;
    for (const entry of seen) {
      expect(entry, 'followed as it is').toEqual(server.history[entry.sequence - 1]);
      expect(entry.sequence).toBeGreaterThan(before);
      before = entry.sequence;
    }
  }
}

describe('several processes that append to one log', () => {
  it.each(Array.from({ length: SEEDS }, (_, seed) => seed + 1))('keep it dense, chained and whole, seed %i', simulate);
});
