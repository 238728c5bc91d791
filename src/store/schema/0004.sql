-- How who asked for a session has proven who they are: the session is theirs after a restart, too.
ALTER TABLE debug_sessions ADD COLUMN requested_via VARCHAR;
COMMENT ON COLUMN debug_sessions.requested_via IS 'How they have proven who they are: certificate, token, unix_user, loopback; NULL where it was not stored';
