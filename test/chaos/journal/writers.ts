import { hash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { encodeValue } from '../../../src/model/document.ts';
import { post } from '../../support/graphql.ts';
import { Crew } from '../crew.ts';

const WRITERS = 8;
export const COUNTERS = 6;
const RETRY_MS = 25;
/** Between two writes of a writer: so that kills, not writes, use up the processors. */
const BREATH_MS = 20;
/** Documents of one writer; from then on it deletes. */
const MOST_OWN = 20;
/** The same key may be sent again after these. */
const PASSING = new Set([
  ...['SHUTTING_DOWN', 'DATABASE_UNAVAILABLE', 'WRITE_OUTCOME_UNKNOWN', 'REQUEST_TIMEOUT', 'WRITE_CONTENTION'],
  ...['JOURNAL_FULL', 'BAD_REQUEST'],
]);

/** What a write came to. */
export type Fate = 'COMMITTED' | 'JOURNALED' | 'REJECTED';

/** A write that has its answer. */
export interface Written {
  readonly fate: Fate;
  /** Under which the change log has it: one key for each document. */
  readonly keys: readonly string[];
  /** Of a counter. */
  readonly counter?: string | undefined;
}

interface Mutation {
  readonly field: string;
  readonly query: string;
  readonly variables: Record<string, unknown>;
  readonly documents: number;
  readonly counter?: string;
}

/** Writes to the gateways without pause, each under a key of its own, until it is acknowledged or refused; keeps what became of them. */
export class Writers extends Crew {
  /** Since the last {@link take}. */
  #written: Written[] = [];
  readonly unexpected: string[] = [];
  readonly #urls: readonly string[];
  readonly #acknowledged = new Map<string, number>();
  readonly #own = Array.from({ length: WRITERS }, (): string[] => []);

  constructor(urls: readonly string[]) {
    super();
    this.#urls = urls;
  }

  start(seed: number): void {
    this.begin(WRITERS, seed, BREATH_MS);
  }

  /** Writes that the gateway at `url` acknowledged. */
  acknowledgedBy(url: string): number {
    return this.#acknowledged.get(url) ?? 0;
  }

  /** What was answered since the last time. */
  take(): readonly Written[] {
    const written = this.#written;
    this.#written = [];
    return written;
  }

  protected override async write(writer: number, name: string, random: () => number): Promise<void> {
    const own = this.#own[writer] as string[];
    const choice = random();
    const mutation = mutationFor(choice, name, own, random);
    const fate = await this.#fate(writer, name, mutation);
    if (fate === undefined) return;
    const keys = Array.from({ length: mutation.documents }, (_, index) => keyOf(name, mutation.field, index));
    this.#written.push({ fate, keys, counter: mutation.counter });
    if (fate === 'REJECTED') return;
    if (mutation.field === 'createThing') own.push(name);
    if (mutation.field === 'deleteThing') own.splice(own.indexOf(String(mutation.variables.id)), 1);
  }

  /** Sends one mutation under one key until it is acknowledged, or refused before it may have happened; undefined when all ends. */
  async #fate(writer: number, key: string, { field, query, variables }: Mutation): Promise<Fate | undefined> {
    let ambiguous = false;
    for (let attempt = 0; !this.isEnding; attempt++) {
      // The one that knows what this writer wrote before; for others any will do.
      const pinned = field === 'updateThing' || field === 'deleteThing';
      const url = this.#urls[(writer + (pinned ? 0 : attempt)) % this.#urls.length] as string;
      try {
        const { errors, data } = await post(url, query, variables, { 'idempotency-key': key }, 5_000);
        const code = errors?.[0]?.extensions.code;
        if (code === undefined) {
          this.#acknowledged.set(url, this.acknowledgedBy(url) + 1);
          return (data as Record<string, { outcome: Fate }>)[field]?.outcome;
        }
        // It was created on the other gateway, and waits in the journal there.
        if (code === 'NOT_FOUND') return 'REJECTED';
        if (!PASSING.has(code)) {
          this.unexpected.push(`${key} ${field} ${JSON.stringify(variables)}: ${code} ${errors?.[0]?.message}`);
          return undefined;
        }
        if (code === 'DATABASE_UNAVAILABLE' && !ambiguous) return 'REJECTED';
        ambiguous ||= code !== 'DATABASE_UNAVAILABLE';
      } catch (error) {
        // One that nobody listened to did not happen.
        ambiguous ||= (error as { cause?: { code?: string } }).cause?.code !== 'ECONNREFUSED';
      }
      await pause(RETRY_MS);
    }
    return undefined;
  }
}

function mutationFor(choice: number, name: string, own: readonly string[], random: () => number): Mutation {
  const some = own[Math.floor(random() * own.length)];
  if (choice < 0.35) {
    const counter = `counter-${Math.floor(random() * COUNTERS)}`;
    const query = 'mutation($id:ID!){updateCounter(id:$id,inc:{n:1}){outcome}}';
    return { field: 'updateCounter', query, variables: { id: counter }, documents: 1, counter };
  }
  if (some !== undefined && (own.length > MOST_OWN || choice > 0.85)) {
    return { field: 'deleteThing', query: DELETE, variables: { id: some }, documents: 1 };
  }
  if (some !== undefined && choice > 0.7) {
    return { field: 'updateThing', query: SET, variables: { id: some, name: `${some} ${name}` }, documents: 1 };
  }
  if (choice < 0.45) {
    return { field: 'createPlain', query: CREATE_PLAIN, variables: { i: { id: name, name } }, documents: 1 };
  }
  if (choice < 0.55) {
    const i = ['a', 'b', 'c'].map((end) => ({ id: `${name}${end}`, name: `${name}${end}` }));
    return { field: 'createThings', query: CREATE_MANY, variables: { i }, documents: 3 };
  }
  return { field: 'createThing', query: CREATE, variables: { i: { id: name, name } }, documents: 1 };
}

const CREATE = 'mutation($i:CreateThingInput!){createThing(input:$i){outcome}}';
const CREATE_PLAIN = 'mutation($i:CreatePlainInput!){createPlain(input:$i){outcome}}';
const CREATE_MANY = 'mutation($i:[CreateThingInput!]!){createThings(inputs:$i){outcome refused{code message}}}';
const SET = 'mutation($id:ID!,$name:String!){updateThing(id:$id,set:{name:$name}){outcome}}';
const DELETE = 'mutation($id:ID!){deleteThing(id:$id){outcome}}';

/** The key that a gateway gives the store for one document of a root field. */
function keyOf(key: string, field: string, index: number): string {
  return hash('sha256', encodeValue(['anonymous', key, field, index]), 'hex').slice(0, 32);
}
