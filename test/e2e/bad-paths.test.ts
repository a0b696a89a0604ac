import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/graphql.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { count, create, names, nodes, THING } from '../support/nodes.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const ANY_PORTS = ['--port', '0', '--ops-port', '0'];

describe('a command that cannot do what it was asked', () => {
  it('names the port that is taken, and the flag that sets it', async () => {
    await using directory = await temporaryDirectory();
    const other = createServer();
    await new Promise<void>((listening) => other.listen(0, '127.0.0.1', listening));
    try {
      const { port } = other.address() as { port: number };
      const start = ['start', '--data', join(directory.path, 'data')];
      const flags = [
        ['--port', '--ops-port'],
        ['--ops-port', '--port'],
      ] as const;
      for (const [taken, free] of flags) {
        const { code, stdout, stderr } = await runHoldfast([...start, taken, `${port}`, free, '0']);
        expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
        expect(stderr).toMatch(new RegExp(`error PORT_IN_USE: .*:${port}`));
        expect(stderr).toContain(`choose another port with ${taken}`);
        expect(stderr).not.toContain('    at ');
      }
    } finally {
      other.close();
    }
  });

  it('says which directory it cannot have, for each command that wants one', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'file');
    await writeFile(file, 'no directory');
    const inside = join(file, 'data');
    for (const args of [
      ['start', ...ANY_PORTS, '--data', inside],
      ['replica', '--primary', 'ws://127.0.0.1:9/graphql', ...ANY_PORTS, '--data', inside],
      ['start', ...ANY_PORTS, '--data', file],
    ]) {
      const { code, stdout, stderr } = await runHoldfast(args);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/error DATA_UNWRITABLE: /);
      expect(stderr).toContain(file);
      expect(stderr).not.toContain('    at ');
    }
  });

  it('says what was meant by a flag, a command or a key that there is not', async () => {
    await using directory = await temporaryDirectory();
    const config = join(directory.path, 'holdfast.config.yaml');
    await writeFile(config, 'server:\n  prot: 4000\nchangelog:\n  retention: {}\n');
    const [flag, command, key, variable] = await Promise.all([
      runHoldfast(['start', '--prot', '4000']),
      runHoldfast(['replcia']),
      runHoldfast(['start', ...ANY_PORTS, '--config', config]),
      runHoldfast(['start', ...ANY_PORTS], { HOLDFAST_SERVER_PROT: '4000' }),
    ]);
    expect(flag).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('--port') });
    expect(command).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('replica') });
    expect(key.code).toBe(2);
    expect(key.stderr).toContain(`server.prot is not a key; did you mean server.port? (${config})`);
    expect(key.stderr).toContain(`changelog is not a key; did you mean changeLog? (${config})`);
    expect(variable.code).toBe(2);
    expect(variable.stderr).toContain('HOLDFAST_SERVER_PROT is not a key; did you mean HOLDFAST_SERVER_PORT?');
  });

  it('says that an address other than loopback is not for a server without authentication', async () => {
    const { code, stderr } = await runHoldfast(['start', ...ANY_PORTS], { HOLDFAST_SERVER_HOST: '0.0.0.0' });
    expect(code).toBe(2);
    expect(stderr).toMatch(/error CONFIG_INVALID: server\.host is 0\.0\.0\.0: .*loopback.*HOLDFAST_SERVER_HOST/);
  });

  it('says that a schema directory is missing, or holds nothing', async () => {
    await using directory = await temporaryDirectory();
    for (const schema of [join(directory.path, 'none'), directory.path]) {
      const { code, stderr } = await runHoldfast(['start', ...ANY_PORTS, '--schema', schema]);
      expect(code).toBe(2);
      expect(stderr).toMatch(/error SCHEMA_INVALID: /);
      expect(stderr).toContain(schema);
    }
  });
});

describe('a replica', () => {
  it('that is new answers 503 NOT_READY while its primary is not there, and says so once', async () => {
    await using cluster = await nodes();
    const primary = await cluster.primary();
    await primary.kill();
    const replica = await cluster.replica('replica', [primary]);
    const lines = () => replica.output().match(/the source is not followed/g)?.length ?? 0;
    await eventually('it looks for its primary', () => lines() > 0, 25_000);
    const response = await fetch(replica.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"query":"{ thingsCount }"}',
    });
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'NOT_READY', retryable: true } }] });
    const mutation = await post(replica.url, 'mutation { createThing(input: { name: "x" }) { outcome } }');
    expect(mutation.errors?.[0]?.extensions.code).toBe('NOT_READY');
    expect((await fetch(new URL('/health/ready', replica.opsUrl))).status).toBe(503);
    expect((await fetch(new URL('/health/live', replica.opsUrl))).status).toBe(200);
    const status = await runHoldfast(['status', '--url', replica.opsUrl]);
    expect(status.code).toBe(3);
    expect(status.stdout).toContain(`PRIMARY_UNREACHABLE: ${primary.websocket}: connect ECONNREFUSED`);
    expect(lines()).toBe(1);
    primary.start();
    await replica.ready;
    expect(await count(replica.url)).toBe(0);
    expect(lines()).toBe(1);
  });

  it('that has data serves it, marked, while its primary is not there, also after a restart', async () => {
    await using cluster = await nodes();
    const primary = await cluster.primary();
    await primary.ready;
    await create(primary.url, names('thing', 3));
    const replica = await cluster.replica('replica', [primary], { HOLDFAST_REPLICA_MAX_LAG_MS: '1000' });
    await replica.ready;
    await primary.kill();
    const marked = () =>
      eventually(
        'its answers are marked',
        async () => {
          const answer = await post(replica.url, '{ thingsCount }');
          return answer.extensions?.holdfast?.degraded === true ? answer : undefined;
        },
        25_000,
      );
    expect(await marked()).toMatchObject({
      data: { thingsCount: 3 },
      extensions: { holdfast: { source: 'REPLICA', position: '1.3' } },
    });
    await replica.stop();
    replica.start();
    await replica.ready;
    expect((await marked()).data).toEqual({ thingsCount: 3 });
    const write = await post(replica.url, 'mutation { createThing(input: { name: "x" }) { outcome } }');
    expect(write.errors?.[0]?.extensions).toMatchObject({
      code: 'DATABASE_UNAVAILABLE',
      retryable: true,
      retryAfterMs: expect.any(Number),
    });
    await eventually(
      'it calls itself degraded',
      async () => {
        const response = await fetch(new URL('/health/ready?strict', replica.opsUrl));
        return response.status === 503;
      },
      25_000,
    );
    expect((await fetch(new URL('/health/ready', replica.opsUrl))).status).toBe(200);
  });

  it('of another database stops at once, says FORK and what to do, and keeps what it has', async () => {
    await using cluster = await nodes();
    const [own, other] = [await cluster.primary('own'), await cluster.primary('other')];
    await Promise.all([own.ready, other.ready]);
    await create(own.url, names('own', 2));
    await create(other.url, names('other', 5));
    const replica = await cluster.replica('replica', [own]);
    await replica.ready;
    await replica.stop();
    const moved = await cluster.replica('replica', [other]);
    await moved.is('FORKED');
    expect(await count(moved.url)).toBe(2);
    const status = await runHoldfast(['status', '--url', moved.opsUrl]);
    expect(status.code).toBe(3);
    expect(status.stdout).toContain('is another database than the one this replica copied');
    expect(status.stdout).toContain('holdfast replica resync --force');
    expect(await count(own.url)).toBe(2);
  });

  it('with a schema of its own that is not the primary’s is MISMATCHED until they agree', async () => {
    await using cluster = await nodes();
    const primary = await cluster.primary();
    await primary.ready;
    await create(primary.url, names('thing', 2));
    const schema = join(cluster.path, 'other');
    await mkdir(schema);
    await writeFile(join(schema, 'schema.graphql'), THING.replace('n: Int!', 'm: Int!'));
    const replica = await cluster.replica('replica', [primary], { HOLDFAST_SCHEMA: schema });
    await replica.is('MISMATCHED');
    expect((await post(replica.url, '{ thingsCount }')).errors?.[0]?.extensions.code).toBe('NOT_READY');
    const status = await runHoldfast(['status', '--url', replica.opsUrl]);
    expect(status.code).toBe(3);
    expect(status.stdout).toContain('has another SDL than this replica was given: give it the same, or none');
    await replica.stop();
    await writeFile(join(schema, 'schema.graphql'), THING);
    replica.start();
    await replica.ready;
    expect(await count(replica.url)).toBe(2);
  });

  it('without a primary, or with one that is no websocket address, does not start', async () => {
    expect(await runHoldfast(['replica', ...ANY_PORTS])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--primary ws://'),
    });
    expect(await runHoldfast(['replica', ...ANY_PORTS, '--primary', 'postgres://127.0.0.1/x'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('is not a ws:// or wss:// URL'),
    });
  });
});
