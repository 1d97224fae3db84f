# Prometheus as a judge: `promtool test rules` computes PromQL over samples that
# are given to it and says where the values that are expected differ, in any bit.
#
#   my $promtool = Aggwin::Promtool->new($directory);    # undef: there is none
#   my ($agrees, $output) = $promtool->judge(
#       interval => 1000,                                # ms between samples
#       series   => [ [ 'c{n="1"}', [ 0, 5, undef, 7 ] ], … ],
#       expect   => [ { expr => 'rate(c[3s])', at => 3000,
#                       samples => [ [ '{n="1"}', '2.5' ] ] }, … ]);
#
# Series begin at the epoch; undef is a sample that is missing. Values are passed
# on as they are written. An expression is evaluated at a time in milliseconds, a
# multiple of the interval, and has just the samples that are listed.
package Aggwin::Promtool;

use strict;
use warnings;

# PROMTOOL names the program; otherwise it is looked for in PATH.
sub new
{
	my ($class, $directory) = @_;
	my ($program) = grep { -x } $ENV{PROMTOOL} // (),
	  map { "$_/promtool" } split /:/, $ENV{PATH};

	return unless defined $program;
	return bless { program => $program, directory => $directory, files => 0 }, $class;
}

sub version
{
	my ($self) = @_;
	my ($version) = qx('$self->{program}' --version 2>&1) =~ /version ([\d.]+)/;
	return $version;
}

sub quoted
{
	my ($text) = @_;
	return "'" . $text =~ s/'/''/gr . "'";
}

sub number
{
	my ($text) = @_;
	return { Infinity => '.inf', '-Infinity' => '-.inf', NaN => '.nan' }->{$text} // $text;
}

sub judge
{
	my ($self, %test) = @_;
	my $file = sprintf '%s/promtool_%d.yml', $self->{directory}, ++$self->{files};

	# Samples are there as of the evaluation before, hence the same interval.
	my $yaml = "rule_files: []\nevaluation_interval: $test{interval}ms\ntests:\n"
	  . "  - interval: $test{interval}ms\n    input_series:\n";
	for my $series (@{ $test{series} })
	{
		my ($name, $values) = @$series;
		$yaml .= "      - series: " . quoted($name) . "\n"
		  . "        values: " . quoted(join ' ', map { $_ // '_' } @$values) . "\n";
	}
	$yaml .= "    promql_expr_test:\n";
	for my $expect (@{ $test{expect} })
	{
		die "$expect->{at} ms is no multiple of $test{interval}\n" if $expect->{at} % $test{interval};
		$yaml .= "      - expr: " . quoted($expect->{expr}) . "\n"
		  . "        eval_time: $expect->{at}ms\n        exp_samples:"
		  . (@{ $expect->{samples} } ? '' : ' []') . "\n";
		for my $sample (@{ $expect->{samples} })
		{
			$yaml .= "          - labels: " . quoted($sample->[0]) . "\n"
			  . "            value: " . number($sample->[1]) . "\n";
		}
	}

	open my $out, '>', $file or die "$file: $!";
	print $out $yaml;
	close $out or die "$file: $!";
	my $output = qx('$self->{program}' test rules '$file' 2>&1);
	my $status = $?;

	# Nothing but the judgement counts as one.
	die "promtool did not run: $output\n"
	  unless $status == 0 && $output =~ /SUCCESS/ || $status == 1 << 8 && $output =~ /got: /;
	return ($status == 0, $output);
}

1;
