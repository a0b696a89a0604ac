import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { processTree } from '../../support/servers/process.ts';
import { median } from '../table.ts';

/** A command that is measured. */
export interface Contender {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  /** What is needed before each run, and is not measured. */
  readonly before?: () => Promise<unknown>;
  /** Size of what it wrote, in bytes. */
  readonly size?: () => Promise<number>;
}

/** One run of a contender. */
export interface Sample {
  readonly wallMs: number;
  /** Processor time of the command and of all it started. */
  readonly clientMs: number;
  /** Processor time of the server while it ran. */
  readonly serverMs: number;
  /** The most memory that one of its processes had in RAM. */
  readonly peakBytes: number;
  readonly bytes: number | null;
}

export type Samples = ReadonlyMap<string, readonly Sample[]>;

/** Resolution of what Linux counts. */
const TICK_MS = 10;
const LOOK_EVERY_MS = 20;
/** Looks at the same processes before new ones are looked for. */
const LOOKS_AT_SAME = 10;

/** Runs the contenders in turn, `rounds` times, every second round in the opposite order; one round before them warms up. */
export async function alternate(
  contenders: readonly Contender[],
  serverPid: number,
  { rounds, warmUp }: { readonly rounds: number; readonly warmUp: boolean },
): Promise<Samples> {
  const samples = new Map<string, Sample[]>(contenders.map(({ name }) => [name, []]));
  for (let round = warmUp ? 0 : 1; round <= rounds; round++) {
    for (const contender of round % 2 === 1 ? contenders : contenders.toReversed()) {
      const sample = await measure(contender, serverPid);
      process.stderr.write(`${contender.name}: ${text(sample)}${round === 0 ? ' (warm-up)' : ''}\n`);
      if (round > 0) samples.get(contender.name)?.push(sample);
    }
  }
  return samples;
}

/** Runs a contender once, unmeasured. */
export async function runOnce(contender: Contender): Promise<void> {
  await contender.before?.();
  await runToEnd(contender);
}

/** Median over the rounds of one figure of two contenders put together. */
export function medianOfPairs(
  samples: Samples,
  [ours, theirs]: readonly [string, string],
  combine: (ours: Sample, theirs: Sample) => number,
): number {
  const peers = samples.get(theirs) ?? [];
  return median((samples.get(ours) ?? []).map((sample, round) => combine(sample, peers[round] as Sample)));
}

/** Median of one figure of a contender. */
export function medianOf(samples: Samples, name: string, figure: (sample: Sample) => number): number {
  return median((samples.get(name) ?? []).map(figure));
}

async function measure(contender: Contender, serverPid: number): Promise<Sample> {
  await contender.before?.();
  const [server, children] = [serverCpuMs(serverPid), cpuMsOf('self').reaped];
  const started = performance.now();
  const { peakBytes } = await runToEnd(contender);
  const wallMs = performance.now() - started;
  return {
    wallMs,
    clientMs: cpuMsOf('self').reaped - children,
    serverMs: serverCpuMs(serverPid) - server,
    peakBytes,
    bytes: (await contender.size?.()) ?? null,
  };
}

async function runToEnd({ command, args, environment }: Contender): Promise<{ readonly peakBytes: number }> {
  const child = spawn(command, args, {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => {
    said = (said + bytes.toString()).slice(-4_000);
  });
  let peakBytes = 0;
  let pids: readonly number[] = [];
  let looks = 0;
  const look = setInterval(() => {
    // Finding processes costs much more than looking at them, and what we take is missing to who is measured.
    if (looks++ % LOOKS_AT_SAME === 0) pids = processTree(child.pid ?? 0);
    for (const pid of pids) peakBytes = Math.max(peakBytes, peakBytesOf(pid));
  }, LOOK_EVERY_MS);
  try {
    const code = await new Promise((done, failed) => {
      child.once('error', failed);
      child.once('close', done);
    });
    if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${said}`);
  } finally {
    clearInterval(look);
  }
  return { peakBytes };
}

/** Processor time of a server, of its processes and of those of them that have ended. */
function serverCpuMs(pid: number): number {
  return processTree(pid).reduce((sum, each) => {
    const { own, reaped } = cpuMsOf(each);
    return sum + own + reaped;
  }, 0);
}

/** Processor time of a process, and of its children that it has waited for. */
function cpuMsOf(pid: number | 'self'): { readonly own: number; readonly reaped: number } {
  const stat = read(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [own, reaped] = [11, 13].map((at) => (Number(fields[at] ?? 0) + Number(fields[at + 1] ?? 0)) * TICK_MS);
  return { own: own ?? 0, reaped: reaped ?? 0 };
}

function peakBytesOf(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function text({ wallMs, clientMs, serverMs }: Sample): string {
  const seconds = (ms: number): string => (ms / 1000).toFixed(2);
  return `${seconds(wallMs)} s, processor ${seconds(clientMs)} + ${seconds(serverMs)} s`;
}
