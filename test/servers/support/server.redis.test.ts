import { Redis } from 'ioredis';
import { describeWith } from '../../support/servers/describe-with.ts';
import { startRedis } from '../../support/servers/redis.ts';
import { behavesAsServer } from './behaviour.ts';

describeWith('redis', 'a Redis server of a test', () => {
  behavesAsServer(startRedis, async ({ url }) => {
    const client = new Redis(url, { retryStrategy: () => null, maxRetriesPerRequest: 0 });
    client.on('error', () => undefined);
    return {
      add: (number) => client.rpush('numbers', number),
      all: async () => (await client.lrange('numbers', 0, -1)).map(Number),
      close: async () => client.disconnect(),
    };
  });
});
