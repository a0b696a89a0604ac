import { hostname, userInfo } from 'node:os';
import { HoldfastError } from '../errors.ts';
import type { SqlSource } from '../sql/connect.ts';
import { packageVersion } from '../util/package-version.ts';
import { findProblems } from './archive/archive-check.ts';
import type { EncryptionKey } from './archive/encryption-key.ts';
import type { Manifest } from './archive/manifest.ts';
import { keyFor, readManifest } from './archive/manifest-file.ts';
import { openStorage } from './archive/open-storage.ts';
import type { RowDigest } from './archive/row-hash.ts';
import type { ArchiveStorage } from './archive/storage.ts';
import { drill, scaled } from './drill.ts';
import type { OnProgress } from './progress.ts';
import { ProgressTracker, type TrackedTable } from './track-progress.ts';
import { failedReport, type VerifyLevel, type VerifyReport, writeReport } from './verified-file.ts';
import { verifyRows } from './verify-rows.ts';

const DEFAULT_WORKERS = 2;

export interface VerifyOptions {
  /** Directory or `s3://` prefix of the archive. */
  readonly from: string;
  readonly level: VerifyLevel;
  /** For a drill: a database on the server it runs on. The scratch database lies beside it. */
  readonly target?: SqlSource | undefined;
  /** Name of that scratch database, for who must find it again after a crash; a random one without it. */
  readonly scratch?: string | undefined;
  /** Chunks read, or restored, at once; default 2. */
  readonly workers?: number | undefined;
  readonly key?: EncryptionKey | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a level looks at. */
interface Findings {
  readonly problems: readonly string[];
  readonly rows: number | null;
  readonly bytes: number;
  readonly recoveryMs: number | null;
}

/**
 * Proves that an archive can be relied on. QUICK reads every file; DEEP decodes and counts every row besides; DRILL
 * restores them into a scratch database, compares that with the archive, and drops it.
 * The report is written into the archive as `verified.json`, unless it is read-only.
 * @throws DR_CHECKSUM_MISMATCH with every problem, DR_NOT_FOUND, DR_INCOMPATIBLE, DR_CANCELLED; for a drill also CONFIG_INVALID without a
 *   target, and what `restore` throws
 */
export async function verify(options: VerifyOptions): Promise<VerifyReport> {
  const storage = await openStorage(options.from);
  try {
    return await verifyStorage(storage, options);
  } catch (error) {
    if (options.signal?.aborted) {
      throw new HoldfastError('DR_CANCELLED', `The verification of ${storage.location} was cancelled.`, {
        cause: error,
      });
    }
    throw error;
  } finally {
    await storage.close();
  }
}

async function verifyStorage(storage: ArchiveStorage, options: VerifyOptions): Promise<VerifyReport> {
  const startedAt = new Date();
  const started = performance.now();
  const manifest = await readManifest(storage, options);
  const { problems, rows, bytes, recoveryMs } = await LOOK[options.level](storage, manifest, options);
  const report: VerifyReport = {
    level: options.level,
    result: problems.length === 0 ? 'PASSED' : 'FAILED',
    by: `${userName()}@${hostname()}`,
    tool: packageVersion(),
    startedAt: startedAt.toISOString(),
    endedAt: new Date().toISOString(),
    durationMs: Math.round(performance.now() - started),
    rows,
    bytes,
    recoveryMs,
    problems,
  };
  await keepReport(storage, manifest, report);
  if (report.result === 'FAILED') throw failedReport(storage.location, report);
  return report;
}

async function quick(
  storage: ArchiveStorage,
  manifest: Manifest,
  { signal, onProgress = () => undefined }: VerifyOptions,
): Promise<Findings> {
  const chunks = manifest.tables.flatMap((table) => table.chunks);
  const bytes = chunks.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  const tracker = new ProgressTracker(onProgress);
  tracker.plan([{ id: 0, name: 'files', chunks: 1, bytes }]);
  tracker.phase('reading files');
  const problems = await findProblems(storage, manifest, { signal, onBytes: (read) => tracker.read(0, read) });
  tracker.finish(0, 0);
  tracker.end('done');
  return { problems: problems.map(({ file, what }) => `${file} ${what}`), rows: null, bytes, recoveryMs: null };
}

/** With the rows of each table, for a drill to compare. */
interface DeepFindings extends Findings {
  readonly digests: ReadonlyMap<number, RowDigest>;
}

async function deep(storage: ArchiveStorage, manifest: Manifest, options: VerifyOptions): Promise<DeepFindings> {
  const { signal, onProgress = () => undefined, workers = DEFAULT_WORKERS } = options;
  const key = keyFor(manifest, options.key);
  const tracker = new ProgressTracker(onProgress);
  tracker.plan(trackedTables(manifest));
  tracker.phase('reading rows');
  // The contents of files are checked with the rows they hold.
  const files = await findProblems(storage, manifest, { signal, namesOnly: true });
  const known = new Set(files.map(({ file }) => file));
  const { problems: rows, digests } = await verifyRows(storage, manifest, { key, workers, tracker, signal });
  tracker.end('done');
  const problems = [...files, ...rows.filter(({ file }) => !known.has(file))];
  const sum = (of: 'rows' | 'bytes'): number => manifest.tables.reduce((total, table) => total + table[of], 0);
  return {
    problems: problems.map(({ file, what }) => `${file} ${what}`),
    ...{ rows: sum('rows'), bytes: sum('bytes'), recoveryMs: null, digests },
  };
}

/** An archive that is not what was written is not restored. */
async function deepAndDrill(storage: ArchiveStorage, manifest: Manifest, options: VerifyOptions): Promise<Findings> {
  const { from, target, scratch, key, workers = DEFAULT_WORKERS, onProgress = () => undefined } = options;
  const { signal = new AbortController().signal } = options;
  if (target === undefined) {
    throw new HoldfastError('CONFIG_INVALID', 'A drill needs a target: a database of the server that it is to run on.');
  }
  const { digests, ...read } = await deep(storage, manifest, { ...options, onProgress: scaled(onProgress, 0, 25) });
  if (read.problems.length > 0) return read;
  const found = await drill(manifest, {
    ...{ from, target, scratch, key, workers, digests, signal },
    tables: trackedTables(manifest),
    onProgress: scaled(onProgress, 25, 100),
  });
  return { ...read, ...found };
}

const LOOK = { QUICK: quick, DEEP: deep, DRILL: deepAndDrill } as const;

function trackedTables({ tables }: Manifest): TrackedTable[] {
  return tables.map(({ id, schema, name, chunks, bytes }) => {
    return { id, name: schema === '' ? name : `${schema}.${name}`, chunks: chunks.length, bytes };
  });
}

/** A report that cannot be kept beside the archive changes nothing about what was found. */
async function keepReport(storage: ArchiveStorage, manifest: Manifest, report: VerifyReport): Promise<void> {
  try {
    await writeReport(storage, manifest, report);
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run under a number that has no name.
    return `uid ${process.getuid?.() ?? ''}`;
  }
}
