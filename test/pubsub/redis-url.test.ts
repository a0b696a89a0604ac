import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isHoldfastError } from '../../src/errors.ts';
import { parseRedisUrl } from '../../src/pubsub/redis-url.ts';
import { temporaryDirectory } from '../support/temporary.ts';

function mistakeOf(url: string): string {
  try {
    parseRedisUrl(url);
  } catch (error) {
    if (isHoldfastError(error, 'CONFIG_INVALID')) return error.message;
  }
  return 'it was accepted';
}

describe('a Redis URL', () => {
  it('names one server, with defaults', () => {
    expect(parseRedisUrl('redis://cache')).toEqual({
      ...{ kind: 'single', hosts: [{ host: 'cache', port: 6379 }], name: '', database: 0 },
      ...{ username: undefined, password: undefined, sentinelUsername: undefined, sentinelPassword: undefined },
      ...{ tls: undefined, shown: 'redis://cache' },
    });
  });

  it('names user, password and database', () => {
    const target = parseRedisUrl('redis://holdfast:p%40ss%2Fw%3Ard@10.0.0.1:7000/3');
    expect(target).toMatchObject({ username: 'holdfast', password: 'p@ss/w:rd', database: 3 });
    expect(target.hosts).toEqual([{ host: '10.0.0.1', port: 7000 }]);
    expect(target.shown).toBe('redis://10.0.0.1:7000/3');
    expect(parseRedisUrl('redis://:secret@cache')).toMatchObject({ username: undefined, password: 'secret' });
    expect(parseRedisUrl('redis://[::1]:6380')).toMatchObject({ hosts: [{ host: '::1', port: 6380 }] });
  });

  it('names Sentinels and what they watch', () => {
    const target = parseRedisUrl(
      'redis+sentinel://u:p@s1,s2:26380/mymaster/2?sentinelUsername=su&sentinelPassword=s%26p',
    );
    expect(target).toMatchObject({ kind: 'sentinel', name: 'mymaster', database: 2, username: 'u', password: 'p' });
    expect(target).toMatchObject({ sentinelUsername: 'su', sentinelPassword: 's&p' });
    expect(target.hosts).toEqual([
      { host: 's1', port: 26379 },
      { host: 's2', port: 26380 },
    ]);
    expect(target.shown).toBe('redis+sentinel://s1,s2:26380/mymaster/2');
  });

  it('names nodes of a Cluster', () => {
    expect(parseRedisUrl('redis+cluster://a:7001,b:7002')).toMatchObject({
      ...{ kind: 'cluster', database: 0 },
      hosts: [
        { host: 'a', port: 7001 },
        { host: 'b', port: 7002 },
      ],
    });
  });

  it('asks for TLS, with certificates from files', async () => {
    await using directory = await temporaryDirectory();
    const ca = join(directory.path, 'ca.pem');
    await writeFile(ca, 'PEM');
    expect(parseRedisUrl('rediss://cache').tls).toEqual({});
    expect(parseRedisUrl(`rediss+cluster://cache?ca=${encodeURIComponent(ca)}`).tls).toEqual({ ca: 'PEM' });
    expect(mistakeOf('rediss://cache?ca=/no/such/file.pem')).toMatch(/ca the file \/no\/such\/file.pem/);
  });

  it.each([
    ['http://user:hunter2@cache', /is not a Redis URL/],
    ['redis://user:hunter2@', /is not a Redis URL/],
    ['redis://user:hunter2@cache/0#x', /is not a Redis URL/],
    ['redis://user:hunter2@x/y@cache', /is not a Redis URL/],
    ['redis://user:hunter2@cache:99999', /HOST:PORT/],
    ['redis://user:hunter2@cache:0', /HOST:PORT/],
    ['redis://user:hunter2@a,b', /several hosts/],
    ['redis://user:hunter2@cache/zero', /number of a database/],
    ['redis://user:hunter2@cache/0/1', /number of a database/],
    ['redis://user:hunter2%@cache', /percent-encoded/],
    ['redis://user:hunter2@cache?ca=x', /unknown parameter ca; this form takes none/],
    ['rediss://user:hunter2@cache?rejectUnauthorized=false', /unknown parameter rejectUnauthorized; .* ca, cert, key/],
    ['redis+sentinel://user:hunter2@s1', /name that the Sentinels watch/],
    ['redis+cluster://user:hunter2@a/1', /only database 0/],
  ])('refuses %s, and keeps the password to itself', (url, mistake) => {
    const message = mistakeOf(url);
    expect(message).toMatch(mistake);
    expect(message).not.toContain('hunter2');
  });
});
