import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';
import { generateSchool } from '../../src/model/school.ts';
import { ask } from '../support/graphql.ts';
import { freePort, type HoldfastProcess, startHoldfast } from '../support/holdfast.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { cpuMicros, machine, median, saveFigures, table } from './table.ts';

const CONNECTIONS = 16;
const REQUESTS = 3_000;
const ROUNDS = 5;
const PEERS = ['mercurius-jit', 'mercurius', 'yoga', 'apollo'] as const;

interface Contender {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  stop(): void;
}

interface Query {
  readonly name: string;
  readonly query: string;
  readonly variables: Record<string, unknown>;
}

/**
 * CPU µs per request of Holdfast beside the same API written by hand with Mercurius (with and without jit), Yoga and Apollo
 * over the same SQLite file. The servers take turns, round by round; each figure is the median of the rounds. CPU time, not
 * wall time: it depends less on what else the machine does. No server logs requests.
 */
export async function run(): Promise<void> {
  await using directory = await temporaryDirectory();
  const data = join(directory.path, 'data');
  const holdfast = startHoldfast(['start', '--port', '0', '--ops-port', '0', '--data', data], {
    NODE_ENV: 'production',
    HOLDFAST_TELEMETRY_LEVEL: 'warn',
  });
  const contenders: Contender[] = [];
  try {
    const { url } = await holdfast.ready;
    const teacher = await fill(url);
    contenders.push(contender('holdfast', url, holdfast));
    for (const kind of PEERS) contenders.push(await startPeer(kind, join(data, 'holdfast.db')));
    const queries: Query[] = [
      { name: 'trivial', query: '{ __typename }', variables: {} },
      {
        name: 'one document',
        query: 'query($id: ID!) { teacher(id: $id) { id name email subjects fullTime } }',
        variables: { id: teacher },
      },
      {
        name: '50 with a relation',
        query: '{ teachers(limit: 50) { id name email subjects fullTime school { id name kind } } }',
        variables: {},
      },
    ];
    const figures = new Map<string, Map<string, number>>();
    for (const query of queries) {
      await sameAnswers(contenders, query);
      figures.set(query.name, await measure(contenders, query));
    }
    report(
      figures,
      await saveFigures('gateway', {
        figures: Object.fromEntries([...figures].map(([name, row]) => [name, Object.fromEntries(row)])),
      }),
    );
  } finally {
    for (const each of contenders) each.stop();
    await holdfast.kill();
  }
}

/** Creates the example data; returns a teacher's id. */
async function fill(url: string): Promise<string> {
  const batches = new Map<string, Record<string, unknown>[]>([
    ['School', []],
    ['Teacher', []],
  ]);
  for (const { entity, document } of generateSchool({ seed: 1, schools: 40 })) {
    const {
      _id,
      address: _address,
      contacts: _contacts,
      createdAt: _createdAt,
      updatedAt: _updatedAt,
      ...fields
    } = document;
    if (entity === 'School') batches.get('School')?.push({ id: _id, name: fields.name, kind: fields.kind });
    if (entity === 'Teacher') {
      const { name, email, subjects, fullTime, schoolId } = fields;
      batches.get('Teacher')?.push({ id: _id, name, email, subjects, fullTime, schoolId });
    }
  }
  for (const [entity, inputs] of batches) {
    for (let i = 0; i < inputs.length; i += 500) {
      await ask(url, `mutation($inputs: [Create${entity}Input!]!) { create${entity}s(inputs: $inputs) { written } }`, {
        inputs: inputs.slice(i, i + 500),
      });
    }
  }
  return String(batches.get('Teacher')?.[7]?.id);
}

function contender(name: string, url: string, holdfast: HoldfastProcess): Contender {
  return { name, url, pid: holdfast.pid, stop: () => void holdfast.kill() };
}

async function startPeer(kind: string, file: string): Promise<Contender> {
  const port = await freePort();
  const args = [
    '--kind',
    kind,
    '--port',
    String(port),
    '--file',
    file,
    '--teachers',
    rowTable(file, 'teachers'),
    '--schools',
    rowTable(file, 'schools'),
  ];
  const child: ChildProcess = spawn(process.execPath, [resolve(import.meta.dirname, 'peers.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_ENV: 'production' },
  });
  if (child.stdout === null || child.pid === undefined) throw new Error(`${kind} did not start`);
  await once(child.stdout, 'data');
  return {
    name: kind,
    url: `http://127.0.0.1:${port}/graphql`,
    pid: child.pid,
    stop: () => void child.kill('SIGKILL'),
  };
}

/** The table that holds a collection's rows. */
function rowTable(file: string, collection: string): string {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const row = database.prepare('SELECT number FROM collections WHERE name = ?').get(collection);
    return `d_${String(row?.number)}`;
  } finally {
    database.close();
  }
}

async function sameAnswers(contenders: readonly Contender[], query: Query): Promise<void> {
  let expected: unknown;
  for (const { name, url } of contenders) {
    const data = await ask(url, query.query, query.variables);
    expected ??= data;
    if (!isDeepStrictEqual(structuredClone(data), structuredClone(expected)))
      throw new Error(
        `${name} answers "${query.name}" differently: ${JSON.stringify(data).slice(0, 200)} instead of ${JSON.stringify(expected).slice(0, 200)}`,
      );
  }
}

/** Median CPU µs per request of each contender over alternating rounds; one round before them warms up. */
async function measure(contenders: readonly Contender[], query: Query): Promise<Map<string, number>> {
  const samples = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const { name, url, pid } of round % 2 === 0 ? contenders : contenders.toReversed()) {
      const before = await cpuMicros(pid);
      await load(url, query);
      if (round > 0) samples.get(name)?.push(((await cpuMicros(pid)) - before) / REQUESTS);
    }
  }
  return new Map([...samples].map(([name, values]) => [name, median(values)]));
}

/** Sends REQUESTS requests over CONNECTIONS kept-alive connections. */
async function load(url: string, query: Query): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const body = JSON.stringify({ query: query.query, variables: query.variables });
  const options = {
    agent,
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
  };
  let left = REQUESTS;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      await new Promise<void>((done, failed) => {
        const sent = request(url, options, (response) => {
          response.resume();
          response.once('end', () =>
            response.statusCode === 200 ? done() : failed(new Error(`${url}: status ${response.statusCode}`)),
          );
        });
        sent.once('error', failed);
        sent.end(body);
      });
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  agent.destroy();
}

function report(figures: ReadonlyMap<string, ReadonlyMap<string, number>>, path: string): void {
  const rows: (string | number)[][] = [['CPU µs per request', ...figures.keys()]];
  for (const name of ['holdfast', ...PEERS])
    rows.push([name, ...[...figures.values()].map((row) => (row.get(name) ?? Number.NaN).toFixed(0))]);
  for (const peer of PEERS) {
    rows.push([
      `holdfast ÷ ${peer}`,
      ...[...figures.values()].map(
        (row) => `${((row.get('holdfast') ?? Number.NaN) / (row.get(peer) ?? Number.NaN)).toFixed(2)}×`,
      ),
    ]);
  }
  process.stdout.write(`${machine()}\n\n${table(rows)}\n\nfigures in ${path}\n`);
}
