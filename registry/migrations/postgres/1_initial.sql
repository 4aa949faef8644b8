-- Times are microseconds since 1970, UTC. Digests and names are text, compared as bytes.

CREATE TABLE repositories (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

-- A digest's bytes, wherever they are used: one row, one object.
CREATE TABLE blobs (
    digest TEXT COLLATE "C" PRIMARY KEY,
    size_bytes BIGINT NOT NULL,
    object_key TEXT COLLATE "C" NOT NULL,
    -- BLAKE3 of each 1 MiB piece, 32 bytes each, in order.
    pieces BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE repository_blobs (
    repository_id BIGINT NOT NULL REFERENCES repositories (id),
    digest TEXT COLLATE "C" NOT NULL REFERENCES blobs (digest),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (repository_id, digest)
);
CREATE INDEX repository_blobs_by_digest ON repository_blobs (digest);

CREATE TABLE manifests (
    repository_id BIGINT NOT NULL REFERENCES repositories (id),
    digest TEXT COLLATE "C" NOT NULL,
    media_type TEXT COLLATE "C" NOT NULL,
    artifact_type TEXT COLLATE "C",
    subject TEXT COLLATE "C",
    annotations TEXT COLLATE "C" NOT NULL,
    -- What an image runs on, as its configuration says.
    platform TEXT COLLATE "C",
    content BYTEA NOT NULL,
    -- The record that holds these bytes beside the blobs.
    revision BIGINT NOT NULL,
    pushed_at BIGINT NOT NULL,
    PRIMARY KEY (repository_id, digest)
);
CREATE INDEX manifests_by_revision ON manifests (repository_id, revision);

CREATE TABLE manifest_edges (
    repository_id BIGINT NOT NULL,
    parent TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    child TEXT COLLATE "C" NOT NULL,
    -- config, layer or manifest.
    kind TEXT COLLATE "C" NOT NULL,
    media_type TEXT COLLATE "C" NOT NULL,
    size_bytes BIGINT NOT NULL,
    platform TEXT COLLATE "C",
    PRIMARY KEY (repository_id, parent, position),
    FOREIGN KEY (repository_id, parent) REFERENCES manifests (repository_id, digest) ON DELETE CASCADE
);
CREATE INDEX manifest_edges_by_child ON manifest_edges (child, repository_id);

CREATE TABLE tags (
    repository_id BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (repository_id, name),
    FOREIGN KEY (repository_id, digest) REFERENCES manifests (repository_id, digest)
);
CREATE INDEX tags_by_digest ON tags (repository_id, digest);
CREATE INDEX tags_by_revision ON tags (repository_id, revision);

CREATE TABLE tag_history (
    repository_id BIGINT NOT NULL REFERENCES repositories (id),
    name TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    -- What it was set to; nothing where it was deleted.
    digest TEXT COLLATE "C",
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (repository_id, name, revision)
);

CREATE TABLE referrers (
    repository_id BIGINT NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    artifact_type TEXT COLLATE "C",
    PRIMARY KEY (repository_id, subject, digest),
    FOREIGN KEY (repository_id, digest) REFERENCES manifests (repository_id, digest) ON DELETE CASCADE
);
CREATE INDEX referrers_by_digest ON referrers (repository_id, digest);

CREATE TABLE uploads (
    id TEXT COLLATE "C" PRIMARY KEY,
    repository TEXT COLLATE "C" NOT NULL,
    algorithm TEXT COLLATE "C" NOT NULL,
    -- How long its parts are; settled for good, whatever the configuration says later.
    part_bytes BIGINT NOT NULL,
    offset_bytes BIGINT NOT NULL DEFAULT 0,
    hash_state BYTEA NOT NULL DEFAULT '',
    -- Counts the claims; the present one, if any, is its newest.
    generation BIGINT NOT NULL DEFAULT 0,
    claim TEXT COLLATE "C",
    claimed_until BIGINT NOT NULL DEFAULT 0,
    -- Whether the claim before the present one ran out, and was not given up.
    is_taken_over BOOLEAN NOT NULL DEFAULT FALSE,
    -- The object in parts: the claim that began it, and its name to the store.
    parts_generation BIGINT,
    parts_id TEXT COLLATE "C",
    -- Whether the last part is short, and so can't be followed by another.
    is_sealed BOOLEAN NOT NULL DEFAULT FALSE,
    -- The object that holds the bytes after the last part: the claim that wrote it, and its length.
    tail_generation BIGINT,
    tail_bytes BIGINT NOT NULL DEFAULT 0,
    -- Piece hashes of the bytes after the last whole part.
    pieces BYTEA NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE upload_parts (
    upload_id TEXT COLLATE "C" NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    tag TEXT COLLATE "C" NOT NULL,
    pieces BYTEA NOT NULL,
    PRIMARY KEY (upload_id, number)
);

-- The outbox: every change, in the order of their commits as far as one writer can tell.
CREATE TABLE events (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    repository TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C",
    tag TEXT COLLATE "C",
    happened_at BIGINT NOT NULL
);

-- What has been written beside the blobs, so that all of the above but uploads and events can be rebuilt from there.
CREATE TABLE records (
    repository_id BIGINT NOT NULL REFERENCES repositories (id),
    revision BIGINT NOT NULL,
    -- No manifest and no tag has its revision from it any more.
    is_dead BOOLEAN NOT NULL,
    PRIMARY KEY (repository_id, revision)
);
CREATE INDEX records_dead ON records (repository_id, revision) WHERE is_dead;

-- The digests and tags that a record speaks of, as it names them: a digest has a colon, a tag has none.
CREATE TABLE record_subjects (
    repository_id BIGINT NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (repository_id, subject, revision),
    FOREIGN KEY (repository_id, revision) REFERENCES records (repository_id, revision) ON DELETE CASCADE
);
CREATE INDEX record_subjects_by_revision ON record_subjects (repository_id, revision, subject);

-- Objects that nothing needs, to be deleted when due.
CREATE TABLE garbage (
    object_key TEXT COLLATE "C" NOT NULL,
    -- The name of an object in parts to the store; empty for a whole object.
    parts_id TEXT COLLATE "C" NOT NULL,
    due_at BIGINT NOT NULL,
    PRIMARY KEY (object_key, parts_id)
);
CREATE INDEX garbage_by_due ON garbage (due_at);

-- Has a row while the database is being rebuilt from the store, and still has it where that was broken off.
CREATE TABLE rebuilding (
    begun_at BIGINT NOT NULL
);

-- Orders every change of manifests and tags, over all repositories and replicas.
CREATE SEQUENCE revisions;
