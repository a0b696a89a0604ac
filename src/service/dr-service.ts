import type { TableProgress, WorkProgress } from '../model/dr-progress.ts';

/** Disaster recovery as an operator of a gateway asks for it; `schema/dr.graphql` carries exactly these calls and says what fields mean. */
export interface DrService {
  sources(): Promise<readonly DrSource[]>;
  /** Newest first. @throws DATA_UNWRITABLE when `dr.dir` cannot be read */
  backups(signal: AbortSignal): Promise<readonly DrBackup[]>;
  /** Newest first. */
  jobs(first: number): Promise<readonly DrJob[]>;
  /** @throws DR_NOT_FOUND */
  job(id: string): Promise<DrJob>;
  /** @throws DR_NOT_FOUND, DATABASE_UNAVAILABLE, DR_PRIVILEGE_MISSING, DR_INCOMPATIBLE */
  graph(source: string): Promise<DrGraph>;
  /**
   * Checks an order and takes it as a job. The job is on disk when this returns.
   * @param by who asks
   * @param signal of the caller: once it aborted there will be no job
   * @throws VALIDATION_FAILED, DR_NOT_FOUND, DR_LOCKED, RATE_LIMITED, SHUTTING_DOWN, and what the work itself would throw at its start
   */
  start(order: DrOrder, by: string, signal: AbortSignal): Promise<DrJob>;
  /** Ends a job; nothing happens to one that is over. @throws DR_NOT_FOUND, DR_LOCKED */
  cancel(id: string): Promise<DrJob>;
  /** Takes up a job that failed or was cancelled; nothing happens to one that is not over. @throws VALIDATION_FAILED, and as {@link start} */
  resume(id: string, signal: AbortSignal): Promise<DrJob>;
  /** Removes an archive. @throws DR_NOT_FOUND, DR_LOCKED (a job uses it), DR_CHECKSUM_MISMATCH (it holds what is not its own) */
  delete(backup: string): Promise<void>;
  /** The job now, and again after each change; ends with the job, or with the signal. @throws DR_NOT_FOUND */
  progress(id: string, signal: AbortSignal): AsyncIterable<DrJob>;
}

/** What is to be done. Databases and archives are named, never located. */
export type DrOrder =
  | {
      readonly kind: 'BACKUP';
      readonly source: string;
      /** Null: as configured. */
      readonly workers: number | null;
      /** By table. */
      readonly suffixes: Readonly<Record<string, string>>;
      readonly closure: boolean;
      /** Null: all. */
      readonly tables: readonly string[] | null;
      /** `none`, `zstd` or `zstd:LEVEL`. */
      readonly compress: string;
      readonly format: 'auto' | 'text' | 'binary';
    }
  | {
      readonly kind: 'RESTORE';
      readonly backup: string;
      readonly target: string;
      readonly workers: number | null;
      readonly mode: 'full' | 'data';
      readonly tables: readonly string[] | null;
      readonly confirm: string | null;
    }
  | {
      readonly kind: 'VERIFY';
      readonly backup: string;
      readonly level: DrVerifyLevel;
      /** For a drill only. */
      readonly target: string | null;
    };

export type DrVerifyLevel = 'QUICK' | 'DEEP' | 'DRILL';

/** Times are ISO 8601. */
export interface DrJob {
  readonly id: string;
  readonly kind: DrOrder['kind'];
  readonly state: 'QUEUED' | 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'CANCELLED';
  readonly source: string | null;
  readonly target: string | null;
  readonly backup: string;
  readonly level: DrVerifyLevel | null;
  readonly progress: WorkProgress | null;
  readonly tables: readonly TableProgress[];
  readonly notices: readonly string[];
  readonly by: string;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface DrSource {
  readonly name: string;
  /** `host:port/database`, without secrets. */
  readonly location: string | null;
  readonly problem: string | null;
  readonly suffixes: readonly { readonly table: string; readonly sql: string }[];
}

export interface DrBackup {
  readonly name: string;
  readonly id: string;
  readonly dialect: string;
  readonly database: string;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly grade: 'A' | 'B' | 'C';
  readonly tables: number;
  readonly rows: number;
  readonly bytes: number;
  readonly storedBytes: number;
  readonly subset: boolean;
  readonly encrypted: boolean;
  readonly verified: readonly {
    readonly level: DrVerifyLevel;
    readonly passed: boolean;
    readonly endedAt: string;
    readonly durationMs: number;
    readonly recoveryMs: number | null;
    readonly problems: readonly string[];
  }[];
}

export interface DrGraph {
  readonly tables: readonly { readonly name: string; readonly inDegree: number }[];
  readonly keys: readonly {
    readonly name: string;
    readonly child: string;
    readonly childColumns: readonly string[];
    readonly parent: string;
    readonly parentColumns: readonly string[];
    readonly deferrable: boolean;
    readonly validated: boolean;
  }[];
  readonly cycles: readonly (readonly string[])[];
  readonly dot: string;
}
