import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backup } from '../../src/dr/backup.ts';
import { restore } from '../../src/dr/restore.ts';
import { temporaryDirectory } from './temporary.ts';

const PROGRAM = join(import.meta.dirname, 'restore-until-killed.ts');

/** A server with databases of a test's own; `Contents` are equal when nothing can tell two databases apart. */
export interface Databases<Contents> extends AsyncDisposable {
  readonly server: { kill(): Promise<void>; restart(): Promise<void> };
  create(statements?: string): Promise<string>;
  contents(url: string): Promise<Contents>;
}

export type Mode = 'full' | 'data';

export interface KilledRestoresOptions<Contents> {
  readonly start: () => Promise<Databases<Contents>>;
  /** Makes a database with objects of every kind. */
  readonly everything: string;
  /** Makes tables to load into; fills them; puts triggers on them that spoil what they see. */
  readonly live: { readonly schema: string; readonly rows: string; readonly trigger: string };
  /** Where the restore is killed besides its begin and its end: when such a point is passed for the n-th time. */
  readonly failpoints: readonly (readonly [Mode, string, readonly number[]])[];
  /** Whether the server can be killed. */
  readonly killable: boolean;
}

/** What the tests of one kind of server share; there from `beforeAll` on. */
export interface KilledRestores<Contents> {
  databases: Databases<Contents>;
  directory: string;
}

/** Kills a restore at each of its failpoints, and the server in the middle of one: it goes on, and nothing is lost or there twice. */
export function testKilledRestores<Contents extends { readonly schema: string; readonly rows: unknown }>(
  options: KilledRestoresOptions<Contents>,
): KilledRestores<Contents> {
  const { everything, live, failpoints, killable } = options;
  const shared = {} as KilledRestores<Contents>;
  const sources = new Map<Mode, { readonly archive: string; readonly contents: Contents }>();
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;

  beforeAll(async () => {
    directory = await temporaryDirectory();
    shared.directory = directory.path;
    shared.databases = await options.start();
    for (const [mode, sql] of [
      ['full', everything],
      ['data', live.schema + live.rows + live.trigger],
    ] as const) {
      const source = await shared.databases.create(sql);
      const archive = join(directory.path, mode);
      await backup({ source, out: archive });
      sources.set(mode, { archive, contents: await shared.databases.contents(source) });
    }
  });
  afterAll(async () => {
    await shared.databases[Symbol.asyncDispose]();
    await directory[Symbol.asyncDispose]();
  });

  const everywhere = [
    ...(['full', 'data'] as const).map((mode) => [mode, 'restore.afterMark'] as const),
    ...failpoints.flatMap(([mode, name, counts]) => counts.map((count) => [mode, `${name}:${count}`] as const)),
    ...(['full', 'data'] as const).map((mode) => [mode, 'restore.beforeFinish'] as const),
    ['full', 'restore.afterFinish'] as const,
  ];
  it.each(everywhere)('in mode %s at %s goes on, and nothing is lost or there twice', async (mode, failpoint) => {
    const { databases } = shared;
    const { archive, contents } = sources.get(mode) as { archive: string; contents: Contents };
    const target = await databases.create(mode === 'data' ? live.schema + live.trigger : '');
    expect(await restoreUntilKilled(archive, target, mode, failpoint)).toBe('SIGKILL');
    await restore({ from: archive, target, mode, resume: true });
    const restored = await databases.contents(target);
    expect(restored.schema).toBe(contents.schema);
    expect(restored.rows).toEqual(contents.rows);
  });

  it.skipIf(!killable)('goes on after the server was killed in its middle', async () => {
    const { databases } = shared;
    const { archive, contents } = sources.get('full') as { archive: string; contents: Contents };
    const target = await databases.create();
    let killed: Promise<void> | undefined;
    const result = restore({
      from: archive,
      target,
      onProgress: ({ rowsDone }) => {
        if (rowsDone > 0) killed ??= databases.server.kill();
      },
    });
    await expect(result).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE', details: { resumable: true } });
    await killed;
    await databases.server.restart();
    const { state } = await restore({ from: archive, target, resume: true });
    expect(state).toBe('resumed');
    expect(await databases.contents(target)).toEqual(contents);
  });

  return shared;
}

/** Restores in a process that ends at a failpoint. Returns the signal or the code it ended with. */
export async function restoreUntilKilled(
  archive: string,
  target: string,
  mode: Mode,
  failpoint: string,
): Promise<string | number> {
  const child = spawn(process.execPath, [PROGRAM, archive, target, mode, failpoint]);
  const [code, signal] = (await once(child, 'exit')) as [number, string | null];
  return signal ?? code;
}
