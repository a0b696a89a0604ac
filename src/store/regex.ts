import { invalid, unsupported } from './refusal.ts';

/**
 * Compiles a regular expression as MongoDB reads it (PCRE2, UTF) into a test of strings.
 * @throws VALIDATION_FAILED for options or a pattern that PCRE refuses too, UNSUPPORTED_OPERATOR for a construct that
 * JavaScript's engine does not have or reads differently.
 */
export function compileRegex(pattern: string, options: string): (text: string) => boolean {
  if (/[^imsxu]/.test(options)) throw invalid(`unknown option in "${options}" of a regular expression`);
  try {
    const re = new RegExp(pattern, [...new Set(options)].filter((o) => 'ims'.includes(o)).join(''));
    return (text) => re.test(text);
  } catch {
    throw unsupported('$regex', 'bad');
  }
}
