import { expect, it } from 'vitest';
import { expectDocumented } from '../../e2e/documented.ts';

const json = (status: number, body: unknown) => ({
  status,
  contentType: 'application/json; charset=utf-8',
  text: JSON.stringify(body),
});
const refusal = (code: string) => ({ success: false, error: { code, message: '', request_id: '1' } });
const backup = {
  backup_id: 1,
  created_at: '2026-11-24T09:30:00.000Z',
  expires_at: '2026-12-24T09:30:00.000Z',
};
const check = (answered: ReturnType<typeof json>) => () =>
  expectDocumented('POST', '/api/pds/create-backup', answered);

it('lets pass what the document knows', () => {
  check(json(200, { success: true, data: backup }))();
  check(json(409, refusal('IDENTITY_NOT_READY')))();
  check(json(503, { message: 'Service Unavailable' }))();
});

it.each([
  ['a status that no route of this kind has', json(418, refusal('TEAPOT')), 'is not documented'],
  ['a code of another route', json(401, refusal('LOGIN_REPLAYED')), '/error/code must be equal to one of'],
  ['a code of another status', json(403, refusal('RATE_LIMITED')), '/error/code must be equal to one of'],
  [
    'a field too many',
    json(200, { success: true, data: { ...backup, password: 'x' } }),
    '/data must NOT have',
  ],
  [
    'a field too few',
    json(200, { success: true, data: { ...backup, backup_id: undefined } }),
    '/data must have',
  ],
  [
    'a time that is none',
    json(200, { success: true, data: { ...backup, created_at: 'now' } }),
    '/data/created_at',
  ],
  ['no envelope', json(200, backup), 'must have required property'],
  ['another type', { status: 200, contentType: 'text/html', text: '' }, 'is text/html, not application/json'],
])('finds %s', (_, answered, problem) => {
  expect(check(answered)).toThrow(problem);
});

it('finds a route whose path has a parameter', () => {
  const path = '/api/auth/sessions/7d2f6c1e-94b0-4c3a-8f57-2b1d9e0a6c48';
  expect(() => expectDocumented('DELETE', path, json(200, {}))).toThrow('departs from its documentation');
});
