import type { Cluster } from './cluster.ts';
import { ensure, type History } from './history.ts';
import type { Follower, Node, Primary } from './nodes.ts';
import type { Counts } from './report.ts';
import type { Scheduler } from './scheduler.ts';

/** A way without surprises. */
const CALM = { frameChanges: 8, pageRows: 8, frameFaults: 0, slow: 0 };

export interface SuccessionOptions {
  readonly scheduler: Scheduler;
  readonly cluster: Cluster;
  readonly history: History;
  readonly counts: Counts;
}

/** A promotion, and what becomes of the primary that was replaced. */
export class Succession {
  /** The primary that was replaced, if any; as a replica it is another node. */
  replaced: Primary | undefined;
  readonly #options: SuccessionOptions;
  /** First entries that were kept before a node gave up its own. */
  readonly #kept = new Map<Node, number>();
  /** The former primary as a replica; `from` is the first entry that only it has. */
  #again: { readonly node: Node; readonly from: number | null } | undefined;

  constructor(options: SuccessionOptions) {
    this.#options = options;
  }

  /** Whether nothing is left to be decided. */
  get isOver(): boolean {
    return this.replaced === undefined || this.#again !== undefined;
  }

  /** Whether this replica is a primary since its last commit. */
  hasPromoted(node: Node): node is Follower {
    return node === this.#options.cluster.heir && isPromoted(node);
  }

  /** A replica is a primary from now on: its history counts, and what the former one has beyond it is lost to all but that node. */
  handOver(heir: Follower): void {
    const { scheduler, cluster, history, counts } = this.#options;
    const former = cluster.primary as Primary;
    const [own, theirs] = [headOf(heir), headOf(former)];
    counts.promotions += 1;
    counts.divergent += Math.max(0, theirs - (own - 1));
    history.fork(own - 1, heir.disk);
    this.replaced = former;
    cluster.former = former;
    cluster.primary = heir;
    cluster.heir = undefined;
    cluster.followers.splice(cluster.followers.indexOf(heir), 1);
    scheduler.note(`${heir.name} was promoted after ${own - 1}; ${former.name} is at ${theirs}`);
  }

  /** A node keeps its entries from `from` on, before it gives them up. */
  keeps(node: Node, from: number): void {
    this.#kept.set(node, from);
  }

  /** An operator's part: a forked replica gives up what only it has, and the former primary becomes a replica. */
  decide(): void {
    const { cluster } = this.#options;
    if (this.replaced === undefined) return;
    for (const { running } of cluster.followers) {
      if (running?.replica?.status().state === 'FORKED') running.replica.resync({ force: true });
    }
    const { former } = cluster;
    if (former?.running?.fence?.state !== undefined && former.running.log.sealedBy() !== null) this.#follow(former);
  }

  /** Once all is settled: the former primary kept what only it had. */
  check(): void {
    if (this.#again === undefined) return;
    const { node, from } = this.#again;
    if (from === null) return;
    const kept = this.#kept.get(node);
    ensure(
      // A source that is trimmed meanwhile makes it keep more.
      kept !== undefined && kept <= from,
      () => `the former primary gave up its changes, keeping those from ${kept}, not ${from}`,
    );
  }

  #follow(former: Primary): void {
    const { cluster, history } = this.#options;
    const { common = 0 } = history;
    const { running } = former;
    const replacedSince = running?.fence?.state?.from;
    ensure(
      replacedSince === common + 1,
      () => `the former primary heard that it is replaced since ${replacedSince}, not ${common + 1}`,
    );
    const floor = running?.log.floor() ?? 0;
    const from = headOf(former) > common ? Math.max(common + 1, floor) : null;
    former.bury();
    for (const link of cluster.links) if (link.name.endsWith(`→${former.name}`)) link.cut();
    cluster.former = undefined;
    const node = cluster.follow('former', [cluster.primary], CALM, former.disk);
    for (const link of cluster.links) link.faulty = false;
    this.#again = { node, from };
    cluster.startLater(node, 0);
  }
}

function isPromoted({ disk }: Node): boolean {
  // A disk whose first transaction never ended holds nothing.
  if (disk.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").get() === undefined) return false;
  const stored = disk.prepare("SELECT value FROM meta WHERE key = 'replica.promoted'").get()?.value;
  return stored !== undefined && stored !== 'null';
}

function headOf({ disk }: Node): number {
  return Number(disk.prepare('SELECT max(sequence) AS sequence FROM log').get()?.sequence ?? 0);
}
