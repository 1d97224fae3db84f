# Processes that work on a server at the same time, and what they found.
#
#   my $crew = Aggwin::Crew->new(node => $node, seed => $seed, folder => $dir);
#   $crew->hire($name, \&Aggwin::Crew::folder, %options);
#   my $total = $crew->finish($seconds);      # hash: sums of all counts, problems
#
# Every member is a process with a psql of its own and random numbers that
# follow from the seed and its name. It stops at the end of the time, or early
# when its session is lost or somebody has found a problem.
package Aggwin::Crew;

use strict;
use warnings;
use POSIX ();
use PostgreSQL::Test::Utils;
use Storable ();
use Time::HiRes qw(sleep time);
use Aggwin::Session;
use Aggwin::Workload qw(rollup_names view_names compare_sql differences create_rollup_sql);
use Aggwin::Writer;

sub new
{
	my ($class, %options) = @_;

	return bless { %options, members => [] }, $class;
}

# work->($crew, $session, $result, %options) is called in the new process, until
# $crew->over. It adds to the numbers in result, and to {problems}.
sub hire
{
	my ($self, $name, $work, %options) = @_;
	my $file = "$self->{folder}/$name.result";
	my $connstr = ($options{node} // $self->{node})->connstr('postgres');

	unlink $file, "$self->{folder}/stop";
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		# Whatever happens, none of the test's own endings may run in here.
		eval { $self->member($name, $work, $file, $connstr, %options); 1 } or do
		{
			Storable::store({ problems => ["$name: $@"] }, $file);
			$self->stop;
		};
		POSIX::_exit(0);
	}
	push @{ $self->{members} }, { name => $name, pid => $pid, file => $file };
	return;
}

sub member
{
	my ($self, $name, $work, $file, $connstr, %options) = @_;
	my $seed = $self->{seed};
	my %result = (problems => []);

	$seed = ($seed * 31 + ord) % 2147483647 foreach split //, $name;
	srand $seed;
	my $session = Aggwin::Session->new($connstr, $name);
	$session->run(sprintf "SELECT setseed(%.6f) \\g /dev/null", rand);
	$work->($self, $session, \%result, %options);
	# Why a session was lost may be what was to be found out.
	$result{lost} = $session->{lost};
	$session->close;
	Storable::store(\%result, $file);
	return;
}

sub stop
{
	my ($self) = @_;

	open my $stop, '>', "$self->{folder}/stop" or die "$self->{folder}/stop: $!";
	close $stop;
	return;
}

# In a member: is it time to end?
sub over
{
	my ($self, $session, $result) = @_;

	return 1 if $session->{lost};
	if (@{ $result->{problems} })
	{
		$self->stop;
		return 1;
	}
	return -e "$self->{folder}/stop";
}

# Lets them work for so long, then adds up what they report.
sub finish
{
	my ($self, $seconds) = @_;
	my $end = time + $seconds;

	sleep 0.05 while time < $end && !-e "$self->{folder}/stop";
	$self->stop;
	return $self->collect;
}

sub collect
{
	my ($self) = @_;
	my %total = (problems => [], lost => 0);

	foreach my $member (@{ $self->{members} })
	{
		if (!wait_for($member->{pid}))
		{
			push @{ $total{problems} }, "$member->{name} did not come to an end";
		}
		elsif (!-e $member->{file})
		{
			push @{ $total{problems} }, "$member->{name} left no report (status $?)";
		}
		else
		{
			add_report(\%total, $member->{name}, Storable::retrieve($member->{file}));
		}
	}
	$self->{members} = [];
	return \%total;
}

# False if a process had to be ended.
sub wait_for
{
	my ($pid) = @_;
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;

	while (time < $end)
	{
		return 1 if waitpid($pid, POSIX::WNOHANG) != 0;
		sleep 0.02;
	}
	kill 'KILL', $pid;
	waitpid $pid, 0;
	return 0;
}

sub add_report
{
	my ($total, $name, $report) = @_;

	foreach my $key (keys %$report)
	{
		my $value = $report->{$key};

		if ($key eq 'problems')
		{
			push @{ $total->{problems} }, map { "$name: $_" } @$value;
		}
		elsif (ref $value eq 'ARRAY')
		{
			push @{ $total->{$key} }, @$value;
		}
		elsif (ref $value)
		{
			$total->{$key}{$_} += $value->{$_} foreach keys %$value;
		}
		else
		{
			$total->{$key} += $value;
		}
	}
	return;
}

# Records what a session answered; true if it worked.
sub worked
{
	my ($answer, $result, $what, @allowed) = @_;

	return 0 if $answer->{lost};
	foreach my $error (@{ $answer->{errors} })
	{
		if (grep { $_ eq $error->[0] } @allowed)
		{
			$result->{"$what failed"}++;
		}
		else
		{
			push @{ $result->{problems} }, "$what: $error->[0] $error->[1]";
		}
	}
	return !@{ $answer->{errors} };
}

sub compared
{
	my ($answer, $result, $what, @allowed) = @_;

	return 0 if !worked($answer, $result, $what, @allowed);
	my ($differences, $rows, $text) = differences(@{ $answer->{rows} });
	$result->{"$what checks"}++;
	$result->{'rows compared'} += $rows;
	push @{ $result->{problems} }, "$what: $text" if $differences > 0;
	return $differences == 0;
}

# Members ------------------------------------------------------------------

sub writer
{
	my ($crew, $session, $result, %options) = @_;
	my $writer = Aggwin::Writer->new($session, folder => $crew->{folder}, %options);

	$result->{problems} = $writer->{problems};
	while (!$crew->over($session, $result))
	{
		$writer->step;
		sleep rand 0.02;
	}
	$writer->finish_all_prepared if !$options{leave_prepared};
	$result->{done} = $writer->{count};
	$result->{refused} = $writer->{failed};
	$result->{'writer checks'} = $writer->{checks};
	$result->{'rows compared'} = $writer->{compared};
	$result->{prepared} = $writer->{prepared};
	return;
}

sub folder
{
	my ($crew, $session, $result, %options) = @_;

	until ($crew->over($session, $result))
	{
		my $found = 0;

		foreach my $rollup (Aggwin::Writer::shuffled(view_names()))
		{
			my $answer = $session->run("SELECT aggwin.refresh('$rollup')");

			last if !worked($answer, $result, 'fold');
			if ($answer->{rows}[0] eq 't')
			{
				$result->{folds}++;
				$found = 1;
			}
			else
			{
				$result->{'empty folds'}++;
			}
		}
		sleep($options{pause} // ($found ? 0.01 : 0.1));
	}
	return;
}

# READ COMMITTED: every statement on its own.
sub checker
{
	my ($crew, $session, $result) = @_;

	until ($crew->over($session, $result))
	{
		my @names = Aggwin::Writer::shuffled(view_names());

		compared($session->run(compare_sql(@names[ 0 .. int rand 4 ])),
			$result, 'read committed');
		sleep rand 0.1;
	}
	return;
}

# REPEATABLE READ: several statements, which have to agree, too. On a standby
# nobody can take the lock, and there must be no TRUNCATE.
sub repeatable_checker
{
	my ($crew, $session, $result, %options) = @_;
	my $lock = $Aggwin::Writer::TRUNCATE_LOCK;
	my $locked = !$options{standby};

	until ($crew->over($session, $result))
	{
		my @names = Aggwin::Writer::shuffled(view_names());
		# Not of floats, whose sums depend on the plan.
		my ($exact) = grep { !/float/ } @names;
		my $contents = "SELECT md5(string_agg(v::text, ' ' ORDER BY v::text)) FROM $exact AS v";
		my ($first, $last);

		$session->run("SELECT pg_advisory_lock_shared($lock)") if $locked;
		$session->run('BEGIN ISOLATION LEVEL REPEATABLE READ');
		$first = $session->run($contents);
		foreach (1 .. 3)
		{
			compared($session->run(compare_sql(@names[ 0 .. 1 ])), $result, 'repeatable read');
			sleep rand 0.3;
		}
		$last = $session->run($contents);
		$session->run('COMMIT');
		$session->run("SELECT pg_advisory_unlock_shared($lock)") if $locked;
		if (worked($first, $result, 'first read') && worked($last, $result, 'last read')
			&& $first->{rows}[0] ne $last->{rows}[0])
		{
			push @{ $result->{problems} }, "$exact changed within a snapshot";
		}
	}
	return;
}

# Keeps the table from growing, and vacuums the rollups' own tables.
sub sweeper
{
	my ($crew, $session, $result) = @_;
	my @tables = $session->rows(
		"SELECT unnest(ARRAY[delta, state, invalid]) FROM aggwin.rollup WHERE view::text <> 'passing'");

	$session->run("SET lock_timeout = '300ms'");
	until ($crew->over($session, $result))
	{
		foreach my $table (Aggwin::Writer::shuffled(@tables))
		{
			last if $crew->over($session, $result);
			worked($session->run('DELETE FROM events WHERE id < (SELECT max(id) - 4000 FROM events)'),
				$result, 'sweep', qw(55P03 40P01));
			$result->{vacuums} += worked($session->run("VACUUM $table"), $result, 'vacuum');
			sleep rand 0.3;
		}
	}
	return;
}

# Does to the table of events what happens to tables. A rollup comes and goes,
# too.
sub caretaker
{
	my ($crew, $session, $result) = @_;
	my $lock = $Aggwin::Writer::TRUNCATE_LOCK;
	my @chores = (
		'VACUUM events',
		'ALTER TABLE events ADD COLUMN IF NOT EXISTS extra int DEFAULT 7',
		'VACUUM FULL events',
		'ALTER TABLE events DROP COLUMN extra',
		'CLUSTER events USING events_ts_idx',
		# New rows for all the old ones: no more MVCC-safe than TRUNCATE.
		"BEGIN;\nSELECT pg_advisory_xact_lock($lock) \\g /dev/null\n"
		  . "ALTER TABLE events ADD COLUMN IF NOT EXISTS extra float8 DEFAULT random();\nCOMMIT;\n",
		'ALTER TABLE events DROP COLUMN extra',
		'ANALYZE events',
		'CHECKPOINT');

	$session->run("SET lock_timeout = '300ms'");
	come_and_go($session, $result)
	  until $result->{'rollups created and dropped'} || $crew->over($session, $result);
	until ($crew->over($session, $result))
	{
		foreach my $chore (@chores)
		{
			# 42703: the column was not added. 25P02: the lock was not got.
			worked($session->run($chore), $result, 'chore', qw(55P03 40P01 42703 25P02));
			come_and_go($session, $result) if ++$result->{chores} % 3 == 0;
			last if $crew->over($session, $result);
			sleep rand 0.2;
		}
	}
	return;
}

# A rollup is exact from the transaction on that creates it.
sub come_and_go
{
	my ($session, $result) = @_;
	my ($name) = Aggwin::Writer::shuffled(rollup_names());
	my $comparison = compare_sql([ $name, 'passing' ]);
	my @no_lock = qw(55P03 40P01);

	$session->run('BEGIN');
	if (worked($session->run(create_rollup_sql($name, 'passing')), $result, 'create', @no_lock)
		&& compared($session->run($comparison), $result, 'create', @no_lock)
		&& worked($session->run('COMMIT'), $result, 'create'))
	{
		foreach (1 .. 4)
		{
			compared($session->run($comparison), $result, 'create', @no_lock);
			worked($session->run("SELECT aggwin.refresh('passing')"), $result, 'create', @no_lock);
			sleep rand 0.1;
		}
		until (worked($session->run("SELECT aggwin.drop_rollup('passing')"),
				$result, 'drop', @no_lock))
		{
			return if $session->{lost} || @{ $result->{problems} };
			sleep rand 0.2;
		}
		$result->{'rollups created and dropped'}++;
	}
	else
	{
		$session->run('ROLLBACK');
	}
	return;
}

1;
