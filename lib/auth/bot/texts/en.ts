import { html } from '../../../docs/html.ts';
import type { Texts } from '../texts.ts';

export const EN: Texts = {
  commands: {
    start: 'Make my identity and log in',
    identity: 'Show my handle and my DID',
    status: 'Show how my identity is doing',
    retry: 'Try again what failed',
    login: 'Get a link that logs in a browser',
    help: 'Show what this bot can do',
  },
  help: 'This bot gives you an identity on the AT Protocol and keeps its keys safe.',
  stranger: 'You have no identity here yet. Write /start to get one.',
  welcome: 'Welcome!',
  link: 'The button logs a browser in as you: once, within 10 minutes. Pass it on to nobody.',
  linkButton: 'Log in',
  handle: 'Handle',
  unnamed: 'It has no name yet.',
  state: {
    active: 'Your identity is active.',
    revoked:
      'Your identity is switched off: its account is deactivated. Nothing of it is lost, and you can bring it back.',
    disabled: 'Your identity waits: none are being made at the moment. It will be made by itself later.',
  },
  pending: (step, of, done) =>
    `Your identity is being made (${step}/${of}): ${done}. Ask /status again in a moment.`,
  failed: ({ message }) => html`Your identity could not be made. ${message}\nWrite /retry to try again.`,
  steps: {
    requested: 'it waits for its turn',
    reserved: 'its name and keys are chosen',
    account_created: 'the account exists',
    identity_published: 'its DID document is published',
    activated: 'the account is active',
    secured: 'all is done',
  },
  checked: {
    accessible: 'The last check reached the account.',
    inaccessible: 'The last check did not reach the account; it is checked again by itself.',
    unknown: 'It was not checked yet.',
  },
  ready: 'Your identity is ready, and it is yours.',
  moved:
    'Your identity has moved to another PDS, with all that you have written. Apps in which you were logged in ask you to log in again; app passwords have to be made anew.',
  moveFailed: ({ code, message }) =>
    html`Your identity could not be moved to another PDS. It works as before, where it was. ${message} (<code>${code}</code>)`,
  moveNotTakenBack: ({ code, message }) =>
    html`Your identity could not be moved to another PDS, and cannot be used now. ${message} (<code>${code}</code>)`,
  renamed:
    'You have another handle. The one before leads to you for some days more, and goes to nobody else for 90 days.',
  cameBack: 'Your identity is back.',
  changeFailed: ({ message }) =>
    html`What you asked for could not be done, and your identity is as it was. ${message}`,
  retried: 'It is being tried again.',
  nothingToRetry: 'There is nothing to try again.',
  tooOften: (minutes) =>
    `That was too often. Try again in ${minutes === 1 ? 'a minute' : `${minutes} minutes`}.`,
  unnamedIdentity: 'your identity',
  deletion: (handle, time) =>
    html`You asked us to delete <b>${handle}</b> for good. It begins at ${time}; until then you can take it back at /api/pds/changes. If it was not you, take it back now and end all your sessions.`,
  join_asked: (handle, _, id) =>
    html`An administrator has asked for <b>${handle}</b> to go to another Telegram account (join ${id}). If you want it, consent; if you know nothing of it, refuse it: /api/pds/joins.`,
  join_due: (handle, time, id) =>
    html`<b>${handle}</b> goes to another Telegram account at ${time} (join ${id}). Until then you can refuse: /api/pds/joins.`,
  join_off: (handle, _, id) =>
    html`<b>${handle}</b> does not go to another Telegram account: join ${id} was called off, or not agreed on in time. All stays as it is.`,
  joined: (handle) =>
    html`<b>${handle}</b> belongs to this Telegram account now. Its keys are renewed; app passwords stay until you revoke them: /api/pds/app-passwords.`,
  parted: (handle) => html`<b>${handle}</b> belongs to another Telegram account now, as was agreed.`,
  recoveryKey: (at) =>
    at === ''
      ? 'Your recovery key was changed, or what was to take its place. If that was not you, log in now, end your other sessions and take the key away.'
      : `Your recovery key gets another one in its place, or is taken away, at ${at}. If that was not you, log in and stop it before then.`,
  byKey: 'Your recovery key asked for it, and only that can take it back (once it is trusted).',
  bySession:
    'If that was not you, log in and take it back under “changes”; your recovery key can do so, too.',
  leaving: {
    requested: ({ endpoint, at, by }) =>
      html`Your identity is to be handed over to ${endpoint} at ${at}. ${by}`,
    tomorrow: ({ endpoint, at, by }) =>
      html`At ${at} your identity is handed over to ${endpoint}. Have your repository there by then. ${by}`,
    waiting: ({ endpoint, at, why }) =>
      html`Your identity cannot be handed over to ${endpoint} yet (<code>${why ?? ''}</code>). We look again every hour; if it is still so at ${at}, everything stays as it is.`,
    left: ({ endpoint }) =>
      html`Your identity is handed over: its document names ${endpoint} and your key there. Activate the account there now, and write something. We go on serving the document.`,
    failed: ({ endpoint, why }) =>
      html`Your identity was not handed over to ${endpoint} (<code>${why ?? ''}</code>). It works as before.`,
    switched_off: ({ endpoint, why }) =>
      html`Your identity was not handed over to ${endpoint} (<code>${why ?? ''}</code>), and its own PDS does not open its account again: it is switched off. Nothing of it is lost, and you can bring it back when that PDS answers.`,
    cancelled: ({ endpoint }) => html`Your identity is not handed over to ${endpoint}: that was taken back.`,
  },
  left: (endpoint) => `You have left for ${endpoint}. We go on serving the document of your identity.`,
  export: {
    ready: (megabytes, until) =>
      `Your export is ready (${megabytes} MB), and can be downloaded until ${until}: /api/pds/exports. If it was not you who asked for it, log in now and end your other sessions.`,
    withoutRepository: 'Your repository is not in it: your PDS did not give it out.',
    failed: ({ message }) => html`Your export could not be made. ${message}`,
    expired: 'Your export is not kept any longer, as announced. Ask for another one whenever you want it.',
  },
};
