import * as z from 'zod/mini';

/** `?limit=`: a whole number from 1 to 100; anything else is refused, not bent. */
export const limit = (byDefault: number) =>
  z._default(
    z.pipe(
      z.string().check(z.regex(/^([1-9]\d?|100)$/, 'must be a whole number from 1 to 100')),
      z.transform(Number),
    ),
    byDefault,
  );

/** `?offset=`: how many of the newest to leave out. */
export const offset = z._default(
  z.pipe(z.string().check(z.regex(/^\d{1,9}$/, 'must be a whole number from 0')), z.transform(Number)),
  0,
);
