import { ALICE_DID, EXAMPLE_DOMAIN, type Words } from './word.ts';

/** Lists, and the times in them. */
export const LISTS: Words = {
  id: { means: 'The number of this entry', example: 4711 },
  limit: { means: 'How many entries at most', example: '10' },
  offset: { means: 'How many of the newest entries to leave out', example: '0' },
  action: { means: 'What was done', example: 'created' },
  check_type: { means: 'What was checked' },
  response_time_ms: { means: 'How long the answer took, in milliseconds; null without one', example: 12 },
  details: {
    means: 'More about it, by action or kind of check',
    example: { pds_did: ALICE_DID, pds_handle: `alice.${EXAMPLE_DOMAIN}`, took_ms: 1005 },
  },
  'healthChecks.details': { means: 'More about it, by kind of check', example: { version: '0.4.204' } },
  error_message: { means: 'What went wrong; null if nothing', example: null },
  last_seen_at: { means: 'When it was last used' },
  created_at: { means: 'When it was made' },
  'entries.created_at': {
    means: 'When it was written, with the microseconds that are hashed',
    example: '2026-11-24T09:30:00.000000Z',
  },
  expires_at: { means: 'When it ends', example: '2026-12-24T09:30:00.000Z' },
};
