import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import type { CommandDefinition } from '../src/cli/command.ts';
import { COMMANDS } from '../src/cli/commands.ts';
import { configKeys, loadConfig, type Role } from '../src/config.ts';

const ROOT = resolve(import.meta.dirname, '..');
const textOf = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const lines = (text: string) => text.split('\n').map((line) => line.trim());

const SERVICE = z.object({
  image: z.string(),
  build: z.string().optional(),
  restart: z.literal('unless-stopped'),
  command: z.array(z.string()).default([]),
  environment: z.record(z.string(), z.string()).default({}),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).min(1),
  depends_on: z.record(z.string(), z.object({ condition: z.literal('service_healthy') })).default({}),
  healthcheck: z.object({
    test: z.array(z.string()).min(2),
    interval: z.string(),
    timeout: z.string(),
    retries: z.int(),
    start_period: z.string(),
  }),
  read_only: z.boolean().optional(),
  cap_drop: z.array(z.string()).optional(),
});
type Service = z.output<typeof SERVICE>;

const text = textOf('docker-compose.yml');
const { services, volumes } = z
  .object({ services: z.record(z.string(), SERVICE), volumes: z.record(z.string(), z.null()) })
  .parse(parse(text, { merge: true }));
const example = parseEnv(textOf('.env.example')) as Record<string, string>;
const image = textOf('Dockerfile');

const ours = Object.entries(services).filter(([, service]) => service.build !== undefined);
const theirs = Object.entries(services).filter(([, service]) => service.build === undefined);
const variables = [...text.matchAll(/\$\{(\w+)/g)].map((match) => match[1] as string);

/** A token and its hash, made by the line that .env.example shows. */
function drawnToken(): { readonly token: string; readonly hash: string } {
  const script = /node -e "(.*)"$/m.exec(textOf('.env.example'))?.[1] ?? '';
  const [token = '', hash = ''] = execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' })
    .trim()
    .split(' ');
  return { token, hash };
}

/** The example, filled in. */
function filledIn(): Record<string, string> {
  const passwords = Object.keys(example).filter((name) => name.endsWith('_PASSWORD'));
  const { token, hash } = drawnToken();
  return {
    ...example,
    ...Object.fromEntries(passwords.map((name) => [name, 'secret1'])),
    HOLDFAST_AUTH_TOKENS: (example.HOLDFAST_AUTH_TOKENS ?? '')
      .replace('""', `"${drawnToken().hash}"`)
      .replace('""', `"${hash}"`),
    HOLDFAST_REPLICA_TOKEN: token,
  };
}

/** As compose puts variables in. */
function interpolated(value: string, values: Record<string, string>): string {
  return value.replace(/\$\{(\w+)(?::[?-]([^}]*))?\}/g, (_, name: string, other = '') => values[name] || other);
}

/** What the image sets, by the last ENV of the Dockerfile. */
function imageEnvironment(): Record<string, string> {
  const [, set = ''] = /^ENV ((?:.*\\\n)*.*)$/m.exec(image) ?? [];
  return Object.fromEntries([...set.matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value]));
}

/** The configuration that a service of ours runs with. */
function configOf({ command: [name = '', ...args], environment }: Service) {
  const definition = COMMANDS.find((command) => command.name === name) as CommandDefinition;
  const values = filledIn();
  const flags = args.flatMap((arg, index) => {
    if (!arg.startsWith('--')) return [];
    const option = definition.options.find(({ flags }) => flags.split(' ')[0] === arg);
    if (option === undefined) throw new Error(`holdfast ${name} has no ${arg}`);
    const given = args[index + 1] as string;
    return Object.entries(option.sets ?? {}).map(([path, toValue]) => ({ path, value: toValue(given), flag: arg }));
  });
  const given = Object.entries(environment).map(([variable, value]) => [variable, interpolated(value, values)]);
  const env = { ...imageEnvironment(), ...Object.fromEntries(given) } as Record<string, string>;
  return loadConfig({ role: (name === 'start' ? 'primary' : name) as Role, env, flags, directory: '/nowhere' });
}

describe('docker-compose.yml', () => {
  it('has two primaries, two replicas and every database, each with a volume and a health check', () => {
    const replicated = ['primary-1', 'primary-2', 'replica-1', 'replica-2'];
    expect(ours.map(([name]) => name)).toEqual(replicated);
    expect(theirs.map(([name]) => name)).toEqual(['mongodb', 'redis', 'postgres', 'mariadb']);
    const used = Object.values(services).flatMap((service) => service.volumes.map((volume) => volume.split(':')[0]));
    const named = used.filter((name) => !name?.startsWith('$'));
    expect(named.toSorted()).toEqual(Object.keys(volumes).toSorted());
    expect(new Set(named).size).toBe(Object.keys(services).length);
  });

  it('pins the images of others to a version', () => {
    for (const [, service] of theirs) expect(service.image).toMatch(/^\w+:\d+(\.\d+)?(-alpine)?$/);
  });

  it('opens ports on loopback unless told otherwise, each once, and none of a database', () => {
    const ports = ours.flatMap(([, service]) => service.ports);
    for (const port of ports) expect(interpolated(port, {})).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
    expect(new Set(ports).size).toBe(8);
    expect(theirs.flatMap(([, service]) => service.ports)).toEqual([]);
    expect(example.PUBLISH_ADDRESS).toBe('127.0.0.1');
  });

  it('takes every secret from the environment, and .env.example names each variable', () => {
    expect(new Set(variables)).toEqual(new Set(Object.keys(example)));
    const secrets = Object.keys(example).filter((name) => /PASSWORD|TOKEN/.test(name));
    for (const name of secrets) expect(text).not.toMatch(new RegExp(`\\$\\{${name}(?!:\\?)`));
  });

  it.each(ours)('runs %s with a valid configuration, on the ports that it opens', async (name, service) => {
    const { config } = await configOf(service);
    const { port, opsPort } = config.server;
    expect(service.ports.map((opened) => Number(opened.split(':').at(-1)))).toEqual([port, opsPort]);
    expect(service.healthcheck.test.join(' ')).toContain(`127.0.0.1:${opsPort}/health/ready`);
    expect(service.volumes[0]).toBe(`${name}:${config.role === 'primary' ? config.store.data : config.replica.data}`);
    expect(config.auth.mode).toBe('token');
    expect(config.auth.tokens.map(({ roles }) => roles)).toEqual([['admin'], ['replica']]);
  });

  it('lets the replicas follow both primaries, with a token that these accept', async () => {
    const primary = (await configOf(services['primary-1'] as Service)).config;
    for (const name of ['replica-1', 'replica-2']) {
      const { config } = await configOf(services[name] as Service);
      const hosts = config.replica.primary.map((url) => new URL(url));
      expect(hosts.map((url) => url.hostname)).toEqual(['primary-1', 'primary-2']);
      for (const url of hosts) expect(Number(url.port)).toBe(primary.server.port);
      expect(config.replica.token).toMatch(/^hf_[\w-]{43}$/);
    }
  });

  it('lets both primaries share one database and one Redis', async () => {
    for (const name of ['primary-1', 'primary-2']) {
      const { config } = await configOf(services[name] as Service);
      expect(config.store.url).toBe('mongodb://holdfast:secret1@mongodb:27017/school?authSource=admin');
      expect(config.changeLog.redis).toBe('redis://:secret1@redis:6379');
    }
    const asked = new Set(ours.flatMap(([, service]) => Object.keys(service.depends_on)));
    expect([...asked].filter((name) => !(name in services))).toEqual([]);
  });

  it.each([
    [200, 0],
    [503, 1],
    [undefined, 1],
  ])('has a health check of ours that, for an answer of %s, ends with %i', async (status, code) => {
    const server = createServer((_, response) => response.writeHead(status ?? 500).end());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    if (status === undefined) await new Promise((closed) => server.close(closed));
    const [, , ...args] = services['replica-2']?.healthcheck.test ?? [];
    const check = spawn(
      process.execPath,
      args.map((arg) => arg.replace('4011', `${port}`)),
      { stdio: 'ignore' },
    );
    expect((await once(check, 'exit'))[0]).toBe(code);
    server.close();
  });
});

describe('Dockerfile', () => {
  it('runs on Node 24, in stages, not as root', () => {
    const stages = lines(image).filter((line) => line.startsWith('FROM '));
    expect(stages.length).toBeGreaterThan(1);
    for (const stage of stages) expect(stage).toMatch(/^FROM node:24-alpine( AS \w+)?$/);
    expect(lines(image).findLast((line) => line.startsWith('USER '))).toBe('USER node');
    for (const [, service] of ours) expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
  });

  it('sets only variables that there are, and asks for tokens', () => {
    const known = new Set(['NODE_ENV', ...configKeys().map(({ variable }) => variable)]);
    const set = imageEnvironment();
    expect(Object.keys(set).filter((name) => !known.has(name))).toEqual([]);
    expect(set).toMatchObject({ HOLDFAST_SERVER_HOST: '0.0.0.0', HOLDFAST_AUTH_MODE: 'token', NODE_ENV: 'production' });
  });

  it('keeps everything that it writes in its volume', () => {
    // The journal lies in the data directory unless it is told where.
    for (const name of ['STORE_DATA', 'REPLICA_DATA', 'DR_DIR', 'FALLBACK_DATASETS_DIR']) {
      expect(imageEnvironment()[`HOLDFAST_${name}`]).toMatch(/^\/data(\/|$)/);
    }
  });

  it('copies everything that the package is made of, and no secrets', () => {
    const sent = lines(textOf('.dockerignore')).filter((line) => line.startsWith('!'));
    const paths = sent.map((line) => line.slice(1));
    expect(lines(textOf('.dockerignore'))).toContain('*');
    expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
    const { include } = JSON.parse(textOf('tsconfig.build.json')) as { include: string[] };
    const { files } = JSON.parse(textOf('package.json')) as { files: string[] };
    const needed = [...include, ...files.filter((file) => file !== 'dist'), 'schema', 'build.js', 'package-lock.json'];
    expect(needed.filter((path) => !paths.includes(path))).toEqual([]);
    expect(paths.filter((path) => /env$|node_modules|\.git/.test(path))).toEqual([]);
  });
});
