import { hash } from 'node:crypto';
import { hostname } from 'node:os';
import { GraphQLBoolean, GraphQLObjectType, GraphQLSchema } from 'graphql';
import { SqliteChangeLog } from '../src/changelog/sqlite-change-log.ts';
import { type Config, dataDirectory } from '../src/config.ts';
import { HoldfastError, isHoldfastError } from '../src/errors.ts';
import { collectionSpecs, replicatedCollections, startRetention } from '../src/gateway/data.ts';
import { openAccess, openPorts, type Ports } from '../src/gateway/ports.ts';
import { openPrimary, type PrimaryNode } from '../src/gateway/primary.ts';
import { dataSchema, handWrittenFiles, logGauges, modelOf } from '../src/gateway/schema.ts';
import { createGateway, type Gateway, type GatewayOptions, gatewayOf, loggerOf } from '../src/gateway.ts';
import type { Model } from '../src/model/entity.ts';
import { readSchemaDirectory } from '../src/model/load.ts';
import { PrimarySource, SourceStage } from '../src/replication/source.ts';
import type { Access } from '../src/service/access.ts';
import { Conflicts } from '../src/service/conflicts.ts';
import { exportDivergent } from '../src/service/divergence.ts';
import type { OpsService, Promotion } from '../src/service/ops-service.ts';
import { followersOf } from '../src/service/primary-ops.ts';
import { isSync } from '../src/service/roles.ts';
import { repeatedly, statusChanges } from '../src/service/status.ts';
import { Database } from '../src/sqlite/database.ts';
import { SqliteStore } from '../src/store/sqlite-store.ts';
import type { Logger } from '../src/telemetry/logger.ts';
import { createRegistry } from '../src/telemetry/metrics.ts';
import { packageVersion } from '../src/util/package-version.ts';
import { secretOf } from '../src/util/secrets.ts';
import { type ConnectedSource, connect } from './client.ts';
import { Forwarder } from './forwarder.ts';
import { notReady, ReplicaOps } from './ops.ts';
import { type AdoptedSchema, Progress } from './progress.ts';
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
  await using parts = new AsyncDisposableStack();
  const logger = options.logger ?? loggerOf(config);
  const own = config.schema === undefined ? undefined : modelOf(readSchemaDirectory(config.schema));
  const handWritten = config.schema === undefined ? {} : await handWrittenFiles(config.schema);
  const directory = dataDirectory(config);
  tokenOf(config);
  const database = parts.adopt(Database.open({ directory }), (opened) => opened.close());
  const log = await SqliteChangeLog.open(database);
  if ((await Progress.open(database)).promoted !== null && log.sealedBy() === null) {
    await parts.disposeAsync();
    return createGateway(config, { logger });
  }
  if (primaries.length === 0) {
    throw new HoldfastError('CONFIG_INVALID', 'a replica needs a primary: give --primary ws://HOST:PORT/graphql');
  }
  const access = parts.use(openAccess(config, logger));
  const conflicts = await Conflicts.open(database);
  let replica: Replica | undefined;
  let serving: Serving | undefined;
  let ports: Ports | undefined;
  /** From its promotion on. */
  let primary: PrimaryNode | undefined;
  let isPromoted = false;
  parts.defer(() => serving?.stop());
  parts.defer(() => primary?.[Symbol.asyncDispose]());

  const stage = (): SourceStage => {
    if (replica?.isReady() !== true) return SourceStage.EMPTY;
    return replica.isEqual() ? SourceStage.EQUAL : SourceStage.SETTLING;
  };
  const prepare = async ({ sdl }: AdoptedSchema): Promise<Prepared> => {
    const model = modelOf([{ file: 'SDL of the primary', text: sdl }]);
    const collections = replicatedCollections(model);
    const store = await SqliteStore.open({ database, outbox: log, collections: collectionSpecs(model) });
    const source = new PrimarySource({
      ...{ log, rows: store, schema: model, collections, stage },
      // How far its primary is, a copy never knows for sure.
      knownHead: () => Number.POSITIVE_INFINITY,
    });
    let schema: GraphQLSchema;
    try {
      schema = dataSchema({ model, resolvers: handWritten.resolvers, source, access, logger });
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
      keepDivergent: (from) => exportDivergent({ log, database, conflicts, directory }, from),
    }),
  );
  replica = following;
  const requireServing = (): Serving => {
    if (serving === undefined || !following.isReady()) throw notReady(following.status().state);
    return serving;
  };
  const metrics = createRegistry({ process: true });
  const promote = async ({ force }: { readonly force: boolean }): Promise<Promotion> => {
    if (serving === undefined) throw notReady(following.status().state);
    const { store, model } = serving;
    const since = Date.now() - KEY_RETENTION_MS;
    const promotion = await following.promote({
      ...{ force, primaries },
      prepare: (transaction) => store.takeOver(transaction, log.keyedSeenBy(transaction, since)),
    });
    isPromoted = true;
    // Everything above the file begins anew, over what is in it now.
    await serving.stop();
    try {
      primary = await openPrimary({ config, model, handWritten, database, log, access, logger, metrics });
    } catch (error) {
      logger.error({ err: error }, 'promoted, but not served yet: start this process again, it will be a primary');
      throw error;
    }
    ports?.data.replaceSchema(primary.schema);
    logger.warn({ ...promotion, primaries }, 'promoted: this node is a primary now');
    return promotion;
  };
  const ops = new ReplicaOps({
    ...{ replica: following, log, maxLagMs, conflicts },
    promote: oneAtATime(promote),
    data: () => serving && { model: serving.model, rows: serving.store, server: serving.store.capabilities.server },
    followers: () => (serving === undefined ? [] : followersOf(serving.source)),
    version: packageVersion(),
  });
  const forwarder = new Forwarder({
    primaries,
    preferred: () => following.status().source,
    waitFor: (position, timeoutMs, signal) => following.waitFor(position, timeoutMs, signal),
  });
  ports = parts.use(
    await openPorts({
      ...{ config, logger, access, metrics },
      ops: roleOf(ops, () => primary?.ops),
      schema: serving?.schema ?? emptySchema(),
      model: () => requireServing().model,
      checkReady: () => void requireServing(),
      service: () => {
        if (primary !== undefined) return primary.service();
        if (isPromoted) throw new HoldfastError('NOT_READY', 'this node becomes a primary just now');
        const current = requireServing();
        current.service ??= new ReplicaService({ store: current.store, log, replica: following });
        return current.service;
      },
      health: () => {
        if (primary !== undefined) return primary.health(ports?.data.state === 'serving');
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
          () => primary?.log() ?? log,
          () => primary?.source ?? serving?.source,
        ),
        holdfast_replica_lag_changes: () => following.lag().lagChanges,
        holdfast_replica_staleness_seconds: () => following.lag().stalenessMs / 1_000,
        holdfast_replica_ready: () => Number(following.isReady()),
      },
      forward: (operation, info, summary) => {
        // Who follows this replica speaks to it, not to the primary.
        if (isPromoted || isSync(summary)) return undefined;
        requireServing();
        return forwarder.forward(operation, info);
      },
    }),
  );
  void following.run();
  return gatewayOf(ports, following.ready, parts.move());
}

/** Idempotency keys are promised for seven days. */
const KEY_RETENTION_MS = 8 * 24 * 3_600_000;

/** The operations of the role that this node has when it is asked. */
function roleOf(replica: OpsService, primary: () => OpsService | undefined): OpsService {
  const role = (): OpsService => primary() ?? replica;
  return {
    status: () => role().status(),
    replicas: () => role().replicas(),
    replicaVerify: (options) => role().replicaVerify(options),
    replicaResync: (options) => role().replicaResync(options),
    replicaPromote: (options) => role().replicaPromote(options),
    conflicts: (query) => role().conflicts(query),
    conflictResolve: (decision) => role().conflictResolve(decision),
    statusChanges: (signal) => statusChanges(signal, () => role().status()),
    replicaLag: (intervalMs, signal) => repeatedly(intervalMs, signal, () => role().replicas()),
  };
}

/** Calls of `run` while one is under way are refused. */
function oneAtATime<Options>(run: (options: Options) => Promise<Promotion>): (options: Options) => Promise<Promotion> {
  let running = false;
  return async (options) => {
    if (running) throw new HoldfastError('NOT_READY', 'this replica is being promoted already: ask for its status');
    running = true;
    try {
      return await run(options);
    } finally {
      running = false;
    }
  };
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
    hello: async (cursor, shape, epochs) => {
      const hello = await source.hello(cursor, shape, epochs);
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
