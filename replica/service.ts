import type { ChangeLog } from '../src/changelog/change-log.ts';
import { HoldfastError } from '../src/errors.ts';
import { formatPosition, type Position } from '../src/model/position.ts';
import {
  type DataService,
  type RequestContext,
  Source,
  type Written,
  type WrittenMany,
} from '../src/service/data-service.ts';
import { StoreReader } from '../src/service/reader.ts';
import type { Store } from '../src/store/store.ts';
import type { LagReport } from './lag.ts';
import type { StateName } from './state.ts';

/** How long a read waits for a position that has not come yet before it is STALE_READ, in ms. */
const POSITION_WAIT_MS = 200;

/** What the service asks of the replica it reads from. */
export interface ReplicaView {
  isReady(): boolean;
  position(): Position;
  /** Whether every document is at least as new as `position`. */
  has(position: Position): boolean;
  lag(): LagReport;
  status(): { readonly state: StateName };
  waitFor(position: Position, timeoutMs: number, signal: AbortSignal): Promise<boolean>;
}

/**
 * The DataService of a replica: reads from its own copy, marked with their age; every write is NOT_PRIMARY, for the server
 * forwards mutations before they come here. Errors: NOT_READY until the copy was proven; STALE_READ (`position`, `lagMs`).
 */
export class ReplicaService extends StoreReader implements DataService {
  readonly #replica: ReplicaView;

  constructor(options: { readonly store: Store; readonly log: ChangeLog; readonly replica: ReplicaView }) {
    super(options);
    this.#replica = options.replica;
  }

  create(): Promise<Written> {
    return notPrimary();
  }

  createMany(): Promise<WrittenMany> {
    return notPrimary();
  }

  update(): Promise<Written> {
    return notPrimary();
  }

  updateMany(): Promise<WrittenMany> {
    return notPrimary();
  }

  upsert(): Promise<Written> {
    return notPrimary();
  }

  delete(): Promise<Written> {
    return notPrimary();
  }

  deleteMany(): Promise<WrittenMany> {
    return notPrimary();
  }

  /** Synchronous unless the request names a position that is not here yet. */
  protected override beforeRead(context: RequestContext): void | Promise<void> {
    if (!this.#replica.isReady()) {
      const { state } = this.#replica.status();
      throw new HoldfastError('NOT_READY', `this replica was never equal to its primary yet (${state})`, {
        details: { state },
      });
    }
    const { minPosition } = context;
    if (minPosition !== undefined && !this.#replica.has(minPosition)) {
      return this.#awaitPosition(minPosition, context);
    }
    if (minPosition !== undefined) this.requirePlace(minPosition);
    this.#admit(context);
  }

  async #awaitPosition(position: Position, context: RequestContext): Promise<void> {
    if (!(await this.#replica.waitFor(position, POSITION_WAIT_MS, context.signal))) {
      throw this.#stale(`without all the changes up to the wanted ${formatPosition(position)}`);
    }
    this.requirePlace(position);
    this.#admit(context);
  }

  /** Refuses what is too old, and says how old the rest is: as of the first read of the request. */
  #admit(context: RequestContext): void {
    const { stalenessMs, asOf } = this.#replica.lag();
    const { maxStalenessMs } = context;
    if (maxStalenessMs !== undefined && stalenessMs > maxStalenessMs) {
      throw this.#stale(`${stalenessMs} ms old, more than the ${maxStalenessMs} ms allowed`);
    }
    context.provenance ??= {
      source: Source.REPLICA,
      asOf: asOf ?? new Date(0).toISOString(),
      stalenessMs,
      position: formatPosition(this.#replica.position()),
      degraded: !FOLLOWING.has(this.#replica.status().state),
    };
  }

  #stale(reason: string): HoldfastError {
    const position = formatPosition(this.#replica.position());
    const { stalenessMs } = this.#replica.lag();
    return new HoldfastError('STALE_READ', `the data of this replica is at ${position}, ${reason}`, {
      details: { position, lagMs: stalenessMs },
    });
  }
}

/** States in which the copy is whole and keeps up. */
const FOLLOWING: ReadonlySet<StateName> = new Set(['LIVE', 'CATCHING_UP']);

function notPrimary(): Promise<never> {
  return Promise.reject(new HoldfastError('NOT_PRIMARY', 'this node is a replica: send the mutation to its primary'));
}
