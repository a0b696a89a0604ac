import { describe, expect, it } from 'vitest';
import { pauseMs } from '../../src/pubsub/redis-connection.ts';
import { RedisIncident } from '../../src/pubsub/redis-incident.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { createRegistry, metricsOf } from '../../src/telemetry/metrics.ts';
import { ManualClock } from '../support/manual-clock.ts';

function incident() {
  const clock = new ManualClock();
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger({ pretty: false, destination: { write: (line) => void lines.push(JSON.parse(line)) } });
  const registry = createRegistry();
  const incident = new RedisIncident({ redis: 'redis://cache:6379', logger, clock, metrics: metricsOf(registry) });
  const metric = async (name: string) => (await registry.getSingleMetric(name)?.get())?.values[0]?.value;
  return { clock, lines, incident, metric };
}

describe('an incident', () => {
  it('begins with the first trouble and ends after the last, with one line each', async () => {
    const { clock, lines, incident: told, metric } = incident();
    told.begin('connection', new Error('connect ECONNREFUSED'));
    told.begin('write', new Error('another'));
    told.dropped(7);
    await clock.advance(3_000);
    told.end('connection');
    await clock.advance(2_000);
    told.begin('write', new Error('again'));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      redis: 'redis://cache:6379',
      trouble: 'connection',
      cause: 'connect ECONNREFUSED',
    });
    expect(await metric('holdfast_redis_unavailable')).toBe(1);
    told.end('write');
    await clock.advance(10_000);
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatchObject({ unavailableMs: 5_000, droppedChanges: 7 });
    expect(await metric('holdfast_redis_unavailable')).toBe(0);
    expect(await metric('holdfast_redis_incidents_total')).toBe(1);
    expect(await metric('holdfast_redis_dropped_changes_total')).toBe(7);
  });

  it('goes on when trouble comes back at once', async () => {
    const { clock, lines, incident: told } = incident();
    for (let round = 0; round < 20; round++) {
      told.begin('connection', new Error('reset'));
      await clock.advance(100);
      told.end('connection');
      await clock.advance(100);
    }
    await clock.advance(1_000);
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatchObject({ unavailableMs: 3_900 });
  });

  it('is not made by successes, and not reported once it is closed', async () => {
    const { clock, lines, incident: told } = incident();
    told.end('read');
    await clock.advance(1_000);
    told.close();
    told.begin('connection', new Error('closed'));
    expect(lines).toEqual([]);
    expect(told.unavailable).toBe(false);
  });

  it('names the cause of a host with several addresses', () => {
    const { lines, incident: told } = incident();
    told.begin('connection', new AggregateError([new Error('connect ECONNREFUSED ::1'), new Error('other')]));
    expect(lines[0]).toMatchObject({ cause: 'connect ECONNREFUSED ::1' });
  });
});

describe('the pause before the next try', () => {
  it('doubles up to a second, with jitter', () => {
    expect([1, 2, 3, 4, 5, 6, 100].map((tries) => pauseMs(tries, () => 1))).toEqual([
      50, 100, 200, 400, 800, 1_000, 1_000,
    ]);
    expect(pauseMs(6, () => 0)).toBe(500);
  });
});
