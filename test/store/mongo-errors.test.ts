import { Int32 } from 'bson';
import {
  MongoError,
  MongoInvalidArgumentError,
  MongoNetworkError,
  MongoNetworkTimeoutError,
  MongoNotConnectedError,
  MongoServerError,
} from 'mongodb';
import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/errors.ts';
import { coded, duplicateKeyIndex, faultOf, isDuplicateKey } from '../../src/store/mongo-errors.ts';

const server = (code: number, message = 'refused') => new MongoServerError({ code, message });

function named(name: string): MongoError {
  return Object.defineProperty(new MongoError('pool'), 'name', { value: name });
}

function handshake(): MongoError {
  const error = server(11);
  error.addErrorLabel('HandshakeError');
  return error;
}

const duplicate = server(
  11000,
  'E11000 duplicate key error collection: db.people index: email_1 dup key: { email: "a" }',
);

describe('errors of MongoDB', () => {
  it.each([
    ['DUPLICATE', duplicate],
    ['CREDENTIALS', server(18)],
    ['DENIED', server(13)],
    ['UNAVAILABLE', server(10107)],
    // As the answer to a read has it.
    ['UNAVAILABLE', new MongoServerError({ code: new Int32(10107), message: 'refused' })],
    ['UNAVAILABLE', handshake()],
    ['UNAVAILABLE', new MongoNotConnectedError('closed')],
    ['UNAVAILABLE', named('MongoPoolClearedError')],
    ['UNKNOWN', named('PoolClearedOnNetworkError')],
    ['UNKNOWN', new MongoNetworkError('connection closed')],
    ['UNKNOWN', new MongoNetworkTimeoutError('timed out')],
    ['UNKNOWN', server(64)],
    ['UNKNOWN', server(11600)],
    ['UNKNOWN', AbortSignal.abort().reason],
    ['REFUSED', server(2)],
    ['REFUSED', new MongoInvalidArgumentError('no')],
    ['REFUSED', new RangeError('too large')],
    // As a bulk write wraps what ended it.
    ['UNKNOWN', new MongoServerError(new MongoNetworkError('connection closed') as never)],
  ])('are told apart by type and code: %s', (fault, error) => {
    expect(faultOf(error)).toBe(fault);
  });

  it.each([
    ['E11000 duplicate key error collection: db.people index: email_1 dup key: { email: "a" }', 'email_1'],
    ['E11000 duplicate key error collection: db.p index: _id_ dup key: { _id: 1 }', '_id_'],
    [
      'E11000 duplicate key error collection: db.p index: two words collation: { locale: "de" } dup key: {}',
      'two words',
    ],
    ['E11000 duplicate key error index: db.people.$email_1 dup key: { : "a" }', 'email_1'],
    ["Duplicate key violation on the requested collection: Index '_id_'", '_id_'],
    ['something else', undefined],
  ])('name the index that refused: %s', (message, index) => {
    expect(duplicateKeyIndex(server(11000, message))).toBe(index);
  });

  it('takes an error of the socket itself for a missing answer', () => {
    const error = Object.assign(new Error('write ECONNRESET'), { code: 'ECONNRESET', syscall: 'write' });
    expect(faultOf(error)).toBe('UNKNOWN');
  });

  it.each(['EPIPE', 'ERR_STREAM_DESTROYED'])(
    'takes %s of a stream, which no system call names, for one too',
    async (code) => {
      const error = Object.assign(new Error('This socket has been ended by the other party'), { code });
      expect(faultOf(error)).toBe('UNKNOWN');
    },
  );

  it('name no index when another thing was refused', () => {
    expect(duplicateKeyIndex(server(2, duplicate.message))).toBeUndefined();
    expect(isDuplicateKey(server(2, duplicate.message))).toBe(false);
  });

  it.each([
    ['DATABASE_UNAVAILABLE', 'WRITE', server(10107)],
    ['WRITE_OUTCOME_UNKNOWN', 'WRITE', new MongoNetworkError('cut')],
    ['DATABASE_UNAVAILABLE', 'READ', new MongoNetworkError('cut')],
    ['CONFIG_INVALID', 'READ', server(18)],
    ['CONFIG_INVALID', 'WRITE', server(13)],
    ['INTERNAL_SERVER_ERROR', 'WRITE', server(2)],
  ] as const)('end as %s in a %s', (code, access, error) => {
    expect(coded(error, 'insert into people', access)).toMatchObject({ code, cause: error });
    expect(coded(error, 'insert into people', access).message).toContain('insert into people: ');
  });

  it('stay as they are when they have a code already', () => {
    const error = new HoldfastError('NOT_FOUND', 'nothing there');
    expect(coded(error, 'read', 'READ')).toBe(error);
  });
});
