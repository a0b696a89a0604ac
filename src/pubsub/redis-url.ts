import { readFileSync } from 'node:fs';
import { HoldfastError } from '../errors.ts';

export interface RedisHost {
  readonly host: string;
  readonly port: number;
}

/** What a Redis URL says. */
export interface RedisTarget {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  /** One for `single`; the Sentinels, or some nodes of the Cluster, otherwise. At least one. */
  readonly hosts: readonly RedisHost[];
  /** What the Sentinels call the server they watch; empty unless `sentinel`. */
  readonly name: string;
  /** Database number; 0 on a Cluster. */
  readonly database: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly sentinelUsername: string | undefined;
  readonly sentinelPassword: string | undefined;
  /** Contents of PEM files; undefined without TLS. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string } | undefined;
  /** The URL without credentials and parameters, for logs. */
  readonly shown: string;
}

const URL_FORM =
  /^redis(?<tls>s?)(?:\+(?<kind>sentinel|cluster))?:\/\/(?:(?<user>[^:@/?#]*)(?::(?<password>[^@/?#]*))?@)?(?<hosts>[^@/?#]+)(?:\/(?<path>[^?#@]*))?(?:\?(?<query>[^#]*))?$/;
const HOST_FORM = /^(?<host>\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::(?<port>\d{1,5}))?$/;
const PORTS = { single: 6379, cluster: 6379, sentinel: 26379 } as const;
const PEM_FILES = ['ca', 'cert', 'key'] as const;
const SENTINEL_CREDENTIALS = ['sentinelUsername', 'sentinelPassword'] as const;

/**
 * Reads a Redis URL:
 *
 * ```
 * redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]                            one server
 * redis+sentinel://[USER[:PASSWORD]@]HOST[:PORT],HOST[:PORT]/NAME[/DATABASE]  the server NAME that these Sentinels watch
 * redis+cluster://[USER[:PASSWORD]@]HOST[:PORT],HOST[:PORT]                   a Cluster, found through any of these nodes
 * ```
 *
 * With `rediss` in place of `redis` every connection uses TLS; the parameters `ca`, `cert` and `key` then name PEM files.
 * `sentinelUsername` and `sentinelPassword` are for the Sentinels themselves. Characters with a meaning in a URL are written
 * percent-encoded in credentials.
 * @throws CONFIG_INVALID for anything else; the message holds no part of the credentials
 */
export function parseRedisUrl(url: string): RedisTarget {
  const parts = URL_FORM.exec(url)?.groups;
  if (parts === undefined) {
    throw invalid(
      'is not a Redis URL; one looks like redis://USER:PASSWORD@HOST:6379/0, with @, / and ? in them encoded',
    );
  }
  const kind = (parts.kind ?? 'single') as RedisTarget['kind'];
  const hosts = (parts.hosts ?? '').split(',').map((text) => parseHost(text, PORTS[kind]));
  if (kind === 'single' && hosts.length > 1) {
    throw invalid('names several hosts; write redis+sentinel:// or redis+cluster:// for these');
  }
  const path = (parts.path ?? '').split('/').filter((part) => part !== '');
  const name = kind === 'sentinel' ? path.shift() : '';
  if (name === undefined)
    throw invalid('must end in the name that the Sentinels watch: redis+sentinel://HOST:26379/NAME');
  const parameters = parseParameters(parts.query ?? '', kind, parts.tls === 's');
  return {
    kind,
    hosts,
    name: decoded(name),
    database: parseDatabase(path, kind),
    // `redis://:PASSWORD@HOST` is the default user.
    username: parts.user === undefined || parts.user === '' ? undefined : decoded(parts.user),
    password: parts.password === undefined ? undefined : decoded(parts.password),
    sentinelUsername: parameters.get('sentinelUsername'),
    sentinelPassword: parameters.get('sentinelPassword'),
    tls: parts.tls === 's' ? readPemFiles(parameters) : undefined,
    shown: `${url.slice(0, url.indexOf('://'))}://${parts.hosts}${parts.path === undefined ? '' : `/${parts.path}`}`,
  };
}

function parseHost(text: string, defaultPort: number): RedisHost {
  const { host, port } = HOST_FORM.exec(text)?.groups ?? {};
  const number = port === undefined ? defaultPort : Number(port);
  if (host === undefined || number < 1 || number > 65_535) {
    throw invalid('names a host that is none; hosts are written HOST:PORT and separated by commas');
  }
  return { host: host.replace(/^\[|\]$/g, ''), port: number };
}

function parseDatabase(path: readonly string[], kind: RedisTarget['kind']): number {
  const [text = '0', ...others] = path;
  if (!/^\d{1,5}$/.test(text) || others.length > 0) throw invalid('must end in the number of a database, e.g. /0');
  if (kind === 'cluster' && text !== '0') throw invalid('names a database, but a Cluster has only database 0');
  return Number(text);
}

function parseParameters(query: string, kind: RedisTarget['kind'], tls: boolean): ReadonlyMap<string, string> {
  const parameters = new Map(new URLSearchParams(query));
  const known: string[] = [...(tls ? PEM_FILES : []), ...(kind === 'sentinel' ? SENTINEL_CREDENTIALS : [])];
  for (const name of parameters.keys()) {
    if (known.includes(name)) continue;
    const hint = known.length === 0 ? 'this form takes none' : `this form takes ${known.join(', ')}`;
    throw invalid(`has the unknown parameter ${name.slice(0, 40)}; ${hint}`);
  }
  return parameters;
}

function readPemFiles(parameters: ReadonlyMap<string, string>): NonNullable<RedisTarget['tls']> {
  const files = PEM_FILES.filter((name) => parameters.has(name)).map((name) => {
    const file = parameters.get(name) ?? '';
    try {
      return [name, readFileSync(file, 'utf8')] as const;
    } catch (cause) {
      throw invalid(`names with ${name} the file ${file}, which cannot be read`, cause);
    }
  });
  return Object.fromEntries(files);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('holds a % that begins no percent-encoded character; write %25 for the sign itself');
  }
}

function invalid(mistake: string, cause?: unknown): HoldfastError {
  return new HoldfastError('CONFIG_INVALID', `changeLog.redis ${mistake}`, cause === undefined ? {} : { cause });
}
