import type { GraphQLSchema } from 'graphql';
import { formatError } from '../../resolvers/errors.ts';
import { buildOperatorSchema } from '../../resolvers/operator.ts';
import { type ApiContext, createApiContext } from '../api/context.ts';
import { type Config, dataDirectory } from '../config.ts';
import { HoldfastError } from '../errors.ts';
import type { Model } from '../model/entity.ts';
import { parsePosition } from '../model/position.ts';
import { startHttp } from '../server/http.ts';
import type { Health, HttpOptions, HttpServer, RequestInfo } from '../server/options.ts';
import { Access } from '../service/access.ts';
import { AuditLog } from '../service/audit-log.ts';
import type { DataService, RequestContext } from '../service/data-service.ts';
import type { FallbackService } from '../service/fallback-service.ts';
import type { OpsService } from '../service/ops-service.ts';
import { Action, dataActions, isSync, opsActions, requireActions } from '../service/roles.ts';
import { TokenFiles } from '../service/token-files.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type MetricsRegistry, observe, type PlainGauge } from '../telemetry/metrics.ts';
import { openDr } from './dr.ts';

/** The two ports of a process. */
export interface Ports extends AsyncDisposable {
  readonly url: string;
  readonly opsUrl: string;
  readonly data: HttpServer;
}

export interface PortOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** Asked who may, unless `auth.mode` is none. */
  readonly access: Access;
  readonly schema: GraphQLSchema;
  /** Asked for each operation. @throws NOT_READY while there is none */
  readonly service: () => DataService;
  /** Called before an operation is read. @throws NOT_READY while there is no schema to read it by */
  readonly checkReady?: () => void;
  readonly model: () => Model;
  readonly ops: OpsService;
  readonly fallback?: FallbackService | undefined;
  readonly health: () => Health;
  /** Read at `/metrics`. */
  readonly gauges: Partial<Record<PlainGauge, () => number>>;
  /** Where mutations go instead of the service. */
  readonly forward?: NonNullable<HttpOptions['forward']>;
}

/** Opens the ops port, then the data port. @throws PORT_IN_USE */
export async function openPorts(options: PortOptions): Promise<Ports> {
  const { config, logger, metrics, access, schema, service, checkReady, model, ops, health, forward, fallback } =
    options;
  await using parts = new AsyncDisposableStack();
  observe(metrics, options.gauges);
  const { host, port, opsPort, cors } = config.server;
  const shared = {
    ...{ host, logger, metrics, production: config.production },
    formatError,
  };
  const rules = config.auth.mode === 'none' ? EVERYBODY : rulesOf(access);
  const apis = [{ name: 'ops', url: '/graphql' }];
  const onError = (error: unknown): void =>
    logger.error({ err: error }, 'the outcome of a mutation is not in the audit log');
  const audit = parts.use(new AuditLog({ directory: dataDirectory(config), onError }));
  const dr = parts.use(openDr({ config, logger }));
  const opsServer = parts.use(
    await startHttp({
      ...shared,
      ...rules.ops,
      ...{ port: opsPort, portFlag: '--ops-port', cors, health },
      schema: buildOperatorSchema({ service: ops, tokens: access, dr: dr.service, audit, fallback }),
      context: ({ signal, principal, address }) => ({ signal, principal, address }),
      explore: apis,
    }),
  );
  const data = parts.use(
    await startHttp({
      ...shared,
      ...rules.data,
      ...{ port, portFlag: '--port', cors: [...cors, opsServer.url, opsServer.url.replace('127.0.0.1', 'localhost')] },
      schema,
      context: (info) => createApiContext(service(), requestContext(info), model()),
      provenance: (context) => (context as ApiContext).request.provenance,
      limits: config.limits,
      // Followers read whole snapshots; what they may ask is bounded by the sync API itself.
      exempt: (_info, operation) => isSync(operation),
      ...(forward === undefined ? {} : { forward }),
      ...(checkReady === undefined ? {} : { checkReady }),
    }),
  );
  apis.unshift({ name: 'data', url: `${data.url}/graphql` });
  const owned = parts.move();
  return {
    url: `${data.url}/graphql`,
    opsUrl: `${opsServer.url}/graphql`,
    data,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface Rules {
  readonly data: Partial<HttpOptions>;
  readonly ops: Partial<HttpOptions>;
}

/** Nobody is asked who they are; so no name that leads to this machine but its own may be used (DNS rebinding). */
const EVERYBODY: Rules = { data: { hostCheck: 'loopback' }, ops: { hostCheck: 'loopback' } };

/** The rules of src/service/roles.ts, for callers with a token. */
function rulesOf(access: Access): Rules {
  const who: Partial<HttpOptions> = {
    authenticate: (credentials) => access.authenticate(credentials),
    isCurrent: (caller) => access.isCurrent(caller),
  };
  return {
    data: { ...who, authorize: ({ roles }, operation) => requireActions(roles, dataActions(operation)) },
    ops: {
      ...who,
      authorize: ({ roles }, operation) => requireActions(roles, opsActions(operation)),
      authorizePages: ({ roles }) => requireActions(roles, [Action.OPERATE]),
    },
  };
}

/** The tokens of a node, kept up with what the command line writes beside it. @throws CONFIG_INVALID */
export function openAccess(config: Config, logger: Logger): Access {
  const access = new Access({
    files: new TokenFiles(dataDirectory(config)),
    configured: config.auth.tokens,
    onError: (error) => logger.error({ err: error }, 'a token cannot be read or its use not be noted'),
  });
  // A replica is told them by its primary.
  if (config.auth.mode === 'token' && config.role === 'primary' && access.isEmpty) {
    logger.warn('no token lets anybody in yet: make one with `holdfast token create --name NAME --role admin`');
  }
  access.run();
  return access;
}

/** Longest `Idempotency-Key` taken, in characters. */
const MAX_KEY_LENGTH = 255;

/** What a request's headers mean for the data. @throws VALIDATION_FAILED */
function requestContext(info: RequestInfo): RequestContext {
  const { principal, idempotencyKey, minPosition, maxStalenessMs, signal } = info;
  if (idempotencyKey !== undefined && (idempotencyKey === '' || idempotencyKey.length > MAX_KEY_LENGTH)) {
    throw new HoldfastError(
      'VALIDATION_FAILED',
      `the header Idempotency-Key must have 1 to ${MAX_KEY_LENGTH} characters`,
    );
  }
  return {
    principal,
    idempotencyKey,
    minPosition: minPosition === undefined ? undefined : parsePosition(minPosition),
    maxStalenessMs: maxStalenessMs === undefined ? undefined : parseStaleness(maxStalenessMs),
    signal,
  };
}

function parseStaleness(text: string): number {
  if (!/^\d{1,12}$/.test(text)) {
    throw new HoldfastError(
      'VALIDATION_FAILED',
      `the header holdfast-max-staleness-ms must be a whole number of ms, not "${text.slice(0, 40)}"`,
    );
  }
  return Number(text);
}
