import type { ParkedReason } from '../../provisioning/queue/settle.ts';
import { EXAMPLE_DOMAIN, type Words } from './word.ts';

/** What a change waits for that nobody has to do anything about but us. */
const PASSES: Readonly<Record<Exclude<ParkedReason, 'member'>, string>> = {
  notice: 'its time',
  provider_down: 'the PDS does not answer',
  provider_busy: 'the PDS wants to be left alone for a while',
  account_busy: 'as far as this account is concerned',
  plc_down: 'the PLC directory does not answer',
  plc_refused: 'or refuses',
  not_seen_yet: 'the world still reads what was before',
  outcome_unknown: 'what became of a request',
  member_busy: 'other work on the identity',
  out_of_time: 'the next turn of the worker',
  move_unfinished: 'the new PDS',
  deletion_unfinished: 'a PDS that cannot delete for now',
};

function codes(words: Readonly<Record<string, string>>): string {
  return Object.entries(words)
    .map(([code, what]) => `\`${code}\` (${what})`)
    .join(', ');
}

/** Changes of an identity, and its end. */
export const CHANGES: Words = {
  kind: {
    means:
      'What is changed: new keys, another handle, deactivation and its end, deletion, another Telegram account, another PDS of ours, or one of the member’s own choice',
    example: 'rename',
  },
  'listChanges.state': {
    means:
      'How it stands: ask again every few seconds until it is not `under_way`, unless it waits for `due_at`. What is `failed` has changed nothing that `error` does not name',
    example: 'under_way',
  },
  step: {
    means:
      'What is done of it, `requested`: nothing yet. Of a move, in this order: `prepared`, `account_created`, `repo_imported`, `blobs_complete`, `freezing`, `frozen` (nothing can be written), `carried_over`, `published`, `activated`, `written`. For others `state` is enough',
    example: 'requested',
  },
  wish: {
    means:
      'What was asked for, by kind: `handle` (rename), `provider` (move), `endpoint`, `atproto_key`, `handle`, `rotation_keys` (hand_over), `join_id` (join); of others nothing',
    example: { handle: `alice2.${EXAMPLE_DOMAIN}` },
  },
  cancellable: {
    means: 'It can be taken back: nothing of it has happened yet, or all that has can be undone',
  },
  waits_for: {
    means:
      `Why it does not go on for now, as a code; null when it does. In lower case what passes by itself: ${codes(PASSES)}; ` +
      'and `operators`, who were told that it was given up: asked for again it begins again. In capitals what the member can ' +
      'change, who leaves: `ACCOUNT_NOT_THERE`, `TARGET_UNREACHABLE`, `TARGET_NOT_A_PDS`, `HANDLE_NOT_YOURS`, ' +
      '`ROTATION_KEYS_NOT_OURS`, `ROTATION_KEYS_TOO_MANY`, `PLC_REFUSED`, `DID_ENDED`',
    example: null,
  },
  cancel_wanted: { means: 'It was asked to be taken back, and is as far as that can be', example: false },
  due_at: { means: 'Before this nothing of it happens' },
  'deleteAccount.due_at': {
    means: 'When it begins: until then it can be taken back',
    example: '2026-11-25T09:30:00.000Z',
  },
  'requestHandOver.due_at': {
    means: 'When his notice is over: until then it can be taken back',
    example: '2026-11-27T09:30:00.000Z',
  },
  'recoverByHandOver.due_at': {
    means: 'When his notice is over: until then the key can take it back',
    example: '2026-11-27T09:30:00.000Z',
  },
  ended_at: { means: 'When it ended; null while it is under way', example: null },
  'listChanges.error': {
    means: 'Why it could not be done, in a `message` for the member to read; null if nothing',
    example: null,
  },
  // Those of all members
  'listOpenChanges.offset': { means: 'How many of those due longest to leave out', example: '0' },
  'listOpenChanges.id': { means: 'The number of the change', example: 7 },
  'listOpenChanges.user_id': { means: 'Telegram id of the member', example: '123456789' },
  'listOpenChanges.error_code': {
    means:
      'Why it was tried again last, or given up, for programs: GET /api/admin/dead-letters has the words',
    example: 'PDS_SERVER_ERROR',
  },
  'listOpenChanges.queue_id': {
    means: 'Its work: a row of the queue, by which log lines are found, and what was given up is redriven',
    example: 4711,
  },
  next_try_at: { means: 'When it goes on; null while a worker is at it, or when it was given up' },
  'listOpenChanges.requested_by': {
    means: 'Who asked for it: a Telegram id, `system`, `operator`, or `recovery_key`',
    example: '123456789',
  },
  'listOpenChanges.age_seconds': {
    means: 'For how long it has been due, in seconds; 0 before',
    example: 5400,
  },
  'renameHandle.handle': {
    means: 'The handle, or its first label alone, with or without `@`',
    example: 'alice2',
  },
  'renameHandle.pds_handle': { means: 'The handle that it will be', example: `@alice2.${EXAMPLE_DOMAIN}` },
  'cancelChange.id': { means: 'The number of the change', example: 7 },
  'cancelChange.change_id': { means: 'The number of the change', example: 7 },
  change_id: {
    means: 'The number of the change, which a worker carries out: GET /api/pds/changes says how far it is',
    example: 7,
  },
  'deleteAccount.account': {
    means:
      'What becomes of the account at the PDS: deleted, or only deactivated where its operator gave us no more rights; `none` when there is none',
    example: 'deleted',
  },
  cancelled: { means: 'It is taken back; false while whoever is at it still has to' },
  provider: {
    means: 'A PDS of this service, by the name that its settings give it',
    example: 'remote:pds.example.org',
  },
  host: { means: 'Where it is reached', example: 'pds.example.org' },
  'listProviders.current': { means: 'You live there', example: false },
  takes_you: { means: 'You could move there now, as far as we know without asking it' },
  'listProviders.reason': {
    means:
      'Why not: you live there, it does not answer, it wants to be left alone for a while, or an account that you had there is being deleted; null if nothing',
    example: null,
  },
};
