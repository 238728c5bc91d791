// A program under a system call filter that kills it for anything but a few calls.
#define _GNU_SOURCE
#include "truth.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const int allowed[] = {SYS_read,  SYS_write, SYS_exit_group,   SYS_futex,
                              SYS_fstat, SYS_brk,   SYS_clock_gettime};

static void confine(void) {
    enum { COUNT = sizeof allowed / sizeof *allowed };
    struct sock_filter filter[5 + 2 * COUNT];
    int len = 0;
    filter[len++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                 offsetof(struct seccomp_data, arch));
    filter[len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    filter[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    filter[len++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                 offsetof(struct seccomp_data, nr));
    for (int i = 0; i < COUNT; i++) {
        filter[len++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], 0, 1);
        filter[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    filter[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    struct sock_fprog program = {.len = (unsigned short)len, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        abort();
}

// The filter means it: a child that asks for something else dies.
static void prove(void) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        confine();
        _exit(getppid() == 0);
    }
    if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
        abort();
}

unsigned long run_confined(long n) {
    static bool is_confined;
    unsigned long sum = 0;
    if (!is_confined) {
        prove();
        confine();
        is_confined = true;
    }
    for (long i = 0; i < n; i++) sum = mix(sum, plain_outer(i));
    return sum;
}
