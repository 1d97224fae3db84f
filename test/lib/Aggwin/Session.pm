# One psql process kept open, for tests that need many sessions at once.
#
#   my $session = Aggwin::Session->new($connstr, $name);
#   my $answer = $session->run($sql);      # waits until psql is done with it
#
# An answer holds what psql printed: {rows} are the lines of results, {errors}
# the errors as [SQLSTATE, message]. A session that was lost (a killed backend,
# a stopped server) answers {lost} then and ever after.
package Aggwin::Session;

use strict;
use warnings;
use IPC::Open3;

my $ROUND = 0;

# connstr is libpq's; name is the application_name.
sub new
{
	my ($class, $connstr, $name) = @_;
	my ($in, $out);

	local $ENV{PGAPPNAME} = $name;
	local $ENV{PGOPTIONS} = '-c client_min_messages=error';
	# One handle for results and errors keeps them in order.
	my $pid = open3($in, $out, undef, 'psql', '--no-psqlrc', '--quiet', '--no-align',
		'--tuples-only', '--set=VERBOSITY=verbose', '--set=ON_ERROR_STOP=0',
		'--dbname', $connstr);
	$in->autoflush(1);
	return bless { pid => $pid, in => $in, out => $out, name => $name, lost => 0 }, $class;
}

# Hands sql, the last semicolon of which may be left out, to psql without
# waiting; await() gives the answer.
sub start
{
	my ($self, $sql) = @_;

	die "session $self->{name} has an answer waiting" if defined $self->{marker};
	$self->{marker} = 'aggwin-end-of-round-' . ++$ROUND;
	return if $self->{lost};
	local $SIG{PIPE} = 'IGNORE';
	print { $self->{in} } "$sql\n;\n\\echo $self->{marker}\n" or $self->{lost} = 1;
	return;
}

sub await
{
	my ($self) = @_;
	my $marker = $self->{marker};
	my %answer = (rows => [], errors => [], lost => 0);
	my $ended = 0;

	$self->{marker} = undef;
	while (!$self->{lost})
	{
		my $line = readline $self->{out};
		last if !defined $line;
		chomp $line;
		if ($line eq $marker)
		{
			$ended++;
			last;
		}
		if ($line =~ /^(ERROR|FATAL|PANIC):\s+(\w{5}): (.*)/)
		{
			push @{ $answer{errors} }, [ $2, $3 ];
			# The server ends the session; psql finds out when it next needs it.
			$ended = -1 if $1 ne 'ERROR';
		}
		elsif ($line =~ /^(?:LOCATION|DETAIL|HINT|CONTEXT|STATEMENT|QUERY|LINE \d+|SCHEMA NAME|TABLE NAME|CONSTRAINT NAME):/
			&& @{ $answer{errors} })
		{
			$answer{errors}[-1][1] .= "\n$line";
		}
		else
		{
			push @{ $answer{rows} }, $line;
		}
	}
	$self->{lost} = 1 if $ended < 1;
	$answer{lost} = $self->{lost};
	return \%answer;
}

sub run
{
	my ($self, $sql) = @_;

	$self->start($sql);
	return $self->await;
}

# For what has to work: the rows, or the test dies.
sub rows
{
	my ($self, $sql) = @_;
	my $answer = $self->run($sql);

	die "session $self->{name} was lost in: $sql\n" . join("\n", @{ $answer->{rows} })
	  if $answer->{lost};
	die "session $self->{name}: $answer->{errors}[0][0] $answer->{errors}[0][1]\nin: $sql\n"
	  if @{ $answer->{errors} };
	return @{ $answer->{rows} };
}

sub value
{
	my ($self, $sql) = @_;
	my @rows = $self->rows($sql);

	return $rows[0];
}

# Kills a process of the server, and waits until it has thrown everybody out for
# that, this session too, and may be connected to again.
sub kill_process
{
	my ($self, $node, $pid) = @_;

	kill 'KILL', $pid or die "could not kill $pid: $!";
	$self->run('SELECT pg_sleep(60)');
	die 'the server did not notice' if !$self->{lost};
	await_recovery($node);
	return;
}

# Waits until a server may be connected to again. A psql that is turned away may be gone
# before it has been told the query, and then the server's own library gives up.
sub await_recovery
{
	my ($node) = @_;

	for (1 .. 100)
	{
		my $recovered = eval { $node->poll_query_until('postgres', 'SELECT 1', '1') ? 1 : 0 };
		return if $recovered;
		die 'the server did not recover' if defined $recovered;
		die $@ if $@ !~ /Broken pipe/;
	}
	die 'the server did not recover';
}

# Ends psql, whatever its transaction was doing.
sub close
{
	my ($self) = @_;

	return if !defined $self->{pid};
	{
		local $SIG{PIPE} = 'IGNORE';
		close $self->{in};
	}
	1 while defined readline $self->{out};
	close $self->{out};
	waitpid $self->{pid}, 0;
	$self->{pid} = undef;
	$self->{lost} = 1;
	return;
}

1;
