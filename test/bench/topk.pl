#!/usr/bin/perl
# topk.pl - the ten most frequent of 300,000 items: topk_agg against counting all
#
# Five million plays of songs, the song's number of plays about in inverse
# proportion to its rank; with parallel query and without. JIT is off, as in
# summary.pl.
use strict;
use warnings;
use Bench;

use constant { ROWS => 5_000_000, SONGS => 300_000 };

my $psql = session();
$psql->ask('CREATE EXTENSION aggwin');
$psql->ask('SET jit = off');
$psql->ask('SET max_parallel_workers_per_gather = 0');
$psql->ask("SET work_mem = '256MB'");    # so that all songs are hashed in memory

$psql->ask('SELECT setseed(0.5)');
$psql->ask("CREATE UNLOGGED TABLE plays AS
	SELECT 'song ' || floor(@{[ SONGS ]} ^ random())::integer AS song FROM generate_series(1, @{[ ROWS ]})");
$psql->ask('VACUUM ANALYZE plays');

my %query = (
	exact => 'SELECT song, count(*) FROM plays GROUP BY song ORDER BY count(*) DESC, song LIMIT 10',
	topk => 'SELECT item, count FROM aggwin.top((SELECT aggwin.topk_agg(song, 10) FROM plays), 10)');
my $result;
for my $workers (2, 0)
{
	$psql->ask("SET max_parallel_workers_per_gather = $workers");
	$result = measure(
		rounds => rounds(7),
		psql => { '' => $psql },
		sides => { map { my $sql = $query{$_}; $_ => sub { $psql->ask($sql) } } keys %query });
	report('top ten of 300,000 songs' . ($workers ? ', two workers planned' : '') . ': topk_agg / GROUP BY',
		[ ratios($result, 's', qw(topk exact)) ], [ ratios($result, 'cpu', qw(topk exact)) ], '<= 0.30');
}

my ($row) = $psql->ask(q[SELECT count(*), count(*) FILTER (WHERE t.count - t.error <= e.n AND e.n <= t.count)
	FROM aggwin.top((SELECT aggwin.topk_agg(song, 10) FROM plays), 10) AS t
		JOIN (SELECT song, count(*) AS n FROM plays GROUP BY song) AS e ON e.song = t.item]);
die "bench: topk: $row->[1] of $row->[0] counts lie within their bounds\n" if "@$row" ne '10 10';
my %exact = map { $_->[0] => 1 } $psql->ask($query{exact});
my $same = grep { $exact{ $_->[0] } } $psql->ask($query{topk});
my ($bytes) = map { $_->[0] } $psql->ask('SELECT pg_column_size(aggwin.topk_agg(song, 10)) FROM plays');
note('GROUP BY %.0f ms, topk_agg %.0f ms, a state of %d bytes; all counts lie within their bounds, %d of 10 songs are the same',
	(map { my $side = $_; 1000 * median(map { $_->{s} } @{ $result->{$side} }) } qw(exact topk)), $bytes, $same);
$psql->close or die "bench: psql ended badly\n";
