import { isHoldfastError } from '../../../src/errors.ts';
import type { Cluster } from './cluster.ts';
import type { Link } from './link.ts';
import { COLLECTIONS, type Follower, type Node, type Witness } from './nodes.ts';
import type { Counts } from './report.ts';
import type { Scheduler } from './scheduler.ts';

/** Probabilities per step, drawn anew for each run: some runs have many crashes and others none, which finds more than an average. */
export interface Rates {
  readonly crash: number;
  readonly commitCrash: number;
  readonly commitFailure: number;
  readonly cut: number;
  readonly partition: number;
  readonly rot: number;
  readonly order: number;
  readonly trim: number;
  /** That a promotion is tried, where there is an heir. */
  readonly promotion: number;
}

/** Half of the time nothing, else up to `most`. */
export function rateUpTo(scheduler: Scheduler, most: number): number {
  return scheduler.chance(0.5) ? 0 : scheduler.random() * most;
}

/** Draws the rates of a run. */
export function drawRates(scheduler: Scheduler): Rates {
  return {
    crash: rateUpTo(scheduler, 0.02),
    commitCrash: rateUpTo(scheduler, 0.02),
    commitFailure: rateUpTo(scheduler, 0.02),
    cut: rateUpTo(scheduler, 0.02),
    partition: rateUpTo(scheduler, 0.005),
    rot: scheduler.chance(0.8) ? 0 : 0.003,
    order: rateUpTo(scheduler, 0.003),
    trim: rateUpTo(scheduler, 0.01),
    promotion: 0.01,
  };
}

export interface MisfortuneOptions {
  readonly scheduler: Scheduler;
  readonly cluster: Cluster;
  readonly rates: Rates;
  readonly witness: Witness;
  readonly counts: Counts;
}

/** What goes wrong in a run. */
export class Misfortune {
  /** A document on a follower's disk was altered: followers may differ, until they found it. */
  rotten = false;
  readonly #options: MisfortuneOptions;

  constructor(options: MisfortuneOptions) {
    this.#options = options;
  }

  /** Something goes wrong, or not. */
  strike(): void {
    const { scheduler, cluster, rates } = this.#options;
    if (scheduler.chance(rates.crash)) scheduler.pick(cluster.nodes()).crash();
    if (scheduler.chance(rates.commitCrash)) scheduler.pick(cluster.nodes()).dying = true;
    if (scheduler.chance(rates.commitFailure)) scheduler.pick(cluster.nodes()).disk.failing = true;
    if (scheduler.chance(rates.cut)) this.#cut(scheduler.pick(cluster.links));
    if (scheduler.chance(rates.partition)) this.#partition(scheduler.pick(cluster.links));
    if (scheduler.chance(rates.rot)) this.#rot(scheduler.pick(cluster.followers));
    if (cluster.heir !== undefined && scheduler.chance(rates.promotion)) void cluster.heir.promote();
    if (cluster.followers.length > 0 && scheduler.chance(rates.order)) this.#order(scheduler.pick(cluster.followers));
    if (scheduler.chance(rates.trim)) this.#trim(scheduler.pick(cluster.nodes()));
  }

  #cut(link: Link): void {
    const { scheduler, counts } = this.#options;
    counts.cuts += 1;
    scheduler.note(`${link.name} is cut`);
    link.cut();
  }

  /** Nothing gets through for a while; then both sides find out. */
  #partition(link: Link): void {
    const { scheduler } = this.#options;
    if (link.partitioned) return;
    link.partitioned = true;
    scheduler.note(`${link.name} is partitioned`);
    scheduler.after(500 + scheduler.below(15_000), `${link.name} is back`, () => {
      link.partitioned = false;
      link.cut();
    });
  }

  /** Writes a wrong version of some document on a follower's disk. */
  #rot(follower: Follower): void {
    const { scheduler } = this.#options;
    const { running } = follower;
    const store = running?.store();
    if (running?.replica?.isReady() !== true || store === undefined) return;
    const collection = scheduler.pick(COLLECTIONS);
    const rows = store.page(collection, null, 100, 1_000_000).rows;
    if (rows.length === 0) return;
    const row = scheduler.pick(rows);
    const kind = scheduler.pick(['changed', 'removed'] as const);
    this.rotten = true;
    scheduler.note(`${follower.name} ${collection} ${row.id} is ${kind}`);
    running.database
      .transaction((transaction) => {
        if (kind === 'removed') store.remove(transaction, collection, row.id, row.version, 0, true);
        else store.put(transaction, collection, { ...row, text: row.text.replace('"n":', '"m":') }, 0, true);
      })
      .catch(() => {});
  }

  /** An operator orders a resync that nobody needs. */
  #order({ running }: Follower): void {
    const state = running?.replica?.status().state;
    if (state !== 'FORKED' && state !== 'FENCED') running?.replica?.resync();
  }

  /** Retention without mercy: everything but the head goes. */
  #trim(node: Node): void {
    const { scheduler, witness } = this.#options;
    const { log } = node.running ?? {};
    scheduler.note(`${node.name} is trimmed`);
    log?.trim(log.head().sequence - scheduler.below(3)).catch((error: unknown) => {
      if (!isHoldfastError(error, 'DATA_UNWRITABLE')) witness.alarmed(node, String(error));
    });
  }
}
