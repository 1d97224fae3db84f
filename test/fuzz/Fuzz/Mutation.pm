# Fuzz::Mutation - changed values: near enough to real ones to get far
#
# All randomness is rand(): the same seed gives the same mutants.
package Fuzz::Mutation;

use strict;
use warnings;
no warnings 'portable';    # numbers of 64 bits
use Exporter qw(import);

our @EXPORT_OK = qw(more_words mutate_bytes mutate_json parse_json write_json);

sub pick
{
	return $_[ rand @_ ];
}

# How many changes at once: mostly one.
sub rand_times
{
	return rand() < 0.5 ? 1 : 1 + int rand 4;
}

# Bytes ------------------------------------------------------------------------

sub varint
{
	my ($value) = @_;
	my $bytes = '';

	while ($value >= 0x80)
	{
		$bytes .= chr(0x80 | $value & 0x7f);
		$value >>= 7;
	}
	return $bytes . chr $value;
}

# Edges of varints of either kind, and varints that nobody writes: longer than
# they need to be, wider than 64 bits, without an end.
my @VARINTS = (
	(map { varint($_) } map { ($_ - 1, $_, $_ + 1) } map { 1 << $_ } 1, 7, 8, 14, 16, 21, 28, 31, 32, 53, 62, 63),
	varint(0), varint(~0), varint(~0 - 1),
	"\x80\x00", "\xff\x00", "\x81\x80\x00", "\xff" x 9 . "\x02", "\xff" x 10 . "\x01", "\x80" x 12);

my @FLOATS = map { pack 'Q<', $_ } (
	0, 1 << 63,                                             # zeros
	1, 1 << 63 | 1, 0x000fffffffffffff, 0x0010000000000000, # denormals and the next
	0x3ff0000000000000, 0xbff0000000000000, 0x3fefffffffffffff, 0x3ff0000000000001,
	0x7fefffffffffffff, 0xffefffffffffffff,                 # the largest
	0x7ff0000000000000, 0xfff0000000000000,                 # infinities
	0x7ff8000000000000, 0xfff8000000000000, 0x7ff0000000000001, 0x7fffffffffffffff,    # NaNs
	0x43e0000000000000, 0x4340000000000000);

# Each takes bytes, a position in them, a length from there on, and other bytes.
my @CHANGES = (
	sub { vec($_[0], 8 * $_[1] + int rand 8, 1) ^= 1 if length $_[0] },
	sub { substr $_[0], $_[1], 1, chr rand 256 },
	sub { substr $_[0], $_[1], 1, pick("\x00", "\x01", "\x7f", "\x80", "\xff") },
	sub { substr $_[0], $_[1], 1, chr((ord(substr $_[0], $_[1], 1) + pick(-1, 1)) % 256) if $_[1] < length $_[0] },
	sub { substr $_[0], $_[1], length($_[0]), '' },
	sub { substr $_[0], $_[1], $_[2], '' },
	sub { substr $_[0], $_[1], 0, join '', map { chr rand 256 } 0 .. rand 8 },
	sub { substr $_[0], $_[1], 0, substr $_[0], $_[1], $_[2] },
	sub { substr $_[0], $_[1], 0, substr($_[0], $_[1], $_[2]) x rand 100 },
	sub { substr $_[0], $_[1], $_[2], reverse substr $_[0], $_[1], $_[2] },
	sub { substr $_[0], $_[1], 1, pick(@VARINTS) },
	sub { substr $_[0], $_[1], 0, pick(@VARINTS) },
	sub { substr $_[0], $_[1], varint_length($_[0], $_[1]), pick(@VARINTS) },
	sub { substr $_[0], $_[1], 8, pick(@FLOATS) },
	sub { substr $_[0], $_[1], 8, pack 'd<', rand(2) * 10**(rand(40) - 20) },
	sub { substr $_[0], $_[1], length($_[0]), substr $_[3], rand 1 + length $_[3] },
	sub { substr $_[0], $_[1], $_[2], substr $_[3], rand(1 + length $_[3]), $_[2] },
	sub { substr $_[0], $_[1], 8, substr $_[3], rand(1 + length $_[3]), 8 });

sub varint_length
{
	my ($bytes, $at) = @_;
	return length((substr($bytes, $at) =~ /^([\x80-\xff]{0,9}[\x00-\x7f])/s)[0] // '');
}

# A few changes. other is a value to take parts from.
sub mutate_bytes
{
	my ($bytes, $other) = @_;

	for (1 .. rand_times())
	{
		# Heads matter most.
		my $at = int rand 1 + (rand() < 0.3 ? min(16, length $bytes) : length $bytes);
		pick(@CHANGES)->($bytes, $at, int rand 1 + min(16, length($bytes) - $at), $other);
	}
	return substr $bytes, 0, 1 << 20;
}

sub min
{
	return $_[0] < $_[1] ? $_[0] : $_[1];
}

# JSON -------------------------------------------------------------------------

# A tree: { kind => 'object', parts => [[name, node], ...] },
# { kind => 'array', parts => [node, ...] } or { kind => 'leaf', text => ... };
# names and leaves as they are written.
sub parse_json
{
	my ($text) = @_;

	pos($text) = 0;
	my $node = parse_node(\$text);
	$text =~ /\G\s*/gc;
	die 'not JSON behind byte ' . pos($text) . ": $text\n" if pos $text < length $text;
	return $node;
}

my $STRING = qr/"(?:[^"\\]|\\.)*"/;

sub parse_node
{
	my ($text) = @_;
	my @parts;

	$$text =~ /\G\s*/gc;
	if ($$text =~ /\G([\[{])\s*/gc)
	{
		my $object = $1 eq '{';
		while ($$text !~ /\G\s*[\]}]/gc)
		{
			$$text =~ /\G\s*,\s*/gc if @parts;
			if ($object)
			{
				$$text =~ /\G($STRING)\s*:/gc or die "no name: $$text\n";
				push @parts, [ "$1", parse_node($text) ];
			}
			else
			{
				push @parts, parse_node($text);
			}
		}
		return { kind => $object ? 'object' : 'array', parts => \@parts };
	}
	$$text =~ /\G($STRING|[^\s,\]}]+)/gc or die 'no value behind byte ' . pos($$text) . ": $$text\n";
	return { kind => 'leaf', text => "$1" };
}

sub write_json
{
	my ($node) = @_;

	return $node->{text} if $node->{kind} eq 'leaf';
	return '[' . join(', ', map { write_json($_) } @{ $node->{parts} }) . ']' if $node->{kind} eq 'array';
	return '{' . join(', ', map { "$_->[0]: " . write_json($_->[1]) } @{ $node->{parts} }) . '}';
}

# A node somewhere in a tree, a field as likely as another one; leaf: without parts.
sub random_node
{
	my ($node, $leaf) = @_;
	my $stop = 0.1;

	while ($node->{kind} ne 'leaf' && @{ $node->{parts} })
	{
		return $node if !$leaf && rand() < $stop;
		my $part = pick(@{ $node->{parts} });
		$node = $node->{kind} eq 'object' ? $part->[1] : $part;
		$stop = 0.35;
	}
	return $node;
}

my @NUMBERS = (qw(0 -0 1 -1 2 3 0.5 -0.5 1.5 10 255 256 1000 65535 65536 1e6
	2147483647 2147483648 -2147483648 -2147483649 4294967295 4294967296
	4611686018427387904 9007199254740993 9223372036854775806 9223372036854775807
	9223372036854775808 -9223372036854775808 -9223372036854775809 18446744073709551615
	18446744073709551616 1e18 1e19 1e300 -1e300 1.7976931348623157e308 -1.7976931348623157e308
	1.7976931348623159e308 1e309 -1e309 1e400 5e-324 -5e-324 2.2250738585072014e-308 1e-300 1e-323
	1e-400 1e-16000 1e100000 0.1 -0.0 0.30000000000000004 1.0 1e0));

my @WORDS = ('"NaN"', '"Infinity"', '"-Infinity"', '"infinity"', '"1"', '""', '"x"', '"\u0000"', '"\n"',
	'true', 'false', 'null', '[]', '{}', '[[]]', '[1, 2]', '{"a": 1}');

# Words that a type has a use for, at most once a type.
sub more_words
{
	my (@words) = @_;
	my %known = map { $_ => 1 } @WORDS;
	push @WORDS, grep { !$known{$_} } @words;
	return;
}

my $NUMBER = qr/^-?[0-9.]+(?:[eE][-+]?[0-9]+)?$/;

sub number_near
{
	my ($text) = @_;
	my $whole = $text =~ /^-?\d{1,18}$/;
	my $value = $whole ? int $text : 0 + $text;

	$value = pick($value + 1, $value - 1, $value * 2, -$value, $value + int rand 100, $value / 2,
		$value * 10**(int(rand 40) - 20), ($whole ? () : unpack('d<', pack 'q<', unpack('q<', pack 'd<', $value) + pick(-1, 1))));
	return $value =~ /inf/i ? '1e308' : $value =~ /nan/i ? '0' : $value == int $value && abs $value < 1e15 ? int $value : sprintf '%.17g', $value;
}

# Counts have to add up: change two numbers by the same, together or against
# each other.
sub change_two_numbers
{
	my ($tree) = @_;
	my @numbers = grep { $_->{kind} eq 'leaf' && $_->{text} =~ /^-?\d{1,17}$/ } map { random_node($tree, 1) } 1 .. 6;
	my $by = pick(1, 1, 1, 2, 10, int rand 1000, 1 << int rand 55);
	my $sign = pick(1, -1);

	return if @numbers < 2;
	$numbers[$_]{text} = int($numbers[$_]{text}) + ($_ ? $sign : 1) * $by for 0, 1;
	return;
}

sub change_string
{
	my ($text) = @_;
	my $at = 1 + int rand length($text) - 1;

	# A string is cut only where that leaves one.
	return pick('"' . 'long ' x (1 << int rand 14) . '"', '"\u00e9\ud83d\ude00"', '""',
		substr($text, 0, $at) . pick('a', ' ', "\xc3\xa9", '\\"', '\\u0001', '\\t') . substr $text, $at);
}

sub change_array
{
	my ($array, $grown) = @_;
	my $parts = $array->{parts};
	my $at = int rand @$parts;
	my $with = int rand @$parts;
	my $how = @$parts ? int rand 9 : 6;

	if ($how == 0) { splice @$parts, $at, 1 }
	elsif ($how == 1) { splice @$parts, $at }
	elsif ($how == 2) { splice @$parts, 0, $at }
	elsif ($how == 3) { @$parts[ $at, $with ] = @$parts[ $with, $at ] }
	elsif ($how == 4) { @$parts = reverse @$parts }
	elsif ($how == 5) { splice @$parts, $at, 0, $parts->[$with] }
	elsif ($how == 6) { splice @$parts, $at, 0, { kind => 'leaf', text => pick(@NUMBERS, @WORDS) } }
	elsif ($how == 7) { $parts->[$at] = $parts->[$with] }
	elsif (!$$grown++) { push @$parts, map { @$parts[ 0 .. min(9, $#$parts) ] } 0 .. rand 600 }
	return;
}

sub change_object
{
	my ($object) = @_;
	my $parts = $object->{parts};
	my $at = int rand @$parts;
	my $with = int rand @$parts;
	my $how = int rand 7;

	return if !@$parts;
	if ($how == 0) { splice @$parts, $at, 1 }
	elsif ($how == 1) { $parts->[$at] = [ pick('"x"', '""', '"Count"', $parts->[$with][0]), $parts->[$at][1] ] }
	elsif ($how == 2) { push @$parts, [ $parts->[$at][0], $parts->[$with][1] ] }
	elsif ($how == 3) { push @$parts, [ '"more"', { kind => 'leaf', text => pick(@NUMBERS, @WORDS) } ] }
	elsif ($how == 4) { @$parts[ $at, $with ] = ([ $parts->[$at][0], $parts->[$with][1] ], [ $parts->[$with][0], $parts->[$at][1] ]) }
	elsif ($how == 5) { @$parts = reverse @$parts }
	else { $parts->[$at] = [ $parts->[$at][0], { kind => 'leaf', text => pick(@WORDS) } ] }
	return;
}

# A few changes of the tree; now and then of the text.
sub mutate_json
{
	my ($text, $other) = @_;

	return mutate_bytes($text, $other) if rand() < 0.05;

	my $tree = parse_json($text);
	my $grown = 0;             # once is enough
	for (1 .. rand_times())
	{
		my $node = random_node($tree, 0);

		if (rand() < 0.15) { change_two_numbers($tree) }
		elsif (rand() < 0.1) { %$node = %{ random_node(parse_json($other), 0) } }
		elsif ($node->{kind} eq 'array') { change_array($node, \$grown) }
		elsif ($node->{kind} eq 'object') { change_object($node) }
		elsif (rand() < 0.2) { $node->{text} = pick(@WORDS) }
		elsif ($node->{text} =~ /^"/) { $node->{text} = change_string($node->{text}) }
		elsif ($node->{text} =~ $NUMBER && rand() < 0.5) { $node->{text} = number_near($node->{text}) }
		else { $node->{text} = pick(@NUMBERS) }
	}
	return substr write_json($tree), 0, 1 << 20;
}

1;
