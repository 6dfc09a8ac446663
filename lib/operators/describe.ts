import { NOTICES, type NoticeText } from './notices.ts';

/** Notices of one kind, in one message. */
export type NoticeGroup = {
  kind: string;
  /** The first few. */
  subjects: readonly string[];
  subject_count: number;
  /** When the first of them was noted: ISO 8601. */
  since: string;
  /** Operators heard of this kind within a day before. */
  is_more: boolean;
};

/** A newer version knows it; this one tells at least that it happened. */
const UNKNOWN: NoticeText = {
  means: 'Something happened for which this version has no words.',
  todo: 'Look for its kind in lib/operators/notices.ts of the newest version.',
  see: 'Who is told what',
};

/** A message to operators in plain text, a paragraph each: what happened, how many since when, what to do, where to look. */
export function describeNotices({ kind, subjects, subject_count, since, is_more }: NoticeGroup): string[] {
  const { means, todo, see } = textOf(kind);
  const others = subject_count - subjects.length;
  const about = `${subjects.join(', ')}${others > 0 ? ` and ${others} others` : ''}`;
  const time = since.slice(0, 16).replace('T', ' ');
  return [
    means,
    `${subject_count}${is_more ? ' more' : ''} since ${time} UTC: ${about}`,
    `What to do: ${todo}`,
    `Where to look: README, “${see}”. (${kind})`,
  ];
}

function textOf(kind: string): NoticeText {
  return Object.hasOwn(NOTICES, kind) ? NOTICES[kind as keyof typeof NOTICES] : UNKNOWN;
}
