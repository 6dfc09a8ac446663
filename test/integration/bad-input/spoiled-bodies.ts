import type { JsonSchema } from '../../../lib/docs/json-schema.ts';
import type { Draft, Fault, Spoil, Target } from './draft.ts';
import { isWrong } from './is-wrong.ts';
import { CANARY, NAMES, wrongJson } from './wrong-values.ts';

const takesBody = ({ body }: Target) => body !== undefined;
const takesNone = ({ body }: Target) => body === undefined;

type Step = string | number;

/** The way to every value in a body, the body itself included. */
function waysInto(value: unknown, way: readonly Step[] = []): (readonly Step[])[] {
  if (typeof value !== 'object' || value === null) return [way];
  return [way, ...Object.entries(value).flatMap(([name, inner]) => waysInto(inner, [...way, name]))];
}

/** The JSON of a body in which `text` stands at the end of this way. */
function withTextAt(value: unknown, [step, ...way]: readonly Step[], text: string): string {
  if (step === undefined) return text;
  const entries = Object.entries(value as object).map(([name, inner]) => {
    const json = name === step ? withTextAt(inner, way, text) : JSON.stringify(inner);
    return Array.isArray(value) ? json : `${JSON.stringify(name)}:${json}`;
  });
  return Array.isArray(value) ? `[${entries}]` : `{${entries}}`;
}

function schemaAt(schema: JsonSchema, way: readonly Step[]): JsonSchema {
  const [step, ...rest] = way;
  if (step === undefined) return schema;
  const inner = schema.properties?.[step] ?? schema.items ?? {};
  return schemaAt(inner as JsonSchema, rest);
}

function valueAt(value: unknown, way: readonly Step[]): unknown {
  return way.reduce<unknown>((at, step) => (at as Record<Step, unknown>)[step], value);
}

/** One value is another one. */
const wrongValue: Spoil = (draft, target, chance) => {
  const body = JSON.parse(String(draft.body));
  const way = chance.oneOf(waysInto(body));
  const schema = schemaAt(target.body?.json ?? {}, way);
  draft.body = withTextAt(body, way, wrongJson(schema, valueAt(body, way), chance));
  return isWrong(target.body, parsed(draft.body));
};

/** One field is not there, there under another name, there twice, or one too many. */
const wrongFields: Spoil = (draft, target, chance) => {
  const body = JSON.parse(String(draft.body)) as Record<string, unknown>;
  const fields = Object.entries(body).map(([name, value]) => [name, JSON.stringify(value)] as const);
  const at = chance.below(fields.length + 1);
  const [name = 'x', value = '1'] = fields[at] ?? [];
  const strange = chance.oneOf([...NAMES, `${name} `, `${name}\0`, name.toUpperCase(), `${name}ѕ`]);
  const others = fields.filter((_, index) => index !== at);
  const made = chance.oneOf([
    others,
    [...others, [strange, value] as const],
    [...fields, [strange, `"${CANARY}"`] as const],
    [...fields, [name, chance.oneOf(['null', '[]', '{}', '1e999'])] as const],
    [...fields, ...Array.from({ length: 500 }, (_, index) => [`f${index}`, '1'] as const)],
  ]);
  draft.body = `{${made.map(([key, json]) => `${JSON.stringify(key)}:${json}`)}}`;
  return isWrong(target.body, parsed(draft.body));
};

/** It is no JSON in UTF-8, or too long. */
const brokenText: Spoil = (draft, { contract }, chance) => {
  const body = String(draft.body ?? '{"a":"b"}');
  const at = chance.below(body.length);
  const bytes = Buffer.from(body);
  const place = chance.below(bytes.length);
  const between = (...inserted: number[]) =>
    Buffer.concat([bytes.subarray(0, place), Buffer.of(...inserted), bytes.subarray(place)]);
  draft.body = chance.oneOf<string | Uint8Array>([
    body.slice(0, at),
    body.slice(at + 1),
    `${body}${body}`,
    `${body},`,
    `${body}\0`,
    `${body} // and more`,
    body.replaceAll('"', "'"),
    body.replace('{', '{,'),
    body.replace('}', ',}'),
    `${body.slice(0, at)}\ud800${body.slice(at)}`,
    `${body.slice(0, at)}\u0007${body.slice(at)}`,
    ' ',
    '{',
    'NaN',
    '{"a":Infinity}',
    'undefined',
    '['.repeat(16_000),
    `${'['.repeat(12_000)}`,
    `${' '.repeat((contract.maxBodyBytes ?? 16 * 1024) + 1)}{}`,
    `{"a":"${'é'.repeat((contract.maxBodyBytes ?? 16 * 1024) / 2 + 1)}"}`,
    between(0xff),
    between(0xc0, 0x80),
    between(0xed, 0xa0, 0x80),
    between(0xf4, 0x90, 0x80, 0x80),
    bytes.subarray(0, place),
    Buffer.from(`\ufeff${body}`, 'utf16le'),
    chance.bytes(1 + chance.below(60)),
    Buffer.of(0x1f, 0x8b, 8, 0, 0),
  ]);
  const isText = typeof draft.body !== 'string' || draft.body.isWellFormed();
  return draft.body.length > 0 && (!isText || parsed(draft.body) === undefined || draft.body.length > 16_384);
};

/** The text comes with the flag of base64, or the base64 without. */
const wrongFlag: Spoil = (draft, target, chance) => {
  const body = String(draft.body);
  const base64 = chance.happens(0.5);
  const sent = base64 ? body : Buffer.from(body).toString('base64');
  draft.event = { body: sent, isBase64Encoded: base64 };
  return isWrong(target.body, parsed(base64 ? Buffer.from(sent, 'base64') : sent));
};

const unexpected: Spoil = (draft, _, chance) => {
  draft.body = chance.oneOf([
    '{"a":1}',
    '[]',
    'null',
    '0',
    '""',
    'true',
    '{"__proto__":{}}',
    `{"userId":"${CANARY}"}`,
    `[${'[],'.repeat(2_000)}[]]`,
  ]);
  return true;
};

const CONTENT_TYPES = [
  undefined,
  '',
  'text/plain',
  'text/json',
  'application/jsonp',
  'application/json, text/plain',
  'application/json; charset=utf-16',
  'application/json; charset=utf-8; charset=latin1',
  'application/json;charset',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/ld+json',
  'application/octet-stream',
  `application/json${' '.repeat(3_000)}x`,
  `application/json;${CANARY}`,
  'application/json\0',
  '*/*',
];

/** What may be wrong with the body of a request. */
export const SPOILED_BODIES: readonly Fault[] = [
  {
    name: 'a wrong value',
    weight: 10,
    codes: ['INPUT_INVALID', 'BODY_INVALID'],
    fits: takesBody,
    spoil: wrongValue,
  },
  {
    name: 'wrong fields',
    weight: 4,
    codes: ['INPUT_INVALID', 'BODY_INVALID'],
    fits: takesBody,
    spoil: wrongFields,
  },
  {
    name: 'a broken text',
    weight: 4,
    codes: ['BODY_INVALID', 'INPUT_INVALID'],
    fits: () => true,
    spoil: brokenText,
  },
  {
    name: 'a wrong flag',
    weight: 1,
    codes: ['BODY_INVALID', 'INPUT_INVALID'],
    fits: takesBody,
    spoil: wrongFlag,
  },
  { name: 'a body', weight: 3, codes: ['BODY_UNEXPECTED'], fits: takesNone, spoil: unexpected },
  {
    name: 'another type of content',
    weight: 2,
    codes: ['CONTENT_TYPE_UNSUPPORTED'],
    fits: () => true,
    spoil: (draft, _, chance) => {
      draft.body ??= '{}';
      draft.headers['content-type'] = chance.oneOf(CONTENT_TYPES);
      return true;
    },
  },
];

/** The value that a reader would find in a body; undefined when it is no JSON in UTF-8. */
function parsed(body: Draft['body']): unknown {
  try {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
