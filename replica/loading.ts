import { HoldfastError } from '../src/errors.ts';
import { GENESIS_CHAIN } from '../src/model/change.ts';
import { CHAIN_PREFIX_DIGITS, decodeCursor } from '../src/protocol/cursor.ts';
import { waitForAdvance } from '../src/service/advance.ts';
import { difference } from './applier.ts';
import { Backoff } from './backoff.ts';
import { bootstrap } from './bootstrap.ts';
import type { Divergence } from './divergence.ts';
import { requireOpen } from './guarded.ts';
import type { Lag } from './lag.ts';
import type { LocalCopy } from './local-copy.ts';
import { LOAD_START } from './progress.ts';
import { isSettled } from './readiness.ts';
import { Repair } from './repair.ts';
import type { Session } from './session.ts';
import type { State } from './state.ts';
import type { LoadCounts, Work } from './work.ts';

/** Pauses between resyncs, and between repairs. */
const TASK_PAUSE = { baseMs: 500, maxMs: 60_000 };

export interface LoadingOptions {
  readonly copy: LocalCopy;
  readonly lag: Lag;
  readonly divergence: Divergence;
  readonly random?: (() => number) | undefined;
}

/** The tasks, bootstrap, resync and repair: from a log at the source's head to documents that are proven equal. */
export class Loading {
  /** Since the process started. */
  readonly counts: LoadCounts = { rows: 0, repaired: 0 };
  readonly #copy: LocalCopy;
  readonly #lag: Lag;
  readonly #divergence: Divergence;
  readonly #repair = new Repair();
  readonly #resetPause: Backoff;
  readonly #repairPause: Backoff;

  constructor({ copy, lag, divergence, random }: LoadingOptions) {
    this.#copy = copy;
    this.#lag = lag;
    this.#divergence = divergence;
    this.#resetPause = new Backoff({ ...TASK_PAUSE, random });
    this.#repairPause = new Backoff({ ...TASK_PAUSE, random });
  }

  /**
   * Makes the copied log that of the source, from its head on; what only this replica has is kept before. Resyncs in a row come
   * slower and slower. @throws CURSOR_EXPIRED when the source is no longer where it said
   */
  async reset(session: Session, { task }: State): Promise<void> {
    if (this.#resetPause.tries > 0) await session.pause(this.#resetPause.next());
    else this.#resetPause.next();
    const { source, signal, hello } = session;
    const { logId, epoch, head, epochs, cursor } = hello;
    const chain = head === 0 ? GENESIS_CHAIN : ((await source.chain([head]))[0] ?? '');
    if (chain.slice(0, CHAIN_PREFIX_DIGITS) !== decodeCursor(cursor).chain) {
      throw new HoldfastError('CURSOR_EXPIRED', `the source no longer knows change ${head}, where it said it was`);
    }
    await this.#divergence.keep(session);
    const { database, log, progress, lock } = this.#copy;
    await lock.run(() =>
      database.transaction((transaction) => {
        requireOpen(signal);
        log.reset(transaction, { logId, epochs, sequence: head, chain });
        progress.saveFacts(transaction, { joined: true, task, forked: false, settled: { epoch, sequence: head } });
        progress.saveLoad(transaction, LOAD_START);
      }),
    );
    this.#lag.applied(head);
  }

  /** Fetches what the task wants, then waits until the log has reached it. */
  async load(session: Session, { task, repairs }: State): Promise<void> {
    if (repairs > 1) await session.pause(this.#repairPause.next());
    const work = this.work(session);
    if (task === 'BOOTSTRAP') await bootstrap(work);
    else await this.#repair.run(work);
    // The rows may be newer than the positions told with them; not newer than the source is now.
    const { position } = await session.source.digests(null);
    const { database, log, progress } = this.#copy;
    await database.transaction((transaction) => {
      requireOpen(session.signal);
      progress.settle(transaction, position);
    });
    while (!isSettled(this.#copy)) {
      await waitForAdvance(log, log.head().sequence, session.signal);
      requireOpen(session.signal);
    }
  }

  /** Compares digests at the position applied, while the applier stands still. Resolves with what differs, in words, or null. */
  async prove({ source }: Session): Promise<string | null> {
    const differs = await this.#copy.lock.run(async () => {
      const { digests } = await source.digests(this.#copy.position());
      return difference(digests, this.#copy.prepared);
    });
    if (differs === null) {
      this.#resetPause.reset();
      this.#repairPause.reset();
    }
    return differs;
  }

  /** What works on one session. */
  work({ source, signal }: Session): Work {
    const { database, progress, prepared, lock } = this.#copy;
    return { source, signal, database, progress, prepared, lock, counts: this.counts };
  }
}
