import type { Words } from './word.ts';

/** Exports. */
export const EXPORTS: Words = {
  export_id: {
    means: 'The number of the export: GET /api/pds/exports says how far it is',
    example: 3,
  },
  contents: {
    means: 'What is in it: what is yours (`data`), or that and your keys, encrypted (`data_and_keys`)',
    example: 'data_and_keys',
  },
  keys_code: {
    means: 'Opens `keys.jwe` in the archive; shown this once and kept nowhere. null without keys',
    example: 'abcde-fghij-klmno-pqrst-uvwxy-z',
  },
  'listExports.id': { means: 'The number of the export', example: 3 },
  'downloadExport.id': { means: 'The number of the export', example: '3' },
  'listExports.state': {
    means: 'How it stands: ask again every few seconds until it is not `under_way`',
    example: 'ready',
  },
  'listExports.step': {
    means:
      'What is in it: nothing yet, the files (`blobs`), the repository; `sealed`: all of it, with its manifest',
    example: 'sealed',
  },
  'listExports.ended_at': {
    means: 'When it ended; null while it is under way',
    example: '2026-11-24T09:31:00.000Z',
  },
  'listExports.expires_at': {
    means: 'Until when it can be downloaded, once it is ready',
    example: '2026-12-01T09:31:00.000Z',
  },
  'listExports.error': {
    means: 'Why it failed, in a `message` for the member to read: ask for another one; null if it did not',
    example: null,
  },
  blobs: { means: 'How many files (images, videos) are in it so far', example: 12 },
  size: { means: 'Bytes: so far, or of the whole archive', example: 1_048_576 },
  what: { means: 'What is not in it', example: 'preferences' },
  why: { means: 'Why it is not', example: 'Your PDS keeps none, or does not give them out.' },
  left_out: { means: 'What is not in it, and why', example: [] },
  url: {
    means: 'Where to GET it, also in pieces (Range); whoever has this URL can',
    example:
      'https://production-exports.s3.eu-central-1.amazonaws.com/27c5c996-…/archive.tar?X-Amz-Signature=…',
  },
  url_expires_at: {
    means: 'Until when a download can be begun; then ask for another URL',
    example: '2026-11-24T09:40:00.000Z',
  },
  file_name: { means: 'What a browser calls the file', example: 'identity-2026-11-24-3.tar' },
};
