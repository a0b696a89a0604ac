import { randomBytes } from 'node:crypto';
import { isHoldfastError } from '../errors.ts';
import type { SqlSource } from '../sql/connect.ts';
import type { EncryptionKey } from './archive/encryption-key.ts';
import type { Manifest } from './archive/manifest.ts';
import type { RowDigest } from './archive/row-hash.ts';
import { compareDatabase } from './compare-database.ts';
import { inScratch } from './dialect/scratch.ts';
import type { DrProgress, OnProgress } from './progress.ts';
import { restore } from './restore.ts';
import { ProgressTracker, type TrackedTable } from './track-progress.ts';

/** What a restore may be unable to set and tells as a notice: privileges of users that do not exist on the server of the drill. */
const PRIVILEGES = new Set(['ACL', 'DEFAULT ACL']);

export interface DrillOptions {
  readonly from: string;
  /** A database of the server that the drill runs on; nothing is written into it. */
  readonly target: SqlSource;
  /** Name of the scratch database; a random one without it. */
  readonly scratch?: string | undefined;
  readonly key?: EncryptionKey | undefined;
  readonly workers: number;
  /** Rows of each table as they were read from the archive. */
  readonly digests: ReadonlyMap<number, RowDigest>;
  readonly tables: readonly TrackedTable[];
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal;
}

/**
 * Restores an archive into a scratch database, compares that with it, and drops it, whatever happens.
 * @returns what differs, and how long the restore took
 * @throws what `restore` throws
 */
export async function drill(
  manifest: Manifest,
  options: DrillOptions,
): Promise<{ readonly problems: readonly string[]; readonly recoveryMs: number }> {
  const { from, target, key, workers, digests, tables, onProgress, signal } = options;
  const name = options.scratch ?? `holdfast_drill_${randomBytes(6).toString('hex')}`;
  return inScratch(target, name, manifest, async (scratch) => {
    const { durationMs, notices } = await restore({
      ...{ from, target: scratch, workers, key, signal, isDrill: true },
      onProgress: scaled(onProgress, 0, 50),
    }).catch((error: unknown) => {
      // Nobody goes on with it: what it has done is dropped.
      throw isHoldfastError(error) && error.details.resumable === true ? error.cause : error;
    });
    const tracker = new ProgressTracker(scaled(onProgress, 50, 100));
    tracker.plan(tables);
    tracker.phase('comparing');
    const exemptKinds = notices.length === 0 ? new Set<string>() : PRIVILEGES;
    const problems = await compareDatabase(scratch, manifest, { workers, digests, exemptKinds, tracker, signal });
    tracker.end('done');
    return { problems, recoveryMs: durationMs };
  });
}

/** One of several parts of a whole: its 0…100 is `from`…`to` of it. The time left is that of the part, so it is not told. */
export function scaled(onProgress: OnProgress, from: number, to: number): OnProgress {
  return (progress: DrProgress) => {
    const percent = Math.floor(from + ((to - from) * progress.percent) / 100);
    onProgress({ ...progress, percent, etaMs: percent === 100 ? 0 : null });
  };
}
