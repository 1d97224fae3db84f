# Fuzz::Protocol - the server's protocol, as far as fuzzing needs it
#
#   my $server = Fuzz::Protocol->new($folder, $port, $user, $database);
#   $server->prepare('name', 'SELECT $1::aggwin.stats');
#   $server->run(@calls);
#
# psql sends parameters as text, and no SQL function calls a type's receive
# function. Binding a parameter does, in the binary format, and the input function
# in the text format. Calls are sent without waiting for the answers to those
# before them, each a transaction of its own.
#
# A call is { statement => name, parameters => [[format, bytes], ...],
# results => [format, ...] }, a format being 0 for text and 1 for binary. It
# comes back with {rows}, or with {error}, an array of SQLSTATE, message and
# detail. A call during which the server ended the connection or said nothing
# for too long gets {lost}, a sentence; those after it come back as they were.
package Fuzz::Protocol;

use strict;
use warnings;
use Errno qw(EAGAIN EINTR EWOULDBLOCK);
use IO::Select;
use IO::Socket::UNIX;

use constant {
	PROTOCOL => 3 << 16,
	PATIENCE => 120,           # seconds without a word from the server
	READ_SIZE => 1 << 16,
	UNANSWERED => 200,         # calls at most
};

# The server has to trust whoever comes through its socket in the folder.
sub new
{
	my ($class, $folder, $port, $user, $database) = @_;
	my $name = "$folder/.s.PGSQL.$port";
	my $socket = IO::Socket::UNIX->new(Peer => $name) or die "could not connect to $name: $!\n";

	$socket->blocking(0);
	my $self = bless {
		socket => $socket, select => IO::Select->new($socket), in => '', out => '', lost => undef
	}, $class;
	my $options = join '', map { "$_\0" } user => $user, database => $database,
	  client_encoding => 'UTF8', application_name => 'fuzz';
	my $start = pack('N', PROTOCOL) . "$options\0";
	$self->{out} = pack('N', 4 + length $start) . $start;
	$self->answer({});
	die "could not connect: $self->{lost}\n" if $self->{lost};
	return $self;
}

# For what has to work: the rows, as text.
sub query
{
	my ($self, $sql) = @_;
	my %call;

	$self->{out} .= message('Q', "$sql\0");
	$self->answer(\%call);
	die "$call{lost}\nin: $sql\n" if $call{lost};
	die "$call{error}[0]: $call{error}[1]\nin: $sql\n" if $call{error};
	return @{ $call{rows} // [] };
}

sub prepare
{
	my ($self, $name, $sql) = @_;
	my %call;

	$self->{out} .= message('P', "$name\0$sql\0" . pack('n', 0)) . message('S', '');
	$self->answer(\%call);
	die "$call{lost}\nin: $sql\n" if $call{lost};
	die "$call{error}[0]: $call{error}[1]\nin: $sql\n" if $call{error};
	return;
}

sub run
{
	my ($self, @calls) = @_;
	my $sent = 0;

	for my $answered (0 .. $#calls)
	{
		while ($sent < @calls && $sent - $answered < UNANSWERED
			&& length $self->{out} < READ_SIZE)
		{
			$self->{out} .= call_messages($calls[ $sent++ ]);
		}
		$self->answer($calls[$answered]);
		last if $self->{lost};
	}
	return;
}

sub call_messages
{
	my ($call) = @_;
	my @parameters = @{ $call->{parameters} };
	my @results = @{ $call->{results} };

	return message('B', "\0$call->{statement}\0"
		  . pack('n*', scalar @parameters, map({ $_->[0] } @parameters), scalar @parameters)
		  . join('', map { pack('N', length $_->[1]) . $_->[1] } @parameters)
		  . pack('n*', scalar @results, @results))
	  . message('E', "\0" . pack('N', 0))
	  . message('S', '');
}

sub message
{
	my ($type, $body) = @_;
	return $type . pack('N', 4 + length $body) . $body;
}

# Reads until the server is ready for the next, and fills in the call.
sub answer
{
	my ($self, $call) = @_;

	while (defined(my $type = $self->next_message(\my $body)))
	{
		if ($type eq 'D')
		{
			push @{ $call->{rows} }, row($body);
		}
		elsif ($type eq 'E')
		{
			my %field = map { substr($_, 0, 1) => substr($_, 1) } split /\0/, $body;
			$call->{error} = [ map { $_ // '' } @field{qw(C M D)} ];
			# The connection ends after these, with no other word.
			$self->{last_words} = "$field{S}: $field{M}" if $field{S} =~ /FATAL|PANIC/;
		}
		elsif ($type eq 'Z')
		{
			return;
		}
		elsif ($type eq 'R' && unpack('N', $body) != 0)
		{
			$self->{lost} = 'The server asks for a password.';
			last;
		}
	}
	$call->{lost} = $self->{lost};
	return;
}

sub row
{
	my ($body) = @_;
	my ($columns, @row) = (unpack 'n', $body);
	my $at = 2;

	for (1 .. $columns)
	{
		my $length = unpack 'l>', substr $body, $at, 4;
		push @row, $length < 0 ? undef : substr $body, $at + 4, $length;
		$at += 4 + ($length < 0 ? 0 : $length);
	}
	return \@row;
}

# The type of the next message, its body into $$body; undef when it is all over.
sub next_message
{
	my ($self, $body) = @_;

	while (!defined $self->{lost})
	{
		if (length $self->{in} >= 5)
		{
			my ($type, $length) = unpack 'a N', $self->{in};
			if (length $self->{in} > $length)
			{
				$$body = substr $self->{in}, 5, $length - 4;
				substr $self->{in}, 0, 1 + $length, '';
				return $type;
			}
		}
		$self->exchange;
	}
	return undef;
}

# Writes and reads what can be, and waits until something can.
sub exchange
{
	my ($self) = @_;
	my $socket = $self->{socket};
	my ($readable, $writable) = IO::Select->select($self->{select},
		length $self->{out} ? $self->{select} : undef, undef, PATIENCE);

	if (!$readable)
	{
		return if $!{EINTR};
		$self->{lost} = 'The server hangs: not a word for ' . PATIENCE . ' seconds.';
		return;
	}
	local $SIG{PIPE} = 'IGNORE';
	if (@$writable)
	{
		my $n = syswrite $socket, $self->{out};
		substr $self->{out}, 0, $n, '' if defined $n;
	}
	if (@$readable)
	{
		my $n = sysread $socket, $self->{in}, READ_SIZE, length $self->{in};
		return if !defined $n && ($!{EAGAIN} || $!{EWOULDBLOCK} || $!{EINTR});
		$self->{lost} = 'The connection is lost: '
		  . ($self->{last_words} // 'the server crashed.')
		  if !$n;
	}
	return;
}

1;
