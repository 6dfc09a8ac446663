const REDACTED = '[redacted]';

/** Names of fields whose values never belong in a log, in any spelling (camelCase, snake_case, header-case). */
const SECRET_NAME =
  /secret|passw|token|cookie|authori[sz]ation|signature|hash|hmac|jwt|credential|private.?key|encryption.?key|api.?key|bypass.?key|init.?data|sealed|encrypted/i;

/** Secrets that give themselves away by their shape, for texts that others wrote: messages and stacks of errors. */
const SECRET_SHAPES: readonly [RegExp, string][] = [
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, REDACTED], // JWT, RFC 7519
  [/(?<!\d)\d{6,}:[\w-]{20,}/g, REDACTED], // Telegram bot token, also behind "bot" as in its API
  [/:\/\/[^\s/@]+@/g, `://${REDACTED}@`], // credentials in a URL
  [/\b(Bearer|Basic)\s+[\w+/=.~-]+/gi, `$1 ${REDACTED}`],
  [
    /\b(__Host-\w+|[\w-]{0,40}(?:hash|token|secret|password|verifier|init_?data))=[^\s&;,"']+/gi,
    `$1=${REDACTED}`,
  ],
  [/([?&](?:code|state)=|\/auth\/link\/)[^\s&;,"'#?]+/g, `$1${REDACTED}`], // what logs in by being in a URL
];

/**
 * A `JSON.stringify` replacer that takes out secrets: whole values by the name of their field, parts of texts by
 * their shape, and all raw bytes. It is the second line: the first is not to log them.
 */
export function redact(name: string, value: unknown): unknown {
  if (value === undefined || value === null) return value;
  if (SECRET_NAME.test(name)) return REDACTED;
  if (typeof value === 'string') return redactText(value);
  return isBytes(value) ? '[bytes]' : value;
}

/** Takes out of a text what looks like a secret. */
export function redactText(text: string): string {
  return SECRET_SHAPES.reduce((clean, [shape, replacement]) => clean.replace(shape, replacement), text);
}

/** A Buffer has become `{type: 'Buffer', data}` before a replacer sees it. */
function isBytes(value: unknown): boolean {
  if (ArrayBuffer.isView(value)) return true;
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer';
}
