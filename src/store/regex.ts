import { compilePcre } from './pcre.ts';
import { invalid } from './refusal.ts';

/**
 * Compiles a regular expression as MongoDB reads it into a test of strings.
 * @param options letters of `imsxu`; `u` changes nothing, text is Unicode anyway
 * @throws VALIDATION_FAILED for other options or a pattern that MongoDB refuses too, UNSUPPORTED_OPERATOR for one it would accept
 * but that is not supported here.
 */
export function compileRegex(pattern: string, options: string): (text: string) => boolean {
  const unknown = /[^imsxu]/.exec(options);
  if (unknown !== null) throw invalid(`a regular expression has no option ${unknown[0]}`);
  return compilePcre(pattern, options);
}

/** A string with which everything begins that a regular expression matches; empty when none is sure. */
export function literalPrefix(pattern: string, options: string): string {
  if (!pattern.startsWith('^') || pattern.includes('|') || /[imx]/.test(options)) return '';
  const literal = /^(?:[^\\^$.[\](){}*+?]|\\[^\p{L}\p{N}])*/u.exec(pattern.slice(1))?.[0] ?? '';
  const next = pattern.slice(1 + literal.length);
  const characters = [...literal.matchAll(/\\?(.)/gsu)].map(([, character]) => character as string);
  // What a quantifier follows may be absent; a comment and the marks of a quotation may stand between.
  if (/^(?:[*?{(]|\\[QE])/.test(next)) characters.pop();
  return characters.join('');
}
