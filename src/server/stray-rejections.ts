import { GraphQLError } from 'graphql';

/**
 * Keeps this process alive when graphql-js leaves promises behind: it gives a list up as soon as one item fails at once, and
 * nobody hears any more of the items before it that fail later, for which Node would end the process. Their errors
 * belong to an answer that was given without them. Every other rejection that nobody handles is treated as before.
 */
export function tolerateStrayRejections(): void {
  if (!process.listeners('unhandledRejection').includes(onRejection)) process.on('unhandledRejection', onRejection);
}

function onRejection(reason: unknown): void {
  if (reason instanceof GraphQLError && reason.path !== undefined) return;
  // With a listener Node does nothing by itself any more; others that listen decide for themselves.
  if (process.listenerCount('unhandledRejection') === 1) throw reason;
}
