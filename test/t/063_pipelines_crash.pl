# Processes die and the server stops while pipelines close windows, are made, changed or
# compute what was before them: afterwards rules have been applied as a whole or not at
# all, and each result is there once and right.
#
#   AGGWIN_PIPELINES_SEED   what the random numbers follow from
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use Aggwin::Crew;
use Aggwin::Pipelines qw(rules yaml quoted differences_sql);
use Aggwin::Session;

my $seed = $ENV{AGGWIN_PIPELINES_SEED} || int rand 1_000_000_000;

note "AGGWIN_PIPELINES_SEED=$seed";
srand $seed;

my $node = PostgreSQL::Test::Cluster->new('pipelines_crash');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'aggwin'
restart_after_crash = on
aggwin.worker_naptime = '100ms'
aggwin.max_past = 0
});
$node->start;

my %rules = map { $_->{as} => $_ } rules();
my @first = @rules{qw(r_sum r_sum2 r_increase p_last_time r_sum2_hour c_sum p_quantile)};
# One is changed, one is gone, some are new.
my @second = (
	@rules{qw(r_sum r_sum2 p_last_time r_sum2_hour c_sum p_quantile r_avg p_top p_series short_lat short_lat_bucket short_lat_sum short_lat_count)},
	{ %{ $rules{r_increase} }, promql => 'sum by (env) (increase(req_total{path="/"}[1m]))', of => "metric = 'req_total' AND labels->>'path' = '/'" });
my @applied = @first;
my $session;
my $number = 0;

sub connect_again
{
	$session->close if $session;
	$session = Aggwin::Session->new($node->connstr('postgres'), 'test');
	return;
}

sub apply_sql
{
	return 'SELECT count(*) FROM aggwin.apply_pipelines(' . quoted(yaml(@_)) . ')';
}

# The samples are old: the clock would close everything at once.
sub wait_for_samples
{
	$session->rows(q{SELECT aggwin.alter_window(output, idle_timeout => '10000 days') FROM aggwin.pipelines});
	return;
}

# Some samples of all series each time, one of them late. Event time runs from a sequence.
sub writer
{
	my ($crew, $session, $result) = @_;

	until ($crew->over($session, $result))
	{
		my $answer = $session->run(q{WITH clock AS (SELECT timestamptz '2026-03-01 10:00:03Z' + nextval('clock') * interval '4 s' AS now)
			INSERT INTO aggwin.sample_input (metric, labels, ts, value)
			SELECT s.metric, s.labels, c.now - CASE WHEN random() < 0.02 THEN random() * interval '3 min' ELSE '0' END, (random() * 800)::int / 8.0 FROM clock AS c,
				(SELECT 'req_total', jsonb_build_object('env', CASE WHEN n < 3 THEN 'prod' ELSE 'dev' END, 'host', 'h' || n, 'path', CASE n % 2 WHEN 0 THEN '/' ELSE '/buy' END) FROM generate_series(0, 4) AS n
				UNION ALL SELECT 'temp', jsonb_build_object('env', 'prod', 'host', 'h' || n) FROM generate_series(0, 2) AS n
				UNION ALL SELECT 'lat_bucket', jsonb_build_object('env', 'prod', 'le', le) FROM unnest('{0.5,1,+Inf}'::text[]) AS le
				UNION ALL SELECT name, '{"env": "dev"}' FROM unnest('{lat_sum,lat_count}'::text[]) AS name) AS s (metric, labels)});
		$result->{written} += Aggwin::Crew::worked($answer, $result, 'write', '40P01');
		sleep 0.02;
	}
	return;
}

# While windows are being closed, if that can be caught.
sub closing_pid
{
	my $end = time + 3;
	my $pid;

	ok($node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM aggwin.workers'), 'there is a worker');
	$pid = $session->value('SELECT pid FROM aggwin.workers');
	while (time < $end)
	{
		last if $session->value("SELECT count(*) FROM pg_locks WHERE pid = $pid AND relation = 'aggwin.window'::regclass AND mode = 'RowExclusiveLock'") > 0;
	}
	return $pid;
}

sub stop_server
{
	$node->stop('immediate');
	$node->start;
	return;
}

# All windows that are over are closed, and all of them are right.
sub is_right
{
	my ($name) = @_;
	my $closed = $node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM aggwin.window AS w JOIN aggwin.pipeline AS p ON p.output = w.output
		WHERE w.closed_to IS NULL OR w.closed_to + w.size <= (SELECT max(ts) FROM aggwin.samples)});
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;
	my @wrong;

	ok($closed, "$name: all windows are closed");
	do
	{
		@wrong = $session->rows(differences_sql(@applied));
		sleep 0.5 if @wrong;
	} while (@wrong && time < $end);
	is(scalar @wrong, 0, "$name: and right") or diag join "\n", "seed $seed", splice @wrong, 0, 20;
	return;
}

# What is applied now: all of one set of rules or all of the other.
sub find_applied
{
	my ($name) = @_;
	my $now = join ' ', $session->rows(q{SELECT "as" || promql FROM aggwin.pipelines ORDER BY "as"});
	my %sets = map { my @set = @$_; $session->rows('BEGIN; ' . apply_sql(@set)); my $key = join ' ', $session->rows(q{SELECT "as" || promql FROM aggwin.pipelines ORDER BY "as"});
		$session->rows('ROLLBACK'); ($key => \@set) } \@first, \@second;

	ok($sets{$now}, "$name: rules are applied as a whole or not at all") or diag $now;
	@applied = @{ $sets{$now} // die "neither set of rules\n" };
	return;
}

# Somebody writes, then the harm.
sub survives
{
	my ($name, $harm) = @_;
	my $crew = Aggwin::Crew->new(node => $node, seed => $seed + ++$number, folder => PostgreSQL::Test::Utils::tempdir());
	my $total;

	connect_again();
	$crew->hire('writer', \&writer);
	sleep 0.5 + rand;
	$harm->();
	connect_again();
	find_applied($name);
	wait_for_samples();
	$total = $crew->collect;
	is_deeply($total->{problems}, [], "$name: writers saw nothing wrong");
	is_right($name);
	return;
}

# Applies the other rules; the harm is done some time after, in the middle of that or of the backfill.
sub while_applying
{
	my ($after, $harm) = @_;
	my $other = @applied == @first ? \@second : \@first;
	my $applying = Aggwin::Session->new($node->connstr('postgres'), 'applying');

	$applying->start(apply_sql(@$other));
	sleep $after;
	$harm->($applying);
	$applying->await;
	$applying->close;
	return;
}

sub pid_of_applying
{
	return $session->value(q{SELECT coalesce((SELECT pid FROM pg_stat_activity WHERE application_name = 'applying' AND state = 'active'), 0)});
}

connect_again();
$session->rows('CREATE EXTENSION aggwin; SELECT aggwin.enable_metrics(); CREATE SEQUENCE clock');
$session->rows(apply_sql(@first));
wait_for_samples();

survives('the worker is killed while it closes windows', sub { $session->kill_process($node, closing_pid()) });
survives('the server is stopped while windows are closed', sub { closing_pid(); stop_server() });
my $caught = 0;
foreach my $after (0, 0.02, 0.05, 0.1)
{
	survives("a backend is killed $after s after it began to apply rules",
		sub { while_applying($after, sub { my $pid = pid_of_applying(); $caught++ if $pid; $session->kill_process($node, $pid || closing_pid()) }) });
}
cmp_ok($caught, '>', 0, "in the middle of it: $caught times");
survives('the server is stopped while rules are applied', sub { while_applying(0.03, \&stop_server) });

# There are some thousand samples now. A removed pipeline's results stay; a new one's begin with the first.
foreach my $harm ([ 'the worker is killed', sub { $session->kill_process($node, closing_pid()) } ], [ 'the server is stopped', \&stop_server ])
{
	my ($name, $sub) = @$harm;
	survives("$name in a backfill", sub {
		$session->rows(apply_sql());
		$session->rows(q{DELETE FROM aggwin.samples WHERE series_id IN (SELECT series_id FROM aggwin.series JOIN aggwin.metric USING (metric) WHERE derived)});
		$session->rows(apply_sql(@applied));
		wait_for_samples();
		ok($node->poll_query_until('postgres', 'SELECT count(*) > 0 FROM aggwin.window WHERE closed > 0'), 'a backfill has begun');
		note 'windows behind: ' . $session->value(q{SELECT sum(extract(epoch FROM (SELECT max(ts) FROM aggwin.samples) - w.closed_to) / extract(epoch FROM w.size))::int FROM aggwin.window AS w});
		$sub->() });
}
note $session->value('SELECT count(*) FROM aggwin.samples') . ' samples; closed ' . $session->value('SELECT sum(closed) FROM aggwin.window');

my $log = slurp_file($node->logfile);
unlike($log, qr/PANIC|TRAP|terminated by signal (?!9:|3:)/, 'no process died but those that were killed');
$session->close;
$node->stop;
done_testing();
