import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { expect, it } from 'vitest';
import { verifyInitData } from '../../../lib/auth/login/telegram-mini-app.ts';

const botToken = '123456:AAAAAAAAAAAAAAAAAAAAAAAA';
const keys = generateKeyPairSync('ed25519');
const publicKey = Buffer.from(keys.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('hex');
const now = new Date('2026-01-01T00:00:00Z');
const seconds = now.getTime() / 1000;
const ana = { auth_date: `${seconds}`, query_id: 'q', user: '{"id":7,"first_name":"Ana"}' };
type Fields = Record<string, string>;

const lines = (fields: Fields) =>
  Object.keys(fields)
    .sort()
    .map((name) => `${name}=${fields[name]}`)
    .join('\n');
const query = (fields: Fields) => new URLSearchParams(fields).toString();
function withHash(fields: Fields): Fields {
  const key = createHmac('sha256', 'WebAppData').update(botToken).digest();
  return { ...fields, hash: createHmac('sha256', key).update(lines(fields)).digest('hex') };
}
function withSignature(fields: Fields): Fields {
  const signed = Buffer.from(`123456:WebAppData\n${lines(fields)}`);
  return { ...fields, signature: sign(null, signed, keys.privateKey).toString('base64url') };
}
const check = (fields: Fields) => verifyInitData({ botToken, publicKey, now }, query(fields));
const refused = (code: string) => expect.objectContaining({ code });

it.each([
  ['HMAC', withHash(ana)],
  ['Ed25519', withSignature(ana)],
  ['both', withHash(withSignature(ana))],
])('believes what is signed by %s, and nothing that was changed', (_, fields) => {
  expect(check(fields)).toEqual({ profile: { id: 7, first_name: 'Ana' }, botLanguage: undefined });
  for (const name of Object.keys(fields)) {
    expect(() => check({ ...fields, [name]: `x${fields[name]}` })).toThrow(
      refused('LOGIN_SIGNATURE_INVALID'),
    );
  }
});

it('takes no Ed25519 signature in place of an HMAC that is wrong', () => {
  expect(() => check({ ...withSignature(ana), hash: '0'.repeat(64) })).toThrow(
    refused('LOGIN_SIGNATURE_INVALID'),
  );
});

it('refuses a field that is there twice', () => {
  const twice = `${query(withHash(ana))}&user=x`;
  const first = `user=x&${query(withHash(ana))}`;
  for (const initData of [twice, first, '', 'hash=&hash=']) {
    expect(() => verifyInitData({ botToken, publicKey, now }, initData)).toThrow(
      refused('LOGIN_SIGNATURE_INVALID'),
    );
  }
});

it('refuses two fields that pretend to be one', () => {
  const user = '{"id":8,"first_name":"Bob"}';
  const own = withHash({ ...ana, start_param: `x\nuser=${user}` });
  const { auth_date, query_id, hash = '' } = own;
  const stolen = { auth_date, query_id, start_param: 'x', user: `${user}\nuser=${ana.user}`, hash } as Fields;
  for (const fields of [own, stolen]) expect(() => check(fields)).toThrow(refused('LOGIN_SIGNATURE_INVALID'));
});

it.each([
  '',
  'x',
  '[]',
  'null',
  '{}',
  '{"id":0}',
  '{"id":"7"}',
  '{"id":9007199254740992}',
  '{"id":7,"is_bot":true}',
  '{"id":7,"first_name":"\\ud800"}',
  '{"id":7,"first_name":"\\u0000"}',
])('refuses the signed user %s', (user) => {
  expect(() => check(withHash({ ...ana, user }))).toThrow(refused('LOGIN_SIGNATURE_INVALID'));
});

it.each([
  [3600, undefined],
  [3601, 'LOGIN_EXPIRED'],
  [-30, undefined],
  [-31, 'LOGIN_FROM_THE_FUTURE'],
])('finds init data that is %i seconds old %s', (age, code) => {
  const login = () => check(withHash({ ...ana, auth_date: `${seconds - age}` }));
  if (code === undefined) expect(login()).toMatchObject({ profile: { id: 7 } });
  else expect(login).toThrow(refused(code));
});

it.each([
  ['{"id":7,"language_code":"es-MX","allows_write_to_pm":true}', 'es'],
  ['{"id":7,"allows_write_to_pm":true}', 'en'],
  ['{"id":7,"language_code":"es","allows_write_to_pm":false}', undefined],
  ['{"id":7,"language_code":"es"}', undefined],
])('says whether the bot may write to him, and in which language: %s', (user, botLanguage) => {
  expect(check(withHash({ ...ana, user }))).toEqual({ profile: { id: 7 }, botLanguage });
});
