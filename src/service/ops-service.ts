import type { Position } from '../model/position.ts';
import type { FollowerStatus } from '../replication/followers.ts';
import type { Decision } from './conflict-resolution.ts';
import type { Conflict } from './conflicts.ts';

/** What an operator asks of one process; `schema/ops.graphql` carries exactly these calls. */
export interface OpsService {
  status(): Promise<Status>;
  /** The replicas that follow this node, by name; also a replica may be followed. */
  replicas(): Promise<readonly ReplicaInfo[]>;
  /**
   * Compares this replica with its primary at one exact position. `deep` reads every stored document again instead of
   * trusting the digests kept up by each write.
   * @throws UNSUPPORTED_OPERATOR on a primary; PRIMARY_UNREACHABLE
   */
  replicaVerify(options: { readonly deep: boolean }): Promise<Verification>;
  /**
   * Orders this replica to fetch what differs from its primary, and returns at once; `status` shows how it goes. With
   * `force` also after a fork: changes that only this replica has are given up.
   * @throws UNSUPPORTED_OPERATOR on a primary
   */
  replicaResync(options: { readonly force: boolean }): Promise<void>;
  /**
   * Makes this replica a primary, with the next epoch; `src/replication/SPEC.md` section 8.
   * @throws UNSUPPORTED_OPERATOR on a primary; ALREADY_EXISTS (`violations`) when unique fields are not; without `force` NOT_READY
   * when documents may be missing, FORK when a fork is undecided
   */
  replicaPromote(options: { readonly force: boolean }): Promise<Promotion>;
  /** The conflicts that this node met, oldest first. */
  conflicts(query: ConflictsQuery): Promise<readonly Conflict[]>;
  /**
   * Decides a conflict. @throws NOT_FOUND, VALIDATION_FAILED; CONFLICT when the document was changed since; on a replica NOT_PRIMARY for
   * everything but KEEP
   */
  conflictResolve(decision: Decision): Promise<Conflict>;
  /** The status now, and again after each change of anything but counts, lags and times. Ends with the signal. */
  statusChanges(signal: AbortSignal): AsyncIterable<Status>;
  /** The replicas now, and again every `intervalMs`. Ends with the signal. */
  replicaLag(intervalMs: number, signal: AbortSignal): AsyncIterable<readonly ReplicaInfo[]>;
}

/** Which conflicts: the open ones, or with `all` every one; at most `limit` after the one with the id `after`. */
export interface ConflictsQuery {
  readonly all: boolean;
  readonly limit: number;
  readonly after: string | null;
}

/** What a promotion did. */
export interface Promotion {
  /** Of the first entry of the new epoch. */
  readonly position: Position;
  readonly epoch: number;
  /** Changes that the former primary was heard to have and that are not here; null when it was not heard since the start. */
  readonly lostChanges: number | null;
}

/** How one process is. */
export interface Status {
  readonly role: 'PRIMARY' | 'REPLICA';
  /** Of Holdfast. */
  readonly version: string;
  readonly uptimeMs: number;
  /** E.g. `SQLite 3.53.4`. */
  readonly store: string;
  /** The last durable change here. */
  readonly position: Position;
  /** Sequence of the oldest change still kept. */
  readonly floor: number;
  /** Identity of the history, 32 hexadecimal digits. */
  readonly logId: string;
  /** Digest of the SDL served. */
  readonly sdlHash: string;
  /** Works, but something is wrong: {@link problems} says what. */
  readonly degraded: boolean;
  /** Sentences for an operator; empty when all is well. */
  readonly problems: readonly string[];
  readonly entities: readonly EntityStatus[];
  /** How this replica follows its primary; null on a primary. */
  readonly following: FollowingStatus | null;
}

export interface EntityStatus {
  readonly name: string;
  readonly collection: string;
  /** Documents. */
  readonly count: number;
  readonly replicates: boolean;
}

/** The replica's side of replication. */
export interface FollowingStatus {
  /** State of the follower, e.g. `LIVE`; src/protocol/SPEC.md section 5. */
  readonly state: string;
  /** URL of the primary followed now, or tried. */
  readonly primary: string;
  /** Sequence of the last change held durably. */
  readonly applied: number;
  /** Last head heard of; 0 when none was. */
  readonly head: number;
  readonly lagChanges: number;
  /** Age of the data by this process's monotonic clock; null when it never was at the head. */
  readonly lagMs: number | null;
  /** Whether the copy was proven equal once: it serves only then. */
  readonly proven: boolean;
  /** Why the last try failed; null when it did not. */
  readonly lastError: string | null;
}

/** A replica as the node it follows sees it; times in whole milliseconds. */
export type ReplicaInfo = FollowerStatus;

/** What a comparison of a replica with its primary found. */
export interface Verification {
  readonly equal: boolean;
  /** Both sides were compared exactly here; `"<epoch>.<sequence>"`. */
  readonly position: string;
  readonly collections: readonly {
    readonly collection: string;
    readonly equal: boolean;
    /** Documents here. */
    readonly count: number;
    /** Documents at the primary. */
    readonly sourceCount: number;
  }[];
  /** The first 100. */
  readonly differences: readonly {
    readonly collection: string;
    /** Document text of the id. */
    readonly id: string;
    readonly kind: 'MISSING' | 'EXTRA' | 'DIFFERENT';
  }[];
}
