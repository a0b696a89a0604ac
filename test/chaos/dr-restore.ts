import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { backup } from '../../src/dr/backup.ts';
import { seededRandom } from '../support/random.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { startMariadbSubject } from './dr-restore/mariadb.ts';
import { startPostgresSubject } from './dr-restore/postgres.ts';
import type { Image, Subject } from './dr-restore/subject.ts';

const SUBJECTS = { postgres: startPostgresSubject, mariadb: startMariadbSubject };

export interface DrRestoreOptions {
  /** Default `postgres`. */
  readonly server?: 'postgres' | 'mariadb';
  /** Kills. */
  readonly rounds: number;
  readonly seed?: number;
  readonly progress?: (line: string) => void;
}

/** What a run of kills came to. */
export interface DrRestoreReport {
  readonly seed: number;
  readonly tool: number;
  readonly server: number;
  /** Restores that were killed, gone on with, and found equal. */
  readonly restores: number;
}

const PROGRAM = join(import.meta.dirname, '../support/restore-until-killed.ts');
/** One kill in so many is of the server. */
const SERVER_EVERY = 4;
/** Kills of one restore; then it may end. */
const MOST_KILLS = 8;
/** As long as nothing is known of how long a restore takes. */
const FIRST_GUESS_MS = 1_500;

/**
 * Kills with SIGKILL, `rounds` times at random moments, a restore or the server it works in, and goes on each time with `resume`; in turn
 * into an empty database and into live tables. After the end of each the server is killed once more, and the restore gone on with. Each that
 * ends must have made an equal database, and left no mark in it. Throws with the seed when one has not.
 */
export async function proveDrRestore(options: DrRestoreOptions): Promise<DrRestoreReport> {
  const { server = 'postgres', rounds, progress, seed = randomInt(2 ** 31) } = options;
  const random = seededRandom(seed);
  await using directory = await temporaryDirectory();
  await using subject = await SUBJECTS[server]();
  const archive = join(directory.path, 'archive');
  await backup({ source: subject.source, out: archive, compression: 'none' });
  const expected = await subject.imageOf(subject.source);
  const kills = { tool: 0, server: 0 };
  let restores = 0;
  const take = (): number => kills.tool + kills.server;
  try {
    for (; take() < rounds; restores++) {
      const mode = restores % 2 === 0 ? 'full' : 'data';
      const target = await (mode === 'data' ? subject.createLive() : subject.createEmpty());
      const most = Math.min(MOST_KILLS, rounds - take());
      const killing = { server: subject.server, archive, target, mode, random, kills };
      await restoreOverKills({ ...killing, most });
      // Once more after the end: what that takes from unlogged tables comes back as well.
      await subject.server.kill();
      await subject.server.restart();
      await restoreOverKills({ ...killing, most: 0 });
      assertEqual(expected, await subject.imageOf(target));
      progress?.(`${take()}/${rounds} kills, ${restores + 1} restores`);
    }
    return { seed, ...kills, restores };
  } catch (error) {
    throw new Error(`seed ${seed}, after ${take()} kills: ${(error as Error).message}`, { cause: error });
  }
}

interface Killing {
  readonly server: Subject['server'];
  readonly archive: string;
  readonly target: string;
  readonly mode: string;
  /** Kills before it is left alone. */
  readonly most: number;
  readonly random: () => number;
  readonly kills: { tool: number; server: number };
}

/** How long a restore worked that was not killed. */
let usualMs = FIRST_GUESS_MS;

/** Starts a restore again and again until one comes to its end. */
async function restoreOverKills({ server, archive, target, mode, most, random, kills }: Killing): Promise<void> {
  for (let killed = 0; ; ) {
    const restore = await startRestore(archive, target, mode);
    const started = performance.now();
    const patience = new AbortController();
    const wait =
      killed < most ? pause(random() * usualMs, 'kill' as const, { signal: patience.signal }) : restore.ended;
    const first = await Promise.race([wait, restore.ended]);
    patience.abort();
    if (first !== 'kill') {
      if (first !== 0) throw new Error(`a restore ended with ${first}: ${restore.output()}`);
      if (most > 0) usualMs = performance.now() - started;
      return;
    }
    killed += 1;
    if ((kills.tool + kills.server) % SERVER_EVERY === SERVER_EVERY - 1) {
      await server.kill();
      const end = await restore.ended;
      // It may have finished at that very moment.
      if (end !== 0 && end !== 1)
        throw new Error(`a restore without its server ended with ${end}: ${restore.output()}`);
      await server.restart();
      kills.server += 1;
    } else {
      restore.child.kill('SIGKILL');
      await restore.ended;
      kills.tool += 1;
    }
  }
}

interface RunningRestore {
  readonly child: ChildProcess;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  output(): string;
}

/** Resolves when it has loaded its code and begins. */
async function startRestore(archive: string, target: string, mode: string): Promise<RunningRestore> {
  const child = spawn(process.execPath, [PROGRAM, archive, target, mode], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => {
    said += bytes.toString();
  });
  const ended = once(child, 'exit').then(([code, signal]) => (signal ?? code) as number | NodeJS.Signals);
  await Promise.race([once(child.stdout, 'data'), ended]);
  return { child, ended, output: () => said.slice(-2_000) };
}

function assertEqual(expected: Image, found: Image): void {
  if (isDeepStrictEqual(found, expected)) return;
  const lines = (image: Image): Set<string> =>
    new Set([...image].flatMap(([schema, texts]) => texts.map((text) => `${schema}: ${text}`)));
  const [before, after] = [lines(expected), lines(found)];
  const missing = [...before].filter((line) => !after.has(line));
  const added = [...after].filter((line) => !before.has(line));
  throw new Error(
    `the databases differ: missing ${missing.slice(0, 3).join(' | ')}; added ${added.slice(0, 3).join(' | ')}`,
  );
}
