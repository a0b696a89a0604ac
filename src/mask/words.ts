import type { Draw } from './draw.ts';

const ONSETS = 'b br c d dr f fl g gr h j k kl l m n p pr qu r s st t tr v w z'.split(' ');
const VOWELS = 'a e i o u ai ea eo io ou'.split(' ');
const CODAS = ['', '', '', 'l', 'm', 'n', 'r', 's', 'th', 'x'];

/** A word that can be spoken and means nothing: invented, so that it is nobody's name but by chance. */
export function word(draw: Draw, syllables: number): string {
  let text = '';
  for (let i = 0; i < syllables; i++) text += draw.of(ONSETS) + draw.of(VOWELS) + draw.of(CODAS);
  return text;
}

/** {@link word} with a capital. */
export function nameWord(draw: Draw, syllables: number): string {
  const text = word(draw, syllables);
  return text.charAt(0).toUpperCase() + text.slice(1);
}
