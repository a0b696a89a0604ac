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
  client.on('topologyDescriptionChanged', onChanged);
  client.on('serverHeartbeatFailed', onFailed);
  return () => {
    client.off('topologyDescriptionChanged', onChanged);
    client.off('serverHeartbeatFailed', onFailed);
  };
}
