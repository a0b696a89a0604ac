import { chainHash, type LogEntry } from '../../../src/model/change.ts';
import { type Document, encodeValue } from '../../../src/model/document.ts';
import { COUNTERS, type Done } from './clients.ts';
import { contentsOf, differenceOf, ensure, type History, nameOf } from './history.ts';
import { COLLECTIONS, COUNTER, type Node, THING } from './nodes.ts';

/** What a run left behind. */
export interface Aftermath {
  readonly history: History;
  readonly primary: Node;
  readonly followers: readonly Node[];
  readonly done: readonly Done[];
}

/** Checks everything that must hold when nothing is under way any more. */
export async function checkAll(after: Aftermath): Promise<void> {
  const { history, primary, followers } = after;
  for (const node of [primary, ...followers]) {
    const wanted = history.at(history.head);
    const difference = differenceOf(contentsOf(node.disk), wanted);
    ensure(difference === null, () => `${node.name} in the end: ${difference}`);
    checkLog(node, history);
    await checkDigests(node, primary);
  }
  checkEffects(after);
}

/**
 * Checks what a crash right now would leave on a follower's disk: when it is proven, without a task and settled, its documents
 * are those of the primary at its cursor. With `quietly` returns whether they are; else true.
 */
export function checkFollower(node: Node, history: History, quietly = false): boolean {
  const meta = (key: string): unknown => node.disk.prepare('SELECT value FROM meta WHERE key = ?').get(key)?.value;
  const stored = node.running === undefined ? undefined : meta('replica.facts');
  if (stored === undefined) return true;
  const facts = JSON.parse(String(stored));
  const last = node.disk.prepare('SELECT max(sequence) AS sequence FROM log').get()?.sequence;
  const sequence = Number(last ?? meta('log.base.sequence'));
  if (!facts.proven || facts.task !== null || sequence < facts.settled.sequence) return true;
  const chain = last == null ? meta('log.base.chain') : chainOf(node, sequence);
  if (history.isForked(sequence, String(chain))) return true;
  ensure(sequence <= history.head, () => `${node.name} is at ${sequence}, after the primary's head ${history.head}`);
  const difference = differenceOf(contentsOf(node.disk), history.at(sequence));
  ensure(quietly || difference === null, () => `${node.name} at ${sequence}: ${difference}`);
  return difference === null;
}

function chainOf({ disk }: Node, sequence: number): unknown {
  return disk.prepare('SELECT chain FROM log WHERE sequence = ?').get(sequence)?.chain;
}

/** The kept part of a log: dense, chained from its floor, and that of the history. */
function checkLog({ disk, name, running }: Node, history: History): void {
  const entries = disk.prepare('SELECT * FROM log ORDER BY sequence').all() as unknown as LogEntry[];
  let chain = running?.log.floorChain() ?? '';
  let sequence = (running?.log.floor() ?? 0) - 1;
  for (const entry of entries) {
    chain = chainHash(chain, entry.epoch, entry.sequence, entry);
    sequence += 1;
    ensure(entry.sequence === sequence, () => `the log of ${name} has ${entry.sequence} in the place of ${sequence}`);
    const written = history.entries[sequence - 1];
    ensure(
      chain === entry.chain && chain === written?.chain,
      () => `the log of ${name} is not that of the primary at ${sequence}`,
    );
    ensure(
      entry.image === written.image || entry.image === null,
      () => `the log of ${name} has another image at ${sequence}`,
    );
  }
  ensure(sequence === history.head, () => `the log of ${name} ends at ${sequence} instead of ${history.head}`);
}

/** Digests kept up by each write are those of the primary, and those computed anew from the rows. */
async function checkDigests({ name, running }: Node, primary: Node): Promise<void> {
  const [store, other] = [running?.store(), primary.running?.store()];
  for (const collection of COLLECTIONS) {
    const kept = store?.buckets(collection);
    const anew = (await store?.scrub(collection))?.buckets;
    const theirs = other?.buckets(collection);
    ensure(
      kept !== undefined && anew !== undefined && kept.differing(anew).length === 0,
      () => `${name}: digests of ${collection} are not those of its rows`,
    );
    ensure(
      theirs !== undefined && kept.differing(theirs).length === 0,
      () => `${name}: digests of ${collection} are not those of the primary`,
    );
  }
}

/** Every acknowledged effect once, every other at most once, and their sums. */
function checkEffects({ history, done }: Aftermath): void {
  const sums = new Map<string, number>();
  for (const { operation, fate, context, position } of done) {
    const keys = operation.keys(context);
    for (const [index, key] of keys.entries()) {
      const times = history.writes(key);
      const what = `${context.principal} ${operation.number} ${operation.kind}`;
      ensure(times <= 1 || history.isForgotten(key), () => `${what} took effect ${times} times`);
      const isLost = position !== null && history.isLost(position);
      ensure(
        fate !== 'ACKNOWLEDGED' || times === 1 || isLost || history.isForgotten(key),
        () => `${what} was acknowledged and took effect ${times} times`,
      );
      const added = keys.length === 1 ? operation.adds?.[0] : operation.adds?.[index];
      if (added !== undefined) sums.set(added, (sums.get(added) ?? 0) + times);
    }
  }
  const documents = [...history.at(history.head)];
  for (let n = 0; n < COUNTERS; n++) {
    const row = history.at(history.head).get(nameOf(COUNTER.collection, encodeValue(`c${n}`)));
    const found = (JSON.parse(row?.text ?? '{}') as Document).n;
    ensure(found === (sums.get(`c${n}`) ?? 0), () => `counter c${n} is ${found} instead of ${sums.get(`c${n}`) ?? 0}`);
  }
  for (const [name, { text }] of documents) {
    const document = JSON.parse(text) as Document;
    const wanted = name.startsWith(THING.collection) ? sums.get(String(document.name)) : undefined;
    ensure(wanted === undefined || document.n === wanted, () => `${name} has n = ${document.n} instead of ${wanted}`);
  }
}
