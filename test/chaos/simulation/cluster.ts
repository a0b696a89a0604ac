import type { RetentionPolicy } from '../../../src/replication/retention.ts';
import { Disk } from './disk.ts';
import { Link, type LinkFaults } from './link.ts';
import { Follower, type Node, type NodeOptions, type Parts, Primary, type Witness } from './nodes.ts';
import type { Scheduler } from './scheduler.ts';

export interface ClusterOptions {
  readonly scheduler: Scheduler;
  readonly policy: RetentionPolicy;
  readonly parts: Parts;
  readonly witness: Witness;
  /** Told of each process that died. */
  readonly crashed: () => void;
}

/** Disks of finished runs, wiped. */
const disks: Disk[] = [];

/** The nodes of a run and the links between them. What died is started again. */
export class Cluster {
  /** The one whose history counts: after a promotion the promoted node. */
  primary: Node;
  /** In runs with a promotion: the replica that is promoted, when it can be. */
  heir: Follower | undefined;
  /** The primary that was replaced, until it follows again. */
  former: Primary | undefined;
  readonly followers: Follower[] = [];
  readonly links: Link[] = [];
  readonly #options: ClusterOptions;
  /** Nodes that are down and will be started. */
  readonly #starting = new Set<Node>();

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.primary = new Primary(this.#node('primary', takeDisk()));
  }

  /** Every node that runs, or would if it were not down. */
  nodes(): readonly Node[] {
    return [this.primary, ...this.followers, ...(this.former === undefined ? [] : [this.former])];
  }

  /** Adds a follower of `sources`, with a disk of its own unless one is given. */
  follow(name: string, sources: readonly Node[], faults: LinkFaults, disk: Disk = takeDisk()): Follower {
    const { scheduler } = this.#options;
    const links = sources.map(
      (source) => new Link(scheduler, `${name}→${source.name}`, faults, () => source.endpoint()),
    );
    this.links.push(...links);
    const follower = new Follower(this.#node(name, disk), (process) => links.map((link) => link.address(process)));
    this.followers.push(follower);
    return follower;
  }

  startLater(node: Node, ms: number): void {
    this.#starting.add(node);
    this.#options.scheduler.after(ms, `${node.name} starts`, () => {
      this.#starting.delete(node);
      node.start();
    });
  }

  /** Marks every node as one that will be started: none of them died. */
  begin(): void {
    for (const node of this.nodes()) this.#starting.add(node);
  }

  /** Has those that died since the last call started again. Their connections break sooner or later. */
  mourn(): void {
    const { scheduler, crashed } = this.#options;
    for (const node of this.nodes()) {
      if (node.process.alive || this.#starting.has(node)) continue;
      crashed();
      for (const link of this.links) {
        if (link.name.includes(node.name)) scheduler.add(`${link.name} breaks`, link.cutLater());
      }
      this.startLater(node, scheduler.below(3_000));
    }
  }

  /** No faults from here on. */
  calm(): void {
    for (const node of this.nodes()) {
      node.dying = false;
      node.disk.failing = false;
    }
    for (const link of this.links) link.faulty = false;
  }

  /** Ends every process. */
  bury(): void {
    for (const link of this.links) link.cut();
    for (const node of this.nodes()) node.bury();
  }

  /** Gives the disks back, once everything has ended. */
  wipe(): void {
    for (const disk of new Set(this.nodes().map((node) => node.disk))) disks.push(disk.wipe());
  }

  #node(name: string, disk: Disk): NodeOptions {
    const { scheduler, policy, parts, witness } = this.#options;
    return { scheduler, name, policy, parts, witness, disk };
  }
}

function takeDisk(): Disk {
  return disks.pop() ?? new Disk();
}
