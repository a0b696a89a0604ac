import { z } from 'zod';
import { HoldfastError, isHoldfastError } from '../errors.ts';
import { VERIFIED_FILE } from './archive/archive-check.ts';
import type { Manifest } from './archive/manifest.ts';
import type { ArchiveStorage } from './archive/storage.ts';

/** How thorough: files only, every row, or a restore into a scratch database. */
export const VerifyLevel = { QUICK: 'QUICK', DEEP: 'DEEP', DRILL: 'DRILL' } as const;
export type VerifyLevel = (typeof VerifyLevel)[keyof typeof VerifyLevel];

const MAX_BYTES = 8 << 20;

const REPORT = z.strictObject({
  level: z.enum(VerifyLevel),
  result: z.enum(['PASSED', 'FAILED']),
  by: z.string(),
  tool: z.string(),
  startedAt: z.string(),
  endedAt: z.string(),
  durationMs: z.number(),
  rows: z.number().nullable(),
  bytes: z.number(),
  recoveryMs: z.number().nullable(),
  problems: z.array(z.string()),
});

const VERIFIED = z.strictObject({
  backup: z.string(),
  digest: z.string(),
  reports: z.partialRecord(z.enum(VerifyLevel), REPORT),
});

/** What a verification found. */
export interface VerifyReport {
  readonly level: VerifyLevel;
  readonly result: 'PASSED' | 'FAILED';
  /** Who: `user@host`. */
  readonly by: string;
  /** Version of Holdfast. */
  readonly tool: string;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly durationMs: number;
  /** Rows that were counted; null at level QUICK. */
  readonly rows: number | null;
  /** Bytes that were read: of files at level QUICK, else of rows. */
  readonly bytes: number;
  /** At level DRILL the measured time from an empty database to a complete one; else null. */
  readonly recoveryMs: number | null;
  /** What is wrong, in words; empty when it passed. */
  readonly problems: readonly string[];
}

/** The newest report of each level, for this very backup. */
export type VerifyReports = Readonly<Partial<Record<VerifyLevel, VerifyReport>>>;

/** Reads `verified.json`; no reports when there is none, or it belongs to another backup, or it cannot be read. It proves nothing by itself. */
export async function readReports(
  storage: ArchiveStorage,
  { id, digest }: Pick<Manifest, 'id' | 'digest'>,
): Promise<VerifyReports> {
  try {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const part of storage.read(VERIFIED_FILE)) {
      bytes += part.length;
      if (bytes > MAX_BYTES) return {};
      parts.push(Buffer.from(part));
    }
    const parsed = VERIFIED.safeParse(JSON.parse(Buffer.concat(parts).toString('utf8')));
    if (!parsed.success || parsed.data.backup !== id || parsed.data.digest !== digest) return {};
    return parsed.data.reports as VerifyReports;
  } catch (error) {
    if (error instanceof SyntaxError || isHoldfastError(error)) return {};
    throw error;
  }
}

/** Adds a report, in place of the last one of its level. @throws what the storage throws when it cannot be written */
export async function writeReport(
  storage: ArchiveStorage,
  { id, digest }: Pick<Manifest, 'id' | 'digest'>,
  report: VerifyReport,
): Promise<void> {
  const reports = { ...(await readReports(storage, { id, digest })), [report.level]: report };
  const content = VERIFIED.parse({ backup: id, digest, reports });
  await storage.replace(VERIFIED_FILE, Buffer.from(`${JSON.stringify(content, null, 1)}\n`));
}

/** Problems that a message lists; `details` holds all. */
const LISTED = 5;

/** The error that a failed report becomes. */
export function failedReport(location: string, report: VerifyReport): HoldfastError {
  const { problems } = report;
  const more = problems.length > LISTED ? `; and ${problems.length - LISTED} more` : '';
  const message = `${location} does not hold what it should: ${problems.slice(0, LISTED).join('; ')}${more}`;
  return new HoldfastError('DR_CHECKSUM_MISMATCH', message, { details: { problems, report } });
}
