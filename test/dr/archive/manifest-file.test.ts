import { createHash, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../src/dr/archive/canonical-json.ts';
import { DirectoryStorage } from '../../../src/dr/archive/directory-storage.ts';
import { EncryptionKey } from '../../../src/dr/archive/encryption-key.ts';
import { readManifest, sealManifest, writeManifest } from '../../../src/dr/archive/manifest-file.ts';
import { writeArchive } from '../../support/archive.ts';
import { temporaryDirectory } from '../../support/temporary.ts';

type Json = Record<string, unknown>;

/** Changes `metadata.json`; `honest` gives it a fitting digest, as somebody would who wants it to be believed. */
async function alter(directory: string, change: (manifest: Json) => unknown, honest = true): Promise<void> {
  const file = join(directory, 'metadata.json');
  const { digest, mac, ...facts } = JSON.parse(await readFile(file, 'utf8')) as Json;
  change(facts);
  const sealed = honest ? createHash('sha256').update(canonicalJson(facts)).digest('hex') : digest;
  await writeFile(file, JSON.stringify({ ...facts, digest: sealed, mac: 'mac' in facts ? facts.mac : mac }));
}

function encryption(algorithm: string): Json {
  return { algorithm, keyId: '0'.repeat(16) };
}

function firstChunk(manifest: Json): Json {
  const table = (manifest.tables as Json[])[0] as Json;
  return (table.chunks as Json[])[0] as Json;
}

describe('a manifest', () => {
  it('is read as it was written', async () => {
    await using directory = await temporaryDirectory();
    const written = await writeArchive(directory.path);
    expect(await readManifest(new DirectoryStorage(directory.path))).toEqual(written);
  });

  it('is written once', async () => {
    await using directory = await temporaryDirectory();
    const written = await writeArchive(directory.path);
    const again = writeManifest(new DirectoryStorage(directory.path), written);
    await expect(again).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  it('with any fact changed is refused', async () => {
    await using directory = await temporaryDirectory();
    await writeArchive(directory.path);
    await alter(directory.path, (manifest) => Object.assign(firstChunk(manifest), { rows: 3 }), false);
    const reading = readManifest(new DirectoryStorage(directory.path));
    await expect(reading).rejects.toMatchObject({
      code: 'DR_CHECKSUM_MISMATCH',
      message: expect.stringContaining('digest'),
    });
  });

  it.each<[string, (manifest: Json) => unknown]>([
    ['a path out of the archive', (manifest) => Object.assign(firstChunk(manifest), { file: '../../etc/passwd' })],
    ['an absolute path', (manifest) => Object.assign(firstChunk(manifest), { file: '/etc/passwd' })],
    ['itself as a file of rows', (manifest) => Object.assign(firstChunk(manifest), { file: 'metadata.json' })],
    ['one file twice', (manifest) => Object.assign(firstChunk(manifest), { file: 'data/0/1.copy' })],
    ['a negative size', (manifest) => Object.assign(firstChunk(manifest), { bytes: -1 })],
    ['a size that is no safe number', (manifest) => Object.assign(firstChunk(manifest), { bytes: 1e300 })],
    ['a sum that does not add up', (manifest) => Object.assign(firstChunk(manifest), { rows: 77 })],
    ['a text for a number', (manifest) => Object.assign(firstChunk(manifest), { rows: '2' })],
    ['a field nobody knows', (manifest) => Object.assign(manifest, { run: 'rm' })],
    ['a table twice', (manifest) => Object.assign((manifest.tables as Json[])[1] as Json, { id: 0 })],
    ['a graph of other tables', (manifest) => Object.assign(manifest.graph as Json, { order: [0, 1, 9] })],
    ['a missing list', (manifest) => Reflect.deleteProperty(manifest, 'objects')],
    ['an algorithm nobody knows', (manifest) => Object.assign(manifest, { encryption: encryption('rot13') })],
    ['encryption without proof', (manifest) => Object.assign(manifest, { encryption: encryption('aes-256-gcm') })],
  ])('that names %s is refused, though its digest fits', async (_, change) => {
    await using directory = await temporaryDirectory();
    await writeArchive(directory.path);
    await alter(directory.path, change);
    const reading = readManifest(new DirectoryStorage(directory.path));
    await expect(reading).rejects.toMatchObject({ code: 'DR_CHECKSUM_MISMATCH' });
  });

  it('of a newer Holdfast is told as such', async () => {
    await using directory = await temporaryDirectory();
    await writeArchive(directory.path);
    await alter(directory.path, (manifest) => {
      manifest.version = 2;
      manifest.novelty = true;
    });
    const reading = readManifest(new DirectoryStorage(directory.path));
    await expect(reading).rejects.toMatchObject({
      code: 'DR_INCOMPATIBLE',
      message: expect.stringContaining('newer Holdfast'),
    });
  });

  it.each(['', 'null', '[]', '{"version":', '{}', '"text"', '\u0000'])('that is %j is refused', async (text) => {
    await using directory = await temporaryDirectory();
    await writeFile(join(directory.path, 'metadata.json'), text);
    await expect(readManifest(new DirectoryStorage(directory.path))).rejects.toMatchObject({
      code: 'DR_CHECKSUM_MISMATCH',
    });
  });
});

describe('the manifest of an encrypted archive', () => {
  const key = new EncryptionKey(randomBytes(32));

  it('is believed by an owner of the key only if an owner wrote it', async () => {
    await using directory = await temporaryDirectory();
    await writeArchive(directory.path, { key });
    const storage = new DirectoryStorage(directory.path);
    expect((await readManifest(storage, { key })).encryption).toEqual({ algorithm: 'aes-256-gcm', keyId: key.id });
    await alter(directory.path, (manifest) => Object.assign(manifest, { endedAt: '2030-01-01T00:00:00.000Z' }));
    await expect(readManifest(storage, { key })).rejects.toThrow('does not come from an owner of the key');
  });

  it('does not pass for another key, nor as unencrypted', async () => {
    await using directory = await temporaryDirectory();
    await writeArchive(directory.path, { key });
    const storage = new DirectoryStorage(directory.path);
    const other = new EncryptionKey(randomBytes(32));
    await expect(readManifest(storage, { key: other })).rejects.toMatchObject({ code: 'DR_INCOMPATIBLE' });
    await alter(directory.path, (manifest) => Object.assign(manifest, { encryption: null, mac: null }));
    await expect(readManifest(storage, { key })).rejects.toMatchObject({ code: 'DR_CHECKSUM_MISMATCH' });
  });

  it('tells nothing about the key', async () => {
    await using directory = await temporaryDirectory();
    const bytes = randomBytes(32);
    const manifest = await writeArchive(directory.path, { key: new EncryptionKey(bytes) });
    for (const form of ['hex', 'base64'] as const) expect(JSON.stringify(manifest)).not.toContain(bytes.toString(form));
    expect(new EncryptionKey(bytes).id).toBe(manifest.encryption?.keyId);
  });
});

describe('canonical JSON', () => {
  it('is one text for one value, whatever the order of its keys', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        expect(canonicalJson(reversed(value))).toBe(text);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
      }),
    );
  });

  it('seals the same facts with the same digest', async () => {
    await using directory = await temporaryDirectory();
    const { digest, mac: _, ...facts } = await writeArchive(directory.path);
    expect(sealManifest(reversed(facts) as typeof facts).digest).toBe(digest);
  });
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, inner]) => [name, reversed(inner)]),
  );
}
