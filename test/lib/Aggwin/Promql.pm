# What the functions of the language make of texts, by the program test/promql/read.
#
#   my @outcomes = Aggwin::Promql::outcomes('expr', 'sum(m[1m])', …);
#   like($outcome, $Aggwin::Promql::ERROR);
#
# Texts may go over several lines; in outcomes ␤ is a line feed. Both are characters.
package Aggwin::Promql;

use strict;
use warnings;
use utf8;
use File::Basename qw(dirname);
use IPC::Run;

our $FOLDER = dirname(__FILE__) . '/../../promql';

# An outcome that is an error begins with its place.
our $ERROR = qr/^\d+:\d+: /;

sub bytes
{
	my ($text) = @_;
	utf8::encode($text);
	return $text;
}

sub outcomes
{
	my ($what, @texts) = @_;
	my $input = bytes(join '', map { s/\n/␤/gr . "\n" } @texts);
	my ($output, $error) = ('', '');

	IPC::Run::run([ "$FOLDER/read", $what ], '<', \$input, '>', \$output, '2>', \$error)
	  or die "read $what: $error";
	utf8::decode($output);
	my @outcomes = split /\n/, $output, -1;
	pop @outcomes;
	die 'not as many outcomes as texts' if @outcomes != @texts;
	return @outcomes;
}

1;
