import type { Compression } from '../../src/dr/archive/chunk-writer.ts';
import { openChunk } from '../../src/dr/archive/chunk-writer.ts';
import type { EncryptionKey } from '../../src/dr/archive/encryption-key.ts';
import { type Chunk, MANIFEST_VERSION, type Manifest, type ManifestTable } from '../../src/dr/archive/manifest.ts';
import { sealManifest, writeManifest } from '../../src/dr/archive/manifest-file.ts';
import { openStorage } from '../../src/dr/archive/open-storage.ts';
import { createRowHasher } from '../../src/dr/archive/row-hash.ts';

export interface ArchiveContents {
  /** Rows in COPY's text format, by chunk, by table. */
  readonly tables?: Readonly<Record<string, readonly string[]>>;
  readonly key?: EncryptionKey;
  readonly compression?: Compression;
  readonly endedAt?: string;
  readonly database?: string;
  /** Of the server. */
  readonly identity?: string;
  readonly suffixes?: Readonly<Record<string, string>>;
  readonly chosen?: readonly string[];
}

const TWO_TABLES = { orders: ['1\tone\n2\ttwo\n', '3\tthree\n'], users: ['1\tAda\n'] };

/** Writes a small archive of PostgreSQL as a backup would. */
export async function writeArchive(location: string, contents: ArchiveContents = {}): Promise<Manifest> {
  const {
    tables = TWO_TABLES,
    key,
    compression = { zstd: 1 },
    endedAt = '2026-01-02T03:04:05.000Z',
    database = 'shop',
    identity = '7',
    suffixes = {},
    chosen,
  } = contents;
  const storage = await openStorage(location);
  const written: ManifestTable[] = [];
  for (const [id, [name, texts]] of Object.entries(tables).entries()) {
    const chunks: Chunk[] = [];
    for (const [index, text] of texts.entries()) {
      const file = `data/${id}/${index}.copy`;
      const writer = await openChunk(storage, file, { compression, key });
      await writer.write(Buffer.from(text));
      const hasher = createRowHasher('text');
      hasher.update(Buffer.from(text));
      const { rows, hash } = hasher.finish();
      chunks.push({ file, rows, ...(await writer.finish()), rowHash: hash, range: null });
    }
    const sum = (of: 'rows' | 'bytes'): number => chunks.reduce((total, chunk) => total + chunk[of], 0);
    const facts = { columns: [], format: 'text', suffix: null, engine: null } as const;
    written.push({ id, schema: 'public', name, ...facts, rows: sum('rows'), bytes: sum('bytes'), chunks });
  }
  const manifest = sealManifest(
    {
      ...{ version: MANIFEST_VERSION, id: '0123456789abcdef0123456789abcdef', tool: '0.1.0' },
      ...{ startedAt: endedAt, endedAt, dialect: 'postgres', position: {}, suffixes, closure: false },
      server: { version: '15', identity, database, encoding: 'UTF8' },
      ...(chosen === undefined ? {} : { chosen }),
      consistency: { grade: 'A', notes: [] },
      compression: compression === 'none' ? 'none' : 'zstd',
      encryption: key === undefined ? null : { algorithm: 'aes-256-gcm', keyId: key.id },
      graph: { keys: [], inDegree: {}, order: written.map(({ id }) => id), cycles: [] },
      ...{ tables: written, objects: [], sequences: [], unsupported: [] },
    },
    key,
  );
  await writeManifest(storage, manifest);
  await storage.close();
  return manifest;
}
