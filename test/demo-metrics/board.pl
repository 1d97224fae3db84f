#!/usr/bin/perl
# board.pl - scrapes an exporter each second, ingests what it tells, and shows the metrics
#
# What is shown comes from query_metric() and query_counter(), but for the line of the
# last minute, which is of single samples. Every few seconds the samples themselves are
# asked for a percentile of a day, too; the board stops with an error if the tiers'
# answer is not within the error that histograms promise. With --live the board is
# redrawn in place; without, plain boards follow each other. At the end the number of
# samples sent is written to the progress file.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__) . '/../demo';
use DemoBoard;
use DemoPsql;
use Getopt::Long qw(GetOptions);
use HTTP::Tiny;
use Time::HiRes qw(time sleep);

use constant {
	COMPARE_EVERY => 5,    # seconds between questions to the samples
	WIDTH => 40,           # buckets in a line
	ERROR => 0.01,         # relative, of percentiles
	SHOP => 'shop_response_seconds',
};

my %opt = (duration => 20, psql => 'psql');
GetOptions(\%opt, 'duration=i', 'psql=s', 'url=s', 'progress=s', 'node=s', 'shop=s', 'live')
  && defined $opt{url} && defined $opt{progress} && defined $opt{node} && defined $opt{shop}
  or die "board: see the options at the top of $0\n";

my $http = HTTP::Tiny->new(timeout => 5, proxy => undef, http_proxy => undef);
my ($sent, $pages) = (0, 0);
my ($first, $last);    # times of scrapes
my %ms;                # what was timed => milliseconds so far

$| = 1;
$SIG{INT} = $SIG{TERM} = $SIG{HUP} = sub { exit 1 };
my $board = DemoBoard->new(live => $opt{live});
my $psql = DemoPsql->new($opt{psql});

my $begin = time;
my $compare_at = 0;
for (my $tick = 0; $tick <= $opt{duration}; $tick++)
{
	my $wait = $begin + $tick - time;
	sleep $wait if $wait > 0;
	# A scrape that took too long is not made up for.
	$tick = int(time - $begin) if time - $begin - $tick > 1;

	scrape();
	my $compare = $tick >= $compare_at || $tick >= $opt{duration};
	compare() if $compare;
	$compare_at = $tick + COMPARE_EVERY if $compare;
	my @lines = lines_of($tick) if $opt{live} || $compare;
	$board->draw(@lines) if @lines;
}
$psql->close or die "board: psql ended badly\n";
print "\n" if $opt{live};
printf "demo: p95 of a day, median read: tiers %.1f ms, samples %.1f ms (%.1f times)\n",
  median('tiers'), median('samples'), median('samples') / median('tiers');
open my $progress, '>', $opt{progress} or die "board: $opt{progress}: $!\n";
print $progress "$sent $pages\n";
close $progress or die "board: $opt{progress}: $!\n";

# The exporter's page with what a scrape adds to it, as Prometheus does, and three requests
# to the shop, in one transaction.
sub scrape
{
	my $asked = time;
	my $response = $http->get("$opt{url}/metrics");
	my $now = time;

	die "board: $opt{url}/metrics: $response->{status} $response->{reason}\n" unless $response->{success};
	my $seconds = $now - $asked;
	my $samples = () = $response->{content} =~ /^[^#\n]/mg;
	my $page = $response->{content} . <<"TEXT";
# TYPE scrape_duration_seconds gauge
scrape_duration_seconds $seconds
# TYPE scrape_samples_scraped gauge
scrape_samples_scraped $samples
TEXT
	die "board: the exporter's page has \$page\$ in it\n" if $page =~ /\$page\$/;
	my $quoted = '$page$' . $page . '$page$';
	$psql->ask('BEGIN');
	my $taken = timed('ingest', "SELECT aggwin.ingest_text($quoted, to_timestamp($asked), '$opt{node}')");
	$psql->ask("INSERT INTO aggwin.sample_input SELECT '@{[ SHOP ]}', '$opt{shop}'::jsonb || jsonb_build_object('page', name),
		to_timestamp($asked), response_seconds(to_timestamp($asked), n::integer) FROM unnest('{/,/search,/buy}'::text[]) WITH ORDINALITY AS p (name, n)");
	$psql->ask('COMMIT');
	die "board: of @{[ $samples + 2 ]} samples of the page $taken->[0][0] were taken\n" if $taken->[0][0] != $samples + 2;
	$sent += $samples + 2 + 3;
	$pages++;
	$first //= $asked;
	$last = $asked;
	return;
}

sub timed
{
	my ($what, $sql) = @_;
	my $begin = time;
	my @rows = $psql->ask($sql);
	push @{ $ms{$what} }, (time - $begin) * 1000;
	return \@rows;
}

# Whole hours, so that both are asked for the same samples.
sub compare
{
	my ($from, $to) = ("aggwin.time_bucket('1 hour', now()) - interval '23 hours'", "aggwin.time_bucket('1 hour', now()) + interval '1 hour'");
	my $tiers = timed('tiers', "SELECT aggwin.percentile_over('@{[ SHOP ]}', '', $from, $to, 0.95, rollup => 'samples_rollup')")->[0][0];
	my $samples = timed('samples', "SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY value) FROM aggwin.samples JOIN aggwin.series USING (series_id)
		WHERE metric = '@{[ SHOP ]}' AND ts >= $from AND ts < $to")->[0][0];

	die "board: p95 of a day: $tiers by tiers, $samples of the samples\n"
	  if abs($tiers - $samples) > ERROR * $samples;
	return;
}

sub median
{
	my ($what) = @_;
	my @sorted = sort { $a <=> $b } @{ $ms{$what} };
	return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2;
}

# Everything on the board, seen by one snapshot.
sub lines_of
{
	my ($tick) = @_;

	$psql->ask('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
	my @lines = (
		$board->heading('What this machine\'s exporter tells', "$tick s of $opt{duration} s"), '',
		$board->label('busy') . busy(), $board->label('by mode') . modes(),
		$board->label('memory') . memory(), $board->label('network') . network(), '',
		' Response times of a shop, made up; 95th percentiles by tier',
		(map { $board->label($_->[0]) . percentiles(@$_) } [ '1 minute', '1m', 60 ], [ '5 minutes', '5m', 300 ], [ '1 hour', '1h', 3600 ]), '',
		' This hour and the one before', distribution(), '',
		$board->label('samples') . samples(),
		$board->label('read p95') . sprintf('tiers %.1f ms, samples %.1f ms (%.1f times), within 1 %%',
			$ms{tiers}[-1], $ms{samples}[-1], $ms{samples}[-1] / $ms{tiers}[-1]));
	$psql->ask('COMMIT');
	return @lines;
}

# Processors that did something, by second, from single samples.
sub busy
{
	my @rows = $psql->ask(<<'SQL');
SELECT extract(epoch FROM date_trunc('second', now()) - date_trunc('second', ts))::integer, sum(busy)
FROM (SELECT ts, (value - lag(value) OVER of_series) / extract(epoch FROM ts - lag(ts) OVER of_series) AS busy
	FROM aggwin.samples JOIN aggwin.series USING (series_id)
	WHERE metric = 'node_cpu_seconds_total' AND labels ->> 'mode' NOT IN ('idle', 'iowait')
		AND ts > now() - interval '1 minute'
	WINDOW of_series AS (PARTITION BY series_id ORDER BY ts)) AS s
WHERE busy IS NOT NULL
GROUP BY 1
SQL
	my @seconds = (undef) x 60;
	for (@rows)
	{
		$seconds[ 59 - $_->[0] ] = $_->[1] if $_->[0] >= 0 && $_->[0] < 60;
	}
	my ($now) = grep { defined } reverse @seconds;
	return $board->sparkline(@seconds[ 60 - WIDTH .. 59 ]) . sprintf('  %.2f processors', $now // 0);
}

# What counters grew by since the board began, a second.
sub rates
{
	my ($metric, $by) = @_;
	my $seconds = $last - $first;

	return if $seconds <= 0;
	return map { [ $_->[0], $_->[1] / $seconds ] } $psql->ask(
		"SELECT coalesce(labels ->> '$by', ''), sum(increase) FROM aggwin.query_counter('$metric', '$opt{node}',
			to_timestamp($first), to_timestamp($last + 1), '1m', by => '{$by}') GROUP BY 1 HAVING sum(increase) > 0 ORDER BY 2 DESC, 1");
}

sub modes
{
	my @modes = map { sprintf '%s %.2f', @$_ } rates('node_cpu_seconds_total', 'mode');
	splice @modes, 5;
	return @modes ? join '  ', @modes : 'a moment';
}

sub memory
{
	my ($row) = $psql->ask("SELECT min, avg, count FROM aggwin.query_metric('node_memory_MemAvailable_bytes', '$opt{node}',
		to_timestamp($last), to_timestamp($last + 1), '1h')");
	return sprintf 'available %s, this hour\'s least %s', map { sprintf '%.2f GB', $_ / 1e9 } @$row[ 1, 0 ];
}

sub network
{
	my @text;
	for (qw(receive transmit))
	{
		my $sum = 0;
		$sum += $_->[1] for rates("node_network_${_}_bytes_total", 'device');
		push @text, sprintf '%s %s bytes a second', { receive => 'in', transmit => 'out' }->{$_}, $board->grouped(int $sum);
	}
	return join ', ', @text;
}

sub percentiles
{
	my (undef, $resolution, $width) = @_;
	my $from = ($last - $last % $width) - (WIDTH - 1) * $width;
	my %of = map { $_->[0] => $_ } $psql->ask("SELECT extract(epoch FROM bucket)::bigint, p95, p50, p99
		FROM aggwin.query_metric('@{[ SHOP ]}', '', to_timestamp($from), to_timestamp($last + 1), '$resolution', by => '{}', rollup => 'samples_rollup')");
	my @line = map { sprintf '%d', $from + $_ * $width } 0 .. WIDTH - 1;
	my $newest = $of{ $line[-1] } or die "board: nothing of the last $resolution\n";

	return $board->sparkline(map { $of{$_} ? $of{$_}[1] : undef } @line)
	  . sprintf('  p50 %.0f p95 %.0f p99 %.0f ms', map { $_ * 1000 } @$newest[ 2, 1, 3 ]);
}

sub distribution
{
	return map { "  $_->[0]" } $psql->ask(<<'SQL');
SELECT p FROM (SELECT aggwin.merge(percentiles) AS h FROM shop_seconds_1h
	WHERE bucket >= aggwin.time_bucket('1 hour', now()) - interval '1 hour') AS s, aggwin.plot(h, 36) AS p
SQL
}

sub samples
{
	my ($row) = $psql->ask(q{SELECT sum(pending_deltas) FROM aggwin.rollup_status});
	return sprintf '%s sent, %s a page in %.1f ms; %s deltas pending',
	  $board->grouped($sent), $board->grouped(int $sent / $pages), $ms{ingest}[-1], $board->grouped($row->[0] // 0);
}
