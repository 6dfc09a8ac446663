import { validate } from '../../../lib/http/validate.ts';
import type { Part } from './valid-input.ts';

/** Whether this input is wrong: the schema itself is asked. */
export function isWrong(part: Part | undefined, input: unknown): boolean {
  if (part === undefined) return true;
  try {
    validate(part.schema, input, 'body');
    return false;
  } catch {
    return true;
  }
}
