import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { RedisDoorbell } from '../../src/pubsub/redis-doorbell.ts';
import { LOG_ID } from '../support/entries.ts';
import { eventually } from '../support/eventually.ts';
import { history, MANY, openCache, openConnection, redisClient } from '../support/redis.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { serverPort } from '../support/servers/port.ts';
import { findProgram, run } from '../support/servers/process.ts';
import { startRedis } from '../support/servers/redis.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** Whether changes and rings go through. */
async function works(url: string): Promise<void> {
  await using opened = await openConnection(url);
  await using cache = openCache(opened.connection);
  const doorbell = new RedisDoorbell({ connection: opened.connection, logId: LOG_ID });
  const entries = history(20);
  let heard = 0;
  doorbell.onRing(({ sequence }) => {
    heard = sequence;
  });
  cache.offer(entries);
  await eventually('the changes', async () => (await cache.read(0, MANY))?.length === 20);
  await eventually('a ring', () => {
    doorbell.ring({ epoch: 1, sequence: 20 });
    return heard === 20;
  });
  expect(opened.lines).toEqual([]);
  await doorbell.close();
}

/** A key and a certificate signed by itself for 127.0.0.1. */
function certificate(directory: string): { readonly key: string; readonly cert: string } {
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const subject = ['-subj', '/CN=holdfast-test', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const args = [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-keyout',
    key,
    '-out',
    cert,
    ...subject,
  ];
  execFileSync('openssl', args, { stdio: 'ignore' });
  return { key, cert };
}

/** What docs/redis.md asks for. */
const RIGHTS = ['+xadd', '+xrange', '+xrevrange', '+del', '+publish', '+subscribe', '+ping', '+info', '+select'];

const opensslIsMissing = findProgram('openssl') === undefined;

describeWith('redis', 'a Redis URL', () => {
  it('with a database number keeps to that database', async () => {
    await using server = await startRedis();
    await works(`${server.url}/5`);
    using redis = redisClient(`${server.url}/5`);
    expect(await redis.dbsize()).toBe(1);
    await redis.select(0);
    expect(await redis.dbsize()).toBe(0);
    await expect(openConnection(`${server.url}/99`)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('with user and password works with no more rights than docs/redis.md names', async () => {
    await using server = await startRedis();
    using redis = redisClient(server.url);
    await redis.call('acl', 'SETUSER', 'holdfast', 'on', '>p@ss/word', '~holdfast:*', '&holdfast:*', ...RIGHTS);
    await redis.call('acl', 'SETUSER', 'default', 'off');
    await works(`redis://holdfast:p%40ss%2Fword@127.0.0.1:${server.port}`);
  });

  it('with wrong credentials is refused at the start, without the password', async () => {
    await using server = await startRedis({ args: ['--requirepass', 'right'] });
    await works(`redis://:right@127.0.0.1:${server.port}`);
    for (const credentials of ['', ':wrong@', 'nobody:wrong@']) {
      const failure = openConnection(`redis://${credentials}127.0.0.1:${server.port}`);
      await expect(failure).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
      await expect(failure).rejects.not.toThrow(/wrong/);
    }
  });

  it.skipIf(opensslIsMissing)('with TLS trusts the authority it names, and no other', async () => {
    await using directory = await temporaryDirectory();
    const { key, cert } = certificate(directory.path);
    const port = await serverPort();
    await using server = await startRedis({
      port,
      args: [
        ...['--port', '0', '--tls-port', `${port}`, '--tls-auth-clients', 'optional'],
        ...['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert],
      ],
    });
    expect(server.port).toBe(port);
    const url = `rediss://127.0.0.1:${port}`;
    await works(`${url}?ca=${cert}`);
    await works(`${url}?ca=${cert}&cert=${cert}&key=${key}`);
    await using untrusting = await openConnection(url);
    await eventually('the incident', () => untrusting.lines.length === 1);
    expect(untrusting.lines[0]?.cause).toMatch(/self-signed certificate/);
    expect(untrusting.connection.ready).toBe(false);
  });

  it('of Sentinels follows them to the new primary', async () => {
    await using primary = await startRedis();
    await using replica = await startRedis({ args: ['--replicaof', '127.0.0.1', `${primary.port}`] });
    await using directory = await temporaryDirectory();
    const port = await serverPort();
    const file = join(directory.path, 'sentinel.conf');
    const settings = [
      ...[`port ${port}`, 'bind 127.0.0.1', `sentinel monitor main 127.0.0.1 ${primary.port} 1`],
      ...['sentinel down-after-milliseconds main 500', 'sentinel failover-timeout main 2000'],
    ];
    await writeFile(file, `${settings.join('\n')}\n`);
    const sentinel = run({
      command: findProgram('redis-server') ?? '',
      args: [file, '--sentinel'],
      cwd: directory.path,
    });
    try {
      using asked = redisClient(`redis://127.0.0.1:${port}`);
      await eventually('the Sentinel knows the replica', async () => {
        const known = await asked.call('sentinel', 'replicas', 'main').catch(() => []);
        return JSON.stringify(known).includes(`${replica.port}`);
      });
      await using opened = await openConnection(`redis+sentinel://127.0.0.1:${port}/main`);
      await using cache = openCache(opened.connection);
      const entries = history(30);
      cache.offer(entries.slice(0, 10));
      await eventually('the changes', async () => (await cache.read(0, MANY))?.length === 10);
      await primary.kill();
      cache.offer(entries.slice(10));
      await eventually('the changes on the new primary', () => cache.read(29, MANY), 60_000);
      expect(await cache.read(10, MANY)).toEqual(entries.slice(10));
      using redis = redisClient(replica.url);
      expect(await redis.role()).toContain('master');
      await eventually('the end of the incident', () => opened.lines.length === 2);
      expect(opened.told()).toEqual(['Redis is unavailable', 'Redis is back']);
    } finally {
      await sentinel.kill();
    }
  });

  it('of a Cluster works through any of its nodes, and after its death', async () => {
    await using server = await startRedis({ args: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'] });
    using redis = redisClient(server.url);
    await redis.call('cluster', 'ADDSLOTSRANGE', '0', '16383');
    await eventually('the cluster', async () => /cluster_state:ok/.test(String(await redis.call('cluster', 'INFO'))));
    const url = `redis+cluster://127.0.0.1:${await serverPort()},127.0.0.1:${server.port}`;
    await works(`redis+cluster://127.0.0.1:${server.port}`);
    const rights = [...RIGHTS, '+cluster|slots', '+cluster|info'];
    await redis.call('acl', 'SETUSER', 'holdfast', 'on', '>pass', '~holdfast:*', '&holdfast:*', ...rights);
    await redis.flushall();
    await works(`redis+cluster://holdfast:pass@127.0.0.1:${server.port}`);
    await using opened = await openConnection(url);
    await using cache = openCache(opened.connection);
    const doorbell = new RedisDoorbell({ connection: opened.connection, logId: LOG_ID });
    let heard = 0;
    doorbell.onRing(({ sequence }) => {
      heard = sequence;
    });
    await server.kill();
    const entries = history(10, 100, history(20).at(-1));
    cache.offer(entries);
    await server.restart();
    await eventually('the changes', () => cache.read(29, MANY), 30_000);
    expect(await cache.read(0, MANY)).toEqual([...history(20), ...entries]);
    await eventually('a ring', () => {
      doorbell.ring({ epoch: 1, sequence: 30 });
      return heard === 30;
    });
    await eventually('the end of the incident', () => opened.lines.length === 2);
    await doorbell.close();
  });
});
