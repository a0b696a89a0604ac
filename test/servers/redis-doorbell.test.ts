import { expect, it } from 'vitest';
import type { Position } from '../../src/model/position.ts';
import { RedisDoorbell } from '../../src/pubsub/redis-doorbell.ts';
import { LOG_ID } from '../support/entries.ts';
import { eventually } from '../support/eventually.ts';
import { openConnection, redisClient } from '../support/redis.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startRedis } from '../support/servers/redis.ts';

const CHANNEL = `holdfast:{${LOG_ID}}:head`;

async function openDoorbell(url: string) {
  const opened = await openConnection(url);
  const doorbell = new RedisDoorbell({ connection: opened.connection, logId: LOG_ID });
  const heard: Position[] = [];
  doorbell.onRing((position) => heard.push(position));
  return {
    ...opened,
    doorbell,
    heard,
    async [Symbol.asyncDispose]() {
      await doorbell.close();
      await opened.connection.close();
    },
  };
}

/** Rings until it is heard: the subscription is made in the background. */
async function connected(from: { readonly doorbell: RedisDoorbell }, to: { readonly heard: Position[] }) {
  await eventually('the first ring', () => {
    from.doorbell.ring({ epoch: 1, sequence: 0 });
    return to.heard.length > 0;
  });
}

describeWith('redis', 'the doorbell in Redis', () => {
  it('is heard by every process on the database, and by no other', async () => {
    await using server = await startRedis();
    await using a = await openDoorbell(server.url);
    await using b = await openDoorbell(server.url);
    await using stranger = await openConnection(server.url);
    const other = new RedisDoorbell({ connection: stranger.connection, logId: 'other' });
    const strange: Position[] = [];
    other.onRing((position) => strange.push(position));
    await connected(a, b);
    await connected(b, a);
    a.doorbell.ring({ epoch: 2, sequence: 42 });
    await eventually('the ring', () => b.heard.at(-1)?.sequence === 42);
    expect(b.heard.at(-1)).toEqual({ epoch: 2, sequence: 42 });
    expect(strange).toEqual([]);
  });

  it('merges rings that come fast, and the last one is the newest', async () => {
    await using server = await startRedis();
    await using a = await openDoorbell(server.url);
    await using b = await openDoorbell(server.url);
    await connected(a, b);
    using redis = redisClient(server.url);
    const published = async () =>
      Number(/cmdstat_publish:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0);
    const before = await published();
    for (let sequence = 1; sequence <= 10_000; sequence++) a.doorbell.ring({ epoch: 1, sequence });
    await eventually('the newest ring', () => b.heard.at(-1)?.sequence === 10_000);
    expect((await published()) - before).toBeLessThanOrEqual(3);
  });

  it('ignores what is no position', async () => {
    await using server = await startRedis();
    await using a = await openDoorbell(server.url);
    await connected(a, a);
    using redis = redisClient(server.url);
    const before = a.heard.length;
    for (const text of ['', 'x', '{"a":1}', '"1.x"', '1.5', '"9.9"']) await redis.publish(CHANNEL, text);
    await eventually('the ring after them', () => a.heard.at(-1)?.epoch === 9);
    // 1.5 without quotes reads as the position it looks like.
    expect(a.heard.slice(before).filter(({ sequence }) => sequence !== 0)).toEqual([
      { epoch: 1, sequence: 5 },
      { epoch: 9, sequence: 9 },
    ]);
  });

  it('is heard again after its server was killed, and rings once for what came meanwhile', async () => {
    await using server = await startRedis();
    await using a = await openDoorbell(server.url);
    await using b = await openDoorbell(server.url);
    await connected(a, b);
    await server.kill();
    for (let sequence = 1; sequence <= 1_000; sequence++) a.doorbell.ring({ epoch: 1, sequence });
    await server.restart();
    await eventually('a ring', () => {
      a.doorbell.ring({ epoch: 1, sequence: 1_001 });
      return b.heard.at(-1)?.sequence === 1_001;
    });
    await eventually('the end of the incident', () => a.lines.length === 2 && b.lines.length === 2);
  });

  it('says once when its user may not use the channel, and works when it may', async () => {
    await using server = await startRedis();
    using redis = redisClient(server.url);
    await redis.call('acl', 'SETUSER', 'limited', 'on', '>pass', '~*', '+@all', 'resetchannels');
    const url = server.url.replace('redis://', 'redis://limited:pass@');
    await using a = await openDoorbell(url);
    a.doorbell.ring({ epoch: 1, sequence: 1 });
    await eventually('the incident', () => a.lines.length === 1);
    expect(a.lines[0]?.cause).toMatch(/NOPERM/);
    for (let sequence = 2; sequence < 100; sequence++) a.doorbell.ring({ epoch: 1, sequence });
    await redis.call('acl', 'SETUSER', 'limited', `&${CHANNEL}`);
    await eventually('a ring', () => {
      a.doorbell.ring({ epoch: 1, sequence: 200 });
      return a.heard.at(-1)?.sequence === 200;
    });
    await eventually('the end of the incident', () => a.lines.length === 2);
    expect(a.told()).toEqual(['Redis is unavailable', 'Redis is back']);
  });

  it('is silent once it is closed', async () => {
    await using server = await startRedis();
    await using a = await openDoorbell(server.url);
    await using b = await openDoorbell(server.url);
    await connected(a, b);
    await connected(a, a);
    await a.doorbell.close();
    const before = a.heard.length;
    b.doorbell.ring({ epoch: 1, sequence: 7 });
    await eventually('the ring', () => b.heard.at(-1)?.sequence === 7);
    expect(a.heard).toHaveLength(before);
  });
});
