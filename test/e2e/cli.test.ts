import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { freePort, runHoldfast, startHoldfast } from '../support/holdfast.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const ANY_PORTS = ['--port', '0', '--ops-port', '0'];
const BIN = resolve(import.meta.dirname, '../../bin/holdfast.js');

async function gql(url: string, query: string): Promise<Record<string, unknown>> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query }),
  });
  return (await response.json()) as Record<string, unknown>;
}

const websocket = (url: string) => url.replace(/^http/, 'ws');

describe('a server that cannot start says why and what to do', () => {
  it('exits 1 with PORT_IN_USE when the port is taken', async () => {
    await using directory = await temporaryDirectory();
    await using first = startHoldfast(['start', ...ANY_PORTS, '--data', join(directory.path, 'a')]);
    const port = new URL((await first.ready).url).port;
    const second = await runHoldfast(['start', '--port', port, '--ops-port', '0', '--data', join(directory.path, 'b')]);
    expect(second).toMatchObject({ code: 1, stdout: '' });
    expect(second.stderr).toMatch(new RegExp(`error PORT_IN_USE: .*${port}`));
    expect(second.stderr).toContain('choose another port with --port');
  });

  it('exits 1 with DATA_LOCKED when another process has the directory', async () => {
    await using directory = await temporaryDirectory();
    await using first = startHoldfast(['start', ...ANY_PORTS, '--data', directory.path]);
    await first.ready;
    const second = await runHoldfast(['start', ...ANY_PORTS, '--data', directory.path]);
    expect(second).toMatchObject({ code: 1, stderr: expect.stringContaining('error DATA_LOCKED') });
  });

  it('exits 1 with DATA_UNWRITABLE when the directory cannot be made', async () => {
    const { code, stderr } = await runHoldfast(['start', ...ANY_PORTS, '--data', '/proc/holdfast/data']);
    expect(code).toBe(1);
    expect(stderr).toContain('error DATA_UNWRITABLE: ');
    expect(stderr).not.toContain('    at ');
  });

  it('exits 2 with SCHEMA_INVALID and every mistake of the SDL', async () => {
    await using directory = await temporaryDirectory();
    await writeFile(
      join(directory.path, 'a.graphql'),
      'type A @entty { id: ID! @id }\ntype B @entity { id: IDD! @id }\n',
    );
    const { code, stderr } = await runHoldfast(['start', ...ANY_PORTS, '--schema', directory.path]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/error SCHEMA_INVALID/);
    expect(stderr).toMatch(/a\.graphql:1:/);
    expect(stderr).toMatch(/a\.graphql:2:/);
  });

  it('shows the stack with HOLDFAST_DEBUG', async () => {
    const { stderr } = await runHoldfast(['start', ...ANY_PORTS, '--data', '/proc/x/y'], { HOLDFAST_DEBUG: '1' });
    expect(stderr).toContain('    at ');
  });
});

describe('a running server', () => {
  it('tells its addresses as JSON with --json, and logs on stderr', async () => {
    await using directory = await temporaryDirectory();
    const child = spawn(process.execPath, [BIN, 'start', ...ANY_PORTS, '--data', directory.path, '--json'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const exit = once(child, 'exit');
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    expect(JSON.parse(line)).toEqual({
      ready: true,
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/graphql$/),
      opsUrl: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    });
    child.kill('SIGINT');
    expect((await exit)[0]).toBe(0);
  });

  it('stops with exit code 0 on SIGTERM', async () => {
    await using directory = await temporaryDirectory();
    const server = startHoldfast(['start', ...ANY_PORTS, '--data', directory.path]);
    await server.ready;
    expect(await server.stop()).toBe(0);
    expect(server.output()).toContain('stopping');
  });
});

describe('a replica', () => {
  it('keeps looking for a primary that is not there, and serves once it comes', async () => {
    await using directory = await temporaryDirectory();
    const port = await freePort();
    const primaryUrl = `ws://127.0.0.1:${port}/graphql`;
    const data = (name: string) => ['--data', join(directory.path, name)];
    await using replica = startHoldfast(['replica', '--primary', primaryUrl, ...ANY_PORTS, ...data('replica')]);
    await eventually('the replica says that it looks for its primary', () => replica.output().includes(primaryUrl));
    await using primary = startHoldfast(['start', '--port', String(port), '--ops-port', '0', ...data('primary')]);
    await gql((await primary.ready).url, 'mutation { createSchool(input: { name: "Hilltop" }) { outcome } }');
    const { url } = await replica.ready;
    await eventually('the school is on the replica', async () =>
      JSON.stringify(await gql(url, '{ schools { name } }')).includes('Hilltop'),
    );
  });

  it('is verified and asked for its status from the command line', async () => {
    await using directory = await temporaryDirectory();
    await using primary = startHoldfast(['start', ...ANY_PORTS, '--data', join(directory.path, 'a')]);
    const source = await primary.ready;
    await gql(source.url, 'mutation { createSchool(input: { name: "Hilltop" }) { outcome } }');
    await using replica = startHoldfast([
      ...['replica', '--primary', websocket(source.url), ...ANY_PORTS],
      ...['--data', join(directory.path, 'b')],
    ]);
    const { opsUrl } = await replica.ready;
    const verified = await runHoldfast(['replica', 'verify', '--url', `${opsUrl}/graphql`, '--json']);
    expect(JSON.parse(verified.stdout)).toMatchObject({ equal: true, differences: [] });
    expect(verified.code).toBe(0);
    const status = await runHoldfast(['status', '--url', source.opsUrl]);
    expect(status).toMatchObject({ code: 0, stdout: expect.stringMatching(/^primary well/) });
    expect(status.stdout).toMatch(/School +1\n/);
    const resync = await runHoldfast(['replica', 'resync', '--url', `${opsUrl}/graphql`]);
    expect(resync).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ordered at position 1\.1/) });
  });

  it('is said to be unreachable when nothing answers', async () => {
    const url = `http://127.0.0.1:${await freePort()}/graphql`;
    const { code, stderr } = await runHoldfast(['status', '--url', url]);
    expect(code).toBe(1);
    expect(stderr).toContain(`error PRIMARY_UNREACHABLE: no answer from ${url}: ECONNREFUSED`);
  });
});

describe('holdfast import', () => {
  const THINGS = 'type Thing @entity { id: ID! @id  name: String! @unique  at: DateTime }\n';
  const LINES = [
    '{"_id":{"$oid":"0123456789abcdef01234567"},"name":"extended","at":{"$date":"2020-01-02T03:04:05Z"}}',
    '{"name":"plain"}',
    '{"name":',
    '{"nam":"unknown field"}',
    '{"name":"plain"}',
    '{"name":"last"}',
  ];

  async function things(directory: string): Promise<{ schema: string; file: string; data: string }> {
    const schema = join(directory, 'schema');
    await mkdir(schema);
    await writeFile(join(schema, 'things.graphql'), THINGS);
    const file = join(directory, 'things.jsonl');
    await writeFile(file, LINES.join('\n'));
    return { schema, file, data: join(directory, 'data') };
  }

  it('writes what fits, reports the rest by line, and changes nothing the second time', async () => {
    await using directory = await temporaryDirectory();
    const { schema, file, data } = await things(directory.path);
    await using server = startHoldfast(['start', ...ANY_PORTS, '--schema', schema, '--data', data]);
    const { url } = await server.ready;
    const first = await runHoldfast(['import', 'Thing', file, '--to', url, '--json']);
    expect(first.code).toBe(3);
    expect(JSON.parse(first.stdout)).toMatchObject({
      entity: 'Thing',
      documents: 6,
      written: 3,
      refusedCount: 3,
      refused: [
        { line: 3, code: 'VALIDATION_FAILED' },
        { line: 4, code: 'VALIDATION_FAILED', reason: 'Thing has no field "nam"; did you mean name?' },
        { line: 5, code: 'ALREADY_EXISTS' },
      ],
    });
    expect(first.stderr).toContain('refused line 4 (document 4): Thing has no field "nam"');
    const before = await gql(url, '{ things(orderBy: [{ id: ASC }]) { id name at } }');
    expect(before).toMatchObject({
      data: {
        things: expect.arrayContaining([
          { id: '0123456789abcdef01234567', name: 'extended', at: '2020-01-02T03:04:05.000Z' },
        ]),
      },
      extensions: { holdfast: { position: '1.3' } },
    });
    await runHoldfast(['import', 'Thing', file, '--to', url]);
    const after = await gql(url, '{ things(orderBy: [{ id: ASC }]) { id name at } }');
    expect(after.data).toEqual(before.data);
    expect(after).toMatchObject({ extensions: { holdfast: { position: '1.3' } } });
  });

  it('writes into a data directory that no process uses, and into no other', async () => {
    await using directory = await temporaryDirectory();
    const { schema, file, data } = await things(directory.path);
    const target = ['--schema', schema, '--data', data];
    expect(await runHoldfast(['import', 'Thing', file, ...target])).toMatchObject({ code: 3 });
    await using server = startHoldfast(['start', ...ANY_PORTS, ...target]);
    expect(await gql((await server.ready).url, '{ thingsCount }')).toMatchObject({ data: { thingsCount: 3 } });
    const locked = await runHoldfast(['import', 'Thing', file, ...target]);
    expect(locked).toMatchObject({ code: 1, stderr: expect.stringContaining('error DATA_LOCKED') });
  });

  it('exits 2 for a file or an entity that does not exist', async () => {
    await using directory = await temporaryDirectory();
    const { schema, file, data } = await things(directory.path);
    const target = ['--schema', schema, '--data', data];
    expect(await runHoldfast(['import', 'Thing', '/nope.jsonl', ...target])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('/nope.jsonl does not exist'),
    });
    expect(await runHoldfast(['import', 'Thnig', file, ...target])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('there is no entity Thnig; did you mean Thing?'),
    });
  });
});

describe('holdfast schema', () => {
  it('infers SDL that starts as it is, and takes the documents it came from', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'albums.jsonl');
    const lines = Array.from({ length: 30 }, (_, i) => ({
      AlbumId: i,
      Title: `T${i}`,
      'a-b': { c: [i] },
      on: '2020-01-01',
    }));
    await writeFile(file, lines.map((line) => JSON.stringify(line)).join('\n'));
    const inferred = await runHoldfast(['schema', 'infer', '--from', file]);
    expect(inferred).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^type Album @entity /) });
    const schema = join(directory.path, 'schema');
    await mkdir(schema);
    await writeFile(join(schema, 'albums.graphql'), inferred.stdout);
    const target = ['--schema', schema, '--data', join(directory.path, 'data')];
    expect(await runHoldfast(['import', 'Album', file, ...target])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Album: 30 of 30 documents'),
    });
  });

  it('tells what breaks for clients', async () => {
    await using directory = await temporaryDirectory();
    const [before, after] = [join(directory.path, 'a.graphql'), join(directory.path, 'b.graphql')];
    await writeFile(before, 'type A @entity { id: ID! @id  name: String  size: Int }');
    await writeFile(after, 'type A @entity { id: ID! @id  name: String  extra: Int }');
    const { code, stdout } = await runHoldfast(['schema', 'diff', before, after]);
    expect(code).toBe(3);
    expect(stdout).toMatch(/^BREAKS +removed +A\.size /m);
    expect(await runHoldfast(['schema', 'diff', before, before])).toMatchObject({ code: 0 });
  });
});

describe('holdfast doctor', () => {
  it('finds nothing wrong in an empty directory', async () => {
    await using directory = await temporaryDirectory();
    const { code, stdout } = await runHoldfast(['doctor', ...ANY_PORTS, '--data', join(directory.path, 'data')]);
    expect(stdout).toMatch(/^ok +schema +6 entities, the example$/m);
    expect(stdout).toMatch(/^ok +data +.*will be created$/m);
    expect(code).toBe(0);
  });

  it('exits 1 and says what to do about what it finds', async () => {
    await using directory = await temporaryDirectory();
    await using server = startHoldfast(['start', ...ANY_PORTS, '--data', directory.path]);
    const { url } = await server.ready;
    const args = [
      'doctor',
      '--port',
      new URL(url).port,
      '--ops-port',
      '0',
      '--data',
      directory.path,
      '--schema',
      '/nope',
    ];
    const { code, stdout } = await runHoldfast(args);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^fail +schema /m);
    expect(stdout).toMatch(/^fail +data port +.* is taken$/m);
    expect(stdout).toMatch(new RegExp(`^ok +data +${directory.path} is used by process ${server.pid} `, 'm'));
    expect(stdout).toContain('data port: Stop that process');
  });
});

describe('holdfast demo', () => {
  it('runs a primary and a replica with example data, which stop together', async () => {
    await using directory = await temporaryDirectory();
    await using demo = startHoldfast([
      ...['demo', ...ANY_PORTS, '--replica-port', '0', '--replica-ops-port', '0'],
      ...['--data', join(directory.path, 'a'), '--replica-data', join(directory.path, 'b')],
    ]);
    const { url } = await demo.ready;
    await eventually('everything is printed', () => demo.output().includes('Ctrl-C stops both'));
    const replica = /Replica {2}GraphQL {3}(\S+)/.exec(demo.output())?.[1] ?? '';
    const counts = '{ schoolsCount headmastersCount enrolmentsCount }';
    expect(await gql(url, counts)).toMatchObject({
      data: { schoolsCount: 5, headmastersCount: 5, enrolmentsCount: expect.any(Number) },
    });
    expect((await gql(replica, counts)).data).toEqual((await gql(url, counts)).data);
    await gql(replica, 'mutation { createSchool(input: { name: "Hilltop" }) { outcome } }');
    for (const each of [url, replica])
      expect(await gql(each, '{ schoolsCount }')).toMatchObject({ data: { schoolsCount: 6 } });
    expect(await demo.stop()).toBe(0);
    await expect(fetch(replica)).rejects.toThrow();
  });

  it('ends with the reason when its replica cannot start', async () => {
    await using directory = await temporaryDirectory();
    const { code, stderr } = await runHoldfast([
      ...['demo', ...ANY_PORTS, '--replica-port', '0', '--replica-ops-port', '0'],
      ...['--data', join(directory.path, 'a'), '--replica-data', '/proc/holdfast/b'],
    ]);
    expect(code).toBe(1);
    expect(stderr).toContain('error DATA_UNWRITABLE');
    expect(stderr).toContain('error: the replica ended (exit code 1)');
  });

  it('takes its replica with it when it is killed', async () => {
    await using directory = await temporaryDirectory();
    const demo = startHoldfast([
      ...['demo', ...ANY_PORTS, '--replica-port', '0', '--replica-ops-port', '0'],
      ...['--data', join(directory.path, 'a'), '--replica-data', join(directory.path, 'b')],
    ]);
    await demo.ready;
    await eventually('everything is printed', () => demo.output().includes('Ctrl-C stops both'));
    const replica = /Replica {2}GraphQL {3}(\S+)/.exec(demo.output())?.[1] ?? '';
    await demo.kill();
    await eventually('the replica is gone', () =>
      fetch(replica).then(
        () => false,
        () => true,
      ),
    );
  });
});
