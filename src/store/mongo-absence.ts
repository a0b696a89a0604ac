import type { MongoClient, ServerHeartbeatFailedEvent, TopologyDescriptionChangedEvent } from 'mongodb';

/**
 * Tells when the driver knows no server any more and a heartbeat fails as well: a connection that breaks, or one of several servers
 * that ends, is not enough. Once for each time. Returns the function that ends it.
 */
export function watchAbsence(client: MongoClient, onAway: (reason: string) => void): () => void {
  let isUnknown = false;
  let told = false;
  const onChanged = ({ newDescription: { servers } }: TopologyDescriptionChangedEvent): void => {
    isUnknown = [...servers.values()].every(({ type }) => type === 'Unknown');
    if (!isUnknown) told = false;
  };
  const onFailed = ({ connectionId, failure }: ServerHeartbeatFailedEvent): void => {
    if (!isUnknown || told) return;
    told = true;
    onAway(`no heartbeat from ${connectionId}: ${failure.message}`);
  };
  return listen(client, onChanged, onFailed);
}

/**
 * Calls `onAbsent` when each server that the driver knows of has failed a heartbeat and none is known to be there: at once where
 * connections are refused. Returns the function that ends it.
 */
export function watchArrival(client: MongoClient, onAbsent: () => void): () => void {
  const failed = new Set<string>();
  let known: readonly string[] = [];
  const onChanged = ({ newDescription: { servers } }: TopologyDescriptionChangedEvent): void => {
    known = [...servers.keys()];
    for (const [address, { type }] of servers) if (type !== 'Unknown') failed.delete(address);
  };
  const onFailed = ({ connectionId }: ServerHeartbeatFailedEvent): void => {
    failed.add(connectionId);
    if (known.every((address) => failed.has(address))) onAbsent();
  };
  return listen(client, onChanged, onFailed);
}

function listen(
  client: MongoClient,
  onChanged: (event: TopologyDescriptionChangedEvent) => void,
  onFailed: (event: ServerHeartbeatFailedEvent) => void,
): () => void {
  client.on('topologyDescriptionChanged', onChanged);
  client.on('serverHeartbeatFailed', onFailed);
  return () => {
    client.off('topologyDescriptionChanged', onChanged);
    client.off('serverHeartbeatFailed', onFailed);
  };
}
