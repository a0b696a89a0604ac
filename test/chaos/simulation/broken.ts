import type { RowStore } from '../../../replica/row-store.ts';
import { chainHash, type LogEntry } from '../../../src/model/change.ts';
import { decodeCursor, encodeCursor } from '../../../src/protocol/cursor.ts';
import { decodeBody, encodeBody } from '../../../src/protocol/frame.ts';
import type { Frame, SyncSource } from '../../../src/protocol/sync-source.ts';
import type { DataService, Written } from '../../../src/service/data-service.ts';
import type { Transaction } from '../../../src/sqlite/database.ts';
import type { Outbox } from '../../../src/store/outbox.ts';
import { type Parts, SOUND } from './nodes.ts';

/** The product with one part that is wrong. A simulation that does not find it is worth nothing. */
export const BROKEN: Readonly<Record<string, Parts>> = {
  'a log entry appended in another transaction than its document': {
    ...SOUND,
    outbox: (log, database) => {
      let waiting = 0;
      const late: Pick<Outbox, 'append'> = {
        append(transaction, change) {
          waiting += 1;
          transaction.onRollback(() => {
            waiting -= 1;
          });
          transaction.onCommit(() => {
            const append = database.transaction((later) => log.append(later, change));
            append.then(
              () => {
                waiting -= 1;
              },
              () => undefined,
            );
          });
          const { epoch, sequence } = log.position();
          return { ...change, epoch, sequence: sequence + waiting, chain: '' };
        },
      };
      return overridden<Outbox>(log, late);
    },
  },

  'a bootstrap that takes pages without looking at versions': {
    ...SOUND,
    rows: (store) =>
      overridden<RowStore>(store, {
        put: (transaction, collection, row, sequence, force, expected) =>
          store.put(transaction, collection, row, sequence, force === true || sequence === 0, expected),
      }),
  },

  'a follower whose cursor is stored before its documents': {
    ...SOUND,
    rows: (store, database) => {
      const late = (transaction: Transaction, work: (transaction: Transaction) => unknown): 'WRITTEN' => {
        transaction.onCommit(() => void database.transaction(work).catch(() => undefined));
        return 'WRITTEN';
      };
      return overridden<RowStore>(store, {
        put: (transaction, ...put) => late(transaction, (later) => store.put(later, ...put)),
        remove: (transaction, ...remove) => late(transaction, (later) => store.remove(later, ...remove)),
      });
    },
  },

  'a primary that remembers idempotency keys in memory': {
    ...SOUND,
    service: (service) => {
      const answers = new Map<string, Promise<Written>>();
      return overridden<DataService>(service, {
        update: (entity, id, update, ifVersion, context) => {
          const key = `${context.principal} ${context.idempotencyKey}`;
          let answer = answers.get(key);
          if (answer === undefined) {
            answer = service.update(entity, id, update, ifVersion, { ...context, idempotencyKey: undefined });
            answers.set(key, answer);
            answer.catch(() => answers.delete(key));
          }
          return answer;
        },
      });
    },
  },

  'a source that leaves a change out and hides the gap': {
    ...SOUND,
    source: (source) => {
      let frames = 0;
      return overridden<SyncSource>(source, {
        async *changes(...args) {
          for await (const frame of source.changes(...args)) yield frames++ % 3 === 1 ? withoutLast(frame) : frame;
        },
      });
    },
  },

  'a primary that acknowledges before the commit': {
    ...SOUND,
    service: (service) =>
      overridden<DataService>(service, {
        update: (entity, id, update, ifVersion, context) => {
          service.update(entity, id, update, ifVersion, context).catch(() => undefined);
          return Promise.resolve({
            ...{ document: null, outcome: 'COMMITTED', version: null, position: null, journalId: null },
          });
        },
      }),
  },
};

/** `real` with some methods replaced; the others stay bound to it, private fields and all. */
function overridden<T extends object>(real: T, methods: Partial<T>): T {
  return new Proxy(real, {
    get(target, name) {
      const replaced = methods[name as keyof T];
      if (replaced !== undefined) return replaced;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** `frame` less the document of its last change, in whose place an old one stands: dense, chained and summed up anew. */
function withoutLast(frame: Frame): Frame {
  const entries = frame.body === '' ? [] : [...decodeBody(frame)];
  const last = entries.pop();
  if (last === undefined || last.operation === 'DELETED') return frame;
  const nothing = { ...last, operation: 'DELETED', after: null, image: null } as const;
  const previous = entries.at(-1)?.chain ?? frame.previous;
  const chain = chainHash(previous, frame.epoch, last.sequence, nothing);
  const hidden: LogEntry = { ...nothing, chain };
  const cursor = encodeCursor({ ...decodeCursor(frame.cursor), chain });
  return { ...frame, ...encodeBody([...entries, hidden], () => false), chain, cursor };
}
