import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

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
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2024', '--module', 'nodenext'];
  await run(
    process.execPath,
    [TSC, ...options, '--types', 'node', '--typeRoots', join(ROOT, 'node_modules/@types'), 'use.ts'],
    {
      cwd: project,
    },
  );
  const { stdout } = await run(process.execPath, ['use.ts'], { cwd: project });
  expect(stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/graphql\n$/);
});
