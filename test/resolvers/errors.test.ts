import { GraphQLError } from 'graphql';
import { describe, expect, test } from 'vitest';
import { formatError } from '../../resolvers/errors.ts';
import { HoldfastError } from '../../src/errors.ts';

const development = formatError({ requestId: 'r1', production: false });
const production = formatError({ requestId: 'r1', production: true });

/** As Apollo proposes it. */
function proposed(error: GraphQLError, code?: string) {
  return {
    ...error.toJSON(),
    extensions: { ...error.extensions, ...(code === undefined ? {} : { code }), stacktrace: ['at'] },
  };
}

describe('formatError', () => {
  test('turns an error of the catalogue into its code, message and details', () => {
    const cause = new HoldfastError('CONFLICT', 'Teacher t1 has version 4', { details: { currentVersion: 4 } });
    const error = new GraphQLError('wrapped', { originalError: cause, path: ['updateTeacher'] });
    expect(production(proposed(error, 'INTERNAL_SERVER_ERROR'), error)).toEqual({
      message: 'Teacher t1 has version 4',
      path: ['updateTeacher'],
      extensions: { code: 'CONFLICT', retryable: false, requestId: 'r1', currentVersion: 4 },
    });
  });

  test('finds it inside several GraphQL errors, and says whether a retry makes sense', () => {
    const inner = new GraphQLError('x', { originalError: new HoldfastError('STALE_READ', 'behind') });
    const error = new GraphQLError('y', { originalError: inner });
    expect(production(proposed(error), error).extensions).toMatchObject({ code: 'STALE_READ', retryable: true });
  });

  test("keeps Apollo's codes and messages, without the stack in production", () => {
    const error = new GraphQLError('Cannot query field "x".', { extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } });
    expect(production(proposed(error), error)).toEqual({
      message: 'Cannot query field "x".',
      extensions: { code: 'GRAPHQL_VALIDATION_FAILED', retryable: false, requestId: 'r1' },
    });
    expect(development(proposed(error), error).extensions).toHaveProperty('stacktrace');
  });

  test('keeps codes and details of hand-written resolvers', () => {
    const error = new GraphQLError('full', { extensions: { code: 'CLASS_FULL', capacity: 30 } });
    expect(production(proposed(error), error).extensions).toEqual({
      code: 'CLASS_FULL',
      capacity: 30,
      retryable: false,
      requestId: 'r1',
    });
  });

  test('hides what an unexpected error says in production, and only there', () => {
    const error = new GraphQLError('secret', {
      originalError: new TypeError('secret'),
      extensions: { token: 'secret' },
    });
    expect(JSON.stringify(production(proposed(error, 'INTERNAL_SERVER_ERROR'), error))).not.toContain('secret');
    expect(development(proposed(error, 'INTERNAL_SERVER_ERROR'), error).message).toBe('secret');
    const ours = new GraphQLError('x', { originalError: new HoldfastError('INTERNAL_SERVER_ERROR', 'secret') });
    expect(production(proposed(ours, 'INTERNAL_SERVER_ERROR'), ours).message).not.toContain('secret');
  });

  test('gives an error without a code INTERNAL_SERVER_ERROR', () => {
    const error = new GraphQLError('odd');
    expect(development({ message: 'odd' }, error).extensions).toMatchObject({ code: 'INTERNAL_SERVER_ERROR' });
  });
});
