import { createHash } from 'node:crypto';
import { HoldfastError, isHoldfastError } from '../../errors.ts';
import type { EncryptionKey } from './encryption-key.ts';
import { type Chunk, MANIFEST_FILE, type Manifest } from './manifest.ts';
import { readManifest } from './manifest-file.ts';
import type { ArchiveStorage } from './storage.ts';

/** Report of the last verification; the only file that may lie in an archive without being in its manifest. */
export const VERIFIED_FILE = 'verified.json';
/** Files that are read at once: the next bytes come while those that are there are summed. */
const READ_AT_ONCE = 4;
/** Problems that a message lists; all are counted. */
const LISTED = 5;

/** What is wrong with one file of an archive. */
export interface ArchiveProblem {
  readonly file: string;
  /** Words that follow the file's name: `is missing`. */
  readonly what: string;
}

export interface CheckOptions {
  /** With it the manifest must come from an owner of the key. */
  readonly key?: EncryptionKey | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told the number of stored bytes that were read since the last call. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
  /** Looks at names and sizes only. */
  readonly namesOnly?: boolean;
}

/**
 * Proves that an archive is what the backup wrote, reading every file once: the manifest, and each file with its size and SHA-256, none
 * missing, none added. Nothing is decrypted or decompressed. To be called before the first write of a restore.
 * @throws DR_NOT_FOUND, DR_CHECKSUM_MISMATCH (`details.problems`), DR_INCOMPATIBLE
 */
export async function checkArchive(storage: ArchiveStorage, options: CheckOptions = {}): Promise<Manifest> {
  const manifest = await readManifest(storage, options);
  const problems = await findProblems(storage, manifest, options);
  if (problems.length > 0) throw problemsError(storage.location, problems);
  return manifest;
}

/** Every file that is missing, added or altered. */
export async function findProblems(
  storage: ArchiveStorage,
  manifest: Manifest,
  { signal, onBytes, namesOnly = false }: CheckOptions = {},
): Promise<ArchiveProblem[]> {
  const found = new Map((await storage.list()).map(({ name, bytes }) => [name, bytes]));
  const chunks = manifest.tables.flatMap((table) => table.chunks);
  const problems: (ArchiveProblem | undefined)[] = [];
  const look = async ({ file, storedBytes, sha256 }: Chunk): Promise<ArchiveProblem | undefined> => {
    const bytes = found.get(file);
    if (bytes === undefined) return { file, what: 'is missing' };
    if (bytes !== storedBytes) return { file, what: `has ${bytes} bytes instead of ${storedBytes}` };
    if (namesOnly || (await sha256Of(storage, file, { signal, onBytes })) === sha256) return undefined;
    return { file, what: 'was altered: SHA-256 differs' };
  };
  const rest = chunks.entries();
  const reader = async (): Promise<void> => {
    for (const [index, chunk] of rest) problems[index] = await look(chunk);
  };
  // All end before an error is told: nothing reads any more when this throws.
  const readers = Array.from({ length: READ_AT_ONCE }, reader);
  await Promise.allSettled(readers);
  await Promise.all(readers);
  const named = new Set([MANIFEST_FILE, VERIFIED_FILE, ...chunks.map(({ file }) => file)]);
  const added = [...found.keys()].filter((file) => !named.has(file));
  return [
    ...problems.filter((problem) => problem !== undefined),
    ...added.map((file) => ({ file, what: 'is no part of the backup' })),
  ];
}

/** One error for all of them. */
export function problemsError(location: string, problems: readonly ArchiveProblem[]): HoldfastError {
  const listed = problems.slice(0, LISTED).map(({ file, what }) => `${file} ${what}`);
  const more = problems.length > LISTED ? `; and ${problems.length - LISTED} more` : '';
  const message = `${location} is not what the backup wrote: ${listed.join('; ')}${more}`;
  return new HoldfastError('DR_CHECKSUM_MISMATCH', message, { details: { problems } });
}

/** Undefined when the file cannot be read as one: a link, or gone meanwhile. */
async function sha256Of(
  storage: ArchiveStorage,
  file: string,
  { signal, onBytes }: CheckOptions,
): Promise<string | undefined> {
  const digest = createHash('sha256');
  try {
    for await (const bytes of storage.read(file, signal)) {
      digest.update(bytes);
      onBytes?.(bytes.length);
    }
    return digest.digest('hex');
  } catch (error) {
    if (isHoldfastError(error, 'DR_CHECKSUM_MISMATCH') || isHoldfastError(error, 'DR_NOT_FOUND')) return undefined;
    throw error;
  }
}
