import { hash } from 'node:crypto';
import { hostname } from 'node:os';
import { GraphQLBoolean, GraphQLObjectType, GraphQLSchema } from 'graphql';
import { SqliteChangeLog } from '../src/changelog/sqlite-change-log.ts';
import { type Config, dataDirectory } from '../src/config.ts';
import { HoldfastError, isHoldfastError } from '../src/errors.ts';
import {
  dataSchema,
  type Gateway,
  type GatewayOptions,
  gatewayOf,
  handWrittenResolvers,
  logGauges,
  loggerOf,
  openAccess,
  openPorts,
  type Ports,
} from '../src/gateway.ts';
import { collectionSpecs, replicatedCollections, startRetention } from '../src/gateway-data.ts';
import type { Model } from '../src/model/entity.ts';
import { loadModel, readSchemaDirectory } from '../src/model/load.ts';
import { PrimarySource, SourceStage } from '../src/replication/source.ts';
import type { Access } from '../src/service/access.ts';
import { followersOf } from '../src/service/primary-ops.ts';
import { isSync } from '../src/service/roles.ts';
import { Database } from '../src/sqlite/database.ts';
import { SqliteStore } from '../src/store/sqlite-store.ts';
import type { Logger } from '../src/telemetry/logger.ts';
import { createRegistry } from '../src/telemetry/metrics.ts';
import { packageVersion } from '../src/util/package-version.ts';
import { secretOf } from '../src/util/secrets.ts';
import { type ConnectedSource, connect } from './client.ts';
import { Forwarder } from './forwarder.ts';
import { notReady, ReplicaOps } from './ops.ts';
import type { AdoptedSchema } from './progress.ts';
import { Replica } from './replica.ts';
import type { Prepared } from './row-store.ts';
import { ReplicaService } from './service.ts';

/** What serves the data of one SDL; replaced as a whole when the primary brings another. */
interface Serving {
  readonly model: Model;
  readonly store: SqliteStore;
  readonly source: PrimarySource;
  readonly schema: GraphQLSchema;
  service?: ReplicaService;
  stop(): Promise<void>;
}

/**
 * Starts a replica: the place where its parts are joined. Resolves when both ports are open; it serves data from `ready` on,
 * and follows its primary, or looks for it, until it is stopped.
 * @throws SCHEMA_INVALID, DATA_LOCKED, DATA_UNWRITABLE, PORT_IN_USE, CONFIG_INVALID without a primary
 */
export async function createReplica(config: Config, options: GatewayOptions = {}): Promise<Gateway> {
  const { primary: primaries, maxLagMs } = config.replica;
  if (primaries.length === 0) {
    throw new HoldfastError('CONFIG_INVALID', 'a replica needs a primary: give --primary ws://HOST:PORT/graphql');
  }
  await using parts = new AsyncDisposableStack();
  const logger = options.logger ?? loggerOf(config);
  const own = config.schema === undefined ? undefined : loadModel(readSchemaDirectory(config.schema));
  const resolvers = config.schema === undefined ? undefined : await handWrittenResolvers(config.schema);
  const directory = dataDirectory(config);
  tokenOf(config);
  const database = parts.adopt(Database.open({ directory }), (opened) => opened.close());
  const access = parts.use(openAccess(config, logger));
  const log = await SqliteChangeLog.open(database);
  let replica: Replica | undefined;
  let serving: Serving | undefined;
  let ports: Ports | undefined;
  parts.defer(() => serving?.stop());

  const stage = (): SourceStage => {
    if (replica?.isReady() !== true) return SourceStage.EMPTY;
    return replica.isEqual() ? SourceStage.EQUAL : SourceStage.SETTLING;
  };
  const prepare = async ({ sdl }: AdoptedSchema): Promise<Prepared> => {
    const model = loadModel([{ file: 'SDL of the primary', text: sdl }]);
    const collections = replicatedCollections(model);
    const store = await SqliteStore.open({ database, outbox: log, collections: collectionSpecs(model) });
    const source = new PrimarySource({
      ...{ log, rows: store, schema: model, collections, stage },
      // How far its primary is, a copy never knows for sure.
      knownHead: () => Number.POSITIVE_INFINITY,
    });
    let schema: GraphQLSchema;
    try {
      schema = dataSchema({ model, resolvers, source, access, logger });
    } catch (error) {
      source.stop();
      throw error;
    }
    const retention = startRetention({ config, log, source, store, logger });
    const before = serving;
    serving = {
      ...{ model, store, source, schema },
      stop: () => {
        source.stop();
        return retention.stop();
      },
    };
    ports?.data.replaceSchema(schema);
    // Indexes it reads by may be gone: nobody is to be answered by it while it ends.
    await before?.stop();
    return { store, collections };
  };

  const following = parts.use(
    await Replica.open({
      name: `${hostname()}-${hash('sha256', directory).slice(0, 8)}`,
      url: () => ports?.url,
      sources: primaries.map((url) => ({
        name: url,
        connect: async () => {
          const source = await connect(url, { token: tokenOf(config) });
          return config.auth.mode === 'none' ? source : withTokens(source, access, logger);
        },
      })),
      ...{ database, log, prepare, logger, schema: own },
    }),
  );
  replica = following;
  const requireServing = (): Serving => {
    if (serving === undefined || !following.isReady()) throw notReady(following.status().state);
    return serving;
  };
  const ops = new ReplicaOps({
    ...{ replica: following, log, maxLagMs },
    data: () => serving && { model: serving.model, rows: serving.store, server: serving.store.capabilities.server },
    followers: () => (serving === undefined ? [] : followersOf(serving.source)),
    version: packageVersion(),
  });
  const forwarder = new Forwarder({
    primaries,
    waitFor: (position, timeoutMs, signal) => following.waitFor(position, timeoutMs, signal),
  });
  ports = parts.use(
    await openPorts({
      ...{ config, logger, access, ops },
      metrics: createRegistry({ process: true }),
      schema: serving?.schema ?? emptySchema(),
      model: () => requireServing().model,
      checkReady: () => void requireServing(),
      service: () => {
        const current = requireServing();
        current.service ??= new ReplicaService({ store: current.store, log, replica: following });
        return current.service;
      },
      health: () => {
        const { state, lagChanges, message } = following.status();
        const problems = ops.problems();
        return {
          live: true,
          ready: following.isReady() && ports?.data.state === 'serving',
          degraded: problems.length > 0,
          components: { state, lagChanges, message, problems },
        };
      },
      gauges: {
        ...logGauges(
          () => log,
          () => serving?.source,
        ),
        holdfast_replica_lag_changes: () => following.lag().lagChanges,
        holdfast_replica_staleness_seconds: () => following.lag().stalenessMs / 1_000,
        holdfast_replica_ready: () => Number(following.isReady()),
      },
      forward: (operation, info, summary) => {
        // Who follows this replica speaks to it, not to the primary.
        if (isSync(summary)) return undefined;
        requireServing();
        return forwarder.forward(operation, info);
      },
    }),
  );
  void following.run();
  return gatewayOf(ports, following.ready, parts.move());
}

/** The token by which the primary knows this replica, read anew each time so that it can be changed. @throws CONFIG_INVALID */
function tokenOf({ replica: { token } }: Config): string | undefined {
  return token && secretOf('replica.token', token);
}

/**
 * `source`; once it has greeted, this replica takes over the tokens that it accepts for as long as the connection lasts. A
 * replica that would not hear of a revocation gives the connection up, as it does when it hears of no changes.
 */
function withTokens(source: ConnectedSource, access: Access, logger: Logger): ConnectedSource {
  let following = false;
  const follow = async (): Promise<void> => {
    following = true;
    try {
      for await (const tokens of source.tokens(NEVER)) access.adopt(tokens);
    } catch (error) {
      if (isHoldfastError(error, 'DATA_UNWRITABLE')) logger.error({ err: error }, 'tokens could not be taken over');
    }
    source.close();
  };
  return {
    ...source,
    hello: async (cursor, shape) => {
      const hello = await source.hello(cursor, shape);
      if (!following) void follow();
      return hello;
    },
  };
}

/** It ends with the connection. */
const NEVER = new AbortController().signal;

/** The data API before the primary's SDL is known: every request is NOT_READY before it gets here. */
function emptySchema(): GraphQLSchema {
  return new GraphQLSchema({
    query: new GraphQLObjectType({ name: 'Query', fields: { ready: { type: GraphQLBoolean } } }),
  });
}
