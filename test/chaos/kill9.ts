import { randomInt } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { eventually } from '../support/eventually.ts';
import { ask, post } from '../support/graphql.ts';
import { freePort, type HoldfastProcess, runHoldfast, startHoldfast } from '../support/holdfast.ts';
import { seededRandom } from '../support/random.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const SCHEMA = 'type Thing @entity { id: ID! @id  name: String! @unique  n: Int! }\n';
const WRITERS = 8;
const COUNTERS = 20;
/** A refused request that may be sent again under the same key. */
const PASSING = new Set([
  'SHUTTING_DOWN',
  'DATABASE_UNAVAILABLE',
  'WRITE_OUTCOME_UNKNOWN',
  'REQUEST_TIMEOUT',
  'INTERNAL_SERVER_ERROR',
  'NOT_READY',
]);

/** What a run of kills found. */
export interface Kill9Report {
  readonly seed: number;
  readonly rounds: number;
  readonly acknowledged: number;
  readonly entries: number;
}

/** What the writers know to be true. */
interface Truth {
  readonly created: Set<string>;
  increments: number;
  deleted: number;
  unexpected: string[];
}

/**
 * Kills primary or replica with SIGKILL at random moments, `rounds` times, while eight writers create, increment and delete
 * under idempotency keys and repeat each request until it is acknowledged. Then: every acknowledged effect is there once, the
 * log is dense, and the replica's digests equal the primary's. Throws with the seed when one of these does not hold.
 */
export async function kill9(options: {
  readonly rounds: number;
  readonly seed?: number;
  readonly progress?: (line: string) => void;
}): Promise<Kill9Report> {
  const seed = options.seed ?? randomInt(2 ** 31);
  const random = seededRandom(seed);
  await using directory = await temporaryDirectory();
  const schema = join(directory.path, 'schema');
  await mkdir(schema);
  await writeFile(join(schema, 'thing.graphql'), SCHEMA);
  const [port, opsPort, replicaPort, replicaOpsPort] = await Promise.all([
    freePort(),
    freePort(),
    freePort(),
    freePort(),
  ]);
  const data = join(directory.path, 'primary');
  const primaryUrl = `http://127.0.0.1:${port}/graphql`;
  const startPrimary = (): HoldfastProcess =>
    startHoldfast(['start', '--schema', schema, '--port', String(port), '--ops-port', String(opsPort), '--data', data]);
  const startReplica = (): HoldfastProcess =>
    startHoldfast([
      ...['replica', '--primary', `ws://127.0.0.1:${port}/graphql`, '--port', String(replicaPort)],
      ...['--ops-port', String(replicaOpsPort), '--data', join(directory.path, 'replica')],
    ]);

  let primary = startPrimary();
  let replica = startReplica();
  const stopWriting = new AbortController();
  try {
    await Promise.all([primary.ready, replica.ready]);
    const truth: Truth = { created: new Set(), increments: 0, deleted: 0, unexpected: [] };
    await createCounters(primaryUrl);
    const writers = Array.from({ length: WRITERS }, (_, writer) =>
      write(primaryUrl, writer, truth, seededRandom(seed + writer), stopWriting.signal),
    );
    for (let round = 1; round <= options.rounds; round++) {
      await new Promise((resolve) => setTimeout(resolve, 50 + random() * 700));
      if (random() < 0.5) {
        await primary.kill();
        primary = startPrimary();
        await primary.ready;
      } else {
        await replica.kill();
        replica = startReplica();
        if (random() < 0.5) await replica.ready;
      }
      if (round % 20 === 0)
        options.progress?.(`${round}/${options.rounds} kills, ${truth.created.size + truth.increments} acknowledged`);
    }
    stopWriting.abort();
    await Promise.all(writers);
    await Promise.all([primary.ready, replica.ready]);
    if (truth.unexpected.length > 0) throw new Error(`unexpected answers: ${truth.unexpected.slice(0, 3).join('; ')}`);
    await judge(primaryUrl, truth);
    const verify = await eventuallyEqual(`http://127.0.0.1:${replicaOpsPort}/graphql`);
    if (verify.code !== 0) throw new Error(`replica verify exits ${verify.code}: ${verify.stdout}${verify.stderr}`);
    await judge(`http://127.0.0.1:${replicaPort}/graphql`, truth);
    await Promise.all([primary.stop(), replica.stop()]);
    const entries = denseEntries(join(data, 'holdfast.db'));
    return {
      seed,
      rounds: options.rounds,
      acknowledged: truth.created.size + truth.increments + truth.deleted,
      entries,
    };
  } catch (error) {
    throw new Error(
      `seed ${seed}: ${(error as Error).message}\nprimary: ${primary.output().slice(-600)}\nreplica: ${replica.output().slice(-600)}`,
      { cause: error },
    );
  } finally {
    stopWriting.abort();
    await Promise.all([primary.kill(), replica.kill()]);
  }
}

async function createCounters(url: string): Promise<void> {
  const inputs = Array.from({ length: COUNTERS }, (_, i) => ({ id: `counter-${i}`, name: `counter-${i}`, n: 0 }));
  await ask(url, 'mutation($inputs:[CreateThingInput!]!){createThings(inputs:$inputs){written}}', { inputs });
}

async function write(
  url: string,
  writer: number,
  truth: Truth,
  random: () => number,
  signal: AbortSignal,
): Promise<void> {
  for (let n = 0; !signal.aborted; n++) {
    const name = `w${writer}-${n}`;
    const choice = random();
    if (choice < 0.5) {
      if (
        await acknowledged(
          url,
          name,
          'mutation($i:CreateThingInput!){createThing(input:$i){outcome}}',
          { i: { id: name, name, n: writer } },
          truth,
        )
      )
        truth.created.add(name);
    } else if (choice < 0.9) {
      const id = `counter-${Math.floor(random() * COUNTERS)}`;
      if (await acknowledged(url, name, 'mutation($id:ID!){updateThing(id:$id,inc:{n:1}){outcome}}', { id }, truth))
        truth.increments++;
    } else {
      const mine = [...truth.created].find((created) => created.startsWith(`w${writer}-`));
      if (
        mine !== undefined &&
        (await acknowledged(url, name, 'mutation($id:ID!){deleteThing(id:$id){outcome}}', { id: mine }, truth))
      ) {
        truth.created.delete(mine);
        truth.deleted++;
      }
    }
  }
}

/** Sends one mutation under one key until it is acknowledged; false when it was refused for good (kept as unexpected). */
async function acknowledged(
  url: string,
  key: string,
  query: string,
  variables: Record<string, unknown>,
  truth: Truth,
): Promise<boolean> {
  for (;;) {
    try {
      const answer = await post(url, query, variables, { 'idempotency-key': key }, 5_000);
      const error = answer.errors?.[0];
      if (error === undefined) return true;
      if (!PASSING.has(error.extensions.code)) {
        truth.unexpected.push(`${key}: ${error.extensions.code} ${error.message}`);
        return false;
      }
    } catch {
      // Killed while it worked, or not up yet: the same key again.
    }
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

/** Every acknowledged effect is there, once. */
async function judge(url: string, truth: Truth): Promise<void> {
  const names: string[] = [];
  let sum = 0;
  for (let after: string | null = null; ; ) {
    const page: {
      thingsConnection: { nodes: { name: string; n: number }[]; pageInfo: { hasNextPage: boolean; endCursor: string } };
    } = await ask(
      url,
      'query($after:String){thingsConnection(first:500,after:$after){nodes{name n} pageInfo{hasNextPage endCursor}}}',
      { after },
    );
    for (const node of page.thingsConnection.nodes) {
      if (node.name.startsWith('counter-')) sum += node.n;
      else names.push(node.name);
    }
    if (!page.thingsConnection.pageInfo.hasNextPage) break;
    after = page.thingsConnection.pageInfo.endCursor;
  }
  const there = new Set(names);
  const lost = [...truth.created].filter((name) => !there.has(name));
  const extra = names.filter((name) => !truth.created.has(name));
  if (lost.length > 0 || extra.length > 0 || there.size !== names.length) {
    throw new Error(
      `${url}: lost ${lost.length} (${lost.slice(0, 3)}), not acknowledged or deleted ${extra.length} (${extra.slice(0, 3)}), twice ${names.length - there.size}`,
    );
  }
  if (sum !== truth.increments)
    throw new Error(`${url}: ${truth.increments} increments acknowledged, ${sum} in effect`);
}

function eventuallyEqual(opsUrl: string): ReturnType<typeof runHoldfast> {
  return eventually(
    'replica verify answers',
    async () => {
      const result = await runHoldfast(['replica', 'verify', '--url', opsUrl, '--json']);
      return result.code === 0 || result.code === 3 ? result : undefined;
    },
    30_000,
  );
}

/** Number of log entries; throws when a sequence is missing. */
function denseEntries(path: string): number {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const row = database
      .prepare('SELECT count(*) AS entries, min(sequence) AS first, max(sequence) AS last FROM log')
      .get() as Record<string, number>;
    const { entries = 0, first = 0, last = 0 } = row;
    if (entries !== last - first + 1)
      throw new Error(`the log has ${entries} entries from ${first} to ${last}: not dense`);
    return entries;
  } finally {
    database.close();
  }
}
