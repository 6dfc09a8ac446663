import type { Words } from './word.ts';

/** Work that was given up. */
export const GIVEN_UP: Words = {
  'listDeadLetters.offset': { means: 'How many of the oldest entries to leave out', example: '0' },
  queue_id: {
    means: 'The work: a row of the queue; null for a message that names none of ours',
    example: 4711,
  },
  'redriveWork.queue_id': { means: 'The row of the queue that has the work now', example: 4711 },
  'redriveWork.id': { means: 'The work, as `queue_id` of the list', example: '4711' },
  'listDeadLetters.action': { means: 'What the work was; null if there is none', example: 'create' },
  'listDeadLetters.code': { means: 'Why it was given up, for programs', example: 'PDS_REJECTED' },
  means: { means: 'Why it was given up, in words', example: 'The identity server refused the request.' },
  todo: {
    means: 'What to do about it, before it is redriven',
    example: 'The details name the request and the refusal: repair its reason, then redrive.',
  },
  'listDeadLetters.details': {
    means: 'What the PDS said, or the database; null if nothing',
    example: { nsid: 'com.atproto.server.createAccount', status: 400, error: 'InvalidEmail' },
  },
  attempts: { means: 'How often it was begun', example: 3 },
  receives: {
    means: 'How often SQS gave its message to a worker; 0 unless that is why it was given up',
    example: 0,
  },
  failed_at: { means: 'When it was given up' },
  age_seconds: { means: 'How long ago that was, in seconds', example: 5400 },
  'redriveWork.redriven': {
    means: 'It begins again; false if there was no need, and then `reason` says why',
    example: true,
  },
  'redriveWork.reason': {
    means: 'Why not: it is at work, it is done, or newer work has taken its place; null if it was redriven',
    example: null,
  },
  'redriveAll.redriven': { means: 'How many works begin again', example: 12 },
  put_away: {
    means: 'How many messages without work were put away: nothing could be redone for them',
    example: 1,
  },
  left: { means: 'How many entries the list still has: ask again', example: 0 },
};
