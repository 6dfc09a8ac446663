-- The audit log: append-only, one hash chain per member, erasable without breaking the chain.
-- lib/audit/canonical.ts defines what is hashed; this file sees to it that a row, once written, stays.

-- One key per member. The chain covers HMACs under it (commitments) instead of the member's personal data.
-- Erasing the member destroys the key: what stays proves nothing about him, and the chain still verifies.
CREATE TABLE pds_erasure_keys (
  pnptv_uuid  uuid PRIMARY KEY,
  erasure_key bytea CHECK (octet_length(erasure_key) = 32),
  created_at  timestamptz NOT NULL DEFAULT now(),
  erased_at   timestamptz,
  CHECK ((erasure_key IS NULL) = (erased_at IS NOT NULL))
);

CREATE TABLE pds_provisioning_log (
  id            bigserial PRIMARY KEY,
  user_id       varchar(255) REFERENCES users (id) ON DELETE RESTRICT,  -- null: erased
  pnptv_uuid    uuid         NOT NULL,
  action        varchar(100) NOT NULL,
  status        varchar(50)  NOT NULL CHECK (status IN ('success', 'failed', 'pending')),
  details       jsonb,
  error_code    varchar(100),
  error_message text,
  created_by    varchar(255),                       -- a user id or 'system'; null: the member himself, erased
  created_at    timestamptz  NOT NULL DEFAULT clock_timestamp(),

  seq                      bigint NOT NULL CHECK (seq > 0),
  prev_hash                bytea  NOT NULL CHECK (octet_length(prev_hash) = 32),
  row_hash                 bytea  NOT NULL CHECK (octet_length(row_hash) = 32),
  user_id_commitment       bytea  NOT NULL CHECK (octet_length(user_id_commitment) = 32),
  details_commitment       bytea  NOT NULL CHECK (octet_length(details_commitment) = 32),
  error_message_commitment bytea  NOT NULL CHECK (octet_length(error_message_commitment) = 32),
  UNIQUE (pnptv_uuid, seq)
);
CREATE INDEX pds_provisioning_log_by_user ON pds_provisioning_log (user_id, seq DESC);

-- A row may only be put at the end of its chain, and at the time it is. Stops whoever holds the app role from
-- starting a second chain or writing history; what is inside the hash only the verifier checks.
CREATE FUNCTION pds_provisioning_log_insert() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  head record;
BEGIN
  SELECT seq, row_hash INTO head FROM public.pds_provisioning_log
    WHERE pnptv_uuid = NEW.pnptv_uuid ORDER BY seq DESC LIMIT 1;
  IF NEW.seq <> coalesce(head.seq, 0) + 1
    OR NEW.prev_hash <> coalesce(head.row_hash, decode(repeat('00', 32), 'hex')) THEN
    RAISE EXCEPTION 'pds_provisioning_log: row % does not follow the end of its chain', NEW.seq
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF abs(extract(epoch FROM NEW.created_at - clock_timestamp())) > 300 THEN
    RAISE EXCEPTION 'pds_provisioning_log: created_at is not now' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF NEW.user_id IS NULL OR NEW.created_by IS NULL OR NOT EXISTS (
    SELECT FROM public.pds_erasure_keys WHERE pnptv_uuid = NEW.pnptv_uuid AND erasure_key IS NOT NULL) THEN
    RAISE EXCEPTION 'pds_provisioning_log: the member is erased or unnamed' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;

-- The one change a row can see is being emptied of personal data, and only when the key to it is gone already.
-- Nobody can switch this on: there is no flag to set, only a key to destroy, and erase_member alone does that.
CREATE FUNCTION pds_provisioning_log_update() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  emptied public.pds_provisioning_log := OLD;
BEGIN
  emptied.user_id := NULL;
  emptied.details := NULL;
  emptied.error_message := NULL;
  emptied.created_by := nullif(OLD.created_by, OLD.user_id);
  IF NEW IS DISTINCT FROM emptied OR NOT EXISTS (
    SELECT FROM public.pds_erasure_keys WHERE pnptv_uuid = OLD.pnptv_uuid AND erasure_key IS NULL) THEN
    RAISE EXCEPTION 'pds_provisioning_log is append-only' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% does not allow %', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;

-- A key is made once and destroyed once; in between it does not change, and its row stays for ever.
CREATE FUNCTION pds_erasure_keys_update() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF OLD.erasure_key IS NULL OR NEW.erasure_key IS NOT NULL
    OR NEW.pnptv_uuid <> OLD.pnptv_uuid OR NEW.created_at <> OLD.created_at THEN
    RAISE EXCEPTION 'pds_erasure_keys: a key can only be destroyed' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER appended BEFORE INSERT ON pds_provisioning_log FOR EACH ROW EXECUTE FUNCTION pds_provisioning_log_insert();
CREATE TRIGGER emptied BEFORE UPDATE ON pds_provisioning_log FOR EACH ROW EXECUTE FUNCTION pds_provisioning_log_update();
CREATE TRIGGER never_deleted BEFORE DELETE ON pds_provisioning_log FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON pds_provisioning_log FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER destroyed BEFORE UPDATE ON pds_erasure_keys FOR EACH ROW EXECUTE FUNCTION pds_erasure_keys_update();
CREATE TRIGGER never_deleted BEFORE DELETE ON pds_erasure_keys FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON pds_erasure_keys FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- ALWAYS: session_replication_role = replica does not pass them by.
ALTER TABLE pds_provisioning_log ENABLE ALWAYS TRIGGER appended;
ALTER TABLE pds_provisioning_log ENABLE ALWAYS TRIGGER emptied;
ALTER TABLE pds_provisioning_log ENABLE ALWAYS TRIGGER never_deleted;
ALTER TABLE pds_provisioning_log ENABLE ALWAYS TRIGGER never_truncated;
ALTER TABLE pds_erasure_keys ENABLE ALWAYS TRIGGER destroyed;
ALTER TABLE pds_erasure_keys ENABLE ALWAYS TRIGGER never_deleted;
ALTER TABLE pds_erasure_keys ENABLE ALWAYS TRIGGER never_truncated;

-- Erases a member from the log and returns the number of rows emptied. It demands that the newest row of his
-- chain says `erased` and was written in this very transaction: no erasure without its own entry, and no entry
-- after it. lib/audit/erase.ts does both. Row versions from before stay in backups and WAL until those expire.
CREATE FUNCTION erase_member(member uuid) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  emptied bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('audit:' || member, 0));
  IF NOT EXISTS (
    SELECT FROM (
      SELECT action, xmin FROM public.pds_provisioning_log WHERE pnptv_uuid = member ORDER BY seq DESC LIMIT 1
    ) AS head
    WHERE action = 'erased' AND xmin::text = (pg_current_xact_id()::text::numeric % 4294967296)::text) THEN
    RAISE EXCEPTION 'erase_member: write the entry `erased` first, in this transaction'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  UPDATE public.pds_erasure_keys SET erasure_key = NULL, erased_at = clock_timestamp() WHERE pnptv_uuid = member;
  UPDATE public.pds_provisioning_log
    SET user_id = NULL, details = NULL, error_message = NULL, created_by = nullif(created_by, user_id)
    WHERE pnptv_uuid = member;
  GET DIAGNOSTICS emptied = ROW_COUNT;
  RETURN emptied;
END $$;
REVOKE ALL ON FUNCTION erase_member(uuid) FROM PUBLIC;
