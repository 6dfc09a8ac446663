import type { Part } from './valid-input.ts';

/** Whether an input is wrong: the schema is asked, and whether PostgreSQL could store all texts that it lets pass. */
export function isWrong(part: Part | undefined, input: unknown): boolean {
  const result = part?.schema.safeParse(input);
  return !result?.success || holdsUnstorable(result.data);
}

function holdsUnstorable(value: unknown): boolean {
  if (typeof value === 'string') return /\0|\p{Surrogate}/u.test(value);
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).some(holdsUnstorable);
}
