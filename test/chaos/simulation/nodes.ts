import { Herald } from '../../../replica/herald.ts';
import { Progress } from '../../../replica/progress.ts';
import { Replica, type SourceAddress } from '../../../replica/replica.ts';
import type { Prepared, RowStore } from '../../../replica/row-store.ts';
import { ReplicaService } from '../../../replica/service.ts';
import { SqliteChangeLog } from '../../../src/changelog/sqlite-change-log.ts';
import { isHoldfastError } from '../../../src/errors.ts';
import { loadModel } from '../../../src/model/load.ts';
import type { SyncSource } from '../../../src/protocol/sync-source.ts';
import { Retention, type RetentionPolicy } from '../../../src/replication/retention.ts';
import { PrimarySource, SourceStage } from '../../../src/replication/source.ts';
import type { DataService } from '../../../src/service/data-service.ts';
import { Fence } from '../../../src/service/fence.ts';
import { PrimaryService } from '../../../src/service/primary.ts';
import { Database } from '../../../src/sqlite/database.ts';
import type { Outbox } from '../../../src/store/outbox.ts';
import { SqliteStore } from '../../../src/store/sqlite-store.ts';
import type { Logger } from '../../../src/telemetry/logger.ts';
import type { Disk } from './disk.ts';
import type { Endpoint } from './link.ts';
import { Process } from './process.ts';
import type { Scheduler } from './scheduler.ts';

const MODEL = loadModel([
  {
    file: 'simulation.graphql',
    text: `type Counter @entity { id: ID! @id  n: Int!  pad: String }
      type Thing @entity { id: ID! @id  name: String! @unique  n: Int! }`,
  },
]);
export const [COUNTER, THING] = MODEL.entities as [(typeof MODEL.entities)[0], (typeof MODEL.entities)[0]];
export const COLLECTIONS: readonly string[] = MODEL.entities.map(({ collection }) => collection);
const SPECS = MODEL.entities.map(({ collection, indexes }) => ({ name: collection, indexes }));
const SCHEMA = { sdl: MODEL.sdl, sdlHash: MODEL.sdlHash };
const RETENTION_EVERY_MS = 10_000;

/** The parts that a deliberately broken variant replaces by others, in each run of a process anew. */
export interface Parts {
  outbox(log: SqliteChangeLog, database: Database): Outbox;
  /** What a replica writes its rows with. */
  rows(store: SqliteStore, database: Database): RowStore;
  service(service: DataService): DataService;
  source(source: SyncSource): SyncSource;
}

/** The product as it is. */
export const SOUND: Parts = {
  outbox: (log) => log,
  rows: (store) => store,
  service: (service) => service,
  source: (source) => source,
};

/** Told by nodes what the simulation must know at once. */
export interface Witness {
  /** A group was committed by the node, or failed to be; promises did not go on yet. */
  committed(node: Node): void;
  /** A node says something an operator would be woken for, or that cannot be in this run. */
  alarmed(node: Node, message: string): void;
  /** A replica found that its documents differ from its source's. */
  differs(node: Node): void;
  /** A replica resyncs. */
  resyncs(node: Node): void;
  /** A replica stands still: its history, or its epoch, is not the source's. */
  halts(node: Node, message: string): void;
  /** Before a replica gives up its entries from `from` on. */
  keeps(node: Node, from: number): void;
}

export interface NodeOptions {
  readonly scheduler: Scheduler;
  readonly name: string;
  readonly disk: Disk;
  readonly parts: Parts;
  readonly policy: RetentionPolicy;
  readonly witness: Witness;
}

/** What runs of a node, once it is open. */
export interface Running {
  readonly process: Process;
  readonly database: Database;
  readonly log: SqliteChangeLog;
  readonly store: () => SqliteStore | undefined;
  readonly service: () => DataService | undefined;
  /** What others may follow; undefined while there is nothing yet. */
  readonly source: () => SyncSource | undefined;
  readonly replica?: Replica;
  /** Of a primary. */
  readonly fence?: Fence;
}

/** A node: a disk, and the process that runs over it most of the time. */
export abstract class Node {
  readonly name: string;
  readonly disk: Disk;
  running: Running | undefined;
  process: Process;
  /** The process dies right after its next commit, before anybody hears of it. */
  dying = false;
  readonly #onCrash = new Set<() => void>();
  /** Frees the memory of every run: what died keeps its signals and listeners. */
  readonly #burials: (() => void)[] = [];
  protected readonly options: NodeOptions;

  constructor(options: NodeOptions) {
    this.name = options.name;
    this.disk = options.disk;
    this.options = options;
    this.process = this.#newProcess();
    this.process.crash();
  }

  protected abstract open(process: Process): Promise<Running>;

  /** What answers others that connect; undefined while nothing does. */
  endpoint(): Endpoint | undefined {
    const { running, process } = this;
    return running && { process, source: running.source };
  }

  /** Starts a process over the disk. */
  start(): void {
    const process = this.#newProcess();
    this.process = process;
    this.open(process).then(
      (running) => {
        if (process.alive) this.running = running;
      },
      (error: unknown) => {
        if (!process.alive) return;
        if (!isHoldfastError(error, 'DATA_UNWRITABLE')) this.alarm(`does not start: ${String(error)}`);
        this.crash();
      },
    );
  }

  /** Ends the process at once: what is on the disk stays, nothing else. */
  crash(): void {
    if (!this.process.alive) return;
    this.process.crash();
    this.running = undefined;
    this.dying = false;
    this.options.scheduler.note(`${this.name} crashes`);
    const listeners = [...this.#onCrash];
    this.#onCrash.clear();
    for (const listener of listeners) listener();
  }

  /** Ends the process for good, and frees what all its runs still hold. */
  bury(): void {
    this.process.crash();
    this.running = undefined;
    for (const bury of this.#burials) bury();
  }

  protected buried(bury: () => void): void {
    this.#burials.push(bury);
  }

  /** Calls `listener` when the process of now dies. Returns how to forget it. */
  onCrash(listener: () => void): () => void {
    this.#onCrash.add(listener);
    return () => this.#onCrash.delete(listener);
  }

  protected alarm(message: string): void {
    this.options.witness.alarmed(this, message);
  }

  protected retention(process: Process, log: SqliteChangeLog, source: PrimarySource, store: SqliteStore): Retention {
    return new Retention({
      log,
      followers: source.followers,
      policy: this.options.policy,
      clock: process,
      wallMs: process.wall,
      everyMs: RETENTION_EVERY_MS,
      prune: (logFloor) => store.prune({ now: process.wall(), logFloor }),
      onError: (error) => {
        if (!isHoldfastError(error, 'DATA_UNWRITABLE')) this.alarm(`retention: ${String(error)}`);
      },
    });
  }

  #newProcess(): Process {
    const process: Process = new Process(this.options.scheduler, this.name, (commit) => {
      commit();
      this.options.witness.committed(this);
      if (this.dying && process.alive) this.crash();
    });
    return process;
  }
}

/** A primary over what is on a disk, joined as `src/gateway/data.ts` joins it. */
async function openPrimary(
  node: { readonly parts: Parts; readonly retention: (source: PrimarySource, store: SqliteStore) => void },
  process: Process,
  database: Database,
  log: SqliteChangeLog,
): Promise<Running & { readonly stop: () => void }> {
  const { parts } = node;
  const outbox = parts.outbox(log, database);
  const store = await SqliteStore.open({ database, outbox, collections: SPECS, clock: process.wall });
  const fence = await Fence.open({ database, log, now: process.wall });
  const source: PrimarySource = new PrimarySource({
    ...{ log, rows: store, schema: SCHEMA, collections: COLLECTIONS, clock: process },
    onHigherEpoch: async (epoch, from) => {
      if (await fence.raise(epoch, from)) source.endSubscriptions();
    },
    fencedBy: () => fence.state?.epoch ?? null,
  });
  node.retention(source, store);
  const handed = parts.source(source);
  const service = parts.service(new PrimaryService({ store, log, fence, now: process.wall }));
  return {
    ...{ process, database, log, fence },
    store: () => store,
    service: () => service,
    source: () => handed,
    stop: () => source.stop(),
  };
}

/** The node that takes writes, joined as `src/gateway.ts` joins it, less the network. */
export class Primary extends Node {
  protected async open(process: Process): Promise<Running> {
    const { parts } = this.options;
    const database = Database.over(this.disk, process.schedule, process.stopwatch);
    const log = await SqliteChangeLog.open(database, { logId: 'c0ffee00'.repeat(4) });
    const retention = (source: PrimarySource, store: SqliteStore) => this.retention(process, log, source, store);
    const running = await openPrimary({ parts, retention }, process, database, log);
    this.buried(running.stop);
    return running;
  }
}

/** A node that follows another and may be followed itself, joined as `replica/server.ts` joins it, less the network. */
export class Follower extends Node {
  readonly #addresses: (process: Process) => readonly SourceAddress[];
  /** Ends what hands the copy on. */
  #stopServing: () => Promise<void> = async () => {};

  /** Makes this node a primary; resolves with whether it is one. */
  async promote(): Promise<boolean> {
    const { running, process } = this;
    const { replica, log, database } = running ?? {};
    const store = running?.store();
    if (replica === undefined || log === undefined || database === undefined || store === undefined) return false;
    try {
      await replica.promote({
        ...{ force: false, primaries: ['primary'] },
        prepare: (transaction) => store.takeOver(transaction, log.keyedSeenBy(transaction, 0)),
      });
    } catch (error) {
      const isPassing = (['NOT_READY', 'FORK', 'DATA_UNWRITABLE'] as const).some((code) =>
        isHoldfastError(error, code),
      );
      if (!isPassing) this.alarm(`is not promoted: ${String(error)}`);
      return false;
    }
    if (!process.alive) return true;
    await this.#stopServing();
    try {
      const primary = await this.#asPrimary(process, database, log);
      if (process.alive) this.running = primary;
    } catch (error) {
      // The disk fails now; a start over it finds a primary.
      if (!isHoldfastError(error, 'DATA_UNWRITABLE')) this.alarm(`does not serve as a primary: ${String(error)}`);
      if (process.alive) this.crash();
    }
    return true;
  }

  async #asPrimary(process: Process, database: Database, log: SqliteChangeLog): Promise<Running> {
    const retention = (source: PrimarySource, store: SqliteStore) => this.retention(process, log, source, store);
    const running = await openPrimary({ parts: this.options.parts, retention }, process, database, log);
    const { random } = this.options.scheduler;
    const sources = this.#addresses(process);
    const herald = new Herald({ log, sources, logger: this.#logger(process), clock: process, random });
    void herald.run();
    this.buried(() => {
      running.stop();
      void herald.stop();
    });
    return running;
  }

  constructor(options: NodeOptions, addresses: (process: Process) => readonly SourceAddress[]) {
    super(options);
    this.#addresses = addresses;
  }

  protected async open(process: Process): Promise<Running> {
    const { scheduler, parts } = this.options;
    const database = Database.over(this.disk, process.schedule, process.stopwatch);
    const log = await SqliteChangeLog.open(database, { logId: '0'.repeat(32) });
    if ((await Progress.open(database)).promoted !== null && log.sealedBy() === null) {
      return this.#asPrimary(process, database, log);
    }
    let replica: Replica | undefined;
    let serving: { store: SqliteStore; source: PrimarySource; retention: Retention } | undefined;
    const stage = (): SourceStage => {
      if (replica?.isReady() !== true) return SourceStage.EMPTY;
      return replica.isEqual() ? SourceStage.EQUAL : SourceStage.SETTLING;
    };
    const prepare = async (): Promise<Prepared> => {
      const store = await SqliteStore.open({ database, outbox: log, collections: SPECS, clock: process.wall });
      const common = { log, rows: store, schema: SCHEMA, collections: COLLECTIONS, clock: process };
      const source = new PrimarySource({ ...common, stage, knownHead: () => Number.POSITIVE_INFINITY });
      serving?.source.stop();
      await serving?.retention.stop();
      this.#stopServing = async () => {
        source.stop();
        await serving?.retention.stop();
      };
      serving = { store, source, retention: this.retention(process, log, source, store) };
      return { store: parts.rows(store, database), collections: COLLECTIONS };
    };
    replica = await Replica.open({
      name: this.name,
      sources: this.#addresses(process),
      ...{ database, log, prepare },
      keepDivergent: async (from) => {
        this.options.witness.keeps(this, from);
        return 'kept';
      },
      logger: this.#logger(process),
      clock: process,
      wall: process.wall,
      random: scheduler.random,
    });
    const following = replica;
    this.buried(() => {
      serving?.source.stop();
      void following.stop();
    });
    void following.run();
    let service: DataService | undefined;
    return {
      ...{ process, database, log, replica: following },
      store: () => serving?.store,
      service: () => {
        if (serving !== undefined) service ??= new ReplicaService({ store: serving.store, log, replica: following });
        return service;
      },
      source: () => serving && parts.source(serving.source),
    };
  }

  /** What a replica says is part of the trace; what it would wake somebody for is reported. */
  #logger(process: Process): Logger {
    const say = (_facts: unknown, message: string): void => this.options.scheduler.note(`${this.name}: ${message}`);
    const warn = (facts: unknown, message: string): void => {
      say(facts, message);
      const { state, code } = facts as { readonly state?: string; readonly code?: string };
      if (!process.alive || code !== undefined) return;
      if (state === 'REPAIRING') this.options.witness.differs(this);
      if (state === 'RESYNCING') this.options.witness.resyncs(this);
    };
    const error = (facts: unknown, message: string): void => {
      say(facts, message);
      if (!process.alive) return;
      const { state } = facts as { readonly state?: string };
      if (state === 'FORKED' || state === 'FENCED') this.options.witness.halts(this, message);
      else this.alarm(`${message} ${JSON.stringify(facts)}`);
    };
    return { info: say, debug: say, trace: say, warn, error } as unknown as Logger;
  }
}
