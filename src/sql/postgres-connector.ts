import { Client } from 'pg';
import type { Connector, SqlEndpoint } from './connector.ts';

/** Connections of `pg`. @param settings further ones of the driver */
export function postgresConnector(endpoint: SqlEndpoint, settings: Readonly<Record<string, unknown>>): Connector {
  const { host, port, username, password, database, ssl } = endpoint;
  const config = {
    ...{ host, port, database, ...settings },
    ...(username !== null && { user: username }),
    ...(password !== null && { password }),
    ...(ssl !== null && { ssl }),
  };
  const open = new Set<Client>();
  const disconnect = async (client: Client): Promise<void> => {
    open.delete(client);
    await client.end();
  };
  return {
    async connect() {
      const client = new Client(config);
      // A connection that breaks while nothing is asked of it is found out by the next statement.
      client.on('error', () => {});
      await client.connect();
      open.add(client);
      return client;
    },
    disconnect: (connection) => disconnect(connection as Client),
    close: async () => void (await Promise.allSettled([...open].map(disconnect))),
  };
}
