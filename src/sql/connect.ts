import type { Duplex } from 'node:stream';
import { type Options, Sequelize } from 'sequelize';
import { HoldfastError } from '../errors.ts';
import { CopySocket } from './copy-socket.ts';

/** A database: `postgres://`, `mysql://` or `mariadb://`, or the options object that sequelize takes. */
export type SqlSource = string | Options;

/** Which driver speaks to the server; `mysql` is MariaDB as well, the server tells which. */
export type SqlDriver = 'postgres' | 'mysql';

export interface SqlOptions {
  /** Most connections at once; one more waits. */
  readonly connections: number;
  /** How the sessions are named in the server (`pg_stat_activity`, `performance_schema`). */
  readonly applicationName: string;
  /** How long to wait for the server to answer. Default 15 s. */
  readonly connectTimeoutMs?: number;
}

/** Where a server is and who asks, for tools of the server that are started beside us. */
export interface SqlEndpoint {
  readonly host: string;
  readonly port: number;
  readonly username: string | null;
  readonly password: string | null;
  readonly database: string;
  /** What the driver takes as `ssl`; null without TLS. */
  readonly ssl: Readonly<Record<string, unknown>> | true | null;
}

/** The connections to one database. Nothing is connected before it is used. */
export interface SqlConnections extends AsyncDisposable {
  readonly driver: SqlDriver;
  /** `host:port/database`, to be shown. */
  readonly location: string;
  readonly endpoint: SqlEndpoint;
  /**
   * A connection of the driver out of sequelize's pool, for one owner until it is released. Sequelize's parsing of values never
   * touches what is sent over it.
   * @throws DATABASE_UNAVAILABLE (nobody answers), DR_PRIVILEGE_MISSING (user or password refused), CONFIG_INVALID (no such database)
   */
  raw(): Promise<unknown>;
  /** Ends a connection: its settings are no longer those that others expect. */
  release(connection: unknown): Promise<void>;
  /** Cuts a connection, whatever it does: a statement that runs ends with an error, here at once. */
  destroy(connection: unknown): void;
  /** Ends all, and cuts the connections that nobody has released. */
  close(): Promise<void>;
}

const SCHEMES: Readonly<Record<string, SqlDriver>> = {
  'postgres:': 'postgres',
  'postgresql:': 'postgres',
  'mysql:': 'mysql',
  'mariadb:': 'mysql',
};
const PORTS: Readonly<Record<SqlDriver, number>> = { postgres: 5432, mysql: 3306 };

/**
 * No value is parsed by sequelize, and a session sets what it needs by itself. Without these it would open a connection for the
 * server's version, ask the next one for types, and set each one's time zone.
 */
const UNASKED: object = { databaseVersion: '0.0.1', keepDefaultTimezone: true };

/**
 * Opens a database.
 * @throws CONFIG_INVALID for a source that is neither a URL of these kinds nor options with dialect and database
 */
export function openSql(source: SqlSource, options: SqlOptions): SqlConnections {
  const given = typeof source === 'string' ? parseUrl(source) : source;
  const driver = driverOf(given.dialect);
  const database = given.database ?? '';
  if (database === '') throw new HoldfastError('CONFIG_INVALID', 'The source names no database.');
  const timeoutMs = options.connectTimeoutMs ?? 15_000;
  const sequelize = new Sequelize({
    ...given,
    dialect: driver,
    port: Number(given.port ?? PORTS[driver]),
    logging: false,
    ...UNASKED,
    pool: { max: options.connections, min: 0, acquire: timeoutMs * 2, idle: 60_000 },
    dialectOptions: { ...given.dialectOptions, ...driverOptions(driver, options.applicationName, timeoutMs) },
  });
  const endpoint: SqlEndpoint = {
    host: given.host ?? 'localhost',
    port: Number(given.port ?? PORTS[driver]),
    username: given.username ?? null,
    password: given.password ?? null,
    database,
    ssl: ((given.dialectOptions as { ssl?: SqlEndpoint['ssl'] } | undefined)?.ssl || null) ?? null,
  };
  const location = `${endpoint.host}:${endpoint.port}/${database}`;
  const manager = sequelize.connectionManager as unknown as Manager;
  /** Connections that have an owner. */
  const lent = new Set<unknown>();
  const release = async (connection: unknown): Promise<void> => {
    lent.delete(connection);
    // The pool may have removed it itself, when it broke.
    await manager.destroyConnection(connection).catch(() => undefined);
  };
  const destroy = (connection: unknown): void => {
    const { stream, connection: inner } = connection as DriverConnection;
    (stream ?? inner?.stream)?.destroy(new Error('The connection was closed.'));
    void release(connection);
  };
  let isClosed = false;
  const close = (): Promise<void> => {
    isClosed = true;
    // The pool waits for each of them, for ever if need be.
    for (const connection of lent) destroy(connection);
    return sequelize.close();
  };
  return {
    driver,
    location,
    endpoint,
    async raw() {
      try {
        const connection = await manager.getConnection({ type: 'write', useMaster: true });
        lent.add(connection);
        if (isClosed) destroy(connection);
        return connection;
      } catch (error) {
        throw connectError(location, error);
      }
    },
    release,
    destroy,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** What is used of sequelize's connection manager. */
interface Manager {
  getConnection(options: object): Promise<unknown>;
  destroyConnection(connection: unknown): Promise<void>;
}

/** A connection of `mysql2`, or a client of `pg`, which has its own inside. */
interface DriverConnection {
  readonly stream?: Duplex;
  readonly connection?: { readonly stream: Duplex };
}

function driverOf(dialect: string | undefined): SqlDriver {
  const driver = SCHEMES[`${dialect}:`];
  if (driver !== undefined) return driver;
  throw new HoldfastError(
    'CONFIG_INVALID',
    `The source is of kind "${dialect ?? ''}"; it must be postgres, mysql or mariadb.`,
  );
}

function parseUrl(text: string): Options {
  const url = URL.parse(text);
  if (url === null || SCHEMES[url.protocol] === undefined) {
    throw new HoldfastError(
      'CONFIG_INVALID',
      'The source is no URL of a database: it must read postgres://, mysql:// or mariadb://user:password@host:port/database.',
    );
  }
  const part = (value: string): string | undefined => (value === '' ? undefined : decodeURIComponent(value));
  const [username, password] = [part(url.username), part(url.password)];
  const host = url.searchParams.get('host') ?? url.hostname.replace(/^\[(.*)\]$/, '$1');
  const ssl = sslOf(url.searchParams);
  return {
    dialect: url.protocol.slice(0, -1) as NonNullable<Options['dialect']>,
    database: part(url.pathname.slice(1)) ?? '',
    host: host === '' ? 'localhost' : host,
    ...(url.port === '' ? {} : { port: Number(url.port) }),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(ssl === null ? {} : { dialectOptions: { ssl } }),
  };
}

/** `sslmode` of libpq, or `ssl=true`: `require` encrypts, `verify-*` also checks the certificate. */
function sslOf(parameters: URLSearchParams): SqlEndpoint['ssl'] {
  const mode = parameters.get('sslmode') ?? parameters.get('ssl-mode')?.toLowerCase() ?? parameters.get('ssl');
  if (mode === 'require' || mode === 'required') return { rejectUnauthorized: false };
  if (mode === 'true' || mode === '1' || mode?.startsWith('verify')) return { rejectUnauthorized: true };
  return null;
}

interface MysqlSocketConfig {
  readonly ssl?: unknown;
  readonly socketPath?: string;
  readonly host: string;
  readonly port: number;
}

function driverOptions(driver: SqlDriver, applicationName: string, timeoutMs: number): Record<string, unknown> {
  if (driver === 'mysql') {
    return {
      ...{ connectTimeout: timeoutMs, connectAttributes: { program_name: applicationName } },
      // Rows are taken past the driver, which must then neither compress nor be sent two statements in one.
      ...{ compress: false, multipleStatements: false },
      stream: ({ config }: { readonly config: MysqlSocketConfig }) => {
        const socket = CopySocket.create(config.ssl);
        socket.setNoDelay(true).setKeepAlive(true);
        return config.socketPath ? socket.connect(config.socketPath) : socket.connect(config.port, config.host);
      },
    };
  }
  return {
    application_name: applicationName,
    clientMinMessages: 'ignore',
    connectionTimeoutMillis: timeoutMs,
    keepAlive: true,
    stream: (config: { readonly ssl?: unknown }) => CopySocket.create(config.ssl),
  };
}

const UNREACHABLE =
  /^(ECONN|EHOST|ENET|ENOTFOUND|EAI_|ETIMEDOUT|EPIPE|ENOENT|PROTOCOL_CONNECTION_LOST|57P0|53300|ER_CON_COUNT)/;
const REFUSED = /^(28|ER_ACCESS_DENIED|ER_HOST_NOT_PRIVILEGED|ER_DBACCESS_DENIED)/;
const NO_DATABASE = /^(3D000|ER_BAD_DB_ERROR)$/;

function connectError(location: string, error: unknown): HoldfastError {
  const inner = (error as { original?: unknown }).original ?? error;
  const code = String((inner as { code?: unknown }).code ?? '');
  const reason = inner instanceof Error ? inner.message : String(inner);
  if (REFUSED.test(code)) {
    return new HoldfastError('DR_PRIVILEGE_MISSING', `${location} refused the user or the password: ${reason}`, {
      cause: error,
    });
  }
  if (NO_DATABASE.test(code)) {
    return new HoldfastError('CONFIG_INVALID', `There is no such database at ${location}: ${reason}`, { cause: error });
  }
  const hint = UNREACHABLE.test(code)
    ? 'check that a server runs there and takes connections'
    : 'the connection failed';
  return new HoldfastError('DATABASE_UNAVAILABLE', `${location} cannot be reached (${reason || code}): ${hint}.`, {
    cause: error,
  });
}
