-- What was changed in a session while it ran: a colony that starts anew goes on with it.
ALTER TABLE debug_sessions ADD COLUMN changes VARCHAR;
COMMENT ON COLUMN debug_sessions.changes IS 'What was changed while it ran, as JSON; NULL where nothing was';
