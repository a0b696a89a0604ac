import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { DrJob } from '../../src/service/dr-service.ts';
import { drawToken, tokenHash } from '../../src/service/token.ts';
import { eventually } from '../support/eventually.ts';
import { ask, post } from '../support/graphql.ts';
import { type HoldfastProcess, startHoldfast } from '../support/holdfast.ts';
import { subscriber } from '../support/nodes.ts';
import { PostgresDatabases } from '../support/postgres-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** Tables with keys; and one whose index takes half a minute to build as long as there is a database of this name. */
const SLOW = 'slow_down';
const SHOP = `
CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$BEGIN
  IF EXISTS (SELECT FROM pg_database WHERE datname = '${SLOW}') THEN PERFORM pg_sleep(0.1); END IF; RETURN $1; END$$;
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO users SELECT n, 'user ' || n FROM generate_series(1, 500) n;
${[1, 2, 3, 4]
  .map(
    (n) => `CREATE TABLE orders_${n} (id serial PRIMARY KEY, buyer int NOT NULL REFERENCES users, what text);
INSERT INTO orders_${n} (buyer, what) SELECT 1 + n % 500, repeat(md5(n::text), 10) FROM generate_series(1, 2000) n;`,
  )
  .join('\n')}
CREATE TABLE crawl (id int); INSERT INTO crawl SELECT generate_series(1, 300); CREATE INDEX crawling ON crawl (slow(id));`;

const FIELDS =
  'id kind state source target backup level error { code message } progress { percent tablesDone tablesTotal }';

type Job = Pick<DrJob, 'id' | 'kind' | 'state' | 'backup' | 'error'> & {
  readonly progress: { readonly percent: number };
};

describeWith('postgres', 'disaster recovery by mutation', () => {
  let databases: PostgresDatabases;
  let shop: string;
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  const gateways: HoldfastProcess[] = [];
  let sources: Record<string, string>;
  beforeAll(async () => {
    databases = await PostgresDatabases.start({ args: ['-c', 'max_connections=60'] });
    shop = await databases.create(SHOP);
  });
  afterAll(() => databases[Symbol.asyncDispose]());
  beforeEach(async () => {
    directory = await temporaryDirectory();
    sources = { shop, copy: await databases.create() };
  });
  afterEach(async () => {
    for (const gateway of gateways.splice(0)) await gateway.kill();
    await directory[Symbol.asyncDispose]();
  });

  const archives = (): string => join(directory.path, 'archives');

  /** A gateway on the test's archives; its ops API. */
  async function start(options: { failpoint?: string; data?: string; auth?: object } = {}) {
    const config = join(directory.path, `holdfast-${gateways.length}.json`);
    const named = Object.fromEntries(Object.entries(sources).map(([name, url]) => [name, { url }]));
    const dr = { dir: archives(), workers: 2, sources: named };
    await writeFile(config, JSON.stringify({ dr, ...(options.auth && { auth: options.auth }) }));
    const args = ['start', '--config', config, '--port', '0', '--ops-port', '0'];
    const gateway = startHoldfast(
      [...args, '--data', join(directory.path, options.data ?? 'data')],
      options.failpoint === undefined ? {} : { HOLDFAST_FAILPOINT: options.failpoint },
    );
    gateways.push(gateway);
    return { gateway, ops: `${(await gateway.ready).opsUrl}/graphql` };
  }

  const mutate = async (ops: string, call: string): Promise<Job> =>
    (await ask<{ job: Job }>(ops, `mutation { job: ${call} { ${FIELDS} } }`)).job;
  const codeOf = async (ops: string, call: string, headers = {}): Promise<string | undefined> =>
    (await post(ops, call, {}, headers)).errors?.[0]?.extensions.code;
  const jobOf = async (ops: string, id: string): Promise<Job> =>
    (await ask<{ drJob: Job }>(ops, `query($id: ID!) { drJob(id: $id) { ${FIELDS} } }`, { id })).drJob;
  const finished = async (ops: string, id: string): Promise<Job> =>
    await eventually(
      'the job ends',
      async () => {
        const job = await jobOf(ops, id);
        return ['QUEUED', 'RUNNING'].includes(job.state) ? undefined : job;
      },
      60_000,
    );
  const run = async (ops: string, call: string): Promise<Job> => finished(ops, (await mutate(ops, call)).id);

  async function expectEqual(target: string): Promise<void> {
    const [before, after] = [await databases.contents(shop), await databases.contents(target)];
    expect(after.schema).toBe(before.schema);
    expect(after.rows).toEqual(before.rows);
  }

  const BACKUP = 'drBackup(input: {source: "shop"})';
  const restore = (backup: string, target = 'copy'): string =>
    `drRestore(input: {backup: "${backup}", target: "${target}"})`;

  it('backs up and restores, followed to the end by a subscription; the second restore is refused', async () => {
    const { ops } = await start();
    const followed = async (call: string): Promise<Job[]> => {
      const { id } = await mutate(ops, call);
      const query = `subscription($id: ID!) { drProgress(id: $id) { ${FIELDS} } }`;
      const values = subscriber<{ drProgress: Job }>(ops.replace('http', 'ws'), query, { id });
      await values.ended;
      return values.events.map(({ drProgress }) => drProgress);
    };
    const backup = (await followed(BACKUP)).at(-1);
    expect(backup).toMatchObject({ kind: 'BACKUP', state: 'SUCCEEDED', source: 'shop', target: null, error: null });
    const restored = await followed(restore(backup?.backup ?? ''));
    expect(restored.at(-1)).toMatchObject({ state: 'SUCCEEDED', target: 'copy', progress: { percent: 100 } });
    const percents = restored.map(({ progress }) => progress?.percent ?? 0);
    expect(percents).toEqual([...percents].sort((a, b) => a - b));
    await expectEqual(sources.copy as string);
    expect(await codeOf(ops, `mutation { ${restore(backup?.backup ?? '')} { id } }`)).toBe('DR_TARGET_NOT_EMPTY');
    const verified = await run(ops, `drVerify(input: {backup: "${backup?.backup}", level: DRILL, target: "copy"})`);
    expect(verified).toMatchObject({ state: 'SUCCEEDED', level: 'DRILL' });
    const told = await ask<Record<string, unknown>>(
      ops,
      `{ drSources { name location problem } drBackups { name database tables encrypted verified { level passed recoveryMs } }
        drJobs { kind } drGraph(source: "shop") { tables { name inDegree } keys { child parent } } }`,
    );
    expect(told).toMatchObject({
      drSources: [{ name: 'shop', location: expect.stringMatching(/^127\.0\.0\.1:\d+\/test_1$/) }, { name: 'copy' }],
      drBackups: [{ name: backup?.backup, tables: 6, encrypted: false }],
      drJobs: [{ kind: 'VERIFY' }, { kind: 'RESTORE' }, { kind: 'BACKUP' }],
    });
    expect((told.drGraph as { keys: unknown[] }).keys).toContainEqual({
      child: 'public.orders_1',
      parent: 'public.users',
    });
    expect(await ask(ops, `mutation { drDelete(backup: "${backup?.backup}") }`)).toEqual({ drDelete: true });
    expect((await readdir(archives())).filter((name) => name !== 'jobs')).toEqual([]);
    const { auditLog } = await ask<{ auditLog: object[] }>(ops, '{ auditLog { action by outcome code } }');
    expect(auditLog.slice(0, 3)).toMatchObject([
      { action: 'drDelete', by: 'anonymous', outcome: 'SUCCEEDED' },
      { action: 'drVerify', outcome: 'SUCCEEDED' },
      { action: 'drRestore', outcome: 'FAILED', code: 'DR_TARGET_NOT_EMPTY' },
    ]);
  });

  it('refuses what cannot be done: an error, no job, nothing written', async () => {
    sources.away = 'postgres://127.0.0.1:1/nothing';
    sources.wrong = 'http://example.org';
    const { ops } = await start();
    const backup = (await run(ops, BACKUP)).backup;
    await mkdir(join(directory.path, 'elsewhere'));
    const input = (source: string, rest = ''): string =>
      `mutation { drBackup(input: {source: "${source}"${rest}}) { id } }`;
    const refusals: [string, string][] = [
      [input('shopp'), 'DR_NOT_FOUND'],
      [input('__proto__'), 'DR_NOT_FOUND'],
      [input(shop), 'DR_NOT_FOUND'],
      [input('../shop'), 'DR_NOT_FOUND'],
      [input('away'), 'DATABASE_UNAVAILABLE'],
      [input('wrong'), 'CONFIG_INVALID'],
      [input('shop', ', compress: "gzip"'), 'VALIDATION_FAILED'],
      [input('shop', ', workers: 0'), 'VALIDATION_FAILED'],
      [input('shop', ', closure: true'), 'VALIDATION_FAILED'],
      [input('shop', ', tables: ["nothing"]'), 'VALIDATION_FAILED'],
      [input('shop', ', suffixes: [{table: "users", sql: "WHERE id = 1; DROP TABLE users"}]'), 'VALIDATION_FAILED'],
      [input('shop', ', suffixes: [{table: "users", sql: "WHERE true) AS x, (SELECT 1"}]'), 'VALIDATION_FAILED'],
      [input('shop', ', suffixes: [{table: "users", sql: "WHERE no_such = 1"}]'), 'VALIDATION_FAILED'],
      ...['../elsewhere', '/etc', 'jobs', '.', '', `../archives/${backup}`, `${backup}/`].map(
        (name): [string, string] => [
          `mutation { ${restore(name)} { id } }`,
          name === '' ? 'VALIDATION_FAILED' : 'DR_NOT_FOUND',
        ],
      ),
      [`mutation { drDelete(backup: "../elsewhere") }`, 'DR_NOT_FOUND'],
      [`mutation { ${restore(backup, 'shop')} { id } }`, 'DR_TARGET_IS_SOURCE'],
      [`mutation { ${restore(backup, 'nowhere')} { id } }`, 'DR_NOT_FOUND'],
      [
        `mutation { drRestore(input: {backup: "${backup}", target: "copy", confirm: "shop"}) { id } }`,
        'CONFIG_INVALID',
      ],
      [`mutation { drRestore(input: {backup: "${backup}", target: "copy", tables: ["no"]}) { id } }`, 'DR_NOT_FOUND'],
      [`mutation { drVerify(input: {backup: "${backup}", level: DRILL}) { id } }`, 'VALIDATION_FAILED'],
      [`mutation { drVerify(input: {backup: "${backup}", target: "copy"}) { id } }`, 'VALIDATION_FAILED'],
      ['mutation { drCancel(id: "../../etc/passwd") { id } }', 'DR_NOT_FOUND'],
      ['mutation { drResume(id: "x") { id } }', 'DR_NOT_FOUND'],
    ];
    for (const [call, code] of refusals) expect([call, await codeOf(ops, call)]).toEqual([call, code]);
    expect((await ask<{ drJobs: object[] }>(ops, '{ drJobs { id } }')).drJobs).toHaveLength(1);
    expect((await readdir(archives())).sort()).toEqual([backup, 'jobs']);
    expect((await databases.contents(sources.copy as string)).rows).toHaveLength(1);
  });

  it('fails a backup that a kill -9 interrupted, removes its files, and starts it anew when asked', async () => {
    const first = await start({ failpoint: 'backup.afterChunk:3' });
    const { id } = await mutate(first.ops, BACKUP);
    expect(await first.gateway.exited).toBe('SIGKILL');
    expect(await readdir(archives())).toContain(id);
    const { ops } = await start();
    expect(await finished(ops, id)).toMatchObject({ state: 'FAILED', error: { code: 'DR_INTERRUPTED' } });
    expect(await readdir(archives())).toEqual(['jobs']);
    await mutate(ops, `drResume(id: "${id}")`);
    expect(await finished(ops, id)).toMatchObject({ state: 'SUCCEEDED', backup: id, error: null });
    expect(await run(ops, restore(id))).toMatchObject({ state: 'SUCCEEDED' });
    await expectEqual(sources.copy as string);
  });

  it('keeps a backup that was whole when a kill -9 came', async () => {
    const first = await start({ failpoint: 'backup.afterManifest' });
    const { id } = await mutate(first.ops, BACKUP);
    await first.gateway.exited;
    const { ops } = await start();
    expect(await finished(ops, id)).toMatchObject({ state: 'SUCCEEDED', error: null });
    expect(await run(ops, `drVerify(input: {backup: "${id}"})`)).toMatchObject({ state: 'SUCCEEDED' });
  });

  it.each([
    'restore.afterMark',
    'restore.afterChunk:2',
    'restore.beforeCommit:3',
    'restore.beforeFinish',
    'restore.afterFinish',
  ])('goes on by itself with a restore that a kill -9 interrupted at %s', async (failpoint) => {
    const first = await start({ failpoint });
    const { backup } = await run(first.ops, BACKUP);
    const { id } = await mutate(first.ops, restore(backup));
    expect(await first.gateway.exited).toBe('SIGKILL');
    const { ops } = await start();
    expect(await finished(ops, id)).toMatchObject({ state: 'SUCCEEDED', error: null });
    await expectEqual(sources.copy as string);
  });

  it('leaves no scratch database of a drill that a kill -9 interrupted', async () => {
    const first = await start({ failpoint: 'restore.afterChunk:2' });
    const { backup } = await run(first.ops, BACKUP);
    const { id } = await mutate(first.ops, `drVerify(input: {backup: "${backup}", level: DRILL, target: "copy"})`);
    await first.gateway.exited;
    const drills = () => databases.query(shop, `SELECT datname FROM pg_database WHERE datname LIKE 'holdfast_drill%'`);
    expect(await drills()).toHaveLength(1);
    const { ops } = await start();
    expect(await finished(ops, id)).toMatchObject({ state: 'FAILED', error: { code: 'DR_INTERRUPTED' } });
    expect(await drills()).toEqual([]);
  });

  it('lets one restore into a database, keeps its backup, cancels it, and goes on with it', async () => {
    const { ops } = await start();
    const { backup } = await run(ops, BACKUP);
    await databases.server.createDatabase(SLOW);
    const { id } = await mutate(ops, restore(backup));
    const building = async () =>
      (
        await ask<{ drJob: { progress: { phase: string } | null } }>(
          ops,
          `{ drJob(id: "${id}") { progress { phase } } }`,
        )
      ).drJob.progress?.phase;
    await eventually('the slow index', async () => /index/.test((await building()) ?? ''), 30_000);
    expect(await codeOf(ops, `mutation { ${restore(backup)} { id } }`)).toBe('DR_LOCKED');
    expect(await codeOf(ops, `mutation { drDelete(backup: "${backup}") }`)).toBe('DR_LOCKED');
    expect(await run(ops, BACKUP)).toMatchObject({ state: 'SUCCEEDED' });
    expect(await mutate(ops, `drCancel(id: "${id}")`)).toMatchObject({
      state: 'CANCELLED',
      error: { code: 'DR_CANCELLED' },
    });
    expect(await codeOf(ops, `mutation { ${restore(backup)} { id } }`)).toBe('DR_TARGET_NOT_EMPTY');
    await databases.query(shop, `DROP DATABASE ${SLOW}`);
    await mutate(ops, `drResume(id: "${id}")`);
    expect(await finished(ops, id)).toMatchObject({ state: 'SUCCEEDED', error: null });
    await expectEqual(sources.copy as string);
  });

  it('stops a restore at SIGTERM so that the next process goes on, and fails a backup honestly', async () => {
    const first = await start();
    const { backup } = await run(first.ops, BACKUP);
    await databases.server.createDatabase(SLOW);
    const slow = await mutate(first.ops, restore(backup));
    const select = 'suffixes: [{table: "users", sql: "WHERE pg_sleep(0.1) IS NOT NULL"}]';
    const interrupted = await mutate(first.ops, `drBackup(input: {source: "shop", ${select}})`);
    expect(interrupted.state).toBe('RUNNING');
    expect(await first.gateway.stop()).toBe(0);
    expect((await readdir(archives())).sort()).toEqual([backup, 'jobs'].sort());
    await databases.query(shop, `DROP DATABASE ${SLOW}`);
    const { ops } = await start();
    expect(await jobOf(ops, interrupted.id)).toMatchObject({ state: 'FAILED', error: { code: 'DR_INTERRUPTED' } });
    expect(await finished(ops, slow.id)).toMatchObject({ state: 'SUCCEEDED' });
    await expectEqual(sources.copy as string);
  });

  it('of two gateways with the same archives one runs jobs; the other tells of them, and takes over', async () => {
    const [one, two] = [await start(), await start({ data: 'data-2' })];
    const { id } = await run(one.ops, BACKUP);
    expect(await jobOf(two.ops, id)).toMatchObject({ state: 'SUCCEEDED' });
    expect(await codeOf(two.ops, `mutation { ${restore(id)} { id } }`)).toBe('DR_LOCKED');
    await one.gateway.kill();
    expect(await run(two.ops, restore(id))).toMatchObject({ state: 'SUCCEEDED' });
  });

  it('is for operators, not for readers', async () => {
    const tokens = { reader: drawToken(), operator: drawToken() };
    const listed = Object.entries(tokens).map(([role, token]) => ({
      name: role,
      hash: tokenHash(token),
      roles: [role],
    }));
    const { ops } = await start({ auth: { mode: 'token', tokens: listed } });
    const as = (token: string) => ({ authorization: `Bearer ${token}` });
    const calls = [
      `mutation { ${BACKUP} { id } }`,
      '{ drJobs { id } }',
      '{ auditLog { id } }',
      '{ drSources { name } }',
    ];
    for (const call of calls) {
      expect(await codeOf(ops, call, as(tokens.reader))).toBe('FORBIDDEN');
      expect(await codeOf(ops, call)).toBe('UNAUTHENTICATED');
      expect(await codeOf(ops, call, as(tokens.operator))).toBeUndefined();
    }
    const { data } = await post(ops, '{ auditLog { action by } }', {}, as(tokens.operator));
    expect(data).toMatchObject({ auditLog: [{ action: 'drBackup', by: expect.stringMatching(/^[0-9a-f]{16}$/) }] });
  });
});
