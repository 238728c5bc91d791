-- What a function took without the probed calls inside, and what the probes there cost it.
ALTER TABLE function_stats ADD COLUMN self_ns BIGINT;
COMMENT ON COLUMN function_stats.self_ns IS 'The part of total_ns that the probed calls inside did not take; NULL where it was not stored';
ALTER TABLE function_stats ADD COLUMN probes_ns BIGINT;
COMMENT ON COLUMN function_stats.probes_ns IS 'What probes inside of the calls cost, by calibration, in nanoseconds: total_ns holds it';
