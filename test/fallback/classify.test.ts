import { Int32 } from 'bson';
import { MongoBulkWriteError, MongoNetworkError, MongoServerError, MongoServerSelectionError } from 'mongodb';
import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/errors.ts';
import { classify, type Evidence, type FaultClass } from '../../src/fallback/classify.ts';

interface Facts {
  readonly name?: string;
  readonly code?: number | string;
  readonly labels?: readonly string[];
  readonly cause?: unknown;
}

/** An error as the driver makes one, seen from outside. */
function error({ name = 'Error', code, labels = [], cause }: Facts): Error {
  return Object.assign(new Error('never looked at: ECONNREFUSED 11000', { cause }), {
    name,
    ...(code !== undefined && { code }),
    errorLabelSet: new Set(labels),
  });
}

const server = (code: number, labels: readonly string[] = []): Error =>
  error({ name: 'MongoServerError', code, labels });
const system = (code: string): Error => error({ code });

/** What the driver makes of an error that ends a bulk write, of which so many documents were inserted. */
const bulk = (ended: unknown, insertedCount = 0, concern?: object): Error =>
  new MongoBulkWriteError(ended as never, { insertedCount, getWriteConcernError: () => concern } as never);
const notWritable = new MongoServerError({ code: 10_107, errmsg: 'x' });
const noServer = new MongoServerSelectionError('x', {} as never);

type Row = readonly [what: string, error: unknown, fault: FaultClass, evidence: Evidence];

const callersCodes = [2, 9, 14, 17, 20, 26, 28, 31, 40, 52, 59, 66, 72, 73, 115, 168, 292, 10334, 11000, 11001, 12582];
const notPrimary = [133, 134, 10058, 10107, 13435, 13436];
const interrupted = [6, 7, 89, 91, 189, 9001, 11600, 11602];

const ROWS: readonly Row[] = [
  ['a duplicate key', server(11000), 'CALLER', 'NONE'],
  ['a document that breaks a validator', server(121), 'CALLER', 'NONE'],
  ['a code that nobody knows, from a server that answers', server(51_999), 'CALLER', 'NONE'],
  ['an argument that the driver refuses', error({ name: 'MongoInvalidArgumentError' }), 'CALLER', 'NONE'],
  ['a cursor used twice', error({ name: 'MongoCursorInUseError' }), 'CALLER', 'NONE'],
  ['a transaction used wrongly', error({ name: 'MongoTransactionError' }), 'CALLER', 'NONE'],
  ['a value that has no BSON', error({ name: 'BSONError' }), 'CALLER', 'NONE'],
  ['a document beyond 16 MiB', error({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' }), 'CALLER', 'NONE'],
  ['a refusal of ours', new HoldfastError('ALREADY_EXISTS', 'x'), 'CALLER', 'NONE'],
  [
    'a refusal of the server, wrapped',
    new HoldfastError('INTERNAL_SERVER_ERROR', 'x', { cause: server(2) }),
    'CALLER',
    'NONE',
  ],
  ['a user who may not', server(13), 'CONFIG', 'NONE'],
  ['a wrong password', server(18), 'CONFIG', 'NONE'],
  [
    'a wrong password at every server',
    error({ name: 'MongoServerSelectionError', cause: server(18) }),
    'CONFIG',
    'NONE',
  ],
  [
    'a certificate that expired',
    error({ name: 'MongoNetworkError', cause: system('CERT_HAS_EXPIRED') }),
    'CONFIG',
    'NONE',
  ],
  ['a mistake in the configuration', new HoldfastError('CONFIG_INVALID', 'x'), 'CONFIG', 'NONE'],
  ['no server found', error({ name: 'MongoServerSelectionError' }), 'DATABASE_DOWN', 'CONNECTION'],
  ['a topology closed under us', error({ name: 'MongoTopologyClosedError' }), 'DATABASE_DOWN', 'CONNECTION'],
  ['a pool cleared before sending', error({ name: 'MongoPoolClearedError' }), 'DATABASE_DOWN', 'CONNECTION'],
  ['a pool with no connection free', error({ name: 'MongoWaitQueueTimeoutError' }), 'DATABASE_DOWN', 'OPERATION'],
  [
    'a connection refused, though it is called overload',
    error({
      name: 'MongoNetworkError',
      labels: ['SystemOverloadedError', 'RetryableError'],
      cause: system('ECONNREFUSED'),
    }),
    'DATABASE_DOWN',
    'CONNECTION',
  ],
  [
    'a connection lost before it was ready',
    error({ name: 'MongoNetworkError', labels: ['HandshakeError'] }),
    'DATABASE_DOWN',
    'CONNECTION',
  ],
  ['an unknown host', system('ENOTFOUND'), 'DATABASE_DOWN', 'CONNECTION'],
  [
    'our own word for it',
    new HoldfastError('DATABASE_UNAVAILABLE', 'x', { cause: error({ name: 'MongoServerSelectionError' }) }),
    'DATABASE_DOWN',
    'CONNECTION',
  ],
  [
    'a connection lost after sending',
    error({ name: 'MongoNetworkError', labels: ['ResetPool'], cause: system('ECONNRESET') }),
    'AMBIGUOUS',
    'CONNECTION',
  ],
  [
    'a connection cut because the server was silent to its monitor',
    error({ name: 'PoolClearedOnNetworkError', labels: ['PoolRequestedRetry'] }),
    'AMBIGUOUS',
    'CONNECTION',
  ],
  ['a stream that ended under a write', error({ code: 'ERR_STREAM_DESTROYED' }), 'AMBIGUOUS', 'CONNECTION'],
  ['silence on a connection', error({ name: 'MongoNetworkTimeoutError' }), 'AMBIGUOUS', 'OPERATION'],
  ['an operation out of time', error({ name: 'MongoOperationTimeoutError' }), 'AMBIGUOUS', 'OPERATION'],
  ['a deadline of ours', new DOMException('x', 'TimeoutError'), 'AMBIGUOUS', 'OPERATION'],
  ['a server that gave up on one query', server(50), 'AMBIGUOUS', 'NONE'],
  ['a write that a majority did not confirm', error({ name: 'MongoWriteConcernError', code: 64 }), 'AMBIGUOUS', 'NONE'],
  ['a transaction that may be tried again', server(251, ['TransientTransactionError']), 'AMBIGUOUS', 'NONE'],
  ['a write whose end is not known', new HoldfastError('WRITE_OUTCOME_UNKNOWN', 'x'), 'AMBIGUOUS', 'CONNECTION'],
  ['a bulk write that lost its connection', bulk(new MongoNetworkError('x')), 'AMBIGUOUS', 'CONNECTION'],
  ['a bulk write that no server took', bulk(noServer), 'DATABASE_DOWN', 'CONNECTION'],
  ['a bulk write refused at its beginning', bulk(notWritable), 'DATABASE_DOWN', 'CONNECTION'],
  ['a bulk write refused in the middle', bulk(notWritable, 1), 'AMBIGUOUS', 'CONNECTION'],
  ['a bulk write that found no server in the middle', bulk(noServer, 1), 'AMBIGUOUS', 'CONNECTION'],
  [
    'a bulk write refused in the middle for too much to do',
    bulk(new MongoServerError({ code: 462 }), 1),
    'AMBIGUOUS',
    'NONE',
  ],
  [
    'a bulk write with a value that another document has, in the middle',
    bulk(new MongoServerError({ code: 11_000 }), 1),
    'CALLER',
    'NONE',
  ],
  [
    'a bulk write that was done by a server on its way out',
    bulk({ message: 'x', code: 10_107 }, 1, { code: 10_107 }),
    'AMBIGUOUS',
    'NONE',
  ],
  ['a server with too much to do', server(462, ['SystemOverloadedError', 'RetryableError']), 'OVERLOAD', 'NONE'],
  ['a conflict of writes', server(112), 'OVERLOAD', 'NONE'],
  ['a document that everybody changes', new HoldfastError('WRITE_CONTENTION', 'x'), 'OVERLOAD', 'NONE'],
  ['a mistake of ours', new TypeError('x is not a function'), 'GATEWAY_BUG', 'NONE'],
  ['something that is no error', 'oh', 'GATEWAY_BUG', 'NONE'],
];

describe('classify', () => {
  it.each(ROWS)('%s', (_what, thrown, fault, evidence) => {
    expect(classify(thrown)).toEqual({ class: fault, evidence });
  });

  it.each(callersCodes)('code %i of a server is the fault of the caller', (code) => {
    expect(classify(server(code)).class).toBe('CALLER');
  });

  it.each(notPrimary)('code %i of a server says that it is away', (code) => {
    expect(classify(server(code, ['ResetPool']))).toEqual({ class: 'DATABASE_DOWN', evidence: 'CONNECTION' });
  });

  it.each(interrupted)('code %i of a server says that some of it may have been done', (code) => {
    expect(classify(server(code, ['ResetPool']))).toEqual({ class: 'AMBIGUOUS', evidence: 'CONNECTION' });
  });

  it.each([...notPrimary, ...interrupted])('a write that was done, and then code %i, is not known to last', (code) => {
    expect(classify(error({ name: 'MongoWriteConcernError', code }))).toEqual({ class: 'AMBIGUOUS', evidence: 'NONE' });
  });

  it('knows a code that kept its type', () => {
    const typed = error({ name: 'MongoServerError', code: new Int32(10_107) as unknown as number });
    expect(classify(typed)).toEqual({ class: 'DATABASE_DOWN', evidence: 'CONNECTION' });
  });

  it('ends on a chain of causes without an end', () => {
    const first = error({});
    first.cause = error({ cause: first });
    expect(classify(first).class).toBe('GATEWAY_BUG');
  });
});
