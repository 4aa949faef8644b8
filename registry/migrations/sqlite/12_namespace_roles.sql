-- A role is on a pattern of repositories, or on one of the fleet's namespaces. The other is empty, in which nobody reads a pattern: to an
-- earlier version such a role allows nothing.
ALTER TABLE roles ADD COLUMN namespaces TEXT NOT NULL DEFAULT '';
