import type { Chance } from './chance.ts';
import type { Fault, Spoil, Target } from './draft.ts';
import { CANARY, TEXTS } from './wrong-values.ts';

const ofMembers = ({ contract }: Target) => contract.access === 'member' || contract.access === 'admin';

/** Spoils one header: takes it away, garbles it, or sends it twice (which a gateway joins by a comma). */
export function garble(value: string, chance: Chance): string | undefined {
  const garbled = chance.oneOf([
    undefined,
    '',
    ' ',
    `${value},${value}`,
    `${value}x`,
    value.slice(1),
    value.slice(0, -1),
    value.toUpperCase() === value ? value.toLowerCase() : value.toUpperCase(),
    `${value}\0`,
    `${value}\r\nx-evil: 1`,
    chance.oneOf(TEXTS),
    chance.bytes(40).toString('latin1'),
    chance.bytes(32).toString('base64url'),
    CANARY.repeat(500),
  ]);
  return garbled === value ? undefined : garbled;
}

/** The cookies that a session may not be asked for by, and the same of bearer tokens. */
function strangeCookies(cookie: string, token: string, bad: string): string[][] {
  return [
    [],
    [`__Host-session=${bad}`],
    [`__Host-session=${bad}`, cookie],
    [`__host-session=${token}`],
    [`__Secure-session=${token}`],
    [`session=${token}`],
    [`__Host-session="${token}"`],
    [` ${cookie}`],
    [cookie.replace('=', ' = ')],
    [`x=${cookie}`],
    Array.from({ length: 300 }, (_, index) => `c${index}=${bad}`),
    ['='.repeat(5_000)],
  ];
}
function strangeAuthorizations(token: string, bad: string): string[] {
  return [
    '',
    'Bearer',
    'Bearer ',
    `Bearer ${bad}`,
    `Bearer ${token} ${token}`,
    `Bearer ${token},Bearer ${token}`,
    `Bearer\t${token}`,
    `Basic ${Buffer.from(`admin:${token}`).toString('base64')}`,
    token,
    `Digest username="${CANARY}"`,
    `Bearer ${CANARY.repeat(1_000)}`,
  ];
}

const spoilSession: Spoil = (draft, _, chance) => {
  const [cookie = ''] = draft.cookies;
  const token = cookie.slice(cookie.indexOf('=') + 1);
  const other = chance.bytes(32).toString('base64url');
  const bad = chance.oneOf([other, '', token.slice(1), `${token}A`, garble(token, chance) ?? '']);
  if (chance.happens(0.5)) draft.cookies = chance.oneOf(strangeCookies(cookie, token, bad));
  else draft.headers.authorization = chance.oneOf([...strangeAuthorizations(token, bad), ...TEXTS]);
  return bad !== token;
};

/** Every header that shows who signed: one of them is garbled. */
const spoilSignature: Spoil = (draft, { contract }, chance) => {
  const names = Object.keys(draft.headers).filter((name) => SIGNED[contract.access]?.test(name));
  const name = chance.oneOf(names);
  const value = draft.headers[name] ?? '';
  const garbled = garble(value, chance);
  draft.headers[name] = garbled;
  return garbled?.trim() !== value.trim();
};
const SIGNED: Partial<Record<Target['contract']['access'], RegExp>> = {
  backend: /^(x-pds-(?!host|address)|authorization)/,
  telegram: /^x-telegram-/,
};

/** What may be wrong with what a request shows of who sends it. */
export const SPOILED_SENDERS: readonly Fault[] = [
  {
    name: 'no session',
    weight: 2,
    codes: ['SESSION_REQUIRED'],
    late: true,
    fits: ofMembers,
    spoil: spoilSession,
  },
  {
    name: 'a wrong signature',
    weight: 3,
    codes: ['SIGNATURE_INVALID', 'SIGNATURE_EXPIRED', 'WEBHOOK_SECRET_INVALID'],
    late: true,
    fits: ({ contract }) => SIGNED[contract.access] !== undefined,
    spoil: spoilSignature,
  },
];
