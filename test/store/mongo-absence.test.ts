import { EventEmitter } from 'node:events';
import type { MongoClient } from 'mongodb';
import { beforeEach, describe, expect, it } from 'vitest';
import { watchAbsence, watchArrival } from '../../src/store/mongo-absence.ts';

let client: EventEmitter;
let told: number;

/** What the driver knows of its servers from now on. */
function known(types: Readonly<Record<string, 'Unknown' | 'Standalone'>>): void {
  const servers = new Map(Object.entries(types).map(([address, type]) => [address, { type }]));
  client.emit('topologyDescriptionChanged', { newDescription: { servers } });
}

function fail(connectionId: string): void {
  client.emit('serverHeartbeatFailed', { connectionId, failure: new Error('refused') });
}

beforeEach(() => {
  client = new EventEmitter();
  told = 0;
});

describe('watchArrival', () => {
  const watch = () => watchArrival(client as MongoClient, () => (told += 1));

  it('tells when every server refused, and not when the first of several did', () => {
    watch();
    known({ a: 'Unknown', b: 'Unknown' });
    fail('a');
    expect(told).toBe(0);
    fail('b');
    expect(told).toBe(1);
  });

  it('forgets a failure of a server that answered since', () => {
    watch();
    known({ a: 'Unknown', b: 'Unknown' });
    fail('a');
    known({ a: 'Standalone', b: 'Unknown' });
    fail('b');
    expect(told).toBe(0);
  });

  it('tells nothing after its end', () => {
    watch()();
    known({ a: 'Unknown' });
    fail('a');
    expect(told).toBe(0);
    expect(client.eventNames()).toEqual([]);
  });
});

describe('watchAbsence', () => {
  it('tells once when no server is known and a heartbeat failed as well, and again after one was there', () => {
    watchAbsence(client as MongoClient, () => (told += 1));
    known({ a: 'Standalone' });
    fail('a');
    expect(told).toBe(0);
    known({ a: 'Unknown' });
    fail('a');
    fail('a');
    expect(told).toBe(1);
    known({ a: 'Standalone' });
    known({ a: 'Unknown' });
    fail('a');
    expect(told).toBe(2);
  });
});
