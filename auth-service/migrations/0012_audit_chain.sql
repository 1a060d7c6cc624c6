-- The chain of the audit trail: the tag of the entry before, random bytes, and this entry's tag. NULL: from before the chain.
ALTER TABLE audit ADD COLUMN previous BLOB;
ALTER TABLE audit ADD COLUMN random BLOB;
ALTER TABLE audit ADD COLUMN tag BLOB;
