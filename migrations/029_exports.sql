-- What members take with them: an archive each, made by the worker that changes identities and kept in a bucket for some
-- days. No change of an identity, so it has a table of its own; the queue carries it all the same.
CREATE TABLE pds_exports (
  id                 bigserial    PRIMARY KEY,
  user_id            varchar(255) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  pnptv_uuid         uuid         NOT NULL,
  contents           text         NOT NULL CHECK (contents IN ('data', 'data_and_keys')),
  step               text         NOT NULL DEFAULT 'requested' CHECK (step IN ('requested', 'blobs', 'repository', 'sealed')),
  keys_jwe           text,                                    -- encrypted under a code that nobody has but the member
  credential_version integer,                                 -- of the keys in it
  storage_id         uuid         NOT NULL DEFAULT gen_random_uuid(),  -- the name of its objects in the bucket
  upload_id          text,                                    -- the multipart upload that it grows in
  parts              jsonb        NOT NULL DEFAULT '[]',      -- their ETags, in order
  tail               uuid,                                    -- the object that holds what fills no part yet
  size               bigint       NOT NULL DEFAULT 0,         -- bytes, parts and tail together
  progress           jsonb        NOT NULL DEFAULT '{}',      -- what it has found out on its way; never a secret
  created_at         timestamptz  NOT NULL DEFAULT now(),
  updated_at         timestamptz  NOT NULL DEFAULT now(),
  ended_at           timestamptz,
  outcome            text         CHECK (outcome IN ('ready', 'failed')),
  error_code         text,
  error_message      text,
  expires_at         timestamptz  NOT NULL DEFAULT now() + interval '7 days',
  CHECK ((ended_at IS NULL) = (outcome IS NULL)),
  CONSTRAINT keys_of_a_version CHECK ((keys_jwe IS NULL) OR (credential_version IS NOT NULL)),
  CONSTRAINT over_without_keys CHECK (ended_at IS NULL OR keys_jwe IS NULL)
);
CREATE TRIGGER pds_exports_updated BEFORE UPDATE ON pds_exports FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE UNIQUE INDEX one_open_export_per_member ON pds_exports (user_id) WHERE ended_at IS NULL;
CREATE INDEX pds_exports_by_user ON pds_exports (user_id, id DESC);
CREATE INDEX pds_exports_expired ON pds_exports (expires_at);

-- What is in an archive so far, for its manifest.
CREATE TABLE pds_export_entries (
  export_id bigint  NOT NULL REFERENCES pds_exports (id) ON DELETE CASCADE,
  place     integer NOT NULL,
  name      text    NOT NULL,
  size      bigint  NOT NULL,
  sha256    text    NOT NULL,
  PRIMARY KEY (export_id, place),
  UNIQUE (export_id, name)
);

-- What still lies in the bucket of an export whose row is gone, whoever deleted that: the clean-up takes it away.
CREATE TABLE pds_export_remains (
  storage_id uuid        PRIMARY KEY,
  upload_id  text,
  tail       uuid,
  since      timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION pds_exports_leave_remains() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO public.pds_export_remains (storage_id, upload_id, tail) VALUES (OLD.storage_id, OLD.upload_id, OLD.tail);
  RETURN OLD;
END $$;
REVOKE ALL ON FUNCTION pds_exports_leave_remains() FROM PUBLIC;
CREATE TRIGGER pds_exports_deleted AFTER DELETE ON pds_exports FOR EACH ROW EXECUTE FUNCTION pds_exports_leave_remains();

GRANT SELECT, INSERT ON pds_exports TO pds_api;
GRANT USAGE ON SEQUENCE pds_exports_id_seq TO pds_api;
GRANT SELECT, UPDATE, DELETE ON pds_exports TO pds_worker;
GRANT SELECT, INSERT, DELETE ON pds_export_entries TO pds_worker;
GRANT SELECT, UPDATE, DELETE ON pds_export_remains TO pds_worker;
