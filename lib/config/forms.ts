import * as z from 'zod/mini';

/* The forms in which settings are given, all of them text, and what is read from them. */

export const url = z
  .string()
  .check(
    z.refine(
      (value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol),
      'must be an http(s) URL',
    ),
  );
export const origin = url.check(
  z.refine((value) => new URL(value).origin === value, 'must be an origin, without path or trailing slash'),
);
export const origins = z.pipe(
  z
    .string()
    .check(
      z.refine(
        (value) => value.split(',').every((one) => origin.safeParse(one).success && !one.includes('*')),
        'must be origins separated by commas, each without wildcard, path or trailing slash',
      ),
    ),
  z.transform((value): readonly string[] => value.split(',')),
);
export const hostname = z
  .string()
  .check(
    z.regex(
      /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$/,
      'must be a lower-case host name',
    ),
  );
export const flag = z.pipe(
  z.enum(['true', 'false'], 'must be true or false'),
  z.transform((value) => value === 'true'),
);
/** What a secret holds that nobody has entered yet, and that may stay so. */
export const NOT_ENTERED = 'none';
export function ifEntered(schema: z.ZodMiniType<string, string>) {
  return z.pipe(
    z.transform((value: string | undefined) => (value === NOT_ENTERED ? undefined : value)),
    z.optional(schema),
  );
}
/** A whole number in decimal, both limits included. */
export function wholeNumber(least: number, most: number) {
  const isInside = (value: number) => value >= least && value <= most;
  return z.pipe(
    z
      .string()
      .check(
        z.refine(
          (value) => /^\d{1,9}$/.test(value) && isInside(Number(value)),
          `must be a whole number from ${least} to ${most}`,
        ),
      ),
    z.transform(Number),
  );
}
/** How large a share of new members a provider gets, against the others'. */
export const weight = wholeNumber(1, 1000);
export const telegramIds = z.pipe(
  z.string().check(z.regex(/^\d{1,20}(,\d{1,20})*$/, 'must be Telegram ids separated by commas')),
  z.transform((value): readonly string[] => value.split(',')),
);
export const key32 = z
  .string()
  .check(
    z.refine(
      (value) => /^[A-Za-z0-9+/]{43}=$/.test(value),
      'must be 32 bytes in base64: head -c 32 /dev/urandom | base64',
    ),
  );

/** Values separated by commas, each of which `one` takes. */
export function listOf(one: z.ZodMiniType<string, string>, problem: string) {
  return z.pipe(
    z
      .string()
      .check(z.refine((value) => value.split(',').every((item) => one.safeParse(item).success), problem)),
    z.transform((value): readonly string[] => value.split(',')),
  );
}
/** Of AWS KMS: an id or an ARN. An alias can be pointed elsewhere, and no longer open what it wrapped. */
export const kmsKey = z.string().check(
  z.regex(/^[\w:/-]{1,256}$/),
  z.refine((id) => !/(^|:)alias\//.test(id)),
);

/** The first is used, all are accepted. */
export type Secrets = readonly [string, ...string[]];
/** One secret a line: while it is rotated there are two. */
export const secrets = z.pipe(
  z.string().check(
    z.trim(),
    z.refine(
      (value) => linesOf(value).every((line) => line.length >= 32),
      'must have at least 32 characters',
    ),
    z.refine((value) => linesOf(value).length <= 2, 'must be one secret, or two, each on a line of its own'),
  ),
  z.transform((value) => linesOf(value) as [string, ...string[]]),
);

function linesOf(value: string): string[] {
  return value.split(/\r?\n/);
}
