import { createHash, timingSafeEqual } from 'node:crypto';
import { HoldfastError, isHoldfastError } from '../../errors.ts';
import { canonicalJson } from './canonical-json.ts';
import type { EncryptionKey } from './encryption-key.ts';
import { MANIFEST_FILE, MANIFEST_VERSION, type Manifest } from './manifest.ts';
import { MANIFEST_SCHEMA } from './manifest-schema.ts';
import type { ArchiveStorage } from './storage.ts';

/** A manifest of more bytes than this is none of ours; what it says is held in memory. */
const MAX_BYTES = 256 << 20;
/** Mistakes of a manifest that a message lists. */
const LISTED = 3;

export interface ManifestReading {
  /** Must be the right one for an encrypted archive; without it the manifest is read, but not proven to come from an owner of the key. */
  readonly key?: EncryptionKey | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Completes a manifest with its digest, and with proof by the key when the archive is encrypted. */
export function sealManifest(facts: Omit<Manifest, 'digest' | 'mac'>, key?: EncryptionKey): Manifest {
  const digest = digestOf(facts);
  return { ...facts, digest, mac: facts.encryption === null || key === undefined ? null : key.authenticate(digest) };
}

/** Writes `metadata.json`, the last file of a backup: with it the archive exists. @throws ALREADY_EXISTS */
export async function writeManifest(storage: ArchiveStorage, manifest: Manifest): Promise<void> {
  // What we would not read we do not write.
  const written = MANIFEST_SCHEMA.parse(manifest);
  await storage.createNew(MANIFEST_FILE, Buffer.from(`${JSON.stringify(written, null, 1)}\n`));
}

/**
 * Reads and checks `metadata.json`: its shape, its sums, its digest, and with a key that it comes from an owner of the key.
 * @throws DR_NOT_FOUND when there is none: not a backup
 * @throws DR_CHECKSUM_MISMATCH when it was altered
 * @throws DR_INCOMPATIBLE when a newer Holdfast wrote it, or the key is another one
 */
export async function readManifest(storage: ArchiveStorage, { key, signal }: ManifestReading = {}): Promise<Manifest> {
  const altered = (what: string, cause?: unknown): HoldfastError =>
    new HoldfastError('DR_CHECKSUM_MISMATCH', `${MANIFEST_FILE} in ${storage.location} ${what}`, {
      cause,
      details: { file: MANIFEST_FILE },
    });
  const raw = parse(await readWhole(storage, signal), altered);
  const { version } = raw;
  if (typeof version === 'number' && version > MANIFEST_VERSION) {
    const message = `${storage.location} was written by a newer Holdfast (format ${version}, this one reads ${MANIFEST_VERSION})`;
    throw new HoldfastError('DR_INCOMPATIBLE', message);
  }
  const { digest, mac, ...facts } = raw;
  if (digest !== digestOf(facts)) throw altered('was altered: its digest differs');
  const shape = MANIFEST_SCHEMA.safeParse(raw);
  if (!shape.success) {
    const issues = shape.error.issues.slice(0, LISTED).map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw altered(`is none that Holdfast writes: ${issues.join('; ')}`);
  }
  const manifest = shape.data;
  if (key !== undefined) assertKey(storage, manifest, key, altered);
  return manifest;
}

/**
 * The key that the rows of this archive need; undefined when they are not encrypted.
 * @throws DR_INCOMPATIBLE when it is encrypted and there is no key
 */
export function keyFor(manifest: Manifest, key: EncryptionKey | undefined): EncryptionKey | undefined {
  if (manifest.encryption === null) return undefined;
  if (key !== undefined) return key;
  const message = `the archive is encrypted with key ${manifest.encryption.keyId}: name its file with --key-file`;
  throw new HoldfastError('DR_INCOMPATIBLE', message);
}

function assertKey(
  { location }: ArchiveStorage,
  { encryption, digest, mac }: Manifest,
  key: EncryptionKey,
  altered: (what: string) => HoldfastError,
): void {
  // Whoever gives a key expects an archive that only its owners can have made.
  if (encryption === null || mac === null) throw altered('is not encrypted, but a key was given');
  if (encryption.keyId !== key.id) {
    const message = `${location} is encrypted with key ${encryption.keyId}, the one given is ${key.id}`;
    throw new HoldfastError('DR_INCOMPATIBLE', message);
  }
  if (!timingSafeEqual(Buffer.from(mac, 'hex'), Buffer.from(key.authenticate(digest), 'hex'))) {
    throw altered('does not come from an owner of the key');
  }
}

async function readWhole(storage: ArchiveStorage, signal: AbortSignal | undefined): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const part of storage.read(MANIFEST_FILE, signal)) {
      bytes += part.length;
      if (bytes > MAX_BYTES)
        throw new HoldfastError('DR_CHECKSUM_MISMATCH', `${MANIFEST_FILE} in ${storage.location} is too large`);
      parts.push(Buffer.from(part));
    }
  } catch (error) {
    if (!isHoldfastError(error, 'DR_NOT_FOUND')) throw error;
    throw new HoldfastError('DR_NOT_FOUND', `${storage.location} is not a backup: it has no ${MANIFEST_FILE}`, {
      cause: error,
    });
  }
  return Buffer.concat(parts);
}

function parse(bytes: Buffer, altered: (what: string, cause?: unknown) => HoldfastError): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw altered('is no JSON', error);
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw altered('is no JSON object');
  return value as Record<string, unknown>;
}

function digestOf(facts: object): string {
  return createHash('sha256').update(canonicalJson(facts)).digest('hex');
}
