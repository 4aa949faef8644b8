-- Where an event stands for those who follow them: given after its commit, so that none comes before one that is told already.
ALTER TABLE events ADD COLUMN position INTEGER;
CREATE UNIQUE INDEX events_by_position ON events (position) WHERE position IS NOT NULL;
CREATE INDEX events_unordered ON events (id) WHERE position IS NULL;

-- The last position that was given, the last that an event was dropped at, and the name of all of them, which another life of the
-- database does not have.
CREATE TABLE outbox_head (
    epoch TEXT NOT NULL,
    position INTEGER NOT NULL,
    dropped INTEGER NOT NULL
) STRICT;
INSERT INTO outbox_head (epoch, position, dropped) VALUES (lower(hex(randomblob(16))), 0, 0);
