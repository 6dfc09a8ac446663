/** What a human reads who opens the archive, perhaps years later. */
export function readmeText({
  did,
  handle,
  contents,
}: {
  did: string;
  handle: string;
  contents: string;
}): string {
  return `This is everything that belongs to an AT Protocol identity.

  DID     ${did}
  handle  @${handle}

  repo.car          your repository: all records, as a CAR file (https://ipld.io/specs/transport/car/carv1/)
  blobs/<cid>       the images, videos and other files that your records name, each under its CID
  preferences.json  your preferences, as your PDS keeps them
  did.json          your DID document (of a did:web)
  plc-log.json      the log of your DID, as the PLC directory has it (of a did:plc)
  account.json      who is who: DID, handle, PDS, public keys
  audit-log.json    what was done to your identity, and the proof that nothing of it was changed
${
  contents === 'data_and_keys'
    ? `  keys.jwe          your keys and the password of your account, encrypted under the code that you were shown once
                    (JWE, PBES2-HS512+A256KW and A256GCM: any JOSE library opens it)
`
    : ''
}  manifest.json     all of these with size and SHA-256, signed

What is not in here, and why, stands in manifest.json under "left_out" and "missing_blobs".

To see whether it is complete and as it was made:

  npm run export:verify -- FILE

With repo.car and the blobs another PDS takes you in: com.atproto.repo.importRepo, then uploadBlob for each blob.
https://atproto.com/guides/account-migration
`;
}
