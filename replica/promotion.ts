import { HoldfastError } from '../src/errors.ts';
import type { Transaction } from '../src/sqlite/database.ts';
import type { LocalCopy } from './local-copy.ts';
import type { Promoted } from './progress.ts';
import { isSettled } from './readiness.ts';
import type { State } from './state.ts';

export interface PromoteOptions {
  /** Also when documents may be missing, or a fork is undecided. */
  readonly force: boolean;
  /** URLs of the nodes it followed. */
  readonly primaries: readonly string[];
  /** Runs in the transaction, and makes the store ready to be written to. */
  readonly prepare: (transaction: Transaction) => void;
}

/**
 * Begins the next epoch in the copied log, for good, at `wall` ms; `ended` is called in that transaction, to end the following.
 * @throws NOT_READY when it was promoted already; what `prepare` throws. Nothing has changed then.
 */
export function beginEpoch(
  { database, log, progress }: LocalCopy,
  { prepare, primaries }: PromoteOptions,
  wall: () => number,
  ended: (transaction: Transaction) => void,
): Promise<Promoted> {
  return database.transaction((transaction) => {
    if (progress.promoted !== null) {
      throw new HoldfastError('NOT_READY', 'this replica was promoted already, and is a primary now');
    }
    prepare(transaction);
    const at = Math.round(wall());
    const { epoch } = log.beginEpoch(transaction, at);
    const promoted: Promoted = { epoch, at, primaries };
    progress.saveFacts(transaction, { proven: true, task: null, forked: false });
    progress.savePromoted(transaction, promoted);
    ended(transaction);
    return promoted;
  });
}

/** @throws NOT_READY when documents may be missing; FORK while a fork is undecided */
export function requirePromotable({ name, proven, task, forked }: State, copy: LocalCopy): void {
  if (forked || name === 'FORKED') {
    throw new HoldfastError(
      'FORK',
      'this replica holds changes that its source does not have, and nobody has decided: promote it with force to keep them',
    );
  }
  if (proven && task === null && copy.progress.facts.proven && copy.isPrepared && isSettled(copy)) return;
  throw new HoldfastError(
    'NOT_READY',
    `this replica may lack documents (${name}): promote another one, or this one with force`,
    { details: { state: name } },
  );
}
