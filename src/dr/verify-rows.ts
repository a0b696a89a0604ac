import { isHoldfastError } from '../errors.ts';
import type { ArchiveProblem } from './archive/archive-check.ts';
import { readChunk } from './archive/chunk-reader.ts';
import type { EncryptionKey } from './archive/encryption-key.ts';
import type { Chunk, Manifest, ManifestTable } from './archive/manifest.ts';
import { addDigests, createRowHasher, NO_ROWS, type RowDigest } from './archive/row-hash.ts';
import type { ArchiveStorage } from './archive/storage.ts';
import { runTasks } from './scheduler/run-tasks.ts';
import { TaskGraph } from './scheduler/task-graph.ts';
import type { ProgressTracker } from './track-progress.ts';

export interface VerifyRowsOptions {
  readonly key: EncryptionKey | undefined;
  /** Chunks that are read at once. */
  readonly workers: number;
  /** Knows the tables already. */
  readonly tracker: ProgressTracker;
  readonly signal?: AbortSignal | undefined;
}

/** What was found in the rows of an archive. */
export interface RowFindings {
  readonly problems: readonly ArchiveProblem[];
  /** Rows of each table, by its id; wrong where there are problems. */
  readonly digests: ReadonlyMap<number, RowDigest>;
}

/** Decrypts, decompresses, counts and hashes the rows of every chunk, and tells what is not as the manifest says. */
export async function verifyRows(
  storage: ArchiveStorage,
  manifest: Manifest,
  { key, workers, tracker, signal }: VerifyRowsOptions,
): Promise<RowFindings> {
  const problems: ArchiveProblem[] = [];
  const digests = new Map(manifest.tables.map(({ id }) => [id, NO_ROWS]));
  const tasks = manifest.tables.flatMap((table) => {
    return table.chunks.map((chunk) => ({ id: chunk.file, cost: chunk.bytes, dependsOn: [], table, chunk }));
  });
  await runTasks(
    new TaskGraph(tasks),
    Array.from({ length: workers }, (_, index) => index + 1),
    async ({ table, chunk }, worker, stop) => {
      tracker.start(table.id, worker);
      const onBytes = (bytes: number): void => tracker.read(table.id, bytes);
      const found = await readRows(storage, manifest, table, chunk, { key, signal: stop, onBytes });
      if (typeof found === 'string') {
        problems.push({ file: chunk.file, what: found });
        tracker.fail(table.id, `${chunk.file} ${found}`);
      } else {
        digests.set(table.id, addDigests(digests.get(table.id) ?? NO_ROWS, found));
        tracker.finish(table.id, chunk.rows);
      }
    },
    signal,
  );
  return { problems, digests };
}

interface ReadingOptions {
  readonly key: EncryptionKey | undefined;
  readonly signal: AbortSignal;
  readonly onBytes: (bytes: number) => void;
}

/** The rows of a chunk, or what is wrong with it. */
async function readRows(
  storage: ArchiveStorage,
  manifest: Manifest,
  table: ManifestTable,
  chunk: Chunk,
  { key, signal, onBytes }: ReadingOptions,
): Promise<RowDigest | string> {
  const hasher = createRowHasher(table.format);
  let broken: string | undefined;
  try {
    for await (const piece of readChunk(storage, chunk, { manifest, key, signal })) {
      // Rows that are none are told only when the file is what it should be: else that is the reason.
      if (broken === undefined) broken = attempt(() => hasher.update(piece));
      onBytes(piece.length);
    }
  } catch (error) {
    if (!isHoldfastError(error, 'DR_CHECKSUM_MISMATCH')) throw error;
    return error.message.startsWith(`${chunk.file} `) ? error.message.slice(chunk.file.length + 1) : error.message;
  }
  let found = NO_ROWS;
  broken ??= attempt(() => {
    found = hasher.finish();
  });
  if (broken !== undefined) return `holds no ${table.format} rows: ${broken}`;
  if (found.rows !== chunk.rows) return `holds ${found.rows} rows instead of ${chunk.rows}`;
  if (chunk.rowHash !== null && found.hash !== chunk.rowHash) return 'holds other rows: their hash differs';
  return found;
}

function attempt(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
