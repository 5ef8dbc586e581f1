/*
 * What the machine or the container gives us.
 */
#ifndef LOOKASIDE_LIMITS_H
#define LOOKASIDE_LIMITS_H

/* CPUs that this process may use: affinity and cgroup quota (v1 and v2), rounded up, at least 1. */
unsigned limits_cpus(void);
/* Raises the soft limit of open files to the hard one. */
void limits_raise_files(void);

#endif
