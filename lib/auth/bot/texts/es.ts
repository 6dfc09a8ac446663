import { html } from '../../../docs/html.ts';
import type { Texts } from '../texts.ts';

export const ES: Texts = {
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
  // As above: the reason is in English.
  moveFailed: ({ code }) =>
    html`Tu identidad no se pudo mudar a otro PDS (<code>${code}</code>). Funciona como antes, donde estaba.`,
  moveNotTakenBack: ({ code }) =>
    html`Tu identidad no se pudo mudar a otro PDS (<code>${code}</code>) y ahora no se puede usar, porque tu PDS no activa tu cuenta. Cuando lo haga, desactiva tu identidad y vuelve a activarla. Si no vuelve, avisa a los administradores antes de 30 días y dales este código.`,
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
  join_off: (handle, _, id) =>
    html`<b>${handle}</b> no pasa a otra cuenta de Telegram: la unión ${id} se canceló o no se aceptó a tiempo. Todo sigue como está.`,
  joined: (handle) =>
    html`<b>${handle}</b> pertenece ahora a esta cuenta de Telegram. Sus claves se renuevan; las contraseñas de aplicación siguen hasta que las anules: /api/pds/app-passwords.`,
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
  export: {
    ready: (megabytes, until) =>
      `Tu exportación está lista (${megabytes} MB) y se puede descargar hasta el ${until}: /api/pds/exports. Si no la pediste tú, inicia sesión ahora y cierra tus otras sesiones.`,
    withoutRepository: 'Tu repositorio no está en ella: tu PDS no lo entregó.',
    // As above: the reason is in English.
    failed: ({ code }) =>
      html`Tu exportación no se pudo hacer (<code>${code}</code>). Pídela otra vez; si no sirve, avisa a los administradores y dales este código.`,
    expired: 'Tu exportación ya no se guarda, como se anunció. Pide otra cuando quieras.',
  },
};
