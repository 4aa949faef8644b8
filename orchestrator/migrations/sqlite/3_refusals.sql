-- Why the image of a revision may not run, where the registry said so last.
ALTER TABLE revisions ADD COLUMN refused TEXT;
