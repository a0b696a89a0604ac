const JSON_TYPE = 'application/json';
const RESPONSE_TYPE = 'application/graphql-response+json';

/** Media type of a GraphQL answer. */
export type AnswerType = typeof JSON_TYPE | typeof RESPONSE_TYPE;

/**
 * The media type the client prefers; `application/json` when it has no preference (GraphQL over HTTP, "Accept"). Undefined when
 * it accepts neither.
 */
export function answerType(accept: string | undefined): AnswerType | undefined {
  if (accept === undefined || accept === '' || accept === '*/*' || accept === JSON_TYPE) return JSON_TYPE;
  const json = quality(accept, JSON_TYPE);
  const response = quality(accept, RESPONSE_TYPE);
  if (json === 0 && response === 0) return undefined;
  return response > json ? RESPONSE_TYPE : JSON_TYPE;
}

/** Weight from 0 to 1, made a little smaller by each place in the list and for a wildcard. */
function quality(accept: string, type: AnswerType): number {
  let best = 0;
  for (const [place, range] of accept.split(',').entries()) {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    if (name !== type && name !== '*/*' && name !== 'application/*') continue;
    const given = parameters.find((parameter) => parameter.startsWith('q='));
    const q = given === undefined ? 1 : Number(given.slice(2));
    if (!(q > 0)) continue;
    best = Math.max(best, q - place * 1e-6 - (name === type ? 0 : 1e-3));
  }
  return best;
}
