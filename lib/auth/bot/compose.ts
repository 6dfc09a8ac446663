import { type Html, html } from '../../docs/html.ts';
import { describeNotices } from '../../operators/describe.ts';
import { identityInfo } from '../../pds/api.ts';
import type { Language } from '../language.ts';
import type { ExportNews, Facts, Leaving, Saying } from './outbox.ts';
import type { Outgoing } from './send.ts';
import { TEXTS } from './texts.ts';

type Said = { language: Language } & Saying;
type Parts = (Html | string | undefined)[];

const STEPS = identityInfo.shape.provisioning_step.options;

/** Whether a message of this kind carries a login link. */
export function hasLink({ kind }: Saying): boolean {
  return kind === 'welcome' || kind === 'login';
}

/**
 * A message as Telegram gets it, in the language of its reader: https://core.telegram.org/bots/api#html-style. `link` is
 * for the kinds that have one. Undefined for a kind that this version does not know.
 */
export function compose(said: Said, link?: string): Outgoing | undefined {
  const parts = partsOf(said);
  if (parts === undefined) return undefined;
  const { link: about, linkButton } = TEXTS[said.language];
  const paragraphs = [...parts, link === undefined ? undefined : about].filter((part) => part !== undefined);
  const text = paragraphs.map((part) => html`${part}`.markup).join('\n\n');
  return { text, ...(link !== undefined && { button: { text: linkButton, url: link } }) };
}

function partsOf({ language, ...saying }: Said): Parts | undefined {
  const texts = TEXTS[language];
  switch (saying.kind) {
    case 'welcome':
      return [texts.welcome, state(texts, saying.details), names(texts, saying.details)];
    case 'identity':
      return [names(texts, saying.details) ?? texts.unnamed, state(texts, saying.details)];
    case 'status':
      return [state(texts, saying.details), checked(texts, saying.details)];
    case 'retried': {
      const settled = saying.details.status === 'active' || saying.details.status === 'revoked';
      return [settled ? texts.nothingToRetry : texts.retried, state(texts, saying.details)];
    }
    case 'ready':
      return [texts.ready, names(texts, saying.details)];
    case 'failed':
      return [state(texts, saying.details)];
    case 'deletion':
      return [
        texts.deletion(saying.details.pds_handle ?? texts.unnamedIdentity, timeOf(saying.details.due_at)),
      ];
    case 'join_asked':
    case 'join_due':
    case 'join_off':
    case 'joined':
    case 'parted': {
      const { join_id: id, pds_handle: handle, due_at: due } = saying.details;
      return [texts[saying.kind](handle ?? texts.unnamedIdentity, due === null ? '' : timeOf(due), id)];
    }
    case 'recovery_key':
      return [texts.recoveryKey(saying.details.at === null ? '' : timeOf(saying.details.at))];
    case 'leaving':
      return [leaving(texts, saying.details)];
    case 'export':
      return [exported(texts, saying.details)];
    case 'moved':
      return [texts.moved, names(texts, saying.details)];
    case 'move_failed':
      return [moveFailed(texts, saying.details.error), names(texts, saying.details)];
    case 'renamed':
      return [texts.renamed, names(texts, saying.details)];
    case 'revoked':
      return [state(texts, saying.details)];
    case 'came_back':
      return [texts.cameBack, names(texts, saying.details)];
    case 'change_failed':
      return [texts.changeFailed(saying.details.error ?? { code: '', message: '' })];
    case 'operators':
      return describeNotices(saying.details);
    case 'too_often':
      return [texts.tooOften(Math.ceil(saying.details.seconds / 60))];
    case 'login':
      return [];
    case 'stranger':
      return [texts.stranger];
    case 'help':
      return [texts.help, commands(texts)];
    default:
      return undefined;
  }
}
type Texts = (typeof TEXTS)['en'];

/** A message of before has no reason with it. */
function moveFailed(texts: Texts, error: Facts['error']): Html {
  const why = error ?? { code: 'MOVE_FAILED', message: '' };
  return why.code === 'MOVE_NOT_TAKEN_BACK' ? texts.moveNotTakenBack(why) : texts.moveFailed(why);
}

function leaving(texts: Texts, { event, endpoint, by_key, at, why }: Leaving): Html {
  return texts.leaving[event]({
    endpoint,
    at: at === null ? '' : timeOf(at),
    by: by_key ? texts.byKey : texts.bySession,
    why,
  });
}

function exported({ export: texts }: Texts, news: ExportNews): Html | string {
  if (news.event === 'expired') return texts.expired;
  if (news.event === 'failed') return texts.failed(news.error);
  const ready = texts.ready(Math.ceil(news.bytes / 1e6), timeOf(news.until));
  return news.without_repository ? `${ready} ${texts.withoutRepository}` : ready;
}

function state(
  texts: Texts,
  { status, provisioning_step: step, error, left_at, pds_endpoint }: Facts,
): Html | string {
  if (left_at) return texts.left(pds_endpoint ?? '');
  if (status === 'error') return texts.failed(error ?? { code: '', message: '' });
  if (status !== 'pending') return texts.state[status];
  // The last step that is done, of those after the request.
  return texts.pending(STEPS.indexOf(step), STEPS.length - 1, texts.steps[step]);
}

function names(
  texts: Texts,
  { pds_handle: handle, pds_did: did, pds_endpoint: pds }: Facts,
): Html | undefined {
  if (handle === null || did === null) return undefined;
  const lines = html`${texts.handle}: <b>${handle}</b>\nDID: <code>${did}</code>`;
  return pds === null ? lines : html`${lines}\nPDS: ${pds}`;
}

function timeOf(iso: string): string {
  return `${iso.slice(0, 16).replace('T', ' ')} UTC`;
}

function checked(texts: Texts, { status, verification_status: last }: Facts): string | undefined {
  return status === 'active' ? texts.checked[last] : undefined;
}

function commands({ commands: all }: Texts): Html {
  const lines = Object.entries(all).map(
    ([name, means], index) => html`${index === 0 ? '' : '\n'}/${name}: ${means}`,
  );
  return html`${lines}`;
}
