/** Where a server is and who asks, for drivers and for tools of the server that are started beside us. */
export interface SqlEndpoint {
  readonly host: string;
  readonly port: number;
  readonly username: string | null;
  readonly password: string | null;
  readonly database: string;
  /** What the driver takes as `ssl`; null without TLS. */
  readonly ssl: Readonly<Record<string, unknown>> | true | null;
}

/** Opens connections of a driver to one database. */
export interface Connector {
  /** A connection that is ready. @throws the driver's error, or one with it as `original` */
  connect(): Promise<unknown>;
  /** Ends a connection, whatever it does. */
  disconnect(connection: unknown): Promise<void>;
  /** Ends all connections. */
  close(): Promise<void>;
}
