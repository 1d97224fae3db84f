-- Prometheus' text format and OpenMetrics.
SET timezone = 'UTC';
SELECT aggwin.enable_metrics();
SET aggwin.max_past = 0;

-- The older format: comments, blanks, escapes, numbers, times in milliseconds.
SELECT aggwin.ingest_text($$# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1577836800000
http_requests_total{method="post",code="400"}    3 1577836800000

# Escapes in labels, a comma at the end, blanks wherever they may stand
  msdos_file_access_time_seconds{ path = "C:\\DIR\\FILE.TXT" , error="Cannot find \"it\"\n",	}	1.458255915e9
metric_without_timestamp_and_labels 12.47
# TYPE something_weird gauge
something_weird{problem="division by zero"} +Inf -3982045000
numbers{n="1"}-1.5e-3
numbers{n="2"} .5
numbers{n="3"} 5.
numbers{n="4"} NaN
numbers{n="5"} -inf
numbers{n="6"} 1e-400
numbers{n="7"} 9007199254740993
# HELP rpc_seconds A summary\\in\nseconds
# TYPE rpc_seconds summary
rpc_seconds{quantile="0.5"} 4773
rpc_seconds_sum 1.7560473e+07
rpc_seconds_count 2693
# TYPE size_bytes histogram
size_bytes_bucket{le="+Inf"} 144320
size_bytes_sum 53423
size_bytes_count 144320
# UNIT size_bytes bytes is only a comment here
# EOF is as well
#
#HELP nor is this one of those
empty{} 1
$$, '2020-06-01 12:00');
SELECT metric, labels, ts, value FROM aggwin.sample_input ORDER BY metric COLLATE "C", labels::text COLLATE "C";
SELECT metric, family, type, help, unit, series FROM aggwin.metrics ORDER BY metric COLLATE "C";

-- OpenMetrics: seconds, units, exemplars.
SELECT aggwin.ingest_text($$# TYPE acme_http_router_request_seconds summary
# UNIT acme_http_router_request_seconds seconds
# HELP acme_http_router_request_seconds Latency through all of ACME's \d router.
acme_http_router_request_seconds_sum{path="/api/v1",method="GET"} 9036.32
acme_http_router_request_seconds_count{path="/api/v1",method="GET"} 807283.0 1577836800.123456
acme_http_router_request_seconds_created{path="/api/v1",method="GET"} 1605281325.0 1577836800
# TYPE go_goroutines gauge
go_goroutines 69
# TYPE process_cpu_seconds counter
process_cpu_seconds_total 4.20072246e+06
# TYPE foo histogram
foo_bucket{le="0.01"} 0
foo_bucket{le="0.1"} 8 # {} 0.054
foo_bucket{le="1"} 11 # {trace_id="KOO5S4vxi0o"} 0.67 1520879607.789
foo_bucket{le="+Inf"} 17 1577836800 # {trace_id="a,}b"} 9.8
foo_count 17
foo_sum 324789.3
# TYPE build info
build_info{version="1\.2"} 1
# TYPE st stateset
st{st="on"} 1
loose 3
# EOF
$$, '2020-06-01 12:00');
SELECT metric, labels, ts, value FROM aggwin.sample_input WHERE metric ~ '^(acme|go_|process|foo|build|st$|loose)' ORDER BY metric COLLATE "C", labels::text COLLATE "C";
SELECT metric, family, type, help, unit FROM aggwin.metrics WHERE metric ~ '^(acme|go_|process|foo|build|st$|loose)' ORDER BY metric COLLATE "C";

-- The format that is asked for, not guessed.
SELECT aggwin.ingest_text(E'chosen 1 1577836800\n# EOF\n', format => 'prometheus');
SELECT aggwin.ingest_text(E'chosen 2 1577836800\n# EOF\n', format => 'openmetrics');
SELECT aggwin.ingest_text(E'chosen 2 1577836800\n# EOF', format => 'auto');
SELECT ts, value FROM aggwin.sample_input WHERE metric = 'chosen' ORDER BY ts;
SELECT aggwin.ingest_text(E'a 1\n', format => 'xml');
SELECT aggwin.ingest_text(NULL);
SELECT aggwin.ingest_text(''), aggwin.ingest_text(E'\n\n'), aggwin.ingest_text('# EOF');

-- Labels of the caller: what the text has of the same name is kept aside.
SELECT aggwin.ingest_text(E'up{job="j",exported_job="e",x="y"} 1\nup 2\n', '2020-01-01', '{"job": "node", "instance": "a:9100"}');
SELECT aggwin.ingest_text(E'up{job="j",exported_job="e",x="y"} 1\nup 2\n', '2020-01-01', '{"job": "node", "instance": "b:9100"}');
SELECT labels, value FROM aggwin.sample_input WHERE metric = 'up' ORDER BY labels;
SELECT aggwin.ingest_text(E'up 1\n', '2020-01-01', '{"job": 1}');
SELECT aggwin.ingest_text(E'up 1\n', '2020-01-01', '{"a-b": "1"}');

-- All or nothing, and where it went wrong.
CREATE FUNCTION pg_temp.try(exposition text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
	count bigint;
BEGIN
	count := aggwin.ingest_text(exposition, '2021-01-01');
	RAISE NOTICE 'taken: %', count;
	RETURN 1;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = message_text, detail = pg_exception_detail, hint = pg_exception_hint;
	RAISE NOTICE '% % | % | %', sqlstate, message, detail, hint;
	RETURN 1;
END
$$;
\set SHOW_CONTEXT never
SELECT sum(pg_temp.try(t)) AS texts FROM unnest(ARRAY[
	E'good 1\nbad', E'good 1\nbad\n', E'good 1\nbad 1', E'bad x\n', E'bad 0x10\n', E'bad 1_000\n', E'bad 1e\n',
	E'bad 1e999\n', E'bad 1 1.5\n', E'bad 1 x\n', E'bad 1 99999999999999999999\n', E'bad 1 9223372036854775\n', E'bad 1 2 3\n',
	E'bad{a="1" b="2"} 1\n', E'bad{a} 1\n', E'bad{a=1} 1\n', E'bad{a="1} 1\n', E'bad{a="\\x"} 1\n', E'bad{1a="x"} 1\n',
	E'bad{,} 1\n', E'bad{a="1",,} 1\n', E'bad{a="b"\n', E'bad{a="1",a="2"} 1\n', E'bad{__name__="x"} 1\n',
	E'{a="1"} 1\n', E'{"quoted",a="1"} 1\n', E'1bad 1\n', E'bäd 1\n', E'ok{a="äöü"} 1 x\n', E'-\n',
	E'# TYPE bad x\n', E'# TYPE bad\n', E'# TYPE\n', E'# TYPE bad unknown\n', E'# HELP bad \\x\n', E'# HELP 1bad x\n',
	E'# TYPE bad gauge\n# TYPE bad gauge\n', E'# HELP bad x\n# HELP bad y\n', E'bad 1\n# TYPE bad gauge\n',
	E'# a comment that is not complete', E'# TYPE bad gauge', E'bad\t{a="b"}\t1\t2\t\n', E'bad 1\r\n\r\n# TYPE crlf gauge\r\ncrlf 1\r\n']) AS t;
-- OpenMetrics is stricter.
SELECT sum(pg_temp.try(t)) AS texts FROM unnest(ARRAY[
	E'bad 1\n\n# EOF\n', E'# comment\nbad 1\n# EOF\n', E'bad  1\n# EOF\n', E'bad 1 \n# EOF\n', E'bad{a="b",} 1\n# EOF\n', E'bad{ a="b"} 1\n# EOF\n',
	E'bad{a="b"}1\n# EOF\n', E'bad\t1\n# EOF\n', E'bad 1 x\n# EOF\n', E'bad 1 1e13\n# EOF\n', E'bad 1 # {a="b"}\n# EOF\n', E'bad 1 # x\n# EOF\n', E'bad 1 #\n# EOF\n',
	E'bad 1 # {a="b"} 1 2 3\n# EOF\n', E'# TYPE bad untyped\n# EOF\n', E'# UNIT bad seconds\n# EOF\n', E'# UNIT bad_seconds seconds\n# UNIT bad_seconds seconds\n# EOF\n',
	E'bad 1\n# EOF\nbad 2\n# EOF\n', E'# EOFx\n# EOF']) AS t;
DO $$
BEGIN
	PERFORM aggwin.ingest_text(E'bad 1', format => 'openmetrics');
EXCEPTION WHEN invalid_text_representation THEN
	RAISE NOTICE '%', sqlerrm;
END
$$;
SELECT metric, labels, value FROM aggwin.sample_input WHERE ts = '2021-01-01' ORDER BY metric COLLATE "C";

-- A type that changes is counted; silence changes nothing.
SELECT aggwin.ingest_text(E'# TYPE changing gauge\n# HELP changing first\nchanging 1\n', '2020-01-01');
SELECT aggwin.ingest_text(E'changing 1\n', '2020-01-01');
SELECT type, help, type_changes, type_changed_at IS NULL AS never FROM aggwin.metrics WHERE metric = 'changing';
SELECT aggwin.ingest_text(E'# TYPE changing counter\nchanging 2\n', '2020-01-02');
SELECT type, help, type_changes, type_changed_at IS NULL AS never FROM aggwin.metrics WHERE metric = 'changing';
SELECT aggwin.ingest_text(E'# TYPE changing untyped\n# HELP changing second\nchanging 2\n', '2020-01-02');
SELECT type, help, type_changes FROM aggwin.metrics WHERE metric = 'changing';

-- The same text again finds its series by its own bytes.
CREATE TABLE page AS SELECT string_agg(format(E'page_total{n="%s",s="\\"%s\\""} %s\n', i, i % 7, i), '') AS t FROM generate_series(1, 2000) AS i;
SELECT aggwin.ingest_text(t, '2020-01-01') FROM page;
SELECT aggwin.ingest_text(t, '2020-01-01 00:01') FROM page;
SELECT aggwin.ingest_text(t, '2020-01-01 00:01', '{"n": "0"}') FROM page;
SELECT ts, count(*), count(DISTINCT labels), sum(value) FROM aggwin.sample_input WHERE metric = 'page_total' GROUP BY 1 ORDER BY 1;
DROP TABLE page;

SET client_min_messages = warning;
DROP TABLE aggwin.samples, aggwin.series, aggwin.metric, aggwin.refused_sample, aggwin.metric_rollup CASCADE;
