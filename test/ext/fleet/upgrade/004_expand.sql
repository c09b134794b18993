-- Layout 4, of the tests: a batch says which version wrote it. Older hubs leave that open.

ALTER TABLE nexus.log ADD COLUMN version text;

CREATE OR REPLACE FUNCTION nexus.commit_2(p_owner uuid, p_fence bigint, p_epoch uuid, p_id uuid, p_after bigint, p_writes bytea, p_version text)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  current_epoch uuid;
  newest record;
BEGIN
  PERFORM nexus.guard_1();
  SELECT epoch INTO current_epoch FROM nexus.head FOR UPDATE;
  IF current_epoch IS NULL OR current_epoch IS DISTINCT FROM p_epoch THEN RETURN 'epoch'; END IF;
  IF NOT nexus.leads_1(p_owner, p_fence) THEN RETURN 'fenced'; END IF;
  SELECT position, id INTO newest FROM nexus.log ORDER BY position DESC LIMIT 1;
  IF newest.id = p_id THEN
    IF newest.position IS DISTINCT FROM p_after + 1 THEN RETURN 'diverged'; END IF;
    UPDATE nexus.log SET at = clock_timestamp() WHERE position = newest.position;
    RETURN 'ok';
  END IF;
  IF newest.position IS NULL OR newest.position IS DISTINCT FROM p_after THEN RETURN 'diverged'; END IF;
  INSERT INTO nexus.log (position, id, fence, at, writes, version) VALUES (p_after + 1, p_id, p_fence, clock_timestamp(), p_writes, p_version);
  PERFORM pg_notify('nexus', '');
  RETURN 'ok';
END $$;

-- What older hubs call goes on, in words of the new one.
CREATE OR REPLACE FUNCTION nexus.commit_1(p_owner uuid, p_fence bigint, p_epoch uuid, p_id uuid, p_after bigint, p_writes bytea)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN nexus.commit_2(p_owner, p_fence, p_epoch, p_id, p_after, p_writes, NULL);
END $$;

-- A hub says more of itself.
ALTER TABLE nexus.member ADD COLUMN zone text NOT NULL DEFAULT '';

CREATE OR REPLACE FUNCTION nexus.heartbeat_2(p_owner uuid, p_address text, p_version text, p_layout integer, p_key_ids text[], p_applied bigint, p_zone text)
RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
  PERFORM nexus.guard_1();
  INSERT INTO nexus.member (owner, address, version, layout, key_ids, applied, seen_at, zone)
    VALUES (p_owner, p_address, p_version, p_layout, p_key_ids, p_applied, clock_timestamp(), p_zone)
    ON CONFLICT (owner) DO UPDATE SET address = excluded.address, version = excluded.version, layout = excluded.layout,
      key_ids = excluded.key_ids, applied = excluded.applied, seen_at = excluded.seen_at, zone = excluded.zone;
  RETURN clock_timestamp();
END $$;
