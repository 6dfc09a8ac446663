import * as z from 'zod/mini';

/* Fields that have one form wherever they stand, in requests and answers. */

export const timestamp = z.iso.datetime();

/** The number of an entry, as it stands in a path; `of` what, for who is told that it is none. */
export function idOf(of: string) {
  return z.string().check(z.regex(/^[1-9]\d{0,14}$/, `must be the id of ${of}`));
}
