import type { ChangeLog } from '../changelog/change-log.ts';
import { HoldfastError } from '../errors.ts';
import type { Model } from '../model/entity.ts';
import type { PrimarySource } from '../replication/source.ts';
import type { RowReader } from '../store/row-store.ts';
import { type Decision, resolveConflict, type Settle } from './conflict-resolution.ts';
import type { Conflict, Conflicts } from './conflicts.ts';
import type { ConflictsQuery, OpsService, ReplicaInfo, Status } from './ops-service.ts';
import { entityStatus, logStatus, repeatedly, statusChanges } from './status.ts';

export interface PrimaryOpsOptions {
  readonly model: Model;
  readonly log: () => ChangeLog;
  readonly rows: RowReader;
  readonly source: PrimarySource;
  /** Name and version of the database. */
  readonly server: () => string;
  /** Of Holdfast. */
  readonly version: string;
  /** Sentences about what is wrong now. */
  readonly problems: () => readonly string[];
  readonly conflicts: Conflicts;
  readonly settle: Settle;
  /** Called with the id of a conflict that was decided. */
  readonly onResolved?: ((id: string) => Promise<void>) | undefined;
}

/** What an operator may ask of a primary. */
export class PrimaryOps implements OpsService {
  readonly #options: PrimaryOpsOptions;
  readonly #startedAt = performance.now();

  constructor(options: PrimaryOpsOptions) {
    this.#options = options;
  }

  status(): Promise<Status> {
    const { model, log, rows, server, version, problems } = this.#options;
    const wrong = problems();
    return Promise.resolve({
      role: 'PRIMARY',
      version,
      uptimeMs: Math.round(performance.now() - this.#startedAt),
      store: server(),
      ...logStatus(log()),
      sdlHash: model.sdlHash,
      degraded: wrong.length > 0,
      problems: wrong,
      entities: entityStatus(model, rows),
      following: null,
    });
  }

  replicas(): Promise<readonly ReplicaInfo[]> {
    return Promise.resolve(followersOf(this.#options.source));
  }

  replicaVerify(): Promise<never> {
    return Promise.reject(notAReplica('verify'));
  }

  replicaResync(): Promise<never> {
    return Promise.reject(notAReplica('resync'));
  }

  replicaPromote(): Promise<never> {
    return Promise.reject(notAReplica('promote'));
  }

  conflicts(query: ConflictsQuery): Promise<readonly Conflict[]> {
    return Promise.resolve(this.#options.conflicts.list(query));
  }

  async conflictResolve(decision: Decision): Promise<Conflict> {
    const { conflicts, settle, onResolved } = this.#options;
    const conflict = await resolveConflict(conflicts, settle, decision);
    await onResolved?.(conflict.id);
    return conflict;
  }

  statusChanges(signal: AbortSignal): AsyncIterable<Status> {
    return statusChanges(signal, () => this.status());
  }

  replicaLag(intervalMs: number, signal: AbortSignal): AsyncIterable<readonly ReplicaInfo[]> {
    return repeatedly(intervalMs, signal, () => this.replicas());
  }
}

function notAReplica(operation: string): HoldfastError {
  return new HoldfastError(
    'UNSUPPORTED_OPERATOR',
    `this is a primary, there is nothing to ${operation}: ask a replica's ops port`,
    {
      details: { operator: operation },
    },
  );
}

/** The followers of a source, in whole milliseconds. */
export function followersOf({ followers }: PrimarySource): ReplicaInfo[] {
  return followers.list().map((each) => ({ ...each, lagMs: Math.round(each.lagMs), seenMs: Math.round(each.seenMs) }));
}
