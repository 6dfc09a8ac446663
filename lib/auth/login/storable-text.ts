import * as z from 'zod/mini';
import { isStorable } from '../../http/validate.ts';

/** A text of at most `max` characters that PostgreSQL stores: it takes neither NUL nor half a surrogate pair. */
export const storableText = (max: number) =>
  z.string().check(z.maxLength(max), z.refine(isStorable, 'must be storable text'));
