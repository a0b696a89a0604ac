import { type Config, dataDirectory, exampleSchemaDirectory } from './config.ts';
import { openAccess, openPorts, type Ports } from './gateway/ports.ts';
import { openPrimary, promotedSdl } from './gateway/primary.ts';
import { type HandWritten, handWrittenFiles, modelOf } from './gateway/schema.ts';
import type { Model } from './model/entity.ts';
import { readSchemaDirectory } from './model/load.ts';
import { Database } from './sqlite/database.ts';
import { createLogger, type Logger } from './telemetry/logger.ts';
import { createRegistry } from './telemetry/metrics.ts';
import { armFailpoint } from './util/failpoint.ts';

/** A running primary or replica. */
export interface Gateway extends AsyncDisposable {
  /** The data API, e.g. `http://127.0.0.1:4000/graphql`. */
  readonly url: string;
  /** The ops API, e.g. `http://127.0.0.1:4001/graphql`. */
  readonly opsUrl: string;
  /** Resolves when it first serves data: at once on a primary, once proven equal on a replica. */
  readonly ready: Promise<void>;
  /** Lets requests in flight finish, closes subscriptions so that they resume elsewhere, commits, frees ports and files. */
  stop(): Promise<void>;
}

export interface GatewayOptions {
  /** Default: one made from `config.telemetry`. */
  readonly logger?: Logger | undefined;
}

/**
 * Starts a primary: the one place where its parts are joined. When it resolves, both ports are open and serve.
 * @throws SCHEMA_INVALID, DATA_LOCKED, DATA_UNWRITABLE, PORT_IN_USE, ALREADY_EXISTS (documents break a new unique index)
 */
export async function createGateway(config: Config, options: GatewayOptions = {}): Promise<Gateway> {
  await using parts = new AsyncDisposableStack();
  const logger = options.logger ?? loggerOf(config);
  if (config.failpoint !== undefined) {
    logger.warn({ failpoint: config.failpoint }, 'this process is going to kill itself: HOLDFAST_FAILPOINT is set');
    armFailpoint(config.failpoint);
  }
  const database = parts.adopt(Database.open({ directory: dataDirectory(config) }), (opened) => opened.close());
  const { model, handWritten } = await schemaOf(config, database);
  const access = parts.use(openAccess(config, logger));
  const metrics = createRegistry({ process: true });
  const node = parts.use(await openPrimary({ config, model, handWritten, database, access, logger, metrics }));
  let opened: Ports | undefined;
  const ports = parts.use(
    await openPorts({
      ...{ config, logger, access, metrics, ops: node.ops, schema: node.schema, gauges: node.gauges },
      fallback: node.fallback,
      service: () => node.service(),
      model: () => model,
      health: () => node.health(opened?.data.state === 'serving'),
    }),
  );
  opened = ports;
  const owned = parts.move();
  logger.info({ url: ports.url, opsUrl: ports.opsUrl, entities: model.entities.length }, 'primary is ready');
  return gatewayOf(ports, Promise.resolve(), owned);
}

/** The configured SDL with what is written beside it; else that of a promoted replica; else the example. */
async function schemaOf(config: Config, database: Database): Promise<{ model: Model; handWritten: HandWritten }> {
  const kept = config.schema === undefined ? await promotedSdl(database) : undefined;
  if (kept !== undefined)
    return { model: modelOf([{ file: 'SDL of the former primary', text: kept }]), handWritten: {} };
  const directory = config.schema ?? exampleSchemaDirectory();
  return { model: modelOf(readSchemaDirectory(directory)), handWritten: await handWrittenFiles(directory) };
}

/** A gateway over what was started; stopping disposes of it once, last started first. */
export function gatewayOf({ url, opsUrl }: Ports, ready: Promise<void>, parts: AsyncDisposableStack): Gateway {
  const stop = (): Promise<void> => parts.disposeAsync();
  return { url, opsUrl, ready, stop, [Symbol.asyncDispose]: stop };
}

export function loggerOf({ telemetry: { level, format } }: Config): Logger {
  return createLogger({ level, ...(format === 'auto' ? {} : { pretty: format === 'pretty' }) });
}
