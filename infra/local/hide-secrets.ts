/** A log that never shows any of these values. */
export function hideSecrets(
  secrets: readonly string[],
  log: (source: string, line: string) => void,
): (source: string, line: string) => void {
  return (source, line) => {
    const hidden = secrets.reduce((text, secret) => text.replaceAll(secret, '[secret]'), line);
    log(source, hidden);
  };
}
