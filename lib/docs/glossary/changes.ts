import { EXAMPLE_DOMAIN, type Words } from './word.ts';

/** Changes of an identity, and its end. */
export const CHANGES: Words = {
  kind: {
    means:
      'What is changed: new keys, another handle, deactivation and its end, deletion, another Telegram account, another PDS of ours, or one of the member’s own choice',
    example: 'rename',
  },
  'listChanges.state': { means: 'How it stands', example: 'under_way' },
  step: { means: 'What is done of it; `requested`: nothing yet', example: 'requested' },
  wish: { means: 'What was asked for, by kind', example: { handle: `alice2.${EXAMPLE_DOMAIN}` } },
  cancellable: {
    means: 'It can be taken back: nothing of it has happened yet, or all that has can be undone',
  },
  waits_for: {
    means:
      'Why it does not go on for now, as a code: `provider_down`, `plc_down`, what a new PDS lacks (`ACCOUNT_NOT_THERE`), …; null when it does',
    example: null,
  },
  cancel_wanted: { means: 'It was asked to be taken back, and is as far as that can be', example: false },
  due_at: { means: 'Before this nothing of it happens' },
  ended_at: { means: 'When it ended; null while it is under way', example: null },
  'listChanges.error': { means: 'Why it could not be done; null if nothing', example: null },
  'renameHandle.handle': {
    means: 'The handle, or its first label alone, with or without `@`',
    example: 'alice2',
  },
  'renameHandle.pds_handle': { means: 'The handle that it will be', example: `@alice2.${EXAMPLE_DOMAIN}` },
  'cancelChange.id': { means: 'The number of the change', example: '7' },
  change_id: { means: 'The number of the change', example: 7 },
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
