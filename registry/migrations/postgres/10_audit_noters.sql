-- Who notes what is no change, a process each, and the number of the last batch that it put into the outbox: one whose commit's answer
-- was lost is not put there again.
CREATE TABLE audit_noters (
    noter TEXT COLLATE "C" PRIMARY KEY,
    batch BIGINT NOT NULL,
    noted_at BIGINT NOT NULL
);
