import { GraphQLError } from 'graphql';

/** An argument that makes no sense, in Apollo's own code for it (BAD_USER_INPUT). The message names the argument. */
export function badInput(message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT' } });
}
