import { z } from 'zod';

/** What a process is: it owns its data, or follows another that does. */
export const Role = { PRIMARY: 'primary', REPLICA: 'replica' } as const;
export type Role = (typeof Role)[keyof typeof Role];

/** What a token lets its holder do; src/service/roles.ts has the rules. */
export const ACCESS_ROLES = ['reader', 'writer', 'replica', 'operator', 'admin'] as const;
export type AccessRole = (typeof ACCESS_ROLES)[number];

const MIB = 1024 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;
/** With authentication there is a limit also when none is configured. */
export const RATE = { perSecond: 100, burst: 200 } as const;
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
export function configSchema(role: Role) {
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
            holdMs: count
              .default(10_000)
              .describe('how long it is left alone when it went away four times, each within 5 s of its return'),
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

/** What was written, checked and completed with defaults. */
export type Checked = z.output<Schema>;

/** Everything a process is told from outside: complete, checked and frozen. */
export type Config = DeepReadonly<Checked> & {
  /** `NODE_ENV=production`: no introspection, no suggestions in errors. */
  readonly production: boolean;
  /** `HOLDFAST_FAILPOINT`: where a test lets the process die, see src/util/failpoint.ts. Refused in production. */
  readonly failpoint: string | undefined;
};

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;
