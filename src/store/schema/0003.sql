-- What has left the history as files: in which exports, and how far each journal has.
CREATE TABLE exports (
    export_id VARCHAR NOT NULL,
    planned_at TIMESTAMP NOT NULL,
    events BIGINT NOT NULL,
    done_at TIMESTAMP,
    files BIGINT
);
COMMENT ON TABLE exports IS 'Exports as Parquet: what was to be written down and taken elsewhere at a time';
COMMENT ON COLUMN exports.export_id IS 'Its name, which those of its files hold';
COMMENT ON COLUMN exports.planned_at IS 'When it was decided what it holds, in UTC';
COMMENT ON COLUMN exports.events IS 'How many single calls it holds';
COMMENT ON COLUMN exports.done_at IS 'When all of it had arrived, in UTC; NULL before that';
COMMENT ON COLUMN exports.files IS 'In how many files; NULL before that';

CREATE TABLE export_parts (
    session_id VARCHAR NOT NULL,
    agent_id VARCHAR NOT NULL,
    agent_epoch UBIGINT NOT NULL,
    agent_session VARCHAR NOT NULL,
    first_sequence UBIGINT NOT NULL,
    last_sequence UBIGINT NOT NULL
);
COMMENT ON TABLE export_parts IS 'The entries of journals that the export holds which is not done';
COMMENT ON COLUMN export_parts.session_id IS 'The session of the colony';
COMMENT ON COLUMN export_parts.agent_id IS 'The agent that wrote the journal';
COMMENT ON COLUMN export_parts.agent_epoch IS 'The start of the agent, ascending';
COMMENT ON COLUMN export_parts.agent_session IS 'The session of the agent';
COMMENT ON COLUMN export_parts.first_sequence IS 'The first entry';
COMMENT ON COLUMN export_parts.last_sequence IS 'The last entry';

CREATE TABLE export_sessions (session_id VARCHAR NOT NULL, as_of VARCHAR NOT NULL);
COMMENT ON TABLE export_sessions IS 'The sessions that the export holds which is not done';
COMMENT ON COLUMN export_sessions.session_id IS 'The session of the colony';
COMMENT ON COLUMN export_sessions.as_of IS 'How it was: its state and its calls';

CREATE TABLE exported_journals (
    session_id VARCHAR NOT NULL,
    agent_id VARCHAR NOT NULL,
    agent_epoch UBIGINT NOT NULL,
    agent_session VARCHAR NOT NULL,
    last_sequence UBIGINT NOT NULL
);
COMMENT ON TABLE exported_journals IS 'How far the journal of each replica is in exports that are done';
COMMENT ON COLUMN exported_journals.session_id IS 'The session of the colony';
COMMENT ON COLUMN exported_journals.agent_id IS 'The agent that wrote it';
COMMENT ON COLUMN exported_journals.agent_epoch IS 'The start of the agent, ascending';
COMMENT ON COLUMN exported_journals.agent_session IS 'The session of the agent';
COMMENT ON COLUMN exported_journals.last_sequence IS 'The last entry that is';

CREATE TABLE exported_sessions (session_id VARCHAR NOT NULL, as_of VARCHAR NOT NULL);
COMMENT ON TABLE exported_sessions IS 'How each session was in the last export that is done';
COMMENT ON COLUMN exported_sessions.session_id IS 'The session of the colony';
COMMENT ON COLUMN exported_sessions.as_of IS 'Its state and its calls';
