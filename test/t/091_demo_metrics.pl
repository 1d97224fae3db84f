# 091_demo_metrics.pl - the demo of metrics runs to its end, and would notice a difference
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $demo = "$FindBin::RealBin/../demo-metrics";

sub run_demo
{
	my (%variable) = @_;
	my $out = '';
	local @ENV{ keys %variable } = values %variable;
	IPC::Run::run([ 'bash', "$demo/run" ], '<', '/dev/null', '>&', \$out);
	return ($? >> 8, $out);
}

# Comparison -------------------------------------------------------------------

my $node = PostgreSQL::Test::Cluster->new('verify');
$node->init;
$node->start;
$node->safe_psql(
	'postgres', q{
CREATE EXTENSION aggwin;
SELECT aggwin.enable_metrics();
SELECT aggwin.ingest_text(format(E'# TYPE c_total counter\nc_total{i="%s"} %s\n# TYPE g gauge\ng %s\n', i, n * i % 50, n),
	now() - interval '1 hour' + n * interval '10 s') FROM generate_series(1, 100) AS n, generate_series(1, 3) AS i});

sub verified
{
	my $row = $node->safe_psql('postgres', slurp_file("$demo/verify.sql"));
	return split /\|/, $row;
}

my ($samples, $series, $buckets, $extra, $missing) = verified();
is("$samples $series $extra $missing", '400 4 0 0', 'what query_metric says is what the samples are');
cmp_ok($buckets, '>', 80, 'in many buckets');
# A minute of the gauge is lost. What is done by hand is noticed at once, and shows
# nowhere; so it has to be done as somebody else.
$node->safe_psql('postgres', q{SELECT aggwin.refresh('samples_rollup_1h')});
$node->safe_psql('postgres', q{
	CREATE FUNCTION pg_temp.run(command text) RETURNS void SECURITY DEFINER LANGUAGE plpgsql AS 'BEGIN EXECUTE command; END';
	SELECT pg_temp.run('DELETE FROM aggwin._state_1 WHERE bucket = (SELECT min(bucket) FROM aggwin._state_1)
		AND k1 = (SELECT series_id FROM aggwin.series WHERE metric = ''g'')')});
(undef, undef, undef, $extra, $missing) = verified();
is("$extra $missing", '0 1', 'a bucket that the rollup has lost is noticed');
$node->stop;

# The demo -----------------------------------------------------------------------

my ($status, $out) = run_demo(DURATION => 'soon');
is($status, 2, 'it asks for seconds');
like($out, qr/DURATION must be a whole number/, 'and says so');

SKIP:
{
	skip 'no exporter here (Debian: package prometheus-node-exporter)', 8
	  unless $ENV{NODE_EXPORTER} || grep { -x "$_/prometheus-node-exporter" || -x "$_/node_exporter" } split /:/, $ENV{PATH};
	($status, $out) = run_demo(DURATION => 6, LC_ALL => 'C.UTF-8');
	is($status, 0, 'it runs') or diag $out;
	like($out, qr/^demo: \d+ pages scraped, [\d]+ samples ingested live/m, 'it scrapes');
	like($out, qr/^demo: \d+ buckets of series compared, query_metric equals the raw samples: yes$/m, 'and compares');
	like($out, qr/^ busy .*[▁▂▃▄▅▆▇█].* processors$/m, 'processors');
	like($out, qr/^ 5 minutes .* p95 \d+ p99 \d+ ms$/m, 'percentiles by tier');
	like($out, qr/^ +0\.5 \.\. +1 +\d+/m, 'a distribution');
	like($out, qr/^demo: p95 of a day, median read: tiers/m, 'what reading costs');
	unlike($out, qr/uninitialized|error/i, 'without a complaint') or diag $out;
}

done_testing();
