# Metrics against a real Prometheus: both get the same texts, of a real exporter and
# made ones, and are asked the same.
#
#   AGGWIN_PROMETHEUS_SEED   what the random numbers follow from
#
# Every sample has a time of its own in its text, so that half an hour of samples takes
# some seconds. Prometheus scrapes them from here; the page changes once it has the one
# before. Another target has no times in its text: only there Prometheus marks the end
# of a series that is gone.
#
# A bucket is [from, to) here; in PromQL a range ends at the time of the query, and up to
# Prometheus 2 both of its ends belong to it. Times are milliseconds, so x[59999ms] a
# millisecond before a minute is over is that minute.
#
# increase() of PromQL extrapolates to the ends of its range, and knows nothing of the
# sample before; query_counter() does not extrapolate, and counts the increase since the
# sample before. So Prometheus is asked for ranges that begin at the very sample before a
# bucket and end at the bucket's last: there is nothing to extrapolate.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Aggwin::Prometheus;
use Aggwin::Session;
use IO::Socket::INET;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use POSIX qw(ceil floor);
use Test::More;
use Time::HiRes qw(time);

use constant {
	PAGES => 60,
	PATIENCE => 120,    # seconds for all of them
	RELATIVE => 1e-12,  # of sums: what another order of additions may make
	SKETCH => 0.01,     # of percentiles
};

my $directory = $PostgreSQL::Test::Utils::tmp_check . '/prometheus_metrics';
mkdir $directory;
my $exporter = Aggwin::Prometheus->exporter($directory, PostgreSQL::Test::Cluster::get_free_port(),
	qw(--collector.disable-defaults --collector.cpu --collector.loadavg --collector.meminfo --collector.netdev --collector.stat --collector.time))
  or plan skip_all => 'no exporter here (Debian: package prometheus-node-exporter)';
my $listener = IO::Socket::INET->new(Listen => 50, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die "listen: $!";
my $target = '127.0.0.1:' . $listener->sockport;

# The metric's name as a label, too: functions of PromQL drop the name, and would find
# several series of the same labels.
my $prometheus = Aggwin::Prometheus->server($directory, PostgreSQL::Test::Cluster::get_free_port(), <<"YAML", '--storage.tsdb.min-block-duration=2h');
global: { scrape_interval: 100ms, scrape_timeout: 100ms }
scrape_configs:
  - job_name: timed
    metrics_path: /timed
    static_configs: [ { targets: [ "$target" ] } ]
    metric_relabel_configs: &name
      - { source_labels: [ __name__ ], target_label: of_metric }
  - job_name: live
    scrape_interval: 300ms
    scrape_timeout: 300ms
    metrics_path: /live
    static_configs: [ { targets: [ "$target" ] } ]
    metric_relabel_configs: *name
YAML
plan skip_all => 'no Prometheus here (Debian: package prometheus)' unless $prometheus;
my $closed = $prometheus->version =~ /^2\./ or plan skip_all => 'ranges are open at their beginning since Prometheus 3';

my $seed = $ENV{AGGWIN_PROMETHEUS_SEED} || int rand 1_000_000_000;
srand $seed;
note 'prometheus ' . $prometheus->version . ', exporter ' . $exporter->version . " AGGWIN_PROMETHEUS_SEED=$seed";

my $node = PostgreSQL::Test::Cluster->new('metrics');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\ntimezone = 'UTC'\n");
$node->start;
my $psql = Aggwin::Session->new($node->connstr('postgres'), 'metrics');
$psql->rows('CREATE EXTENSION aggwin');
$psql->rows('SELECT aggwin.enable_metrics()');

# Pages ------------------------------------------------------------------------

# Times of the pages, ms: about every fifteen seconds, some on the edges of minutes and
# just before, with a pause of minutes, begun at a full five minutes half an hour ago.
my $begin = 300_000 * floor(time / 300 - 6);
my @times = ($begin);
while (@times < PAGES)
{
	my $next = $times[-1] + 12_000 + int rand 6000;
	$next += 200_000 if @times == 35;
	my $edge = 60_000 * floor($next / 60_000);
	$next = $edge - int rand 2 if $edge - 1 > $times[-1] && rand() < 0.5;
	push @times, $next;
}
my $end = 300_000 * floor($times[-1] / 300_000 + 1);

my %state;

# A counter of multiples of 1/8: no order of additions makes a difference.
sub counter
{
	my ($name, $restart) = @_;
	$state{$name} = 0 if !defined $state{$name} || rand() < $restart;
	return $state{$name} += int(rand 400) / 8;
}

sub quoted
{
	return '"' . $_[0] =~ s/([\\"])/\\$1/gr =~ s/\n/\\n/gr . '"';
}

# What is made up, of page $k. A value that is undefined leaves its series out.
sub made
{
	my ($k) = @_;
	my @families = (
		[ 'made_page', 'gauge', [ '', $k ] ],
		[ 'made_requests_total', 'counter', map { [ qq(path="/$_",code="200"), counter("requests $_", $_ * 0.03) ] } 0 .. 5 ],
		[ 'made_digits_total', 'counter', [ '', $state{digits} += rand ] ],
		[ 'made_constant_total', 'counter', [ '', 7 ] ],
		[ 'made_once_total', 'counter', [ '', $k == 20 ? 5 : undef ] ],
		[ 'made_late_total', 'counter', [ '', $k >= 30 ? counter('late', 0) : undef ] ],
		# Away for some minutes, back at zero, or as if nothing had been.
		[ 'made_away_total', 'counter', map { [ "back=\"$_\"", $k < 12 || $k > 25 ? ($k == 26 && $_ ? $state{"away $_"} = 0.5 : counter("away $_", 0)) : undef ] } 0, 1 ],
		[ 'made_celsius', 'gauge',
			[ 'room="attic"', sprintf '%.3f', 15 * sin($k / 9) ], [ 'room="cold"', -20 - rand 40 ],
			[ 'room="zero"', 0 ], [ 'room="tiny"', 1e-300 * (1 + rand) ], [ 'room="huge"', 1e150 * (1 + rand) ],
			[ 'room="any"', rand > 0.3 ? exp(rand(20) - 10) * (rand > 0.5 ? 1 : -1) : undef ] ],
		[ 'made_not_a_number', 'gauge', [ 'when="sometimes"', rand > 0.5 ? 'NaN' : rand 10 ], [ 'when="always"', 'NaN' ] ],
		[ 'made_infinite', 'gauge', [ 'sign="plus"', rand > 0.8 ? '+Inf' : rand 10 ], [ 'sign="minus"', rand > 0.8 ? '-Inf' : rand 10 ],
			[ 'sign="both"', (rand 10, '+Inf', '-Inf')[ rand 3 ] ] ],
		[ 'made_labels', 'untyped', map { [ 'text=' . quoted($_), rand 100 ] } 'say "so"', "two\nlines", 'c:\\x\\n', 'Größe 大きさ 🎵', '{a="b"}', '' ],
		# Labels that the scrape sets itself, and one that is empty.
		[ 'made_clash', 'gauge', [ 'job="own",instance="here",empty=""', rand 3 ] ]);
	my $text = '';

	for my $family (@families)
	{
		my ($name, $type, @samples) = @$family;
		$text .= "# TYPE $name $type\n";
		$text .= $name . ($_->[0] eq '' ? '' : "{$_->[0]}") . " $_->[1]\n" for grep { defined $_->[1] } @samples;
	}
	$text .= "# HELP made_seconds How long it took.\n# TYPE made_seconds histogram\n";
	for my $path ('/', '/buy')
	{
		my ($sum, @counts) = @{ $state{"seconds $path"} //= [ (0) x 7 ] };
		(@counts, $sum) = (0) x 7 if rand() < 0.04;
		for (1 .. rand 40)
		{
			my $seconds = int(8 * -log(1 - rand) + 1) / 8;
			$sum += $seconds;
			$seconds <= (0.25, 0.5, 1, 2, 4, 9e9)[$_] && $counts[$_]++ for 0 .. 5;
		}
		$state{"seconds $path"} = [ $sum, @counts ];
		$text .= qq(made_seconds_bucket{path="$path",le="@{[ (0.25, 0.5, 1, 2, 4, '+Inf')[$_] ]}"} $counts[$_]\n) for 0 .. 5;
		$text .= qq(made_seconds_sum{path="$path"} $sum\nmade_seconds_count{path="$path"} $counts[5]\n);
	}
	return $text;
}

# A text whose samples have a time.
sub timed
{
	my ($text, $time) = @_;
	return $text =~ s/^([^#\n].*)/$1 $time/gmr;
}

my (@pages, @live);

sub page
{
	my ($k) = @_;

	if (!defined $pages[$k])
	{
		my $real = $exporter->get('/metrics');
		utf8::decode($real);
		$pages[$k] = timed($real . made($k), $times[$k]);
	}
	return $pages[$k];
}

# Every fifth page is without one series, and the five after a tenth without another.
sub live_page
{
	my $n = @live;
	my $text = "# TYPE live_page gauge\nlive_page $n\n";

	$text .= "# TYPE live_flickers_total counter\nlive_flickers_total " . counter('flickers', 0.1) . "\n" if $n % 5;
	$text .= "# TYPE live_away gauge\nlive_away{a=\"b\"} " . rand(10) . "\n" if $n % 10 < 5;
	push @live, $text;
	return $text;
}

# Scraping ---------------------------------------------------------------------

# Serves one request, if there is one. Prometheus sends no more than fits into a buffer.
sub serve
{
	my ($k) = @_;
	my $bits = '';
	vec($bits, fileno $listener, 1) = 1;
	return if !select $bits, undef, undef, 0.02;

	my $client = $listener->accept or return;
	local $SIG{PIPE} = 'IGNORE';
	sysread $client, my $request, 65_536;
	my $body = ($request // '') =~ m{^GET /live } ? live_page() : page($k);
	utf8::encode($body);
	print $client "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: "
	  . length($body) . "\r\nConnection: close\r\n\r\n$body";
	close $client;
	return;
}

sub scraped
{
	my ($k) = @_;
	my ($row) = @{ $prometheus->query('made_page{job="timed"}[10ms]', $times[$k] / 1000) };
	return defined $row;
}

my $patience = time + PATIENCE;
for my $k (0 .. PAGES - 1)
{
	while (!scraped($k))
	{
		die "Prometheus does not scrape page $k\n" . $prometheus->get('/api/v1/targets') if time > $patience;
		serve($k);
	}
}
# Enough for a series that is gone to come again, twice.
while (@live < 22)
{
	die "Prometheus does not scrape\n" if time > $patience;
	serve(PAGES - 1);
}
close $listener;
my $now = time + 1;

# What Prometheus has: samples by key, [ms, value], in order. Prometheus itself adds series
# about each scrape, which are not in the texts.
my $json = JSON::PP->new->canonical->utf8(0);
my $all = 'job=~"timed|live",of_metric!=""';
my %keys;

sub key
{
	my ($metric) = @_;

	return $keys{$metric} //= do
	{
		my %labels = %$metric;
		my $name = delete $labels{of_metric};
		delete $labels{__name__};
		"$name " . $json->encode(\%labels);
	};
}

# Of a metric's name and jsonb as the server prints it.
sub our_key
{
	my ($text) = @_;

	return $keys{$text} //= do
	{
		my ($metric, $labels) = split / /, $text, 2;
		utf8::decode($labels);
		"$metric " . $json->encode($json->decode($labels));
	};
}
my %raw;
for my $row (@{ $prometheus->query("{$all}[2h]", $now) })
{
	$raw{ key($row->{metric}) } = [ map { [ sprintf('%.0f', $_->[0] * 1000), $_->[1] ] } @{ $row->{values} } ];
}

# Ingestion --------------------------------------------------------------------

sub ingest_page
{
	my ($k) = @_;
	return $psql->value('SELECT aggwin.ingest_text(' . literal($pages[$k]) . qq{, NULL, '{"job": "timed", "instance": "$target"}')});
}

sub literal
{
	my $text = $_[0] =~ s/'/''/gr;
	utf8::encode($text);
	return "'$text'";
}

# The first pages as they came, folded in between. Then those that are left in any order,
# and some again.
my $samples = 0;
for my $k (0 .. PAGES * 2 / 3)
{
	$samples += ingest_page($k);
	$psql->value(q{SELECT aggwin.refresh('samples_rollup_1h')}) if $k % 13 == 12;
}
my @rest = (PAGES * 2 / 3 + 1 .. PAGES - 1);
while (@rest)
{
	my $k = splice @rest, rand @rest, 1;
	$samples += ingest_page($k);
	ingest_page($k) if rand() < 0.3;
}

# The scrapes that Prometheus has, with the time that it gave them. A series that was in
# the text before and is not in this has ended.
my ($marks, %before) = (0);
for my $row (@{ $raw{qq(live_page {"instance":"$target","job":"live"})} })
{
	my ($ms, $n) = @$row;
	my $at = "to_timestamp(0) + $ms * interval '1 ms'";
	my $labels = qq({"job": "live", "instance": "$target"});
	my %now = map { $_ => 1 } $live[$n] =~ /^(live_\S+)/gm;

	$samples += $psql->value('SELECT aggwin.ingest_text(' . literal($live[$n]) . ", $at, '$labels')");
	for my $series (grep { !$now{$_} } keys %before)
	{
		my ($name, $of) = $series =~ /^(\w+)(?:\{a="(\w+)"\})?/;
		$of = defined $of ? qq(, "a": "$of") : '';
		$psql->value("SELECT aggwin.ingest('$name', '" . $labels =~ s/\}$/$of}/r . "', $at, aggwin.stale_marker())");
		$marks++;
		is(@{ $prometheus->query($name, ($ms + 100) / 1000) }, 0, "Prometheus marked the end of $name") if $marks < 3;
	}
	%before = %now;
}
cmp_ok($marks, '>=', 3, "$marks times a series ended with a mark");
is($psql->value('SELECT count(*) FROM aggwin.samples WHERE aggwin.is_stale(value)'), $marks, 'marks are stored');

my $of_prometheus = 0;
$of_prometheus += @$_ for values %raw;
is($samples, $of_prometheus, "aggwin took as many samples as Prometheus, $samples");
my %ours = map { our_key($_) => 1 } $psql->rows(q{SELECT metric || ' ' || labels FROM aggwin.series});
is(join("\n", sort keys %ours), join("\n", sort keys %raw), 'and the same series, ' . keys %raw);
cmp_ok(scalar keys %raw, '>', 150, 'enough of them');

# Questions --------------------------------------------------------------------

# Rows as hashes, by series and bucket.
sub answers
{
	my ($function, $from, $to, $resolution) = @_;
	my @columns = $function eq 'query_metric' ? qw(count min max sum avg p50 p95 p99) : qw(increase rate resets);
	my %answer;

	for ($psql->rows("SELECT (labels ->> '__name__') || ' ' || (labels - '__name__'), extract(epoch FROM bucket)::bigint, "
		. join(', ', @columns) . " FROM aggwin.$function('{job=~\"timed|live\"}', '', to_timestamp($from), to_timestamp($to), '$resolution')"))
	{
		my ($series, $bucket, @values) = reverse map { scalar reverse } split /\|/, reverse($_), @columns + 2;
		my $key = our_key($series);
		die "two rows of $key at $bucket" if $answer{$key}{$bucket};
		@{ $answer{$key}{$bucket} }{@columns} = map { $_ eq '' ? undef : $_ } @values;
	}
	return \%answer;
}

# The same of Prometheus, which knows a bucket by its last millisecond.
sub of_prometheus
{
	my ($function, $from, $to, $width) = @_;
	my $range = $width * 1000 - 1;
	my %answer;

	for my $row (@{ $prometheus->query_range("$function({$all}[${range}ms])", $from + $width - 0.001, $to - 0.001, $width) })
	{
		$answer{ key($row->{metric}) }{ sprintf '%.0f', $_->[0] + 0.001 - $width } = $_->[1] for @{ $row->{values} };
	}
	return \%answer;
}

sub number
{
	my ($text) = @_;
	return undef if !defined $text;
	return 9**9**9 if $text =~ /^\+?Inf/;
	return -9**9**9 if $text =~ /^-Inf/;
	return $text =~ /nan/i ? -sin 9**9**9 : 0 + $text;
}

# Equal, or but for the last digits of what is as large as scale.
sub close_enough
{
	my ($x, $y, $relative, $scale) = @_;
	($x, $y) = (number($x), number($y));
	return !defined $x && !defined $y if !defined $x || !defined $y;
	return 1 if $x == $y || $x != $x && $y != $y;
	return $relative && abs($x - $y) <= $relative * ($scale // abs $y);
}

# What differs of two answers, after how many were compared.
sub differences
{
	my ($ours, $theirs, $field, $relative, $scale) = @_;
	my ($compared, @differ) = (0);
	my %keys = (%$ours, %$theirs);

	for my $key (sort keys %keys)
	{
		my %buckets = (%{ $ours->{$key} // {} }, %{ $theirs->{$key} // {} });
		for my $bucket (sort keys %buckets)
		{
			my ($x, $y) = (($ours->{$key}{$bucket} // {})->{$field}, ($theirs->{$key} // {})->{$bucket});
			$compared++;
			push @differ, sprintf '%s %s: %s, Prometheus %s', $key, $bucket, map { $_ // 'nothing' } $x, $y
			  if !close_enough($x, $y, $relative, $scale && ($scale->{$key} // {})->{$bucket});
		}
	}
	return ($compared, @differ);
}

sub same
{
	my ($name, @answers) = @_;
	my ($compared, @differ) = differences(@answers);

	ok($compared > 0 && !@differ, "$name: $compared compared")
	  or diag join "\n", @differ > 15 ? (@differ[ 0 .. 14 ], @differ . ' differ') : @differ;
	return;
}

# The times [ms] of the samples of a series that an increase is between: the last of the
# bucket, and the last before it, or the first of all.
sub ends
{
	my ($samples, $from, $to) = @_;
	my ($first, $last);

	for my $sample (@$samples)
	{
		my $ms = $sample->[0];
		last if $ms >= $to * 1000;
		$first = $ms if $ms < $from * 1000 || !defined $first;
		$last = $ms if $ms >= $from * 1000;
	}
	return defined $last ? ($first, $last) : ();
}

my ($from, $to) = map { $_ / 1000 } $begin, $end;
my $whole_to = 300 * floor($now / 300 + 1);
my %not_finite = map { $_ => 1 } grep { grep { $_->[1] =~ /[NI]/ } @{ $raw{$_} } } keys %raw;

my %theirs;

for my $state ('partly folded', 'folded')
{
	for my $of ([ '1m', 60 ], $state eq 'folded' ? ([ '5m', 300 ], [ '1h', 3600 ]) : (), [ '15 minutes', 900 ])
	{
		my ($resolution, $width) = @$of;
		my ($start, $stop) = ($width * floor($from / $width), $width * floor($whole_to / $width + 1));
		my $name = "$resolution, $state";
		my $ours = answers('query_metric', $start, $stop, $resolution);
		my $counters = answers('query_counter', $start, $stop, $resolution);
		my $their = $theirs{$resolution} //= {
			(map { $_ => of_prometheus("${_}_over_time", $start, $stop, $width) } qw(count sum avg min max)),
			increases($start, $stop, $width), percentiles($ours, $width) };
		my ($sums, $largest) = magnitudes($start, $width);

		same("$name: $_", $ours, $their->{$_}, $_) for qw(count min max);
		same("$name: $_", $ours, $their->{$_}, $_, RELATIVE, $sums) for qw(sum avg);
		same("$name: $_", finite($ours), $their->{$_}, $_, SKETCH) for qw(p50 p95 p99);
		same("$name: increase", finite($counters), $their->{increase}, 'increase', RELATIVE, $largest);
		same("$name: resets", finite($counters), $their->{resets}, 'resets');
		my @wrong = grep { !close_enough($_->{rate}, $_->{increase} / $width, RELATIVE) } map { values %$_ } values %{ finite($counters) };
		is(scalar @wrong, 0, "$name: rate is the increase per second");
	}
	$psql->value(q{SELECT aggwin.refresh('samples_rollup_1h')});
}

sub finite
{
	my ($answers) = @_;
	return { map { $_ => $answers->{$_} } grep { !$not_finite{$_} } keys %$answers };
}

# How large numbers get on the way: the sum of the absolute values of each bucket, and the
# greatest value of the series.
sub magnitudes
{
	my ($start, $width) = @_;
	my (%sum, %largest);

	for my $key (keys %raw)
	{
		my @values = map { abs number($_->[1]) } @{ $raw{$key} };
		my ($largest) = sort { $b <=> $a } @values;
		for my $i (0 .. $#values)
		{
			my $bucket = $start + $width * floor(($raw{$key}[$i][0] / 1000 - $start) / $width);
			$sum{$key}{$bucket} += $values[$i];
			$largest{$key}{$bucket} = $largest;
		}
	}
	return (\%sum, \%largest);
}

# Answers of Prometheus to a question for each bucket that is another for other series.
# questions: bucket => question => list of keys.
sub asked
{
	my ($questions, $expression, $time) = @_;
	my %answer;

	for my $bucket (keys %$questions)
	{
		for my $question (keys %{ $questions->{$bucket} })
		{
			my %wanted = map { $_ => 1 } @{ $questions->{$bucket}{$question} };
			my $names = join '|', sort keys %{ { map { /^(\w+)/ => 1 } keys %wanted } };
			for my $row (@{ $prometheus->query($expression->("{$all,of_metric=~\"$names\"}", $question), $time->($bucket, $question)) })
			{
				my $key = key($row->{metric});
				$answer{$key}{$bucket} = $row->{values}[0][1] if $wanted{$key};
			}
		}
	}
	return \%answer;
}

sub increases
{
	my ($start, $stop, $width) = @_;
	my (%questions, %single);

	for my $key (grep { !$not_finite{$_} } keys %raw)
	{
		for (my $bucket = $start; $bucket < $stop; $bucket += $width)
		{
			my ($first, $last) = ends($raw{$key}, $bucket, $bucket + $width) or next;
			# A single sample is none for Prometheus.
			$single{$key}{$bucket} = 0 if $first == $last;
			push @{ $questions{$bucket}{"$first $last"} }, $key if $first != $last;
		}
	}
	return map {
		my $function = $_;
		my $answer = asked(\%questions,
			sub { my ($first, $last) = split / /, $_[1]; "$function($_[0]\[" . ($last - $first) . 'ms])' },
			sub { (split / /, $_[1])[1] / 1000 });
		@{ $answer->{$_} }{ keys %{ $single{$_} } } = values %{ $single{$_} } for keys %single;
		($function => $answer)
	} 'increase', 'resets';
}

# percentile_disc takes a sample; quantile_over_time is asked for that very one.
sub percentiles
{
	my ($ours, $width) = @_;
	my %questions;

	for my $key (grep { !$not_finite{$_} } keys %$ours)
	{
		push @{ $questions{$_}{ $ours->{$key}{$_}{count} } }, $key for keys %{ $ours->{$key} };
	}
	return map {
		my $percent = $_;
		("p$percent" => asked(\%questions,
			sub {
				my ($selector, $n) = @_;
				my $rank = ceil($percent * $n / 100) - 1;
				return sprintf 'quantile_over_time(%.17g, %s[%dms])', $n > 1 ? $rank / ($n - 1) : 0, $selector, $width * 1000 - 1;
			},
			sub { $_[0] + $width - 0.001 }))
	} 50, 95, 99;
}

# The whole ------------------------------------------------------------------------

my $counters = answers('query_counter', $from, $whole_to, '1m');
my (%sum, %whole, %one);
for my $key (grep { !$not_finite{$_} } keys %raw)
{
	my @ms = map { $_->[0] } @{ $raw{$key} };
	$sum{$key}{all}{increase} += $_->{increase} for values %{ $counters->{$key} };
	push @{ $one{all}{"$ms[0] $ms[-1]"} }, $key if @ms > 1;
	$whole{$key}{all} = 0 if @ms == 1;
}
my $whole = asked(\%one, sub { my ($first, $last) = split / /, $_[1]; "increase($_[0]\[" . ($last - $first) . 'ms])' },
	sub { (split / /, $_[1])[1] / 1000 });
same('the increases of all minutes add up to the whole', \%sum, { %whole, %$whole }, 'increase', 1e-11,
	{ map { my $key = $_; $key => { all => (sort { $b <=> $a } map { abs number($_->[1]) } @{ $raw{$key} })[0] * @{ $raw{$key} } } } keys %raw });

# Selectors and groups ----------------------------------------------------------------

sub grouped
{
	my ($metric, $matchers, $by) = @_;
	my %answer;

	for ($psql->rows("SELECT labels, extract(epoch FROM bucket)::bigint, count, min, max, sum, avg
			FROM aggwin.query_metric('$metric', " . literal($matchers) . ", to_timestamp($from), to_timestamp($to), '5m', by => '{$by}')"))
	{
		my ($labels, $bucket, @values) = reverse map { scalar reverse } split /\|/, reverse($_), 7;
		@{ $answer{ our_key("$metric $labels") }{$bucket} }{qw(count min max sum avg)} = @values;
	}
	return \%answer;
}

for ([ 'node_cpu_seconds_total', '{mode=~"i.*|user"}', 'mode' ], [ 'node_cpu_seconds_total', '{mode!~"i.*",cpu!="0"}', 'cpu,mode' ],
	[ 'node_cpu_seconds_total', '', '' ], [ 'made_requests_total', '{path=~"/[1-3]",code=~".+"}', 'code' ],
	[ 'made_requests_total', '{path=~"1"}', 'path' ], [ 'made_labels', '{text="two\nlines"}', 'text' ],
	[ 'made_labels', '{text=~"Größe.*|say \"so\""}', 'job' ], [ 'made_labels', '{text=""}', 'text,job' ],
	[ 'made_labels', '{text!=""}', 'instance' ], [ 'made_clash', '{exported_job="own",job="timed"}', 'exported_instance,missing' ],
	[ 'made_seconds_bucket', '{le!="+Inf"}', 'le' ])
{
	my ($metric, $matchers, $by) = @$_;
	my $selector = ($metric . $matchers) . '[299999ms]';
	my %fold = (count => 'sum by (%s) (count_over_time(%s))', min => 'min by (%s) (min_over_time(%s))', max => 'max by (%s) (max_over_time(%s))',
		sum => 'sum by (%s) (sum_over_time(%s))', avg => 'sum by (%1$s) (sum_over_time(%2$s)) / sum by (%1$s) (count_over_time(%2$s))');
	my $ours = grouped($metric, $matchers, $by);
	my @differ;
	my $compared = 0;

	for my $f (qw(count min max sum avg))
	{
		my %theirs;
		for my $row (@{ $prometheus->query_range(sprintf($fold{$f}, $by, $selector), $from + 299.999, $to - 0.001, 300) })
		{
			my $key = "$metric " . $json->encode($row->{metric});
			$theirs{$key}{ sprintf '%.0f', $_->[0] + 0.001 - 300 } = $_->[1] for @{ $row->{values} };
		}
		my ($n, @these) = differences($ours, \%theirs, $f, 1e-11);
		$compared += $n;
		push @differ, map { "$f $_" } @these;
	}
	ok(!@differ, "$metric$matchers by ($by): $compared compared") or diag join "\n", @differ;
	cmp_ok($compared, $matchers eq '{path=~"1"}' ? '==' : '>', 0, 'some, or none');
}

# Histograms, percentiles of a range --------------------------------------------------

my ($first, $last) = map { $_->[0] } @{ $raw{qq(made_page {"instance":"$target","job":"timed"})} }[ 0, -1 ];
for my $fraction (0.5, 0.9, 0.99)
{
	for my $by ('', 'path')
	{
		my $comma = $by ? ',' : '';
		my %theirs = map { ($_->{metric}{path} // '') => $_->{values}[0][1] } @{ $prometheus->query(
				"histogram_quantile($fraction, sum by (le$comma$by) (increase(made_seconds_bucket[" . ($last - $first) . 'ms])))', $last / 1000) };
		my %ours = map { split /\|/ } $psql->rows("SELECT coalesce(path, ''), aggwin.histogram_quantile($fraction, le, increase)
			FROM (SELECT labels ->> 'path' AS path, labels ->> 'le' AS le, sum(increase) AS increase
				FROM aggwin.query_counter('made_seconds_bucket', '', to_timestamp($from), to_timestamp($to), '5m', by => '{le$comma$by}') GROUP BY 1, 2) AS s GROUP BY 1");
		is(join(' ', sort keys %ours), join(' ', sort keys %theirs), "histogram_quantile($fraction) by ($by)");
		ok(close_enough($ours{$_}, $theirs{$_}, RELATIVE), "histogram_quantile($fraction) of \"$_\": $theirs{$_}")
		  or diag $ours{$_} for sort keys %theirs;
	}
}
for my $key (grep { /^(?:made_celsius|made_page|node_load1|go_memstats_alloc_bytes) / } sort keys %raw)
{
	my ($metric, $labels) = split / /, $key, 2;
	my $labels_for_promql = $labels =~ s/"(\w+)":/$1=/gr;
	my $n = @{ $raw{$key} };

	for my $rank (0, int $n / 3, int $n * 0.9, $n - 1)
	{
		my ($row) = @{ $prometheus->query(sprintf('quantile_over_time(%.17g, %s%s[%dms])', $rank / ($n - 1), $metric, $labels_for_promql, ($to - $from) * 1000 - 1), $to - 0.001) };
		my $ours = $psql->value("SELECT aggwin.percentile_over('$metric', " . literal($labels) . ", to_timestamp($from), to_timestamp($to), " . ($rank + 0.5) / $n . ')');
		ok(close_enough($ours, $row->{values}[0][1], SKETCH), "sample $rank of $n of $key: $ours, Prometheus $row->{values}[0][1]");
	}
}

# What is not the same is noticed -----------------------------------------------------

$psql->value("SELECT aggwin.ingest('made_page', '{\"job\": \"timed\", \"instance\": \"$target\"}', to_timestamp(" . ($times[10] + 1) / 1000 . '), 10)');
my ($compared, @differ) = differences(answers('query_metric', $from, $to, '1m'), of_prometheus('count_over_time', $from, $to, 60), 'count');
is(scalar @differ, 1, 'a sample that Prometheus has not got makes a difference');
like($differ[0], qr/^made_page /, 'in its series');

$psql->close;
$prometheus->stop;
$exporter->stop;
$node->stop;
done_testing();
