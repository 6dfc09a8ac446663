import type { JsonSchema } from '../../../lib/docs/json-schema.ts';
import type { Chance } from './chance.ts';

/** Stands in values that are sent, and never may stand in an answer. */
export const CANARY = 'canary4e2f';

const LOOKALIKES: Readonly<Record<string, string>> = {
  a: 'а',
  e: 'е',
  i: 'і',
  o: 'о',
  p: 'р',
  0: 'О',
  1: 'l',
};
const nested = (open: string, inner: string, close: string, depth: number) =>
  open.repeat(depth) + inner + close.repeat(depth);

/** Texts that some layer below might read as something else. */
export const TEXTS: readonly string[] = [
  '',
  ' ',
  `${CANARY}\0`,
  '\0',
  '\ud800',
  `\udc00${CANARY}`,
  '\ufeff',
  '\u202e\u2066',
  '\u2028',
  'é'.normalize('NFD'),
  '👩‍🚀'.repeat(20),
  '１２３',
  '٣',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'null',
  'undefined',
  'NaN',
  'true',
  '-0',
  '1e400',
  '0x10',
  '1_000',
  '9'.repeat(400),
  `' OR 1=1 -- ${CANARY}`,
  '$1',
  '%00',
  '%2e%2e%2f',
  '../../etc/passwd',
  'a/b',
  '..',
  '.',
  '\\',
  '\r\nSet-Cookie: a=b',
  '<script>alert(1)</script>',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: what a template engine would look for
  '${7*7}{{7*7}}',
  '[object Object]',
  '{}',
  '[]',
  '2026-02-30T25:61:00Z',
  '00000000-0000-0000-0000-000000000000',
  `${CANARY}${'x'.repeat(255)}`,
  `${CANARY}${'ä'.repeat(2_100)}`,
  CANARY.repeat(1_200),
];

/** JSON texts of all types, and what only a text can say: numbers out of all bounds, keys that come twice. */
const JSON_TEXTS: readonly string[] = [
  'null',
  'true',
  'false',
  '0',
  '-0',
  '-1',
  '1.5',
  '1e400',
  '-1e400',
  '1e-400',
  '1E+2',
  '9007199254740993',
  '1'.repeat(400),
  `0.${'3'.repeat(400)}`,
  '[]',
  '{}',
  '[null]',
  `["${CANARY}"]`,
  `{"value":"${CANARY}"}`,
  '{"__proto__":{"role":"admin"}}',
  '{"constructor":{"prototype":{"role":"admin"}}}',
  '{"toString":1,"valueOf":2}',
  '{"length":5}',
  '{"a":1,"a":2}',
  nested('[', '', ']', 100),
  nested('[', '', ']', 7_000),
  nested('{"a":', '1', '}', 2_500),
  `[${'0,'.repeat(3_000)}0]`,
  ...TEXTS.map((text) => JSON.stringify(text)),
];

export const NAMES: readonly string[] = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '',
  ' ',
  'a.b',
  '0',
  '\0',
  '\ud800',
  'n'.repeat(5_000),
  'role',
  'is_admin',
  'userId',
  'member',
  '$where',
  '[]',
  'x[y]',
];

/** A JSON text that is, most of the time, not of this schema: from the list, or nearly right. */
export function wrongJson(schema: JsonSchema, valid: unknown, chance: Chance): string {
  if (chance.happens(0.4)) return chance.oneOf(JSON_TEXTS);
  if (typeof valid === 'string') return JSON.stringify(wrongText(schema, valid, chance));
  if (typeof valid === 'number') return String(chance.oneOf(wrongNumbers(schema, valid)));
  return chance.oneOf(JSON_TEXTS);
}

function wrongNumbers(
  { minimum, maximum, exclusiveMinimum }: JsonSchema,
  valid: number,
): (number | string)[] {
  const least = typeof exclusiveMinimum === 'number' ? exclusiveMinimum : (minimum ?? 0) - 1;
  return [
    -valid,
    valid + 0.5,
    `"${valid}"`,
    `${valid}0000000000000000`,
    least,
    least - 1,
    (maximum ?? Number.MAX_SAFE_INTEGER) + 1,
  ];
}

/** A text that is, most of the time, not of this schema. */
export function wrongText({ minLength, maxLength }: JsonSchema, valid: string, chance: Chance): string {
  const at = chance.below(valid.length + 1);
  const [head, tail] = [valid.slice(0, at), valid.slice(at)];
  switch (chance.below(9)) {
    case 0:
      return chance.oneOf(TEXTS);
    case 1:
      return head + chance.oneOf(TEXTS) + tail;
    case 2:
      return head + tail.slice(1);
    case 3:
      return head + String.fromCharCode(chance.below(0x1_0000)) + tail.slice(1);
    case 4:
      return valid.replace(/[aeiop01]/, (letter) => LOOKALIKES[letter] ?? letter);
    case 5:
      return valid === valid.toUpperCase() ? valid.toLowerCase() : valid.toUpperCase();
    case 6:
      return (valid || 'x').repeat(Math.ceil(((maxLength ?? 300) + 1) / (valid.length || 1)));
    case 7:
      return valid.slice(0, Math.max(0, (minLength ?? 1) - 1));
    default:
      return chance.oneOf([`${valid}\n`, ` ${valid}`, `${valid},${valid}`, `"${valid}"`, `${valid}\0`]);
  }
}
