/* Runs a command and says what it took: wall, user and system seconds, peak KiB in memory, exit status.
 *
 *   measure [-o FILE] COMMAND...
 *
 * What the command prints goes to FILE (/dev/null). This program is small on purpose: the peak that the
 * kernel gives for a process includes that of the image which it was forked from. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "measure: %s: %s\n", what, strerror(errno));
	_exit(127);
}

/* In the child. It ends with this process, should that be ended. */
static _Noreturn void become(char **command, int output)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(output, STDOUT_FILENO) < 0)
		die("dup2");
	execvp(command[0], command);
	die(command[0]);
}

int main(int argc, char *argv[])
{
	const char   *file = "/dev/null";
	struct rusage used;
	int           output, status;
	double        start;
	pid_t         child;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getopt(argc, argv, "+o:") == 'o')
		file = optarg;
	if (optind == argc)
		return 2;
	output = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (output < 0)
		die(file);
	start = now();
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0)
		become(&argv[optind], output);
	while (wait4(child, &status, 0, &used) < 0)
		if (errno != EINTR)
			die("wait4");
	printf("%.6f %.6f %.6f %ld %d\n", now() - start, seconds(used.ru_utime), seconds(used.ru_stime),
	       used.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}
