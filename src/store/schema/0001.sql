-- Times are in UTC. Their type has no time zone, because DuckDB calculates with those that have one
-- only through an extension that is not part of this program.

-- How far the file has come.
CREATE TABLE schema_version (version UINTEGER NOT NULL, applied_at TIMESTAMP NOT NULL);
COMMENT ON TABLE schema_version IS 'Steps that made the tables what they are';

CREATE TABLE commits (number UBIGINT NOT NULL);
COMMENT ON TABLE commits IS 'How many transactions were committed: one row; tells a log that was cut off';
INSERT INTO commits VALUES (0);

CREATE TABLE debug_sessions (
    session_id VARCHAR PRIMARY KEY,
    service_name VARCHAR NOT NULL,
    requested_by VARCHAR NOT NULL,
    started_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP,
    status VARCHAR NOT NULL,
    functions VARCHAR[] NOT NULL,
    settings VARCHAR NOT NULL,
    request BLOB NOT NULL,
    event_count BIGINT NOT NULL
);
COMMENT ON TABLE debug_sessions IS 'Sessions of the colony, each on all replicas of a service';
COMMENT ON COLUMN debug_sessions.session_id IS 'Its name, in the order of creation';
COMMENT ON COLUMN debug_sessions.service_name IS 'The service whose replicas it measures';
COMMENT ON COLUMN debug_sessions.requested_by IS 'Who asked for it';
COMMENT ON COLUMN debug_sessions.started_at IS 'When it began, in UTC';
COMMENT ON COLUMN debug_sessions.expires_at IS 'When its lease ends at the latest, in UTC';
COMMENT ON COLUMN debug_sessions.ended_at IS 'When it ended, in UTC; NULL while it runs';
COMMENT ON COLUMN debug_sessions.status IS 'active, expired, detached, target_exited, target_execed, budget or failed';
COMMENT ON COLUMN debug_sessions.functions IS 'The functions that were asked for, as they were written';
COMMENT ON COLUMN debug_sessions.settings IS 'What it was asked to do, as JSON';
COMMENT ON COLUMN debug_sessions.request IS 'The request, to start it on replicas that come later';
COMMENT ON COLUMN debug_sessions.event_count IS 'How many single calls it has stored, also those that are deleted by now';

CREATE TABLE session_replicas (
    session_id VARCHAR NOT NULL,
    agent_id VARCHAR NOT NULL,
    agent_epoch UBIGINT NOT NULL,
    agent_session VARCHAR NOT NULL,
    pid UINTEGER NOT NULL,
    start_ticks UBIGINT NOT NULL,
    service_name VARCHAR NOT NULL,
    exe VARCHAR NOT NULL,
    build_id VARCHAR,
    language VARCHAR NOT NULL,
    started_at TIMESTAMP,
    state VARCHAR NOT NULL,
    trouble VARCHAR
);
COMMENT ON TABLE session_replicas IS 'The processes that a session measures, or could not measure';
COMMENT ON COLUMN session_replicas.session_id IS 'The session of the colony';
COMMENT ON COLUMN session_replicas.agent_id IS 'The agent of its node';
COMMENT ON COLUMN session_replicas.agent_epoch IS 'The start of the agent, ascending';
COMMENT ON COLUMN session_replicas.agent_session IS 'The session of the agent; empty where there is none';
COMMENT ON COLUMN session_replicas.pid IS 'Its process id on its node';
COMMENT ON COLUMN session_replicas.start_ticks IS 'When it started, in clock ticks since its node booted';
COMMENT ON COLUMN session_replicas.service_name IS 'Its service';
COMMENT ON COLUMN session_replicas.exe IS 'The path of its executable';
COMMENT ON COLUMN session_replicas.build_id IS 'The build-id of its executable';
COMMENT ON COLUMN session_replicas.language IS 'The language of its executable';
COMMENT ON COLUMN session_replicas.started_at IS 'When it was measured first, in UTC';
COMMENT ON COLUMN session_replicas.state IS 'measuring, silent, refused, or how it ended';
COMMENT ON COLUMN session_replicas.trouble IS 'Why it is not measured, or since when nothing is heard of it';

CREATE TABLE uprobe_events (
    session_id VARCHAR NOT NULL,
    agent_id VARCHAR NOT NULL,
    agent_epoch UBIGINT NOT NULL,
    agent_session VARCHAR NOT NULL,
    service_name VARCHAR NOT NULL,
    sequence UBIGINT NOT NULL,
    number UINTEGER NOT NULL,
    started_at TIMESTAMP NOT NULL,
    duration_ns BIGINT NOT NULL,
    pid UINTEGER NOT NULL,
    tid UINTEGER NOT NULL,
    goroutine UBIGINT,
    function_name VARCHAR NOT NULL,
    failed BOOLEAN NOT NULL,
    labels MAP(VARCHAR, VARCHAR) NOT NULL
);
COMMENT ON TABLE uprobe_events IS 'Single calls, as far as they were recorded: one row each; sampling, filters and limits leave calls out';
COMMENT ON COLUMN uprobe_events.session_id IS 'The session of the colony';
COMMENT ON COLUMN uprobe_events.agent_id IS 'The agent that measured it';
COMMENT ON COLUMN uprobe_events.agent_epoch IS 'The start of the agent, ascending';
COMMENT ON COLUMN uprobe_events.agent_session IS 'The session of the agent';
COMMENT ON COLUMN uprobe_events.service_name IS 'The service';
COMMENT ON COLUMN uprobe_events.sequence IS 'The entry of the journal that held it';
COMMENT ON COLUMN uprobe_events.number IS 'Its place in that entry, from 0';
COMMENT ON COLUMN uprobe_events.started_at IS 'When the call began, in UTC, by the clock of its node';
COMMENT ON COLUMN uprobe_events.duration_ns IS 'How long it took, in nanoseconds';
COMMENT ON COLUMN uprobe_events.pid IS 'The process';
COMMENT ON COLUMN uprobe_events.tid IS 'The thread on which it ended';
COMMENT ON COLUMN uprobe_events.goroutine IS 'The goroutine, in Go';
COMMENT ON COLUMN uprobe_events.function_name IS 'The function';
COMMENT ON COLUMN uprobe_events.failed IS 'Whether it returned an error; false too where that cannot be told';
COMMENT ON COLUMN uprobe_events.labels IS 'What it received and returned, as arg.NAME and return.NAME';

CREATE TABLE function_stats (
    session_id VARCHAR NOT NULL,
    agent_id VARCHAR NOT NULL,
    agent_epoch UBIGINT NOT NULL,
    agent_session VARCHAR NOT NULL,
    service_name VARCHAR NOT NULL,
    function_name VARCHAR NOT NULL,
    file VARCHAR,
    line UINTEGER,
    exit_probe VARCHAR NOT NULL,
    calls BIGINT NOT NULL,
    returns BIGINT NOT NULL,
    unwound BIGINT NOT NULL,
    in_flight BIGINT NOT NULL,
    errors BIGINT,
    total_ns BIGINT NOT NULL,
    min_ns BIGINT,
    p50_ns BIGINT,
    p90_ns BIGINT,
    p95_ns BIGINT,
    p99_ns BIGINT,
    p999_ns BIGINT,
    max_ns BIGINT,
    bucket_index USMALLINT[] NOT NULL,
    bucket_count BIGINT[] NOT NULL
);
COMMENT ON TABLE function_stats IS 'What a function did in one replica of a session: every call is counted; the latest numbers';
COMMENT ON COLUMN function_stats.session_id IS 'The session of the colony';
COMMENT ON COLUMN function_stats.agent_id IS 'The agent that measured it';
COMMENT ON COLUMN function_stats.agent_epoch IS 'The start of the agent, ascending';
COMMENT ON COLUMN function_stats.agent_session IS 'The session of the agent';
COMMENT ON COLUMN function_stats.service_name IS 'The service';
COMMENT ON COLUMN function_stats.function_name IS 'The function';
COMMENT ON COLUMN function_stats.file IS 'Its source file';
COMMENT ON COLUMN function_stats.line IS 'Its source line';
COMMENT ON COLUMN function_stats.exit_probe IS 'How its returns are caught: return_sites, uretprobe or none';
COMMENT ON COLUMN function_stats.calls IS 'Entries: returns + unwound + in_flight, once the session has ended';
COMMENT ON COLUMN function_stats.returns IS 'Calls that returned: those that the histogram holds';
COMMENT ON COLUMN function_stats.unwound IS 'Calls that were left without passing an exit';
COMMENT ON COLUMN function_stats.in_flight IS 'Calls that were not left';
COMMENT ON COLUMN function_stats.errors IS 'Calls that returned an error; NULL where that cannot be told';
COMMENT ON COLUMN function_stats.total_ns IS 'The sum of the durations, in nanoseconds';
COMMENT ON COLUMN function_stats.min_ns IS 'The shortest call, in nanoseconds';
COMMENT ON COLUMN function_stats.p50_ns IS 'The duration below which 50 % of the calls lie, in nanoseconds, within 3.2 %';
COMMENT ON COLUMN function_stats.p90_ns IS 'The same for 90 %';
COMMENT ON COLUMN function_stats.p95_ns IS 'The same for 95 %';
COMMENT ON COLUMN function_stats.p99_ns IS 'The same for 99 %';
COMMENT ON COLUMN function_stats.p999_ns IS 'The same for 99.9 %';
COMMENT ON COLUMN function_stats.max_ns IS 'The longest call, in nanoseconds';
COMMENT ON COLUMN function_stats.bucket_index IS 'The buckets of the histogram that are not empty: bucket i begins at i below 16, at (16 + i % 16) << (i / 16 - 1) from there on, in nanoseconds; percentiles of several rows come from the sum of their buckets, never from their percentiles';
COMMENT ON COLUMN function_stats.bucket_count IS 'How many durations lie in each of these buckets';

CREATE TABLE call_nodes (
    session_id VARCHAR NOT NULL,
    agent_id VARCHAR NOT NULL,
    agent_epoch UBIGINT NOT NULL,
    agent_session VARCHAR NOT NULL,
    service_name VARCHAR NOT NULL,
    node_id UINTEGER NOT NULL,
    parent_id UINTEGER,
    depth UINTEGER NOT NULL,
    function_name VARCHAR NOT NULL,
    calls BIGINT NOT NULL,
    returns BIGINT NOT NULL,
    unwound BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    total_ns BIGINT NOT NULL,
    self_ns BIGINT NOT NULL,
    max_ns BIGINT NOT NULL
);
COMMENT ON TABLE call_nodes IS 'The call tree of one replica of a session: every path of probed calls; the latest numbers';
COMMENT ON COLUMN call_nodes.session_id IS 'The session of the colony';
COMMENT ON COLUMN call_nodes.agent_id IS 'The agent that measured it';
COMMENT ON COLUMN call_nodes.agent_epoch IS 'The start of the agent, ascending';
COMMENT ON COLUMN call_nodes.agent_session IS 'The session of the agent';
COMMENT ON COLUMN call_nodes.service_name IS 'The service';
COMMENT ON COLUMN call_nodes.node_id IS 'The path, by its number in this replica';
COMMENT ON COLUMN call_nodes.parent_id IS 'The path of the caller; NULL for outermost calls';
COMMENT ON COLUMN call_nodes.depth IS 'How many callers the path has';
COMMENT ON COLUMN call_nodes.function_name IS 'The function at its end';
COMMENT ON COLUMN call_nodes.calls IS 'Entries on this path';
COMMENT ON COLUMN call_nodes.returns IS 'Calls that returned';
COMMENT ON COLUMN call_nodes.unwound IS 'Calls that were left without passing an exit';
COMMENT ON COLUMN call_nodes.errors IS 'Calls that returned an error; 0 too where that cannot be told';
COMMENT ON COLUMN call_nodes.total_ns IS 'The sum of the durations, in nanoseconds';
COMMENT ON COLUMN call_nodes.self_ns IS 'The part of it that the probed calls inside did not take';
COMMENT ON COLUMN call_nodes.max_ns IS 'The longest call, in nanoseconds';

CREATE TABLE session_snapshots (
    session_id VARCHAR NOT NULL,
    agent_id VARCHAR NOT NULL,
    agent_epoch UBIGINT NOT NULL,
    agent_session VARCHAR NOT NULL,
    taken_at TIMESTAMP NOT NULL,
    snapshot BLOB NOT NULL
);
COMMENT ON TABLE session_snapshots IS 'All that is known of one replica of a session, for the screens; the latest';
COMMENT ON COLUMN session_snapshots.session_id IS 'The session of the colony';
COMMENT ON COLUMN session_snapshots.agent_id IS 'The agent that measured it';
COMMENT ON COLUMN session_snapshots.agent_epoch IS 'The start of the agent, ascending';
COMMENT ON COLUMN session_snapshots.agent_session IS 'The session of the agent';
COMMENT ON COLUMN session_snapshots.taken_at IS 'When it was so, in UTC, by the clock of its node';
COMMENT ON COLUMN session_snapshots.snapshot IS 'coral.agent.v1.SessionUpdate, each behind its length, deflated';

CREATE TABLE checkpoints (
    session_id VARCHAR NOT NULL,
    agent_id VARCHAR NOT NULL,
    agent_epoch UBIGINT NOT NULL,
    agent_session VARCHAR NOT NULL,
    service_name VARCHAR NOT NULL,
    taken_at TIMESTAMP NOT NULL,
    function_name VARCHAR NOT NULL,
    calls BIGINT NOT NULL,
    returns BIGINT NOT NULL,
    p50_ns BIGINT,
    p99_ns BIGINT
);
COMMENT ON TABLE checkpoints IS 'The coarse time line of a function in one replica: its numbers since the session began, where calls came since the row before';
COMMENT ON COLUMN checkpoints.session_id IS 'The session of the colony';
COMMENT ON COLUMN checkpoints.agent_id IS 'The agent that measured it';
COMMENT ON COLUMN checkpoints.agent_epoch IS 'The start of the agent, ascending';
COMMENT ON COLUMN checkpoints.agent_session IS 'The session of the agent';
COMMENT ON COLUMN checkpoints.service_name IS 'The service';
COMMENT ON COLUMN checkpoints.taken_at IS 'When it was so, in UTC, by the clock of its node';
COMMENT ON COLUMN checkpoints.function_name IS 'The function';
COMMENT ON COLUMN checkpoints.calls IS 'Entries until then';
COMMENT ON COLUMN checkpoints.returns IS 'Calls that had returned by then';
COMMENT ON COLUMN checkpoints.p50_ns IS 'The duration below which 50 % of them lie, in nanoseconds';
COMMENT ON COLUMN checkpoints.p99_ns IS 'The same for 99 %';

CREATE TABLE journal_marks (
    session_id VARCHAR NOT NULL,
    agent_id VARCHAR NOT NULL,
    agent_epoch UBIGINT NOT NULL,
    agent_session VARCHAR NOT NULL,
    last_sequence UBIGINT NOT NULL,
    is_complete BOOLEAN NOT NULL
);
COMMENT ON TABLE journal_marks IS 'How far the journal of each replica is stored';
COMMENT ON COLUMN journal_marks.session_id IS 'The session of the colony';
COMMENT ON COLUMN journal_marks.agent_id IS 'The agent that wrote it';
COMMENT ON COLUMN journal_marks.agent_epoch IS 'The start of the agent, ascending';
COMMENT ON COLUMN journal_marks.agent_session IS 'The session of the agent';
COMMENT ON COLUMN journal_marks.last_sequence IS 'The last entry that is stored';
COMMENT ON COLUMN journal_marks.is_complete IS 'Whether that is the end of the journal';

CREATE TABLE gaps (
    session_id VARCHAR NOT NULL,
    agent_id VARCHAR NOT NULL,
    agent_epoch UBIGINT NOT NULL,
    agent_session VARCHAR NOT NULL,
    first_sequence UBIGINT NOT NULL,
    last_sequence UBIGINT NOT NULL,
    calls BIGINT,
    noticed_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE gaps IS 'Entries of journals that are missing; only single calls are lost by it, counters hold every call';
COMMENT ON COLUMN gaps.session_id IS 'The session of the colony';
COMMENT ON COLUMN gaps.agent_id IS 'The agent that wrote the journal';
COMMENT ON COLUMN gaps.agent_epoch IS 'The start of the agent, ascending';
COMMENT ON COLUMN gaps.agent_session IS 'The session of the agent';
COMMENT ON COLUMN gaps.first_sequence IS 'The first entry that is missing';
COMMENT ON COLUMN gaps.last_sequence IS 'The last entry that is missing';
COMMENT ON COLUMN gaps.calls IS 'How many single calls they held; NULL where the agent did not say';
COMMENT ON COLUMN gaps.noticed_at IS 'When that was noticed, in UTC';

CREATE TABLE losses (
    noticed_at TIMESTAMP NOT NULL,
    table_name VARCHAR NOT NULL,
    rows BIGINT NOT NULL
);
COMMENT ON TABLE losses IS 'What damage took from this file: committed rows that were not there when it was opened';
COMMENT ON COLUMN losses.noticed_at IS 'When that was noticed, in UTC';
COMMENT ON COLUMN losses.table_name IS 'The table; commits stands for whole transactions';
COMMENT ON COLUMN losses.rows IS 'How many rows were missing';
