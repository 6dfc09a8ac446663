-- Changes of an identity that exists: its keys, its name, its PDS, its end. A member has one under way at a time, or the
-- two would undo each other's steps. The row says what was wished and how far it is; the queue carries it to a worker.
CREATE TABLE pds_changes (
  id               bigserial    PRIMARY KEY,
  user_id          varchar(255) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  pnptv_uuid       uuid         NOT NULL,
  kind             text         NOT NULL CHECK (kind IN (
    'rotate_keys', 'rename', 'revoke', 'come_back', 'delete', 'join', 'move', 'hand_over')),
  step             text         NOT NULL DEFAULT 'requested',  -- the last step that is done and stored
  wish             jsonb        NOT NULL DEFAULT '{}',         -- what was asked for; never a secret
  progress         jsonb        NOT NULL DEFAULT '{}',         -- what it has found out on its way; never a secret
  sealed           jsonb        NOT NULL DEFAULT '{}',         -- secrets that it has made, each sealed for this row and its name
  data_key_id      uuid         REFERENCES pds_data_keys (id) ON DELETE RESTRICT,  -- under which they are sealed
  requested_by     varchar(255) NOT NULL,                      -- a user id, 'system', or 'recovery_key'
  due_at           timestamptz  NOT NULL DEFAULT now(),        -- nothing of it happens before
  cancel_wanted_at timestamptz,                                -- it has begun: whoever is at it takes back what can be
  created_at       timestamptz  NOT NULL DEFAULT now(),
  updated_at       timestamptz  NOT NULL DEFAULT now(),
  ended_at         timestamptz,
  outcome          text         CHECK (outcome IN ('done', 'cancelled', 'failed')),
  error_code       text,
  error_message    text,
  CHECK ((ended_at IS NULL) = (outcome IS NULL)),
  CONSTRAINT over_without_secrets CHECK (ended_at IS NULL OR sealed = '{}'),
  CONSTRAINT sealed_under_a_key CHECK (sealed = '{}' OR data_key_id IS NOT NULL)
);
CREATE TRIGGER pds_changes_updated BEFORE UPDATE ON pds_changes FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE UNIQUE INDEX one_open_change_per_member ON pds_changes (user_id) WHERE ended_at IS NULL;
CREATE INDEX pds_changes_by_user ON pds_changes (user_id, id DESC);
CREATE INDEX pds_changes_over ON pds_changes (ended_at) WHERE ended_at IS NOT NULL;

GRANT SELECT, INSERT, UPDATE (cancel_wanted_at, ended_at, outcome) ON pds_changes TO pds_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON pds_changes TO pds_worker;
GRANT USAGE ON SEQUENCE pds_changes_id_seq TO pds_api, pds_worker;

-- Work of these kinds goes to a worker of its own (lib/provisioning/queue/queue.ts), and so does an export.
ALTER TABLE pds_provisioning_queue DROP CONSTRAINT pds_provisioning_queue_action_check;
ALTER TABLE pds_provisioning_queue ADD CONSTRAINT pds_provisioning_queue_action_check CHECK (action IN (
  'create', 'verify', 'retry',
  'rotate_keys', 'rename', 'revoke', 'come_back', 'delete', 'join', 'move', 'hand_over', 'export'));
