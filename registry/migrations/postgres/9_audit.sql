-- Who did it: an account, or nobody in particular, from where, in which request. What the registry does by itself has none of these.
ALTER TABLE events ADD COLUMN actor TEXT COLLATE "C";
ALTER TABLE events ADD COLUMN address TEXT COLLATE "C";
ALTER TABLE events ADD COLUMN request_id TEXT COLLATE "C";
-- What else there is to say, an object of JSON.
ALTER TABLE events ADD COLUMN detail TEXT COLLATE "C";
-- Whether it waits for its line in the audit log; what happened before there was one does not.
ALTER TABLE events ADD COLUMN is_unaudited BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX events_unaudited ON events (id) WHERE is_unaudited;

-- The audit log: lines that are never changed, each with the hash of its text and of the line before.
CREATE TABLE audit (
    seq BIGINT PRIMARY KEY,
    happened_at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    line TEXT COLLATE "C" NOT NULL,
    hash TEXT COLLATE "C" NOT NULL
);
CREATE INDEX audit_by_time ON audit (happened_at, seq);

-- The number and the hash of its last line, the number of the first that is kept, and the hash of the one before that.
CREATE TABLE audit_head (
    seq BIGINT NOT NULL,
    hash TEXT COLLATE "C" NOT NULL,
    first_seq BIGINT NOT NULL,
    first_previous TEXT COLLATE "C" NOT NULL
);
INSERT INTO audit_head (seq, hash, first_seq, first_previous) VALUES
    (0, '0000000000000000000000000000000000000000000000000000000000000000', 1, '0000000000000000000000000000000000000000000000000000000000000000');
