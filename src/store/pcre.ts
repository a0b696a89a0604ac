import { invalid, unsupported } from './refusal.ts';

/** Options of a regular expression that change how its text is read. */
interface Flags {
  readonly ignoreCase: boolean;
  readonly multiline: boolean;
  readonly dotAll: boolean;
  readonly extended: boolean;
  /** Whether `\w` and `\b` are set apart from ignoring case. */
  readonly wordsAside: boolean;
}

/** A piece of JavaScript pattern, and how many characters of the pattern it stands for. */
interface Piece {
  readonly source: string;
  readonly length: number;
  /** For what no quantifier may follow: PCRE does not repeat a place. */
  readonly place?: true;
}

/**
 * Compiles a PCRE2 pattern (UTF, no UCP, as MongoDB compiles it) into a test that accepts the same strings, by way of a JavaScript
 * regular expression. The engines differ in `$` and `.` beside newlines, in what `\s` and `\w` hold, and in which characters
 * need an escape; all of that is written out. Groups never capture: only whether a string matches is asked.
 * @throws UNSUPPORTED_OPERATOR for what JavaScript has not or reads differently (backreferences, possessive quantifiers, atomic
 * groups, POSIX classes, options inside the pattern, …), VALIDATION_FAILED for what PCRE refuses too.
 */
export function compilePcre(pattern: string, options: string): (text: string) => boolean {
  if (pattern.includes('\0')) throw invalid('a regular expression cannot hold the character 0');
  const opening = /^\(\?([imsx]+)\)/.exec(pattern);
  const all = options + (opening?.[1] ?? '');
  const flags = {
    ignoreCase: all.includes('i'),
    multiline: all.includes('m'),
    dotAll: all.includes('s'),
    extended: all.includes('x'),
    wordsAside: false,
  };
  const body = pattern.slice(opening?.[0].length ?? 0);
  const expression = translate(body, flags);
  if (!flags.ignoreCase || !/\\[wWbB]/.test(body)) return (text) => expression.test(text);
  // JavaScript counts ſ and the Kelvin sign, which are s and k in another case, among the word characters when case is ignored; PCRE
  // does not. Only a text that holds them needs the expression that says so: V8 at times compiles (?-i:) wrongly.
  const exact = translate(body, { ...flags, wordsAside: true });
  return (text) => (/[\u017f\u212a]/.test(text) ? exact : expression).test(text);
}

function translate(pattern: string, flags: Flags): RegExp {
  let source = '';
  let afterPlace = true;
  for (let at = 0; at < pattern.length; ) {
    const piece = pieceAt(pattern, at, flags);
    if (afterPlace && quantifierLength(pattern, at) > 0) {
      throw invalid(`nothing to repeat in the regular expression ${pattern}`);
    }
    if (piece.source !== '') afterPlace = piece.place === true;
    source += piece.source;
    at += piece.length;
  }
  // V8 searches for a match of no length also between the halves of a surrogate pair; consumed characters keep it whole.
  if (/\\B|\(\?<?!/.test(source)) source = `^[^]*?(?:${source})`;
  try {
    return new RegExp(source, flags.ignoreCase ? 'iu' : 'u');
  } catch (cause) {
    throw refused(pattern, cause instanceof Error ? cause.message : 'it does not compile');
  }
}

function pieceAt(pattern: string, at: number, flags: Flags): Piece {
  const character = characterAt(pattern, at);
  switch (character) {
    case '\\':
      return escapeAt(pattern, at, flags);
    case '[':
      return classAt(pattern, at, flags);
    case '(':
      return groupAt(pattern, at);
    case '.':
      return { source: flags.dotAll ? '[^]' : '[^\\n]', length: 1 };
    case '^':
      // With m also after a newline, but not after the last one of the text.
      return { source: flags.multiline ? '(?:^|(?<=\\n)(?=[^]))' : '^', length: 1, place: true };
    case '$':
      // Without m also before a newline that ends the text.
      return { source: flags.multiline ? '(?=\\n|$)' : '(?=\\n?$)', length: 1, place: true };
    case '*':
    case '+':
    case '?':
    case '{':
      return quantifierAt(pattern, at);
    case ')':
      return { source: character, length: 1 };
    case '|':
      return { source: character, length: 1, place: true };
    default:
      if (flags.extended && /[\t-\r ]/.test(character)) return { source: '', length: 1 };
      if (flags.extended && character === '#') return { source: '', length: lengthOf(/#[^\n]*/y, pattern, at) };
      return { source: literal(character), length: character.length };
  }
}

function quantifierAt(pattern: string, at: number): Piece {
  const length = quantifierLength(pattern, at);
  if (length === 0) {
    if (lengthOf(/\{\s*,/y, pattern, at) > 0) throw refused(pattern, 'a quantifier has no lower bound');
    return { source: '\\{', length: 1 };
  }
  if (pattern[at + length] === '+') throw refused(pattern, 'possessive quantifiers');
  const lazy = pattern[at + length] === '?' ? 1 : 0;
  return { source: pattern.slice(at, at + length + lazy), length: length + lazy };
}

function quantifierLength(pattern: string, at: number): number {
  return lengthOf(/[*+?]|\{\d+(?:,\d*)?\}/y, pattern, at);
}

function groupAt(pattern: string, at: number): Piece {
  const comment = lengthOf(/\(\?#[^)]*\)/y, pattern, at);
  if (comment > 0) return { source: '', length: comment };
  const look = lengthOf(/\(\?(?:=|!|<=|<!)/y, pattern, at);
  if (look > 0) return { source: pattern.slice(at, at + look), length: look, place: true };
  const named = lengthOf(/\(\?(?::|P?<\w+>|'\w+')/y, pattern, at);
  if (named > 0) return { source: '(?:', length: named, place: true };
  if (pattern[at + 1] === '?' || pattern[at + 1] === '*') throw refused(pattern, 'this kind of group');
  return { source: '(?:', length: 1, place: true };
}

const SPACE = '\\t-\\r ';
const WORD = 'A-Za-z0-9_';
const DIGIT = '0-9';

/** Contents of the classes behind a letter; upper case is their complement. PCRE has them in ASCII. */
const SHORTHANDS: Readonly<Record<string, string>> = {
  d: `[${DIGIT}]`,
  D: `[^${DIGIT}]`,
  s: `[${SPACE}]`,
  S: `[^${SPACE}]`,
  w: `[${WORD}]`,
  W: `[^${WORD}]`,
};

const CONTROLS: Readonly<Record<string, string>> = { n: '\\n', r: '\\r', t: '\\t', f: '\\f', e: '\\x1b', a: '\\x07' };

const ASSERTIONS: Readonly<Record<string, string>> = { A: '^', z: '$', Z: '(?=\\n?$)', b: '\\b', B: '\\B' };

function escapeAt(pattern: string, at: number, flags: Flags): Piece {
  const quoted = /\\Q(.*?)(?:\\E|$)/sy;
  quoted.lastIndex = at;
  const quote = quoted.exec(pattern);
  if (quote !== null) return { source: [...(quote[1] as string)].map(literal).join(''), length: quote[0].length };
  const letter = characterAt(pattern, at + 1);
  if (letter === 'E') return { source: '', length: 2 };
  const assertion = own(ASSERTIONS, letter);
  if (assertion !== undefined) return { source: aside(assertion, flags), length: 2, place: true };
  const shorthand = shorthandAt(pattern, at, flags);
  if (shorthand !== undefined) return { ...shorthand, source: aside(shorthand.source, flags) };
  return escapedCharacterAt(pattern, at);
}

/** `\d`, `\w`, `\p{Lu}` and the like; undefined for any other escape. */
function shorthandAt(pattern: string, at: number, flags: Flags): Piece | undefined {
  const source = own(SHORTHANDS, characterAt(pattern, at + 1));
  if (source !== undefined) return { source, length: 2 };
  const property = /\\([pP])(?:\{([A-Z][a-z]?)\}|([A-Z]))/y;
  property.lastIndex = at;
  const match = property.exec(pattern);
  if (match === null) return undefined;
  // JavaScript lets \p{Lu} match lower case when case is ignored.
  if (flags.ignoreCase) throw refused(pattern, `${match[0]} with the option i`);
  return { source: `\\${match[1]}{${match[2] ?? match[3]}}`, length: match[0].length };
}

function escapedCharacterAt(pattern: string, at: number): Piece {
  const letter = characterAt(pattern, at + 1);
  const control = own(CONTROLS, letter);
  if (control !== undefined) return { source: control, length: 2 };
  const hexadecimal = /\\x(?:\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{2}))/y;
  hexadecimal.lastIndex = at;
  const match = hexadecimal.exec(pattern);
  if (match !== null) return { source: `\\u{${match[1] ?? match[2]}}`, length: match[0].length };
  if (letter === '') throw invalid(`the regular expression ${pattern} ends in a backslash`);
  if (/[\p{L}\p{N}]/u.test(letter)) throw refused(pattern, `the escape \\${letter}`);
  return { source: literal(letter), length: 1 + letter.length };
}

function classAt(pattern: string, at: number, flags: Flags): Piece {
  const negated = pattern[at + 1] === '^';
  const start = at + (negated ? 2 : 1);
  const shorthands: string[] = [];
  let characters = '';
  let end = start;
  // A bracket that comes first is a character.
  for (; end === start || pattern[end] !== ']'; ) {
    const piece = memberAt(pattern, end, flags);
    end += piece.length;
    if (piece.shorthand) shorthands.push(piece.source);
    else if (pattern[end] !== '-' || pattern[end + 1] === ']') characters += piece.source;
    else {
      const upper = memberAt(pattern, end + 1, flags);
      if (upper.shorthand) throw refused(pattern, 'a range that ends in a class');
      characters += `${piece.source}-${upper.source}`;
      end += 1 + upper.length;
    }
    if (piece.shorthand && pattern[end] === '-' && pattern[end + 1] !== ']') {
      throw refused(pattern, 'a range that begins with a class');
    }
  }
  const length = end + 1 - at;
  const choices = [
    ...shorthands.map((shorthand) => aside(shorthand, flags)),
    ...(characters ? [`[${characters}]`] : []),
  ];
  const any = `(?:${choices.join('|')})`;
  return { source: negated ? `(?:(?!${any})[^])` : any, length };
}

interface Member extends Piece {
  readonly shorthand: boolean;
}

function memberAt(pattern: string, at: number, flags: Flags): Member {
  const character = characterAt(pattern, at);
  if (character === '') throw invalid(`a class of the regular expression ${pattern} is not closed`);
  if (character === '[' && /[:.=]/.test(pattern[at + 1] ?? '')) throw refused(pattern, 'POSIX classes');
  if (character !== '\\') return { source: literal(character), length: character.length, shorthand: false };
  const shorthand = shorthandAt(pattern, at, flags);
  if (shorthand !== undefined) return { ...shorthand, shorthand: true };
  if (pattern[at + 1] === 'b') return { source: '\\x08', length: 2, shorthand: false };
  return { ...escapedCharacterAt(pattern, at), shorthand: false };
}

/** Source that ignoring case must not touch. */
function aside(source: string, { wordsAside }: Flags): string {
  return wordsAside ? `(?-i:${source})` : source;
}

function literal(character: string): string {
  return /^[\^$\\.*+?()[\]{}|/-]$/.test(character)
    ? `\\x${(character.codePointAt(0) as number).toString(16)}`
    : character;
}

function characterAt(pattern: string, at: number): string {
  const point = pattern.codePointAt(at);
  return point === undefined ? '' : String.fromCodePoint(point);
}

function lengthOf(sticky: RegExp, pattern: string, at: number): number {
  sticky.lastIndex = at;
  return sticky.exec(pattern)?.[0].length ?? 0;
}

function own(table: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function refused(pattern: string, what: string): Error {
  return unsupported('$regex', `the regular expression ${pattern} is not supported: ${what}`);
}
