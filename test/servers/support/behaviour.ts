import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import type { ServerOptions, TestServer } from '../../support/servers/server.ts';

/** A connection to a server, with what these tests need of it. */
export interface Session {
  /** Keeps a number; resolves when the server has acknowledged it. */
  add(number: number): Promise<unknown>;
  /** Every number kept so far. */
  all(): Promise<readonly number[]>;
  close(): Promise<unknown>;
}

/** What every killable server must do, told by the numbers that it keeps. */
export function behavesAsServer(
  start: (options?: ServerOptions) => Promise<TestServer>,
  connect: (server: TestServer) => Promise<Session>,
): void {
  const fresh = async (options?: ServerOptions): Promise<TestServer> => {
    const server = await start(options);
    onTestFinished(() => server[Symbol.asyncDispose]());
    return server;
  };
  const numbers = async (server: TestServer): Promise<readonly number[]> => {
    const session = await connect(server);
    const all = await session.all();
    await session.close();
    return [...all].sort((a, b) => a - b);
  };

  // Compiles, or makes the template, once: not within the first test's time.
  beforeAll(async () => (await start())[Symbol.asyncDispose]());

  it.each([{ fsync: false }, { fsync: true }])('keeps what it acknowledged through kill -9 (%o)', async (options) => {
    const server = await fresh(options);
    const { pid } = server;
    const acknowledged: number[] = [];
    const enough = Promise.withResolvers<void>();
    const writers = [0, 1, 2, 3].map(async (writer) => {
      const session = await connect(server);
      try {
        for (let number = writer; ; number += 4) {
          await session.add(number);
          if (acknowledged.push(number) === 200) enough.resolve();
        }
      } catch {
        // Killed, as it should be.
      } finally {
        await session.close().catch(() => undefined);
      }
    });
    await Promise.race([enough.promise, Promise.all(writers)]);
    await server.kill();
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    await Promise.all(writers);

    await server.restart();
    const kept = await numbers(server);
    expect(new Set(kept).size).toBe(kept.length);
    expect(acknowledged.length).toBeGreaterThanOrEqual(200);
    expect(acknowledged.filter((number) => !kept.includes(number))).toEqual([]);
    expect(server.pid).not.toBe(pid);
  });

  it('keeps its data and port through an orderly stop', async () => {
    const server = await fresh();
    const { url } = server;
    const session = await connect(server);
    await session.add(1);
    await session.close();
    await server.stop();
    await server.restart();
    expect(await numbers(server)).toEqual([1]);
    expect(server.url).toBe(url);
  });

  it('answers nothing while suspended, and goes on when resumed', async () => {
    const server = await fresh();
    const session = await connect(server);
    await session.add(1);
    await server.suspend();
    const asked = session.all();
    const silence = new Promise((resolve) => setTimeout(resolve, 100, 'silence'));
    expect(await Promise.race([asked, silence])).toBe('silence');
    await server.resume();
    expect(await asked).toEqual([1]);
    await session.close();
  });

  it('can be killed while suspended', async () => {
    const server = await fresh();
    await server.suspend();
    await server.kill();
    await server.restart();
    expect(await numbers(server)).toEqual([]);
  });

  it('removes the directory it made, and leaves one that it was given', async () => {
    const server = await start();
    await server[Symbol.asyncDispose]();
    expect(existsSync(server.directory)).toBe(false);

    const directory = await mkdtemp(join(tmpdir(), 'holdfast-given-'));
    onTestFinished(() => rm(directory, { recursive: true, force: true }));
    const first = await start({ directory });
    const session = await connect(first);
    await session.add(1);
    await session.close();
    await first.stop();
    await first[Symbol.asyncDispose]();
    expect(await numbers(await fresh({ directory }))).toEqual([1]);
  });
}
