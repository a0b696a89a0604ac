import type { GraphQLSchema } from 'graphql';
import { connect } from '../../replica/client.ts';
import { Herald } from '../../replica/herald.ts';
import { Progress, type Promoted } from '../../replica/progress.ts';
import type { ChangeLog } from '../changelog/change-log.ts';
import type { SqliteChangeLog } from '../changelog/sqlite-change-log.ts';
import { type Config, databaseUrl, dataDirectory } from '../config.ts';
import { HoldfastError } from '../errors.ts';
import { ConflictPolicy, type Model } from '../model/entity.ts';
import type { PrimarySource } from '../replication/source.ts';
import type { Health } from '../server/options.ts';
import type { Access } from '../service/access.ts';
import { Conflicts } from '../service/conflicts.ts';
import type { DataService } from '../service/data-service.ts';
import { type FallbackService, fallbackService } from '../service/fallback-service.ts';
import { PrimaryOps } from '../service/primary-ops.ts';
import type { Database } from '../sqlite/database.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { MetricsRegistry, PlainGauge } from '../telemetry/metrics.ts';
import { packageVersion } from '../util/package-version.ts';
import { secretOf } from '../util/secrets.ts';
import { openEmbeddedData, type PrimaryData } from './data.ts';
import type { MongoDataOptions } from './mongodb.ts';
import { dataSchema, type HandWritten, logGauges } from './schema.ts';

/** Everything of a primary but its ports. */
export interface PrimaryNode extends AsyncDisposable {
  readonly ops: PrimaryOps;
  /** Undefined where nothing answers in place of the database. */
  readonly fallback: FallbackService | undefined;
  readonly schema: GraphQLSchema;
  /** What followers follow. */
  readonly source: PrimarySource;
  readonly gauges: Partial<Record<PlainGauge, () => number>>;
  /** The log of record. */
  log(): ChangeLog;
  /** @throws DATABASE_UNAVAILABLE before the database was reached for the first time */
  service(): DataService;
  /** `isServing`: whether the data port is open. */
  health(isServing: boolean): Health;
}

export interface PrimaryNodeOptions {
  readonly config: Config;
  readonly model: Model;
  /** Exports of the files beside the schema. */
  readonly handWritten: HandWritten;
  /** In the data directory; stays its opener's. */
  readonly database: Database;
  /** Of `database`, where it is open already: who reads it goes on reading. */
  readonly log?: SqliteChangeLog | undefined;
  readonly access: Access;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/**
 * Joins the parts of a primary over a database: of `start`, and of a replica from its promotion on.
 * @throws SCHEMA_INVALID; ALREADY_EXISTS (documents break a new unique index); CONFIG_INVALID over the copy of a replica
 */
export async function openPrimary(options: PrimaryNodeOptions): Promise<PrimaryNode> {
  const { config, model, handWritten, database, access, logger, metrics } = options;
  await using parts = new AsyncDisposableStack();
  const url = config.role === 'replica' ? undefined : databaseUrl(config);
  const { promoted, facts } = await Progress.open(database);
  if (facts.joined && promoted === null && url === undefined) {
    throw new HoldfastError(
      'CONFIG_INVALID',
      `${dataDirectory(config)} is the copy of a replica: start it with \`holdfast replica\`, and make it a primary with \`holdfast replica promote\``,
    );
  }
  const conflicts = await Conflicts.open(database);
  const decide = new Map(Object.entries(handWritten.conflicts ?? {}));
  requireDecisions(model, decide);
  const shared = { config, model, database, log: options.log, logger, metrics, conflicts, decide };
  const data = parts.use(await (url === undefined ? openEmbeddedData(shared) : openMongo({ ...shared, url })));
  const { source } = data;
  const schema = dataSchema({ model, resolvers: handWritten.resolvers, source, access, logger });
  if (promoted !== null) parts.use(announce(promoted, config, data, logger));
  const ops = new PrimaryOps({
    ...{ model, source, conflicts },
    problems: () => data.problems(),
    settle: (conflict, document) => data.service().settle(conflict, document),
    onResolved: (id) => data.journal?.resolved(id) ?? Promise.resolve(),
    log: () => data.log(),
    rows: data.rows,
    server: () => data.server(),
    version: packageVersion(),
  });
  const owned = parts.move();
  return {
    ...{ ops, schema, source },
    fallback: fallbackService(data.fallback, model, data.datasets, data.journal),
    log: () => data.log(),
    gauges: logGauges(
      () => data.log(),
      () => source,
    ),
    service: () => data.service(),
    health: (isServing) => {
      const problems = data.problems();
      return {
        live: true,
        ready: isServing,
        degraded: problems.length > 0,
        components: { store: data.server(), position: data.log().head().sequence, problems },
      };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The SDL that the replica of this directory served when it was promoted; undefined when there was none. */
export async function promotedSdl(database: Database): Promise<string | undefined> {
  const { promoted, schema } = await Progress.open(database);
  return promoted === null ? undefined : schema?.sdl;
}

/** The nodes followed before hear of the new epoch, whenever they can be reached. */
function announce({ primaries }: Promoted, { replica: { token } }: Config, data: PrimaryData, logger: Logger): Herald {
  const herald = new Herald({
    ...{ log: data.log(), logger },
    sources: primaries.map((name) => ({
      name,
      connect: async () => connect(name, { token: token && secretOf('replica.token', token) }),
    })),
  });
  void herald.run();
  return herald;
}

/** The driver is loaded only where it is used. */
async function openMongo(options: MongoDataOptions): Promise<PrimaryData> {
  const { openMongoData } = await import('./mongodb.ts');
  return openMongoData(options);
}

/** @throws SCHEMA_INVALID when nobody decides about an entity with policy CUSTOM */
function requireDecisions({ entities }: Model, decide: ReadonlyMap<string, unknown>): void {
  const missing = entities.find(({ name, conflict }) => conflict === ConflictPolicy.CUSTOM && !decide.has(name));
  if (missing === undefined) return;
  throw new HoldfastError(
    'SCHEMA_INVALID',
    `${missing.name} has @conflict(policy: CUSTOM), but the file of hand-written resolvers exports no function conflicts.${missing.name}`,
    { details: { mistakes: [] } },
  );
}
