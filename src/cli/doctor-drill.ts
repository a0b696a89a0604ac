import { databaseUrl } from '../config.ts';
import { type Fault, FaultKind } from '../fallback/drill/fault.ts';
import { DrillProxy } from '../fallback/drill/proxy.ts';
import { type CommandContext, ExitCode, UsageError } from './command.ts';
import { Lifetime } from './lifetime.ts';

const DEFAULT_SECONDS = 60;
/** A drill that somebody forgot ends by itself. */
const MAX_SECONDS = 3_600;

/**
 * `holdfast doctor --drill`: stands between a staging gateway and its MongoDB server and lets the connection fail in the way asked
 * for, until the time is over. It changes nothing on the server; the gateway must be started with the URL it prints.
 */
export async function drill({ config: load, options, terminal }: CommandContext): Promise<ExitCode> {
  const { config } = await load('primary');
  if (config.production)
    throw new UsageError('a drill makes requests fail: it is not for production (NODE_ENV=production)');
  const url = databaseUrl(config);
  if (url === undefined) throw new UsageError('name the MongoDB server with --store mongodb://HOST:PORT/DATABASE');
  const target = targetOf(url);
  const fault = faultOf(options);
  const seconds = numberOf(options.for, 'for', DEFAULT_SECONDS, MAX_SECONDS);
  const port = numberOf(options.listen, 'listen', 0, 65_535);
  using lifetime = new Lifetime(() => terminal.note('ending the drill'));
  await using proxy = await DrillProxy.start({ target, port });
  const path = new URL(url).pathname;
  const listening = `mongodb://127.0.0.1:${proxy.port}${path === '' ? '/' : path}?directConnection=true`;
  terminal.note(
    `DRILL for ${seconds} s: ${fault.kind} on the way to ${target.host}:${target.port}. Requests will fail; for staging only.`,
  );
  terminal.note(`start the gateway with --store '${listening}'; Ctrl-C ends the drill at once`);
  proxy.set(fault);
  const timer = Promise.withResolvers<void>();
  const timeout = setTimeout(timer.resolve, seconds * 1_000);
  await Promise.race([timer.promise, lifetime.over]);
  clearTimeout(timeout);
  terminal.result({ fault, hits: proxy.hits, url: listening }, `the drill is over: ${proxy.hits} commands were hit`);
  return ExitCode.OK;
}

function targetOf(url: string): { readonly host: string; readonly port: number } {
  const { protocol, hostname, port, host } = new URL(url.replace(/,.*?(?=\/|$)/, ''));
  if (protocol !== 'mongodb:' || host === '')
    throw new UsageError('a drill needs one server: mongodb://HOST:PORT/DATABASE');
  return { host: hostname, port: port === '' ? 27_017 : Number(port) };
}

/** `hang-before`, `delay:500`, `error:10107`. */
function faultOf({ drill: text, collections, commands }: CommandContext['options']): Fault {
  const [name = '', argument] = String(text).split(':');
  const kind = name.toUpperCase().replaceAll('-', '_');
  if (!Object.hasOwn(FaultKind, kind)) {
    const known = Object.keys(FaultKind).map((each) => each.toLowerCase().replaceAll('_', '-'));
    throw new UsageError(`--drill takes ${known.join(', ')}, not "${text}"`);
  }
  const value = argument === undefined ? undefined : numberOf(argument, 'drill', 0, 1_000_000);
  const list = (given: unknown) => (typeof given === 'string' ? given.split(',') : undefined);
  return {
    kind: kind as FaultKind,
    ...(value === undefined ? {} : kind === 'ERROR' ? { code: value } : { delayMs: value }),
    ...{ collections: list(collections), commands: list(commands) },
  };
}

function numberOf(given: unknown, option: string, otherwise: number, most: number): number {
  if (given === undefined) return otherwise;
  const value = Number(given);
  if (Number.isInteger(value) && value >= 0 && value <= most) return value;
  throw new UsageError(`--${option} takes a whole number up to ${most}, not "${given}"`);
}
