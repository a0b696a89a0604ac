import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { connect } from '../../replica/client.ts';
import { ERRORS, isHoldfastError } from '../errors.ts';
import { Database } from '../sqlite/database.ts';

/** What `holdfast doctor` found out about one thing. */
export interface Finding {
  readonly check: string;
  readonly state: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** What to do; absent when all is well. */
  readonly remedy?: string;
}

const NODE_MAJOR = 24;
const MIB = 1024 * 1024;
/** How far clocks may be apart: versions and lag come from them. */
const MAX_SKEW_MS = 2_000;

export function checkNode(version: string): Finding {
  if (Number.parseInt(version, 10) >= NODE_MAJOR) return { check: 'node', state: 'ok', detail: version };
  return { check: 'node', state: 'fail', detail: version, remedy: `install Node ${NODE_MAJOR} or newer` };
}

/** Whether `port` can be listened on, or a running Holdfast (whose ops port is `opsPort`) has it. */
export async function checkPort(
  check: string,
  host: string,
  port: number,
  opsPort: number,
  flag: string,
): Promise<Finding> {
  const code = await listenError(host, port);
  if (code === undefined) return { check, state: 'ok', detail: `${host}:${port} is free` };
  if (code !== 'EADDRINUSE') {
    return {
      check,
      state: 'fail',
      detail: `${host}:${port} cannot be listened on: ${code}`,
      remedy: `choose another with ${flag}`,
    };
  }
  if (await isHoldfast(host, opsPort)) return { check, state: 'ok', detail: `${host}:${port}: a running Holdfast` };
  return { check, state: 'fail', detail: `${host}:${port} is taken`, remedy: ERRORS.PORT_IN_USE.remedy };
}

/** Whether the data directory can be written, and who uses it. Creates nothing. */
export function checkData(directory: string): Finding {
  const check = 'data';
  const existing = nearestExisting(directory);
  try {
    accessSync(existing, constants.W_OK | constants.X_OK);
    if (!statSync(existing).isDirectory()) throw new Error('not a directory');
  } catch {
    return { check, state: 'fail', detail: `${existing} cannot be written`, remedy: ERRORS.DATA_UNWRITABLE.remedy };
  }
  if (existing !== directory) return { check, state: 'ok', detail: `${directory} will be created` };
  const lock = join(directory, 'holdfast.lock');
  if (!existsSync(lock)) return { check, state: 'ok', detail: `${directory} is writable` };
  try {
    void Database.open({ directory }).close();
    return { check, state: 'ok', detail: `${directory} is writable and unused` };
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    if (error.code === 'DATA_LOCKED') {
      return { check, state: 'ok', detail: `${directory} is used by ${userOf(lock) ?? 'another process'}` };
    }
    return { check, state: 'fail', detail: error.message, remedy: ERRORS[error.code].remedy };
  }
}

export function checkDisk(directory: string): Finding {
  const { bavail, bsize } = statfsSync(nearestExisting(directory));
  const freeMib = Math.floor((bavail * bsize) / MIB);
  const found = { check: 'disk', detail: `${freeMib.toLocaleString('en')} MiB free` };
  if (freeMib >= 1024) return { ...found, state: 'ok' };
  const remedy = 'free some space, or choose another disk with --data; writes stop when it is full';
  return { ...found, state: freeMib < 100 ? 'fail' : 'warn', remedy };
}

/** Whether the clock went back: something in the data directory was written later than now. */
export function checkClock(directory: string, now: number): Finding {
  const check = 'clock';
  const files = existsSync(directory) ? readdirSync(directory) : [];
  const newest = Math.max(0, ...files.map((name) => statSync(join(directory, name)).mtimeMs));
  if (newest <= now + MAX_SKEW_MS) return { check, state: 'ok', detail: new Date(now).toISOString() };
  const detail = `${new Date(now).toISOString()}, but data was written at ${new Date(newest).toISOString()}`;
  return { check, state: 'warn', detail, remedy: 'set the clock (chrony, ntpd); versions stay ahead of it meanwhile' };
}

/** Whether the primary at `url` lets a replica in, and its clock agrees with ours. */
export async function checkPrimary(url: string, token: string | undefined): Promise<Finding> {
  const check = 'primary';
  try {
    const source = await connect(url, { token, connectMs: 3_000, callMs: 3_000 });
    const { head } = await source.hello(null, { collections: null }).finally(() => source.close());
    const skewMs = await skewOf(url);
    const detail = `${url} answers, ${head} changes`;
    if (skewMs === undefined || Math.abs(skewMs) <= MAX_SKEW_MS) return { check, state: 'ok', detail };
    const remedy = 'set the clocks of both machines (chrony, ntpd); lag is told from them';
    return { check, state: 'warn', detail: `${detail}; its clock differs by ${Math.round(skewMs)} ms`, remedy };
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    return { check, state: 'fail', detail: error.message, remedy: ERRORS[error.code].remedy };
  }
}

function listenError(host: string, port: number): Promise<string | undefined> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    server.listen(port, host, () => server.close(() => done(undefined)));
  });
}

async function isHoldfast(host: string, opsPort: number): Promise<boolean> {
  try {
    const response = await fetch(`http://${host}:${opsPort}/health/live`, { signal: AbortSignal.timeout(1_000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

/** The `Date` header has whole seconds, cut off; half of one is added. */
async function skewOf(url: string): Promise<number | undefined> {
  const response = await fetch(url.replace(/^ws/, 'http'), { signal: AbortSignal.timeout(3_000) }).catch(
    () => undefined,
  );
  await response?.body?.cancel();
  const date = Date.parse(response?.headers.get('date') ?? '');
  return Number.isNaN(date) ? undefined : date + 500 - Date.now();
}

function nearestExisting(path: string): string {
  return existsSync(path) ? path : nearestExisting(dirname(path));
}

/** The process that has `file` open, where the system tells (Linux, own processes). */
function userOf(file: string): string | undefined {
  const real = existsSync('/proc/self/fd') ? readdirSync('/proc').filter((name) => /^\d+$/.test(name)) : [];
  for (const pid of real) {
    try {
      const open = readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === file);
      if (open) return `process ${pid} (${commandOf(pid)})`;
    } catch {
      // Another user's process, or one that ended meanwhile.
    }
  }
  return undefined;
}

function commandOf(pid: string): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim().slice(0, 80);
}
