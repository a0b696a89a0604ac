import { describe, expect, it } from 'vitest';
import { isLostRace, targetError } from '../../../src/dr/dialect/postgres-errors.ts';
import { HoldfastError } from '../../../src/errors.ts';

function answer(code: string, message = 'no'): Error {
  return Object.assign(new Error(message), { code });
}

describe('targetError', () => {
  it.each([
    ['53100', 'DR_STORAGE_FULL'],
    ['42501', 'DR_PRIVILEGE_MISSING'],
    ['55P03', 'DR_LOCKED'],
    ['57P01', 'DATABASE_UNAVAILABLE'],
    ['08006', 'DATABASE_UNAVAILABLE'],
    ['ECONNRESET', 'DATABASE_UNAVAILABLE'],
    ['42704', 'DR_INCOMPATIBLE'],
    ['23505', 'DR_INCOMPATIBLE'],
  ])('gives %s the code %s', (state, code) => {
    expect(targetError('load table "a"', answer(state))).toMatchObject({ code, details: { sqlState: state } });
  });

  it('knows a broken connection by the words of the driver', () => {
    const error = new Error('Connection terminated unexpectedly');
    expect(targetError('load', error)).toMatchObject({ code: 'DATABASE_UNAVAILABLE', details: {} });
  });

  it('names the operation, the detail and where it was', () => {
    const error = Object.assign(answer('23505', 'duplicate key'), {
      detail: 'Key (id)=(1).',
      where: 'COPY a, line 7\nmore',
    });
    expect(targetError('load table "a"', error).message).toBe(
      'load table "a": duplicate key (Key (id)=(1).; COPY a, line 7)',
    );
  });

  it('leaves an error of ours as it is', () => {
    const error = new HoldfastError('DR_CHECKSUM_MISMATCH', 'data/1/0.copy was altered');
    expect(targetError('load', error)).toBe(error);
  });
});

describe('isLostRace', () => {
  it('is true of deadlocks and serialization failures only', () => {
    expect(['40P01', '40001', '40002', '23505', ''].map((state) => isLostRace(answer(state)))).toEqual([
      ...[true, true, false, false, false],
    ]);
  });
});
