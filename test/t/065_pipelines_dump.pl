# Pipelines through a dump: what was computed is there, and they go on.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('pipelines');
$node->init;
$node->append_conf('postgresql.conf', join "\n", 'fsync = off', 'aggwin.max_past = 0', q{timezone = 'UTC'}, '');
$node->start;

sub ask
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database // 'postgres', $sql);
}

sub ingest
{
	my ($from, $to, $database) = @_;

	ask(qq{INSERT INTO aggwin.sample_input
		SELECT 'x', jsonb_build_object('host', 'h' || n % 3), timestamptz '2026-03-01 10:00Z' + n * interval '1 s', n % 400
		FROM generate_series($from, $to - 1) AS n}, $database);
	return;
}

my $results = q{SELECT count(*), md5(string_agg(q::text, E'\n' ORDER BY q::text)) FROM (
	SELECT metric, labels, ts, value FROM aggwin.sample_input WHERE metric <> 'x') AS q};
my $rules = <<'YAML';
- promql: 'sum by (host) (x[1m])'
  as: by_host
- promql: 'sum2(x[30s])'
  as: running
  limit: 1000
- promql: 'max(by_host[5m])'
  as: top
  labels: {note: "it's"}
YAML

ask('CREATE EXTENSION aggwin');
ask('SELECT aggwin.enable_metrics()');
ask("SELECT aggwin.apply_pipelines(\$\$$rules\$\$)");
ingest(0, 1800);
ask('SELECT aggwin.close_windows()') for 1 .. 2;
# Some of it late, and pending.
ask(q{SELECT aggwin.ingest('x', '{"host": "h1"}', '2026-03-01 10:03:00.5Z', 77)});
my $before = ask($results);
like($before, qr/^1[0-9]{2}\|/, 'results are there');

for my $format (qw(plain custom))
{
	my $file = $node->basedir . "/pipelines.$format";

	$node->command_ok([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-F', $format, '-f', $file, 'postgres' ], "$format dump");
	ask("CREATE DATABASE $format");
	if ($format eq 'plain')
	{
		$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($format), '-f', $file ], 'restored');
	}
	else
	{
		$node->command_ok([ 'pg_restore', '-h', $node->host, '-p', $node->port, '-e', '-j', 2, '-d', $format, $file ], 'restored by two jobs');
	}
	is(ask($results, $format), $before, 'results are as they were');
	is(ask("SELECT string_agg(DISTINCT action, ' ') FROM aggwin.apply_pipelines(\$\$$rules\$\$)", $format), 'keep',
		'the same rules change nothing');
}

# All go on in the same way.
for my $database (qw(postgres plain custom))
{
	ingest(1800, 2400, $database);
	ask(q{SELECT aggwin.ingest('x', '{"host": "new"}', '2026-03-01 10:39:30Z', 5)}, $database);
	ask('SELECT aggwin.close_windows()', $database) for 1 .. 3;
}
my $after = ask($results);
isnt($after, $before, 'there are more results');
is(ask($results, $_), $after, "and the same in the $_ copy") for qw(plain custom);
is(ask(q{SELECT count(*) FROM (
		(SELECT labels, ts, value FROM aggwin.sample_input WHERE metric = 'by_host'
		EXCEPT SELECT labels, date_bin('1 min', ts, '1970-01-01Z') + interval '1 min', sum(value)
			FROM aggwin.sample_input WHERE metric = 'x' GROUP BY 1, 2)) AS d}, 'custom'),
	0, 'what they ought to be');
is(ask('SELECT count(*) FROM aggwin.pipelines WHERE last_error IS NOT NULL', $_), 0, 'no errors') for qw(postgres plain custom);

done_testing();
