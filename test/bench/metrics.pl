#!/usr/bin/perl
# metrics.pl - samples of metrics: COPY and multi-row statements into aggwin
# against the same into a plain indexed table, and the text of an exporter
use strict;
use warnings;
use Bench;

use constant { SERIES => 1000, BATCH => 50_000, STATEMENT => 1000, STATEMENTS => 20 };

my $work = $ENV{PGHOST};
my $psql = session();
$psql->ask('CREATE EXTENSION aggwin');
$psql->ask('SELECT aggwin.enable_metrics(NULL)');
$psql->ask('CREATE TABLE plain (metric text, labels jsonb, ts timestamptz, value float8)');
$psql->ask('CREATE INDEX ON plain (metric, ts)');

# A thousand series, a sample of each in a second, from three days ago on. Sample
# number $i as text for COPY.
my $start = 86400 * int(time / 86400) - 3 * 86400;
my @labels = map { sprintf '{"job": "api", "instance": "host%d:9100", "mode": "m%d"}', $_ / 8, $_ % 8 } 0 .. SERIES - 1;

sub sample
{
	my ($i) = @_;
	my @t = gmtime $start + int($i / SERIES);
	return ('node_cpu_seconds_total', $labels[ $i % SERIES ],
		sprintf('%04d-%02d-%02d %02d:%02d:%02d+00', $t[5] + 1900, $t[4] + 1, @t[ 3, 2, 1, 0 ]),
		int(rand 1e6) / 64);
}

my $sent = 0;

sub write_batch
{
	open my $file, '>', "$work/batch" or die "bench: $work/batch: $!\n";
	print $file join("\t", sample($sent++)), "\n" for 1 .. BATCH;
	close $file or die "bench: $work/batch: $!\n";
}

sub same_samples
{
	my ($row) = $psql->ask('WITH a AS (TABLE aggwin.sample_input), b AS (TABLE plain)
		SELECT (SELECT count(*) FROM b), (SELECT count(*) FROM (TABLE a EXCEPT ALL TABLE b) AS extra),
			(SELECT count(*) FROM (TABLE b EXCEPT ALL TABLE a) AS missing)');
	my ($rows, $extra, $missing) = @$row;
	die "bench: of $rows samples $missing are missing, $extra are too many\n" if $missing || $extra || !$rows;
	return $rows;
}

sub copy_to
{
	my ($table) = @_;
	$psql->send_text("\\copy $table FROM '$work/batch'\n");
	$psql->ask('SELECT 1');
}

my $result = measure(
	rounds => rounds(20),
	psql => { '' => $psql },
	before => \&write_batch,
	sides => { plain => sub { copy_to('plain') }, metrics => sub { copy_to('aggwin.sample_input') } });
report('COPY, rows a second, metrics / plain table', [ ratios($result, 's', qw(plain metrics)) ],
	[ ratios($result, 'cpu', qw(plain metrics)) ], '>= 0.5');
note('%.0f samples a second by COPY', BATCH / median(map { $_->{s} } @{ $result->{metrics} }));

# The same samples by both ways, in statements of many rows.
my (@inserts, @ingests);

sub write_statements
{
	@inserts = @ingests = ();
	for (1 .. STATEMENTS)
	{
		my @rows = map { sprintf q{('%s', '%s', '%s', %s)}, sample($sent++) } 1 .. STATEMENT;

		push @inserts, 'INSERT INTO plain VALUES ' . join ', ', @rows;
		push @ingests, 'SELECT aggwin.ingest(ARRAY[' . join(', ', map { "$_" } @rows) . ']::aggwin.sample[])';
	}
}

$result = measure(
	rounds => rounds(20),
	psql => { '' => $psql },
	before => \&write_statements,
	sides => {
		plain => sub { $psql->ask($_) for @inserts },
		metrics => sub { $psql->ask($_) for @ingests }
	});
report('ingest() of 1,000 samples / INSERT of 1,000 rows, rows a second',
	[ ratios($result, 's', qw(plain metrics)) ], [ ratios($result, 'cpu', qw(plain metrics)) ], undef);
note('%d samples compared: equal', same_samples());

# What an exporter with 12,800 series tells, again and again.
$psql->ask(q{CREATE TABLE page AS SELECT string_agg(format(E'# HELP m%1$s_seconds_total Seconds spent in each mode.\n# TYPE m%1$s_seconds_total counter\n%2$s', m, x), '') AS t
	FROM generate_series(1, 100) AS m, LATERAL (
		SELECT string_agg(format(E'm%s_seconds_total{cpu="%s",mode="%s",device="nvme0n1"} %s\n', m, c, mode, c * 1234.567 + m), '') AS x
		FROM generate_series(1, 16) AS c, unnest('{idle,user,system,iowait,nice,irq,softirq,steal}'::text[]) AS mode) AS y});
my ($row) = $psql->ask('SELECT octet_length(t) FROM page');
my $bytes = $row->[0];
my $second = 0;
$psql->ask("SELECT aggwin.ingest_text(t, now() - interval '1 hour') FROM page");
$result = measure(
	rounds => rounds(10),
	psql => { '' => $psql },
	sides => {
		stored => sub { $second++; $psql->ask("SELECT aggwin.ingest_text(t, now() - interval '1 hour' + $second * interval '1 second') FROM page") },
		# Refused for their time, so that nothing but reading is left.
		read => sub { $psql->ask("SELECT aggwin.ingest_text(t, now() - interval '100 years') FROM page") }
	});
note('ingest_text(): %.0f MB/s read, %.1f MB/s stored', map { my $side = $_; $bytes / 1e6 / median(map { $_->{s} } @{ $result->{$side} }) } qw(read stored));
$psql->close or die "bench: psql ended badly\n";
