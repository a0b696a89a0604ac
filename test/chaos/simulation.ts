import { isHoldfastError } from '../../src/errors.ts';
import type { RetentionPolicy } from '../../src/replication/retention.ts';
import { DEFAULT_RETENTION } from '../../src/replication/retention.ts';
import { checkAll, checkFollower } from './simulation/checks.ts';
import { Client, counters, drawOperations } from './simulation/clients.ts';
import { Disk } from './simulation/disk.ts';
import { ensure, History, Violation } from './simulation/history.ts';
import { Link } from './simulation/link.ts';
import {
  COLLECTIONS,
  COUNTER,
  Follower,
  type Node,
  type NodeOptions,
  type Parts,
  Primary,
  SOUND,
  THING,
  type Witness,
} from './simulation/nodes.ts';
import { Scheduler, settled } from './simulation/scheduler.ts';
import { Subscriber } from './simulation/subscriber.ts';

/** What happened in one run. */
export interface Report {
  readonly seed: number;
  /** Hash of everything that was decided, in order: the same for the same seed and code. */
  readonly trace: number;
  readonly steps: number;
  readonly acknowledged: number;
  readonly entries: number;
  readonly requests: number;
  readonly reads: number;
  readonly events: number;
  readonly crashes: number;
  readonly cuts: number;
  readonly resyncs: number;
  readonly repairs: number;
  readonly promotions: number;
  /** Changes that only a former primary had. */
  readonly divergent: number;
}

export interface SimulateOptions {
  /** Parts to put in the place of the real ones. Default: the product as it is. */
  readonly parts?: Parts;
  /** Told every step in words. */
  readonly lines?: (lines: readonly string[]) => void;
}

/** A failure of the simulated system under one seed. */
export class SimulationFailure extends Error {
  readonly seed: number;

  constructor(seed: number, cause: unknown, steps: number) {
    const reason = cause instanceof Violation ? cause.message : String((cause as Error)?.stack ?? cause);
    super(
      `seed ${seed}, step ${steps}: ${reason}\n  run it again: npm run prove -- simulation --from ${seed} --seeds 1 --trace`,
      { cause },
    );
    this.seed = seed;
  }
}

/** Probability per step that a promotion is tried. */
const PROMOTION = 0.01;
/** Steps with faults, and steps in which everything must settle afterwards. */
const MAX_FAULTY_STEPS = 1_500;
const MAX_SETTLING_STEPS = 8_000;

/**
 * Runs one schedule: a primary, one or two followers (the second may follow the first), two or three clients and two subscribers, with
 * crashes, losses and damage drawn from `seed`. In some the first follower is promoted while the former primary goes on, until it hears of it. Then faults stop, and everything must settle and be right.
 * @throws SimulationFailure
 */
export async function simulate(seed: number, options: SimulateOptions = {}): Promise<Report> {
  const world = new World(seed, options);
  const { stackTraceLimit } = Error;
  // Lost connections are daily bread here: nobody reads where they were made.
  if (options.lines === undefined) Error.stackTraceLimit = 0;
  try {
    return await world.run();
  } catch (error) {
    throw new SimulationFailure(seed, error, world.scheduler.steps);
  } finally {
    await world.end();
    Error.stackTraceLimit = stackTraceLimit;
    if (world.scheduler.lines !== undefined) options.lines?.(world.scheduler.lines);
  }
}

/** Disks of finished runs, wiped. */
const disks: Disk[] = [];

/** Probabilities per step, drawn anew for each run: some runs have many crashes and others none, which finds more than an average. */
interface Rates {
  readonly crash: number;
  readonly commitCrash: number;
  readonly commitFailure: number;
  readonly cut: number;
  readonly partition: number;
  /** Set to 0 in runs with a promotion: nobody would know which copy is right. */
  rot: number;
  readonly order: number;
  readonly trim: number;
}

class World implements Witness {
  readonly scheduler: Scheduler;
  readonly #seed: number;
  readonly #history = new History();
  /** The one whose history counts: after a promotion the promoted node. */
  #primary: Node;
  /** The primary that was replaced. */
  #former: Primary | undefined;
  /** In runs with a promotion: the replica that is promoted, when it can be. */
  #heir: Follower | undefined;
  /** First entries that were kept before a node gave up its own. */
  readonly #kept = new Map<Node, number>();
  /** The former primary's disk follows the promoted node. */
  #followsAgain = false;
  #again: { readonly node: Node; readonly from: number | null } | undefined;
  readonly #nodeOf: (name: string) => NodeOptions;
  readonly #followers: Follower[] = [];
  readonly #links: Link[] = [];
  readonly #clients: Client[] = [];
  readonly #subscribers: Subscriber[] = [];
  readonly #rates: Rates;
  readonly #parts: Parts;
  #over = false;
  /** A document on a follower's disk was altered: followers may differ, until they found it. */
  #rotten = false;
  /** Nodes that are down and will be started. */
  readonly #starting = new Set<Node>();
  #failure: { readonly error: unknown } | undefined;
  readonly #counts = { crashes: 0, cuts: 0, resyncs: 0, repairs: 0, promotions: 0, divergent: 0 };

  constructor(seed: number, options: SimulateOptions) {
    this.#seed = seed;
    const scheduler = new Scheduler(seed, options.lines !== undefined);
    this.scheduler = scheduler;
    this.#parts = options.parts ?? SOUND;
    const rate = (most: number): number => (scheduler.chance(0.5) ? 0 : scheduler.random() * most);
    this.#rates = {
      crash: rate(0.02),
      commitCrash: rate(0.02),
      commitFailure: rate(0.02),
      cut: rate(0.02),
      partition: rate(0.005),
      rot: scheduler.chance(0.8) ? 0 : 0.003,
      order: rate(0.003),
      trim: rate(0.01),
    };
    const isPromoting = scheduler.chance(0.3);
    if (isPromoting) this.#rates.rot = 0;
    const policy: RetentionPolicy = {
      ...DEFAULT_RETENTION,
      maxChanges: scheduler.pick([2, 6, 1_000_000]),
      followerMs: scheduler.pick([1, 5_000]),
      followerFactor: scheduler.pick([1, 4]),
    };
    const node = (name: string) => ({
      ...{ scheduler, name, policy, witness: this, parts: this.#parts },
      disk: disks.pop() ?? new Disk(),
    });
    this.#nodeOf = (name) => node(name);
    this.#primary = new Primary(node('primary'));
    const linkFaults = {
      frameChanges: 1 + scheduler.below(8),
      pageRows: 1 + scheduler.below(6),
      frameFaults: rate(0.2),
      slow: rate(0.4),
    };
    const follow = (name: string, ...sources: Node[]): Follower => {
      const links = sources.map(
        (source) => new Link(scheduler, `${name}→${source.name}`, linkFaults, () => source.endpoint()),
      );
      this.#links.push(...links);
      const follower = new Follower(node(name), (process) => links.map((link) => link.address(process)));
      this.#followers.push(follower);
      return follower;
    };
    const primary = this.#primary;
    const first = follow('replica1', primary);
    const more = scheduler.below(10);
    if (isPromoting) this.#heir = first;
    if (more < 3) follow('replica2', this.#primary, ...(isPromoting ? [first] : []));
    else if (more < 6) follow('chained', first);
    else if (more < 8) follow('roaming', first, primary);
    const fail = (error: unknown): void => {
      this.#failure ??= { error };
    };
    const nodes = [this.#primary, ...this.#followers];
    const clientFaults = { loss: rate(0.2), zombies: rate(0.3), giveUp: rate(0.5) };
    for (let client = 1, count = 2 + scheduler.below(2); client <= count; client++) {
      this.#clients.push(
        new Client(
          {
            ...{ scheduler, name: `client${client}`, history: this.#history },
            primary: () => this.#primary,
            nodes: () => nodes.filter((each) => each !== this.#former),
            faults: clientFaults,
            isRotten: () => this.#rotten,
          },
          fail,
        ),
      );
    }
    const subscribe = (name: string, node: Node, entity: typeof COUNTER): void => {
      this.#subscribers.push(new Subscriber({ scheduler, name, node, entity, history: this.#history }, fail));
    };
    subscribe('subscriber1', primary, THING);
    subscribe('subscriber2', scheduler.pick(nodes), COUNTER);
  }

  async run(): Promise<Report> {
    const { scheduler } = this;
    await this.#begin();
    const large = scheduler.chance(0.01);
    for (const [index, client] of this.#clients.entries()) {
      client.start(drawOperations(scheduler, index + 1, 3 + scheduler.below(5), large && index === 0));
    }
    while (scheduler.steps < MAX_FAULTY_STEPS && !this.#clients.every(({ finished }) => finished)) {
      this.#misfortune();
      await this.#step();
    }
    // Some more while the followers catch up.
    for (let left = scheduler.below(80); left > 0; left--) {
      this.#misfortune();
      await this.#step();
    }
    await this.#settle();
    await checkAll({
      history: this.#history,
      primary: this.#primary,
      followers: this.#followers,
      done: this.#clients.flatMap(({ done }) => done),
    });
    const again = this.#again;
    if (again !== undefined && again.from !== null) {
      const from = this.#kept.get(again.node);
      ensure(
        // A source that is trimmed meanwhile makes it keep more.
        from !== undefined && from <= (again.from ?? 0),
        () => `the former primary gave up its changes, keeping those from ${from}, not ${again.from}`,
      );
    }
    const total = (of: (client: Client) => number): number =>
      this.#clients.reduce((sum, client) => sum + of(client), 0);
    return {
      ...{ seed: this.#seed, trace: scheduler.trace, steps: scheduler.steps, entries: this.#history.head },
      acknowledged: total(({ done }) => done.filter(({ fate }) => fate === 'ACKNOWLEDGED').length),
      requests: total(({ requests }) => requests),
      reads: total(({ reads }) => reads),
      events: this.#subscribers.reduce((sum, { events }) => sum + events, 0),
      ...this.#counts,
    };
  }

  /** Ends every process and gives the disks back. */
  async end(): Promise<void> {
    this.#over = true;
    for (const client of this.#clients) client.stop();
    for (const subscriber of this.#subscribers) subscriber.stop();
    for (const link of this.#links) link.cut();
    for (const node of this.#nodes()) node.bury();
    await settled();
    for (const disk of new Set(this.#nodes().map((node) => node.disk))) disks.push(disk.wipe());
  }

  committed(node: Node): void {
    if (this.#failure !== undefined || this.#over) return;
    try {
      if (node === this.#heir && isPromoted(node)) this.#handOver(this.#heir);
      if (node === this.#former) return;
      if (node === this.#primary) this.#history.observe(node.disk);
      else if (!this.#rotten) checkFollower(node, this.#history);
    } catch (error) {
      this.#failure = { error };
    }
  }

  alarmed(node: Node, message: string): void {
    this.#failure ??= { error: new Violation(`${node.name} raises an alarm: ${message}`) };
  }

  differs(node: Node): void {
    this.#counts.repairs += 1;
    if (!this.#rotten) {
      this.#failure ??= { error: new Violation(`${node.name} differs from its source, though nothing was damaged`) };
    }
  }

  halts(node: Node, message: string): void {
    if (this.#former === undefined) this.alarmed(node, message);
  }

  keeps(node: Node, from: number): void {
    this.#kept.set(node, from);
  }

  /** A replica is a primary from now on: its history counts, and what the former one has beyond it is lost to all but that node. */
  #handOver(heir: Follower): void {
    const [own, theirs] = [headOf(heir), headOf(this.#primary)];
    this.#counts.promotions += 1;
    this.#counts.divergent += Math.max(0, theirs - (own - 1));
    this.#history.fork(own - 1, heir.disk);
    this.#former = this.#primary as Primary;
    this.#primary = heir;
    this.#heir = undefined;
    this.#followers.splice(this.#followers.indexOf(heir), 1);
    for (const subscriber of this.#subscribers) if (subscriber.node !== heir) subscriber.retire();
    this.scheduler.note(`${heir.name} was promoted after ${own - 1}; ${this.#former.name} is at ${theirs}`);
  }

  resyncs(_node: Node): void {
    this.#counts.resyncs += 1;
  }

  /** Opens the primary with its counters, then the followers, in any order. */
  async #begin(): Promise<void> {
    for (const node of this.#nodes()) this.#starting.add(node);
    this.#startLater(this.#primary, 0);
    await this.#until(() => this.#primary.running !== undefined);
    const store = this.#primary.running?.store();
    let written = false;
    store
      ?.collection(COUNTER.collection)
      .insertMany(counters())
      .then(() => {
        written = true;
      });
    await this.#until(() => written);
    for (const follower of this.#followers) {
      this.#startLater(follower, this.scheduler.below(2_000));
    }
  }

  async #until(condition: () => boolean): Promise<void> {
    for (let steps = 0; !condition(); steps++) {
      ensure(steps < MAX_SETTLING_STEPS, () => `nothing begins: ${this.#describe()}`);
      await this.#step();
    }
  }

  async #step(): Promise<void> {
    for (const subscriber of this.#subscribers) subscriber.subscribe();
    for (const node of this.#nodes()) {
      if (!node.process.alive && !this.#starting.has(node)) this.#mourn(node);
    }
    if (!(await this.scheduler.step())) throw new Violation('nothing is left that could happen');
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #order({ running }: Follower): void {
    const state = running?.replica?.status().state;
    if (state !== 'FORKED' && state !== 'FENCED') running?.replica?.resync();
  }

  /** A process died: its connections break sooner or later, and it is started again. */
  #mourn(node: Node): void {
    const { scheduler } = this;
    this.#counts.crashes += 1;
    for (const link of this.#links) {
      if (link.name.includes(node.name)) scheduler.add(`${link.name} breaks`, link.cutLater());
    }
    this.#startLater(node, scheduler.below(3_000));
  }

  #startLater(node: Node, ms: number): void {
    this.#starting.add(node);
    this.scheduler.after(ms, `${node.name} starts`, () => {
      this.#starting.delete(node);
      node.start();
    });
  }

  /** Something goes wrong, or not. */
  #misfortune(): void {
    const { scheduler } = this;
    const rates = this.#rates;
    if (scheduler.chance(rates.crash)) scheduler.pick(this.#nodes()).crash();
    if (scheduler.chance(rates.commitCrash)) scheduler.pick(this.#nodes()).dying = true;
    if (scheduler.chance(rates.commitFailure)) scheduler.pick(this.#nodes()).disk.failing = true;
    if (scheduler.chance(rates.cut)) this.#cut(scheduler.pick(this.#links));
    if (scheduler.chance(rates.partition)) this.#partition(scheduler.pick(this.#links));
    if (scheduler.chance(rates.rot)) this.#rot(scheduler.pick(this.#followers));
    if (this.#heir !== undefined && scheduler.chance(PROMOTION)) void this.#heir.promote();
    if (this.#followers.length > 0 && scheduler.chance(rates.order)) this.#order(scheduler.pick(this.#followers));
    if (scheduler.chance(rates.trim)) this.#trim(scheduler.pick(this.#nodes()));
  }

  #cut(link: Link): void {
    this.#counts.cuts += 1;
    this.scheduler.note(`${link.name} is cut`);
    link.cut();
  }

  /** Nothing gets through for a while; then both sides find out. */
  #partition(link: Link): void {
    if (link.partitioned) return;
    link.partitioned = true;
    this.scheduler.note(`${link.name} is partitioned`);
    this.scheduler.after(500 + this.scheduler.below(15_000), `${link.name} is back`, () => {
      link.partitioned = false;
      link.cut();
    });
  }

  /** Writes a wrong version of some document on a follower's disk. */
  #rot(follower: Follower): void {
    const { running } = follower;
    const store = running?.store();
    if (running?.replica?.isReady() !== true || store === undefined) return;
    const collection = this.scheduler.pick(COLLECTIONS);
    const rows = store.page(collection, null, 100, 1_000_000).rows;
    if (rows.length === 0) return;
    const row = this.scheduler.pick(rows);
    const kind = this.scheduler.pick(['changed', 'removed'] as const);
    this.#rotten = true;
    this.scheduler.note(`${follower.name} ${collection} ${row.id} is ${kind}`);
    running.database
      .transaction((transaction) => {
        if (kind === 'removed') store.remove(transaction, collection, row.id, row.version, 0, true);
        else store.put(transaction, collection, { ...row, text: row.text.replace('"n":', '"m":') }, 0, true);
      })
      .catch(() => {});
  }

  /** Retention without mercy: everything but the head goes. */
  #trim(node: Node): void {
    const { log } = node.running ?? {};
    this.scheduler.note(`${node.name} is trimmed`);
    log?.trim(log.head().sequence - this.scheduler.below(3)).catch((error: unknown) => {
      if (!isHoldfastError(error, 'DATA_UNWRITABLE')) this.alarmed(node, String(error));
    });
  }

  /** Faults stop: everything must become right by itself, within a bound. */
  async #settle(): Promise<void> {
    this.scheduler.note('faults stop');
    for (const node of this.#nodes()) {
      node.dying = false;
      node.disk.failing = false;
    }
    for (const link of this.#links) link.faulty = false;
    for (const client of this.#clients) client.faulty = false;
    const until = this.scheduler.steps + MAX_SETTLING_STEPS;
    while (this.scheduler.steps % 4 !== 0 || !this.#isSettled()) {
      ensure(this.scheduler.steps < until, () => `not settled after ${MAX_SETTLING_STEPS} steps: ${this.#describe()}`);
      this.#decideForks();
      await this.#step();
    }
    await settled();
  }

  /** An operator's part: a forked replica gives up what only it has, and the former primary becomes a replica. */
  #decideForks(): void {
    if (this.#former === undefined) return;
    for (const { running } of this.#followers) {
      if (running?.replica?.status().state === 'FORKED') running.replica.resync({ force: true });
    }
    const { running } = this.#former;
    const fenced = running?.fence?.state;
    if (this.#followsAgain || fenced === undefined || running?.log.sealedBy() === null) return;
    this.#followsAgain = true;
    const { scheduler } = this;
    const former = this.#former;
    const { common = 0 } = this.#history;
    ensure(
      fenced.from === common + 1,
      () => `the former primary heard that it is replaced since ${fenced.from}, not ${common + 1}`,
    );
    const floor = running?.log.floor() ?? 0;
    const from = headOf(former) > common ? Math.max(common + 1, floor) : null;
    former.bury();
    for (const each of this.#links) if (each.name.endsWith(`→${former.name}`)) each.cut();
    const link = new Link(scheduler, `former→${this.#primary.name}`, CALM, () => this.#primary.endpoint());
    link.faulty = false;
    this.#links.push(link);
    const again = new Follower({ ...this.#nodeOf('former'), disk: former.disk }, (process) => [link.address(process)]);
    this.#again = { node: again, from };
    this.#followers.push(again);
    this.#startLater(again, 0);
  }

  #isSettled(): boolean {
    const { log } = this.#primary.running ?? {};
    if (log === undefined) return false;
    if (!this.#clients.every(({ finished }) => finished)) return false;
    if (this.#former !== undefined && !this.#followsAgain) return false;
    for (const { running } of this.#followers) {
      if (running?.log.head().sequence !== log.head().sequence) return false;
      if (running.replica?.status().state !== 'LIVE') return false;
    }
    if (!this.#subscribers.every(({ isUpToDate }) => isUpToDate)) return false;
    return !this.#rotten || this.#followers.every((follower) => checkFollower(follower, this.#history, true));
  }

  #describe(): string {
    return [
      ...this.#nodes().map(({ name, process, running }) => {
        const { state, message } = running?.replica?.status() ?? {};
        return `${name} ${process.alive ? (running === undefined ? 'opens' : 'runs') : 'is down'} ${state ?? ''} at ${running?.log.head().sequence} ${message ?? ''}`;
      }),
      ...this.#clients.map(
        ({ finished, done }, index) => `client${index + 1} ${finished ? 'finished' : `did ${done.length}`}`,
      ),
      ...this.#subscribers.map(({ isUpToDate, events }, index) => `subscriber${index + 1} ${isUpToDate} ${events}`),
    ].join('; ');
  }

  #nodes(): readonly Node[] {
    const former = this.#former === undefined || this.#followsAgain ? [] : [this.#former];
    return [this.#primary, ...this.#followers, ...former];
  }
}

/** A way without surprises. */
const CALM = { frameChanges: 8, pageRows: 8, frameFaults: 0, slow: 0 };

function isPromoted({ disk }: Node): boolean {
  // A disk whose first transaction never ended holds nothing.
  if (disk.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").get() === undefined) return false;
  const stored = disk.prepare("SELECT value FROM meta WHERE key = 'replica.promoted'").get()?.value;
  return stored !== undefined && stored !== 'null';
}

function headOf({ disk }: Node): number {
  return Number(disk.prepare('SELECT max(sequence) AS sequence FROM log').get()?.sequence ?? 0);
}
