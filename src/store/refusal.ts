import { HoldfastError } from '../errors.ts';

/** The error for a filter, sort, projection or update that MongoDB refuses too. */
export function invalid(message: string): HoldfastError {
  return new HoldfastError('VALIDATION_FAILED', message);
}

/** The error for what MongoDB knows and this engine does not implement exactly; `details.operator` names it. */
export function unsupported(operator: string, message = `${operator} is not supported`): HoldfastError {
  return new HoldfastError('UNSUPPORTED_OPERATOR', message, { details: { operator } });
}
