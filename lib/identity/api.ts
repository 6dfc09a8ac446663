import { contract } from '../http/contract.ts';

/** did:web resolution: https://w3c-ccg.github.io/did-method-web/#read-resolve. Answers the bare document. */
export const didJson = contract({
  operationId: 'didJson',
  summary: "The DID document of the member whose DID's host this is",
  method: 'GET',
  path: '/.well-known/did.json',
  access: 'public',
  host: 'member',
  bare: {
    contentType: 'application/json',
    example: {
      '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
      id: 'did:web:alice-nf5wn3.pnptv.example',
    },
  },
  errors: ['HOST_UNKNOWN'],
});

/** Handle resolution over HTTPS: https://atproto.com/specs/handle#https-well-known-method. Answers the bare DID. */
export const atprotoDid = contract({
  operationId: 'atprotoDid',
  summary: 'The DID of the member whose handle this host is',
  method: 'GET',
  path: '/.well-known/atproto-did',
  access: 'public',
  host: 'member',
  bare: { contentType: 'text/plain', example: 'did:web:alice-nf5wn3.pnptv.example' },
  errors: ['HOST_UNKNOWN'],
});
