import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { main } from '../../src/cli/main.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { type PostgresServer, startPostgres } from '../support/servers/postgres.ts';

describeWith('postgres', 'holdfast dr', () => {
  let server: PostgresServer;
  let directory: string;

  beforeAll(async () => {
    server = await startPostgres();
    directory = await mkdtemp(join(tmpdir(), 'holdfast-'));
    const client = new Client({ connectionString: await server.createDatabase('shop') });
    await client.connect();
    await client.query(
      'CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int, parent int REFERENCES parent)',
    );
    await client.query(
      'INSERT INTO parent SELECT generate_series(1, 10); INSERT INTO child SELECT i, i FROM generate_series(1, 10) i',
    );
    await client.end();
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  async function run(
    ...args: string[]
  ): Promise<{ readonly code: number; readonly json: unknown; readonly notes: string }> {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const code = await main(['dr', ...args, '--json'], { stdout, stderr });
    const read = (stream: PassThrough): string => String(stream.read() ?? '');
    return { code, json: JSON.parse(read(stdout)), notes: read(stderr) };
  }

  it('backs up, lists, shows, verifies, restores and prunes', async () => {
    const dir = join(directory, 'archives');
    const source = server.urlOf('shop');
    for (const name of ['monday', 'tuesday']) {
      const { code, json } = await run('backup', '--source', source, '--out', join(dir, name), '--workers', '2');
      expect({ code, json }).toMatchObject({ code: 0, json: { tables: 2, rows: 20, dialect: 'postgres' } });
    }
    const from = join(dir, 'monday');
    expect(await run('verify', '--from', from, '--level', 'quick')).toMatchObject({
      code: 0,
      json: { result: 'PASSED' },
    });
    const shown = await run('show', '--from', from);
    expect(shown).toMatchObject({
      code: 0,
      json: { manifest: { closure: false }, verified: { QUICK: { result: 'PASSED' } } },
    });
    const target = await server.createDatabase('shop_copy');
    expect(await run('restore', '--from', from, '--target', target)).toMatchObject({ code: 0, json: { rows: 20 } });
    const listed = await run('list', '--dir', dir);
    expect(listed).toMatchObject({
      code: 0,
      json: { archives: [{ database: 'shop' }, { database: 'shop' }], unknown: [] },
    });
    const pruned = await run('prune', '--dir', dir, '--keep', '1');
    expect(pruned).toMatchObject({ code: 0, json: { dryRun: false, removed: [{ location: from }] } });
    expect(await readdir(dir)).toEqual(['tuesday']);
  });

  it('shows the keys of a database', async () => {
    const { code, json } = await run('graph', '--source', server.urlOf('shop'));
    expect(code).toBe(0);
    expect(json).toMatchObject({ keys: [{ child: 'public.child', parent: 'public.parent' }] });
  });

  it.each([
    [['backup', '--source', 'nowhere', '--out', 'x'], 2, 'USAGE'],
    [['backup', '--out', 'x'], 2, 'USAGE'],
    [['restore', '--from', '/does/not/exist', '--target', 'postgres://app@127.0.0.1:1/x'], 1, 'DR_NOT_FOUND'],
    [['verify', '--from', '/does/not/exist', '--level', 'deepest'], 2, 'USAGE'],
    [['verify', '--from', '/does/not/exist'], 1, 'DR_NOT_FOUND'],
    [['show', '--from', '/does/not/exist', '--key-file', '/does/not/exist'], 2, 'CONFIG_INVALID'],
    [['prune', '--keep', '0'], 2, 'USAGE'],
  ])('%j exits %i with %s', async (args, code, expected) => {
    expect(await run(...args)).toMatchObject({ code, json: { error: { code: expected } } });
  });

  it('never shows a password', async () => {
    const { code, json, notes } = await run('graph', '--source', 'postgres://app:hunter2@127.0.0.1:1/shop');
    expect(code).toBe(1);
    expect(JSON.stringify(json) + notes).not.toContain('hunter2');
  });
});
