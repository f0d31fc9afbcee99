/* The least that any program of portclear's kind must do: the limit that portclear is measured against. One thread, raw
 * system calls, no check of anything.
 *
 *     bare PORT    a bind; where that is refused, the kernel's listeners on the port, and one read of every descriptor of
 *                  every process for those that hold one
 *
 * Prints the holders' pids. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct entry {
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

static uint32_t wanted[64];
static int count;

static int busy(int port) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int on = 1, off = 0, fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    int refused = bind(fd, (struct sockaddr *)&address, sizeof address) && errno == EADDRINUSE;
    close(fd);
    return refused;
}

static void listeners(int family, int port) {
    static char buffer[32768];
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 request;
    } message = {
        {sizeof message, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0},
        {.sdiag_family = family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = 1 << 10},
    };
    message.request.id.idiag_sport = htons(port);
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    send(fd, &message, sizeof message, 0);
    for (;;) {
        int length = recv(fd, buffer, sizeof buffer, 0);
        struct nlmsghdr *header = (struct nlmsghdr *)buffer;
        for (; NLMSG_OK(header, length); header = NLMSG_NEXT(header, length)) {
            if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY) {
                close(fd);
                return;
            }
            if (count < 64)
                wanted[count++] = ((struct inet_diag_msg *)NLMSG_DATA(header))->idiag_inode;
        }
    }
}

static int holds(int proc, const char *pid) {
    char path[32], buffer[32768], link[64];
    int found = 0;
    snprintf(path, sizeof path, "%s/fd", pid);
    int fds = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fds < 0)
        return 0;
    for (long size; (size = syscall(SYS_getdents64, fds, buffer, sizeof buffer)) > 0;)
        for (long at = 0; at < size; at += ((struct entry *)(buffer + at))->size) {
            struct entry *entry = (struct entry *)(buffer + at);
            if (entry->name[0] == '.')
                continue;
            long length = readlinkat(fds, entry->name, link, sizeof link - 1);
            if (length < 9 || memcmp(link, "socket:[", 8))
                continue;
            link[length] = 0;
            uint32_t inode = strtoul(link + 8, NULL, 10);
            for (int i = 0; i < count; i++)
                found |= wanted[i] == inode;
        }
    close(fds);
    return found;
}

int main(int argc, char **argv) {
    static char buffer[32768];
    int port = argc > 1 ? atoi(argv[1]) : 0;
    if (!busy(port))
        return 0;
    listeners(AF_INET, port);
    listeners(AF_INET6, port);
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (long size; (size = syscall(SYS_getdents64, proc, buffer, sizeof buffer)) > 0;)
        for (long at = 0; at < size; at += ((struct entry *)(buffer + at))->size) {
            struct entry *entry = (struct entry *)(buffer + at);
            if (entry->name[0] >= '1' && entry->name[0] <= '9' && holds(proc, entry->name))
                puts(entry->name);
        }
    return 0;
}
