import type { MongoClient } from 'mongodb';
import type { Clock } from '../util/clock.ts';

/** Of a client, what is used here. */
export type WatchedClient = Pick<MongoClient, 'on' | 'off' | 'close' | 'connect'>;

export interface GreetingOptions {
  readonly client: WatchedClient;
  readonly clock: Pick<Clock, 'after'>;
  /** Longest the driver itself takes to connect to a server and greet it, in ms. */
  readonly longestMs: number;
  /** Longest the driver waits for a heartbeat that the server holds back until there is news, in ms. */
  readonly longestAwaitedMs: number;
}

/** After an alarm there is this much time, in ms, for what a process that was busy or suspended could not look at. */
const GRACE_MS = 1_000;
/** Pause before another try to connect again, in ms. */
const RETRY_MS = 500;

/**
 * Sees to it that what the driver begins to say to a server ends. When a server dies at the moment in which the driver greets it (the
 * connection is refused in the very call that writes the greeting), the driver misses that, and waits for ever: its monitor finds no server any
 * more although it is back, or its pool makes no connections. Then the client is closed and connected again; what was under way
 * on it fails as on a lost connection. Returns the function that ends it.
 */
export function watchGreetings({ client, clock, longestMs, longestAwaitedMs }: GreetingOptions): () => void {
  /** How to call off the alarm, by what was begun. */
  const pending = new Map<string, () => void>();
  let ended = false;
  let reviving = false;

  const end = (name: string): void => {
    pending.get(name)?.();
    pending.delete(name);
  };
  const begin = (name: string, ms: number): void => {
    end(name);
    const alarm = (): void => void pending.set(name, clock.after(GRACE_MS, revive));
    pending.set(name, clock.after(ms, alarm));
  };
  const forget = (): void => {
    for (const name of [...pending.keys()]) end(name);
  };
  const revive = (): void => {
    forget();
    if (reviving) return;
    reviving = true;
    void client
      .close()
      .catch(() => {})
      .then(connect);
  };
  const connect = async (): Promise<void> => {
    if (ended) return;
    try {
      await client.connect();
      reviving = false;
      // It may have been ended meanwhile.
      if (ended) await client.close();
    } catch {
      clock.after(RETRY_MS, () => void connect());
    }
  };

  const heartbeatOf = ({ connectionId }: { readonly connectionId: string }): string => `heartbeat ${connectionId}`;
  const connectionOf = (event: { readonly address: string; readonly connectionId: number | '<monitor>' }): string =>
    `connection ${event.address} ${event.connectionId}`;
  const listeners = {
    serverHeartbeatStarted: (event: { readonly connectionId: string; readonly awaited: boolean }) =>
      begin(heartbeatOf(event), event.awaited ? longestAwaitedMs : longestMs),
    serverHeartbeatSucceeded: (event: { readonly connectionId: string }) => end(heartbeatOf(event)),
    serverHeartbeatFailed: (event: { readonly connectionId: string }) => end(heartbeatOf(event)),
    serverClosed: ({ address }: { readonly address: string }) => end(heartbeatOf({ connectionId: address })),
    connectionCreated: (event: Parameters<typeof connectionOf>[0]) => begin(connectionOf(event), longestMs),
    connectionReady: (event: Parameters<typeof connectionOf>[0]) => end(connectionOf(event)),
    connectionClosed: (event: Parameters<typeof connectionOf>[0]) => end(connectionOf(event)),
  } as const;
  const names = Object.keys(listeners) as (keyof typeof listeners)[];
  for (const name of names) client.on(name, listeners[name] as () => void);
  return () => {
    ended = true;
    forget();
    for (const name of names) client.off(name, listeners[name] as () => void);
  };
}
