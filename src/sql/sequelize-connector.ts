import { type Options, Sequelize } from 'sequelize';
import type { Connector } from './connector.ts';

/**
 * No value is parsed by sequelize, and a session sets what it needs by itself. Without these it would open a connection for the
 * server's version, ask the next one for types, and set each one's time zone.
 */
const UNASKED: object = { databaseVersion: '0.0.1', keepDefaultTimezone: true };

/** Connections out of sequelize's pool, by options of its own: its hooks, its way to the server that takes writes. */
export function sequelizeConnector(options: Options): Connector {
  const sequelize = new Sequelize({ ...options, logging: false, ...UNASKED });
  const manager = sequelize.connectionManager as unknown as {
    getConnection(options: { type: 'write'; useMaster: boolean }): Promise<unknown>;
    destroyConnection(connection: unknown): Promise<void>;
  };
  return {
    connect: () => manager.getConnection({ type: 'write', useMaster: true }),
    disconnect: (connection) => manager.destroyConnection(connection),
    close: () => sequelize.close(),
  };
}
