/** The languages that we speak to people in. */
export type Language = 'en' | 'es';

/** The language of whoever has this IETF language tag, as Telegram says it: `es`, `es-MX`; English for all others. */
export function languageOf(tag: string | undefined): Language {
  return /^es(-|$)/i.test(tag ?? '') ? 'es' : 'en';
}

/** The language that a browser likes better, by its `Accept-Language` header (RFC 9110, 12.5.4). */
export function preferredLanguage(acceptLanguage: string | undefined): Language {
  const liked = (acceptLanguage ?? '')
    .slice(0, 500)
    .split(',')
    .map((part) => /^\s*(en|es)(?:-[\w-]+)?\s*(?:;\s*q=([\d.]+)\s*)?$/i.exec(part))
    .filter((match) => match !== null)
    .map(([, tag, quality = '1']) => ({ language: languageOf(tag), quality: Number(quality) }))
    .filter(({ quality }) => quality > 0)
    .sort((a, b) => b.quality - a.quality);
  return liked[0]?.language ?? 'en';
}
