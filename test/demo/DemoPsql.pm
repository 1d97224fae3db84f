# DemoPsql - one long-lived psql, fed through a pipe
#
# The demo needs nothing but perl and psql, so both of its programs talk to the
# server through this: statements go down the pipe, and an \echo behind them
# comes back when psql has finished them. Errors end psql (ON_ERROR_STOP), which
# wait_for() turns into a die; psql's own message is on standard error by then.
package DemoPsql;

use strict;
use warnings;
use IPC::Open2 qw(open2);

my $MARK = '-- statement finished --';

# The connection itself comes from PGHOST, PGPORT, PGUSER and PGDATABASE.
sub new
{
	my ($class, $psql) = @_;

	local $SIG{PIPE} = 'IGNORE';
	my $pid = open2(my $out, my $in, $psql, '-XqAt', '-F', "\t",
		'-v', 'ON_ERROR_STOP=1', '-f', '-');
	return bless { pid => $pid, in => $in, out => $out }, $class;
}

# Sends text without waiting for its end.
sub send_text
{
	my ($self, $text) = @_;

	local $SIG{PIPE} = 'IGNORE';
	my $sent = 0;
	while ($sent < length $text)
	{
		my $n = syswrite($self->{in}, $text, length($text) - $sent, $sent);
		die "demo: psql has ended, the reason stands above\n" unless defined $n;
		$sent += $n;
	}
}

# Asks psql to say when everything sent so far is done.
sub send_mark
{
	my ($self) = @_;
	$self->send_text("\\echo $MARK\n");
}

# Waits for the oldest mark; returns the rows that came before it, each a
# reference to an array of its columns. What psql says of notifications is not
# among them: see heard().
sub wait_for_mark
{
	my ($self) = @_;
	my @rows;

	my $out = $self->{out};
	while (defined(my $line = <$out>))
	{
		chomp $line;
		return @rows if $line eq $MARK;
		if ($line =~ /^Asynchronous notification "[^"]+" with payload "(.*)" received from server process with PID \d+\.$/)
		{
			push @{ $self->{heard} }, $1;
			next;
		}
		push @rows, [ split /\t/, $line, -1 ];
	}
	die "demo: psql has ended, the reason stands above\n";
}

sub ask
{
	my ($self, $sql) = @_;

	$self->send_text("$sql;\n\\echo $MARK\n");
	return $self->wait_for_mark;
}

# Takes the payloads of notifications that came with answers so far.
sub heard
{
	my ($self) = @_;
	my $heard = delete $self->{heard};

	return $heard ? @$heard : ();
}

# Ends psql and returns whether it ended well.
sub close
{
	my ($self) = @_;

	CORE::close $self->{in};
	waitpid $self->{pid}, 0;
	return $? == 0;
}

1;
