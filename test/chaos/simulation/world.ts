import { DEFAULT_RETENTION } from '../../../src/replication/retention.ts';
import { checkAll, checkFollower } from './checks.ts';
import { Client, counters, drawOperations } from './clients.ts';
import { Cluster } from './cluster.ts';
import { ensure, History, Violation } from './history.ts';
import { drawRates, Misfortune, rateUpTo } from './misfortune.ts';
import { COUNTER, type Node, type Parts, SOUND, THING, type Witness } from './nodes.ts';
import type { Counts, Report } from './report.ts';
import { Scheduler, settled } from './scheduler.ts';
import { Subscriber } from './subscriber.ts';
import { Succession } from './succession.ts';

/** Steps with faults, and steps in which everything must settle afterwards. */
const MAX_FAULTY_STEPS = 1_500;
const MAX_SETTLING_STEPS = 8_000;

export interface WorldOptions {
  /** Parts to put in the place of the real ones. Default: the product as it is. */
  readonly parts?: Parts | undefined;
  /** Keeps every step in words. */
  readonly traced: boolean;
}

/** One run: a cluster, its clients and subscribers, what goes wrong, and what must be right. */
export class World implements Witness {
  readonly scheduler: Scheduler;
  readonly #seed: number;
  readonly #history = new History();
  readonly #cluster: Cluster;
  readonly #misfortune: Misfortune;
  readonly #succession: Succession;
  readonly #clients: Client[] = [];
  readonly #subscribers: Subscriber[] = [];
  readonly #counts: Counts = { crashes: 0, cuts: 0, resyncs: 0, repairs: 0, promotions: 0, divergent: 0 };
  #over = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(seed: number, { parts = SOUND, traced }: WorldOptions) {
    this.#seed = seed;
    const scheduler = new Scheduler(seed, traced);
    this.scheduler = scheduler;
    const rates = drawRates(scheduler);
    const isPromoting = scheduler.chance(0.3);
    const policy = {
      ...DEFAULT_RETENTION,
      maxChanges: scheduler.pick([2, 6, 1_000_000]),
      followerMs: scheduler.pick([1, 5_000]),
      followerFactor: scheduler.pick([1, 4]),
    };
    const crashed = (): void => {
      this.#counts.crashes += 1;
    };
    const cluster = new Cluster({ scheduler, policy, parts, witness: this, crashed });
    this.#cluster = cluster;
    this.#misfortune = new Misfortune({
      ...{ scheduler, cluster, witness: this, counts: this.#counts },
      // With a promotion as well nobody would know which copy is right.
      rates: isPromoting ? { ...rates, rot: 0 } : rates,
    });
    this.#succession = new Succession({ scheduler, cluster, history: this.#history, counts: this.#counts });
    this.#addFollowers(isPromoting);
    this.#addClients();
    this.#addSubscriber('subscriber1', cluster.primary, THING);
    this.#addSubscriber('subscriber2', scheduler.pick(cluster.nodes()), COUNTER);
  }

  async run(): Promise<Report> {
    const { scheduler } = this;
    await this.#begin();
    const large = scheduler.chance(0.01);
    for (const [index, client] of this.#clients.entries()) {
      client.start(drawOperations(scheduler, index + 1, 3 + scheduler.below(5), large && index === 0));
    }
    while (scheduler.steps < MAX_FAULTY_STEPS && !this.#clients.every(({ finished }) => finished)) {
      this.#misfortune.strike();
      await this.#step();
    }
    // Some more while the followers catch up.
    for (let left = scheduler.below(80); left > 0; left--) {
      this.#misfortune.strike();
      await this.#step();
    }
    await this.#settle();
    const { primary, followers } = this.#cluster;
    const done = this.#clients.flatMap((client) => client.done);
    await checkAll({ history: this.#history, primary, followers, done });
    this.#succession.check();
    return this.#report();
  }

  /** Ends every process and gives the disks back. */
  async end(): Promise<void> {
    this.#over = true;
    for (const client of this.#clients) client.stop();
    for (const subscriber of this.#subscribers) subscriber.stop();
    this.#cluster.bury();
    await settled();
    this.#cluster.wipe();
  }

  committed(node: Node): void {
    if (this.#failure !== undefined || this.#over) return;
    try {
      if (this.#succession.hasPromoted(node)) {
        this.#succession.handOver(node);
        for (const subscriber of this.#subscribers) if (subscriber.node !== node) subscriber.retire();
      }
      if (node === this.#succession.replaced) return;
      if (node === this.#cluster.primary) this.#history.observe(node.disk);
      else if (!this.#misfortune.rotten) checkFollower(node, this.#history);
    } catch (error) {
      this.#failure = { error };
    }
  }

  alarmed(node: Node, message: string): void {
    this.#fail(new Violation(`${node.name} raises an alarm: ${message}`));
  }

  differs(node: Node): void {
    this.#counts.repairs += 1;
    if (this.#misfortune.rotten) return;
    this.#fail(new Violation(`${node.name} differs from its source, though nothing was damaged`));
  }

  halts(node: Node, message: string): void {
    if (this.#succession.replaced === undefined) this.alarmed(node, message);
  }

  keeps(node: Node, from: number): void {
    this.#succession.keeps(node, from);
  }

  resyncs(_node: Node): void {
    this.#counts.resyncs += 1;
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
  }

  /** None, one of the primary, of the first replica, or of either. */
  #addFollowers(isPromoting: boolean): void {
    const { scheduler } = this;
    const cluster = this.#cluster;
    const { primary } = cluster;
    const faults = {
      frameChanges: 1 + scheduler.below(8),
      pageRows: 1 + scheduler.below(6),
      frameFaults: rateUpTo(scheduler, 0.2),
      slow: rateUpTo(scheduler, 0.4),
    };
    const first = cluster.follow('replica1', [primary], faults);
    if (isPromoting) cluster.heir = first;
    const more = scheduler.below(10);
    if (more < 3) cluster.follow('replica2', isPromoting ? [primary, first] : [primary], faults);
    else if (more < 6) cluster.follow('chained', [first], faults);
    else if (more < 8) cluster.follow('roaming', [first, primary], faults);
  }

  #addClients(): void {
    const { scheduler } = this;
    const cluster = this.#cluster;
    const nodes = cluster.nodes();
    const faults = {
      loss: rateUpTo(scheduler, 0.2),
      zombies: rateUpTo(scheduler, 0.3),
      giveUp: rateUpTo(scheduler, 0.5),
    };
    const options = {
      ...{ scheduler, history: this.#history, faults },
      primary: () => cluster.primary,
      nodes: () => nodes.filter((each) => each !== this.#succession.replaced),
      isRotten: () => this.#misfortune.rotten,
    };
    for (let client = 1, count = 2 + scheduler.below(2); client <= count; client++) {
      this.#clients.push(new Client({ ...options, name: `client${client}` }, (error) => this.#fail(error)));
    }
  }

  #addSubscriber(name: string, node: Node, entity: typeof COUNTER): void {
    const options = { scheduler: this.scheduler, name, node, entity, history: this.#history };
    this.#subscribers.push(new Subscriber(options, (error) => this.#fail(error)));
  }

  /** Opens the primary with its counters, then the followers, in any order. */
  async #begin(): Promise<void> {
    const cluster = this.#cluster;
    cluster.begin();
    cluster.startLater(cluster.primary, 0);
    await this.#until(() => cluster.primary.running !== undefined);
    const store = cluster.primary.running?.store();
    let written = false;
    store
      ?.collection(COUNTER.collection)
      .insertMany(counters())
      .then(() => {
        written = true;
      });
    await this.#until(() => written);
    for (const follower of cluster.followers) cluster.startLater(follower, this.scheduler.below(2_000));
  }

  async #until(condition: () => boolean): Promise<void> {
    for (let steps = 0; !condition(); steps++) {
      ensure(steps < MAX_SETTLING_STEPS, () => `nothing begins: ${this.#describe()}`);
      await this.#step();
    }
  }

  async #step(): Promise<void> {
    for (const subscriber of this.#subscribers) subscriber.subscribe();
    this.#cluster.mourn();
    if (!(await this.scheduler.step())) throw new Violation('nothing is left that could happen');
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Faults stop: everything must become right by itself, within a bound. */
  async #settle(): Promise<void> {
    this.scheduler.note('faults stop');
    this.#cluster.calm();
    for (const client of this.#clients) client.faulty = false;
    const until = this.scheduler.steps + MAX_SETTLING_STEPS;
    while (this.scheduler.steps % 4 !== 0 || !this.#isSettled()) {
      ensure(this.scheduler.steps < until, () => `not settled after ${MAX_SETTLING_STEPS} steps: ${this.#describe()}`);
      this.#succession.decide();
      await this.#step();
    }
    await settled();
  }

  #isSettled(): boolean {
    const { log } = this.#cluster.primary.running ?? {};
    if (log === undefined) return false;
    if (!this.#clients.every(({ finished }) => finished)) return false;
    if (!this.#succession.isOver) return false;
    for (const { running } of this.#cluster.followers) {
      if (running?.log.head().sequence !== log.head().sequence) return false;
      if (running.replica?.status().state !== 'LIVE') return false;
    }
    if (!this.#subscribers.every(({ isUpToDate }) => isUpToDate)) return false;
    return (
      !this.#misfortune.rotten ||
      this.#cluster.followers.every((follower) => checkFollower(follower, this.#history, true))
    );
  }

  #describe(): string {
    return [
      ...this.#cluster.nodes().map(({ name, process, running }) => {
        const { state, message } = running?.replica?.status() ?? {};
        return `${name} ${process.alive ? (running === undefined ? 'opens' : 'runs') : 'is down'} ${state ?? ''} at ${running?.log.head().sequence} ${message ?? ''}`;
      }),
      ...this.#clients.map(
        ({ finished, done }, index) => `client${index + 1} ${finished ? 'finished' : `did ${done.length}`}`,
      ),
      ...this.#subscribers.map(({ isUpToDate, events }, index) => `subscriber${index + 1} ${isUpToDate} ${events}`),
    ].join('; ');
  }

  #report(): Report {
    const { steps, trace } = this.scheduler;
    const total = (of: (client: Client) => number): number =>
      this.#clients.reduce((sum, client) => sum + of(client), 0);
    return {
      ...{ seed: this.#seed, trace, steps, entries: this.#history.head },
      acknowledged: total(({ done }) => done.filter(({ fate }) => fate === 'ACKNOWLEDGED').length),
      requests: total(({ requests }) => requests),
      reads: total(({ reads }) => reads),
      events: this.#subscribers.reduce((sum, { events }) => sum + events, 0),
      ...this.#counts,
    };
  }
}
