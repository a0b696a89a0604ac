import { once } from 'node:events';
import { type Connection, createConnection } from 'mysql2';
import type { Connector, SqlEndpoint } from './connector.ts';

/** Connections of `mysql2`. @param settings further ones of the driver */
export function mysqlConnector(endpoint: SqlEndpoint, settings: Readonly<Record<string, unknown>>): Connector {
  const { host, port, username, password, database, ssl } = endpoint;
  const config = {
    ...{ host, port, database, ...settings },
    // Rows that an UPDATE found but left as they were do not count as affected.
    flags: ['-FOUND_ROWS'],
    supportBigNumbers: true,
    ...(username !== null && { user: username }),
    ...(password !== null && { password }),
    ...(ssl !== null && { ssl: ssl === true ? {} : ssl }),
  };
  const open = new Set<Connection>();
  const disconnect = async (connection: Connection): Promise<void> => {
    open.delete(connection);
    await new Promise<void>((resolve) => connection.end(() => resolve()));
  };
  return {
    async connect() {
      const connection = createConnection(config);
      await once(connection, 'connect');
      // A connection that breaks while nothing is asked of it is found out by the next statement.
      connection.on('error', () => {});
      open.add(connection);
      return connection;
    },
    disconnect: (connection) => disconnect(connection as Connection),
    close: async () => void (await Promise.allSettled([...open].map(disconnect))),
  };
}
