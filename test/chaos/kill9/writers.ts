import { setTimeout as pause } from 'node:timers/promises';
import { ask, post } from '../../support/graphql.ts';
import { Crew } from '../crew.ts';

const WRITERS = 8;
const COUNTERS = 12;
/** Documents that everybody creates and deletes. */
const SEATS = 6;
/** Documents of one writer alone; from then on it deletes. */
const MOST_OWN = 30;
const RETRY_MS = 30;
/** A refused request that may be sent again under the same key. */
const PASSING = new Set([
  'SHUTTING_DOWN',
  'DATABASE_UNAVAILABLE',
  'WRITE_OUTCOME_UNKNOWN',
  'REQUEST_TIMEOUT',
  'NOT_READY',
  'WRITE_CONTENTION',
  // It could not be read in time: so busy is the machine.
  'BAD_REQUEST',
]);
const CREATE = 'mutation($i:CreateThingInput!){createThing(input:$i){outcome}}';
const CREATE_MANY = 'mutation($i:[CreateThingInput!]!){createThings(inputs:$i){written refused{code message}}}';
const INCREMENT = 'mutation($id:ID!){updateThing(id:$id,inc:{n:1}){outcome}}';
const DELETE = 'mutation($id:ID!){deleteThing(id:$id){outcome}}';

/** By id, the number that a document must have. */
export type Expected = ReadonlyMap<string, number>;

/**
 * Eight writers on the same documents: each mutation under its own idempotency key, repeated on one primary after another until it
 * is acknowledged or refused. They know what must be there.
 */
export class Writers extends Crew {
  /** Mutations that took effect. */
  acknowledged = 0;
  /** Answers that nobody should get. */
  readonly unexpected: string[] = [];
  readonly #urls: readonly string[];
  readonly #own = Array.from({ length: WRITERS }, () => new Set<string>());
  readonly #counters = new Map<string, number>();
  /** By id, creations less deletions. */
  readonly #seats = new Map<string, number>();

  constructor(urls: readonly string[]) {
    super();
    this.#urls = urls;
  }

  /** Creates the counters and lets the writers begin. */
  async start(seed: number): Promise<void> {
    const inputs = Array.from({ length: COUNTERS }, (_, i) => ({ id: `counter-${i}`, name: `counter-${i}`, n: 0 }));
    for (const { id } of inputs) this.#counters.set(id, 0);
    const { createThings } = await ask<{ createThings: { written: number } }>(`${this.#urls[0]}`, CREATE_MANY, {
      i: inputs,
    });
    if (createThings.written !== COUNTERS) throw new Error('the counters could not be created');
    this.begin(WRITERS, seed);
  }

  /** What must be there now; only while paused. */
  expected(): Expected {
    const seats = [...this.#seats];
    const wrong = seats.find(([, balance]) => balance !== 0 && balance !== 1);
    if (wrong !== undefined) throw new Error(`${wrong[0]} was created ${wrong[1]} times more than deleted`);
    const own = this.#own.flatMap((names, writer) => [...names].map((name) => [name, writer] as const));
    return new Map([
      ...own,
      ...this.#counters,
      ...seats.filter(([, there]) => there === 1).map(([id]) => [id, 0] as const),
    ]);
  }

  protected override async write(writer: number, name: string, random: () => number): Promise<void> {
    const own = this.#own[writer] as Set<string>;
    const choice = random();
    const some = (count: number): number => Math.floor(random() * count);
    if (choice < 0.35) {
      const id = `counter-${some(COUNTERS)}`;
      if (await this.#acknowledged(writer, name, INCREMENT, { id })) {
        this.#counters.set(id, (this.#counters.get(id) ?? 0) + 1);
      }
    } else if (choice < 0.6) {
      const id = `seat-${some(SEATS)}`;
      const balance = (): number => this.#seats.get(id) ?? 0;
      const taken = 'ALREADY_EXISTS';
      if (random() < 0.5) {
        if (await this.#acknowledged(writer, name, CREATE, { i: { id, name: id, n: 0 } }, taken)) {
          this.#seats.set(id, balance() + 1);
        }
      } else if (await this.#acknowledged(writer, name, DELETE, { id }, 'NOT_FOUND')) {
        this.#seats.set(id, balance() - 1);
      }
    } else if (own.size > MOST_OWN || (choice > 0.9 && own.size > 0)) {
      const [id = ''] = own;
      if (await this.#acknowledged(writer, name, DELETE, { id })) own.delete(id);
    } else if (choice < 0.8) {
      if (await this.#acknowledged(writer, name, CREATE, { i: { id: name, name, n: writer } })) own.add(name);
    } else {
      const ids = [`${name}a`, `${name}b`, `${name}c`];
      const i = ids.map((id) => ({ id, name: id, n: writer }));
      if (await this.#acknowledged(writer, name, CREATE_MANY, { i })) for (const id of ids) own.add(id);
    }
  }

  /** Sends one mutation under one key until it is acknowledged; false when it was refused, with `refusal` as may be. */
  async #acknowledged(
    writer: number,
    key: string,
    query: string,
    variables: Record<string, unknown>,
    refusal?: string,
  ): Promise<boolean> {
    for (let attempt = 0; !this.isEnding; attempt++) {
      const url = this.#urls[(writer + attempt) % this.#urls.length] as string;
      try {
        const { errors, data } = await post(url, query, variables, { 'idempotency-key': key }, 5_000);
        const code = errors?.[0]?.extensions.code ?? failureIn(data);
        if (code === undefined) {
          this.acknowledged += 1;
          return true;
        }
        if (code === refusal) return false;
        if (!PASSING.has(code)) {
          this.unexpected.push(`${key}: ${code} ${errors?.[0]?.message ?? JSON.stringify(data)}`);
          return false;
        }
      } catch {
        // Killed while it worked, or not up yet: the same key again.
      }
      await pause(RETRY_MS);
    }
    return false;
  }
}

/** Code of the first input that a bulk creation did not write. */
function failureIn(data: unknown): string | undefined {
  const { createThings } = (data ?? {}) as { createThings?: { refused: readonly { code: string }[] } };
  return createThings?.refused[0]?.code;
}
