import { copyFile, cp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DirectoryStorage } from '../../src/dr/archive/directory-storage.ts';
import { readManifest } from '../../src/dr/archive/manifest-file.ts';
import { restore } from '../../src/dr/restore.ts';
import { verify } from '../../src/dr/verify.ts';
import { writeArchive } from '../support/archive.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** `HOLDFAST_RUNS=10000` for many, `HOLDFAST_SEED=N` to see one again. */
const RUNS = Number(process.env.HOLDFAST_RUNS ?? 60);
const SEED = process.env.HOLDFAST_SEED === undefined ? {} : { seed: Number(process.env.HOLDFAST_SEED) };
/** Nobody listens there: an archive is refused before anybody is asked. */
const NOWHERE = 'postgres://app@127.0.0.1:1/nowhere';
const TABLES = { orders: ['1\tone\n2\ttwo\n', '3\tthree\n', '4\tfour\n'], users: ['1\tAda\n'], places: ['x\n'] };

/** What happens to the files of an archive; numbers choose files and places in them. */
const DAMAGE = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), file: fc.nat(), at: fc.nat(), bit: fc.nat(7) }),
  fc.record({ kind: fc.constant('cut' as const), file: fc.nat(), at: fc.nat() }),
  fc.record({
    kind: fc.constant('lengthen' as const),
    file: fc.nat(),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 9 }),
  }),
  fc.record({ kind: fc.constant('overwrite' as const), file: fc.nat(), bytes: fc.uint8Array({ maxLength: 99 }) }),
  fc.record({ kind: fc.constant('remove' as const), file: fc.nat() }),
  fc.record({ kind: fc.constant('swap' as const), file: fc.nat(), other: fc.nat() }),
  fc.record({ kind: fc.constant('copy over' as const), file: fc.nat(), other: fc.nat() }),
  fc.record({ kind: fc.constant('rename' as const), file: fc.nat(), name: fc.stringMatching(/^[a-z0-9.]{1,12}$/) }),
  fc.record({ kind: fc.constant('add' as const), name: fc.stringMatching(/^[a-z0-9]{1,8}(\.copy)?$/) }),
);
type Damage = typeof DAMAGE extends fc.Arbitrary<infer T> ? T : never;

describe('an archive that is not what was written', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let whole: string;
  let files: readonly string[];
  beforeAll(async () => {
    directory = await temporaryDirectory();
    whole = join(directory.path, 'whole');
    await writeArchive(whole, { tables: TABLES });
    const entries = await readdir(whole, { recursive: true, withFileTypes: true });
    files = entries
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name).slice(whole.length + 1))
      .sort();
  });
  afterAll(() => directory[Symbol.asyncDispose]());

  async function damage(at: string, what: Damage): Promise<void> {
    const path = (index: number): string => join(at, files[index % files.length] as string);
    switch (what.kind) {
      case 'flip': {
        const bytes = await readFile(path(what.file));
        const place = what.at % bytes.length;
        bytes[place] = (bytes[place] ?? 0) ^ (1 << what.bit);
        return writeFile(path(what.file), bytes);
      }
      case 'cut':
        return truncate(path(what.file), what.at % (await readFile(path(what.file))).length);
      case 'lengthen':
        return writeFile(path(what.file), what.bytes, { flag: 'a' });
      case 'overwrite':
        return writeFile(path(what.file), what.bytes);
      case 'remove':
        return rm(path(what.file));
      case 'swap': {
        await rename(path(what.file), join(at, 'between'));
        if (path(what.file) !== path(what.other)) await rename(path(what.other), path(what.file));
        return rename(join(at, 'between'), path(what.other));
      }
      case 'copy over':
        return path(what.file) === path(what.other) ? undefined : copyFile(path(what.file), path(what.other));
      case 'rename':
        return rename(path(what.file), join(at, 'data', what.name));
      case 'add':
        return writeFile(join(at, what.name), '');
    }
  }

  /** Whether something is left that no check need find: bytes as they were, or blanks in the manifest. */
  async function isHarmless(at: string): Promise<boolean> {
    const entries = (await readdir(at, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    if (entries.length !== files.length) return false;
    for (const file of files) {
      const [before, after] = await Promise.all(
        [whole, at].map((root) => readFile(join(root, file)).catch(() => null)),
      );
      if (before == null || after == null) return false;
      if (before.equals(after)) continue;
      const text = (bytes: Buffer): string => JSON.stringify(JSON.parse(bytes.toString()));
      const isSame = (): boolean => text(before) === text(after);
      if (file !== 'metadata.json' || !attempt(isSame)) return false;
    }
    return true;
  }

  it('is found by verify and refused by restore, whatever was done to it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(DAMAGE, { minLength: 1, maxLength: 2 }), async (damages) => {
        await using place = await temporaryDirectory();
        const at = join(place.path, 'archive');
        await cp(whole, at, { recursive: true });
        for (const one of damages) await damage(at, one).catch(() => undefined);
        fc.pre(!(await isHarmless(at)));
        const found = { code: expect.stringMatching(/^(DR_CHECKSUM_MISMATCH|DR_NOT_FOUND|DR_INCOMPATIBLE)$/) };
        await expect(restore({ from: at, target: NOWHERE })).rejects.toMatchObject(found);
        for (const level of ['QUICK', 'DEEP'] as const) {
          await expect(verify({ from: at, level })).rejects.toMatchObject(found);
        }
      }),
      { numRuns: RUNS, ...SEED },
    );
  });

  it('is the one that is refused: as it was written it is read', async () => {
    await expect(verify({ from: whole, level: 'DEEP' })).resolves.toMatchObject({ result: 'PASSED' });
    await expect(restore({ from: whole, target: NOWHERE })).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    const { tables } = await readManifest(new DirectoryStorage(whole));
    expect(tables.flatMap(({ chunks }) => chunks)).toHaveLength(files.length - 1);
  });
});

function attempt(question: () => boolean): boolean {
  try {
    return question();
  } catch {
    return false;
  }
}
