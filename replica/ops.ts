import type { ChangeLog } from '../src/changelog/change-log.ts';
import { HoldfastError } from '../src/errors.ts';
import type { Model } from '../src/model/entity.ts';
import { type Decision, resolveConflict } from '../src/service/conflict-resolution.ts';
import type { Conflict, Conflicts } from '../src/service/conflicts.ts';
import type {
  ConflictsQuery,
  OpsService,
  Promotion,
  ReplicaInfo,
  Status,
  Verification,
} from '../src/service/ops-service.ts';
import { entityStatus, logStatus, repeatedly, statusChanges } from '../src/service/status.ts';
import type { RowReader } from '../src/store/row-store.ts';
import type { Replica } from './replica.ts';

export interface ReplicaOpsOptions {
  readonly replica: Replica;
  readonly log: ChangeLog;
  /** The entities, their rows, name and version of the database; undefined before the primary's SDL was ever seen. */
  readonly data: () => { readonly model: Model; readonly rows: RowReader; readonly server: string } | undefined;
  /** The replicas that follow this one. */
  readonly followers: () => readonly ReplicaInfo[];
  readonly conflicts: Conflicts;
  /** Makes this node a primary. */
  readonly promote: (options: { readonly force: boolean }) => Promise<Promotion>;
  /** Of Holdfast. */
  readonly version: string;
  /** Staleness in ms from which this replica calls itself degraded. */
  readonly maxLagMs: number;
}

/** What an operator may ask of a replica. */
export class ReplicaOps implements OpsService {
  readonly #options: ReplicaOpsOptions;
  readonly #startedAt = performance.now();

  constructor(options: ReplicaOpsOptions) {
    this.#options = options;
  }

  status(): Promise<Status> {
    const { replica, log, data, version } = this.#options;
    const { state, source, head, lagChanges, stalenessMs, proven, message } = replica.status();
    const known = data();
    const problems = this.problems();
    return Promise.resolve({
      role: 'REPLICA',
      version,
      uptimeMs: Math.round(performance.now() - this.#startedAt),
      store: known?.server ?? 'not open yet',
      ...logStatus(log),
      sdlHash: known?.model.sdlHash ?? '',
      degraded: problems.length > 0,
      problems,
      entities: known === undefined ? [] : entityStatus(known.model, known.rows),
      following: {
        state,
        primary: source,
        applied: log.head().sequence,
        head,
        lagChanges,
        lagMs: Number.isFinite(stalenessMs) ? Math.round(stalenessMs) : null,
        proven,
        lastError: message,
      },
    });
  }

  /** What is wrong now, in sentences for an operator. */
  problems(): string[] {
    const { replica, maxLagMs } = this.#options;
    const { message, stalenessMs, proven } = replica.status();
    const problems: string[] = [];
    if (message !== null) problems.push(message);
    if (!proven) problems.push('never equal to its primary yet: it serves nothing');
    else if (stalenessMs > maxLagMs)
      problems.push(
        `its data is ${(stalenessMs / 1_000).toFixed(0)} s old, more than the ${maxLagMs / 1_000} s of replica.maxLagMs`,
      );
    return problems;
  }

  replicas(): Promise<readonly ReplicaInfo[]> {
    return Promise.resolve(this.#options.followers());
  }

  async replicaVerify(options: { readonly deep: boolean }): Promise<Verification> {
    return this.#options.replica.verify(options);
  }

  async replicaResync(options: { readonly force: boolean }): Promise<void> {
    this.#options.replica.resync(options);
  }

  replicaPromote(options: { readonly force: boolean }): Promise<Promotion> {
    return this.#options.promote(options);
  }

  conflicts(query: ConflictsQuery): Promise<readonly Conflict[]> {
    return Promise.resolve(this.#options.conflicts.list(query));
  }

  conflictResolve(decision: Decision): Promise<Conflict> {
    return resolveConflict(this.#options.conflicts, decideAtPrimary, decision);
  }

  statusChanges(signal: AbortSignal): AsyncIterable<Status> {
    return statusChanges(signal, () => this.status());
  }

  replicaLag(intervalMs: number, signal: AbortSignal): AsyncIterable<readonly ReplicaInfo[]> {
    return repeatedly(intervalMs, signal, () => this.replicas());
  }
}

function decideAtPrimary(): Promise<never> {
  return Promise.reject(
    new HoldfastError(
      'NOT_PRIMARY',
      'this node is a replica: make the change at its primary, then decide the conflict here with KEEP',
    ),
  );
}

/** The refusal of everything while there is nothing to serve. */
export function notReady(state: string): HoldfastError {
  return new HoldfastError('NOT_READY', `this replica was never equal to its primary yet (${state})`, {
    details: { state },
  });
}
