#!/usr/bin/perl
# late.pl - a late row is in the next answer: a check, no measurement
use strict;
use warnings;
use Bench;

use constant { ROWS => 100_000, LATE => 100 };

my ($writer, $reader) = (session(), session());
create_events($writer, 'events');
create_rollup($writer, 'events', '1 minute');
my $path = events('batch', 0, ROWS);
$writer->send_text("\\copy events FROM '$path'\n");
settle($writer, 'events_rollup');

for (1 .. rounds(LATE))
{
	# some in buckets that are folded, some in hours that had no row
	my $ts = 'to_timestamp(' . (Bench::START + int rand 2 * ROWS / 1000 - ROWS / 1000) . ')';
	my $key = 1 + int rand Bench::KEYS;
	$writer->ask("INSERT INTO events VALUES ($ts, $key, 1e6 + $_)");

	my $where = "WHERE bucket = aggwin.time_bucket('1 minute', $ts)";
	same_answers($reader, "late row $_", "SELECT * FROM events_rollup $where",
		"SELECT * FROM (@{[ Bench::four_aggregates('events', '1 minute') ]}) AS e $where");
	my ($row) = $reader->ask("SELECT max >= 1e6 + $_ FROM events_rollup $where AND key = $key");
	die "bench: late row $_ is not there\n" unless $row && $row->[0] eq 't';
}
my ($folded) = map { $_->[0] } $reader->ask('SELECT rows_folded FROM aggwin.rollup_status');
die "bench: late rows were folded before they were read\n" if $folded != ROWS;
same_answers($reader, 'all', 'TABLE events_rollup', [ 'events', '1 minute' ]);
note('%d late rows, each in the next answer of another session, without a fold: exact',
	rounds(LATE));
$_->close or die "bench: psql ended badly\n" for $writer, $reader;
