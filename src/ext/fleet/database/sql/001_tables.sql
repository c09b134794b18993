-- Layout 1: the tables of a fleet. They hold what the LMDB of each hub holds, as bytes: sealed, and of no meaning here.

CREATE TABLE nexus.layout (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  layout integer NOT NULL,      -- of these tables and functions
  min_layout integer NOT NULL   -- the oldest one that a hub may know
);

-- Seldom written: its row lock is the order of all commits.
CREATE TABLE nexus.head (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  database_id uuid NOT NULL,
  epoch uuid NOT NULL,
  fence bigint NOT NULL         -- the newest one that was ever given
);

CREATE TABLE nexus.lease (
  name text PRIMARY KEY,
  owner uuid NOT NULL,
  fence bigint NOT NULL,
  until timestamptz NOT NULL,
  duration interval NOT NULL,   -- what it was asked for: tells a time of another clock
  address text NOT NULL
) WITH (fillfactor = 30);

CREATE TABLE nexus.member (
  owner uuid PRIMARY KEY,
  address text NOT NULL,
  version text NOT NULL,
  layout integer NOT NULL,
  key_ids text[] NOT NULL,
  applied bigint NOT NULL,
  seen_at timestamptz NOT NULL
) WITH (fillfactor = 30);

-- Append-only. Positions have no gaps: each is dealt under the lock of the head, and visible before the next one is dealt.
CREATE TABLE nexus.log (
  position bigint PRIMARY KEY,
  id uuid NOT NULL,
  fence bigint NOT NULL,
  at timestamptz NOT NULL,
  writes bytea NOT NULL         -- a message nexus.store.v1.LogBatch
);

-- The image of all writes up to a position of the log, for first copies. Beyond it lies what the log still holds.
CREATE TABLE nexus.image (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  position bigint NOT NULL
) WITH (fillfactor = 30);

CREATE TABLE nexus.entry (
  database text COLLATE "C" NOT NULL,
  key bytea NOT NULL,
  value bytea NOT NULL,
  PRIMARY KEY (database, key)
) WITH (fillfactor = 80);

-- What providers answered a hub that led no more, as its spool file holds it: sealed. It waits here for the hub that leads.
CREATE TABLE nexus.spool (
  digest bytea PRIMARY KEY,     -- SHA-256 of the token set: the same one comes once
  at timestamptz NOT NULL,
  token_set bytea NOT NULL      -- a message nexus.store.v1.SpoolRecord
);
