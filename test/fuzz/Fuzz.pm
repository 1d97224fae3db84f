# Fuzz - malformed values of the summary types, and what becomes of them
#
# What no aggregate could have made has to be refused, by an error that says so.
# What is accepted has to be as good as what an aggregate made: it goes through
# both forms and back unchanged, every function takes it, and what comes out of
# a merge is accepted in turn. Anything else is a finding: an internal error, a
# lost connection, a server that is busy for too long or takes far too much memory.
#
#   my $fuzz = Fuzz->new(connect => sub { Fuzz::Protocol->new(...) }, type => 'stats', seed => 1);
#   $fuzz->seeds; $fuzz->refusals; $fuzz->mutants(20_000);
#   say for $fuzz->findings;
#
# {count} tells how many values were accepted and refused, in either form.
package Fuzz;

use strict;
use warnings;
use Fuzz::Mutation qw(more_words mutate_bytes mutate_json parse_json write_json);
use Fuzz::Types qw(@FLOATS %TYPES);

use constant {
	TEXT => 0,
	BINARY => 1,
	CHUNK => 250,              # mutants between two looks at the server's memory
	POOL => 500,               # values that mutants are made from
	MODELS => 20,              # values, at most, that refused ones are made from
	FINDINGS => 20,            # enough to go and look
	MEMORY => 128 * 1024,      # kB that a session may grow by
	TIMEOUT => '20s',
};

# What a refusal may say: bad data, beyond a limit, and the server's own word for
# a binary value that ends too early.
my $REFUSAL = qr/^(?:22|54)|^08P01$/;

# What a merge or another value may say: overflow, other bounds.
my $OBJECTION = qr/^(?:22|54)/;

# What to call functions with, by the arguments' types and, where that does not
# tell, names.
my %ARGUMENT = (
	'double precision' => [qw(0 -2.5 1e300)],
	'double precision fraction' => [qw(0 0.5 1)],
	'double precision relative_error' => [qw(0.01 0.2)],
	'double precision[] fractions' => [q('{0, 0.25, 0.5, 0.99, 1}')],
	'double precision[] bounds' => [ q('{1, 2, 5, 10}'), q('{0}') ],
	'integer max_buckets' => [qw(16 2048)],
	'bigint ts' => [qw(0 -9223372036854775808)],
	'date' => [q('2026-03-01'::date)],
	'date ts' => [ q('2026-03-01'::date), q('infinity'::date) ],
	'timestamp without time zone' => [q('2026-03-01 10:00'::timestamp)],
	'timestamp without time zone ts' => [q('2026-03-01 10:00'::timestamp)],
	'timestamp with time zone' => [q('2026-03-01 10:00Z'::timestamptz)],
	'timestamp with time zone ts' => [ q('2026-03-01 10:00Z'::timestamptz), q('4713-01-01 00:00Z BC'::timestamptz) ],
	'timestamp with time zone from' => [ q('4713-01-01 00:00Z BC'::timestamptz), q('2026-03-01 10:00Z'::timestamptz) ],
	'timestamp with time zone to' => [ q('294276-01-01 00:00Z'::timestamptz), q('2026-03-01 12:00Z'::timestamptz) ],
	'anyelement' => [qw(NULL::float8 NULL::text NULL::integer)],
	'anyelement value' => [ '1.5::float8', q('x'::text), '7' ],
	'integer k' => [qw(1 10)],
	'integer n' => [qw(1 1000)],
	'bigint weight' => [qw(1 1000000)],
	'integer capacity' => [qw(16 512)],
	'anyelement item' => [ q('a'::text), '7', q(''::text) ],
	'integer width' => [qw(1 40)],
	'bigint' => [qw(0 1)],
);

sub new
{
	my ($class, %arg) = @_;
	my $type = $arg{type};
	my $states = join '|', 'none', @{ $TYPES{$type}{states} // [] };
	my $self = bless {
		%{ $TYPES{$type} },
		connect => $arg{connect},
		name => $type,
		type => "aggwin.$type",
		pool => [],
		seen => {},
		findings => [],
		refusal => qr/$REFUSAL|^(?:$states)$/,
		objection => qr/$OBJECTION|^(?:$states)$/,
		count => { map { $_ => 0 } qw(text_accepted text_refused binary_accepted binary_refused checked) },
	}, $class;

	srand $arg{seed};
	more_words(@{ $self->{words} // [] });
	$self->prepare_server;
	return $self;
}

sub findings
{
	my ($self) = @_;
	return @{ $self->{findings} };
}

sub enough
{
	my ($self) = @_;
	return @{ $self->{findings} } >= FINDINGS || $self->{server}{lost};
}

# What can be done with a value ----------------------------------------------

sub prepare_server
{
	my ($self) = @_;
	my $type = $self->{type};
	my $server = $self->{server} = $self->{connect}->();

	$server->query("SET statement_timeout = '@{[ TIMEOUT ]}'");
	$server->query('SET plan_cache_mode = force_generic_plan');
	$server->query('SET jit = off');
	$server->query($self->{before}) if $self->{before};
	# Values in a table have a short header, or are compressed.
	$server->query("CREATE TEMP TABLE x (id int PRIMARY KEY, v $type)");
	$server->query("CREATE TEMP TABLE good AS SELECT $self->{good}\::$type AS v");

	$self->{operators} = { map { $_->[0] => 1 } $server->query("SELECT oprname FROM pg_operator WHERE oprleft = '$type'::regtype") };
	my ($accessors, $fallible, $makers) = $self->functions;
	my $aggregates = [ map { $_->[0] } $server->query("SELECT oid::regproc FROM pg_proc
		WHERE prokind = 'a' AND proargtypes = ARRAY['$type'::regtype]::oidvector ORDER BY 1") ];
	$self->{accessors} = $accessors;
	# Each of these gives a value of the type, and whether it is as it should be.
	$self->{makers} = [
		(map { "$_, true" } @$makers),
		map({ my $merge = $_; (
			# In an aggregate, states are changed in place.
			"(SELECT $merge(u) FROM (VALUES (x.v), (good.v)) AS t (u)), "
			  . ($self->{operators}{'+'} ? "(SELECT $merge(u) FROM (VALUES (x.v), (good.v)) AS t (u)) OPERATOR(aggwin.=) (x.v OPERATOR(aggwin.+) good.v)" : 'true'),
			"(SELECT $merge(u) FROM (VALUES (good.v), (x.v), (NULL), (x.v)) AS t (u)), true",
			"(SELECT m FROM (SELECT i, $merge(u) OVER (ORDER BY i ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS m
				FROM (VALUES (1, good.v), (2, x.v), (3, x.v)) AS t (i, u)) AS w ORDER BY i DESC LIMIT 1), true") } @$aggregates)
	];

	$server->prepare('read', "SELECT \$1::$type, \$1::$type");
	$server->prepare('keep', "INSERT INTO x VALUES (\$1, \$2)");
	$server->prepare('access', "SELECT " . join(', ', @$accessors) . " FROM x, good WHERE id = \$1");
	$server->prepare('truths', 'SELECT ' . join(', ', map { "coalesce($_, true)" } $self->truths)
		  . " FROM x WHERE id = \$1");
	$server->prepare("make$_", "SELECT $self->{makers}[$_] FROM x, good WHERE id = \$1")
	  for 0 .. $#{ $self->{makers} };
	$self->{fallible} = $fallible;
	$server->prepare("try$_", "SELECT $fallible->[$_][0] FROM x, good WHERE id = \$1") for 0 .. $#$fallible;
	$self->{memory} = $self->memory;
	return;
}

sub truths
{
	my ($self) = @_;
	my $type = $self->{type};

	return (
		$self->{loose} ? "v::text = v::text::$type\::text" : "$type\_send(v) = $type\_send(v::text::$type)",
		($self->{operators}{'='}
			? ("v OPERATOR(aggwin.=) v::text::$type", "NOT v OPERATOR(aggwin.<>) v::text::$type",
				"$type\_hash(v) = $type\_hash(v::text::$type)")
			: ()),
		@{ $self->{truths} });
}

# All functions and casts that take the type: calls of those that give something
# else and must not fail, of those with errors that are documented, each with its
# SQLSTATE, and of those that give the type again.
sub functions
{
	my ($self) = @_;
	my $type = $self->{type};
	my (@accessors, @fallible, @makers);

	my @functions = $self->{server}->query(
		"SELECT p.oid::regproc, prorettype = '$type'::regtype, proretset, (
				SELECT string_agg(format_type(t, NULL) || '|' || coalesce(proargnames[i], ''), ',' ORDER BY i)
				FROM unnest(proargtypes) WITH ORDINALITY AS a (t, i))
			FROM pg_proc AS p
			WHERE pronamespace = 'aggwin'::regnamespace AND prokind = 'f' AND '$type'::regtype = ANY (proargtypes)
			ORDER BY p.oid::regprocedure::text");
	for (@functions)
	{
		my ($function, $gives_type, $gives_set, $arguments) = @$_;
		my @arguments = map { $self->arguments($function, $_) } split /,/, $arguments;
		my ($most) = sort { $b <=> $a } map { scalar @$_ } @arguments;
		for my $i (0 .. $most - 1)
		{
			my $call = "$function(" . join(', ', map { $_->[ $i % @$_ ] } @arguments) . ')';
			$call = "(SELECT count(r) FROM $call AS r)" if $gives_set eq 't';
			if ($gives_type eq 't') { push @makers, $call }
			elsif (my $states = $self->{errors}{ ($function =~ s/.*\.//r) . '/' . @arguments }) { push @fallible, [ $call, $states ] }
			else { push @accessors, $call }
		}
	}
	push @accessors, map { "x.v::$_->[0]" } $self->{server}->query(
		"SELECT format_type(casttarget, NULL) FROM pg_cast WHERE castsource = '$type'::regtype ORDER BY 1");
	return (\@accessors, \@fallible, \@makers);
}

sub arguments
{
	my ($self, $function, $argument) = @_;

	my ($type, $name) = split /\|/, $argument;

	if ($type eq $self->{type})
	{
		return $self->{turn}++ % 2 ? [ 'good.v', 'x.v', 'x.v' ] : [ 'x.v', 'x.v', 'good.v' ];
	}
	return $ARGUMENT{"$type " . ($name // '')} // $ARGUMENT{$type}
	  // die "fuzz: what to call $function with for \"$argument\"? See %ARGUMENT.\n";
}

# What the session has taken so far, in kB; 0 where the system does not tell.
sub memory
{
	my ($self) = @_;
	my ($row) = $self->{server}->query("SELECT pg_read_file('/proc/self/status', 0, 10000, true)");

	# Address space, which counts what was allocated and not used, too; with
	# AddressSanitizer that is terabytes from the start.
	my ($size) = ($row->[0] // '') =~ /^VmPeak:\s+(\d+) kB$/m;
	my ($resident) = ($row->[0] // '') =~ /^VmHWM:\s+(\d+) kB$/m;
	return ($size // 0) > 1 << 34 ? $resident : $size // 0;
}

# Values in, values out -------------------------------------------------------

# How to write a value for somebody who wants to see it again.
sub shown
{
	my ($self, $format, $bytes) = @_;

	return "binary, as hex: " . unpack 'H*', $bytes if $format == BINARY;
	$bytes = substr($bytes, 0, 2000) . '... (' . length($bytes) . ' bytes)' if length $bytes > 2000;
	$bytes =~ s/'/''/g;
	return "'$bytes'::$self->{type}";
}

sub found
{
	my ($self, $what, $format, $bytes) = @_;

	# One example of a kind is enough, and leaves room for others.
	(my $kind = $what) =~ s/\b[0-9a-f]{6,}\b|\d+//g;
	return if $self->{kinds}{$kind}++;
	push @{ $self->{findings} }, "$what\n  value: " . $self->shown($format, $bytes);
	return;
}

sub said
{
	my ($call) = @_;
	return $call->{lost} if $call->{lost};
	return join ' ', grep { length } @{ $call->{error} } if $call->{error};
	return 'no answer';
}

# The server's jsonb calls a wrong version an internal error, also inside a value.
sub is_inner
{
	my ($self, $error) = @_;
	return $TYPES{ $self->{type} =~ s/.*\.//r }{loose} && $error->[1] =~ /^unsupported jsonb version number/;
}

# Reads values, each [format, bytes, ...]. Those accepted come back as [binary,
# text], each only the first time that it is seen; they are counted. Dies when
# the server is lost.
sub read_values
{
	my ($self, @values) = @_;
	my (@calls, @accepted);

	for my $value (@values)
	{
		push @calls, {
			value => $value,
			statement => 'read',
			parameters => [$value],
			results => [ BINARY, TEXT ]
		};
	}
	$self->{server}->run(@calls);
	for my $call (@calls)
	{
		my ($format, $bytes) = @{ $call->{value} };
		my $form = $format == TEXT ? 'text' : 'binary';
		if ($call->{rows})
		{
			my ($binary, $text) = @{ $call->{rows}[0] };
			$call->{value}[2] = $binary;
			$self->{count}{"${form}_accepted"}++;
			$self->found("accepted, but written in another way: " . unpack('H*', $binary), $format, $bytes)
			  if $format == BINARY && $binary ne $bytes && !$self->{loose};
			push @accepted, [ $binary, $text ] unless $self->{seen}{$binary}++;
		}
		elsif ($call->{error} && ($call->{error}[0] =~ $self->{refusal} || $self->is_inner($call->{error})))
		{
			$self->{count}{"${form}_refused"}++;
			$call->{value}[3] = $call->{error};
		}
		else
		{
			$self->found('reading: ' . said($call), $format, $bytes);
			last if $call->{lost};
		}
	}
	return @accepted;
}

# Everything that can be done with values, each [binary, text].
sub check
{
	my ($self, @values) = @_;
	my (@calls, @made);
	my $id = 0;

	return if !@values || $self->{server}{lost};
	$self->{server}->query('TRUNCATE x');
	for my $value (@values)
	{
		$id++;
		push @calls, { what => 'storing', value => $value, statement => 'keep',
			parameters => [ [ TEXT, $id ], [ BINARY, $value->[0] ] ], results => [] };
		push @calls, { what => 'reading its text', value => $value, statement => 'read', back => 1,
			parameters => [ [ TEXT, $value->[1] ] ], results => [ BINARY, TEXT ] };
		push @calls, { what => 'functions', value => $value, statement => 'access', list => $self->{accessors},
			parameters => [ [ TEXT, $id ] ], results => [TEXT] };
		push @calls, { what => 'conditions', value => $value, statement => 'truths', list => [ $self->truths ],
			conditions => 1, parameters => [ [ TEXT, $id ] ], results => [TEXT] };
		push @calls, map { {
			what => $self->{fallible}[$_][0], value => $value, statement => "try$_", states => $self->{fallible}[$_][1],
			parameters => [ [ TEXT, $id ] ], results => [TEXT] } } 0 .. $#{ $self->{fallible} };
		push @calls, map { {
			what => $self->{makers}[$_], value => $value, statement => "make$_", made => 1,
			parameters => [ [ TEXT, $id ] ], results => [ BINARY, TEXT ] } } 0 .. $#{ $self->{makers} };
	}
	$self->{server}->run(@calls);
	for my $call (@calls)
	{
		my ($binary, $text) = @{ $call->{value} };
		if (!$call->{rows} && !($call->{statement} eq 'keep' && !$call->{error} && !$call->{lost}))
		{
			next if $call->{error} && ($call->{made} ? $call->{error}[0] =~ $self->{objection} : ($call->{states} // '') =~ $call->{error}[0]);
			$self->found($call->{what} . $self->culprit($call) . ': ' . said($call), TEXT, $text);
			last if $call->{lost};
		}
		elsif ($call->{conditions})
		{
			my @row = @{ $call->{rows}[0] };
			$self->found("not true: $call->{list}[$_]", TEXT, $text) for grep { $row[$_] ne 't' } 0 .. $#row;
		}
		elsif ($call->{back})
		{
			my ($again, $its_text) = @{ $call->{rows}[0] };
			$self->found('its text is read as ' . unpack('H*', $again), BINARY, $binary)
			  if $self->{loose} ? $its_text ne $text : $again ne $binary;
		}
		elsif ($call->{made})
		{
			my ($result, $as_expected) = @{ $call->{rows}[0] };
			$self->found("not the same: $call->{what}", TEXT, $text) if defined $as_expected && $as_expected ne 't';
			push @made, [ $result, $call ] if defined $result;
		}
	}
	$self->{count}{checked} += @values;
	$self->check_made(@made);
	return;
}

# Which of many expressions fails.
sub culprit
{
	my ($self, $call) = @_;

	return '' if !$call->{error} || !$call->{list};
	for my $expression (@{ $call->{list} })
	{
		return ", $expression"
		  unless eval { $self->{server}->query("SELECT $expression FROM x, good WHERE id = $call->{parameters}[0][1]"); 1 };
	}
	return '';
}

# What functions made of values has to be accepted, as it is.
sub check_made
{
	my ($self, @made) = @_;
	my %count = %{ $self->{count} };
	my @read = map { [ BINARY, $_->[0] ] } @made;
	my @fresh = $self->{server}{lost} ? () : $self->read_values(@read);

	$self->{count} = \%count;
	for my $i (0 .. $#made)
	{
		my ($bytes, $call) = @{ $made[$i] };
		$self->found("$call->{what} gives what is refused, $read[$i][3][1] ($read[$i][3][2]): " . unpack('H*', $bytes),
			TEXT, $call->{value}[1])
		  if $read[$i][3];
	}
	$self->into_pool(@fresh);
	return;
}

# The pool stays small, and keeps what aggregates made.
sub into_pool
{
	my ($self, @values) = @_;
	my $pool = $self->{pool};

	for (@values)
	{
		next if length $_->[0] > 4096;
		my $first = $self->{from_aggregates} // 0;
		if (@$pool < POOL) { push @$pool, $_ }
		else { $pool->[ $first + rand(@$pool - $first) ] = $_ if $first < @$pool }
	}
	return;
}

# What to try -----------------------------------------------------------------

# Values that aggregates make.
sub seeds
{
	my ($self) = @_;
	my $server = $self->{server};
	my @values;

	for my $seed (@{ $self->{seeds} })
	{
		for my $floats ($seed =~ /\{floats\}/ ? @FLOATS : '')
		{
			(my $query = $seed) =~ s/\{floats\}/$floats AS f (v)/g;
			my @rows = eval {
				$server->query("SELECT encode($self->{type}_send(s), 'hex') FROM ($query) AS q (s)");
			};
			die $@ if $@ && $@ !~ /^22/;
			push @values, map { [ BINARY, pack 'H*', $_->[0] ] } grep { defined $_->[0] } @rows;
		}
	}
	my @accepted = $self->read_values(@values);
	for (@values)
	{
		$self->found("an aggregate's value is refused: $_->[3][1] ($_->[3][2])", @$_) if $_->[3];
	}
	$self->{from_aggregates} = @accepted;
	$self->{pool} = \@accepted;
	$self->check(@accepted);
	return;
}

sub refuse
{
	my ($self, @values) = @_;

	return if $self->{server}{lost};
	$self->read_values(@values);
	for (grep { defined $_->[2] } @values)
	{
		$self->found('accepted, as ' . unpack('H*', $_->[2]), @$_);
	}
	return;
}

# What has to be refused: text that is no such object, objects that lack a field
# or have another one or another kind of value in its place; binary values that
# end too early or too late, or are of another version.
sub refusals
{
	my ($self) = @_;
	my $deep = '[' x 3000 . ']' x 3000;

	$self->refuse(map { [ TEXT, $_ ] } '', ' ', 'null', 'true', '1', '"a"', '[]', '[{}]', '{}', '{',
		'NaN', '{"a": 1}', '{"": {}}', "[\"$self->{name}\"]", $deep, "{\"count\": $deep}", '[' x 100_000, "\xff\xfe", "{}\0");
	$self->refuse(map { [ BINARY, $_ ] } '', "\0", "\1", "\2", "\xff", "\1" x 1000, "\0" x 1000, "\xff" x 1000, '{}');

	# Some of what aggregates made is enough.
	my $step = 1 + int $self->{from_aggregates} / MODELS;
	for my $value (map { $self->{pool}[ $step * $_ ] } 0 .. ($self->{from_aggregates} - 1) / $step)
	{
		my ($binary, $text) = @$value;
		last if $self->enough;

		my @binary = map { substr $binary, 0, $_ } 0 .. (length $binary < 300 ? length $binary : 300) - 1;
		push @binary, map { substr $binary, 0, -$_ } 1 .. 20 if length $binary >= 300;
		push @binary, map { $binary . $_ } "\0", "\1", "\x7f", "\x80", $binary;
		push @binary, map { chr($_) . substr $binary, 1 } 0, 2, 128, 255;
		$self->refuse(map { [ BINARY, $_ ] } @binary);

		# Large objects have the same fields as the small ones.
		next if length $text > 2000;
		my @text = map { substr $text, 0, $_ } 1 .. (length $text < 300 ? length $text : 300) - 1;
		push @text, "$text,", "$text$text", "[$text]", "x$text";
		my $fields = parse_json($text)->{parts};
		for my $i (0 .. $#$fields)
		{
			my ($name, $node) = @{ $fields->[$i] };
			next if $name eq ($self->{free} // '');
			my @others = map { { kind => 'leaf', text => $_ } } 'null', '"x"', '""', '{}', '{"a": [1]}', '[[[1]]]',
			  '1e999999', '-1e400', '[null]',
			  $node->{text} // '' =~ /^(?:true|false)$/ ? () : ('true', 'false');
			for my $parts ([], [ [ '"x"', $node ] ], map({ [ [ $name, $_ ] ] } @others))
			{
				my @parts = @$fields;
				splice @parts, $i, 1, @$parts;
				push @text, write_json({ kind => 'object', parts => \@parts });
			}
		}
		push @text, write_json({ kind => 'object', parts => [ @$fields, [ '"x"', { kind => 'leaf', text => '1' } ] ] });
		$self->refuse(map { [ TEXT, $_ ] } @text);
	}
	return;
}

# So many changed values, of both forms.
sub mutants
{
	my ($self, $number) = @_;
	my $pool = $self->{pool};

	for (my $done = 0; $done < $number && !$self->enough; $done += CHUNK)
	{
		my @values;
		for (1 .. CHUNK)
		{
			# Small values are quick, and each change of them counts for more.
			my ($value, $other) = sort { length $a->[1] <=> length $b->[1] } map { $pool->[ rand @$pool ] } 1, 2, 3;
			push @values, rand() < 0.5
			  ? [ BINARY, mutate_bytes($value->[0], $other->[0]) ]
			  : [ TEXT, mutate_json($value->[1], $other->[1]) ];
		}
		my @accepted = $self->read_values(@values);
		$self->into_pool(@accepted);
		$self->check(@accepted);
		last if $self->{server}{lost};

		my $memory = $self->memory;
		if ($memory - $self->{memory} > MEMORY)
		{
			$self->find_glutton(@values);
			last;
		}
	}
	return;
}

# Some values took too much memory: which?
sub find_glutton
{
	my ($self, @values) = @_;

	for my $value (@values)
	{
		$self->prepare_server;
		$self->{seen} = {};
		$self->check($self->read_values([ @$value[ 0, 1 ] ]));
		my $grown = $self->memory - $self->{memory};
		if ($grown > MEMORY)
		{
			$self->found("took $grown kB", @$value);
			return;
		}
	}
	push @{ $self->{findings} }, 'A session grew by more than ' . MEMORY . ' kB, but for no single value.';
	return;
}

1;
