import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');
const run = promisify(execFile);

/** An empty project with the packed tarball installed, as a user has it. */
let project: string;

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'holdfast-package-'));
  const packed = await run('npm', ['pack', '--json', '--pack-destination', project], { cwd: ROOT });
  const [{ filename }] = JSON.parse(packed.stdout.slice(packed.stdout.indexOf('['))) as [{ filename: string }];
  await writeFile(join(project, 'package.json'), '{"private":true,"type":"module"}');
  const quietly = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  await run('npm', ['install', ...quietly, `./${filename}`], { cwd: project });
}, 240_000);

afterAll(() => rm(project, { recursive: true, force: true }));

it('runs a primary with the example schema from an empty folder', async () => {
  const child = spawn(
    join(project, 'node_modules/.bin/holdfast'),
    ['start', '--port', '0', '--ops-port', '0', '--json'],
    {
      cwd: project,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const exit = once(child, 'exit');
  try {
    const [line] = (await Promise.race([once(createInterface(child.stdout), 'line'), exit])) as [unknown];
    const { url, opsUrl } = JSON.parse(String(line)) as { url: string; opsUrl: string };
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        query: 'mutation { createSchool(input: { name: "Hilltop" }) { outcome school { name } } }',
      }),
    });
    expect(await answer.json()).toMatchObject({
      data: { createSchool: { outcome: 'COMMITTED', school: { name: 'Hilltop' } } },
    });
    expect((await fetch(`${opsUrl}/health/ready`)).status).toBe(200);
  } finally {
    child.kill('SIGTERM');
    expect((await exit)[0]).toBe(0);
  }
});

it('prints its SDL and finds mistakes in one', async () => {
  const holdfast = join(project, 'node_modules/.bin/holdfast');
  expect((await run(holdfast, ['schema', 'print'], { cwd: project })).stdout).toContain('type Query {');
  await writeFile(join(project, 'bad.graphql'), 'type A @entity { id: ID! @idd }\n');
  await expect(run(holdfast, ['schema', 'check', '--schema', '.'], { cwd: project })).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining('SCHEMA_INVALID'),
  });
});

it('is a library with types', async () => {
  const use = `
    import { createGateway, type Gateway, resolveConfig } from 'holdfast';
    import { type ArchiveList, type DrProgress, listArchives } from 'holdfast/dr';
    const config = resolveConfig({ server: { port: 0, opsPort: 0 }, store: { url: 'sqlite:./library' }, telemetry: { level: 'silent' } });
    const gateway: Gateway = await createGateway(config);
    const found: ArchiveList = await listArchives('./no-archives');
    const percent = ({ percent }: DrProgress): number => percent;
    if (found.archives.length > 0) console.log(percent);
    console.log(gateway.url);
    await gateway.stop();
  `;
  await writeFile(join(project, 'use.ts'), use);
  await typeCheck('use.ts');
  const { stdout } = await run(process.execPath, ['use.ts'], { cwd: project });
  expect(stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/graphql\n$/);
});

it('takes the place of the driver, with its types', async () => {
  const use = `
    import { Collection, Db, FindCursor, MongoClient as DriverClient, ObjectId as DriverId, type WithId } from 'mongodb';
    import { type Collection as OurCollection, createFallback, FallbackError, MongoClient, ObjectId, provenance } from 'holdfast/fallback';
    interface Teacher { readonly name: string; readonly age?: number }
    const datasets = { teachers: { from: [{ _id: new ObjectId(), name: 'Ada' }], complete: true } };
    const client: DriverClient = new MongoClient('mongodb://127.0.0.1:1/school', { maxPoolSize: 3, fallback: { datasets } });
    const database: Db = client.db();
    const teachers: Collection<Teacher> = database.collection<Teacher>('teachers');
    const same: OurCollection<Teacher> = teachers;
    await client.connect();
    const cursor: FindCursor<WithId<Teacher>> = teachers.find({ name: 'Ada' }).sort({ name: 1 });
    const names: string[] = await cursor.map(({ name }) => name).toArray();
    const one: WithId<Teacher> | null = await same.findOne({ name: 'Ada' });
    const code: unknown = await teachers.insertOne({ name: 'Grace' }).catch((error: FallbackError) => error.code);
    // @ts-expect-error There is no such field.
    teachers.insertOne({ nmae: 'Grace' });
    // @ts-expect-error There is no such option.
    new MongoClient('mongodb://127.0.0.1:1', { fallback: { dataset: {} } });
    await using functions = await createFallback({ url: 'mongodb://127.0.0.1:1/school', datasets });
    const count: number = await functions.countDocuments<Teacher>('teachers', { name: 'Ada' });
    const source: string | undefined = one === null ? undefined : provenance(one).source;
    console.log(names.join(), source, code, count, ObjectId === DriverId, client instanceof DriverClient);
    await client.close();
    process.exit(0);
  `;
  await writeFile(
    join(project, 'client.ts'),
    use.replaceAll(/^ {4}teachers.insertOne.*nmae.*$|^ {4}new MongoClient.*dataset:.*$/gm, '// $&'),
  );
  await writeFile(join(project, 'types.ts'), use);
  await typeCheck('types.ts');
  const { stdout } = await run(process.execPath, ['client.ts'], { cwd: project });
  expect(stdout).toBe('Ada DATASET DATABASE_UNAVAILABLE 1 true true\n');
}, 60_000);

describeWith(
  'mongodb',
  'The example of an Express service',
  () => {
    /** The example in a directory of its own, where it finds its packages. */
    async function exampleIn(name: string): Promise<string> {
      const directory = join(project, name);
      await cp(join(ROOT, 'examples/express-fallback'), directory, { recursive: true });
      const express = join(project, 'node_modules/express');
      if (!existsSync(express)) await symlink(join(ROOT, 'node_modules/express'), express);
      return directory;
    }

    it('answers with what was written last, and takes new documents, with a live copy and a journal', async () => {
      await using server = await startMongo();
      const directory = await exampleIn('express-live');
      await run('git', ['apply', 'live-copy.diff'], { cwd: directory });
      const service = await startService(directory, server.urlOf('school'));
      try {
        for (const id of ['ada', 'mary']) expect(await service.post({ id, name: id, school: 'Hilltop' })).toBe(201);
        const expected = await service.get('/headmasters');
        await server.kill();
        expect(await service.get('/headmasters')).toEqual(expected);
        const post = () => service.post({ id: 'new', name: 'new', school: 'Hilltop' });
        await eventually('it knows that the database is away', async () => (await post()) !== 503);
        expect(await post()).toBe(409);
        expect(await service.get('/headmasters/count')).toEqual({ count: 3 });
        await server.restart();
        await using client = new MongoClient(server.urlOf('school'));
        const headmasters = client.db().collection('headmasters');
        await eventually('the database has it', async () => (await headmasters.countDocuments()) === 3, 20_000);
        await eventually('it writes again', async () => (await service.post({ id: 'last' })) === 201, 20_000);
        expect(await service.get('/headmasters/count')).toEqual({ count: 4 });
      } finally {
        await service.stop();
      }
    }, 120_000);

    it('goes on without its database after its import was changed, and comes back by itself', async () => {
      await using server = await startMongo();
      const directory = await exampleIn('express-fallback');
      const MONGODB_URL = server.urlOf('school');
      const plain = await startService(directory, MONGODB_URL);
      for (const [id, name, school] of [
        ['ada', 'Ada Lovelace', 'Hilltop'],
        ['mary', 'Mary Somerville', 'Hilltop'],
      ]) {
        expect(await plain.post({ id, name, school })).toBe(201);
      }
      const expected = await plain.get('/headmasters?school=Hilltop');
      expect(expected).toMatchObject([{ name: 'Ada Lovelace' }, { name: 'Mary Somerville' }]);
      await plain.stop();
      await run('git', ['apply', 'outage-proof.diff'], { cwd: directory });
      const service = await startService(directory, MONGODB_URL);
      try {
        expect(await service.get('/headmasters?school=Hilltop')).toEqual(expected);
        expect(await service.get('/headmasters/count')).toEqual({ count: 2 });
        expect(await service.post({ id: 'ada' })).toBe(409);
        await server.kill();
        expect(await service.get('/headmasters?school=Hilltop')).toMatchObject(expected as object);
        expect(await service.get('/headmasters/count')).toEqual({ count: 3 });
        expect(await service.get('/headmasters/grace')).toMatchObject({ name: 'Grace Hopper' });
        expect(await service.get('/headmasters/nobody')).toMatchObject({ error: expect.any(String) });
        expect(await service.post({ id: 'new', name: 'New', school: 'Hilltop' })).toBe(503);
        await server.restart();
        await eventually('it writes again', async () => (await service.post({ id: 'new' })) === 201, 20_000);
        expect(await service.get('/headmasters/count')).toEqual({ count: 3 });
      } finally {
        await service.stop();
      }
    }, 120_000);
  },
  { killable: true },
);

async function startService(cwd: string, MONGODB_URL: string) {
  const child = spawn(process.execPath, ['service.js'], {
    cwd,
    env: { ...process.env, MONGODB_URL, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit');
  const [line] = (await Promise.race([once(createInterface(child.stdout), 'line'), exit])) as [unknown];
  const url = /http:\S+/.exec(String(line))?.[0] ?? '';
  return {
    get: async (path: string): Promise<unknown> => (await fetch(url + path)).json(),
    post: async (body: object): Promise<number> => {
      const headers = { 'content-type': 'application/json' };
      return (await fetch(`${url}/headmasters`, { method: 'POST', headers, body: JSON.stringify(body) })).status;
    },
    stop: async (): Promise<void> => {
      child.kill('SIGKILL');
      await exit;
    },
  };
}

/** Checks a file of the project as a user's own compiler would. */
async function typeCheck(file: string): Promise<void> {
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2024', '--module', 'nodenext'];
  const types = ['--types', 'node', '--typeRoots', join(ROOT, 'node_modules/@types')];
  await run(process.execPath, [TSC, ...options, ...types, file], { cwd: project });
}
