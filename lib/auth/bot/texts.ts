import { type Html, html } from '../../docs/html.ts';
import type { Language } from '../language.ts';
import type { Facts, Leaving } from './outbox.ts';

/** What the bot understands, and what it says about it in its menu and in /help. */
export type Command = 'start' | 'identity' | 'status' | 'retry' | 'login' | 'help';
/** The steps of provisioning, by what is done already. */
type Step = Facts['provisioning_step'];

/** What stopped provisioning. */
type Why = NonNullable<Facts['error']>;

/** What is told of leaving; `by` says who asked for it, and how it is taken back. */
type LeavingFacts = { endpoint: string; at: string; by: string; why: string | null };

type Texts = {
  commands: Readonly<Record<Command, string>>;
  help: string;
  stranger: string;
  welcome: string;
  link: string;
  linkButton: string;
  handle: string;
  unnamed: string;
  state: Readonly<Record<Exclude<Facts['status'], 'pending' | 'error'>, string>>;
  pending: (step: number, of: number, done: string) => string;
  failed: (why: Why) => Html;
  steps: Readonly<Record<Step, string>>;
  checked: Readonly<Record<Facts['verification_status'], string>>;
  ready: string;
  moved: string;
  moveFailed: string;
  renamed: string;
  cameBack: string;
  changeFailed: (why: Why) => Html;
  retried: string;
  nothingToRetry: string;
  tooOften: (minutes: number) => string;
  unnamedIdentity: string;
  deletion: (handle: string, time: string) => Html;
  join_asked: JoinText;
  join_due: JoinText;
  joined: JoinText;
  parted: JoinText;
  /** `at`: when it comes into force; empty: now. */
  recoveryKey: (at: string) => string;
  byKey: string;
  bySession: string;
  leaving: Readonly<Record<Leaving['event'], (facts: LeavingFacts) => Html>>;
  left: (endpoint: string) => string;
};

/** About an identity that goes to another Telegram account: its handle, when, and the number of the join. */
type JoinText = (handle: string, time: string, id: number) => Html;

const EN: Texts = {
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
  moveFailed: 'Your identity could not be moved to another PDS. It works as before, where it was.',
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
  joined: (handle) => html`<b>${handle}</b> belongs to this Telegram account now.`,
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
};

const ES: Texts = {
  commands: {
    start: 'Crear mi identidad e iniciar sesión',
    identity: 'Mostrar mi nombre y mi DID',
    status: 'Mostrar cómo está mi identidad',
    retry: 'Volver a intentar lo que falló',
    login: 'Recibir un enlace para iniciar sesión',
    help: 'Mostrar qué puede hacer este bot',
  },
  help: 'Este bot te da una identidad en el protocolo AT y guarda sus claves a salvo.',
  stranger: 'Aún no tienes una identidad aquí. Escribe /start para tenerla.',
  welcome: '¡Te damos la bienvenida!',
  link: 'El botón inicia tu sesión en un navegador: una vez y en 10 minutos. No se lo pases a nadie.',
  linkButton: 'Iniciar sesión',
  handle: 'Nombre',
  unnamed: 'Aún no tiene nombre.',
  state: {
    active: 'Tu identidad está activa.',
    revoked:
      'Tu identidad está apagada: su cuenta está desactivada. No se pierde nada de ella y puedes recuperarla.',
    disabled: 'Tu identidad espera: ahora mismo no se crea ninguna. Se creará por sí sola más tarde.',
  },
  pending: (step, of, done) =>
    `Tu identidad se está creando (${step}/${of}): ${done}. Pregunta /status dentro de un momento.`,
  // The reason is stored in English: its code is what an administrator needs.
  failed: ({ code }) =>
    html`Tu identidad no se pudo crear (<code>${code}</code>).\nEscribe /retry para volver a intentarlo. Si no sirve, avisa a los administradores y dales este código.`,
  steps: {
    requested: 'espera su turno',
    reserved: 'ya tiene nombre y claves',
    account_created: 'la cuenta ya existe',
    identity_published: 'su documento DID está publicado',
    activated: 'la cuenta está activa',
    secured: 'todo está hecho',
  },
  checked: {
    accessible: 'La última comprobación llegó a la cuenta.',
    inaccessible: 'La última comprobación no llegó a la cuenta; se repite por sí sola.',
    unknown: 'Aún no se ha comprobado.',
  },
  ready: 'Tu identidad está lista, y es tuya.',
  moved:
    'Tu identidad se ha mudado a otro PDS, con todo lo que has escrito. Las aplicaciones en las que tenías la sesión abierta te la pedirán de nuevo, y las contraseñas de aplicación hay que crearlas otra vez.',
  moveFailed: 'Tu identidad no se pudo mudar a otro PDS. Funciona como antes, donde estaba.',
  renamed:
    'Tienes otro nombre. El anterior seguirá llevando a ti unos días más y durante 90 días no será de nadie más.',
  cameBack: 'Tu identidad está de vuelta.',
  // As above: the reason is in English.
  changeFailed: ({ code }) =>
    html`Lo que pediste no se pudo hacer (<code>${code}</code>) y tu identidad está como antes. Si no sabes por qué, avisa a los administradores y dales este código.`,
  retried: 'Se está intentando de nuevo.',
  nothingToRetry: 'No hay nada que volver a intentar.',
  tooOften: (minutes) =>
    `Demasiado seguido. Vuelve a intentarlo dentro de ${minutes === 1 ? 'un minuto' : `${minutes} minutos`}.`,
  unnamedIdentity: 'tu identidad',
  deletion: (handle, time) =>
    html`Nos pediste borrar <b>${handle}</b> para siempre. Empieza el ${time}; hasta entonces puedes cancelarlo en /api/pds/changes. Si no fuiste tú, cancélalo ahora y cierra todas tus sesiones.`,
  join_asked: (handle, _, id) =>
    html`Un administrador ha pedido que <b>${handle}</b> pase a otra cuenta de Telegram (unión ${id}). Si lo quieres, acéptalo; si no sabes nada de ello, recházalo: /api/pds/joins.`,
  join_due: (handle, time, id) =>
    html`<b>${handle}</b> pasa a otra cuenta de Telegram el ${time} (unión ${id}). Hasta entonces puedes rechazarlo: /api/pds/joins.`,
  joined: (handle) => html`<b>${handle}</b> pertenece ahora a esta cuenta de Telegram.`,
  parted: (handle) => html`<b>${handle}</b> pertenece ahora a otra cuenta de Telegram, como se acordó.`,
  recoveryKey: (at) =>
    at === ''
      ? 'Se cambió tu clave de recuperación, o la que iba a sustituirla. Si no fuiste tú, inicia sesión ahora, cierra tus otras sesiones y quita la clave.'
      : `El ${at} otra clave sustituirá a tu clave de recuperación, o se quitará. Si no fuiste tú, inicia sesión y detenlo antes.`,
  byKey: 'Lo pidió tu clave de recuperación, y solo ella puede anularlo (cuando ya es de confianza).',
  bySession:
    'Si no fuiste tú, inicia sesión y anúlalo en «changes»; tu clave de recuperación también puede hacerlo.',
  leaving: {
    requested: ({ endpoint, at, by }) => html`Tu identidad pasará a ${endpoint} el ${at}. ${by}`,
    tomorrow: ({ endpoint, at, by }) =>
      html`El ${at} tu identidad pasa a ${endpoint}. Ten allí tu repositorio antes. ${by}`,
    waiting: ({ endpoint, at, why }) =>
      html`Tu identidad aún no puede pasar a ${endpoint} (<code>${why ?? ''}</code>). Lo miramos cada hora; si sigue así el ${at}, todo queda como está.`,
    left: ({ endpoint }) =>
      html`Tu identidad ya pasó: su documento nombra ${endpoint} y tu clave allí. Activa ahora la cuenta allí y escribe algo. Seguimos sirviendo el documento.`,
    failed: ({ endpoint, why }) =>
      html`Tu identidad no pasó a ${endpoint} (<code>${why ?? ''}</code>). Funciona como antes.`,
    switched_off: ({ endpoint, why }) =>
      html`Tu identidad no pasó a ${endpoint} (<code>${why ?? ''}</code>), y su propio PDS no vuelve a abrir su cuenta: está apagada. No se pierde nada de ella y puedes recuperarla cuando ese PDS responda.`,
    cancelled: ({ endpoint }) => html`Tu identidad no pasa a ${endpoint}: eso se anuló.`,
  },
  left: (endpoint) => `Te has ido a ${endpoint}. Seguimos sirviendo el documento de tu identidad.`,
};

export const TEXTS: Readonly<Record<Language, Texts>> = { en: EN, es: ES };
