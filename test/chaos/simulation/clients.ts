import { isHoldfastError } from '../../../src/errors.ts';
import { type Document, encodeValue } from '../../../src/model/document.ts';
import type { Position } from '../../../src/model/position.ts';
import type { DataService, WriteContext } from '../../../src/service/data-service.ts';
import { idempotencyOf } from '../../../src/service/identity.ts';
import { documentKey } from '../../../src/store/idempotency.ts';
import { ensure, type History, nameOf, Violation } from './history.ts';
import { COUNTER, type Node, THING } from './nodes.ts';
import type { Scheduler } from './scheduler.ts';

/** Counters that exist from the beginning. */
export const COUNTERS = 4;
/** Names of things that several clients upsert, or try to create. */
const SHARED_NAMES = 2;
/** Bytes of a document that travels by reference. */
const LARGE = 263_000;

/** A mutation as a client sends it, again and again under one key. */
export interface Operation {
  readonly number: number;
  readonly kind: string;
  send(service: DataService, context: WriteContext): Promise<Answer>;
  /** Keys of the log entries it makes; how many there are when it was done once. */
  keys(context: WriteContext): readonly string[];
  /** May be refused for good with this code. */
  readonly refusal?: string;
  /** What it adds to which counters or shared things, by name. */
  readonly adds?: readonly string[];
}

interface Answer {
  readonly position: Position | null;
  /** Where the log was after it, when `position` may differ from answer to answer. */
  readonly reached?: Position | null;
  readonly version?: number | null;
}

/** What became of an operation in the end. */
export const Fate = { ACKNOWLEDGED: 'ACKNOWLEDGED', REFUSED: 'REFUSED', UNKNOWN: 'UNKNOWN' } as const;
export type Fate = (typeof Fate)[keyof typeof Fate];

export interface Done {
  readonly operation: Operation;
  /** When it was acknowledged: where. */
  readonly position: Position | null;
  readonly fate: Fate;
  readonly context: WriteContext;
}

const LOST = Symbol('lost');

export interface ClientFaults {
  /** Probability that a request, or its answer, is lost. */
  readonly loss: number;
  /** Probability that a request arrives once more, later. */
  readonly zombies: number;
  /** Probability that a client gives up when it hears nothing. */
  readonly giveUp: number;
}

export interface ClientOptions {
  readonly scheduler: Scheduler;
  readonly name: string;
  /** The node it writes to; another one after a promotion. */
  readonly primary: () => Node;
  /** Nodes it reads from. */
  readonly nodes: () => readonly Node[];
  readonly history: History;
  readonly faults: ClientFaults;
  /** Texts of documents on some disk may be wrong: reads say nothing. */
  readonly isRotten: () => boolean;
}

/** Sends its operations one after the other, each until it is acknowledged or refused, and reads in between. */
export class Client {
  readonly done: Done[] = [];
  /** Everything was sent and no late request is on its way. */
  finished = false;
  reads = 0;
  requests = 0;
  readonly #options: ClientOptions;
  readonly #fail: (error: unknown) => void;
  /** Faults happen. */
  faulty = true;
  #late = 0;
  #written: Position | undefined;
  #over = false;
  readonly #controller = new AbortController();

  constructor(options: ClientOptions, fail: (error: unknown) => void) {
    this.#options = options;
    this.#fail = fail;
  }

  /** Runs `operations`; what they find wrong is reported, not thrown. */
  start(operations: readonly Operation[]): void {
    this.#run(operations).catch(this.#fail);
  }

  /** Ends what is still waited for. */
  stop(): void {
    this.#controller.abort();
  }

  async #run(operations: readonly Operation[]): Promise<void> {
    const { scheduler } = this.#options;
    for (const operation of operations) {
      await this.#perform(operation);
      for (let reads = scheduler.below(4); reads > 0; reads--) await this.#read();
    }
    this.#over = true;
    this.#check();
  }

  #check(): void {
    this.finished = this.#over && this.#late === 0;
  }

  async #perform(operation: Operation): Promise<void> {
    const { scheduler, name, faults } = this.#options;
    const context: WriteContext = contextOf(name, operation, this.#controller.signal);
    const seen: { first?: Answer } = {};
    for (;;) {
      const answer = await this.#request(operation, context, seen);
      if (answer === LOST) {
        if (this.faulty && scheduler.chance(faults.giveUp)) return this.#end(operation, Fate.UNKNOWN, context);
      } else if (answer instanceof Error) {
        const { history } = this.#options;
        // Made anew at a node that does not know it was made: refused for what it made.
        if (isHoldfastError(answer) && operation.keys(context).some((key) => history.isForgotten(key))) {
          return this.#end(operation, Fate.UNKNOWN, context);
        }
        if (isHoldfastError(answer) && answer.code === operation.refusal) {
          return this.#end(operation, Fate.REFUSED, context);
        }
        ensure(isPassing(answer), () => `${name} ${operation.kind} was answered ${String(answer)}`);
      } else {
        this.#written = answer.position ?? this.#written;
        return this.#end(operation, Fate.ACKNOWLEDGED, context, answer.reached ?? answer.position);
      }
      await new Promise<void>((resolve) => {
        scheduler.after(50 + scheduler.below(500), `${name} tries again`, resolve);
      });
    }
  }

  #end(operation: Operation, fate: Fate, context: WriteContext, position: Position | null = null): void {
    this.done.push({ operation, fate, context, position });
  }

  /** One request: its answer, an error, or nothing; perhaps it arrives a second time, much later. */
  #request(
    operation: Operation,
    context: WriteContext,
    seen: { first?: Answer },
  ): Promise<Answer | Error | typeof LOST> {
    const { scheduler, name, faults } = this.#options;
    const primary = this.#options.primary();
    if (this.faulty && scheduler.chance(faults.zombies)) {
      this.#late += 1;
      scheduler.after(scheduler.below(20_000), `${name} ${operation.kind} arrives late`, () => {
        this.#deliver(primary, operation, context, seen).then(
          () => {
            this.#late -= 1;
            this.#check();
          },
          (error: unknown) => this.#fail(error),
        );
      });
    }
    return this.#deliver(primary, operation, context, seen);
  }

  #deliver(
    primary: Node,
    operation: Operation,
    context: WriteContext,
    seen: { first?: Answer },
  ): Promise<Answer | Error | typeof LOST> {
    const { scheduler, name, faults } = this.#options;
    this.requests += 1;
    const label = `${name} ${operation.number} ${operation.kind}`;
    return new Promise((resolve, reject) => {
      const lose = (): void => {
        scheduler.after(500 + scheduler.below(4_000), `${label} is not answered`, () => resolve(LOST));
      };
      scheduler.add(label, () => {
        const service = primary.running?.service();
        const { process } = primary;
        const isLost = this.faulty && scheduler.chance(faults.loss);
        if (service === undefined || isLost) return lose();
        // The client notices sooner or later that nobody is there any more.
        const stop = primary.onCrash(lose);
        const answer = (settle: () => void): void => {
          stop();
          const isLost = !process.alive || (this.faulty && scheduler.chance(faults.loss));
          if (isLost) lose();
          else scheduler.add(`${label} answered`, settle);
        };
        operation.send(service, context).then(
          (value) =>
            process.alive &&
            answer(() => {
              try {
                this.#requireSame(seen, value, label, operation, context);
                resolve(value);
              } catch (error) {
                reject(error);
              }
            }),
          (error: unknown) => process.alive && answer(() => resolve(error as Error)),
        );
      });
    });
  }

  /** Every acknowledgement of one operation says the same. */
  #requireSame(
    seen: { first?: Answer },
    answer: Answer,
    label: string,
    operation: Operation,
    context: WriteContext,
  ): void {
    const { history } = this.#options;
    if (answer.position !== null && history.isLost(answer.position)) return;
    if (seen.first?.position != null && history.isLost(seen.first.position)) delete seen.first;
    if (operation.keys(context).some((key) => history.isForgotten(key))) return;
    seen.first ??= answer;
    const { first } = seen;
    ensure(
      first.version === answer.version && first.position?.sequence === answer.position?.sequence,
      () =>
        `${label}: acknowledged as ${first.version} at ${first.position?.sequence}, then as ${answer.version} at ${answer.position?.sequence}`,
    );
  }

  /** Reads a counter somewhere, with everything this client wrote or else an error. */
  async #read(): Promise<void> {
    const { scheduler, name, nodes, history } = this.#options;
    const node = scheduler.pick(nodes());
    const id = `c${scheduler.below(COUNTERS)}`;
    if (this.#written !== undefined && history.isLost(this.#written)) this.#written = undefined;
    const minPosition = this.#written;
    const { common } = history;
    await new Promise<void>((resolve, reject) => {
      scheduler.add(`${name} reads ${id} at ${node.name}`, () => {
        const service = node.running?.service();
        const { process } = node;
        if (service === undefined) return resolve();
        const stop = node.onCrash(resolve);
        const context = { principal: name, minPosition, signal: this.#controller.signal };
        service.find(COUNTER, { _id: id }, {}, context).then(
          (found) => {
            if (!process.alive) return;
            stop();
            this.reads += 1;
            const { sequence: end, chain } = node.running?.log.head() ?? { sequence: 0, chain: '' };
            const isOther = history.common !== common || history.isForked(end, chain);
            if (this.#options.isRotten() || isOther) return resolve();
            const least = minPosition?.sequence ?? 0;
            const text = (sequence: number): unknown => {
              const row = history.at(sequence).get(nameOf(COUNTER.collection, encodeValue(id)));
              return row && (JSON.parse(row.text) as Document).n;
            };
            for (let sequence = history.head; sequence >= least; sequence--) {
              if (text(sequence) === found[0]?.n) return resolve();
            }
            const where = `${node.name} in state ${node.running?.replica?.status().state ?? 'PRIMARY'}`;
            reject(new Violation(`${name} read ${id} = ${found[0]?.n} at ${where}, which was so before ${least}`));
          },
          (error: unknown) => {
            if (!process.alive) return;
            stop();
            if (isHoldfastError(error, 'STALE_READ') || isHoldfastError(error, 'NOT_READY')) return resolve();
            reject(error);
          },
        );
      });
    });
  }
}

/** Draws what a client will send. */
export function drawOperations(scheduler: Scheduler, client: number, count: number, large: boolean): Operation[] {
  const operations: Operation[] = [];
  const own: { id: string; name: string }[] = [];
  for (let i = 0; i < count; i++) {
    const number = client * 100 + i;
    operations.push(draw(scheduler, number, own, large && i === 0));
  }
  return operations;
}

function draw(scheduler: Scheduler, number: number, own: { id: string; name: string }[], large: boolean): Operation {
  const id = `t${number}`;
  const counter = `c${scheduler.below(COUNTERS)}`;
  const shared = `shared${scheduler.below(SHARED_NAMES)}`;
  const one = (context: WriteContext): string[] => [keyOf(context, 0)];
  if (large) return increment(number, 'enlarge', counter, { $set: { pad: 'x'.repeat(LARGE) } });
  switch (scheduler.below(11)) {
    case 0:
      own.push({ id, name: id });
      return {
        ...{ number, kind: `create ${id}`, keys: one },
        send: (service, context) => service.create(THING, { _id: id, name: id, n: 1 }, context),
      };
    case 1:
      return {
        ...{ number, kind: 'create', keys: one },
        send: (service, context) => service.create(THING, { name: `drawn ${number}`, n: 1 }, context),
      };
    case 2:
      return {
        ...{
          number,
          kind: 'create many',
          keys: (context) => [keyOf(context, 0), keyOf(context, 1), keyOf(context, 2)],
        },
        send: (service, context) =>
          service.createMany(
            THING,
            [0, 1, 2].map((n) => ({ _id: `${id}-${n}`, name: `${id}-${n}`, n })),
            context,
          ),
      };
    case 3:
      return {
        ...{ number, kind: `create ${shared}`, keys: one, refusal: 'ALREADY_EXISTS', adds: [shared] },
        send: (service, context) =>
          service.create(THING, { _id: `${shared} of ${number}`, name: shared, n: 1 }, context),
      };
    case 4:
      return {
        ...{ number, kind: `upsert ${shared}`, keys: one, adds: [shared] },
        send: (service, context) =>
          service.upsert(THING, { name: shared }, { name: shared, n: 1 }, { $inc: { n: 1 } }, context),
      };
    case 5:
    case 6: {
      const mine = own.pop();
      if (mine === undefined) return increment(number, 'increment', counter);
      // It may be created again, by this client.
      if (scheduler.chance(0.5)) own.push(mine);
      const again = scheduler.chance(0.5);
      return again
        ? {
            ...{ number, kind: `create ${mine.id} again`, keys: one, refusal: 'ALREADY_EXISTS' },
            send: (service, context) => service.create(THING, { _id: mine.id, name: mine.name, n: number }, context),
          }
        : {
            ...{ number, kind: `delete ${mine.id}`, keys: one, refusal: 'NOT_FOUND' },
            send: (service, context) => service.delete(THING, mine.id, undefined, context),
          };
    }
    case 7:
      return {
        ...{ number, kind: 'increment all', adds: Array.from({ length: COUNTERS }, (_, n) => `c${n}`) },
        keys: (context) => {
          const operation = idempotencyOf(context, 0) as { key: string; digest: string };
          return Array.from({ length: COUNTERS }, (_, n) => documentKey(operation, encodeValue(`c${n}`)).key);
        },
        // The answer to a bulk write tells the last position; a repetition need not have the same.
        send: async (service, context) => {
          const { position } = await service.updateMany(COUNTER, {}, { $inc: { n: 1 } }, context);
          return { position: null, reached: position };
        },
      };
    default:
      return increment(number, 'increment', counter);
  }
}

function increment(number: number, kind: string, counter: string, more: Document = {}): Operation {
  return {
    ...{ number, kind: `${kind} ${counter}`, adds: [counter], keys: (context) => [keyOf(context, 0)] },
    send: (service, context) => service.update(COUNTER, counter, { $inc: { n: 1 }, ...more }, undefined, context),
  };
}

function keyOf(context: WriteContext, index: number): string {
  return idempotencyOf(context, index)?.key ?? '';
}

function contextOf(principal: string, { number }: Operation, signal: AbortSignal): WriteContext {
  const digest = number.toString(16).padStart(32, '0');
  return { principal, idempotencyKey: `k${number}`, field: 'op', argumentsDigest: digest, signal };
}

/** Whether the same request may be sent again. */
function isPassing(error: Error): boolean {
  const codes = ['DATA_UNWRITABLE', 'CONFLICT', 'FENCED', 'NOT_PRIMARY'] as const;
  return codes.some((code) => isHoldfastError(error, code));
}

/** The initial documents, written like any other. */
export function counters(): readonly Document[] {
  return Array.from({ length: COUNTERS }, (_, n) => ({ _id: `c${n}`, n: 0 }));
}
