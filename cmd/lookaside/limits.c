#include "limits.h"

#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/base.h"

/* Quota and period in microseconds; a file that is absent or says "max" sets no limit. */
static unsigned quota_cpus(void)
{
    long long quota = -1, period = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");

    if (file) {
        if (fscanf(file, "%lld %lld", &quota, &period) != 2)
            quota = -1;
        fclose(file);
    } else if ((file = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re"))) {
        if (fscanf(file, "%lld", &quota) != 1)
            quota = -1;
        fclose(file);
        period = 100000; /* the kernel's default, which nobody changes */
    }
    if (quota <= 0 || period <= 0)
        return 0;
    return (unsigned)((quota + period - 1) / period);
}

unsigned limits_cpus(void)
{
    cpu_set_t set;
    unsigned cpus = 1, quota = quota_cpus();

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        cpus = (unsigned)CPU_COUNT(&set);
    if (quota && quota < cpus)
        cpus = quota;
    return cpus ? cpus : 1;
}

void limits_raise_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}
