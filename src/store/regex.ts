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

/**
 * A string with which everything begins that a regular expression matches; empty when none is sure.
 */
export function literalPrefix(pattern: string, options: string): string {
  if (!pattern.startsWith('^') || pattern.includes('|') || /[imx]/.test(options)) return '';
  const literal = /^(?:[^\\^$.[\](){}*+?#\s]|\\[^\p{L}\p{N}])*/u.exec(pattern.slice(1))?.[0] ?? '';
  const next = pattern.slice(1 + literal.length);
  const characters = [...literal.matchAll(/\\?(.)/gsu)].map(([, character]) => character as string);
  // What a quantifier follows may be absent.
  if (/^[*?{]/.test(next)) characters.pop();
  return characters.join('');
}
