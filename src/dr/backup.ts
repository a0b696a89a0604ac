import { randomBytes } from 'node:crypto';
import { HoldfastError, isHoldfastError } from '../errors.ts';
import { openSql, type SqlSource } from '../sql/connect.ts';
import { failpoint } from '../util/failpoint.ts';
import { packageVersion } from '../util/package-version.ts';
import { ArchivePlace } from './archive/archive-place.ts';
import {
  type ChunkTotals,
  type ChunkWriter,
  type Compression,
  DEFAULT_COMPRESSION,
  openChunk,
} from './archive/chunk-writer.ts';
import type { EncryptionKey } from './archive/encryption-key.ts';
import {
  type Chunk,
  type ConsistencyGrade,
  type Dialect,
  MANIFEST_VERSION,
  type Manifest,
} from './archive/manifest.ts';
import { sealManifest, writeManifest } from './archive/manifest-file.ts';
import { openStorage } from './archive/open-storage.ts';
import type { ArchiveStorage } from './archive/storage.ts';
import type { BackupSource, SchemaExporter, SourceChunk, SourceReader, SourceTable } from './dialect/backup-source.ts';
import { openSource } from './dialect/open-source.ts';
import type { OnProgress } from './progress.ts';
import { runTasks } from './scheduler/run-tasks.ts';
import { type Task, TaskGraph } from './scheduler/task-graph.ts';
import { ProgressTracker } from './track-progress.ts';

export interface BackupOptions {
  /** Database to read: `postgres://…`, or options of sequelize. */
  readonly source: SqlSource;
  /** Directory or `s3://bucket/prefix` of the archive; absent or empty before. */
  readonly out: string;
  /** Connections that read rows at once. Default 2. */
  readonly workers?: number;
  /** Rows to select, by table (`name` or `schema.name`): `WHERE …` or `INNER JOIN …`, the table as `t`. */
  readonly suffixes?: Readonly<Record<string, string>>;
  /** Keep the selected rows and every row they refer to, and nothing else. Default false: tables without a suffix are complete. */
  readonly closure?: boolean;
  /** Only these tables and those they refer to. Default all. */
  readonly tables?: readonly string[];
  /** Default zstd at level 1. */
  readonly compression?: Compression;
  /** Encrypts every file. */
  readonly key?: EncryptionKey;
  /** Format of rows on PostgreSQL. `auto`, the default, takes binary where it is stable across versions and not larger. */
  readonly format?: 'auto' | 'text' | 'binary';
  /** Go on without objects that cannot be kept; the manifest names them. On PostgreSQL pg_dump keeps every kind. Default false. */
  readonly allowUnsupported?: boolean;
  /** Reads the schema of PostgreSQL. `auto`, the default, is pg_dump, and the catalog where no pg_dump fits the server. */
  readonly schemaExporter?: SchemaExporter | 'auto';
  readonly onProgress?: OnProgress;
  /** Ends the backup: DR_CANCELLED, nothing is left. */
  readonly signal?: AbortSignal;
}

export interface BackupSummary {
  readonly id: string;
  readonly location: string;
  readonly dialect: Dialect;
  readonly consistency: { readonly grade: ConsistencyGrade; readonly notes: readonly string[] };
  readonly tables: number;
  readonly chunks: number;
  readonly rows: number;
  /** Bytes of rows, and of the files they are in. */
  readonly bytes: number;
  readonly storedBytes: number;
  readonly unsupported: readonly string[];
  readonly durationMs: number;
}

/** Files of each worker that may still be written to their end while the worker reads on. */
const CLOSING_AT_ONCE = 4;

interface ChunkTask extends Task {
  readonly table: SourceTable;
  readonly chunk: SourceChunk;
  readonly file: string;
}

/**
 * Writes a backup of one consistent snapshot. It exists when this returns; when it throws nothing is left of it.
 * @throws ALREADY_EXISTS (`out` is not empty), CONFIG_INVALID, DATABASE_UNAVAILABLE, VALIDATION_FAILED (suffix, table or key),
 *   DR_PRIVILEGE_MISSING, DR_LOCKED, DR_INCOMPATIBLE, DR_UNSUPPORTED_OBJECT, DR_STORAGE_FULL, DR_CANCELLED
 */
export async function backup(options: BackupOptions): Promise<BackupSummary> {
  const storage = await openStorage(options.out);
  try {
    const place = new ArchivePlace(storage);
    await place.assertFree();
    try {
      return await writeBackup(place, options);
    } catch (error) {
      // Then what is there by now is the archive of somebody else.
      if (!isHoldfastError(error, 'ALREADY_EXISTS')) await place.clear();
      throw error;
    }
  } catch (error) {
    const cancelled = options.signal?.aborted && !isHoldfastError(error, 'DR_CANCELLED');
    throw cancelled
      ? new HoldfastError('DR_CANCELLED', 'The backup was cancelled; nothing is left of it.', { cause: error })
      : error;
  } finally {
    await storage.close();
  }
}

async function writeBackup(place: ArchivePlace, options: BackupOptions): Promise<BackupSummary> {
  const { storage } = place;
  const startedAt = new Date();
  const workers = options.workers ?? 2;
  const signal = options.signal ?? new AbortController().signal;
  const progress = new ProgressTracker(options.onProgress ?? (() => {}));
  signal.throwIfAborted();
  await using sql = openSql(options.source, { connections: workers + 2, applicationName: 'holdfast backup' });
  await using source = await openSource(sql, {
    workers,
    suffixes: options.suffixes ?? {},
    closure: options.closure ?? false,
    tables: options.tables ?? null,
    format: options.format ?? 'auto',
    compression: options.compression ?? DEFAULT_COMPRESSION,
    allowUnsupported: options.allowUnsupported ?? false,
    schemaExporter: options.schemaExporter,
    onPhase: (phase) => progress.phase(phase),
    signal,
  });
  progress.plan(
    source.tables.map(({ id, schema, name, chunks }) => ({
      id,
      name: schema === '' ? name : `${schema}.${name}`,
      chunks: chunks.length,
      bytes: chunks.reduce((sum, { bytes }) => sum + bytes, 0),
    })),
  );
  await place.take();
  progress.phase('reading rows');
  const chunks = await writeChunks(storage, source, options, progress, signal);
  const manifest = manifestOf(source, chunks, options, startedAt);
  signal.throwIfAborted();
  await storage.flush();
  await place.leave();
  await writeManifest(storage, manifest);
  failpoint('backup.afterManifest');
  progress.end('done');
  return summaryOf(storage, manifest, startedAt);
}

/** Reads and writes all chunks, largest first. Returns those with rows, in order, by table. */
async function writeChunks(
  storage: ArchiveStorage,
  source: BackupSource,
  options: BackupOptions,
  progress: ProgressTracker,
  signal: AbortSignal,
): Promise<ReadonlyMap<number, Chunk[]>> {
  const compression = options.compression ?? DEFAULT_COMPRESSION;
  const suffix = `${source.extension}${compression === 'none' ? '' : '.zst'}${options.key === undefined ? '' : '.enc'}`;
  const tasks = source.tables.flatMap((table) =>
    table.chunks.map((chunk, index): ChunkTask => {
      const file = `data/${table.id}.${index}.${suffix}`;
      return { id: file, cost: chunk.bytes, dependsOn: [], table, chunk, file };
    }),
  );
  const written = new Map<string, Chunk>();
  const workers = source.readers.map((reader, index) => ({
    reader,
    number: index + 1,
    closing: [] as Promise<void>[],
  }));
  const close = async ({ table, file }: ChunkTask, read: ReadChunk): Promise<void> => {
    const chunk = await read.close();
    if (chunk !== null) written.set(file, chunk);
    progress.finish(table.id, read.rows);
  };
  try {
    await runTasks(
      new TaskGraph(tasks),
      workers,
      async (task, worker, stop) => {
        progress.start(task.table.id, worker.number);
        try {
          const onBytes = (bytes: number): void => progress.read(task.table.id, bytes);
          const key = options.key;
          const read = await readChunk(storage, task, worker.reader, { compression, key, onBytes, signal: stop });
          const closing = close(task, read);
          // Whoever waits for it sees the error; until then it is no unhandled one.
          closing.catch(() => {});
          worker.closing.push(closing);
          if (worker.closing.length > CLOSING_AT_ONCE) await worker.closing.shift();
        } catch (error) {
          progress.fail(task.table.id, error);
          throw error;
        }
      },
      signal,
    );
    await Promise.all(workers.flatMap(({ closing }) => closing));
  } finally {
    // Nothing may still be writing when what is there is removed.
    await Promise.allSettled(workers.flatMap(({ closing }) => closing));
  }
  const byTable = Map.groupBy(
    tasks.filter(({ file }) => written.has(file)),
    ({ table }) => table.id,
  );
  return new Map([...byTable].map(([id, own]) => [id, own.map(({ file }) => written.get(file)!)]));
}

interface ChunkWriting {
  readonly compression: Compression;
  readonly key: EncryptionKey | undefined;
  readonly onBytes: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/** A chunk that was read; its file is not visible before it is closed. */
interface ReadChunk {
  readonly rows: number;
  /** Ends the file. Null when it has no rows: then there is no file either. */
  close(): Promise<Chunk | null>;
}

async function readChunk(
  storage: ArchiveStorage,
  { file, chunk }: ChunkTask,
  reader: SourceReader,
  { compression, key, onBytes, signal }: ChunkWriting,
): Promise<ReadChunk> {
  const writer = await openChunk(storage, file, { compression, key });
  const onRows = (bytes: Buffer): Promise<void> | undefined => {
    onBytes(bytes.length);
    return writer.write(bytes);
  };
  try {
    const rows = await reader.read(chunk, onRows, signal);
    return { rows, close: () => closeChunk(writer, { file, rows, rowHash: null, range: chunk.range }) };
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

async function closeChunk(writer: ChunkWriter, facts: Omit<Chunk, keyof ChunkTotals>): Promise<Chunk | null> {
  if (facts.rows > 0) {
    try {
      const chunk = { ...facts, ...(await writer.finish()) };
      failpoint('backup.afterChunk');
      return chunk;
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }
  await writer.abort();
  return null;
}

function manifestOf(
  source: BackupSource,
  chunks: ReadonlyMap<number, Chunk[]>,
  options: BackupOptions,
  startedAt: Date,
): Manifest {
  const sum = (of: readonly Chunk[], key: 'rows' | 'bytes'): number =>
    of.reduce((total, chunk) => total + chunk[key], 0);
  return sealManifest(
    {
      version: MANIFEST_VERSION,
      id: randomBytes(16).toString('hex'),
      tool: packageVersion(),
      startedAt: startedAt.toISOString(),
      endedAt: new Date().toISOString(),
      ...source.facts,
      suffixes: options.suffixes ?? {},
      closure: options.closure ?? false,
      ...(options.tables === undefined ? {} : { chosen: options.tables }),
      compression: options.compression === 'none' ? 'none' : 'zstd',
      encryption: options.key === undefined ? null : { algorithm: 'aes-256-gcm', keyId: options.key.id },
      tables: source.tables.map((table) => {
        const own = chunks.get(table.id) ?? [];
        return { ...table, rows: sum(own, 'rows'), bytes: sum(own, 'bytes'), chunks: own };
      }),
    },
    options.key,
  );
}

function summaryOf(storage: ArchiveStorage, manifest: Manifest, startedAt: Date): BackupSummary {
  const chunks = manifest.tables.flatMap((table) => table.chunks);
  const sum = (key: 'rows' | 'bytes' | 'storedBytes'): number => chunks.reduce((total, chunk) => total + chunk[key], 0);
  return {
    id: manifest.id,
    location: storage.location,
    dialect: manifest.dialect,
    consistency: manifest.consistency,
    tables: manifest.tables.length,
    chunks: chunks.length,
    rows: sum('rows'),
    bytes: sum('bytes'),
    storedBytes: sum('storedBytes'),
    unsupported: manifest.unsupported,
    durationMs: Date.now() - startedAt.getTime(),
  };
}
