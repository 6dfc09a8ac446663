-- The newest signed root of the audit log with what is under it, so that a member's download can prove that his chain
-- is. It is a copy: the roots that count lie in the bucket, where nobody can change them, and what is made of this one
-- proves itself by its signature. lib/audit/inclusion.ts says how it is laid out.
CREATE TABLE audit_roots (
  created_at timestamptz PRIMARY KEY,
  statement  jsonb       NOT NULL,                  -- what is signed
  signature  jsonb       NOT NULL
);

-- The heads in blocks, in the order of the tree: to prove one it takes its own block, and the hashes of the others.
CREATE TABLE audit_root_blocks (
  sealed_at  timestamptz NOT NULL REFERENCES audit_roots (created_at) ON DELETE CASCADE,
  block      integer     NOT NULL CHECK (block >= 0),
  first_leaf integer     NOT NULL CHECK (first_leaf >= 0),  -- the place of its first head in the tree
  first_uuid uuid        NOT NULL,                          -- and whose it is: heads are sorted by pnptv_uuid
  hash       bytea       NOT NULL CHECK (octet_length(hash) = 32),
  heads      jsonb       NOT NULL,
  PRIMARY KEY (sealed_at, block)
);
CREATE INDEX audit_root_blocks_by_member ON audit_root_blocks (sealed_at, first_uuid);

GRANT SELECT ON audit_roots, audit_root_blocks TO pds_api, pds_worker;
GRANT INSERT ON audit_roots, audit_root_blocks TO pds_worker;
-- Of older ones; their blocks go with them.
GRANT DELETE ON audit_roots TO pds_worker;
