import { expect, it } from 'vitest';
import { readReturnTo, withLoginError } from '../../../../lib/auth/oidc/return-to.ts';

const hosts = {
  PDS_APP_ORIGIN: 'https://app.example.org',
  PDS_ALLOWED_ORIGINS: ['https://www.example.org', 'http://localhost:5173'],
};

it.each([
  ['/', '/'],
  ['/a/b?c=d&e=%20f#g', '/a/b?c=d&e=%20f#g'],
  ['/ä?ö=ü', '/%C3%A4?%C3%B6=%C3%BC'],
  ['/a//b', '/a//b'],
  ['/a/../b', '/b'],
  ['/@evil.example', '/@evil.example'],
  ['/?next=https://evil.example', '/?next=https://evil.example'],
  ['/a?b=c&login_error=LOGIN_REFUSED', '/a?b=c'],
  ['https://www.example.org', 'https://www.example.org/'],
  ['https://www.example.org/a?b#c', 'https://www.example.org/a?b#c'],
  ['http://localhost:5173/', 'http://localhost:5173/'],
])('leads to %s', (asked, to) => {
  expect(readReturnTo(hosts, asked)).toBe(to);
});

it.each([
  '',
  'a',
  '?a',
  '#a',
  '//evil.example',
  '///evil.example',
  '/\\evil.example',
  '\\/evil.example',
  '/.//evil.example',
  '/..//evil.example',
  '/a/../..//evil.example',
  '/%2e//evil.example',
  '/\t/evil.example',
  '/\n/evil.example',
  '/a\r\nset-cookie: a=b',
  '/a\0',
  ' /a',
  '/a b',
  'https:/www.example.org',
  'https:www.example.org\\@evil.example',
  'https://www.example.org@evil.example/',
  'https://evil.example@www.example.org/',
  'https://www.example.org.evil.example/',
  'https://www.example.org:444/',
  'http://www.example.org/',
  'https://example.org/',
  'https://app.example.org/',
  'blob:https://www.example.org/7d2f6c1e',
  'javascript:alert(1)',
  'data:text/html,x',
  'tg://resolve',
  'https://',
])('never leads to %j', (asked) => {
  let code = '';
  try {
    // What is accepted in another spelling has to be an allowed origin all the same.
    const url = new URL(readReturnTo(hosts, asked), hosts.PDS_APP_ORIGIN);
    code = url.origin;
  } catch (error) {
    expect(error).toMatchObject({ code: 'INPUT_INVALID', status: 400, fields: ['return_to'] });
    return;
  }
  expect([asked, code]).toEqual(['https:/www.example.org', 'https://www.example.org']);
});

it.each([
  ['/', '/?login_error=UNAVAILABLE'],
  ['/a?b=c#d', '/a?b=c&login_error=UNAVAILABLE#d'],
  ['https://www.example.org/a?b', 'https://www.example.org/a?b=&login_error=UNAVAILABLE'],
])('tells %s what went wrong', (returnTo, location) => {
  expect(withLoginError(hosts, returnTo, 'UNAVAILABLE')).toBe(location);
});

it('has no other origin where none is allowed', () => {
  const { PDS_APP_ORIGIN } = hosts;
  expect(() => readReturnTo({ PDS_APP_ORIGIN }, 'https://www.example.org/')).toThrow(
    expect.objectContaining({ code: 'INPUT_INVALID' }),
  );
});
