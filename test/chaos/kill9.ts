import { randomInt } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/graphql.ts';
import type { Node } from '../support/nodes.ts';
import { seededRandom } from '../support/random.ts';
import { type Cluster, type ClusterOptions, startCluster, type Victim } from './kill9/cluster.ts';
import { LogCheck } from './kill9/log.ts';
import { type Expected, Writers } from './kill9/writers.ts';

export interface Kill9Options extends Partial<ClusterOptions> {
  readonly rounds: number;
  /** Default: all, in turn. */
  readonly victim?: Victim | 'all';
  /** Kills a primary at a step of the outbox instead, at each in turn; only over MongoDB. */
  readonly failpoints?: boolean;
  readonly seed?: number;
  readonly progress?: (line: string) => void;
}

/** What a run of kills came to. */
export interface Kill9Report {
  readonly seed: number;
  readonly rounds: number;
  /** Mutations acknowledged, each found in effect once. */
  readonly acknowledged: number;
  readonly entries: number;
  /** Kills by victim, or by failpoint. */
  readonly kills: Readonly<Record<string, number>>;
}

/** Each step of a write over MongoDB, with the most passes to let by before the one that kills. */
export const FAILPOINTS: Readonly<Record<string, number>> = {
  'write.afterRead': 60,
  'write.afterHelp': 60,
  'write.afterWrite': 60,
  'write.afterAppend': 60,
  'bulk.afterRead': 5,
  'bulk.afterWrite': 5,
  'bulk.afterAppend': 5,
  'log.beforeAppend': 40,
  'log.afterAppend': 40,
  'clear.afterClear': 2,
};
/** A failpoint that is not reached by then is passed over. */
const REACH_MS = 60_000;
/** Everybody must be back and equal by then. */
const RECOVERY_MS = 120_000;

/**
 * Kills with SIGKILL `rounds` times while eight writers create, increment and delete the same documents under idempotency keys.
 * After each kill: what was acknowledged is in effect once on all nodes, the log on disk is dense and chained, the versions
 * of each document increase, and the digests of the replicas are those of the primary. Throws with the seed when one of these does not hold.
 */
export async function kill9(options: Kill9Options): Promise<Kill9Report> {
  const { rounds, store = 'sqlite', redis = false, victim = 'all', failpoints = false, progress } = options;
  const seed = options.seed ?? randomInt(2 ** 31);
  const random = seededRandom(seed);
  await using cluster = await startCluster({ store, redis });
  const check = new LogCheck(cluster.log);
  const writers = new Writers(cluster.primaries.map(({ url }) => url));
  const kills: Record<string, number> = {};
  const count = (name: string): void => {
    kills[name] = (kills[name] ?? 0) + 1;
  };
  let round = 0;
  let killed = '';
  try {
    await writers.start(seed);
    while (round < rounds) {
      round += 1;
      if (failpoints) killed = await reachFailpoint(cluster, round, random);
      else killed = await killOne(cluster, victimOf(cluster, victim, round), random);
      count(killed);
      await writers.pause();
      await judge(cluster, writers, check);
      writers.resume();
      if (round % 10 === 0) progress?.(`${round}/${rounds} kills, ${writers.acknowledged} acknowledged`);
    }
    return { seed, rounds, acknowledged: writers.acknowledged, entries: check.entries, kills };
  } catch (error) {
    const told = await Promise.all([...cluster.primaries, ...cluster.replicas].map(tellOf));
    throw new Error(
      `seed ${seed}, round ${round}, killed ${killed}: ${(error as Error).message}; ${check.entries} entries\n${told.join('\n')}`,
      { cause: error },
    );
  } finally {
    await writers.stop();
  }
}

/** What a node says of itself, and the last of what it printed besides its requests. */
async function tellOf(node: Node): Promise<string> {
  const { data, opsUrl } = node;
  const query = '{status{role position problems following{state primary applied} replicas{replica applied state}}}';
  const status = await post(opsUrl, query).then(({ data: answer, errors }) => answer?.status ?? errors, String);
  const lines = node.output().split('\n');
  const printed = lines.filter((line) => !/"msg":"(request|a request failed)"/.test(line)).slice(-12);
  return [`${data}: ${JSON.stringify(status)}`, ...printed].join('\n');
}

function victimOf({ victims }: Cluster, victim: Victim | 'all', round: number): Victim {
  if (victim === 'all') return victims[round % victims.length] as Victim;
  if (!victims.includes(victim)) throw new Error(`there is no ${victim} here to be killed`);
  return victim;
}

/** Kills at a random moment and starts again. The name of what was killed. */
async function killOne(cluster: Cluster, victim: Victim, random: () => number): Promise<string> {
  await pause(50 + random() * 700);
  if (victim === 'mongodb' || victim === 'redis') {
    const server = cluster[victim];
    await server?.kill();
    await pause(random() * 300);
    await server?.restart();
    return victim;
  }
  const nodes = victim === 'primary' ? cluster.primaries : cluster.replicas;
  const node = nodes[Math.floor(random() * nodes.length)] as Node;
  await node.kill();
  node.start();
  // The next kill may come while it is still starting.
  if (random() < 0.8) await node.ready;
  return victim;
}

/** Starts the first primary again with a failpoint, and waits until it kills itself there. Its name. */
async function reachFailpoint(cluster: Cluster, round: number, random: () => number): Promise<string> {
  const [name, passes] = Object.entries(FAILPOINTS)[round % Object.keys(FAILPOINTS).length] as [string, number];
  const [node] = cluster.primaries;
  await node.kill();
  node.start({ HOLDFAST_FAILPOINT: `${name}:${1 + Math.floor(random() * passes)}` });
  const { exited } = node;
  const reached = await Promise.race([exited, pause(REACH_MS).then(() => 'not reached')]);
  if (reached === 'SIGKILL') return name;
  if (reached !== 'not reached') throw new Error(`the primary ended with ${reached}`);
  return `${name} (not reached)`;
}

/** Everything that must be true while nobody writes. */
async function judge(cluster: Cluster, writers: Writers, check: LogCheck): Promise<void> {
  if (writers.unexpected.length > 0) {
    throw new Error(`unexpected answers: ${writers.unexpected.slice(0, 3).join('; ')}`);
  }
  const expected = writers.expected();
  await check.readOn();
  for (const { url, exited } of cluster.primaries) {
    // One that a failpoint killed stays down until the next.
    if ((await Promise.race([exited, 'running'])) !== 'running') continue;
    // Until its breaker closes a primary answers from its copy, which may lack what another acknowledged, and says so.
    const found = await eventually(`${url} answers from its database`, () => contents(url, 'DATABASE'), RECOVERY_MS);
    compare(url, found, expected);
  }
  for (const { url, opsUrl, data } of cluster.replicas) {
    await eventually(`${data} has the digests of its primary`, () => isEqual(opsUrl, check.entries), RECOVERY_MS);
    compare(url, await eventually(`${url} answers`, () => contents(url), RECOVERY_MS), expected);
  }
}

/** Whether a replica holds the entry at `sequence`, and compared itself to its primary since. @throws Error when they differ */
async function isEqual(opsUrl: string, sequence: number): Promise<boolean> {
  const query = 'mutation{replicaVerify(deep:false){equal position differences{id kind}}}';
  const answer = await post(opsUrl, query).catch(() => undefined);
  const found = answer?.data?.replicaVerify as { equal: boolean; position: string } | undefined;
  if (found === undefined || Number(found.position.split('.')[1]) < sequence) return false;
  if (!found.equal) throw new Error(`${opsUrl} differs: ${JSON.stringify(found)}`);
  return true;
}

type Page = {
  readonly thingsConnection: {
    readonly nodes: readonly { readonly id: string; readonly name: string; readonly n: number }[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
  };
};

/**
 * The numbers of all documents that a node serves; undefined when it does not answer, or from another source than the one asked
 * for. @throws Error when one is there twice
 */
async function contents(url: string, source?: string): Promise<Map<string, number> | undefined> {
  const query =
    'query($after:String){thingsConnection(first:500,after:$after){nodes{id name n} pageInfo{hasNextPage endCursor}}}';
  const found = new Map<string, number>();
  for (let after: string | null = null; ; ) {
    const answer = await post(url, query, { after }).catch(() => undefined);
    if (answer?.data == null || answer.errors !== undefined) return undefined;
    if (source !== undefined && answer.extensions?.holdfast?.source !== source) return undefined;
    const { thingsConnection: page } = answer.data as Page;
    for (const { id, name, n } of page.nodes) {
      if (found.has(id) || name !== id) throw new Error(`${url} has ${id} twice, or with the name ${name}`);
      found.set(id, n);
    }
    if (!page.pageInfo.hasNextPage) return found;
    after = page.pageInfo.endCursor;
  }
}

function compare(url: string, found: ReadonlyMap<string, number>, expected: Expected): void {
  const lost = [...expected.keys()].filter((id) => !found.has(id));
  const extra = [...found.keys()].filter((id) => !expected.has(id));
  const wrong = [...expected].filter(([id, n]) => found.has(id) && found.get(id) !== n);
  if (lost.length + extra.length + wrong.length === 0) return;
  const numbers = wrong.slice(0, 3).map(([id, n]) => `${id} is ${found.get(id)}, not ${n}`);
  throw new Error(
    `${url}: lost ${lost.length} (${lost.slice(0, 3)}), too many ${extra.length} (${extra.slice(0, 3)}), wrong ${wrong.length} (${numbers})`,
  );
}
