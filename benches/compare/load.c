/* What the programs are measured under. Each ends at the end of its standard input, and takes all that it forked along.
 *
 *     load descriptors PROCESSES EACH    processes with so many descriptors each, a quarter of them sockets
 *     load connections COUNT             so many established sockets, connected to each other over loopback
 *     load holder PORT MILLISECONDS      listens; at SIGTERM it ends after so many milliseconds
 *     load holders PORT COUNT            so many processes on one socket, which ignore SIGTERM
 *
 * Prints "ready"; a holder prints, when it ends, the time (CLOCK_MONOTONIC, nanoseconds). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* No process is to have more than 20,000 descriptors. */
enum { SOCKETS = 15000 };

static void check(int good, const char *what) {
    if (!good) {
        perror(what);
        exit(1);
    }
}

static void ready(void) {
    puts("ready");
    fflush(stdout);
}

static void wait_for_the_end(void) {
    char byte;
    while (read(0, &byte, 1) > 0)
        ;
}

static pid_t child(void) {
    pid_t parent = getpid(), pid = fork();
    check(pid >= 0, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(0);
    }
    return pid;
}

static void descriptors(int processes, int each) {
    int done[2];
    check(pipe(done) == 0, "pipe");
    for (int i = 0; i < processes; i++) {
        if (child() != 0)
            continue;
        /* Of its own: 0, 1, 2 and the pipe's two ends. */
        for (int fd = 5; fd < each; fd++)
            check((fd % 4 ? open("/dev/null", O_RDONLY) : socket(AF_UNIX, SOCK_STREAM, 0)) >= 0, "descriptor");
        check(write(done[1], "x", 1) == 1, "write");
        for (;;)
            pause();
    }
    char byte;
    for (int i = 0; i < processes; i++)
        check(read(done[0], &byte, 1) == 1, "read");
}

static void connections(int count) {
    int done[2];
    check(pipe(done) == 0, "pipe");
    int workers = (count + SOCKETS - 1) / SOCKETS;
    for (int i = 0; i < workers; i++) {
        if (child() != 0)
            continue;
        /* An address of 127/8 for each worker, for there are only so many ports. */
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010001 + i)};
        socklen_t size = sizeof at;
        int listener = socket(AF_INET, SOCK_STREAM, 0);
        check(bind(listener, (struct sockaddr *)&at, size) == 0, "bind");
        check(listen(listener, 128) == 0, "listen");
        check(getsockname(listener, (struct sockaddr *)&at, &size) == 0, "getsockname");
        int mine = (count + workers - 1) / workers / 2;
        for (int j = 0; j < mine; j++) {
            int client = socket(AF_INET, SOCK_STREAM, 0);
            check(connect(client, (struct sockaddr *)&at, size) == 0, "connect");
            check(accept(listener, NULL, NULL) >= 0, "accept");
        }
        check(write(done[1], "x", 1) == 1, "write");
        for (;;)
            pause();
    }
    char byte;
    for (int i = 0; i < workers; i++)
        check(read(done[0], &byte, 1) == 1, "read");
}

static void listen_on(int port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    check(bind(fd, (struct sockaddr *)&at, sizeof at) == 0, "bind");
    check(listen(fd, 128) == 0, "listen");
}

static void holder(int port, int milliseconds) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    listen_on(port);
    struct pollfd fds[2] = {{.fd = signalfd(-1, &set, SFD_CLOEXEC), .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    ready();
    poll(fds, 2, -1);
    if (!(fds[0].revents & POLLIN))
        exit(0);
    poll(&fds[1], 1, milliseconds);
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    dprintf(1, "%lld\n", time.tv_sec * 1000000000LL + time.tv_nsec);
    _exit(0);
}

static void holders(int port, int count) {
    signal(SIGTERM, SIG_IGN);
    listen_on(port);
    for (int i = 1; i < count; i++)
        if (child() == 0)
            for (;;)
                pause();
}

int main(int argc, char **argv) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 20000 ? limit.rlim_max : 20000;
    setrlimit(RLIMIT_NOFILE, &limit);
    int first = argc > 2 ? atoi(argv[2]) : 0, second = argc > 3 ? atoi(argv[3]) : 0;
    if (argc == 4 && !strcmp(argv[1], "holder"))
        holder(first, second);
    else if (argc == 4 && !strcmp(argv[1], "holders"))
        holders(first, second);
    else if (argc == 4 && !strcmp(argv[1], "descriptors"))
        descriptors(first, second);
    else if (argc == 3 && !strcmp(argv[1], "connections"))
        connections(first);
    else
        return 2;
    ready();
    wait_for_the_end();
    return 0;
}
