import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { main } from '../../src/cli/main.ts';
import type { Manifest } from '../../src/dr/archive/manifest.ts';
import { sealManifest } from '../../src/dr/archive/manifest-file.ts';
import { backup } from '../../src/dr/backup.ts';
import { PostgresDatabases } from '../support/postgres-databases.ts';
import { imageOf } from '../support/postgres-image.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const BIN = resolve(import.meta.dirname, '../../bin/holdfast.js');
const SHOP = `CREATE TABLE customer (id int PRIMARY KEY, v text); CREATE TABLE invoice (id int, customer int REFERENCES customer);
  CREATE TABLE salary (v int); CREATE ROLE clerk LOGIN; GRANT SELECT ON customer, invoice TO clerk;
  INSERT INTO customer SELECT n, repeat(md5(n::text), 20) FROM generate_series(1, 3000) n;
  INSERT INTO invoice SELECT n, n FROM generate_series(1, 3000) n;`;

/** What the command answers, and what stands in the message besides. */
type Refusal = readonly [name: string, code: string, message: RegExp];

describeWith('postgres', 'holdfast dr given what is wrong', () => {
  let databases: PostgresDatabases;
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let source: string;
  let archive: string;
  let empty: string;
  beforeAll(async () => {
    directory = await temporaryDirectory();
    databases = await PostgresDatabases.start();
    source = await databases.create(SHOP);
    empty = await databases.create();
    archive = join(directory.path, 'archive');
    await backup({ source, out: archive });
  });
  afterAll(async () => {
    await databases?.[Symbol.asyncDispose]();
    await directory?.[Symbol.asyncDispose]();
  });

  async function run(
    ...args: string[]
  ): Promise<{ readonly exit: number; readonly code: string; readonly message: string }> {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const exit = await main(['dr', ...args, '--json'], { stdout, stderr });
    const { error } = JSON.parse(String(stdout.read() ?? '{}')) as {
      error?: { code: string; message: string; remedy?: string };
    };
    stderr.resume();
    return { exit, code: error?.code ?? '', message: `${error?.message ?? ''} ${error?.remedy ?? ''}` };
  }

  /** Nothing is changed or left behind: no file, no row, no mark, no session. */
  async function expectRefusal(args: string[], [, code, message]: Refusal, touched: readonly string[]): Promise<void> {
    const before = await Promise.all(touched.map((url) => imageOf(databases, url)));
    const answer = await run(...args);
    expect(answer).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(answer.exit).toBe(/^(USAGE|CONFIG_INVALID)$/.test(code) ? 2 : 1);
    expect(await Promise.all(touched.map((url) => imageOf(databases, url)))).toEqual(before);
    const sessions = `SELECT count(*) AS n FROM pg_stat_activity WHERE application_name LIKE 'holdfast%'`;
    await expect.poll(() => databases.query(source, sessions)).toEqual([{ n: '0' }]);
  }

  describe('backing up', () => {
    const out = (): string => join(directory.path, 'out');

    it.each<[...Refusal, args: (url: string) => string[]]>([
      [
        'a suffix with a second statement',
        'VALIDATION_FAILED',
        /semicolon/,
        (url) => ['--source', url, '--suffix', 'customer=WHERE true; DROP TABLE salary'],
      ],
      [
        'a suffix that closes our parenthesis',
        'VALIDATION_FAILED',
        /parenthesis/,
        (url) => ['--source', url, '--suffix', 'customer=WHERE true) OR (true'],
      ],
      [
        'a suffix that hides a closing parenthesis',
        'VALIDATION_FAILED',
        /parenthesis|refused/,
        (url) => ['--source', url, '--suffix', `customer=WHERE t.v = E'\\') ; DROP TABLE salary; --'`],
      ],
      [
        'a suffix with a mistake',
        'VALIDATION_FAILED',
        /syntax error/,
        (url) => ['--source', url, '--suffix', 'customer=WHERE t.id = = 1'],
      ],
      [
        'a suffix with a column that is not there',
        'VALIDATION_FAILED',
        /does not exist/,
        (url) => ['--source', url, '--suffix', 'customer=WHERE t.nothing = 1'],
      ],
      [
        'a suffix that writes',
        'VALIDATION_FAILED',
        /./,
        (url) => ['--source', url, '--suffix', 'customer=WHERE EXISTS (DELETE FROM salary RETURNING 1)'],
      ],
      [
        'a suffix of no table',
        'VALIDATION_FAILED',
        /no table named nobody/,
        (url) => ['--source', url, '--suffix', 'nobody=WHERE true'],
      ],
      [
        'a suffix that lets a key dangle',
        'VALIDATION_FAILED',
        /--closure/,
        (url) => ['--source', url, '--suffix', 'customer=WHERE t.id < 10'],
      ],
      ['a suffix without a table', 'USAGE', /suffix/, (url) => ['--source', url, '--suffix', 'WHERE true']],
      [
        'a table that is not there',
        'VALIDATION_FAILED',
        /no table nobody/,
        (url) => ['--source', url, '--tables', 'nobody'],
      ],
      ['a URL that is none', 'USAGE', /neither the URL of a database/, () => ['--source', 'nowhere']],
      [
        'a server that is not there',
        'DATABASE_UNAVAILABLE',
        /127\.0\.0\.1:1/,
        () => ['--source', 'postgres://app@127.0.0.1:1/shop'],
      ],
      [
        'a database that is not there',
        'CONFIG_INVALID',
        /"?nobody"? does not exist/,
        (url) => ['--source', url.replace(/[^/]*$/, 'nobody')],
      ],
      [
        'a user that is not there',
        'DR_PRIVILEGE_MISSING',
        /"nobody" does not exist/,
        (url) => ['--source', url.replace('app@', 'nobody@')],
      ],
      [
        'a user who may not read one table',
        'DR_PRIVILEGE_MISSING',
        /"public"\."salary": grant SELECT/,
        (url) => ['--source', url.replace('app@', 'clerk@')],
      ],
    ])('refuses %s with %s and leaves nothing', async (name, code, message, args) => {
      await expectRefusal(['backup', ...args(source), '--out', out()], [name, code, message], [source]);
      expect(existsSync(out())).toBe(false);
    });

    it('refuses a place that is not empty, and leaves what is there', async () => {
      const before = await readdir(archive, { recursive: true });
      await expectRefusal(
        ['backup', '--source', source, '--out', archive],
        ['', 'ALREADY_EXISTS', /not empty/],
        [source],
      );
      expect(await readdir(archive, { recursive: true })).toEqual(before);
    });

    it.skipIf(process.platform === 'win32')('says that the disk is full, and leaves nothing on it', async () => {
      // The largest file that the process may write; the system refuses more as it does when there is no more room.
      const script = `ulimit -f 60; exec "$0" "$@"`;
      const args = ['dr', 'backup', '--source', source, '--out', out(), '--compress', 'none', '--json'];
      const child = spawn('bash', ['-c', script, process.execPath, BIN, ...args], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      let said = '';
      child.stdout.on('data', (bytes: Buffer) => {
        said += bytes.toString();
      });
      const [exit] = await once(child, 'close');
      expect({ exit, said: JSON.parse(said) }).toMatchObject({ exit: 1, said: { error: { code: 'DR_STORAGE_FULL' } } });
      expect(existsSync(out())).toBe(false);
    });
  });

  describe('restoring', () => {
    it('refuses a target with contents, the source, and a database whose name is not confirmed', async () => {
      const filled = await databases.create('CREATE TABLE mine (id int); INSERT INTO mine VALUES (1)');
      const to = (target: string, ...more: string[]): string[] => [
        'restore',
        '--from',
        archive,
        '--target',
        target,
        ...more,
      ];
      await expectRefusal(to(filled), ['', 'DR_TARGET_NOT_EMPTY', /public\.mine/], [filled]);
      await expectRefusal(to(filled, '--resume'), ['', 'DR_TARGET_NOT_EMPTY', /public\.mine/], [filled]);
      await expectRefusal(to(filled, '--mode', 'data'), ['', 'DR_INCOMPATIBLE', /does not exist/], [filled]);
      await expectRefusal(to(source), ['', 'DR_TARGET_IS_SOURCE', /taken of/], [source]);
      await expectRefusal(to(source, '--mode', 'data'), ['', 'DR_TARGET_IS_SOURCE', /taken of/], [source]);
      await expectRefusal(to(empty, '--confirm', 'production'), ['', 'CONFIG_INVALID', /production/], [empty]);
    });

    it('refuses a target that is not there, is of another kind, or lets us create nothing', async () => {
      const to = (target: string): string[] => ['restore', '--from', archive, '--target', target];
      await expectRefusal(to('postgres://app@127.0.0.1:1/x'), ['', 'DATABASE_UNAVAILABLE', /127\.0\.0\.1:1/], []);
      await expectRefusal(to('mariadb://app@127.0.0.1:1/x'), ['', 'DR_INCOMPATIBLE', /kind/], []);
      await expectRefusal(to(empty.replace('app@', 'clerk@')), ['', 'DR_PRIVILEGE_MISSING', /GRANT CREATE/], [empty]);
    });

    /** The archive with a manifest that says something else, sealed as if it had been written so. */
    async function altered(facts: Partial<Record<keyof Manifest, unknown>>): Promise<string> {
      const at = join(directory.path, 'altered');
      await rm(at, { recursive: true, force: true });
      await cp(archive, at, { recursive: true });
      const {
        digest: _,
        mac: __,
        ...manifest
      } = JSON.parse(await readFile(join(at, 'metadata.json'), 'utf8')) as Manifest;
      const sealed = sealManifest({ ...manifest, ...facts } as Manifest, undefined);
      await writeFile(join(at, 'metadata.json'), JSON.stringify(sealed));
      return at;
    }

    it.each<[...Refusal, facts: Partial<Record<keyof Manifest, unknown>>]>([
      [
        'of a newer server',
        'DR_INCOMPATIBLE',
        /PostgreSQL 99/,
        { server: { version: '99.1', identity: '1', database: 'x', encoding: 'UTF8' } },
      ],
      ['of a newer Holdfast', 'DR_INCOMPATIBLE', /version/i, { version: 99 }],
      ['of another kind of server', 'DR_INCOMPATIBLE', /mariadb/, { dialect: 'mariadb' }],
      ['that leads out of its directory', 'DR_CHECKSUM_MISMATCH', /./, { tables: 'x' }],
    ])('refuses an archive %s', async (name, code, message, facts) => {
      const from = await altered(facts);
      await expectRefusal(['restore', '--from', from, '--target', empty], [name, code, message], [empty]);
    });

    it('refuses a directory of something else, a manifest of something else, and an archive without one', async () => {
      const from = join(directory.path, 'foreign');
      const to = ['restore', '--from', from, '--target', empty];
      await expectRefusal(to, ['', 'DR_NOT_FOUND', /metadata\.json|not/], [empty]);
      await cp(archive, from, { recursive: true });
      await writeFile(join(from, 'metadata.json'), '{"tool":"another"}');
      await expectRefusal(to, ['', 'DR_CHECKSUM_MISMATCH', /./], [empty]);
      await rm(join(from, 'metadata.json'));
      await expectRefusal(to, ['', 'DR_NOT_FOUND', /metadata\.json/], [empty]);
    });
  });
});
