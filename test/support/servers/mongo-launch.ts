import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { cached, runTool } from './cache.ts';
import { runContainer } from './container.ts';
import { findProgram, type Running, run } from './process.ts';

/** A MongoDB server that can be started. */
export interface Launch {
  readonly what: string;
  readonly start: (settings: Settings) => Running;
}

interface Settings {
  readonly port: number;
  readonly directory: string;
  readonly fsync: boolean;
  readonly args: readonly string[];
}

/** A way to a MongoDB server: one that is there, one that can be started, or why there is none. */
export type MongoLaunch = { readonly what: string; readonly url: string } | Launch | { readonly reason: string };

const SOURCE = resolve(import.meta.dirname, '../mongodb');
/** Programs that our own launcher needs. */
export const JAVA_TOOLS: readonly string[] = ['mvn', 'javac', 'java'];
const IMAGE = 'mongo:8';
const DOWNLOAD_TIMEOUT_MS = 300_000;

let found: MongoLaunch | undefined;

/**
 * The first MongoDB server that can be had: {@link launchWithoutJava}, else our own launcher of mongo-java-server. Looked for once
 * in a process.
 */
export function mongoLaunch(): MongoLaunch {
  found ??= launchWithoutJava() ?? javaLaunch();
  return found;
}

/**
 * MONGODB_URL (a server that is there), MONGODB_COMMAND (a program called with PORT DIRECTORY that runs one in the foreground),
 * `mongod`, Docker, mongodb-memory-server; the last two may download something, once.
 */
export function launchWithoutJava(): MongoLaunch | undefined {
  const { MONGODB_URL: url, MONGODB_COMMAND: command } = process.env;
  if (url) return { what: `the server at ${url.replace(/\/\/[^@/]*@/, '//***@')} (MONGODB_URL)`, url };
  if (command) return commandLaunch(command);
  const mongod = findProgram('mongod');
  return mongod === undefined ? (dockerLaunch() ?? downloadLaunch()) : mongodLaunch(mongod);
}

function commandLaunch(command: string): Launch {
  return {
    what: `${command} (MONGODB_COMMAND)`,
    start: ({ port, directory }) => run({ command, args: [`${port}`, directory], cwd: directory }),
  };
}

function mongodLaunch(command: string): Launch {
  const version = /v([\d.]+)/.exec(spawnSync(command, ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1] ?? '';
  return {
    what: `mongod ${version} (${command})`,
    start: ({ port, directory, args }) =>
      run({
        command,
        cwd: directory,
        args: ['--port', `${port}`, '--bind_ip', '127.0.0.1', '--dbpath', directory, '--nounixsocket', ...args],
      }),
  };
}

/** The command may be there without an engine, and an engine without a way to the image. */
function dockerLaunch(): Launch | undefined {
  if (findProgram('docker') === undefined || !succeeds('docker', ['info'], 10_000)) return undefined;
  const hasImage = succeeds('docker', ['image', 'inspect', IMAGE], 10_000);
  if (!hasImage && !succeeds('docker', ['pull', '-q', IMAGE], DOWNLOAD_TIMEOUT_MS)) return undefined;
  return { what: `${IMAGE} in Docker`, start: (settings) => runContainer({ image: IMAGE, ...settings }) };
}

/** The mongod that mongodb-memory-server downloads, where that package is installed. */
function downloadLaunch(): Launch | undefined {
  try {
    const require = createRequire(import.meta.url);
    const core = createRequire(require.resolve('mongodb-memory-server')).resolve('mongodb-memory-server-core');
    const script = `require(${JSON.stringify(core)}).MongoBinary.getPath().then((path) => console.log(path))`;
    return mongodLaunch(runTool(process.execPath, ['-e', script], { timeoutMs: DOWNLOAD_TIMEOUT_MS }).trim());
  } catch {
    return undefined;
  }
}

/** mongo-java-server, made durable by DurableMongo.java; compiled once. */
function javaLaunch(): Launch | { readonly reason: string } {
  const missing = JAVA_TOOLS.filter((name) => findProgram(name) === undefined);
  const ways = 'set MONGODB_URL or MONGODB_COMMAND, or install mongod, or maven and default-jdk-headless';
  if (missing.length > 0) return { reason: `no MongoDB: ${missing.join(', ')} not found; ${ways}` };
  const [pom, program] = [join(SOURCE, 'pom.xml'), join(SOURCE, 'DurableMongo.java')];
  try {
    const compiled = cached('mongodb', [readFileSync(pom, 'utf8'), readFileSync(program, 'utf8')], (directory) => {
      const libraries = join(directory, 'lib');
      const fetch = ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${libraries}`];
      runTool('mvn', fetch, { timeoutMs: DOWNLOAD_TIMEOUT_MS });
      runTool('javac', ['-cp', join(libraries, '*'), '-d', join(directory, 'classes'), program]);
    });
    const classPath = `${join(compiled, 'classes')}:${join(compiled, 'lib', '*')}`;
    return {
      what: 'mongo-java-server 1.47.0 on H2 (a stand-in; set MONGODB_URL for a real server)',
      start: ({ port, directory, fsync }) =>
        run({
          command: 'java',
          cwd: directory,
          args: [
            // The quick compiler alone: a server that is killed and started again and again never pays the other back.
            ...[
              '-Xmx1g',
              '-XX:+UseSerialGC',
              '-XX:TieredStopAtLevel=1',
              '-cp',
              classPath,
              'DurableMongo',
              `${port}`,
              directory,
            ],
            ...(fsync ? [] : ['--no-fsync']),
          ],
        }),
    };
  } catch (error) {
    return { reason: `no MongoDB: ${(error as Error).message}; ${ways}` };
  }
}

function succeeds(command: string, args: readonly string[], timeoutMs: number): boolean {
  return spawnSync(command, args, { stdio: 'ignore', timeout: timeoutMs }).status === 0;
}
