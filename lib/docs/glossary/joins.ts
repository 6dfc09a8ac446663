import type { Words } from './word.ts';

const JOIN_OPERATIONS = [
  'requestJoin',
  'listJoins',
  'listOwnJoins',
  'approveJoin',
  'withdrawJoin',
  'consentToJoin',
  'refuseJoin',
];

/** How a join stands after an operation that changes it. */
const JOIN_ENDS: Readonly<Record<string, string>> = {
  approveJoin: 'agreed',
  withdrawJoin: 'withdrawn',
  refuseJoin: 'refused',
};

/** Identities that go to another Telegram account. */
export const JOINS: Words = {
  from_user_id: { means: 'Telegram id of the account whose identity goes', example: '123456789' },
  to_user_id: { means: 'Telegram id of the account that it comes to', example: '987654321' },
  'requestJoin.id': { means: 'The number of the join', example: 3 },
  'listJoins.id': { means: 'The number of the join', example: 3 },
  'listOwnJoins.id': { means: 'The number of the join', example: 3 },
  ...Object.fromEntries(
    ['approveJoin', 'withdrawJoin', 'consentToJoin', 'refuseJoin'].map((operation) => [
      `${operation}.id`,
      { means: 'The number of the join', example: 3 },
    ]),
  ),
  ...Object.fromEntries(
    JOIN_OPERATIONS.map((operation) => [
      `${operation}.state`,
      {
        means:
          'How it stands: `waiting` until all have agreed, `agreed` until it is carried out, then how it ended',
        example: JOIN_ENDS[operation] ?? 'waiting',
      },
    ]),
  ),
  ...Object.fromEntries(
    JOIN_OPERATIONS.map((operation) => [
      `${operation}.due_at`,
      {
        means: 'When it is carried out; null until all have agreed',
        example: JOIN_ENDS[operation] === 'agreed' ? '2026-11-27T09:30:00.000Z' : null,
      },
    ]),
  ),
  ...Object.fromEntries(
    ['requestJoin', 'listJoins', 'listOwnJoins'].map((operation) => [
      `${operation}.reason`,
      { means: 'Why, in an administrator’s words', example: 'Lost his phone; known to us in person.' },
    ]),
  ),
  ...Object.fromEntries(
    ['listJoins', 'listOwnJoins'].map((operation) => [
      `${operation}.expires_at`,
      { means: 'When it lapses, unless all have agreed by then', example: '2026-12-01T09:30:00.000Z' },
    ]),
  ),
  accepted_at: { means: 'When the new account agreed; null if it has not', example: null },
  consented_at: { means: 'When the old account agreed; null if it has not', example: null },
  approved_at: { means: 'When a second administrator agreed; null if none has', example: null },
  requested_by: { means: 'Which administrator asked for it', example: '4711' },
  approved_by: { means: 'Which other one approved; null if none has', example: null },
  side: {
    means: 'Whether your account is the one whose identity goes, or the one that it comes to',
    example: 'to',
  },
};
