import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { type WatchedClient, watchGreetings } from '../../src/store/mongo-greetings.ts';
import { ManualClock } from '../support/manual-clock.ts';

const SERVER = 'host:27017';
const AWAITED_MS = 12_000;
const PLAIN_MS = 4_000;

/** A client that notes what is done to it; `refusals` of its connections fail. */
class FakeClient extends EventEmitter {
  readonly calls: string[] = [];
  refusals = 0;

  async close(): Promise<void> {
    this.calls.push('close');
  }

  async connect(): Promise<void> {
    this.calls.push('connect');
    if (this.refusals-- > 0) throw new Error('nobody is there');
  }
}

function watched() {
  const client = new FakeClient();
  const clock = new ManualClock();
  const end = watchGreetings({
    ...{ client: client as unknown as WatchedClient, clock },
    ...{ longestMs: PLAIN_MS, longestAwaitedMs: AWAITED_MS },
  });
  const heartbeat = (state: string, awaited = false) =>
    client.emit(`serverHeartbeat${state}`, { connectionId: SERVER, awaited });
  const connection = (state: string) => client.emit(`connection${state}`, { address: SERVER, connectionId: 1 });
  return { client, clock, end, heartbeat, connection };
}

describe('greetings of a MongoDB driver', () => {
  it('that end are none of our business', async () => {
    const { client, clock, heartbeat, connection } = watched();
    for (const end of ['Succeeded', 'Failed']) {
      heartbeat('Started');
      await clock.advance(PLAIN_MS);
      heartbeat(end);
    }
    for (const end of ['Ready', 'Closed']) {
      connection('Created');
      await clock.advance(PLAIN_MS);
      connection(end);
    }
    heartbeat('Started', true);
    await clock.advance(AWAITED_MS);
    heartbeat('Succeeded');
    heartbeat('Started');
    client.emit('serverClosed', { address: SERVER });
    await clock.advance(10 * AWAITED_MS);
    expect(client.calls).toEqual([]);
    expect(clock.timers).toBe(0);
  });

  it.each(['heartbeat', 'connection'] as const)(
    'that never end close the client and connect it again: %s',
    async (kind) => {
      const { client, clock, heartbeat, connection } = watched();
      client.refusals = 2;
      if (kind === 'heartbeat') heartbeat('Started');
      else connection('Created');
      await clock.advance(PLAIN_MS + 999);
      expect(client.calls).toEqual([]);
      await clock.advance(1);
      expect(client.calls).toEqual(['close', 'connect']);
      await clock.advance(1_000);
      expect(client.calls).toEqual(['close', 'connect', 'connect', 'connect']);
      heartbeat('Started');
      await clock.advance(2 * PLAIN_MS);
      expect(client.calls.slice(4)).toEqual(['close', 'connect']);
    },
  );

  it('are no longer watched once it is ended, also in the middle of a new connection', async () => {
    const { client, clock, end, heartbeat } = watched();
    client.refusals = 1;
    heartbeat('Started');
    await clock.advance(2 * PLAIN_MS);
    heartbeat('Started');
    end();
    await clock.advance(10 * PLAIN_MS);
    expect(client.calls.filter((call) => call === 'close')).toHaveLength(1);
    expect(clock.timers).toBe(0);
    expect(client.eventNames()).toEqual([]);
  });
});
