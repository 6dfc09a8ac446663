-- The queue table is the truth; SQS only carries {queueId}.

CREATE TABLE pds_provisioning_queue (
  id            bigserial PRIMARY KEY,
  user_id       varchar(255) NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
  pnptv_uuid    uuid         NOT NULL,
  action        varchar(100) NOT NULL CHECK (action IN ('create', 'verify', 'rotate_keys', 'retry')),
  attempt_count integer      NOT NULL DEFAULT 0,
  max_attempts  integer      NOT NULL DEFAULT 3,
  next_retry    timestamptz  NOT NULL DEFAULT now(),
  error_details jsonb,
  status        varchar(50)  NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'processing', 'completed', 'failed')),
  created_at    timestamptz  NOT NULL DEFAULT now(),
  updated_at    timestamptz  NOT NULL DEFAULT now(),
  claims        integer      NOT NULL DEFAULT 0,    -- counts every claim: a row claimed too often is dead, however it was re-sent
  sent_at       timestamptz,                        -- when SendMessage last succeeded
  parked_reason text                                -- why it waits without having spent an attempt
);
CREATE TRIGGER pds_provisioning_queue_updated BEFORE UPDATE ON pds_provisioning_queue FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE UNIQUE INDEX one_open_row_per_member_and_action ON pds_provisioning_queue (user_id, action) WHERE status IN ('pending', 'processing');
CREATE INDEX pds_provisioning_queue_due ON pds_provisioning_queue (next_retry) WHERE status IN ('pending', 'processing');

CREATE TABLE dead_letters (
  id            bigserial PRIMARY KEY,
  queue_id      bigint       REFERENCES pds_provisioning_queue (id) ON DELETE SET NULL,
  user_id       varchar(255),
  source_queue  text         NOT NULL,
  message_id    text         NOT NULL UNIQUE,       -- a redelivered dead letter is written once
  message_body  text         NOT NULL,
  receive_count integer      NOT NULL,
  reason        text         NOT NULL,
  created_at    timestamptz  NOT NULL DEFAULT now(),
  redriven_at   timestamptz,
  redriven_by   varchar(255)
);
CREATE INDEX dead_letters_open ON dead_letters (created_at) WHERE redriven_at IS NULL;
