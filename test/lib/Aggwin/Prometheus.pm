# A real Prometheus, and a real exporter for it to scrape.
#
#   my $exporter = Aggwin::Prometheus->exporter($directory, $port, @options);
#   my $prometheus = Aggwin::Prometheus->server($directory, $port, $config);
#   my $page = $exporter->get('/metrics');
#   my $rows = $prometheus->query('count_over_time(up[1m])', $seconds);
#
# Both listen on 127.0.0.1 only, log into the directory and end with the object.
# Rows are { metric => { labels }, values => [ [ time, text ], … ] }; a query at one
# time gives one value a row, or all that a range selector chooses. Programs are looked for in PROMETHEUS and
# NODE_EXPORTER, then in PATH; undef is returned where there is none.
package Aggwin::Prometheus;

use strict;
use warnings;
use HTTP::Tiny;
use JSON::PP;
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);

use constant PATIENCE => 60;    # seconds until a program answers

sub program
{
	my ($variable, @names) = @_;
	my ($program) = grep { -x } $ENV{$variable} // (),
	  map { my $folder = $_; map { "$folder/$_" } @names } split /:/, $ENV{PATH};
	return $program;
}

sub exporter
{
	my ($class, $directory, $port, @options) = @_;
	my $program = program('NODE_EXPORTER', 'prometheus-node-exporter', 'node_exporter') // return;
	return $class->start($directory, 'exporter', $port, '/', $program, "--web.listen-address=127.0.0.1:$port", @options);
}

sub server
{
	my ($class, $directory, $port, $config, @options) = @_;
	my $program = program('PROMETHEUS', 'prometheus') // return;

	open my $out, '>', "$directory/prometheus.yml" or die "$directory/prometheus.yml: $!";
	print $out $config;
	close $out or die "$directory/prometheus.yml: $!";
	return $class->start($directory, 'prometheus', $port, '/-/ready', $program, "--config.file=$directory/prometheus.yml",
		"--storage.tsdb.path=$directory/prometheus", "--web.listen-address=127.0.0.1:$port", @options);
}

# What is started here ends here, whatever becomes of the test.
sub start
{
	my ($class, $directory, $name, $port, $ready, $program, @arguments) = @_;
	my $pid = fork // die "fork: $!";

	if (!$pid)
	{
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', "$directory/$name.log" or die "$directory/$name.log: $!";
		open STDERR, '>&', \*STDOUT;
		exec $program, @arguments or die "$program: $!";
	}
	my $self = bless {
		pid => $pid, parent => $$, program => $program, url => "http://127.0.0.1:$port",
		http => HTTP::Tiny->new(timeout => 20, proxy => undef, http_proxy => undef) }, $class;
	my $end = time + PATIENCE;
	until ($self->{http}->get("$self->{url}$ready")->{success})
	{
		delete $self->{pid} if waitpid($pid, WNOHANG) == $pid;
		die "$name does not answer:\n" . log_of("$directory/$name.log") if time > $end || !$self->{pid};
		sleep 0.05;
	}
	return $self;
}

sub log_of
{
	my ($name) = @_;
	local (@ARGV, $/) = ($name);
	return scalar <>;
}

sub stop
{
	my ($self) = @_;
	my $pid = delete $self->{pid} // return;

	kill 'TERM', $pid;
	waitpid $pid, 0;
	return;
}

sub DESTROY
{
	my ($self) = @_;
	local ($?, $@, $!);
	$self->stop if defined $self->{parent} && $self->{parent} == $$;
	return;
}

sub version
{
	my ($self) = @_;
	my ($version) = qx('$self->{program}' --version 2>&1) =~ /version ([\d.]+)/;
	return $version;
}

sub get
{
	my ($self, $path) = @_;
	my $response = $self->{http}->get("$self->{url}$path");

	die "$self->{url}$path: $response->{status} $response->{reason}\n$response->{content}"
	  unless $response->{success};
	return $response->{content};
}

# The API: parameters are text of characters, and so is what it gives. Answers of
# thousands of rows take JSON::PP seconds, so rows are told apart here, and labels, which
# come again and again, are decoded once.
sub ask
{
	my ($self, $path, %parameters) = @_;
	my $response = $self->{http}->post_form("$self->{url}$path", \%parameters);
	my $string = qr/"(?:[^"\\]++|\\.)*+"/s;
	my @rows;

	die "$path " . join(', ', %parameters) . ": $response->{status} $response->{content}\n"
	  unless $response->{content} =~ /\G\{"status":"success","data":\{"resultType":"\w+","result":\[/gc;
	while ($response->{content} =~ /\G,?\{"metric":(\{(?:$string|[:,])*\}),"values?":\[([^]]*(?:\],\[[^]]*)*)\]\]?\}/gc)
	{
		my ($metric, $values) = ($1, $2);
		my @values;
		push @values, [ $1, $2 ] while $values =~ /([\d.]+),"([^"]*)"/g;
		push @rows, { metric => $self->{metric}{$metric} //= decode_json($metric), values => \@values };
	}
	die "$path: this is not understood: " . substr($response->{content}, pos $response->{content} // 0)
	  unless $response->{content} =~ /\G\]\}\}\s*\z/gc;
	return \@rows;
}

# At one time, in seconds.
sub query
{
	my ($self, $expression, $time) = @_;
	return $self->ask('/api/v1/query', query => $expression, time => sprintf '%.3f', $time);
}

# At several times.
sub query_range
{
	my ($self, $expression, $start, $end, $step) = @_;
	return $self->ask('/api/v1/query_range', query => $expression,
		start => sprintf('%.3f', $start), end => sprintf('%.3f', $end), step => $step);
}

1;
