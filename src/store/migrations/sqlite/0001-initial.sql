-- Instants are Unix milliseconds. Serials, digests and fingerprints are lower-case hexadecimal. JSON is text.
PRAGMA application_id = 0x45564c46;

CREATE TABLE device (
  id TEXT NOT NULL PRIMARY KEY,
  profile TEXT NOT NULL,
  labels TEXT NOT NULL,
  state TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  last_contact_at INTEGER,
  agent_version TEXT,
  last_error TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX device_by_state ON device (state, id);

CREATE TABLE enrolment_token (
  hash TEXT NOT NULL PRIMARY KEY,
  device TEXT NOT NULL,
  profile TEXT NOT NULL,
  labels TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX enrolment_token_by_expiry ON enrolment_token (expires_at);

-- A rowid table: rows are appended, and only the narrow indexes are written at random places.
CREATE TABLE certificate (
  id INTEGER PRIMARY KEY,
  authority TEXT NOT NULL,
  serial TEXT NOT NULL,
  device TEXT,
  profile TEXT,
  source TEXT NOT NULL,
  state TEXT NOT NULL,
  subject TEXT NOT NULL,
  spki_sha256 TEXT NOT NULL,
  not_before INTEGER NOT NULL,
  not_after INTEGER NOT NULL,
  slot INTEGER,
  renewal_opened_at INTEGER,
  predecessor_authority TEXT,
  predecessor_serial TEXT,
  token TEXT,
  issued_at INTEGER NOT NULL,
  delivered_at INTEGER,
  confirmed_at INTEGER,
  superseded_at INTEGER,
  crl_shard INTEGER NOT NULL,
  next_alert_at INTEGER,
  der BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX certificate_by_key ON certificate (authority, serial);
CREATE UNIQUE INDEX certificate_by_predecessor ON certificate (predecessor_authority, predecessor_serial, spki_sha256)
  WHERE predecessor_serial IS NOT NULL;
CREATE UNIQUE INDEX certificate_by_token ON certificate (token, spki_sha256) WHERE token IS NOT NULL;
CREATE INDEX certificate_by_device ON certificate (device, state, issued_at) WHERE device IS NOT NULL;
-- For listings: small beside the certificates, and not written when one is issued.
CREATE INDEX certificate_by_state ON certificate (state, authority, serial) WHERE state NOT IN ('issued', 'confirmed');
CREATE INDEX certificate_by_source ON certificate (source, authority, serial) WHERE source <> 'issued';
-- The sweep reads these three: each holds what may still fall due, and nothing else.
CREATE INDEX certificate_to_renew ON certificate (slot)
  WHERE renewal_opened_at IS NULL AND state IN ('issued', 'delivered', 'confirmed') AND source IN ('issued', 'listener')
    AND slot IS NOT NULL;
CREATE INDEX certificate_to_alert ON certificate (next_alert_at) WHERE next_alert_at IS NOT NULL;
CREATE INDEX certificate_to_expire ON certificate (not_after) WHERE state NOT IN ('expired', 'revoked');
CREATE INDEX certificate_to_prune ON certificate (not_after) WHERE state IN ('expired', 'revoked');

CREATE TABLE certificate_count (state TEXT NOT NULL PRIMARY KEY, total INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO certificate_count (state, total)
VALUES ('issued', 0), ('delivered', 0), ('confirmed', 0), ('superseded', 0), ('revoked', 0), ('expired', 0);
CREATE TRIGGER certificate_inserted AFTER INSERT ON certificate BEGIN
  UPDATE certificate_count SET total = total + 1 WHERE state = NEW.state;
END;
CREATE TRIGGER certificate_changed AFTER UPDATE OF state ON certificate WHEN OLD.state <> NEW.state BEGIN
  UPDATE certificate_count SET total = total - 1 WHERE state = OLD.state;
  UPDATE certificate_count SET total = total + 1 WHERE state = NEW.state;
END;
CREATE TRIGGER certificate_deleted AFTER DELETE ON certificate BEGIN
  UPDATE certificate_count SET total = total - 1 WHERE state = OLD.state;
END;

-- Clustered in the order in which a CRL lists it. `sequence` grows in the order of insertion within a shard.
-- `published_in` is set where the CRL was known at insertion; for all others see revocation_publication.
CREATE TABLE revocation (
  authority TEXT NOT NULL,
  crl_shard INTEGER NOT NULL,
  serial TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  revoked_at INTEGER NOT NULL,
  reason TEXT NOT NULL,
  not_after INTEGER NOT NULL,
  published_in INTEGER,
  PRIMARY KEY (authority, crl_shard, serial)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX revocation_by_key ON revocation (authority, serial);
CREATE INDEX revocation_by_sequence ON revocation (authority, crl_shard, sequence, published_in);
CREATE INDEX revocation_by_expiry ON revocation (authority, crl_shard, not_after);

CREATE TABLE revocation_sequence (
  authority TEXT NOT NULL,
  crl_shard INTEGER NOT NULL,
  last INTEGER NOT NULL,
  PRIMARY KEY (authority, crl_shard)
) STRICT, WITHOUT ROWID;

-- CRL `number` was the first to hold the revocations up to sequence `mark` and beyond the mark before: one row a CRL,
-- so that a CRL of a million entries is marked as fast as one of ten.
CREATE TABLE revocation_publication (
  authority TEXT NOT NULL,
  crl_shard INTEGER NOT NULL,
  mark INTEGER NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (authority, crl_shard, mark)
) STRICT, WITHOUT ROWID;

CREATE TABLE crl (
  authority TEXT NOT NULL,
  shard INTEGER NOT NULL,
  number INTEGER NOT NULL,
  this_update INTEGER NOT NULL,
  next_update INTEGER NOT NULL,
  entries INTEGER NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (authority, shard)
) STRICT, WITHOUT ROWID;

CREATE TABLE trust_anchor (
  fingerprint TEXT NOT NULL PRIMARY KEY,
  subject TEXT NOT NULL,
  source TEXT NOT NULL,
  state TEXT NOT NULL,
  not_after INTEGER NOT NULL,
  added_at INTEGER NOT NULL,
  der BLOB NOT NULL
) STRICT;

CREATE TABLE truststore (
  version INTEGER PRIMARY KEY,
  digest TEXT NOT NULL,
  anchors TEXT NOT NULL,
  pem TEXT NOT NULL,
  published_at INTEGER NOT NULL
) STRICT;

CREATE TABLE gateway (
  name TEXT NOT NULL PRIMARY KEY,
  state TEXT NOT NULL,
  truststore_version INTEGER,
  truststore_digest TEXT,
  crl_digest TEXT,
  message TEXT NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: a sequence that was pruned never comes back, or a sink's cursor would skip new events.
CREATE TABLE event (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL,
  time INTEGER NOT NULL,
  detail_type TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;

CREATE INDEX event_by_subject ON event (subject, detail_type, sequence);

CREATE TABLE event_cursor (sink TEXT NOT NULL PRIMARY KEY, sequence INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE event_parked (
  sink TEXT NOT NULL,
  sequence INTEGER NOT NULL REFERENCES event (sequence) ON DELETE CASCADE,
  subject TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  next_attempt_at INTEGER NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (sink, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_parked_by_subject ON event_parked (sink, subject, sequence);
CREATE INDEX event_parked_due ON event_parked (sink, next_attempt_at);
CREATE INDEX event_parked_by_event ON event_parked (sequence);

CREATE TABLE profile_version (
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  profile TEXT NOT NULL,
  recorded_at INTEGER NOT NULL,
  PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;
