import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type ConfigSources,
  clientToken,
  configKeys,
  dataDirectory,
  loadConfig,
  resolveConfig,
} from '../src/config.ts';
import { temporaryDirectory } from './support/temporary.ts';

const PRIMARY_URL = 'ws://127.0.0.1:4000/graphql';

/** Loads from a directory with these files and nothing of this process's own environment. */
async function load(sources: ConfigSources = {}, files: Readonly<Record<string, string>> = {}) {
  await using directory = await temporaryDirectory();
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory.path, name), text);
  return { ...(await loadConfig({ env: {}, directory: directory.path, ...sources })), directory: directory.path };
}

const TOKEN = { name: 'a', hash: 'ab'.repeat(32), roles: ['reader'] };

describe('configuration', () => {
  it('allows any address when callers need a token, and limits their rate then', async () => {
    const env = { HOLDFAST_AUTH_MODE: 'token', HOLDFAST_SERVER_HOST: '0.0.0.0' };
    const { config } = await load({ env });
    expect(config.limits.rate).toEqual({ perSecond: 100, burst: 200 });
    expect((await load()).config.limits.rate).toBeUndefined();
    const chosen = await load({ env: { ...env, HOLDFAST_LIMITS_RATE_PER_SECOND: '7' } });
    expect(chosen.config.limits.rate).toEqual({ perSecond: 7, burst: 200 });
  });

  it('takes tokens from a file, or as JSON from the environment', async () => {
    const env = { HOLDFAST_AUTH_TOKENS: JSON.stringify([TOKEN]) };
    expect((await load({ env })).config.auth.tokens).toEqual([TOKEN]);
    const file = `auth: { tokens: [{ name: a, hash: "${TOKEN.hash}", roles: [reader] }] }`;
    expect((await load({}, { 'holdfast.config.yaml': file })).config.auth.tokens).toEqual([TOKEN]);
  });

  it('means the file of a token from the directory of the configuration file', async () => {
    const of = async (token: string) => {
      const text = `replica: { primary: ["${PRIMARY_URL}"], token: "${token}" }`;
      const { config, directory } = await load({}, { 'holdfast.config.yaml': text });
      return [config.replica.token, directory];
    };
    const [token, directory] = await of('file:secret/token');
    expect(token).toBe(`file:${join(directory as string, 'secret/token')}`);
    expect((await of('hf_abc'))[0]).toBe('hf_abc');
  });

  it('keeps the token of the command line to the command line', async () => {
    await load({ env: { HOLDFAST_TOKEN: 'hf_abc' } });
    expect([clientToken({ HOLDFAST_TOKEN: 'hf_abc' }), clientToken({ HOLDFAST_TOKEN: '' })]).toEqual([
      'hf_abc',
      undefined,
    ]);
  });

  it('needs nothing: an embedded store under ./data on loopback', async () => {
    const { config, file, origins } = await load();
    expect(config.server).toEqual({ host: '127.0.0.1', port: 4000, opsPort: 4001, cors: [] });
    expect(dataDirectory(config)).toBe(resolve('data'));
    expect(config.schema).toBeUndefined();
    expect(file).toBeUndefined();
    expect(new Set(origins.values())).toEqual(new Set(['default']));
  });

  it('gives a replica ports and data of its own', async () => {
    const { config } = await load({ role: 'replica', env: { HOLDFAST_REPLICA_PRIMARY: PRIMARY_URL } });
    expect(config.server).toMatchObject({ port: 4010, opsPort: 4011 });
    expect(dataDirectory(config)).toBe(resolve('data-replica'));
    expect(config.replica.primary).toEqual([PRIMARY_URL]);
  });

  it('lets flags win over the environment, and that over the file', async () => {
    const { config, origins, directory } = await load(
      {
        env: { HOLDFAST_SERVER_PORT: '5001', HOLDFAST_SERVER_OPS_PORT: '6001' },
        flags: [{ path: 'server.port', value: '5002', flag: '--port' }],
      },
      { 'holdfast.config.yaml': 'server: { port: 5000, opsPort: 6000 }\ntelemetry: { level: debug }\n' },
    );
    expect(config.server).toMatchObject({ port: 5002, opsPort: 6001 });
    expect(config.telemetry.level).toBe('debug');
    expect(origins.get('server.port')).toBe('--port');
    expect(origins.get('server.opsPort')).toBe('HOLDFAST_SERVER_OPS_PORT');
    expect(origins.get('telemetry.level')).toBe(join(directory, 'holdfast.config.yaml'));
    expect(origins.get('server.host')).toBe('default');
  });

  it.each([
    ['holdfast.config.yaml', 'limits:\n  page: 20\n'],
    ['holdfast.config.json', '{"limits":{"page":20}}'],
    ['holdfast.config.ts', 'const page: number = 20;\nexport default { limits: { page } };\n'],
  ])('reads %s', async (name, text) => {
    const { config, file, directory } = await load({}, { [name]: text });
    expect(config.limits.page).toBe(20);
    expect(file).toBe(join(directory, name));
  });

  it('takes an empty file and empty keys as nothing', async () => {
    expect((await load({}, { 'holdfast.config.yaml': '' })).config.server.port).toBe(4000);
    expect((await load({}, { 'holdfast.config.yaml': 'server:\n' })).config.server.port).toBe(4000);
  });

  it('means paths in a file from the directory of the file', async () => {
    const text = 'schema: ./schema\nstore: { url: sqlite:here }\nreplica: { data: /abs }\n';
    const { config, directory } = await load({}, { 'holdfast.config.yaml': text });
    expect(config.schema).toBe(join(directory, 'schema'));
    expect(config.store.url).toBe(`sqlite:${join(directory, 'here')}`);
    expect(config.replica.data).toBe('/abs');
  });

  it('knows a Redis URL when it sees one, and shows none of its password', () => {
    const redis = 'redis+sentinel://user:pass@a:26379,b:26379/main';
    expect(resolveConfig({ changeLog: { redis } }, {}).changeLog).toMatchObject({
      redis,
      redisBytes: 64 * 1024 * 1024,
    });
    const mistaken = () => resolveConfig({ changeLog: { redis: 'http://user:hunter2@cache' } }, {});
    expect(mistaken).toThrow(/changeLog.redis .* is not a Redis URL/);
    expect(mistaken).not.toThrow(/hunter2/);
  });

  it('limits the rate only when asked, then with defaults', () => {
    expect(resolveConfig({}, {}).limits.rate).toBeUndefined();
    expect(resolveConfig({ limits: { rate: {} } }, {}).limits.rate).toEqual({ perSecond: 100, burst: 200 });
    expect(resolveConfig({ limits: { rate: { burst: 5 } } }, {}).limits.rate).toEqual({ perSecond: 100, burst: 5 });
  });

  it('cannot be changed once it is read', () => {
    const config = resolveConfig({}, {});
    expect(() => Object.assign(config.server, { port: 1 })).toThrow(TypeError);
    expect(Object.isFrozen(config.server.cors)).toBe(true);
  });

  it('knows production from NODE_ENV', () => {
    expect(resolveConfig({}, { NODE_ENV: 'production' }).production).toBe(true);
    expect(resolveConfig({}, {}).production).toBe(false);
  });

  it('takes a failpoint from the environment, but not in production', () => {
    const failing = (spec: string, more = {}) => resolveConfig({}, { HOLDFAST_FAILPOINT: spec, ...more });
    expect(failing('write.afterWrite:17').failpoint).toBe('write.afterWrite:17');
    expect(failing('').failpoint).toBeUndefined();
    expect(() => failing('write.afterWrite:0')).toThrow('write a name, or name:N');
    expect(() => failing('write.afterWrite', { NODE_ENV: 'production' })).toThrow('not for production');
  });

  it('leaves variables alone that Kubernetes sets for a service named holdfast', async () => {
    const env = {
      HOLDFAST_SERVICE_HOST: '10.0.0.1',
      HOLDFAST_PORT: 'tcp://10.0.0.1:4000',
      HOLDFAST_PORT_4000_TCP: 'x',
    };
    await expect(load({ env: { ...env, HOLDFAST_DEBUG: '1' } })).resolves.toBeDefined();
  });

  it('has one variable for each key', () => {
    const variables = configKeys().map(({ variable }) => variable);
    expect(variables).toContain('HOLDFAST_CHANGE_LOG_RETENTION_MAX_AGE_MS');
    expect(new Set(variables).size).toBe(variables.length);
  });
});

describe('a mistake in the configuration', () => {
  const mistake = async (sources: ConfigSources, files?: Record<string, string>) =>
    load(sources, files).then(
      () => 'none',
      (error: Error & { code?: string }) => `${error.code}: ${error.message}`,
    );

  it.each<[string, ConfigSources, Record<string, string>, RegExp[]]>([
    [
      'an unknown key of a file',
      {},
      { 'holdfast.config.yaml': 'sever: { port: 1 }' },
      [/sever is not a key; did you mean server\?/, /holdfast\.config\.yaml\)/],
    ],
    [
      'an unknown nested key',
      {},
      { 'holdfast.config.json': '{"server":{"prot":1}}' },
      [/server\.prot is not a key; did you mean server\.port\?/],
    ],
    [
      'an unknown variable',
      { env: { HOLDFAST_SEVER_PORT: '1' } },
      {},
      [/HOLDFAST_SEVER_PORT is not a key; did you mean HOLDFAST_SERVER_PORT\?/],
    ],
    [
      'a port that is no number',
      { env: { HOLDFAST_SERVER_PORT: 'http' } },
      {},
      [/server\.port is http: .*number.*\(HOLDFAST_SERVER_PORT\)/],
    ],
    [
      'a port out of range',
      { flags: [{ path: 'server.port', value: '70000', flag: '--port' }] },
      {},
      [/server\.port is 70000: .*65535.*\(--port\)/],
    ],
    [
      'the same port twice',
      { env: { HOLDFAST_SERVER_PORT: '4001' } },
      {},
      [/server\.port and server\.opsPort are both 4001/],
    ],
    [
      'a public address without authentication',
      { env: { HOLDFAST_SERVER_HOST: '0.0.0.0' } },
      {},
      [/server\.host is 0\.0\.0\.0: with auth\.mode none/],
    ],
    [
      'a store this version lacks',
      { env: { HOLDFAST_STORE_URL: 'oracle://me:secret@db/x' } },
      {},
      [/store\.url is oracle:\/\/me:\*\*\*@db\/x: .*sqlite:/],
    ],
    [
      'a token in place of its hash',
      {},
      { 'holdfast.config.yaml': 'auth: { tokens: [{ name: a, hash: hf_secret, roles: [reader] }] }' },
      [/auth\.tokens\.0\.hash is \*\*\*: must be the SHA-256/],
    ],
    [
      'one hash twice',
      { env: { HOLDFAST_AUTH_TOKENS: JSON.stringify([TOKEN, { ...TOKEN, name: 'b' }]) } },
      {},
      [/auth\.tokens holds one hash twice \(HOLDFAST_AUTH_TOKENS\)/],
    ],
    [
      'an unknown role',
      { env: { HOLDFAST_AUTH_TOKENS: JSON.stringify([{ ...TOKEN, roles: ['root'] }]) } },
      {},
      [/auth\.tokens\.0\.roles\.0/],
    ],
    ['a replica without a primary', { role: 'replica' }, {}, [/replica\.primary is missing/]],
    [
      'a primary that is no websocket URL',
      { role: 'replica', env: { HOLDFAST_REPLICA_PRIMARY: 'http://u:p@h/' } },
      {},
      [/u:\*\*\*@h.*ws:\/\//],
    ],
    [
      "a role that is not the command's",
      { role: 'primary', env: { HOLDFAST_ROLE: 'replica' } },
      {},
      [/role is replica, but the command is that of a primary \(HOLDFAST_ROLE\)/],
    ],
    ['a list where keys belong', {}, { 'holdfast.config.yaml': 'server: [1]' }, [/server must hold keys/]],
    ['a broken file', {}, { 'holdfast.config.json': '{"server":' }, [/holdfast\.config\.json cannot be read: /]],
    ['a named file that is not there', { file: 'nope.yaml' }, {}, [/nope\.yaml does not exist/]],
    ['two files', {}, { 'holdfast.config.json': '{}', 'holdfast.config.yaml': '' }, [/two configuration files/]],
  ])('is CONFIG_INVALID: %s', async (_, sources, files, expected) => {
    const message = await mistake(sources, files);
    expect(message).toMatch(/^CONFIG_INVALID: /);
    for (const pattern of expected) expect(message).toMatch(pattern);
  });

  it('is reported together with the others', async () => {
    const message = await mistake({ env: { HOLDFAST_SERVER_PORT: 'x', HOLDFAST_LIMITS_PAGE: '0', HOLDFAST_NO: '1' } });
    expect(message).toMatch(/server\.port/);
    expect(message).toMatch(/limits\.page/);
    expect(message).toMatch(/HOLDFAST_NO/);
  });
});
