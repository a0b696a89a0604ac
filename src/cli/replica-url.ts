/** Ops endpoint of a replica with the default ports. */
export const DEFAULT_REPLICA_URL = 'http://127.0.0.1:4011/graphql';
