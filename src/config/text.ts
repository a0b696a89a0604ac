import { z } from 'zod';

/** Text of a variable or flag as the value its key wants; text that does not fit is left for zod to refuse. */
export function fromText(type: z.ZodType, text: string): unknown {
  if (type instanceof z.ZodNumber) return /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text;
  if (type instanceof z.ZodRecord || (type instanceof z.ZodArray && text.trimStart().startsWith('[')))
    return fromJson(text);
  if (type instanceof z.ZodArray)
    return text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
  return text;
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
