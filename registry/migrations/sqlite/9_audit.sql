-- Who did it: an account, or nobody in particular, from where, in which request. What the registry does by itself has none of these.
ALTER TABLE events ADD COLUMN actor TEXT;
ALTER TABLE events ADD COLUMN address TEXT;
ALTER TABLE events ADD COLUMN request_id TEXT;
-- What else there is to say, an object of JSON.
ALTER TABLE events ADD COLUMN detail TEXT;
-- Whether it waits for its line in the audit log; what happened before there was one does not.
ALTER TABLE events ADD COLUMN is_unaudited INTEGER NOT NULL DEFAULT 0;
CREATE INDEX events_unaudited ON events (id) WHERE is_unaudited;

-- The audit log: lines that are never changed, each with the hash of its text and of the line before.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    happened_at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    line TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_time ON audit (happened_at, seq);

-- The number and the hash of its last line, the number of the first that is kept, and the hash of the one before that.
CREATE TABLE audit_head (
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL,
    first_seq INTEGER NOT NULL,
    first_previous TEXT NOT NULL
) STRICT;
INSERT INTO audit_head (seq, hash, first_seq, first_previous) VALUES
    (0, '0000000000000000000000000000000000000000000000000000000000000000', 1, '0000000000000000000000000000000000000000000000000000000000000000');
