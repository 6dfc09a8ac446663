import * as z from 'zod/mini';

/** A text of at most `max` characters that PostgreSQL stores: it takes neither NUL nor half a surrogate pair. */
export const storableText = (max: number) =>
  z.string().check(
    z.maxLength(max),
    z.refine((value) => value.isWellFormed() && !value.includes('\0'), 'must be storable text'),
  );
