import { HASH, type Words } from './word.ts';

/** 256 bits, base64url. */
const TOKEN = 'p0uV3uZQ'.repeat(5).concat('abc');
const INIT_DATA = `user=%7B%22id%22%3A123456789%7D&auth_date=1795512600&hash=${HASH}`;

/** Logins, sessions and members. */
export const LOGINS: Words = {
  'member.id': { means: 'Telegram id, as text', example: '123456789' },
  'loginWidget.id': { means: 'Telegram id', example: 123456789 },
  first_name: { means: 'First name at Telegram', example: 'Alice' },
  last_name: { means: 'Last name at Telegram', example: 'Liddell' },
  username: { means: 'Name at Telegram, without @', example: 'alice' },
  photo_url: { means: 'Picture at Telegram', example: 'https://t.me/i/userpic/320/alice.jpg' },
  auth_date: { means: 'When Telegram signed this login, in seconds since 1970', example: 1_795_512_600 },
  hash: { means: "Telegram's signature over all other fields", example: HASH },
  token: { means: 'The one-use part of the link', example: TOKEN },
  init_data: { means: 'What Telegram gives the page as `WebApp.initData`, unchanged', example: INIT_DATA },
  'loginMiniApp.token': { means: 'For `Authorization: Bearer`; to be held in memory', example: TOKEN },
  return_to: {
    means: 'Where the browser goes on after the login: a path of ours, or a URL of an allowed origin',
    example: '/welcome',
  },
  state: { means: 'Which login this is: as it was given to Telegram', example: TOKEN },
  'finishOidcLogin.code': {
    means: 'Stands for the login at Telegram, once',
    example: 'SplxlOBeZQQYbYS6WxSbIA',
  },
  'finishOidcLogin.error': { means: 'Why there is no code', failure: true },
  'exchangeCode.code': { means: 'What the backend was answered with', example: TOKEN },
  telegramId: { means: 'Telegram id of the member', example: 123456789 },
  'internalLogin.code': { means: 'Logs the member in, once: see POST /api/auth/exchange', example: TOKEN },
  'internalLogin.expires_at': { means: 'When the code ends', example: '2026-11-24T09:32:00.000Z' },
  update_id: { means: 'The number of the update; one that was here before is ignored', example: 987_654_321 },
  'telegramWebhook.message': {
    means: 'What was written, if it is a new message: https://core.telegram.org/bots/api#message',
    example: {
      message_id: 42,
      date: 1_795_512_600,
      from: { id: 123456789, is_bot: false, first_name: 'Alice', username: 'alice', language_code: 'en' },
      chat: { id: 123456789, type: 'private', first_name: 'Alice' },
      text: '/start',
    },
  },
  handled: { means: 'The bot answers in the chat; false for what it ignores' },
  member: { means: 'Who is logged in' },
  role: { means: 'What the member may do' },
  pds: { means: "The state of the member's identity" },
  logged_out: { means: 'This session is over' },
  'listSessions.id': { means: 'The session' },
  'revokeSession.id': { means: 'The session to end' },
  device: {
    means: 'Browser and system as they name themselves; null when unknown',
    example: 'Firefox on Linux',
  },
  login_method: { means: 'How the member logged in', example: 'widget' },
  current: { means: 'It is the session that asks' },
  revoked: { means: 'How many sessions were ended', example: 1 },
  userId: { means: 'Telegram id of a member, as text', example: '123456789' },
};
