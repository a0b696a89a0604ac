import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { drawToken, tokenHash } from '../../src/service/token.ts';
import { eventually } from '../support/eventually.ts';
import { ask, post } from '../support/graphql.ts';
import { type HoldfastProcess, startHoldfast } from '../support/holdfast.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';
import { serverPort } from '../support/servers/port.ts';
import { startRedis } from '../support/servers/redis.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const NAMES = ['primary-1', 'primary-2', 'replica-1', 'replica-2'] as const;
type Name = (typeof NAMES)[number];

interface Service {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

const { services } = parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8'), { merge: true }) as {
  services: Readonly<Record<Name, Service>>;
};

const token = drawToken();
const replicaToken = drawToken();
const TOKENS = [
  { name: 'admin', hash: tokenHash(token), roles: ['admin'] },
  { name: 'replicas', hash: tokenHash(replicaToken), roles: ['replica'] },
];
const headers = { authorization: `Bearer ${token}` };

describeWith('mongodb', 'the services of docker-compose.yml', () => {
  describeWith('redis', 'as plain processes', () => {
    it('share what is written on any of them, and answer nobody without a token', async () => {
      await using servers = new AsyncDisposableStack();
      const mongo = servers.use(await startMongo());
      const redis = servers.use(await startRedis({ args: ['--requirepass', 'secret'] }));
      const { path } = servers.use(await temporaryDirectory());
      const ports = new Map(await Promise.all(NAMES.map(async (name) => [name, await serverPort()] as const)));
      const values = {
        HOLDFAST_STORE_URL: mongo.urlOf('school'),
        HOLDFAST_CHANGE_LOG_REDIS: redis.url.replace('//', '//:secret@'),
        HOLDFAST_AUTH_TOKENS: JSON.stringify(TOKENS),
        HOLDFAST_REPLICA_TOKEN: replicaToken,
      };
      const processes = NAMES.map((name) => servers.use(start(name, ports, values, join(path, name))));
      await Promise.all(processes.map(({ ready }) => ready));

      const url = (name: Name): string => `http://127.0.0.1:${ports.get(name)}/graphql`;
      for (const name of NAMES) {
        const create = 'mutation ($name: String!) { createSchool(input: { name: $name }) { outcome } }';
        expect(await ask(url(name), create, { name }, headers)).toEqual({ createSchool: { outcome: 'COMMITTED' } });
      }
      const query = '{ schools(orderBy: [{ name: ASC }]) { name } }';
      for (const name of NAMES) {
        await eventually(`every school on ${name}`, async () => {
          const { schools } = await ask<{ schools: { name: string }[] }>(url(name), query, {}, headers);
          return schools.map((school) => school.name).join() === NAMES.join();
        });
        expect((await post(url(name), query)).errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
      }
    });
  });
});

/** Starts a service by its command line and the variables that it names, on the ports and in the directory of this test. */
function start(
  name: Name,
  ports: ReadonlyMap<Name, number>,
  values: Readonly<Record<string, string>>,
  directory: string,
): HoldfastProcess {
  const { command, environment } = services[name];
  const primaries = NAMES.filter((other) => command.join().includes(`//${other}:`));
  const options: Readonly<Record<string, string>> = {
    '--schema': join(ROOT, 'schema/example'),
    '--port': `${ports.get(name)}`,
    '--ops-port': '0',
    '--data': directory,
    '--primary': primaries.map((primary) => `ws://127.0.0.1:${ports.get(primary)}/graphql`).join(),
  };
  const args = command.map((arg, index) => options[command[index - 1] ?? ''] ?? arg);
  const given = Object.entries(values).filter(([variable]) => variable in environment);
  return startHoldfast(args, { ...Object.fromEntries(given), HOLDFAST_AUTH_MODE: 'token' });
}
