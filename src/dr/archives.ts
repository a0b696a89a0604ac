import { basename } from 'node:path';
import { HoldfastError, isHoldfastError } from '../errors.ts';
import { findProblems } from './archive/archive-check.ts';
import { canonicalJson } from './archive/canonical-json.ts';
import type { EncryptionKey } from './archive/encryption-key.ts';
import { type ConsistencyGrade, type Dialect, MANIFEST_FILE, type Manifest } from './archive/manifest.ts';
import { readManifest } from './archive/manifest-file.ts';
import { openStorage, placesIn } from './archive/open-storage.ts';
import type { ArchiveStorage } from './archive/storage.ts';
import { readReports, type VerifyReports } from './verified-file.ts';

/** Directory beside the archives of a gateway that holds its jobs; it is none of them. */
export const JOBS_DIRECTORY = 'jobs';

const NAMELESS = 'its server did not tell its identity: remove it by hand when it is no longer needed';

/** What a list tells about an archive. */
export interface ArchiveSummary {
  /** Where it lies, to be given as `--from`. */
  readonly location: string;
  /** Identity of the backup. */
  readonly id: string;
  readonly dialect: Dialect;
  /** Identity of the server, and the name of the database in it. */
  readonly server: string;
  readonly database: string;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly grade: ConsistencyGrade;
  readonly tables: number;
  readonly rows: number;
  /** Bytes of rows before compression, and of the files of rows. */
  readonly bytes: number;
  readonly storedBytes: number;
  /** Only selected rows or tables. */
  readonly subset: boolean;
  /** What was selected, as text: the same for the same; empty for everything. */
  readonly selection: string;
  readonly encrypted: boolean;
  /** The newest report of each level. */
  readonly verified: VerifyReports;
}

/** A place that is no archive that can be read. */
export interface UnknownPlace {
  readonly location: string;
  /** Why, for people. */
  readonly reason: string;
}

export interface ArchiveList {
  /** Newest first. */
  readonly archives: readonly ArchiveSummary[];
  /** Beside them: unfinished backups, damaged archives, whatever else lies there. */
  readonly unknown: readonly UnknownPlace[];
}

export interface ArchiveOptions {
  readonly key?: EncryptionKey | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PruneOptions extends ArchiveOptions {
  /** How many of each database stay, the newest; at least 1. */
  readonly keep: number;
  /** Only tell what would be removed. */
  readonly dryRun?: boolean;
}

export interface PruneSummary {
  readonly removed: readonly ArchiveSummary[];
  readonly kept: readonly ArchiveSummary[];
  /** What was left alone because it is not, or not only, an archive. */
  readonly unknown: readonly UnknownPlace[];
}

/** Reads the manifest of an archive, and what verifications found. @throws DR_NOT_FOUND, DR_CHECKSUM_MISMATCH, DR_INCOMPATIBLE */
export async function showArchive(
  location: string,
  options: ArchiveOptions = {},
): Promise<{ readonly manifest: Manifest; readonly verified: VerifyReports }> {
  return withStorage(location, async (storage) => {
    const manifest = await readManifest(storage, options);
    return { manifest, verified: await readReports(storage, manifest) };
  });
}

/** The archives directly below a directory or `s3://` prefix, or the archive that lies there itself. Nothing below: an empty list. */
export async function listArchives(place: string, options: ArchiveOptions = {}): Promise<ArchiveList> {
  const own = await readPlace(place, options);
  const found: (ArchiveSummary | UnknownPlace)[] = [];
  if ('id' in own) found.push(own);
  else {
    const places = (await placesIn(place)).filter((location) => basename(location) !== JOBS_DIRECTORY);
    for (const location of places) found.push(await readPlace(location, options));
  }
  const archives = found.filter((one) => 'id' in one).sort(newestFirst);
  return { archives, unknown: found.filter((one) => 'reason' in one) };
}

/**
 * Removes old archives directly below a place: of each database, and of each selection of its rows and tables, the newest `keep` stay. What
 * is not recognised is never touched, nor is an archive with a file in it that is not its own, or of a server without an identity: nobody
 * can tell whose database of that name it is. The manifest goes first, so that a removal that breaks off leaves no archive that looks whole.
 */
export async function pruneArchives(place: string, options: PruneOptions): Promise<PruneSummary> {
  const { keep, dryRun = false, signal } = options;
  if (!Number.isInteger(keep) || keep < 1) {
    throw new HoldfastError('VALIDATION_FAILED', `At least one archive is kept, not ${keep}.`);
  }
  const { archives, unknown } = await listArchives(place, options);
  const removed: ArchiveSummary[] = [];
  const kept: ArchiveSummary[] = [];
  const left: UnknownPlace[] = [...unknown];
  const counts = new Map<string, number>();
  for (const archive of archives) {
    signal?.throwIfAborted();
    const database = JSON.stringify([archive.dialect, archive.server, archive.database, archive.selection]);
    const newer = counts.get(database) ?? 0;
    counts.set(database, newer + 1);
    const reason =
      newer < keep ? undefined : archive.server === '' ? NAMELESS : await strangers(archive.location, options);
    if (newer < keep) kept.push(archive);
    else if (reason !== undefined) left.push({ location: archive.location, reason });
    else {
      if (!dryRun) await removeArchive(archive.location);
      removed.push(archive);
    }
  }
  return { removed, kept, unknown: left };
}

/**
 * Removes an archive of which every file is known to be its own.
 * @throws DR_NOT_FOUND when it is no archive, DR_CHECKSUM_MISMATCH when it holds something else besides or its manifest was altered
 */
export async function deleteArchive(location: string, options: ArchiveOptions = {}): Promise<void> {
  const reason = await strangers(location, options);
  if (reason !== undefined) {
    throw new HoldfastError('DR_CHECKSUM_MISMATCH', `${location} is not removed: ${reason}; take that away first.`);
  }
  await removeArchive(location);
}

/** Removes an archive with everything in it. */
export async function removeArchive(location: string): Promise<void> {
  await withStorage(location, async (storage) => {
    await storage.remove(MANIFEST_FILE);
    await storage.removeAll();
  });
}

/** Why an archive is not to be removed as a whole; undefined when all in it is its own. */
async function strangers(location: string, options: ArchiveOptions): Promise<string | undefined> {
  return withStorage(location, async (storage) => {
    const manifest = await readManifest(storage, options);
    const problems = await findProblems(storage, manifest, { ...options, namesOnly: true });
    const stranger = problems.find(({ what }) => what === 'is no part of the backup');
    return stranger === undefined ? undefined : `${stranger.file} ${stranger.what}`;
  });
}

async function readPlace(location: string, options: ArchiveOptions): Promise<ArchiveSummary | UnknownPlace> {
  try {
    const { manifest, verified } = await showArchive(location, { signal: options.signal });
    return summaryOf(location, manifest, verified);
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    return { location, reason: error.message };
  }
}

function summaryOf(location: string, manifest: Manifest, verified: VerifyReports): ArchiveSummary {
  const { id, dialect, server, startedAt, endedAt, consistency, tables, encryption } = manifest;
  const selection = selectionOf(manifest);
  const chunks = tables.flatMap((table) => table.chunks);
  const sum = (of: 'rows' | 'bytes'): number => tables.reduce((total, table) => total + table[of], 0);
  return {
    ...{
      location,
      id,
      dialect,
      server: server.identity,
      database: server.database,
      startedAt,
      endedAt,
      grade: consistency.grade,
    },
    ...{ tables: tables.length, rows: sum('rows'), bytes: sum('bytes') },
    storedBytes: chunks.reduce((total, { storedBytes }) => total + storedBytes, 0),
    ...{ selection, subset: selection !== '' },
    encrypted: encryption !== null,
    verified,
  };
}

function selectionOf({ suffixes, closure, chosen }: Manifest): string {
  const isWhole = !closure && Object.keys(suffixes).length === 0 && chosen === undefined;
  return isWhole ? '' : canonicalJson({ suffixes, closure, chosen: chosen?.toSorted() ?? null });
}

function newestFirst(a: ArchiveSummary, b: ArchiveSummary): number {
  return a.endedAt < b.endedAt ? 1 : -1;
}

async function withStorage<T>(location: string, work: (storage: ArchiveStorage) => Promise<T>): Promise<T> {
  const storage = await openStorage(location);
  try {
    return await work(storage);
  } finally {
    await storage.close();
  }
}
