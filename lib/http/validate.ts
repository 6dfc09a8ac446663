import type * as z from 'zod/mini';
import { apiError } from './error-codes.ts';

const LONGEST_NAME = 64;
const MOST_FIELDS = 20;

/**
 * The input as the schema gives it back. Throws `INPUT_INVALID` (400) that names every field which is missing,
 * unknown, of the wrong type or out of its limits, and a text that cannot be stored: NUL or half a surrogate pair.
 */
export function validate<Schema extends z.ZodMiniType>(
  schema: Schema,
  input: unknown,
  place: 'body' | 'query' | 'path',
): z.output<Schema> {
  const result = schema.safeParse(input);
  const fields = result.success
    ? unstorable(result.data)
    : result.error.issues.flatMap((issue) =>
        issue.code === 'unrecognized_keys'
          ? issue.keys.map((key) => [...issue.path, key].join('.'))
          : [issue.path.join('.')],
      );
  if (result.success && fields.length === 0) return result.data;
  const names = new Set(fields.map((name) => nameOf(name, place)));
  throw apiError('INPUT_INVALID', { fields: [...names].slice(0, MOST_FIELDS) });
}

/** A field's name may come from whoever sent the request: it is repeated to him, but not at any length. */
function nameOf(name: string, place: string): string {
  return name === '' ? place : name.toWellFormed().slice(0, LONGEST_NAME);
}

/**
 * The names of all texts in a value, its names included, that PostgreSQL cannot store. Without recursion: where a
 * schema lets pass what it does not know, the value is as deep as whoever sent it likes.
 */
function unstorable(input: unknown): string[] {
  const wrong: string[] = [];
  const texts: [name: string, value: unknown][] = [['', input]];
  // It grows while it is walked through.
  for (const [name, value] of texts) {
    if (typeof value === 'string' && !isStorable(value)) wrong.push(name);
    if (typeof value !== 'object' || value === null) continue;
    for (const [key, inner] of Object.entries(value)) {
      const path = name ? `${name}.${key}` : key;
      if (isStorable(key)) texts.push([path, inner]);
      else wrong.push(path);
    }
  }
  return wrong;
}

/** PostgreSQL stores neither NUL nor half a surrogate pair. */
export function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}
