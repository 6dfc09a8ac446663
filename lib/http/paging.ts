import * as z from 'zod/mini';
import type { Pagination } from './request.ts';

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

/** A row of a page, and how many there are in all. Beyond the last page there is one that has nothing but the total. */
export type Counted = { total: number; id: number | null };

/** A page of a list: its rows as they are shown, and where it lies in the whole. */
export function pageOf<Row extends Counted, Item>(
  rows: readonly Row[],
  { limit, offset }: { limit: number; offset: number },
  show: (row: Omit<Row, keyof Counted> & { id: number }) => Item,
): { data: Item[]; pagination: Pagination } {
  const data = rows.flatMap(({ total: _, id, ...row }) => (id === null ? [] : [show({ id, ...row })]));
  return { data, pagination: { limit, offset, total: rows[0]?.total ?? 0 } };
}
