import type { EncryptionKey } from '../archive/encryption-key.ts';
import type { Chunk, Manifest, ManifestTable } from '../archive/manifest.ts';
import type { ArchiveStorage } from '../archive/storage.ts';

/** `full` creates everything in an empty database; `data` loads rows into tables that exist and have none. */
export const RestoreMode = { FULL: 'full', DATA: 'data' } as const;
export type RestoreMode = (typeof RestoreMode)[keyof typeof RestoreMode];

/** What a restore is doing, for people. */
export const RestorePhase = {
  CREATE: 'creating tables',
  LOAD: 'loading rows',
  INDEX: 'building indexes',
  CHECK: 'checking keys',
  FINISH: 'finishing',
} as const;
export type RestorePhase = (typeof RestorePhase)[keyof typeof RestorePhase];

/** A task of the scheduler (`Task` in dr/scheduler); its cost is in bytes of rows, things are ids of tables. */
export interface RestoreTask<Work> {
  readonly id: string;
  readonly cost: number;
  readonly dependsOn: readonly string[];
  readonly shared: readonly string[];
  readonly exclusive: readonly string[];
  readonly phase: RestorePhase;
  readonly work: Work;
}

/** What is to be restored, and how. */
export interface RestoreOrder {
  readonly storage: ArchiveStorage;
  /** Checked, and reduced to the chosen tables and what they depend on. */
  readonly manifest: Manifest;
  readonly key?: EncryptionKey | undefined;
  readonly mode: RestoreMode;
  /** Whether only some of the backup's tables were chosen. */
  readonly isSelection: boolean;
  readonly workers: number;
  /** The database's name, given as consent to append to tables that have rows; only in mode `data`. */
  readonly append: boolean;
  readonly resume: boolean;
  /** Whether what would run by itself is created so that it does not. */
  readonly isDrill: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly events: RestoreEvents;
}

/** What a target tells while it works. */
export interface RestoreEvents {
  readonly onChunkStart: (table: ManifestTable, worker: number) => void;
  /** Bytes of rows sent for the chunk at hand; they count only when the chunk is done. */
  readonly onBytes: (table: ManifestTable, bytes: number) => void;
  /** Its rows are committed. */
  readonly onChunkDone: (table: ManifestTable, chunk: Chunk) => void;
  readonly onTableFailed: (table: ManifestTable, error: Error) => void;
  /** Something that is not as it was in the source, but does not stop the restore: an owner that does not exist here. */
  readonly onNotice: (notice: string) => void;
}

/** What is left to do in a target. */
export interface PreparedRestore<T> {
  /** `complete`: an earlier run had finished, and what is there equals the manifest. */
  readonly state: 'fresh' | 'resumed' | 'complete';
  readonly tasks: readonly T[];
  /** Ids of tasks that an earlier run finished. */
  readonly done: ReadonlySet<string>;
}

/** Tasks of one batch, and how much they cost together: work that is broken off costs no more than that again. */
const TOGETHER = 50;
const COST_TOGETHER = 4 << 20;

type Costly = { readonly cost: number };

/** Whether one more task keeps a batch small. */
export function isSmall(batch: readonly Costly[], { cost }: Costly): boolean {
  return batch.length < TOGETHER && batch.reduce((sum, task) => sum + task.cost, cost) <= COST_TOGETHER;
}

/** A database that a backup is restored into. Called in the order of its members. */
export interface RestoreTarget<T, W> extends AsyncDisposable {
  /** `host:port/database`. */
  readonly location: string;
  /**
   * Checks what {@link prepare} checks, but takes nothing from another restore and writes nothing. To be called in its place.
   * @throws as `prepare`, but DR_LOCKED
   */
  check(): Promise<void>;
  /**
   * Takes the target for this restore, ends an earlier run, checks everything that can be checked, and only then marks the target.
   * @throws DR_LOCKED, DR_TARGET_NOT_EMPTY, DR_TARGET_IS_SOURCE, DR_INCOMPATIBLE, DR_PRIVILEGE_MISSING
   */
  prepare(): Promise<PreparedRestore<T>>;
  openWorkers(): Promise<readonly W[]>;
  /** Whether a task can be done and recorded together with those of a batch; false for none. */
  fits(batch: readonly T[], task: T): boolean;
  /** Does a task, or a batch of those that fit, and records it, both or neither. */
  run(tasks: readonly T[], worker: W, signal: AbortSignal): Promise<void>;
  /** Ends what the workers are doing in the server, at once. Never throws. */
  interrupt(): Promise<void>;
  /** Makes everything durable and removes the marks. */
  finish(): Promise<void>;
}
