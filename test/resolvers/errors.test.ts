import { GraphQLError } from 'graphql';
import { describe, expect, test } from 'vitest';
import { formatError } from '../../resolvers/errors.ts';
import { HoldfastError } from '../../src/errors.ts';

function format(error: GraphQLError, production: boolean) {
  const unexpected: unknown[] = [];
  const caused: unknown[] = [];
  const answer = formatError(error, {
    ...{ requestId: 'r1', production },
    onCaused: (known) => caused.push(known.cause),
    onUnexpected: (cause) => unexpected.push(cause),
  });
  return { answer, unexpected, caused };
}

describe('formatError', () => {
  test('turns an error of the catalogue into its code, message and details', () => {
    const cause = new HoldfastError('CONFLICT', 'Teacher t1 has version 4', { details: { currentVersion: 4 } });
    const error = new GraphQLError('wrapped', { originalError: cause, path: ['updateTeacher'] });
    expect(format(error, true).answer).toEqual({
      message: 'Teacher t1 has version 4',
      path: ['updateTeacher'],
      extensions: { code: 'CONFLICT', retryable: false, requestId: 'r1', currentVersion: 4 },
    });
  });

  test('finds it inside several GraphQL errors, and says whether a retry makes sense', () => {
    const inner = new GraphQLError('x', { originalError: new HoldfastError('STALE_READ', 'behind') });
    const { answer } = format(new GraphQLError('y', { originalError: inner }), true);
    expect(answer.extensions).toMatchObject({ code: 'STALE_READ', retryable: true });
  });

  test('keeps what caused an error of the catalogue for the log', () => {
    const disk = new Error('/secret/path is full');
    const failure = new HoldfastError('DATA_UNWRITABLE', 'nothing was written', { cause: disk });
    const { answer, caused } = format(new GraphQLError('x', { originalError: failure }), false);
    expect(caused).toEqual([disk]);
    expect(JSON.stringify(answer)).not.toContain('secret');
  });

  test("keeps Apollo's codes, and codes and details of hand-written resolvers", () => {
    const invalid = new GraphQLError('Cannot query field "x".', { extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } });
    expect(format(invalid, true).answer).toEqual({
      message: 'Cannot query field "x".',
      extensions: { code: 'GRAPHQL_VALIDATION_FAILED', retryable: false, requestId: 'r1' },
    });
    const full = new GraphQLError('full', { extensions: { code: 'CLASS_FULL', capacity: 30 } });
    expect(format(full, true).answer.extensions).toEqual({
      code: 'CLASS_FULL',
      capacity: 30,
      retryable: false,
      requestId: 'r1',
    });
  });

  test('hides what an unexpected error says in production, and only there; the log gets it', () => {
    const boom = new TypeError('secret');
    const error = new GraphQLError('secret', { originalError: boom, extensions: { token: 'secret' } });
    const { answer, unexpected } = format(error, true);
    expect(JSON.stringify(answer)).not.toContain('secret');
    expect(answer.extensions).toEqual({ code: 'INTERNAL_SERVER_ERROR', retryable: false, requestId: 'r1' });
    expect(unexpected).toEqual([boom]);
    const shown = format(error, false).answer;
    expect(shown.message).toBe('secret');
    expect(shown.extensions).toHaveProperty('stacktrace');
    const ours = new GraphQLError('x', { originalError: new HoldfastError('INTERNAL_SERVER_ERROR', 'secret') });
    expect(JSON.stringify(format(ours, true).answer)).not.toContain('secret');
  });
});
