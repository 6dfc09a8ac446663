import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { CONTRACTS } from '../../../lib/docs/contracts.ts';
import { openApiDocument } from '../../../lib/docs/openapi.ts';
import { renderPage } from '../../../lib/docs/page.ts';
import { refusalsOf } from '../../../lib/docs/refusals.ts';

const document = openApiDocument({
  PDS_APP_ORIGIN: 'https://app.pnptv.example',
  PDS_DOMAIN: 'pnptv.example',
});
const { body, contentSecurityPolicy } = renderPage(document);

const articleOf = (operationId: string) =>
  body.split(`<article id="${operationId}">`)[1]?.split('</article>', 1)[0] ?? '';

it.each(CONTRACTS)('shows $method $path', ({ operationId, method, path }) => {
  expect(body).toContain(`<article id="${operationId}">`);
  expect(body).toContain(`<a href="#${operationId}"><code>${method} ${path}</code></a>`);
});

it.each([
  ['getSession', 'For members who are logged in', '-b cookies.txt'],
  ['verifyAudit', 'For administrators', '-b cookies.txt'],
  ['stepUp', 'For members who are logged in', '-c cookies.txt'],
  ['loginWidget', 'For anyone', '-c cookies.txt'],
  ['internalLogin', 'For a backend that signs its requests', '-X POST'],
])('says of %s who may ask, and how with curl: %s', (operationId, who, curl) => {
  const shown = articleOf(operationId);
  expect(shown).toContain(`<p class="who">${who}</p>`);
  expect(shown).toContain(curl);
  expect([operationId, shown.includes('cookies.txt')]).toEqual([operationId, curl.includes('cookies.txt')]);
});

it('says what a signed request has to show, and how a page without cookies is known', () => {
  expect(articleOf('internalLogin')).toMatch(
    /<code>x-pds-signature<\/code>: HMAC-SHA256 .*x-pds-timestamp.*x-pds-nonce/,
  );
  expect(articleOf('telegramWebhook')).toContain('<code>x-telegram-bot-api-secret-token</code>: ');
  expect(body).toContain('<code>Authorization: Bearer');
});

it.each(CONTRACTS.filter(({ stepUp }) => stepUp))('says that $method $path needs a step-up', (contract) => {
  expect(articleOf(contract.operationId)).toContain(
    `<a href="#stepUp">step-up</a> for <code>${contract.operationId}</code>`,
  );
});

it('names every field that a step-up is for, and shows its body', () => {
  const shown = articleOf('createAppPassword');
  expect(shown).toContain(
    '<code>name</code>, <code>privileged</code>, as the request has them, as the fields of its target',
  );
  const example = { operation: 'createAppPassword', target: { name: 'My phone', privileged: false } };
  expect(shown).toContain(JSON.stringify({ ...example, code: '492039' }).replaceAll('"', '&#34;'));
});

it('has all it needs in itself: one style, which its policy names, and no script', () => {
  const styles = [...body.matchAll(/<style>(.*?)<\/style>/gs)].map(([, style = '']) => style);
  const hashes = styles.map((style) => `'sha256-${createHash('sha256').update(style).digest('base64')}'`);
  expect(hashes).toHaveLength(1);
  expect(contentSecurityPolicy).toContain(`style-src ${hashes[0]};`);
  expect(contentSecurityPolicy).toContain("default-src 'none';");
  expect(body).not.toMatch(/<script|<link|<img|\ssrc=|\sstyle=|\son\w+=|@import|url\(/);
});

it('writes what it is told as text, never as markup', () => {
  const title = `<script>alert("1")</script> & 'more'`;
  const page = renderPage({ ...document, info: { ...document.info, title } });
  expect(page.body).not.toContain('<script');
  expect(page.body).toContain('&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62; &#38; &#39;more&#39;');
});

it('shows where a redirect leads and what a login sets', () => {
  const callback = articleOf('finishOidcLogin');
  expect(callback).toContain('HTTP 302\nset-cookie: __Host-session=…; Path=/; HttpOnly;');
  expect(callback).toContain('\nlocation: /welcome</pre>');
  expect(callback).toMatch(/curl -i -b cookies.txt -c cookies.txt .*callback\?state=\w+&#38;code=\w+&#39;/);
  const start = articleOf('startOidcLogin');
  expect(start).toContain('HTTP 302\nset-cookie: __Host-login=…; Path=/; HttpOnly;');
  expect(start).toContain('\nlocation: https://oauth.telegram.org/');
  expect(start).toContain('curl -i -c cookies.txt');
  expect(articleOf('loginWidget')).toContain('HTTP 200\nset-cookie: __Host-session=…;');
});

it.each([
  ['internalLogin', ['x-pds-timestamp', 'x-pds-nonce', 'x-pds-signature']],
  ['telegramWebhook', ['x-telegram-bot-api-secret-token']],
])('shows in the request of %s each header by which it is admitted', (operationId, names) => {
  for (const name of names) expect(articleOf(operationId)).toContain(`-H &#39;${name}: `);
});

it('tells once how every route may refuse, and under a route how this one may', () => {
  const section = body.match(/<section id="refusals">.*?<\/section>/s)?.[0] ?? '';
  const codesIn = (markup: string) =>
    [...markup.matchAll(/<td><code>([A-Z_]{7,})<\/code>/g)].map(([, code]) => code);
  const general = codesIn(section);
  expect(general).toEqual(expect.arrayContaining(['TIMEOUT', 'SESSION_REQUIRED', 'ORIGIN_FORBIDDEN']));
  for (const contract of CONTRACTS) {
    const own = codesIn(articleOf(contract.operationId));
    const expected = refusalsOf(contract).filter((code) => !general.includes(code));
    expect([contract.path, own]).toEqual([contract.path, expected]);
  }
});

it('follows the order of a reader, not that of the letters', () => {
  const places = ['loginWidget', 'getSecondFactor', 'enrollTotp', 'confirmTotp', 'stepUp', 'disableTotp'].map(
    (id) => body.indexOf(`<article id="${id}">`),
  );
  expect(places).toEqual(places.toSorted((a, b) => a - b));
});

it('leaves no backtick in its prose', () => {
  expect(body).not.toContain('`');
});
