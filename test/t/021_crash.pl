# Processes die and the server stops in the middle of load, again and again:
# after recovery every rollup and its plain query agree in every bucket, before
# and after the next fold, and prepared transactions are still what they were.
#
#   AGGWIN_CRASH_ROUNDS   how often everything happens (2)
#   AGGWIN_CRASH_SEED     what the random numbers follow from
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use Aggwin::Crew;
use Aggwin::Session;
use Aggwin::Workload qw(create_workload subtracting_names view_names compare_sql differences);

my $rounds = $ENV{AGGWIN_CRASH_ROUNDS} || 2;
my $seed = $ENV{AGGWIN_CRASH_SEED} || int rand 1_000_000_000;

note "AGGWIN_CRASH_SEED=$seed AGGWIN_CRASH_ROUNDS=$rounds";
srand $seed;

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'aggwin'
restart_after_crash = on
max_prepared_transactions = 40
deadlock_timeout = 200ms
});
$node->start;
create_workload($node);

my $session;
my %sum = (done => 0, checks => 0, prepared => 0, folds => 0);

# Runs a query again until it finds a process, and returns its pid.
sub find_pid
{
	my ($query) = @_;
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;

	while (time < $end)
	{
		my $pid = $session->value($query);
		return $pid if defined $pid;
	}
	die "no process was found by: $query";
}

sub kill_backend
{
	my ($name, $query) = @_;

	$session->kill_process($node, find_pid("SELECT pid FROM pg_stat_activity WHERE application_name ~ '^$name'"
		  . " AND state = 'active' AND query ~* '$query' AND wait_event_type IS DISTINCT FROM 'Timeout'"
		  . ' ORDER BY random() LIMIT 1'));
	return;
}

# A server does not start while children of the former one are at work.
sub kill_postmaster
{
	my @children = $session->rows('SELECT pid FROM pg_stat_activity');
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;

	$node->kill9;
	while (my @alive = grep { kill 0, $_ } @children)
	{
		die "still running: @alive" if time > $end;
		sleep 0.05;
	}
	$node->start;
	return;
}

my %HARM = (
	'an inserting backend is killed' => sub { kill_backend('writer', 'insert into events|copy events') },
	'a writing backend is killed' => sub { kill_backend('writer', 'update|delete|merge|truncate|commit') },
	'a folding backend is killed' => sub { kill_backend('folder', 'refresh') },
	'the worker is killed' => sub { $session->kill_process($node, find_pid('SELECT pid FROM aggwin.workers')) },
	'the server is stopped at once' => sub { $node->stop('immediate'); $node->start },
	'the postmaster is killed' => \&kill_postmaster);

sub is_exact
{
	my ($name) = @_;
	my ($differences, $rows, $text) = differences($session->rows(compare_sql(view_names())));

	is($differences, 0, $name) or diag "seed $seed: $text";
	return $rows;
}

sub refresh
{
	$session->rows("SELECT aggwin.refresh('$_')") foreach view_names();
	return;
}

sub prepared_transactions
{
	return map { $_ => 1 } $session->rows('SELECT gid FROM pg_prepared_xacts');
}

# Everybody at work, then the harm.
sub crash
{
	my ($name, $number) = @_;
	my $crew = Aggwin::Crew->new(
		node => $node,
		seed => $seed + $number,
		folder => PostgreSQL::Test::Utils::tempdir());
	my $total;

	$session = Aggwin::Session->new($node->connstr('postgres'), 'test');
	$session->rows('BEGIN; ' . Aggwin::Writer->new($session)->insert . "PREPARE TRANSACTION 'test-$number'");
	$crew->hire("writer$_", \&Aggwin::Crew::writer,
		leave_prepared => 1, largest_batch => 1000) foreach 1 .. 3;
	$crew->hire('folder', \&Aggwin::Crew::folder, pause => 0);
	$crew->hire('checker', \&Aggwin::Crew::checker);
	sleep 0.6 + rand 1.2;
	$HARM{$name}->();
	$session->close;
	$total = $crew->collect;
	is_deeply($total->{problems}, [], "$name: nobody had seen a difference") or diag "seed $seed";
	$sum{done} += $_ foreach values %{ $total->{done} };
	$sum{checks} += $total->{'read committed checks'} // 0;
	$sum{folds} += $total->{folds} // 0;
	push @{ $total->{prepared} }, "test-$number";
	return $total;
}

# What the server came back with.
sub recovered
{
	my ($name, $total) = @_;
	my (%prepared, @left);

	$session = Aggwin::Session->new($node->connstr('postgres'), 'test');
	is_exact("$name: exact after recovery");
	%prepared = prepared_transactions();
	is(join(' ', grep { !$prepared{$_} } @{ $total->{prepared} }),
		'', "$name: no prepared transaction is lost");
	refresh();
	is_exact("$name: exact after the next fold");

	# One may wait until after the next crash.
	@left = sort keys %prepared;
	pop @left;
	foreach my $gid (@left)
	{
		$session->rows((rand() < 0.7 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$gid'");
		$sum{prepared}++;
	}
	is_exact("$name: exact with prepared transactions finished");
	refresh();
	cmp_ok(is_exact("$name: exact with them folded"), '>', 0, "$name: there is something");
	$session->close;
	return;
}

my $number = 0;
foreach my $round (1 .. $rounds)
{
	foreach my $name (Aggwin::Writer::shuffled(sort keys %HARM))
	{
		my $total = crash($name, ++$number);

		recovered($name, $total);
	}
}

$session = Aggwin::Session->new($node->connstr('postgres'), 'test');
foreach my $gid (keys %{ { prepared_transactions() } })
{
	$session->rows("COMMIT PREPARED '$gid'");
}
is_exact('exact at last');
refresh();
is_exact('exact when everything is folded');

note "$_: $sum{$_}" foreach sort keys %sum;
cmp_ok($sum{$_}, '>', 0, "there were some: $_") foreach sort keys %sum;
cmp_ok($session->value('SELECT min(rows_folded) FROM aggwin.rollup_status'),
	'>', 0, 'rows were folded in every rollup');
my $subtracting = join '|', subtracting_names();
cmp_ok(
	$session->value(
		"SELECT min(repairs) FROM aggwin.rollup_status WHERE rollup::text !~ '^($subtracting)'"),
	'>', 0, 'ranges were repaired in every rollup that does not subtract');

my $log = slurp_file($node->logfile);
unlike($log, qr/PANIC|TRAP|terminated by signal (?!9:|3:)/, 'no process died but those that were killed');

$session->close;
$node->stop;
done_testing();
