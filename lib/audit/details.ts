import { redactText } from '../observability/redact.ts';

/** JSON as jsonb can hold it. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type Details = { [name: string]: Json };

const REMOVED = '[redacted]';
const SECRET_NAME =
  /passw|secret|token|private|bootstrap|invite_?code|recovery_?code|cookie|authorization|init_?data|stack|jwt|mnemonic|sealed/i;
/** Beside what redactText knows: a bot token inside Telegram's URLs, and our own sealed values. */
const SECRET_VALUE = /(?<!\d)\d{6,12}:[\w-]{30,}|\bv\d\.[0-9a-f-]{36}\.[\w.-]{40,}/g;
const MAX_TEXT = 2000;
const MAX_DEPTH = 6;

/**
 * What may be kept of an entry's details, for ever: a JSON object without secrets and stack traces. Members with
 * a telling name and texts that look like credentials are replaced by "[redacted]", an Error becomes its name and
 * message. It cleans instead of refusing: an entry must not fail an operation that has already happened.
 */
export function cleanDetails(details: Record<string, unknown> | undefined): Details | null {
  if (!details) return null;
  return cleanObject(details, 0);
}

/**
 * A text fit for a log that nobody can change: no credentials, no stack trace, at most 2,000 characters, and nothing
 * that PostgreSQL refuses (NUL, half a surrogate pair).
 */
export function cleanText(text: string): string {
  const clean = redactText(text.replace(/\n\s+at [\s\S]*$/, '')).replace(SECRET_VALUE, REMOVED);
  return clean.slice(0, MAX_TEXT).replaceAll('\0', '\ufffd').toWellFormed();
}

function cleanObject(object: object, depth: number): Details {
  // fromEntries and not assignment: a member named __proto__ stays a member.
  return Object.fromEntries(
    Object.entries(object)
      .filter(([, value]) => value !== undefined && typeof value !== 'function')
      .map(([name, value]) => [
        cleanText(name),
        SECRET_NAME.test(name) ? REMOVED : cleanValue(value, depth + 1),
      ]),
  );
}

function cleanValue(value: unknown, depth: number): Json {
  if (value === null || value === undefined || typeof value === 'boolean') return value ?? null;
  // JSON knows no -0.
  if (typeof value === 'number') return Number.isFinite(value) ? value + 0 : null;
  if (typeof value === 'string') return cleanText(value);
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (depth > MAX_DEPTH || ArrayBuffer.isView(value) || typeof value !== 'object') return REMOVED;
  if (value instanceof Error) return { name: value.name, message: cleanText(value.message) };
  if (Array.isArray(value)) return value.map((item) => cleanValue(item, depth + 1));
  return cleanObject(value, depth);
}
