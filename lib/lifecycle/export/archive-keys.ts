type Stored = { storage_id: string };

/** The object that an archive is. */
export function archiveKey({ storage_id }: Stored): string {
  return `${storage_id}/archive.tar`;
}

/** What fills no part yet when an export is stored: each time under a name that no other worker knows. */
export function tailKey({ storage_id }: Stored, tail: string): string {
  return `${storage_id}/tail-${tail}`;
}
