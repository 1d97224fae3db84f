# Every query of doc/grafana-dashboard.json, run as Grafana's PostgreSQL data source would:
# variables and macros are put in as it does, and what comes back is what a panel can draw.
use strict;
use warnings;
use FindBin;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use POSIX qw(strftime);
use Test::More;

my $json = slurp_file("$FindBin::RealBin/../../doc/grafana-dashboard.json");
my $dashboard = decode_json($json);
my @panels = grep { $_->{type} ne 'row' } @{ $dashboard->{panels} };
my %variable = map { $_->{name} => $_ } @{ $dashboard->{templating}{list} };

# Metrics ----------------------------------------------------------------------

my $node = PostgreSQL::Test::Cluster->new('grafana');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\ntimezone = 'Pacific/Chatham'\n");
$node->start;

# What an exporter and a service would have told in the last two hours: two machines, of
# names that have to be quoted.
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION aggwin;
SELECT aggwin.enable_metrics();
CREATE TABLE page AS
SELECT ts, machine, format(E'# TYPE node_cpu_seconds_total counter\n%s# TYPE node_network_receive_bytes_total counter\nnode_network_receive_bytes_total{device="eth0"} %s\n# TYPE node_network_transmit_bytes_total counter\nnode_network_transmit_bytes_total{device="eth0"} %s\n# TYPE node_memory_MemAvailable_bytes gauge\nnode_memory_MemAvailable_bytes %s\n# TYPE node_load1 gauge\nnode_load1 %s\n# TYPE shop_seconds histogram\n%sshop_seconds_sum %s\nshop_seconds_count %s\n',
	(SELECT string_agg(format(E'node_cpu_seconds_total{cpu="%s",mode="%s"} %s\n', cpu, mode, n * 15 * share), '')
		FROM generate_series(0, 1) AS cpu, (VALUES ('idle', 0.7), ('user', 0.2), ('system', 0.1)) AS m (mode, share)),
	n * 1000, n * 400, 1e9 + 1e8 * sin(n), 1 + sin(n / 7.0),
	(SELECT string_agg(format(E'shop_seconds_bucket{le="%s"} %s\n', le, n * observed), '')
		FROM (VALUES ('0.1', 2), ('0.5', 8), ('+Inf', 9)) AS b (le, observed)), n * 2.5, n * 9) AS text
FROM generate_series(1, 480) AS n, unnest('{it''s:9100,"a\\b:9100"}'::text[]) AS machine,
	LATERAL (SELECT date_trunc('second', now()) - interval '2 hours' + n * interval '15 s' AS ts) AS t;
SELECT aggwin.ingest_text(text, ts, jsonb_build_object('job', 'the "shop''s"', 'instance', machine)) FROM page ORDER BY ts;
SELECT aggwin.ingest('node_load1', '{"job": "other", "instance": "c:9100"}', now(), 99);
-- refused, and a part that is not folded
SELECT aggwin.ingest('node_load1', '{"job": "other", "instance": "c:9100"}', now() + interval '1 year', 1);
SELECT aggwin.refresh('samples_rollup_1h');
SELECT aggwin.ingest('node_load1', '{"job": "other", "instance": "c:9100"}', now() - interval '1 minute', 98);
SQL

# Grafana ----------------------------------------------------------------------

# It has a role that may read, as doc/grafana.md makes it.
my ($grants) = slurp_file("$FindBin::RealBin/../../doc/grafana.md") =~ /^(CREATE ROLE grafana.*?)^```/ms;
$node->safe_psql('postgres', $grants);

# What a variable is replaced by: it has one value, or a list.
sub with_variables
{
	my ($sql, %value) = @_;

	$sql =~ s{\$\{(\w+)(?::(\w+))?\}|\$(?!__)(\w+)}{
		my ($name, $format) = ($1 // $3, $2);
		die "there is no variable $name\n" if !exists $value{$name};
		# Without it, a value stands in the text as it is.
		die "\$$name is not sqlstring\n" if ($format // '') ne 'sqlstring';
		join ',', map { "'" . s/'/''/gr . "'" } ref $value{$name} ? @{ $value{$name} } : $value{$name}
	}ge;
	return $sql;
}

# Seconds of Grafana's texts for intervals
my %unit = (ms => 0.001, s => 1, m => 60, h => 3600, d => 86400);

sub seconds
{
	my ($interval) = @_;
	my ($n, $unit) = $interval =~ /^'?(\d+)(ms|s|m|h|d)'?$/ or die "\"$interval\" is no interval\n";
	return $n * $unit{$unit};
}

# Then the macros: first the interval, then those with arguments.
sub with_macros
{
	my ($sql, $from, $to, $interval) = @_;
	my ($begin, $end) = map { "'" . strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $_) . "'" } $from, $to;

	$sql =~ s/\$__interval_ms/1000 * seconds($interval)/ge;
	$sql =~ s/\$__interval/$interval/g;
	$sql =~ s{\$(\w+)\(([^)]*)\)}{
		my ($name, @arguments) = ($1, split /\s*,\s*/, $2);
		$name eq '__timeFrom' ? $begin
		: $name eq '__timeTo' ? $end
		: $name eq '__timeFilter' ? "$arguments[0] BETWEEN $begin AND $end"
		: $name eq '__timeGroup' ? sprintf('floor(extract(epoch from %s)/%g)*%g', $arguments[0], (seconds($arguments[1])) x 2)
		: die "unknown macro $name\n"
	}ge;
	die "what is this: $1\n" if $sql =~ /(\$.{0,20})/;
	return $sql;
}

# A wider range has wider intervals, but none narrower than the panel's.
sub interval_of
{
	my ($panel, $interval) = @_;
	my $least = $panel->{interval} // return $interval;
	return seconds($interval) < seconds($least) ? $least : $interval;
}

sub ask
{
	my ($sql) = @_;
	my ($status, $out, $error) = $node->psql('postgres', $sql, connstr => $node->connstr('postgres') . ' user=grafana');
	return $status ? (undef, $error) : ([ split /\n/, $out ], '');
}

# The names and types of the columns
sub columns
{
	my ($sql) = @_;
	my ($rows, $error) = ask("$sql \\gdesc");
	return $error ? () : map { [ split /\|/ ] } @$rows;
}

# Variables ------------------------------------------------------------------------

my %value;
for my $variable (@{ $dashboard->{templating}{list} })
{
	my $name = $variable->{name};

	if ($variable->{type} eq 'datasource')
	{
		is($variable->{query}, 'grafana-postgresql-datasource', "\$$name is a PostgreSQL data source");
		next;
	}
	# Those that it uses come before it.
	my ($rows, $error) = ask(with_variables($variable->{query}, %value));
	is($error, '', "\$$name: its query runs");
	cmp_ok(scalar @{ $rows // [] }, '>', 0, "\$$name has values");
	is($variable->{definition}, $variable->{query}, "\$$name shows its query");
	# Grafana takes the first, or all.
	$value{$name} = $variable->{multi} ? $rows : $rows->[0];
}
is($value{job}, 'other', 'jobs are sorted');
$value{job} = q{the "shop's"};
($value{instance}) = ask(with_variables($variable{instance}{query}, %value));
is_deeply([ sort @{ $value{instance} } ], [ 'a\b:9100', q{it's:9100} ], 'instances of a job with quotes');
is($value{counter}, 'node_cpu_seconds_total', 'counters');
is($value{gauge}, 'node_load1', 'gauges');
is($value{histogram}, 'shop_seconds_bucket', 'histograms');

# The dashboard itself -------------------------------------------------------------

my %ids;
$ids{ $_->{id} }++ for @{ $dashboard->{panels} };
is_deeply([ grep { $ids{$_} > 1 } keys %ids ], [], 'panels have ids of their own');
my %cell;
for my $panel (@{ $dashboard->{panels} })
{
	my ($x, $y, $w, $h) = @{ $panel->{gridPos} }{qw(x y w h)};
	for my $column ($x .. $x + $w - 1)
	{
		push @{ $cell{$column}{$_} }, $panel->{title} for $y .. $y + $h - 1;
	}
}
is_deeply([ grep { $_ > 23 } keys %cell ], [], 'none is beyond the 24 columns');
is_deeply([ grep { @$_ > 1 } map { values %$_ } values %cell ], [], 'none lies over another');
my @sources = map { $_->{datasource}{uid} } @panels, (map { @{ $_->{targets} } } @panels), grep { $_->{type} eq 'query' } values %variable;
is_deeply([ grep { $_ ne '${source}' } @sources ], [], 'all read from the data source chosen');
for my $name (sort keys %variable)
{
	like($json, qr/\$\{?$name\b/, "\$$name is used");
}

# Panels ---------------------------------------------------------------------------

my $numbers = qr/^(?:bigint|integer|smallint|double precision|real|numeric)$/;
my $queries = 0;
my $now = time + 1;

for my $panel (@panels)
{
	cmp_ok(length $panel->{description}, '>', 10, "$panel->{title}: says what it shows");
	for my $target (@{ $panel->{targets} })
	{
		my $name = "$panel->{title}, $target->{refId}";

		for ([ 1, '15s' ], [ 1, '1m' ], [ 6, '5m' ], [ 24, '20m' ], [ 24 * 7, '1h' ], [ 24 * 90, '1d' ])
		{
			my ($hours, $interval) = @$_;
			my $range = "$name, $hours hours";
			my $sql = eval { with_macros(with_variables($target->{rawSql}, %value), $now - 3600 * $hours, $now + 60, interval_of($panel, $interval)) };
			ok(defined $sql, "$range: variables and macros") or diag($@), next;
			my @columns = columns($sql);
			my ($rows, $error) = ask($sql);
			is($error, '', "$range: runs") or next;
			check_rows($range, $target->{format}, \@columns, $rows);
			$queries++;
		}
	}
}
cmp_ok($queries, '>', 60, "$queries queries were run");

sub check_rows
{
	my ($name, $format, $columns, $rows) = @_;
	my ($time) = grep { $columns->[$_][0] eq 'time' } 0 .. $#$columns;
	my @values = grep { $columns->[$_][1] =~ $numbers } 0 .. $#$columns;
	my @texts = map { $columns->[$_] } grep { $columns->[$_][1] !~ $numbers && $_ != ($time // -1) } 0 .. $#$columns;

	ok(defined $time && $columns->[$time][1] eq 'timestamp with time zone', "$name: has a time");
	cmp_ok(scalar @values, '>', 0, "$name: and numbers");
	is_deeply([ grep { $_->[1] ne 'text' } @texts ], [], "$name: the rest is text");
	cmp_ok(scalar @$rows, '>', 0, "$name: rows");
	cmp_ok(scalar @$rows, '<=', 11_000, "$name: not too many");
	my @split = map { [ split /\|/, $_, -1 ] } @$rows;
	my @lacking = grep { my $column = $_; !grep { $_->[$column] =~ /^-?[\d.]+(?:e[-+]\d+)?$/ } @split } @values;
	is_deeply([ map { $columns->[$_][0] } @lacking ], [], "$name: numbers in each column");
	if ($format eq 'time_series')
	{
		is_deeply([ grep { $_->[0] ne 'metric' } @texts ], [], "$name: series are named by metric");
		# Its times have one offset from UTC, but where a clock is set back.
		my @times = map { /^(\S+) (\S+)/ ? "$1 $2" : $_ } map { $_->[$time] } @split;
		is_deeply(\@times, [ sort @times ], "$name: in order of time");
	}
	return;
}

# Numbers --------------------------------------------------------------------------

# What panels show is what was ingested.
sub shown
{
	my ($title, $hours, $interval, %other) = @_;
	my ($panel) = grep { $_->{title} eq $title } @panels;
	my ($rows, $error) = ask(with_macros(with_variables($panel->{targets}[ delete $other{target} // 0 ]{rawSql}, %value, %other),
			$now - 3600 * $hours, $now, interval_of($panel, $interval)));
	die $error if $error;
	return map { [ split /\|/ ] } @$rows;
}

my @idle = grep { $_->[1] eq 'idle' } shown('Processor time', 1, '5m');
cmp_ok(scalar @idle, '>=', 12, 'an hour of five minutes');
is_deeply([ map { sprintf '%.3f', $_->[2] } @idle[ 2 .. 9 ] ], [ ('2.800') x 8 ], 'two machines of two processors, idle for 70 %');
is_deeply([ map { sprintf '%.3f', $_->[2] } (grep { $_->[1] eq 'idle' } shown('Processor time', 1, '5m', instance => q{it's:9100}))[ 2 .. 9 ] ],
	[ ('1.400') x 8 ], 'one of them');
my @out = shown('Network', 1, '5m', target => 1);
is(sprintf('%s %.3f', @{ $out[5] }[ 1, 2 ]), sprintf('out eth0 %.3f', -400 / 15 * 2), 'what goes out is below zero');
my ($top) = shown('Top ten series of $counter', 1, '1m');
like($top->[1], qr/"mode": "idle"/, 'the series that grew most');
my @quantiles = shown('Quantiles of $histogram', 1, '5m');
is(sprintf('%.4f', $quantiles[4][1]), sprintf('%.4f', 0.1 + 0.4 * (4.5 - 2) / 6), 'the median of a histogram');
my @hourly = shown('1 hour', 2, '1h');
cmp_ok($hourly[1][2], '<=', 2.02, '95th percentile of the hour');
cmp_ok($hourly[1][2], '>', 1.9, 'and not lower');
my ($refused) = shown('Refused samples', 1, '1m');
is(join('|', @$refused[ 1 .. 3 ]), 'node_load1|too far ahead|1', 'what was refused');
my ($lag) = shown('Rollup lag', 1, '1m');
is($lag->[1], 'samples_rollup', 'the rollup of metrics');
cmp_ok($lag->[2], '>', 0, 'which has something to fold');

$node->stop;
done_testing();
