#!/usr/bin/perl
# pipelines.pl - pipelines over series that come in at 1 Hz: what a hundred of them cost in
# processor time, time and memory, what the second costs after the first, and what the same
# rules cost in Prometheus
#
#   PROMETHEUS   that program; default: prometheus in PATH. Without it that part is left out.
#
# Numbers of pipelines are compared by databases of their own, which take turns. Each minute
# is loaded as fast as it goes, folded each 15 s of it, as a worker would, and then closed.
# The grace is none, so what closing takes is how far behind results are.
use strict;
use warnings;
use Bench;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Aggwin::Prometheus;
use IO::Select;
use IO::Socket::INET;
use POSIX qw(sysconf _SC_CLK_TCK);
use Time::HiRes qw(sleep time);

use constant { SERIES => 10_000, PIPELINES => 100, MINUTE => 60, SETTLE => 10, PROMETHEUS_SECONDS => 120 };

my $start = 86_400 * int(time / 86_400) - 86_400;

# Rules -------------------------------------------------------------------------

# Six functions by four groupings, again and again. All of them read all series.
my @groupings = ('service', 'zone', 'service, zone', '');
my @functions = (
	[ 'count by (%s) (requests_total[1m])', 'sum by (%s) (count_over_time(requests_total[1m]))' ],
	[ 'max by (%s) (requests_total[1m])', 'max by (%s) (max_over_time(requests_total[1m]))' ],
	[ 'avg by (%s) (requests_total[1m])', 'avg by (%s) (avg_over_time(requests_total[1m]))' ],
	[ 'sum by (%s) (requests_total[1m])', 'sum by (%s) (sum_over_time(requests_total[1m]))' ],
	[ 'sum by (%s) (increase(requests_total[1m]))', 'sum by (%s) (increase(requests_total[1m]))' ],
	[ 'sum2 by (%s) (requests_total[1m])', 'sum by (%s) (requests_total)' ]);

sub rule
{
	my ($n, $language) = @_;
	return sprintf $functions[ ($n - 1) % @functions ][$language], $groupings[ int(($n - 1) / @functions) % @groupings ];
}

sub rules
{
	my ($count) = @_;
	return join('', map { sprintf "- promql: '%s'\n  as: r%d\n", rule($_, 0), $_ } 1 .. $count) || '[]';
}

sub prometheus_rules
{
	my ($count) = @_;
	return "groups:\n- name: all\n  interval: ${\MINUTE}s\n  rules:\n"
	  . join '', map { sprintf "  - {record: r%d, expr: '%s'}\n", $_, rule($_, 1) } 1 .. $count;
}

# Here ---------------------------------------------------------------------------

my $psql = session();

# A database with so many pipelines, and a minute of samples before them.
sub database_with
{
	my ($count) = @_;
	my $database = "$ENV{PGDATABASE}_$count";

	$psql->ask("CREATE DATABASE $database");
	my %here = (name => $database, psql => session($database), minute => 0);
	$here{psql}->ask('CREATE EXTENSION aggwin');
	$here{psql}->ask('SELECT aggwin.enable_metrics()');
	$here{psql}->ask('SET aggwin.max_new_series = 0');
	($here{pid}) = map { $_->[0] } $here{psql}->ask('SELECT pg_backend_pid()');
	minute_of_samples(\%here);
	$here{psql}->ask('SELECT count(*) FROM aggwin.apply_pipelines($$' . rules($count) . '$$)');
	# Time goes as samples say, not by the clock.
	$here{psql}->ask(q{SELECT count(aggwin.alter_window(output, idle_timeout => '365 days')) FROM aggwin.pipelines});
	return \%here;
}

# A minute of samples of all series, a statement a second.
sub minute_of_samples
{
	my ($here) = @_;

	for my $second (0 .. MINUTE - 1)
	{
		my $since = $here->{minute} * MINUTE + $second;

		$here->{psql}->ask(qq{INSERT INTO aggwin.sample_input
			SELECT 'requests_total', jsonb_build_object('service', 's' || n % 20, 'zone', 'z' || n % 7, 'pod', 'p' || n),
				to_timestamp($start + $since), n % 97 * 1000000 + $since FROM generate_series(1, ${\SERIES}) AS n});
		$here->{psql}->ask(q{SELECT aggwin.refresh('samples_rollup_1h')}) if $second % 15 == 14;
	}
	$here->{minute}++;
	return;
}

# Memory of a process of its own, in MB; undef if the system does not tell.
sub own_memory
{
	my ($pid) = @_;
	open my $file, '<', "/proc/$pid/status" or return undef;
	my ($kb) = map { /^RssAnon:\s+(\d+)/ } <$file>;
	return defined $kb ? $kb / 1024 : undef;
}

# Returns what memory the backend has at most meanwhile.
sub close_windows
{
	my ($here) = @_;
	my $answer = IO::Select->new($here->{psql}{out});
	my $peak = own_memory($here->{pid});

	$here->{psql}->send_text("SELECT aggwin.close_windows();\n");
	$here->{psql}->send_mark;
	until ($answer->can_read(0.02))
	{
		my $memory = own_memory($here->{pid});
		$peak = $memory if defined $memory && $memory > $peak;
	}
	$here->{psql}->wait_for_mark;
	return $peak;
}

# A minute, and the closing of the one before: nanoseconds of processor time of both, seconds of the latter.
sub load_and_close
{
	my ($here) = @_;
	my @cpu = cpu_of($here->{psql});

	minute_of_samples($here);
	push @cpu, cpu_of($here->{psql});
	my $begin = time;
	my $peak = close_windows($here);
	my $seconds = time - $begin;
	push @cpu, cpu_of($here->{psql});
	return { load => $cpu[1] - $cpu[0], cpu => $cpu[2] - $cpu[1], all => $cpu[2] - $cpu[0], s => $seconds, memory => own_memory($here->{pid}), peak => $peak };
}

# The newest minute that is closed, of what the first four functions give by service.
# Returns how many series of results there are.
sub compare_results
{
	my ($here) = @_;
	my ($from, $to) = map { "to_timestamp($start + ($here->{minute} - $_) * ${\MINUTE})" } 2, 1;
	my $compared = same_answers($here->{psql}, 'results',
		"SELECT metric, labels ->> 'service' AS service, value FROM aggwin.sample_input WHERE metric IN ('r1', 'r2', 'r3', 'r4') AND ts = $to",
		"SELECT m.metric, m.service, m.value FROM (SELECT labels ->> 'service' AS service, count(*) AS n, max(value) AS max, avg(value) AS avg, sum(value) AS sum
			FROM aggwin.sample_input WHERE metric = 'requests_total' AND ts >= $from AND ts < $to GROUP BY 1) AS g,
			LATERAL (VALUES ('r1', g.service, g.n), ('r2', g.service, g.max), ('r3', g.service, g.avg), ('r4', g.service, g.sum)) AS m (metric, service, value)");
	my ($row) = $here->{psql}->ask(q{SELECT (SELECT count(*) FROM aggwin.pipelines WHERE last_error IS NOT NULL),
		(SELECT count(*) FROM aggwin.series WHERE metric ~ '^r[0-9]+$')});
	my ($failed, $series) = @$row;

	die "bench: $failed pipelines failed\n" if $failed;
	note('%d results of %d of a minute compared: equal', $compared, $series);
	return $series;
}

die "bench: the system does not tell processor times\n" unless defined cpu_of($psql);
my @counts = (0, 1, 2, PIPELINES);
my %database = map { $_ => database_with($_) } @counts;
my $measured = measure(rounds => rounds(3), sides => { map { my $here = $database{$_}; $_ => sub { load_and_close($here) } } @counts });
my $samples = SERIES * MINUTE;

sub median_of
{
	my ($what, $count) = @_;
	return median(map { $_->{$what} } @{ $measured->{$count} });
}

for my $count (@counts)
{
	note('%d pipelines: load %.1f s of cpu a minute, closing %.2f s, %.2f s of cpu; memory %.0f MB, %.0f MB at most', $count,
		median_of('load', $count) / 1e9, median_of('s', $count), median_of('cpu', $count) / 1e9, map { median_of($_, $count) } qw(memory peak));
}

# By rounds: what $many pipelines take more than $few, for each of them, to what the first takes.
sub to_the_first
{
	my ($what, $many, $few) = @_;
	return map {
		my $round = $_;
		my ($m, $f, $one, $none) = map { $measured->{$_}[$round]{$what} } $many, $few, 1, 0;
		($m - $f) / ($many - $few) / ($one - $none);
	} 0 .. $#{ $measured->{0} };
}

report('closing a minute: the second pipeline / the first', map({ [ to_the_first($_, 2, 1) ] } qw(s cpu)), undef);
report('closing a minute: each of the others / the first', map({ [ to_the_first($_, PIPELINES, 2) ] } qw(s cpu)), undef);
report("load and fold: ${\PIPELINES} pipelines / none", [], [ ratios($measured, 'load', PIPELINES, 0) ], undef);
note('%.2f us of cpu a sample to store and fold; closing: %.2f us with one pipeline, %.2f us with %d, %.1f ns a sample for each',
	map({ $_ / 1e3 / $samples } median_of('load', 0), median_of('cpu', 1), median_of('cpu', PIPELINES)), PIPELINES, median_of('cpu', PIPELINES) / $samples / PIPELINES);
note('at 1 Hz all of it takes %.0f %% of a processor, %.0f %% without pipelines', map { median_of('all', $_) / 1e7 / MINUTE } PIPELINES, 0);
my $results = compare_results($database{ +PIPELINES });
for my $here (values %database)
{
	$here->{psql}->close or die "bench: psql ended badly\n";
	$psql->ask("DROP DATABASE $here->{name} WITH (FORCE)");
}

# Prometheus -----------------------------------------------------------------------

my $work = $ENV{PGHOST};

sub listen_somewhere
{
	return IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', ReuseAddr => 1) // die "bench: listen: $@\n";
}

# Serves the same series to whoever asks, until its parent ends. Returns its pid and port.
sub start_exporter
{
	my $socket = listen_somewhere();
	my $parent = $$;
	my $pid = fork // die "bench: fork: $!\n";
	return ($pid, $socket->sockport) if $pid;

	my @begins = map { sprintf 'requests_total{service="s%d",zone="z%d",pod="p%d"} %d', $_ % 20, $_ % 7, $_, 1 + $_ % 97 } 1 .. SERIES;
	my $waiting = IO::Select->new($socket);
	local $SIG{PIPE} = 'IGNORE';
	while (getppid == $parent)
	{
		next unless $waiting->can_read(1);
		my $client = $socket->accept // next;
		while (my $line = <$client>) { last if $line =~ /^\r?\n/ }
		my $text = join sprintf("%06d\n", time - $start), @begins, '';
		print $client "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\nContent-Length: ", length $text, "\r\n\r\n", $text;
		close $client;
	}
	POSIX::_exit(0);
}

# Nanoseconds of processor time of all its threads.
sub process_cpu
{
	my ($pid) = @_;
	open my $file, '<', "/proc/$pid/stat" or die "bench: /proc/$pid/stat: $!\n";
	my @field = split ' ', <$file> =~ s/.*\) //sr;
	return ($field[11] + $field[12]) * 1e9 / sysconf(_SC_CLK_TCK);    # utime, stime
}

# What it tells of itself, summed over labels.
sub told
{
	my ($prometheus, $metric) = @_;
	my $sum = 0;
	$sum += $_ for $prometheus->get('/metrics') =~ /^$metric(?:\{[^}]*\})? (\S+)$/mg;
	return $sum;
}

sub observe
{
	my ($prometheus) = @_;
	my @before = map { told($prometheus, "prometheus_$_") } qw(tsdb_head_samples_appended_total rule_group_iterations_total);
	my ($begin, $cpu) = (time, process_cpu($prometheus->{pid}));

	sleep PROMETHEUS_SECONDS;
	my %observed = (cpu => process_cpu($prometheus->{pid}) - $cpu, s => time - $begin);
	@observed{qw(samples turns)} = map { told($prometheus, "prometheus_$_") - shift @before } qw(tsdb_head_samples_appended_total rule_group_iterations_total);
	$observed{memory} = own_memory($prometheus->{pid});
	return \%observed;
}

sub beside_prometheus
{
	my ($exporter, $port) = start_exporter();
	my $rules = "$work/rules.yml";
	my $own_port = listen_somewhere()->sockport;
	my $prometheus = Aggwin::Prometheus->server($work, $own_port, <<"EOT");
global: {scrape_interval: 1s, scrape_timeout: 1s}
rule_files: ['$rules']
scrape_configs: [{job_name: bench, static_configs: [{targets: ['127.0.0.1:$port']}]}]
EOT
	return note('no prometheus here: not compared') unless defined $prometheus;

	sleep SETTLE;
	my $plain = observe($prometheus);
	open my $out, '>', $rules or die "bench: $rules: $!\n";
	print $out prometheus_rules(PIPELINES);
	close $out or die "bench: $rules: $!\n";
	kill 'HUP', $prometheus->{pid};
	my $end = time + 3 * MINUTE;
	until (told($prometheus, 'prometheus_rule_group_last_duration_seconds') > 0)
	{
		die "bench: Prometheus evaluates no rules\n" if time > $end;
		sleep 1;
	}
	sleep SETTLE;
	my $ruled = observe($prometheus);
	my $duration = told($prometheus, 'prometheus_rule_group_last_duration_seconds');
	my ($count) = map { $_->{values}[0][1] } @{ $prometheus->query('count({__name__=~"r[0-9]+"})', time) };
	die "bench: Prometheus has $count results, not $results\n" if $count != $results;
	die "bench: only $plain->{samples} samples were scraped\n" if $plain->{samples} < 0.9 * SERIES * PROMETHEUS_SECONDS;

	my $stored = $plain->{cpu} / $plain->{samples};
	my $evaluated = ($ruled->{cpu} - $plain->{cpu} * $ruled->{s} / $plain->{s}) / $ruled->{turns};
	note('Prometheus %s: %.2f us of cpu a sample to scrape and store, %.0f %% of a processor, %.0f MB', $prometheus->version, $stored / 1e3,
		100 * $plain->{cpu} / $plain->{s} / 1e9, $plain->{memory});
	note('its %d rules, each minute: %.2f s, %.2f s of cpu, %.2f us a sample, %.0f MB; %d turns', PIPELINES, $duration, $evaluated / 1e9,
		$evaluated / 1e3 / $samples, $ruled->{memory}, $ruled->{turns});
	report('store and fold a sample / scrape and store it in Prometheus', [], [ median_of('load', 0) / $samples / $stored ], undef);
	report("${\PIPELINES} pipelines / ${\PIPELINES} rules of Prometheus", [ median_of('s', PIPELINES) / $duration ], [ median_of('cpu', PIPELINES) / $evaluated ], undef);
	report('all of it / all of it in Prometheus', [], [ median_of('all', PIPELINES) / MINUTE / ($ruled->{cpu} / $ruled->{s}) ], undef);
	$prometheus->stop;
	kill 'TERM', $exporter;
	waitpid $exporter, 0;
	return;
}

$psql->close or die "bench: psql ended badly\n";
beside_prometheus();
