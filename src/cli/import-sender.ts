import { hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { type HoldfastError, isHoldfastError } from '../errors.ts';
import type { Entity } from '../model/entity.ts';
import { ask } from './ask.ts';
import type { Item } from './import-batch.ts';

/** A document that was not written. */
export interface RefusedDocument {
  /** Line of the file on which it starts. */
  readonly line: number;
  /** Its place among the documents of the file, from 0. */
  readonly index: number;
  readonly code: string;
  readonly reason: string;
}

/** What became of some documents. */
export interface Sent {
  readonly written: number;
  readonly refused: readonly RefusedDocument[];
}

export interface SenderOptions {
  readonly url: string;
  /** API token of role `writer`. */
  readonly token?: string | undefined;
  readonly entity: Entity;
  /** Identifies the file; part of every idempotency key. */
  readonly digest: string;
  readonly signal: AbortSignal;
  /** Waits between tries. Default real time. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

const TRIES = 8;
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;

/** Codes that blame the documents, not the service: the documents are sent in smaller parts to find the ones meant. */
const BLAMED = new Set(['VALIDATION_FAILED', 'PAYLOAD_TOO_LARGE', 'BAD_USER_INPUT', 'BAD_REQUEST']);

const ANSWER = z.object({
  result: z.object({
    written: z.number(),
    refused: z.array(z.object({ index: z.number(), code: z.string(), message: z.string() })),
  }),
});

/** Sends documents to the create mutation of one entity; the same documents have the same effect however often they are sent. */
export class Sender {
  readonly #options: SenderOptions;
  readonly #query: string;

  constructor(options: SenderOptions) {
    this.#options = options;
    const { type, pluralType } = options.entity.names;
    this.#query = `mutation Import($inputs: [Create${type}Input!]!) {
      result: create${pluralType}(inputs: $inputs) { written refused { index code message } }
    }`;
  }

  /** @throws PRIMARY_UNREACHABLE and whatever else concerns all documents, after {@link TRIES} tries when it may pass */
  async send(items: readonly Item[]): Promise<Sent> {
    try {
      const { result } = await this.#tryRepeatedly(items);
      return { written: result.written, refused: result.refused.map((refusal) => refusedOf(items, refusal)) };
    } catch (error) {
      if (!isHoldfastError(error) || !BLAMED.has(codeOf(error))) throw error;
      return this.#sendApart(items, error);
    }
  }

  async #sendApart(items: readonly Item[], error: HoldfastError): Promise<Sent> {
    const [only, second] = items;
    if (only === undefined) return { written: 0, refused: [] };
    if (second === undefined) {
      return { written: 0, refused: [refusedOf(items, { index: 0, code: codeOf(error), message: error.message })] };
    }
    const middle = Math.ceil(items.length / 2);
    const first = await this.send(items.slice(0, middle));
    const rest = await this.send(items.slice(middle));
    return { written: first.written + rest.written, refused: [...first.refused, ...rest.refused] };
  }

  async #tryRepeatedly(items: readonly Item[]): Promise<z.infer<typeof ANSWER>> {
    const { url, token, signal, wait = (ms) => sleep(ms, undefined, { signal }) } = this.#options;
    const inputs = items.map(({ json }) => json).join(',');
    const headers = { 'idempotency-key': this.#keyOf(items, inputs) };
    for (let tries = 1; ; tries++) {
      signal.throwIfAborted();
      try {
        const variablesJson = `{"inputs":[${inputs}]}`;
        return await ask(url, { query: this.#query, variablesJson, headers, token, shape: ANSWER });
      } catch (error) {
        if (tries === TRIES || !(isHoldfastError(error) && error.retryable)) throw error;
        await wait(Math.min(FIRST_WAIT_MS * 2 ** (tries - 1), LONGEST_WAIT_MS), signal);
      }
    }
  }

  /** Of the file, the place in it, and the contents: the same key never carries other arguments. */
  #keyOf(items: readonly Item[], inputs: string): string {
    const { digest, entity } = this.#options;
    return `import-${hash('sha256', `${digest}\0${entity.name}\0${items[0]?.index}\0${inputs}`, 'hex').slice(0, 40)}`;
  }
}

function refusedOf(items: readonly Item[], refusal: { index: number; code: string; message: string }): RefusedDocument {
  const { line, index } = items[refusal.index] as Item;
  return { line, index, code: refusal.code, reason: refusal.message };
}

function codeOf(error: HoldfastError): string {
  const { answered } = error.details;
  return typeof answered === 'string' ? answered : error.code;
}
