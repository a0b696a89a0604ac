import { existsSync, readFileSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { HoldfastError } from './errors.ts';
import { nearest } from './util/nearest.ts';
import { maskSecrets } from './util/secrets.ts';

/** What a process is: it owns its data, or follows another that does. */
export const Role = { PRIMARY: 'primary', REPLICA: 'replica' } as const;
export type Role = (typeof Role)[keyof typeof Role];

/** What a token lets its holder do; src/service/roles.ts has the rules. */
export const ACCESS_ROLES = ['reader', 'writer', 'replica', 'operator', 'admin'] as const;
export type AccessRole = (typeof ACCESS_ROLES)[number];

const MIB = 1024 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;
/** With authentication there is a limit also when none is configured. */
const RATE = { perSecond: 100, burst: 200 } as const;
const PORTS = { primary: { port: 4000, opsPort: 4001 }, replica: { port: 4010, opsPort: 4011 } } as const;

const port = z.int().min(0).max(65_535);
const count = z.int().positive();
/** An API token as the configuration holds it: never the token itself. */
const configuredToken = z.strictObject({
  name: z.string().min(1).max(100),
  hash: z.string().regex(/^[0-9a-f]{64}$/, 'must be the SHA-256 of the token, 64 hexadecimal digits'),
  roles: z.array(z.enum(ACCESS_ROLES)).min(1),
  expiresAt: z.iso.datetime({ offset: true }).optional(),
});

/** A database that is backed up, or restored into, by name. */
const configuredSource = z
  .strictObject({
    url: z.string().min(1).optional(),
    sequelize: z.record(z.string(), z.unknown()).optional(),
    suffixes: z.record(z.string(), z.string()).default({}),
  })
  .refine(
    ({ url, sequelize }) => (url === undefined) !== (sequelize === undefined),
    'must have url or sequelize, not both',
  );

/** Every key with its default. */
function configSchema(role: Role) {
  return z.strictObject({
    role: z.enum(Role).default('primary').describe('set by the command'),
    schema: z.string().min(1).optional().describe('directory of SDL files; the example, or that of the primary'),
    server: z
      .strictObject({
        host: z.string().min(1).default('127.0.0.1').describe('address to listen on'),
        port: port.default(PORTS[role].port).describe('data port; 0 for any free one'),
        opsPort: port.default(PORTS[role].opsPort).describe('ops port; 0 for any free one'),
        cors: z.array(z.url()).default([]).describe('origins of browsers that may ask'),
      })
      .prefault({}),
    store: z
      .strictObject({
        url: z
          .string()
          .regex(
            /^(sqlite:|mongodb(\+srv)?:\/\/)./,
            'is not a store; write sqlite:DIRECTORY or mongodb://HOST:PORT/DATABASE',
          )
          .optional()
          .describe('database of a primary: mongodb:// or sqlite:DIRECTORY; the embedded store in store.data'),
        data: z
          .string()
          .min(1)
          .default('./data')
          .describe('what a primary keeps on its own disk: embedded store, copy of a database server, tokens'),
      })
      .prefault({}),
    changeLog: z
      .strictObject({
        redis: z
          .string()
          .regex(
            /^rediss?(\+sentinel|\+cluster)?:\/\/./,
            'is not a Redis URL; write redis://HOST:6379, or rediss://, redis+sentinel:// or redis+cluster://',
          )
          .optional()
          .describe('Redis that spares the database its readers; none without it'),
        redisBytes: count.default(64 * MIB).describe('memory that changes take in Redis, about'),
        retention: z
          .strictObject({
            maxChanges: count.default(1_000_000).describe('changes kept for replicas and subscribers that return'),
            maxAgeMs: count.default(7 * DAY_MS).describe('age up to which they are kept'),
          })
          .prefault({}),
      })
      .prefault({}),
    replica: z
      .strictObject({
        primary: z
          .array(z.url({ protocol: /^wss?$/, error: 'is not a ws:// or wss:// URL' }))
          .default([])
          .describe('primaries of one database, tried in turn'),
        token: z.string().min(1).optional().describe('token of role replica; file:PATH reads it from a file'),
        data: z.string().min(1).default('./data-replica').describe('where a replica keeps its data'),
        maxLagMs: count.default(10_000).describe('lag beyond which the replica calls itself degraded'),
      })
      .prefault({}),
    fallback: z
      .strictObject({
        tiers: z
          .array(z.enum(['LIVE', 'SNAPSHOT', 'DATASET']))
          .default(['LIVE'])
          .describe('what answers reads while the database is away, the first that knows'),
        exclusiveWriter: z
          .boolean()
          .default(false)
          .describe('nobody but gateways writes to the database: copies are as fresh as the change log'),
        datasets: z
          .strictObject({
            dir: z.string().min(1).default('./datasets').describe('where masked datasets lie, the last three'),
            keyFile: z
              .string()
              .min(1)
              .optional()
              .describe(
                'file with the key that fakes are drawn with; dataset.key in the data directory, made when missing',
              ),
            documents: count.default(10_000).describe('documents of a dataset, about'),
            bytes: count.default(256 * MIB).describe('their size, about'),
            everyHours: z.number().positive().max(8_760).optional().describe('a new dataset every so often; never'),
            maxAgeHours: z.number().positive().optional().describe('age beyond which a dataset answers nothing; none'),
            files: z
              .record(
                z.string(),
                z.union([z.string().min(1), z.strictObject({ file: z.string().min(1), complete: z.boolean() })]),
              )
              .default({})
              .describe(
                'hand-written documents for the tier DATASET: a file by collection, or file and complete; JSON in the variable',
              ),
          })
          .prefault({}),
        breaker: z
          .strictObject({
            failures: count.default(3).describe('failures in a row after which the database is left alone'),
            maxProbeMs: count.default(450).describe('longest pause between two looks whether it is back'),
          })
          .prefault({}),
        deadlineMs: z
          .strictObject({
            read: count.default(400).describe('time that the reads of a request wait for the database'),
            write: count.default(800).describe('time that a write waits for it'),
          })
          .prefault({}),
      })
      .prefault({}),
    journal: z
      .strictObject({
        dir: z
          .string()
          .min(1)
          .optional()
          .describe('where writes wait for the database (`@fallback(writes: JOURNAL)`); journal in the data directory'),
        maxEntries: count.default(100_000).describe('writes that may wait, or wait for somebody to decide'),
        maxBytes: count.default(1024 * MIB).describe('their size, about'),
      })
      .prefault({}),
    dr: z
      .strictObject({
        dir: z.string().min(1).default('./backups').describe('where archives lie: a directory or s3://bucket/prefix'),
        workers: count.max(256).optional().describe('how much is done at once; the number of processors, at most 8'),
        keyFile: z.string().min(1).optional().describe('file with the key that encrypts archives'),
        sources: z
          .record(z.string().regex(/^[\w-]+$/), configuredSource, {
            error: ({ code }) => (code === 'invalid_key' ? 'names are letters, digits, _ and -' : undefined),
          })
          .default({})
          .describe('databases by name: url or sequelize (its options), suffixes by table; JSON in the variable'),
      })
      .prefault({}),
    auth: z
      .strictObject({
        mode: z
          .enum(['none', 'token'])
          .default('none')
          .describe('none: every caller has every role; token: API tokens'),
        tokens: z
          .array(configuredToken)
          .default([])
          .describe('tokens besides those of the data directory: name, hash, roles, expiresAt; JSON in the variable'),
      })
      .prefault({}),
    limits: z
      .strictObject({
        bodyBytes: count.default(MIB).describe('HTTP request body'),
        tokens: count.default(2_000).describe('tokens of a query'),
        depth: count.default(10).describe('depth of a query'),
        aliases: count.default(15).describe('aliases in a query'),
        rootFields: count.default(20).describe('root fields of a query'),
        directives: count.default(8).describe('directives in a query'),
        cost: count.default(5_000).describe('objects a query can return'),
        page: count.default(500).describe('documents in one list'),
        executionMs: count.default(10_000).describe('time to answer'),
        rate: z
          .strictObject({
            perSecond: count.default(RATE.perSecond).describe('requests a second of one principal'),
            burst: count.default(RATE.burst).describe('requests at once of one principal'),
          })
          .optional(),
        socketPayloadBytes: count.default(MIB).describe('one websocket message'),
        socketInitMs: count.default(3_000).describe('time to open a websocket session'),
        socketOperations: count.default(100).describe('operations at once on one websocket'),
      })
      .prefault({}),
    telemetry: z
      .strictObject({
        level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info').describe('log level'),
        format: z
          .enum(['auto', 'json', 'pretty'])
          .default('auto')
          .describe('log format; auto: pretty on a terminal, JSON elsewhere'),
      })
      .prefault({}),
  });
}

type Schema = ReturnType<typeof configSchema>;

/** What a user may write: every key is optional. */
export type ConfigInput = z.input<Schema>;

/** Everything a process is told from outside: complete, checked and frozen. */
export type Config = DeepReadonly<z.output<Schema>> & {
  /** `NODE_ENV=production`: no introspection, no suggestions in errors. */
  readonly production: boolean;
  /** `HOLDFAST_FAILPOINT`: where a test lets the process die, see src/util/failpoint.ts. Refused in production. */
  readonly failpoint: string | undefined;
};

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

/** A key as `config print` and the manual show it. */
export interface ConfigKey {
  /** Dotted path, e.g. `server.port`. */
  readonly path: string;
  /** Environment variable that sets it. */
  readonly variable: string;
  readonly description: string;
}

export interface ConfigSources {
  /** Configuration file; without it `holdfast.config.{yaml,json,ts}` is looked for in `directory`. */
  readonly file?: string | undefined;
  /** What the command runs as. A file or a variable that names another role is a mistake. */
  readonly role?: Role | undefined;
  /** Values of flags by dotted path, with the flag's name. They win over the environment, which wins over the file. */
  readonly flags?: readonly { readonly path: string; readonly value: unknown; readonly flag: string }[];
  /** Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default the working directory. */
  readonly directory?: string;
}

export interface LoadedConfig {
  readonly config: Config;
  /** The file that was read, if any. */
  readonly file: string | undefined;
  /** Where the value of each key comes from: `default`, a file, a variable or a flag. */
  readonly origins: ReadonlyMap<string, string>;
}

const FILES = ['holdfast.config.yaml', 'holdfast.config.json', 'holdfast.config.ts'];
/** Keys that hold a path, which in a file is meant from the file's directory. */
const PATH_KEYS = new Set([
  ...['schema', 'store.url', 'store.data', 'replica.token', 'replica.data'],
  ...['dr.dir', 'dr.keyFile', 'fallback.datasets.dir', 'fallback.datasets.keyFile', 'journal.dir'],
]);
const PREFIX = 'HOLDFAST_';
/** Kubernetes puts these in the environment of every pod beside a service named holdfast; `HOLDFAST_DEBUG` is {@link debugging}, `HOLDFAST_TOKEN` {@link clientToken}, `HOLDFAST_FAILPOINT` {@link Config.failpoint}. */
const FOREIGN_VARIABLES =
  /^HOLDFAST_(DEBUG|TOKEN|FAILPOINT|SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP)(_.*)?)?)$/;

/** Gives a configuration in TypeScript its types: `export default defineConfig({ … })`. */
export function defineConfig(input: ConfigInput): ConfigInput {
  return input;
}

/**
 * Completes and checks a configuration given as a value.
 * @throws CONFIG_INVALID with every mistake
 */
export function resolveConfig(input: ConfigInput = {}, env: ConfigSources['env'] = process.env): Config {
  const layers = new Layers();
  layers.addObject(input, 'the configuration');
  return layers.resolve(env).config;
}

/**
 * Reads file, environment and flags.
 * @throws CONFIG_INVALID with every mistake, each with its key and where it was written
 */
export async function loadConfig(sources: ConfigSources = {}): Promise<LoadedConfig> {
  const env = sources.env ?? process.env;
  const file = findFile(sources);
  const layers = new Layers();
  if (file !== undefined) layers.addObject(await readFile(file), file, dirname(file));
  layers.addEnvironment(env);
  for (const { path, value, flag } of sources.flags ?? []) layers.set(path, value, flag);
  if (sources.role !== undefined) layers.agreeOnRole(sources.role);
  return { ...layers.resolve(env), file };
}

/** Every key there is, in the order of the manual. */
export function configKeys(): readonly ConfigKey[] {
  return [...LEAVES].map(([path, { description }]) => ({ path, variable: variableOf(path), description }));
}

/** Directory in which a process with this configuration keeps its data. */
export function dataDirectory(config: Config): string {
  if (config.role === 'replica') return resolve(config.replica.data);
  const { url, data } = config.store;
  return resolve(url?.startsWith('sqlite:') ? url.slice('sqlite:'.length) : data);
}

/** URL of the database server of a primary; undefined when it keeps its documents in the embedded store. */
export function databaseUrl({ store }: Config): string | undefined {
  return store.url?.startsWith('sqlite:') ? undefined : store.url;
}

/** Directory of the example schema that comes with Holdfast. */
export function exampleSchemaDirectory(): string {
  return fileURLToPath(new URL('../schema/example', import.meta.url));
}

/** The environment for a process of our own that is to see these values, by dotted path, besides what this one sees. */
export function environmentWith(values: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  return {
    ...process.env,
    ...Object.fromEntries(Object.entries(values).map(([path, text]) => [variableOf(path), text])),
  };
}

/** The token that commands show to a running process when no `--token` is given: `HOLDFAST_TOKEN`. */
export function clientToken(env: ConfigSources['env'] = process.env): string | undefined {
  return env.HOLDFAST_TOKEN || undefined;
}

/** Whether errors on the command line come with their stack: `HOLDFAST_DEBUG` is set. */
export function debugging(env: ConfigSources['env'] = process.env): boolean {
  return (env.HOLDFAST_DEBUG ?? '') !== '';
}

/** Values gathered from the sources, last one wins, with every mistake met on the way. */
class Layers {
  readonly #values = new Map<string, unknown>();
  readonly #origins = new Map<string, string>();
  readonly #mistakes: string[] = [];

  addObject(value: unknown, origin: string, directory?: string, prefix = ''): void {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.#mistakes.push(`${prefix === '' ? 'it' : prefix} must hold keys (${origin})`);
      return;
    }
    for (const [name, item] of Object.entries(value)) {
      const path = prefix === '' ? name : `${prefix}.${name}`;
      if (item === null || item === undefined) continue;
      if (LEAVES.has(path)) this.set(path, directory === undefined ? item : absolute(path, item, directory), origin);
      else if (GROUPS.has(path)) {
        // `rate: {}` alone says: with its defaults.
        if (!this.#values.has(path)) this.#values.set(path, {});
        this.addObject(item, origin, directory, path);
      } else this.#unknown(path, [...LEAVES.keys(), ...GROUPS], origin);
    }
  }

  addEnvironment(env: Readonly<Record<string, string | undefined>>): void {
    const paths = new Map([...LEAVES.keys()].map((path) => [variableOf(path), path]));
    for (const [variable, text] of Object.entries(env)) {
      if (!variable.startsWith(PREFIX) || FOREIGN_VARIABLES.test(variable) || text === undefined) continue;
      const path = paths.get(variable);
      if (path === undefined) this.#unknown(variable, paths.keys(), 'the environment');
      else this.set(path, text, variable);
    }
  }

  set(path: string, value: unknown, origin: string): void {
    const leaf = LEAVES.get(path);
    if (leaf === undefined) throw new Error(`there is no configuration key ${path}`);
    this.#values.set(path, typeof value === 'string' ? fromText(leaf.type, value) : value);
    this.#origins.set(path, origin);
  }

  agreeOnRole(role: Role): void {
    const named = this.#values.get('role');
    if (named === undefined) this.set('role', role, 'the command');
    else if (named !== role) {
      this.#mistakes.push(`role is ${named}, but the command is that of a ${role} (${this.#originOf('role')})`);
    }
  }

  resolve(env: NonNullable<ConfigSources['env']>): Omit<LoadedConfig, 'file'> {
    const tree: Record<string, unknown> = {};
    for (const [path, value] of this.#values) plant(tree, path, value);
    const parsed = configSchema(tree.role === 'replica' ? 'replica' : 'primary').safeParse(tree);
    for (const issue of parsed.error?.issues ?? []) this.#invalid(issue);
    if (parsed.success) this.#checkTogether(parsed.data);
    const production = env.NODE_ENV === 'production';
    const failpoint = env.HOLDFAST_FAILPOINT || undefined;
    if (failpoint !== undefined) this.#checkFailpoint(failpoint, production);
    if (!parsed.success || this.#mistakes.length > 0) throw this.#error();
    const { auth, limits } = parsed.data;
    if (auth.mode !== 'none') limits.rate ??= { ...RATE };
    const config = { ...parsed.data, production, failpoint };
    const origins = new Map([...LEAVES.keys()].map((path) => [path, this.#origins.get(path) ?? 'default']));
    return { config: deepFreeze(config), origins };
  }

  /** Rules that concern more than one key. */
  #checkTogether(config: z.output<Schema>): void {
    const { host } = config.server;
    if (config.role === 'replica' && config.replica.primary.length === 0) {
      this.#mistakes.push('replica.primary is missing; name the primary, e.g. --primary ws://127.0.0.1:4000/graphql');
    }
    if (config.auth.mode === 'none' && !isLoopback(host)) {
      this.#mistakes.push(
        `server.host is ${host}: with auth.mode none every caller has every role, so only a loopback address is allowed; set auth.mode to token (${this.#originOf('server.host')})`,
      );
    }
    const hashes = config.auth.tokens.map(({ hash }) => hash);
    if (new Set(hashes).size < hashes.length) {
      this.#mistakes.push(`auth.tokens holds one hash twice (${this.#originOf('auth.tokens')})`);
    }
    if (config.store.url?.startsWith('sqlite:') && this.#values.has('store.data')) {
      this.#mistakes.push(
        `store.url and store.data both name the directory of the embedded store (${this.#originOf('store.url')}, ${this.#originOf('store.data')})`,
      );
    }
    if (config.server.port !== 0 && config.server.port === config.server.opsPort) {
      this.#mistakes.push(
        `server.port and server.opsPort are both ${config.server.port} (${this.#originOf('server.port')}, ${this.#originOf('server.opsPort')})`,
      );
    }
  }

  #checkFailpoint(failpoint: string, production: boolean): void {
    if (production) this.#mistakes.push('HOLDFAST_FAILPOINT kills the process: it is for tests, not for production');
    else if (!/^[\w.]+(:[1-9]\d{0,8})?$/.test(failpoint)) {
      this.#mistakes.push(`HOLDFAST_FAILPOINT is "${failpoint}"; write a name, or name:N for its N-th time`);
    }
  }

  #invalid(issue: z.core.$ZodIssue): void {
    const path = issue.path.join('.');
    const key = [...LEAVES.keys()].find((leaf) => path === leaf || path.startsWith(`${leaf}.`)) ?? path;
    const value = this.#values.get(key);
    const shown = value === undefined ? '' : ` is ${maskSecrets(key, value)}:`;
    this.#mistakes.push(`${path}${shown} ${issue.message} (${this.#originOf(key)})`);
  }

  #unknown(name: string, candidates: Iterable<string>, origin: string): void {
    const meant = nearest(name, candidates);
    const hint = meant === undefined ? '`holdfast config print` lists the keys' : `did you mean ${meant}?`;
    this.#mistakes.push(`${name} is not a key; ${hint} (${origin})`);
  }

  #originOf(path: string): string {
    return this.#origins.get(path) ?? 'default';
  }

  #error(): HoldfastError {
    const [first, ...others] = this.#mistakes;
    const message =
      others.length === 0 ? `${first}` : `\n${this.#mistakes.map((mistake) => `- ${mistake}`).join('\n')}`;
    return new HoldfastError('CONFIG_INVALID', message, { details: { mistakes: this.#mistakes } });
  }
}

function findFile({ file, directory = process.cwd() }: ConfigSources): string | undefined {
  if (file !== undefined) {
    const path = resolve(directory, file);
    if (!existsSync(path)) throw new HoldfastError('CONFIG_INVALID', `the configuration file ${path} does not exist`);
    return path;
  }
  const found = FILES.map((name) => join(directory, name)).filter((path) => existsSync(path));
  if (found.length > 1) {
    throw new HoldfastError('CONFIG_INVALID', `there are two configuration files, ${found.join(' and ')}; keep one`);
  }
  return found[0];
}

async function readFile(file: string): Promise<unknown> {
  try {
    switch (extname(file)) {
      case '.yaml':
      case '.yml':
        return parseYaml(readFileSync(file, 'utf8')) ?? {};
      case '.json':
        return JSON.parse(readFileSync(file, 'utf8'));
      case '.ts':
      case '.js':
      case '.mjs':
        return ((await import(pathToFileURL(file).href)) as { default?: unknown }).default;
      default:
        throw new Error('its name must end in .yaml, .json or .ts');
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HoldfastError('CONFIG_INVALID', `the configuration file ${file} cannot be read: ${reason}`, { cause });
  }
}

function absolute(path: string, value: unknown, directory: string): unknown {
  if (!PATH_KEYS.has(path) || typeof value !== 'string' || value.startsWith('s3://')) return value;
  const [, scheme, place = ''] = /^(sqlite:|file:)(.+)$/.exec(value) ?? [];
  if (scheme !== undefined) return scheme + resolve(directory, place);
  return path === 'replica.token' || URL.canParse(value) ? value : resolve(directory, value);
}

/** Text of a variable or flag as the value its key wants; text that does not fit is left for zod to refuse. */
function fromText(type: z.ZodType, text: string): unknown {
  if (type instanceof z.ZodNumber) return /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text;
  if (type instanceof z.ZodRecord || (type instanceof z.ZodArray && text.trimStart().startsWith('[')))
    return fromJson(text);
  if (type instanceof z.ZodArray)
    return text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
  return text;
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function variableOf(path: string): string {
  return PREFIX + path.replace(/[A-Z]/g, '_$&').replaceAll('.', '_').toUpperCase();
}

function plant(tree: Record<string, unknown>, path: string, value: unknown): void {
  const [name = '', ...rest] = path.split('.');
  if (rest.length === 0) tree[name] = value;
  else {
    tree[name] ??= {};
    plant(tree[name] as Record<string, unknown>, rest.join('.'), value);
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) deepFreeze(item);
  return Object.freeze(value);
}

/** Paths that hold a value and paths that hold keys, read off the schema. */
const LEAVES = new Map<string, { readonly type: z.ZodType; readonly description: string }>();
const GROUPS = new Set<string>();
gather(configSchema('primary'), '');

function gather(schema: z.ZodObject, prefix: string): void {
  for (const [name, wrapped] of Object.entries(schema.shape)) {
    const path = prefix + name;
    const inner = unwrapped(wrapped as z.ZodType);
    if (inner instanceof z.ZodObject) {
      GROUPS.add(path);
      gather(inner, `${path}.`);
    } else LEAVES.set(path, { type: inner, description: (wrapped as z.ZodType).description ?? '' });
  }
}

function unwrapped(type: z.ZodType): z.ZodType {
  if (type instanceof z.ZodDefault || type instanceof z.ZodOptional || type instanceof z.ZodPrefault) {
    return unwrapped(type.unwrap() as z.ZodType);
  }
  return type;
}
